"""Numerical kernels in numpy, numba and CUDA, each with its reference.

One file per kernel in ``kernels``; :mod:`hpml_kernels.registry` finds them and
:func:`hpml_kernels.step.prepare_kernel` turns one variant into a step that can be timed.
"""
