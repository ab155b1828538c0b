"""One run of the gate: what was measured and what became of it."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pytest

from hpml_gate import pytest_benchmark_adapter as adapter
from hpml_gate.baselines import Baseline, Baselines
from hpml_gate.fingerprint import take
from hpml_gate.samples import Samples, launch_medians
from hpml_gate.settings import Settings
from hpml_gate.verdict import Verdict, compare


@dataclass(kw_only=True)
class GateSession:
    """The state of a run: tests add to it, :func:`hpml_gate.outputs.write` ends it."""

    config: pytest.Config
    settings: Settings
    verdicts: dict[str, Verdict] = field(default_factory=dict)  # by case id, like the next
    samples: dict[str, Samples] = field(default_factory=dict)
    cases: dict[str, str] = field(default_factory=dict)  # case id by pytest node id
    failed: set[str] = field(default_factory=set)  # node ids
    missing: list[Baseline] = field(default_factory=list)

    @property
    def judges(self) -> bool:
        """Whether this run compares with baselines at all."""
        return self.settings.mode in {"auto", "judge"}

    @property
    def records(self) -> bool:
        """Whether this run may write baselines."""
        return self.settings.mode in {"auto", "record"}

    @cached_property
    def machine_info(self) -> dict[str, Any]:
        """Describe the machine in pytest-benchmark's terms."""
        return adapter.machine_info(self.config)

    @cached_property
    def baselines(self) -> Baselines:
        """The stored baselines for this machine."""
        fingerprint = take(self.machine_info, self.settings.packages)
        return Baselines(folder=self.settings.baselines, fingerprint=fingerprint)

    def judge(self, samples: Samples) -> Verdict:
        """Compare with the stored baseline, if there is one for this machine."""
        case_id, margin = samples.case_id, self.settings.margin
        baseline = self.baselines.by_case.get(case_id) if self.judges else None
        if baseline is not None:
            return compare(
                case_id, samples.launch_medians_ns, launch_medians(baseline.step_ns), margin
            )
        elsewhere = self.settings.mode == "judge" and self.baselines.measured_elsewhere(case_id)
        return Verdict(
            case_id=case_id, status="incomparable" if elsewhere else "new", margin=margin
        )

    def add(self, node_id: str, samples: Samples, verdict: Verdict) -> None:
        """Keep what a test measured and what became of it."""
        self.cases[node_id] = samples.case_id
        self.samples[samples.case_id] = samples
        self.verdicts[samples.case_id] = verdict

    def baselines_of(self, node_id: str) -> list[Baseline]:
        """Return the baselines that a test has recorded and this run's options ask for."""
        if self.settings.mode == "off":
            return []
        left_out = self.config.hook.pytest_gate_left_out
        return [
            one
            for one in self.baselines.by_case.values()
            if one.test == node_id and not left_out(config=self.config, case_id=one.case_id)
        ]
