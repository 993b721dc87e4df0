"""A plugin that cannot be imported."""

raise ImportError("libmissing.so: cannot open shared object file")
