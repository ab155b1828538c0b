"""Each library's way to say that memory ran out is known, and nothing else is taken for it."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from hpml_gate.measure.worker import described
from hpml_steps.local_step import LocalStep
from hpml_steps.out_of_memory import OutOfMemoryError, is_out_of_memory, out_of_memory_named

PIB = 2**50


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("OutOfMemoryError", "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total"),
        ("AcceleratorError", "CUDA error: out of memory\nCUDA kernel errors might be"),
        ("RuntimeError", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(h)`"),
        ("RuntimeError", "cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        ("RuntimeError", "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED"),
        ("RuntimeError", "cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling"),
        ("DistBackendError", "NCCL error: unhandled cuda error\nCuda failure 2 'out of memory'"),
        ("DistBackendError", "NCCL error: Failed to CUDA calloc async 608 bytes"),
        ("CudaAPIError", "[2] Call to cuMemAlloc results in CUDA_ERROR_OUT_OF_MEMORY"),
        ("CUDARuntimeError", "cudaErrorMemoryAllocation: out of memory"),
        ("OSError", "[Errno 12] Cannot allocate memory"),
    ],
)
def test_a_librarys_message_is_known(name: str, message: str) -> None:
    assert is_out_of_memory(name, message)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("RuntimeError", "CUDA error: an illegal memory access was encountered"),
        ("RuntimeError", "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        ("RuntimeError", "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling"),
        ("DistBackendError", "NCCL error: remote process exited or there was a network error"),
        ("Incorrect", "the model has too much memory"),
    ],
)
def test_another_error_is_not_taken_for_it(name: str, message: str) -> None:
    assert not is_out_of_memory(name, message)


@pytest.mark.parametrize("allocate", [lambda: torch.empty(PIB), lambda: np.empty(PIB)])
def test_a_step_that_runs_out_of_memory_says_so_to_the_gate(
    allocate: Callable[[], object],
) -> None:
    step = LocalStep(run=allocate, items_per_step=1)
    with pytest.raises(OutOfMemoryError, match=r"allocate") as caught:
        step.measure(lambda run, *_: run(), 1)
    assert described(caught.value)["status"] == "oom"


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(ZeroDivisionError), out_of_memory_named():
        _ = 1 / 0
