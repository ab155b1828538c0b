"""The quantization schemes, one file each, ending in ``QUANTIZATION = ...``."""
