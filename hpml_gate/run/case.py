"""A case: what a test gives to ``bench``, or a whole test of ``benchmark``."""

from dataclasses import dataclass

from hpml_gate.measure.launch import Request


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing to measure and judge."""

    id: str
    test: str  # pytest node id
    order: Request
    cpus: int | None  # how many it computes on, None for all
    margin: float | None  # the test's own, None for the run's
