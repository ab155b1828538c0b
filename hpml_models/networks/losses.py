"""Losses that several models share, and what they are the mean of.

Shapes: B batch, K classes, T tokens, V vocabulary.
"""

from typing import TYPE_CHECKING

from hpml_models.types import IGNORED, Tensors

if TYPE_CHECKING:
    from torch import Tensor


def mean_cross_entropy(outputs_BK: "Tensor", targets: Tensors) -> "Tensor":
    """Return the mean over the samples; ``labels`` are ``[B]``."""
    from torch.nn.functional import cross_entropy

    return cross_entropy(outputs_BK, targets["labels"])


def sample_count(targets: Tensors) -> int:
    """Count the samples."""
    return len(next(iter(targets.values())))


def mean_span_cross_entropy(outputs_BT2: "Tensor", targets: Tensors) -> "Tensor":
    """Return the mean over the samples, of the answer's first token and of its last alike."""
    from torch.nn.functional import cross_entropy

    first_BT, last_BT = outputs_BT2.unbind(-1)
    return (
        cross_entropy(first_BT, targets["start_positions"])
        + cross_entropy(last_BT, targets["end_positions"])
    ) / 2


def mean_word_cross_entropy(outputs_BTV: "Tensor", targets: Tensors) -> "Tensor":
    """Return the mean over the words that are no padding; 0 if there is none."""
    from torch.nn.functional import cross_entropy

    total = cross_entropy(
        outputs_BTV.flatten(0, 1),
        targets["labels"].flatten(),
        ignore_index=IGNORED,
        reduction="sum",
    )
    return total / word_count(targets).clamp(min=1)


def word_count(targets: Tensors) -> "Tensor":
    """Count the words, on their own device."""
    return (targets["labels"] != IGNORED).sum()


def summed_cross_entropy(outputs_BLK: "Tensor", targets: Tensors) -> "Tensor":
    """Return the mean over the samples of the sum over their ``L`` rows of scores."""
    from torch.nn.functional import cross_entropy

    rows = outputs_BLK.shape[1]
    labels_BL = targets["labels"][:, None].expand(-1, rows)
    return cross_entropy(outputs_BLK.transpose(1, 2), labels_BL) * rows
