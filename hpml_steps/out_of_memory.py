"""Running out of memory has many exceptions: one function knows them, one exception names them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

NAMES = (
    "OutOfMemoryError",
    "MemoryError",
    "_ArrayMemoryError",
)  # torch's, cupy's; Python's; numpy's
MESSAGES = re.compile(
    "out of memory"  # CUDA's runtime, and NCCL, which quotes it
    "|CUDA_ERROR_OUT_OF_MEMORY"  # the driver's: numba
    "|CU[A-Z]+_(STATUS_|.*_)?ALLOC(ATION)?_FAILED"  # cuBLAS, cuDNN, cuSOLVER, cuSPARSE, cuFFT
    "|Failed to CUDA (m|c|host)alloc"  # NCCL
    "|can't allocate memory|Cannot allocate memory",  # torch on a CPU; errno's ENOMEM
    re.IGNORECASE,
)


class OutOfMemoryError(MemoryError):
    """Memory of the host or of a device did not suffice; the cause is what a library raised."""


def is_out_of_memory(name: str, message: str) -> bool:
    """Return whether an exception of this class name and message means that memory ran out."""
    return name in NAMES or MESSAGES.search(message) is not None


@contextmanager
def out_of_memory_named() -> Iterator[None]:
    """Raise :class:`OutOfMemoryError` where a library raises one of its own."""
    try:
        yield
    except Exception as error:
        if is_out_of_memory(type(error).__name__, str(error)):
            raise OutOfMemoryError(f"{type(error).__name__}: {error}") from error
        raise
