"""The HAProxy balancer: renders clusters into a configuration, and keeps a running HAProxy equal to it."""
