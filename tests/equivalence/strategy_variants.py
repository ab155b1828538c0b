"""Every variant of every strategy, and the problems that suit each. Nothing is listed here."""

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from problem import Problem

from hpml_models.cases import registry
from hpml_models.cases.training import TrainingCase
from hpml_models.variants import Strategy

BLOCKS = 8  # what the longest chain of stages needs: two on each of four ranks


@dataclass(frozen=True)
class StrategyVariant:
    """A strategy and one of its variants."""

    strategy: Strategy
    variant: str

    @property
    def id(self) -> str:
        return "-".join(word for word in (self.strategy.name, self.variant) if word)

    @property
    def cuts_layers(self) -> bool:
        return self.strategy.stage_counts(2) != (1,)


def strategy_variants() -> list[StrategyVariant]:
    """All but the reference, and what the CPU cannot run (which says so)."""
    return [
        StrategyVariant(strategy, variant)
        for strategy in registry.strategies().values()
        for variant in strategy.variants
        if strategy.needs_world
    ]


@st.composite
def problems(draw: Any, tested: StrategyVariant, world_size: int, dtype: str) -> Problem:
    """Draw a problem that the variant can train: uneven shards and micro-batches where it can."""
    stages = draw(st.sampled_from(tested.strategy.stage_counts(world_size)))
    replicas = world_size // stages
    if tested.cuts_layers:
        several = tested.strategy.micro_batches > 1
        micro_batches = stages * draw(st.integers(1, 3)) if several else 1
        batch = replicas * micro_batches * draw(st.integers(1, 3))
    else:
        micro_batches = draw(st.integers(1, 3))
        batch = draw(st.integers(world_size * micro_batches, 25))
    blocks = BLOCKS if tested.cuts_layers else draw(st.integers(1, 3))
    widths = draw(st.lists(st.integers(1, 7), min_size=blocks + 1, max_size=blocks + 1))
    tied = tested.strategy.keeps_tied_weights and blocks > 1 and draw(st.booleans())
    if tied:
        widths[-2] = widths[0]
    problem = Problem(
        widths=tuple(widths),
        hidden=12 * draw(st.integers(1, 2)),
        batch=batch,
        steps=draw(st.integers(1, 3)),
        optimizer=draw(st.sampled_from(["sgd", "adamw"])),
        seed=draw(st.integers(0, 2**31)),
        dtype=dtype,
        weight_decay=draw(st.sampled_from([0.0, 0.1])),
        clip_norm=draw(st.sampled_from([None, 0.5])) if tested.strategy.clips_whole_norm else None,
        micro_batches=micro_batches,
        stages=stages,
        variant=tested.variant,
        tied=tied,
        skewed=draw(st.booleans()),
    )
    assert tested.strategy.why_not(problem.spec, case_of(problem, tested, world_size)) is None
    return problem


class ProblemCase(TrainingCase):
    """A case whose model no registry has."""

    @property
    def options(self) -> dict[str, Any]:
        return {"heads": 12}


def case_of(problem: Problem, tested: StrategyVariant, world_size: int) -> TrainingCase:
    return ProblemCase(
        model="problem",
        data="synthetic",
        preset="tiny",
        batch=problem.batch,
        strategy=tested.strategy.name,
        variant=tested.variant,
        stages=problem.stages,
        micro_batches=problem.micro_batches,
        device_count=world_size,
        device="cpu",
        precision="fp32",
        model_options=(),
    )
