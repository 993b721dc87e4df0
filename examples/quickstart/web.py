"""A small web service: it answers with its name on `/` and with 200 on `/health`. Usage: web.py PORT"""

from __future__ import annotations

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Answers GET."""

    def do_GET(self) -> None:
        """Tell who answers."""
        port = self.server.server_address[1]
        found = {"/": f"web on port {port}, pid {os.getpid()}\n", "/health": "ok\n"}.get(self.path)
        body = (found or "not found\n").encode()
        self.send_response(404 if found is None else 200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name of the base class)
        """Say nothing: a check every second would fill the screen."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
