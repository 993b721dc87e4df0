"""The stanzas of HAProxy's configuration, one file each: pure functions from settings to a `Section`."""
