"""Distributed data parallel trains the same model as one device."""

from collections.abc import Callable

import pytest
from faults import Summed, Unreduced, Unweighted
from hypothesis import given
from hypothesis import strategies as st
from problem import Problem, train, worst_error

from hpml_models import registry
from hpml_models.strategies.ddp import DdpTrainer
from hpml_models.world import World

Worlds = Callable[[int], World]


def problems(dtype: str, batches: st.SearchStrategy[int]) -> st.SearchStrategy[Problem]:
    return st.builds(
        Problem,
        widths=st.lists(st.integers(1, 9), min_size=2, max_size=4).map(tuple),
        batch=batches,
        steps=st.integers(1, 4),
        optimizer=st.sampled_from(["sgd", "adamw"]),
        seed=st.integers(0, 2**31),
        dtype=st.just(dtype),
    )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@given(data=st.data(), world_size=st.sampled_from([2, 3, 4]))
def test_ddp_gives_the_parameters_of_one_device(
    worlds: Worlds, dtype: str, data: st.DataObject, world_size: int
) -> None:
    """World sizes beyond 2: there, every order of summation is the same."""
    problem = data.draw(problems(dtype, st.integers(world_size, 17)))
    ddp = registry.strategies()["ddp"]
    for found in worlds(world_size).run(train, ddp.prepare, problem):
        assert worst_error(found, problem) <= 1


@pytest.mark.parametrize("fault", [Unweighted, Summed, Unreduced])
@given(data=st.data())
def test_a_planted_fault_is_caught(
    worlds: Worlds, fault: type[DdpTrainer], data: st.DataObject
) -> None:
    uneven = st.integers(1, 4).map(lambda k: 3 * k + 1)
    problem = data.draw(problems("float64", uneven))
    found = worlds(3).run(train, fault, problem)[0]
    assert worst_error(found, problem) > 1
