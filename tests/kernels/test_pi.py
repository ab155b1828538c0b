"""Monte Carlo pi: no bias, lanes and seeds that know nothing of each other, faults that show."""

from collections.abc import Callable
from math import isqrt
from typing import Any

import numpy as np
import pytest
from scipy import stats

from hpml_kernels.call import call
from hpml_kernels.kernels import monte_carlo_pi as pi
from hpml_kernels.registry import kernels
from hpml_kernels.roofline.probes import COUNT_IN_CIRCLE, WORD_ROUNDS
from hpml_kernels.simd.circle_test import IN_WORD, LATTICE_PI, hits_in, is_hit

SAMPLES, SEEDS = 20_000, 64
ONE_SAMPLE_DEVIATION = np.sqrt(np.pi * (4 - np.pi))
FALSE_ALARMS = 1e-4  # of a test
EVERY_X = np.uint64(0x0000FFFF0000FFFF)


def z_scores(estimate: Callable[[int], float], samples: int = SAMPLES) -> Any:
    """How far the estimates of many seeds lie from pi, in standard errors."""
    estimates = np.array([estimate(seed * (2**40 + 1)) for seed in range(SEEDS)])
    return (estimates - np.pi) * np.sqrt(samples) / ONE_SAMPLE_DEVIATION


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


@pytest.mark.parametrize("variant", ["numba", "numba_parallel"])
def test_chunks_are_independent(variant: str) -> None:
    """Chunks that drew alike would estimate pi as well, but no better than one of them."""
    samples = 8 * pi.CHUNK
    name = "monte_carlo_pi"
    assert not is_biased(
        z_scores(lambda seed: call(name, samples, seed, variant=variant)[0], samples)
    )


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
        lambda word: word & ~np.uint64(0x6000 << 48),
        lambda word: (word & EVERY_X) | ((word & EVERY_X) << np.uint64(16)),
        lambda word: word | np.uint64(0x3000 << 32),
    ],
    ids=["a y leaves places out", "y is x", "an x leaves places out"],
)
def test_a_biased_generator_is_caught(broken: Callable[[Any], Any]) -> None:
    def estimate(seed: int) -> float:
        hits = hits_in(broken(words(seed, SAMPLES // 200, 100)))
        return 4.0 * float(hits.sum()) / SAMPLES

    assert is_biased(z_scores(estimate))


def test_one_stream_for_all_seeds_is_caught() -> None:
    assert is_biased(z_scores(lambda _seed: call("monte_carlo_pi", SAMPLES, 1)[0]))


@pytest.mark.parametrize("variant", ["numba", "numba_parallel"])
@pytest.mark.parametrize("at", [pi.LANES, IN_WORD * pi.LANES, pi.CHUNK, 3 * pi.CHUNK])
def test_every_sample_counts_once(variant: str, at: int) -> None:
    """Around the end of a turn and of a chunk."""
    for samples in (at - 1, at, at + 1):
        result = call("monte_carlo_pi", samples, 7, variant=variant)
        assert result == pi.reference(samples, 7)


def test_the_lattice_of_all_points_has_its_own_pi() -> None:
    radius = 2**15
    heights = (isqrt(radius**2 - 1 - x**2) for x in range(1 - radius, radius))
    assert 4 * sum(2 * height + 1 for height in heights) / 2**32 == LATTICE_PI
    assert abs(LATTICE_PI - np.pi) < 1e-6


def word_of(x: int, y: int) -> int:
    """A word whose points are (0, 0) and (x, y)."""
    return (y & 0xFFFF) << 48 | (x & 0xFFFF) << 32


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (0, 0, True),
        (-(2**15), 0, False),
        (0, -(2**15) + 1, True),
        (2**15 - 1, 255, True),
        (2**15 - 1, 256, False),
        (-(2**15), -(2**15), False),
    ],
)
def test_a_point_on_the_rim_is_no_hit(x: int, y: int, expected: bool) -> None:  # noqa: FBT001
    words = np.full(8, word_of(x, y), np.uint64)
    assert is_hit(words, 0).all()
    assert (is_hit(words, 1) == expected).all()
    by_vectors, by_words = counted_both_ways(words)
    assert by_vectors == by_words


def counted_both_ways(words: Any) -> tuple[int, int]:
    """The misses of words that move on for some rounds: by vectors, and by numpy."""
    counts = np.zeros(1, np.uint64)
    COUNT_IN_CIRCLE[False](words, counts)
    turns = np.arange(WORD_ROUNDS, dtype=np.uint64)[:, np.newaxis]
    moved = words + turns
    return int(counts[0]), IN_WORD * moved.size - int(hits_in(moved).sum())


def test_vectors_count_as_words_do() -> None:
    by_vectors, by_words = counted_both_ways(words(11, 128, 32).ravel())
    assert by_vectors == by_words
