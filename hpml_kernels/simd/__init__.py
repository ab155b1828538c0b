"""Vectors and intrinsics inside compiled code: what numba's loops cannot be relied on to make."""
