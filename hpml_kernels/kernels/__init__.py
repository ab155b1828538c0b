"""The kernels, one file each, ending in ``KERNEL = Kernel(...)``."""
