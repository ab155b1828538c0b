"""One run of the gate: what was measured and what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pytest

from hpml_gate import pytest_benchmark_adapter as adapter
from hpml_gate.baselines import Baseline, Baselines
from hpml_gate.case import Case
from hpml_gate.checkout import Bases
from hpml_gate.error_rates import Observation
from hpml_gate.fingerprint import take
from hpml_gate.pairs import Pair
from hpml_gate.protocol import Metric
from hpml_gate.samples import Samples
from hpml_gate.settings import Settings
from hpml_gate.statistics import drift_of
from hpml_gate.verdict import Verdict, against_sessions, undecided, unjudged


@dataclass(frozen=True, kw_only=True)
class Suspect:
    """A case that looks slower, to be measured again in pairs against ``commit``."""

    case: Case
    commit: str
    screened: Sequence[Verdict]  # what looks slower: the time, second metrics, or both


@dataclass(kw_only=True)
class GateSession:
    """The state of a run: tests add to it, :func:`hpml_gate.outputs.write` ends it."""

    config: pytest.Config
    settings: Settings
    verdicts: dict[str, Verdict] = field(default_factory=dict)  # by name: case, or case [metric]
    samples: dict[str, Samples] = field(default_factory=dict)  # by case id, like the next
    pairs: dict[str, Sequence[Pair]] = field(default_factory=dict)
    suspects: dict[str, Suspect] = field(default_factory=dict)  # by pytest node id
    cases: dict[str, str] = field(default_factory=dict)  # case id by pytest node id
    confirmed: set[str] = field(default_factory=set)  # ids of cases that were suspects
    base_tests: Sequence[str] = ()  # node ids that the base commit measures
    failed: set[str] = field(default_factory=set)  # node ids
    broken: dict[str, str] = field(default_factory=dict)  # by node id: how a confirmation failed
    missing: list[Baseline] = field(default_factory=list)
    observations: list[Observation] = field(default_factory=list)  # of a self-test
    notes: list[str] = field(default_factory=list)  # for the summary

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

    def add(self, case: Case, samples: Samples, verdicts: Sequence[Verdict]) -> None:
        """Keep what a test measured and what became of it."""
        self.cases[case.test] = case.id
        self.samples[case.id] = samples
        self.verdicts |= {one.name: one for one in verdicts}

    def replace(self, suspect: Suspect, verdicts: Sequence[Verdict]) -> None:
        """Put what confirming a suspect gave in the place of its screening."""
        self.verdicts |= {one.name: one for one in verdicts}
        self.confirmed.add(suspect.case.id)
        del self.suspects[suspect.case.test]

    def leave_unconfirmed(self) -> None:
        """End a run in which some suspects were not confirmed: they are neither pass nor fail."""
        for suspect in list(self.suspects.values()):
            reason = "the run ended before it was confirmed"
            self.replace(suspect, [undecided(one, reason) for one in suspect.screened])

    def verdicts_of(self, node_id: str) -> list[Verdict]:
        """Return the verdicts on a test's case, its time first."""
        case_id = self.cases.get(node_id)
        return [one for one in self.verdicts.values() if one.case_id == case_id]

    def baselines_of(self, node_id: str) -> list[Baseline]:
        """Return the baselines that a test has recorded and this run's options ask for."""
        if not (self.records or self.settings.mode == "judge"):
            return []
        left_out = self.config.hook.pytest_gate_left_out
        return [
            one
            for one in self.baselines.by_case.values()
            if one.test == node_id and not left_out(config=self.config, case_id=one.case_id)
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
