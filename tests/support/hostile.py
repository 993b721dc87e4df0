"""Texts of every hostile kind, and registry records that carry them."""

NASTY = [
    "\n", "\r\n", "\0", "\t", "\x1b[31m", "\x1b]0;x\x07", "\x7f", "\x85", "\u2028", "\u2029", "\u202e", " ", "  ", '"', "'", "\\",
    ";", "#", "$HOME", "${HOME}", "`id`", "$(id)", "<<", "|", "&", "%", "*", "?", "..", "../../etc/passwd", "/", "\ufeff", "\u200b",
    "\u0430pache", "\uff57\uff45\uff42", "\u00e9", "e\u0301", "\ud800", "x" * 256, "x" * 65536, "-", ".", ":", "::", "@", "a b",
    "a\nserver evil 6.6.6.6:6", "a\n\tserver evil 6.6.6.6:6", "a # b", "slot1", "global", "\nglobal\n", "127.0.0.1:80 ssl", "",
    "None", "true", "0", "-1", "1e9",
]  # fmt: skip
KEYS = ("weight", "maxconn", "backup")


def hostile():
    """Registry records of every hostile kind."""
    for number, text in enumerate(NASTY):
        for wrapped in (text, f"a{text}", f"{text}a", f"a{text}a"):
            yield {"host": wrapped, "ip": "127.0.0.1", "port": 9}
            yield {"host": "h", "ip": f"127.0.0.1{text}" if text else text, "port": 9}
            yield {
                "host": f"m{number}",
                "ip": "127.0.0.1",
                "port": 9,
                "metadata": dict.fromkeys(KEYS, wrapped),
            }
            yield {"host": f"p{number}", "ip": "127.0.0.1", "port": wrapped}
            yield {
                "host": f"k{number}",
                "ip": "127.0.0.1",
                "port": 9,
                "metadata": {wrapped: wrapped, "weight": [wrapped]},
            }
