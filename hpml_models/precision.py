"""The precisions, as a table.

Tolerances are on the relative difference of a model's outputs from float32's: bfloat16 keeps 8
bits, so each value is off by up to 2^-9, and a network of tens of layers gathers a few of them.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from hpml_models.types import Incorrect, Precision

if TYPE_CHECKING:
    from torch import Tensor

PRECISIONS: Mapping[str, Precision] = {
    one.name: one
    for one in (
        Precision(name="fp32", autocast=None, output_dtype="float32", output_tolerance=1e-5),
        Precision(name="bf16", autocast="bfloat16", output_dtype="bfloat16", output_tolerance=5e-2),
    )
}


def autocast(precision: Precision, device: str) -> AbstractContextManager[object]:
    """Return the context that a forward pass runs in; no weight casts are cached across calls."""
    import torch

    if precision.autocast is None:
        return nullcontext()
    kind = torch.device(device).type
    return torch.autocast(kind, getattr(torch, precision.autocast), cache_enabled=False)


def check_output_dtype(outputs: "Tensor", precision: Precision) -> str:
    """Return the dtype that a matrix product's output has; raise if the precision had no effect."""
    dtype = str(outputs.dtype).removeprefix("torch.")
    if dtype != precision.output_dtype:
        raise Incorrect(
            f"precision {precision.name} did not take effect: outputs are {dtype}, "
            f"not {precision.output_dtype}"
        )
    return dtype
