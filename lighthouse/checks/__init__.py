"""The built-in health checks, each loaded only where a service uses it."""
