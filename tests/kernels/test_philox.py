"""The random kernel: known answers, and statistics whose rate of false alarms is fixed.

Keys are fixed, so a test that passes once passes always: the rate is that with which a right
generator would have had to be given another key.
"""

import itertools

import numpy as np
import pytest
from scipy import stats

from hpml_kernels.call import call
from hpml_kernels.kernels.philox import WORDS, philox
from hpml_kernels.types import Array

FALSE_ALARMS = 1e-4
LARGEST_Z = stats.norm.isf(FALSE_ALARMS / 2)
VARIANTS = ["numpy", "numba", "numba_parallel"]
DRAWN = 2**18

# counter, key, words: from the paper's authors' library Random123.
KNOWN = [
    ("00000000" * 4, "00000000" * 2, "6627e8d5e169c58dbc57ac4c9b00dbd8"),
    ("ffffffff" * 4, "ffffffff" * 2, "408f276d41c83b0ea20bc7c66d5451fd"),
    (
        "243f6a8885a308d313198a2e03707344",
        "a4093822299f31d0",
        "d16cfe0994fdcceb5001e42024126ea1",
    ),
]


def words_of(text: str) -> list[np.uint64]:
    return [np.uint64(int(text[at : at + 8], 16)) for at in range(0, len(text), 8)]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_known_answers(counter: str, key: str, expected: str) -> None:
    assert list(philox(words_of(counter), *words_of(key))) == words_of(expected)


@pytest.mark.parametrize("variant", VARIANTS)
def test_words_are_the_generators(variant: str) -> None:
    """The registered kernel numbers its blocks from 0 on, in the counter's first word."""
    key = 0x299F31D0A4093822 >> 1
    drawn = call("philox", 50, key, variant=variant)
    for block in range(50 // WORDS):
        counter = [np.uint64(block), *[np.uint64(0)] * 3]
        expected = philox(counter, np.uint64(key % 2**32), np.uint64(key >> 32))
        assert drawn[block * WORDS :][:WORDS].tolist() == [int(word) for word in expected]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_part_is_the_start_of_the_whole(variant: str) -> None:
    whole = call("philox", 1001, 7, variant=variant)
    for words in (1, 3, 4, 5, 1000):
        assert np.array_equal(call("philox", words, 7, variant=variant), whole[:words])


def biases(words: Array) -> dict[str, float]:
    """Return p-values: of each byte's uniformity, of each bit, and of pairs of lanes."""
    found = {}
    for place, values in enumerate(words.view(np.uint8).reshape(-1, 4).T):
        found[f"byte {place}"] = stats.chisquare(np.bincount(values, minlength=256)).pvalue
    ones = np.unpackbits(words.view(np.uint8)).reshape(-1, 32).mean(axis=0)
    worst = np.abs(ones - 0.5).max() * 2 * np.sqrt(words.size)
    found["bits"] = min(1.0, 32 * 2 * stats.norm.sf(worst))
    lanes = words.reshape(-1, WORDS) / 2.0**32 - 0.5
    same = [(first, second, 0) for first, second in itertools.combinations(range(WORDS), 2)]
    following = [(*pair, 1) for pair in itertools.product(range(WORDS), repeat=2)]
    for first, second, later in same + following:
        pair = lanes[: len(lanes) - later, first] * lanes[later:, second]
        z = pair.sum() * 12 / np.sqrt(pair.size)
        found[f"{first} and {second}, {later} later"] = 2 * stats.norm.sf(abs(z))
    return found


@pytest.mark.parametrize("key", [0, 1, 2**40 + 1])
def test_words_are_uniform_and_lanes_independent(key: int) -> None:
    found = biases(call("philox", DRAWN, key))
    assert min(found.values()) > FALSE_ALARMS / len(found), found


def test_keys_are_independent() -> None:
    one, other = (call("philox", DRAWN, key) / 2.0**32 - 0.5 for key in (5, 6))
    assert abs((one * other).sum() * 12 / np.sqrt(DRAWN)) < LARGEST_Z


@pytest.mark.parametrize("fault", ["a bit too often", "a lane twice", "a counter"])
def test_planted_biases_are_found(fault: str) -> None:
    words = call("philox", DRAWN, 1)
    blocks = words.reshape(-1, WORDS)
    if fault == "a bit too often":
        words[::50] |= 2**20
    elif fault == "a lane twice":
        blocks[::20, 2] = blocks[::20, 1]
    else:
        blocks[:, 3] = np.arange(len(blocks))
    found = biases(words)
    assert min(found.values()) < FALSE_ALARMS / len(found)
