"""The behaviour that every discovery owes, as a suite for pytest, and what it needs to run.

The author of a plugin describes a registry (`lighthouse.testing.registry.Registry`) and inherits
`lighthouse.testing.suite.DiscoverySuite`. Nothing here is imported by a running Lighthouse.
"""
