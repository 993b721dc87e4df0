"""The supervisor: one thread that forks workers, keeps the newest state of each, watches their health and answers `ctl`.

What it decides is pure and takes the time as an argument: `restart`, `worker`, `core`, `compilation`, `store`, `status`. What it
does is thin: `process`, `control`, `watch`, `keeper`, `notify`, `logs`, and `loop`, which turns them all. It imports no plugin.
"""
