"""Tensor-parallel plans by the names of layers: columns first, rows behind them.

M. Shoeybi et al., arXiv 1909.08053, section 3.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


def by_name(
    module: "nn.Module", *, columns: Sequence[str], rows: Sequence[str]
) -> Mapping[str, Any]:
    """Give each layer whose name ends so a ``ParallelStyle``.

    Raises ValueError if an ending fits no layer: the plan would be silently smaller.
    """
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel

    plan: dict[str, Any] = {}
    names = [name for name, _ in module.named_modules()]
    for endings, style in ((columns, ColwiseParallel), (rows, RowwiseParallel)):
        for ending in endings:
            matching = [name for name in names if name.endswith(f".{ending}")]
            if not matching:
                raise ValueError(f"no layer's name ends in .{ending}")
            plan |= {name: style() for name in matching}
    return plan


def encoder_plan(module: "nn.Module") -> Mapping[str, Any]:
    """Cut the heads, and the feed-forward's width, of one of transformers' encoders."""
    return by_name(
        module,
        columns=("self.query", "self.key", "self.value", "intermediate.dense"),
        rows=("output.dense",),
    )
