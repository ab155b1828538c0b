"""A case: what a test gives to ``bench``."""

from dataclasses import dataclass

from hpml_gate.worker import Order


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing to measure and judge."""

    id: str
    test: str  # pytest node id
    order: Order
    cpus: int | None  # how many it computes on, None for all
    margin: float | None  # the test's own, None for the run's
