"""The runtimes, one file each, ending in ``RUNTIME = ...``."""
