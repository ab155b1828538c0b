"""Statistical efficiency after Pollux (A. Qiao et al., OSDI 2021): what a sample is worth.

The gradient noise scale (S. McCandlish et al., arXiv 1812.06162) is estimated from gradients at two
batch sizes that a step has at hand anyway: of each rank or micro-batch, and of all together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import NamedTuple

ENOUGH_STEPS = 400  # below, the estimate scatters by a factor of ten


class GradientNorms(NamedTuple):
    """Of one step: squared norms of the parts' gradients before, and of their mean after."""

    parts: Sequence[float]
    whole: float


@dataclass(frozen=True, kw_only=True)
class NoiseScale:
    """The gradient noise scale in samples, or the reason why there is none."""

    samples: float | None
    reason: str = ""


def noise_scale(
    steps: Sequence[GradientNorms], *, part_samples: int, enough: int = ENOUGH_STEPS
) -> NoiseScale:
    """Estimate the noise scale from ``steps``, each of several parts of ``part_samples``.

    The squared gradient and the variance are averaged over the steps first, and divided then.
    """
    if len(steps) < enough:
        return NoiseScale(samples=None, reason=f"{len(steps)} steps: {enough} are needed")
    estimates = [_estimate(norms, part_samples) for norms in steps]
    squared = fmean(estimate.squared for estimate in estimates)
    variance = fmean(estimate.variance for estimate in estimates)
    if squared <= 0:
        return NoiseScale(samples=None, reason="the gradient is smaller than its noise")
    return NoiseScale(samples=max(0.0, variance) / squared)


class _Estimate(NamedTuple):
    """Of one step and without bias: the squared gradient, the variance of a sample's."""

    squared: float
    variance: float


def _estimate(norms: GradientNorms, part_samples: int) -> _Estimate:
    if len(norms.parts) < 2:  # noqa: PLR2004  two batch sizes
        raise ValueError("a noise scale needs the gradients of two parts or more")
    all_samples = part_samples * len(norms.parts)
    part = fmean(norms.parts)
    return _Estimate(
        (all_samples * norms.whole - part_samples * part) / (all_samples - part_samples),
        (part - norms.whole) / (1 / part_samples - 1 / all_samples),
    )


def statistical_efficiency(noise_scale_samples: float, batch: int, reference_batch: int) -> float:
    """Return the progress of a sample in ``batch`` over that of one in ``reference_batch``."""
    return (noise_scale_samples + reference_batch) / (noise_scale_samples + batch)


def goodput(
    samples_per_second: float, noise_scale_samples: float, batch: int, reference_batch: int
) -> float:
    """Return the samples per second of ``reference_batch`` that would make the same progress."""
    return samples_per_second * statistical_efficiency(noise_scale_samples, batch, reference_batch)


def seed_efficiency(losses: Sequence[float], samples_per_step: int) -> float:
    """Return the mean absolute change of a step's loss, per sample.

    What one of the experiments that this suite replaces calls statistical efficiency. It measures
    how training batches differ from each other: a frozen model that learns nothing reads 1e-3 to
    1e-2 too. Shown beside the others under this name, never as a measure of progress.
    """
    if len(losses) < 2:  # noqa: PLR2004  a difference
        raise ValueError(f"{len(losses)} losses have no change")
    changes = [abs(after - before) for before, after in pairwise(losses)]
    return fmean(changes) / samples_per_step


def progress_per_sample(loss_before: float, loss_after: float, samples: int) -> float:
    """Return by how much the loss on the same held-out rows fell, per sample trained on.

    A frozen model reads 0.
    """
    return (loss_before - loss_after) / samples
