"""Settings that all tests share."""

from hypothesis import HealthCheck, settings

# Examples are not timed: the machine may be busy, and slowness is measured in benchmarks/.
settings.register_profile("lighthouse", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lighthouse")
