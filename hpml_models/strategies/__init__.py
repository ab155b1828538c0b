"""The parallel strategies, one file each, ending in ``STRATEGY = ...``."""
