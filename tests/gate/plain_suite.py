"""A suite of plain functions that has nothing to do with this project's: no torch, no arrays.

It is run by name (``pytest tests/gate/plain_suite.py``); the tests do not collect it.
"""

import json
from collections.abc import Callable

import pytest

from hpml_gate import FunctionStep
from hpml_gate.bench import Bench


def loop() -> object:
    total = 0
    for number in range(10_000):
        total += number * number
    return total


def sort() -> object:
    return sorted((number * 7919) % 10_007 for number in range(5_000))


def parse() -> object:
    return json.loads(json.dumps({str(number): [number] * 10 for number in range(300)}))


def strings() -> object:
    return " ".join(str(number) for number in range(5_000)).split()


FUNCTIONS: dict[str, Callable[[], object]] = {
    made.__name__: made for made in (loop, sort, parse, strings)
}


def prepare(name: str) -> FunctionStep:
    return FunctionStep(run=FUNCTIONS[name])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function(bench: Bench, name: str) -> None:
    bench(prepare, name, case_id=name)
