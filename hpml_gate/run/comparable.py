"""Whether two measurements of a case are of the same work: times of different work say nothing."""

from collections.abc import Sequence

from hpml_gate.baselines.store import Baseline
from hpml_gate.judge.growth import grows
from hpml_gate.measure.samples import Samples

SHOWN = 80  # characters of parameters in a reason


def why_incomparable(base: Samples, head: Samples) -> str:
    """Return why the two sides of a case cannot be compared; nothing if they can."""
    return (
        head.unjudged
        or base.unjudged
        or _why_other_items(base.items_per_step, head.items_per_step)
        or _why_other_parameters(base.parameters, head.parameters)
        or why_growing(base.step_ns, head.step_ns)
    )


def why_not_the_baselines_work(baseline: Baseline | None, now: Samples) -> str:
    """Return why a case cannot be compared with its baseline, if it has one; nothing if it can."""
    if baseline is None:
        return now.unjudged
    return (
        now.unjudged
        or _why_other_items(baseline.items_per_step or now.items_per_step, now.items_per_step)
        or _why_other_parameters(baseline.parameters, now.parameters)
        or why_growing(baseline.step_ns, now.step_ns)
    )


def _why_other_items(base: int, head: int) -> str:
    if base == head:
        return ""
    return f"a step works through {head} items now and {base} before: not the same work"


def _why_other_parameters(base: str, head: str) -> str:
    if not base or not head or base == head:
        return ""
    return (
        f"its parameters are {_shown(head)} now and {_shown(base)} before: give them ids of "
        "their own (pytest.param(..., id=...))"
    )


def why_growing(base: Sequence[Sequence[float]], head: Sequence[Sequence[float]]) -> str:
    """Return why times say nothing where they grow on both sides; on one, that is the finding."""
    if not (grows(base) and grows(head)):
        return ""
    return (
        "each call takes longer than those before it, so its state grows and its time depends on "
        "how often it was called: renew the state in a setup (benchmark.pedantic(..., setup=...))"
    )


def _shown(parameters: str) -> str:
    return parameters if len(parameters) <= SHOWN else f"{parameters[:SHOWN]}..."
