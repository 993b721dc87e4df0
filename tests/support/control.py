"""A scripted control server: it answers each command with what the test says, over a real UNIX socket."""

import base64
import contextlib
import json
import socket
import threading

import msgpack


def packed(value):
    return base64.b64encode(msgpack.packb(value)).decode()


def ok(result):
    return {"version": 1, "ok": True, "result": result}


def refusal(code, error):
    return {"version": 1, "ok": False, "code": code, "error": error}


def node(host, port, ip="127.0.0.1"):
    return {"host": host, "ip": ip, "port": port, "metadata": {}, "peer": None}


def worker(name, state="up", **more):
    return {
        "id": name,
        "kind": name.partition("/")[0],
        "state": state,
        "since": 1_000_000.0,
        "pid": 4242,
        "generation": 1,
        "restarts": 0,
        "last_exit": None,
        "heartbeat_age": 0.4,
        "call": None,
        "memory": {"uss": 5 * 2**20, "pss": 6 * 2**20},
        "reason": None,
        "retry_in": None,
        **more,
    }


def raw_status(**more):
    """The status of a host on which all is well: one cluster of two nodes, one service of one port."""
    return {
        "supervisor": {
            "pid": 4241,
            "version": "2.0",
            "started": 999_900.0,
            "uptime": 160.0,
            "config_epoch": 3,
            "loop_lag": 0.001,
            "role": "all",
            "runtime_dir": "/run/lighthouse",
            "stopping": False,
            "counters": {"frames": 10},
        },
        "workers": [worker("balancer/haproxy"), worker("discovery/directory"), worker("checker/web")],
        "clusters": {
            "web": {
                "discovery": "directory",
                "stale": False,
                "age": 0.5,
                "members": packed({"nodes": [node("a", 8001), node("b", 8002)], "refused": []}),
            }
        },
        "services": {
            "web": {
                "discovery": "directory",
                "ports": {
                    "8001": {
                        "state": "up",
                        "since": 1_000_000.0,
                        "checks": {"http": {"state": "up", "streak": 2, "reason": None}},
                    }
                },
                "held": False,
            }
        },
        "config": {
            "epoch": 3,
            "compilations": 4,
            "compiling": False,
            "error": None,
            "files": {"/etc/lighthouse/clusters/web.yaml": {"state": "ok", "error": None}},
        },
        "reports": {
            "balancer/haproxy": packed({"servers": {"web": {"a:8001": "up", "b:8002": "up"}}, "degraded": None}),
            "discovery/directory": packed({"complete": True, "degraded": None, "details": {}}),
        },
        "reported": {"balancer/haproxy": 1_000_059.0, "discovery/directory": 1_000_059.5},
        **more,
    }


class ControlServer:
    """`answers` maps a command to a reply, to bytes that are sent as they are, to None (no answer at all), or to a function of
    the arguments that gives one of these. What was asked is in `asked`."""

    def __init__(self, path, answers):
        self.path, self.answers, self.asked = path, answers, []
        self._stop = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(16)
        self._listener.settimeout(0.05)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.close()
        self._thread.join()

    def close(self):
        """Go away as a supervisor does; may be called from an answer."""
        self._stop.set()

    def _serve(self):
        with self._listener:
            while not self._stop.is_set():
                with contextlib.suppress(TimeoutError):
                    connection, _ = self._listener.accept()
                    with connection, contextlib.suppress(OSError):
                        connection.settimeout(20)
                        self._answer(connection)
        self.path.unlink()

    def _answer(self, connection):
        with connection.makefile("rb") as lines:
            line = lines.readline()
        if not line:
            return
        request = json.loads(line)
        self.asked.append(request)
        answer = self.answers[request["command"]]
        if callable(answer):
            answer = answer(request["args"])
        if answer is None:
            self._stop.wait(20)
        else:
            connection.sendall(answer if isinstance(answer, bytes) else json.dumps(answer).encode() + b"\n")
