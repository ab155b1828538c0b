"""The models, one file each, ending in ``SPEC = ModelSpec(...)``."""
