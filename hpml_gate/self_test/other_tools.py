"""When other tools would say slower: their documented defaults, on the times of two processes.

For comparison only; the gate's own rules are in :mod:`hpml_gate.judge.sequential_test`.
"""

from collections.abc import Callable, Mapping, Sequence
from statistics import mean, median

import numpy as np
import numpy.typing as npt

RESAMPLES = 2000
SEED = 1

Times = Sequence[float]
Array = npt.NDArray[np.float64]


def pytest_benchmark_mean(base_ns: Times, head_ns: Times) -> bool:
    """``--benchmark-compare-fail=mean:5%``."""
    return mean(head_ns) > 1.05 * mean(base_ns)


def pytest_benchmark_min(base_ns: Times, head_ns: Times) -> bool:
    """``--benchmark-compare-fail=min:5%``."""
    return min(head_ns) > 1.05 * min(base_ns)


def asv(base_ns: Times, head_ns: Times) -> bool:
    """As ``asv continuous`` 0.6: medians beyond a factor of 1.1, Mann-Whitney p below 0.002."""
    from scipy.stats import mannwhitneyu

    differs = mannwhitneyu(base_ns, head_ns).pvalue < 0.002  # noqa: PLR2004  its own threshold
    return bool(differs) and median(head_ns) > 1.1 * median(base_ns)


def criterion(base_ns: Times, head_ns: Times) -> bool:
    """As criterion.rs: a resampled t-test at 5 %, and the mean's 95 % interval beyond 1 %."""
    generator = np.random.default_rng(SEED)
    base, head = np.asarray(base_ns), np.asarray(head_ns)
    pooled = generator.choice(np.concatenate([base, head]), (RESAMPLES, base.size + head.size))
    null = _t(pooled[:, : base.size], pooled[:, base.size :])
    p_value = np.mean(np.abs(null) >= abs(_t(base[None], head[None])[0]))
    means = [generator.choice(one, (RESAMPLES, one.size)).mean(axis=1) for one in (head, base)]
    low = np.percentile(means[0] / means[1] - 1, 2.5)
    return bool(p_value < 0.05 and low > 0.01)  # noqa: PLR2004  its own thresholds


def tango(base_ns: Times, head_ns: Times) -> bool:
    """As tango-bench: paired differences within five interquartile ranges, z of 2.6, 0.5 %."""
    differences = np.asarray(head_ns) - np.asarray(base_ns)
    low, high = np.percentile(differences, [25, 75])
    reach = 5 * (high - low)
    kept = differences[(differences >= low - reach) & (differences <= high + reach)]
    with np.errstate(divide="ignore", invalid="ignore"):  # times may all be the same
        z = kept.mean() / (kept.std(ddof=1) / np.sqrt(kept.size))
    return bool(z >= 2.6 and kept.mean() > 0.005 * mean(head_ns))  # noqa: PLR2004  its own


RULES: Mapping[str, Callable[[Times, Times], bool]] = {
    "pytest-benchmark mean:5%": pytest_benchmark_mean,
    "pytest-benchmark min:5%": pytest_benchmark_min,
    "asv": asv,
    "criterion": criterion,
    "tango": tango,
}


def _t(base: Array, head: Array) -> Array:
    """Return Welch's t of each row."""
    squared = base.var(axis=1, ddof=1) / base.shape[1] + head.var(axis=1, ddof=1) / head.shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):  # times may all be the same
        return np.asarray((head.mean(axis=1) - base.mean(axis=1)) / np.sqrt(squared))
