"""How the supervisor and its workers speak: frames over one UNIX stream socket per worker.

`frames` turns bytes into frames and back and does no I/O; `messages` gives the small control frames their types; `channel` moves
frames over a non-blocking socket. Nothing here imports anything else of Lighthouse.
"""
