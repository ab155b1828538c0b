"""A case: what a test gives to ``bench``."""

from dataclasses import dataclass

from hpml_gate.measure.worker import StepRequest


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing to measure and judge."""

    id: str
    test: str  # pytest node id
    order: StepRequest
    cpus: int | None  # how many it computes on, None for all
    margin: float | None  # the test's own, None for the run's
