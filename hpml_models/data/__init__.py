"""The data sets, one file each, ending in ``SPEC = DataSpec(...)``."""
