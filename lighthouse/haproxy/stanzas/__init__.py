"""The stanzas of HAProxy's configuration, one file each, with the names of lighthouse 1.0.

A `Stanza` knows how one comes from settings and clusters; its `Stanza.section` is the value that is written and read back.
"""
