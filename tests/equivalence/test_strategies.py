"""Every strategy trains the same model as one device."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problem import on_one_device, precision_error, train, worst_error
from strategy_variants import StrategyVariant, problems, strategy_variants

from hpml_models.cases import registry
from hpml_models.worlds.world import World

Worlds = Callable[[int], World]

ALLOWED_IN_BF16 = 3  # times what one device in bfloat16 is off
CAST_IN_BF16 = 10  # what is this much nearer to float32 was computed in float32

VARIANTS_AND_DTYPES = [
    pytest.param(tested, dtype, id=f"{tested.id}-{dtype}")
    for tested in strategy_variants()
    for dtype in ("float64", "float32")
    if tested.strategy.has_float64 or dtype == "float32"
]


@pytest.mark.parametrize(("tested", "dtype"), VARIANTS_AND_DTYPES)
@given(data=st.data(), world_size=st.sampled_from([2, 3, 4]))
@settings(max_examples=40)
def test_it_trains_the_model_of_one_device(
    worlds: Worlds, tested: StrategyVariant, dtype: str, data: st.DataObject, world_size: int
) -> None:
    """World sizes beyond 2: there, every order of summation is the same."""
    problem = data.draw(problems(tested, world_size, dtype))
    by_rank = worlds(world_size).run(train, tested.strategy.prepare, problem)
    assert worst_error(by_rank, problem, gradients=tested.strategy.shows_gradients) <= 1


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@given(data=st.data())
@settings(max_examples=40)
def test_one_device_trains_as_the_bare_loop_does(dtype: str, data: st.DataObject) -> None:
    """With micro-batches, of which some have nothing that counts."""
    single = StrategyVariant(registry.strategies()["single"], "")
    problem = data.draw(problems(single, 1, dtype))
    assert worst_error([on_one_device(problem)], problem) <= 1


@pytest.mark.parametrize("tested", strategy_variants(), ids=lambda tested: tested.id)
@given(data=st.data())
@settings(max_examples=10)
def test_in_bf16_it_is_as_far_from_float32_as_one_device(
    worlds: Worlds, tested: StrategyVariant, data: st.DataObject
) -> None:
    """The sums of three ranks' gradients are rounded in another order, not more often.

    With SGD: AdamW makes a whole step of a gradient that cancels, in a direction that is luck.
    """
    drawn = data.draw(problems(tested, 3, "float32"))
    problem = replace(drawn, precision="bf16", optimizer="sgd")
    by_rank = worlds(3).run(train, tested.strategy.prepare, problem)
    alone = precision_error([on_one_device(problem)], problem)
    off = precision_error(by_rank, problem)
    assert alone / CAST_IN_BF16 <= off <= ALLOWED_IN_BF16 * alone
