"""Paired launches: base and head in fresh processes on the same CPUs, taking turns.

Whatever the machine does for longer than a few blocks it does to both sides, so it cancels in
their ratio. One side runs at a time: each block is asked for, and its end awaited, before the next.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from math import log
from random import Random
from statistics import median

from hpml_gate.clocks import REAL
from hpml_gate.measure.block import PAIRED, time_block
from hpml_gate.measure.disturbance import Counters, Disturbance, between
from hpml_gate.measure.environment import cpus_of_launch
from hpml_gate.measure.launch import Deadline, LaunchError, Request, Side, Worker, workers
from hpml_gate.measure.samples import Launch, launch_of
from hpml_gate.protocol import TIME, BlockTime, Timer

# How long the turns of a launch take. Short, because launches differ more than turns: of a Python
# loop, launches of 60 turns scatter by 2.0 %, of which 1.6 % is the launches' own.
TURNS_NS = 400_000_000
LONGEST_NS = 60_000_000_000
FEWEST_TURNS, MOST_TURNS = 5, 60


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One launch of both sides, which took turns: base, head, head, base, or the other way."""

    base: Launch
    head: Launch

    @cached_property
    def log_ratios(self) -> list[float]:
        """log(head / base) of each two blocks next to each other: two in an ABBA turn."""
        return [
            log(head_ns / base_ns)
            for base_ns, head_ns in zip(self.base.step_ns, self.head.step_ns, strict=True)
        ]

    @property
    def log_ratio(self) -> float:
        """The launch's one observation: the median, over as many of either order."""
        return median(self.log_ratios)


def _turns(turn_ns: float) -> int:
    """Return how many turns a launch takes; steps of seconds get fewer, or it would time out."""
    wanted = min(MOST_TURNS, max(FEWEST_TURNS, round(TURNS_NS / turn_ns)))
    return max(2, min(wanted, round(LONGEST_NS / turn_ns)))


class InterleavedPair:
    """Both workers of a launch, warmed up, and the iterations of each block."""

    def __init__(self, base: Worker, head: Worker, order: Random) -> None:
        """Warm both up, one after the other; each does the same before it is timed."""
        self._base, self._head, self._order = base, head, order
        self._start_s = REAL.monotonic_s()
        warm = [worker.ask("warm_up", PAIRED) for worker in order.sample([base, head], k=2)]
        self._iterations: int = min(one.iterations for one in warm)
        self.turns = _turns(4 * self._iterations * max(one.step_ns for one in warm))

    @property
    def seconds(self) -> float:
        """How long both have stood and been measured, warm-up included."""
        return REAL.monotonic_s() - self._start_s

    def check_origins(self) -> None:
        """Raise if either side has by now imported the other's code."""
        for worker in (self._base, self._head):
            worker.check_origin()

    def measure(
        self, turns: int, base_timer: Timer = time_block, head_timer: Timer = time_block
    ) -> Pair:
        """Time ABBA or BAAB, drawn anew for each turn, each side by its timer."""
        timers = {self._base: base_timer, self._head: head_timer}
        before = Counters.read()
        blocks: dict[Worker, list[tuple[BlockTime, ...]]] = {self._base: [], self._head: []}
        for _ in range(turns):
            first, second = self._order.sample([self._base, self._head], k=2)
            for worker in (first, second, second, first):
                blocks[worker].append(tuple(worker.time(self._iterations, timers[worker])))
        disturbance = between(before, Counters.read(), [*blocks[self._base], *blocks[self._head]])
        base, head = (
            launch_of(worker.facts(), self._iterations, tuple(blocks[worker]), disturbance)
            for worker in (self._base, self._head)
        )
        return Pair(base=base, head=head)


@contextmanager
def interleaved_pair(
    number: int,
    base: tuple[Side, Request],
    head: tuple[Side, Request],
    cpus: int | None,
    deadline: Deadline,
) -> Iterator[InterleavedPair]:
    """Start both sides for launch ``number``: it draws the order and the CPUs, from 0."""
    here, order = cpus_of_launch(number, cpus), Random(number)  # noqa: S311  nothing secret
    # Which process is older may matter (it gets other memory), so that is drawn, too.
    turn = order.choice([1, -1])
    with workers([base, head][::turn], here, cpus, deadline) as started:
        base_worker, head_worker = started[::turn]
        if base_worker.python != head_worker.python:
            raise LaunchError(
                "error",
                f"the base runs on {base_worker.python}, the head on {head_worker.python}",
                side="base",
            )
        yield InterleavedPair(base_worker, head_worker, order)


@dataclass(kw_only=True)
class Launcher:
    """Draws paired launches of one case, and keeps them."""

    base: Side
    head: Side
    order: Request
    cpus: int | None
    timeout_s: float
    progress: Callable[[int], None]  # told the number of the launch, from 1, each second
    pairs: list[Pair] = field(default_factory=list)
    measured_s: float = 0.0

    def draws(self, metric: str = TIME) -> Iterator[tuple[float, float]]:
        """Give each launch's observation, and the seconds of measuring so far, without end."""
        while True:
            self.pairs.append(self._launch(len(self.pairs)))
            yield log_ratios(self.pairs[-1:], metric)[0], self.measured_s

    def _launch(self, number: int) -> Pair:
        deadline = Deadline(timeout_s=self.timeout_s, tick=lambda: self.progress(number + 1))
        sides = (self.base, self.order), (self.head, self.order)
        with interleaved_pair(number, *sides, self.cpus, deadline) as both:
            pair = both.measure(both.turns)
            both.check_origins()
            self.measured_s += both.seconds
        return pair


def metric_log_ratios(pairs: Sequence[Pair], name: str) -> list[float]:
    """Return a second metric's log ratio of each launch, signed so that more is worse."""
    return [
        (1 if pair.head.metrics[name].better == "lower" else -1)
        * log(pair.head.metrics[name].value / pair.base.metrics[name].value)
        for pair in pairs
    ]


def log_ratios(pairs: Sequence[Pair], metric: str) -> list[float]:
    """Return what each launch observed of the time or of a second metric."""
    if metric == TIME:
        return [pair.log_ratio for pair in pairs]
    return metric_log_ratios(pairs, metric)


def disturbances_of(pairs: Sequence[Pair]) -> list[Disturbance]:
    """Return what disturbed either side of each launch."""
    return [side.disturbance for pair in pairs for side in (pair.base, pair.head)]
