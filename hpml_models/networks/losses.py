"""Losses that several models share, and what they are the mean of. B batch, K classes."""

from typing import TYPE_CHECKING

from hpml_models.types import Tensors

if TYPE_CHECKING:
    from torch import Tensor


def mean_cross_entropy(outputs_BK: "Tensor", targets: Tensors) -> "Tensor":
    """Return the mean over the samples; ``labels`` are ``[B]``."""
    from torch.nn.functional import cross_entropy

    return cross_entropy(outputs_BK, targets["labels"])


def sample_count(targets: Tensors) -> int:
    """Count the samples."""
    return len(next(iter(targets.values())))
