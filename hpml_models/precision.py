"""The precisions, as a table.

Tolerances are on the relative difference of a model's outputs from float32's: bfloat16 keeps 8
bits, so each value is off by up to 2^-9, and a network of tens of layers gathers a few of them.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from hpml_models.types import Precision
from hpml_steps.incorrect import Incorrect

if TYPE_CHECKING:
    from torch import Tensor, nn

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


@contextmanager
def output_dtypes(module: "nn.Module") -> Iterator[set[str]]:
    """Collect the dtypes that a module's matrix products and convolutions give."""
    from torch.nn.modules.conv import _ConvNd

    seen: set[str] = set()
    hooks = [
        layer.register_forward_hook(lambda _, __, output: seen.add(_name(output)))
        for layer in module.modules()
        if isinstance(layer, _ConvNd) or hasattr(layer, "in_features")
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def check_output_dtypes(dtypes: set[str], precision: Precision) -> str:
    """Return the dtype that products have; raise if the precision had no effect on some."""
    if dtypes != {precision.output_dtype}:
        raise Incorrect(
            f"precision {precision.name} did not take effect: outputs are "
            f"{', '.join(sorted(dtypes)) or 'unseen'}, not {precision.output_dtype}"
        )
    return precision.output_dtype


def check_output_dtype(outputs: "Tensor", precision: Precision) -> str:
    """Return the dtype that a model's outputs have; raise if the precision had no effect."""
    return check_output_dtypes({_name(outputs)}, precision)


def _name(tensor: "Tensor") -> str:
    return str(tensor.dtype).removeprefix("torch.")
