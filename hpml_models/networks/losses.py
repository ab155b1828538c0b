"""Losses that several models share. B batch, K classes."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def mean_cross_entropy(outputs_BK: "Tensor", targets_B: "Tensor") -> "Tensor":
    """Mean over the samples."""
    from torch.nn.functional import cross_entropy

    return cross_entropy(outputs_BK, targets_B)
