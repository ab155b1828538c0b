"""One run of the gate: what was measured and what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pytest

from hpml_gate import pytest_benchmark_adapter as adapter
from hpml_gate.baselines.fingerprint import take
from hpml_gate.baselines.store import Baseline, Baselines
from hpml_gate.clocks import REAL
from hpml_gate.judge.sequential_test import Outcome
from hpml_gate.judge.statistics import Estimate, drift_of
from hpml_gate.judge.verdict import Verdict, against_sessions, unjudged
from hpml_gate.measure.paired import Pair
from hpml_gate.measure.samples import Observation, Samples
from hpml_gate.protocol import Metric
from hpml_gate.run.bases import Bases
from hpml_gate.run.case import Case
from hpml_gate.run.cells import Cell, cell_of
from hpml_gate.run.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Suspect:
    """What looks slower than ``commit``, to be measured again in pairs against it."""

    commit: str
    screened: Sequence[Verdict]  # on the time, on second metrics, or both


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """The launches that confirm, or do not confirm, one suspect; by metric, of what looks slower.

    ``controls`` are base against base in as many launches, or why there are none; of those that
    are a regression before all suspects are judged together.
    """

    pairs: Sequence[Pair]
    outcomes: Mapping[str, Outcome]
    controls: Mapping[str, Estimate | str]


@dataclass(kw_only=True)
class MeasuredCase:
    """One case of a run: what was measured of it and what became of it."""

    case: Case
    samples: Samples
    verdicts: Sequence[Verdict]  # on the time first, then on second metrics
    pairs: Sequence[Pair] = ()
    pairs_commit: str | None = None  # of the other side of the pairs
    observations: Sequence[Observation] = ()  # of a self-test
    suspect: Suspect | None = None  # until the run's suspects are judged together
    confirmation: Confirmation | None = None  # of the suspect
    was_suspect: bool = False

    @property
    def verdict(self) -> Verdict:
        """The verdict on the time."""
        return self.verdicts[0]

    def resolve(self, verdicts: Sequence[Verdict]) -> None:
        """Replace the verdicts of screening by those that confirming the suspect gave."""
        by_metric = {one.metric: one for one in [*self.verdicts, *verdicts]}
        self.verdicts = [*by_metric.values()]
        self.suspect, self.confirmation, self.was_suspect = None, None, True


@dataclass(kw_only=True)
class GateSession:
    """The state of a run: tests add cases, :mod:`hpml_gate.output` writes what became of them."""

    config: pytest.Config
    settings: Settings
    cells: dict[str, Cell] = field(default_factory=dict)  # by pytest node id
    cases: dict[str, MeasuredCase] = field(default_factory=dict)  # what was timed, likewise
    base_tests: Sequence[str] = ()  # node ids that the base commit measures
    base_problem: str = ""  # why the base's tests could not all be collected
    failed: set[str] = field(default_factory=set)  # node ids
    missing: list[Baseline] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # for the summary
    hypotheses: int = 0  # how many regressions have been looked for in confirmations
    started_s: float = field(default_factory=REAL.monotonic_s)

    @property
    def judges(self) -> bool:
        """Whether this run compares with anything at all."""
        return self.settings.mode in {"auto", "judge", "paired"}

    @property
    def records(self) -> bool:
        """Whether this run may write baselines."""
        return self.settings.mode in {"auto", "record"}

    @property
    def is_paired(self) -> bool:
        """Whether this run compares with a base commit instead of stored baselines."""
        return self.settings.mode == "paired"

    @cached_property
    def machine_info(self) -> dict[str, Any]:
        """Describe the machine in pytest-benchmark's terms."""
        return adapter.machine_info(self.config)

    @cached_property
    def baselines(self) -> Baselines:
        """The stored baselines for this machine."""
        fingerprint = take(self.machine_info, self.settings.packages)
        return Baselines(folder=self.settings.baselines, fingerprint=fingerprint)

    @cached_property
    def bases(self) -> Bases:
        """The base commits, checked out when they are first needed."""
        return Bases(folder=self.config.rootpath, install=self.settings.base_install)

    @cached_property
    def base_commit(self) -> str:
        """The commit that a paired run compares with; raises BaseError if there is none."""
        return self.bases.repository.commit(self.settings.base)

    def judge(self, case: Case, samples: Samples) -> list[Verdict]:
        """Compare with the stored baseline, if there is one for this machine."""
        margin = self.settings.margin_of(case)
        baseline = self.baselines.by_case.get(case.id) if self.judges else None
        if baseline is not None:
            return [
                against_sessions(
                    case.id,
                    samples.launch_medians_ns,
                    baseline.launch_medians_ns,
                    margin=margin,
                    drift=drift_of(baseline.launch_medians_ns, self.baselines.usual_drift),
                ),
                *_metric_verdicts(case.id, samples.metrics, baseline),
            ]
        elsewhere = self.settings.mode == "judge" and self.baselines.measured_elsewhere(case.id)
        if elsewhere:
            here = self.baselines.fingerprint.id
            why = f"it has a baseline only of {elsewhere}, this is {here}"
            return [unjudged(case.id, "incomparable", margin, why)]
        return [unjudged(case.id, "new", margin)]

    @property
    def verdicts(self) -> list[Verdict]:
        """All verdicts of the run, those of one case together."""
        return [verdict for one in self.cases.values() for verdict in one.verdicts]

    @property
    def observations(self) -> list[Observation]:
        """All launches of a self-test."""
        return [observed for one in self.cases.values() for observed in one.observations]

    def cell(self, item: pytest.Item) -> Cell:
        """Return a test's cell; one that reached for its fixture while it ran has none before."""
        if item.nodeid not in self.cells:
            self.cells[item.nodeid] = cell_of(item)
        return self.cells[item.nodeid]

    def has_case(self, case_id: str) -> bool:
        """Whether a case of this id has been measured in this run."""
        return any(one.case.id == case_id for one in self.cases.values())

    def is_new_since_base(self, node_id: str) -> bool:
        """Whether the base is known to have no test of this name, not only to fail with it."""
        return not self.base_problem and node_id not in self.base_tests

    @property
    def is_first(self) -> bool:
        """Whether all that ran in pairs is new since the base: there is nothing to compare yet."""
        times = [one.verdict.status for one in self.cases.values() if one.verdicts]
        return self.is_paired and bool(times) and set(times) == {"new"}

    def baselines_of(self, node_id: str) -> list[Baseline]:
        """Return the baselines that a test has recorded and this run's options ask for."""
        if not (self.records or self.settings.mode == "judge"):
            return []
        left_out = self.config.hook.pytest_gate_left_out
        return [
            one
            for one in self.baselines.by_case.values()
            if one.test == node_id
            and not left_out(config=self.config, case_id=one.case_id, axes=one.axes)
        ]


def _metric_verdicts(
    case_id: str, metrics: Mapping[str, Sequence[Metric]], baseline: Baseline
) -> list[Verdict]:
    """Judge each second metric in its own direction and to its own margin."""
    verdicts = []
    for name, values in metrics.items():
        power = 1 if values[0].better == "lower" else -1  # inverted: above 1 is always worse
        if sessions := baseline.metric(name):
            verdicts.append(
                against_sessions(
                    case_id,
                    [one.value**power for one in values],
                    [[value**power for value in session] for session in sessions],
                    margin=values[0].margin,
                    metric=name,
                )
            )
        else:
            verdicts.append(unjudged(case_id, "new", values[0].margin, metric=name))
    gone = baseline.sessions[-1].metrics.keys() - metrics.keys()
    why = "its baseline has it, the step has it no more"
    return [*verdicts, *(unjudged(case_id, "incomparable", 0.0, why, one) for one in sorted(gone))]
