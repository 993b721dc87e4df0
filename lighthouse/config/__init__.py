"""The compiler of the configuration directory.

It runs inside a one-shot child process, because it imports plugins and libraries that no long-lived process should carry, and
because a file may be able to crash it, hang it or make it grow.
"""
