"""What a model's losses say with dropout on and off: overfitting, or an artefact of dropout.

Where dropout acts on the residual stream, a model may be worse without it than with it on the very
data that it was trained on. A validation loss above the training loss is then no overfitting: the
one was taken without dropout, the other with it. B batch, V vocabulary.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

import numpy as np

from hpml_models.quality.classification import Tally, unigram_entropy
from hpml_models.types import IGNORED, Batch, Recipe

if TYPE_CHECKING:
    from torch import nn

COLLAPSED = 0.95  # of the unigram entropy: the model says how frequent words are, and little else


@dataclass(frozen=True, kw_only=True)
class DropoutLosses:
    """Losses in nats a word, of the same weights."""

    training_on: float
    training_off: float
    validation_on: float
    validation_off: float
    unigram: float  # of a model that knows how frequent the validation words are
    uniform: float  # of a model that knows nothing: ln V

    @property
    def is_worse_off(self) -> bool:
        """Whether the training loss is higher without dropout: no overfitting can do that."""
        return self.training_off > self.training_on

    @property
    def is_collapsed(self) -> bool:
        """Whether the training loss is about that of a model that ignores what it is given."""
        return min(self.training_on, self.training_off) > COLLAPSED * self.unigram


def dropout_losses(
    module: "nn.Module",
    recipe: Recipe,
    training: Iterable[Batch],
    validation: Iterable[Batch],
    vocabulary: int,
) -> DropoutLosses:
    """Measure a model that scores words; its modes and torch's random state stay as they were."""
    batches = {"training": list(training), "validation": list(validation)}
    means = {
        f"{name}_{mode}": mean_loss(module, recipe, some, with_dropout=mode == "on")
        for name, some in batches.items()
        for mode in ("on", "off")
    }
    labels = np.concatenate([one.targets["labels"].flatten() for one in batches["validation"]])
    words = labels[labels != IGNORED]
    return DropoutLosses(**means, unigram=unigram_entropy(words), uniform=log(vocabulary))


def mean_loss(
    module: "nn.Module", recipe: Recipe, batches: Iterable[Batch], *, with_dropout: bool
) -> float:
    """Return the mean loss over all that the recipe counts; nothing is trained."""
    import torch

    modes = {one: one.training for one in module.modules()}
    module.train(with_dropout)
    summed = Tally()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        for batch in batches:
            count = int(recipe.loss_count(batch.targets))
            loss = recipe.loss(module(**batch.inputs), batch.targets)
            summed += Tally(total=float(loss) * count, count=count)
    for one, mode in modes.items():
        one.training = mode
    return summed.mean
