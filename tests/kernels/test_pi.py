"""Monte Carlo pi: no bias, lanes and seeds that know nothing of each other, faults that show."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from hpml_kernels.call import call
from hpml_kernels.kernels import monte_carlo_pi as pi
from hpml_kernels.registry import kernels

SAMPLES, SEEDS = 20_000, 64
ONE_SAMPLE_DEVIATION = np.sqrt(np.pi * (4 - np.pi))
FALSE_ALARMS = 1e-4  # of a test


def z_scores(estimate: Callable[[int], float]) -> Any:
    """How far the estimates of many seeds lie from pi, in standard errors."""
    estimates = np.array([estimate(seed * (2**40 + 1)) for seed in range(SEEDS)])
    return (estimates - np.pi) * np.sqrt(SAMPLES) / ONE_SAMPLE_DEVIATION


def is_biased(z: Any) -> bool:
    """Whether the mean lies too far out, or the spread is too wide or too narrow."""
    mean = 2 * stats.norm.sf(abs(z.mean()) * np.sqrt(z.size))
    spread = stats.chi2.cdf((z**2).sum(), z.size)
    return bool(mean < FALSE_ALARMS or min(spread, 1 - spread) < FALSE_ALARMS / 2)


DRAWN = [name for name, one in kernels()["monte_carlo_pi"].variants.items() if one.device == "cpu"]


@pytest.mark.parametrize("variant", DRAWN)
def test_pi_is_estimated_without_bias(variant: str) -> None:
    if reason := kernels()["monte_carlo_pi"].variants[variant].why_not():
        pytest.skip(reason)
    name = "monte_carlo_pi"
    assert not is_biased(z_scores(lambda seed: call(name, SAMPLES, seed, variant=variant)[0]))


def words(seed: int, lanes: int, turns: int) -> Any:
    """What the lanes draw, one row for each turn."""
    counters = np.arange(1, 2 * lanes + 1, dtype=np.uint64)
    s0, s1 = pi.mix(np.uint64(seed) + counters * pi.GAMMA).reshape(-1, 2).T.copy()
    drawn = []
    for _ in range(turns):
        drawn.append(s0 + s1)
        s0, s1 = pi.after(s0, s1)
    return np.array(drawn)


@pytest.mark.parametrize("shift", [0, 8, 24, 32, 40, 56])
def test_every_byte_is_uniform(shift: int) -> None:
    drawn = (words(3, 128, 512) >> np.uint64(shift)) & np.uint64(255)
    counts = np.bincount(drawn.ravel().astype(np.int64), minlength=256)
    assert stats.chisquare(counts).pvalue > FALSE_ALARMS


def test_lanes_and_turns_are_independent() -> None:
    x = (words(5, 64, 4096) >> np.uint64(32)).astype(np.float64)
    between_lanes = np.corrcoef(x.T)[np.triu_indices(64, 1)] * np.sqrt(len(x))
    assert stats.kstest(between_lanes, "norm").pvalue > FALSE_ALARMS
    flat = x.T.ravel()  # a lane's turns, one after the other
    assert abs(np.corrcoef(flat[:-1], flat[1:])[0, 1]) * np.sqrt(flat.size) < 4


@pytest.mark.parametrize(
    "broken",
    [
        lambda word: word & ~np.uint64(1 << 63),  # x never reaches the right half
        lambda word: (word >> np.uint64(32)) | (word & ~pi.LOW_HALF),  # y is x
        lambda word: word | np.uint64(0xFF << 56),
    ],
    ids=["x stays left", "y is x", "x stays right"],
)
def test_a_biased_generator_is_caught(broken: Callable[[Any], Any]) -> None:
    def estimate(seed: int) -> float:
        hits = pi.is_hit(broken(words(seed, SAMPLES // 100, 100)))
        return 4.0 * float(np.mean(hits))

    assert is_biased(z_scores(estimate))


def test_one_stream_for_all_seeds_is_caught() -> None:
    assert is_biased(z_scores(lambda _seed: call("monte_carlo_pi", SAMPLES, 1)[0]))


@pytest.mark.parametrize("variant", ["numba", "numba_parallel"])
@pytest.mark.parametrize("at", [pi.LANES, pi.CHUNK, 3 * pi.CHUNK])
def test_every_sample_counts_once(variant: str, at: int) -> None:
    """Around the end of a turn and of a chunk."""
    for samples in (at - 1, at, at + 1):
        result = call("monte_carlo_pi", samples, 7, variant=variant)
        assert result == pi.reference(samples, 7)
