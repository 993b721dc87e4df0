"""The process side: what runs in the processes that the supervisor forks.

`runtime` is the main loop that every long-lived worker shares; `lanes` makes plugin calls under a deadline; then one file per kind.
"""
