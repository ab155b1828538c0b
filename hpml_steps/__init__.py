"""Prepared steps, clocks, metrics and the status of a wrong result: what models and kernels share.

A step is built, compiled and checked before anybody times it. Nothing here imports torch or numba.
"""
