"""The lines of the table of cases: the head's sentence and the figures are made from them too."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from hpml_gate.record import NOT_RUN, Case, Run, Verdict
from hpml_gate.words import counted, reason_of, states, time_in_words

FAILING = ("slower", "missing", "incorrect", "error", "oom", "timeout")
CALM = ("pass", "faster", "new", "ok")
KERNELS = "kernels"  # the table in which a comparison of kernels keeps its rows
MEMORY = "memory_bytes"  # how the name of a second metric ends
ASK_BASELINE = "If the change is wanted, run with --gate record."
REMEDIES = {
    "slower": f"Open its box plot in the run's folder, then bisect. {ASK_BASELINE}",
    "missing": f"Bring the test back. {ASK_BASELINE}",
    "incorrect": "Correct the result first: the time of a wrong result means nothing.",
    "error": "Read the message; run its test alone.",
    "oom": "Take a smaller batch or preset, or a device with more memory.",
    "timeout": "Raise --gate-timeout, or take a smaller preset.",
    "inconclusive": "Repeat on a quieter machine, or raise --gate-launches or --gate-budget.",
    "incomparable": "Record a baseline on this machine with --gate record.",
}


@dataclass(frozen=True, kw_only=True)
class Line:
    """A cell of a run, with one of its verdicts where it has several."""

    number: int  # of the run, from 1
    case: Case
    verdict: Verdict | None
    state: str
    confidence: float

    @property
    def name(self) -> str:
        """The case's id, with the metric where that is not the time."""
        return self.case.name_of(self.verdict) if self.verdict else self.case.case_id

    @property
    def label(self) -> str:
        """The state, and that the test failed where the state does not show it."""
        hides_failure = self.case.failed and self.state not in FAILING
        return f"{self.state}, its test failed" if hides_failure else self.state

    @property
    def fails(self) -> bool:
        """Whether the cell failed its test."""
        return self.case.failed or self.state in FAILING

    @property
    def needs_attention(self) -> bool:
        """Whether somebody has to look: a state that this version does not know counts."""
        return self.fails or self.state not in (*CALM, *NOT_RUN)

    @property
    def is_folded(self) -> bool:
        """Whether it stands in the folded table."""
        return self.state in CALM and not self.fails

    @property
    def look(self) -> tuple[str, str]:
        """A sign and a class of the page's style."""
        if self.fails:
            return "✖", "fails"
        if self.is_folded:
            return "✔", "calm"
        return ("?", "open") if self.needs_attention else ("○", "absent")

    @property
    def reason(self) -> str:
        """Why it has its state; what its test failed with where no reason was stated."""
        return reason_of(self.case, self.verdict) or (self.case.message if self.fails else "")

    @property
    def remedy(self) -> str:
        """What to do."""
        return REMEDIES.get(self.state, "")

    @property
    def interval(self) -> tuple[float, float, float] | None:
        """Ratio, lower and upper bound, where they were compared."""
        one = self.verdict
        if one is None or one.ratio is None or one.low is None or one.high is None:
            return None
        return one.ratio, one.low, one.high

    @property
    def ratio_in_words(self) -> str:
        """Ratio with interval and margin; nothing where nothing was compared."""
        if self.interval is None or self.verdict is None:
            return ""
        ratio, low, high = self.interval
        bounds = f"{low:.3f} to {high:.3f} at {self.confidence:.0%}"
        return f"{ratio:.3f} ({bounds}, margin {self.verdict.margin:.0%})"

    @property
    def time_ns(self) -> float | None:
        """The median step."""
        return self.case.measurement.median_ns if self.case.measurement else None

    @property
    def items_per_s(self) -> float | None:
        """Throughput at the median step."""
        return self.case.measurement.items_per_s if self.case.measurement else None

    @property
    def memory_bytes(self) -> float | None:
        """Peak memory, where it was measured."""
        metrics = self.case.measurement.metrics if self.case.measurement else {}
        peaks = [median(one.values) for name, one in metrics.items() if name.endswith(MEMORY)]
        return max(peaks, default=None)

    @property
    def words(self) -> dict[str, str]:
        """Time, throughput and memory as people read them; blank where not measured."""
        time, items, peak = self.time_ns, self.items_per_s, self.memory_bytes
        return {
            "time": "" if time is None else time_in_words(time),
            "throughput": "" if items is None else f"{items:.4g}/s",
            "memory": "" if peak is None else f"{peak / 2**20:.1f} MiB",
        }

    @property
    def axes(self) -> dict[str, str]:
        """The axes that say something, as text."""
        known = {name: _text(value) for name, value in self.case.axes.items()}
        return {name: value for name, value in known.items() if value}

    @property
    def details(self) -> dict[str, str]:
        """Everything else that the record holds of it."""
        one = self.case.measurement
        metrics = one.metrics if one else {}
        return {
            "test": self.case.test,
            "duration": f"{self.case.duration_s:.1f} s",
            "message": self.case.message,
            "launches": ", ".join(map(time_in_words, one.launch_medians_ns)) if one else "",
            **{f"metric {name}": f"{median(each.values):.6g}" for name, each in metrics.items()},
            **{f"theory {name}": f"{value:.6g}" for name, value in self.case.theory.items()},
            **{
                f"set {name}": _text(value)
                for name, value in (one.effective if one else {}).items()
            },
        }

    @property
    def own_tables(self) -> dict[str, list[dict[str, Any]]]:
        """The rows that its test measured by itself; those of kernels have a section."""
        return {name: rows for name, rows in self.case.tables.items() if name != KERNELS and rows}


def lines_of(number: int, run: Run) -> list[Line]:
    """Return the lines of a run, worst first."""
    return [
        Line(number=number, case=case, verdict=one, state=state, confidence=run.confidence)
        for case, one, state in states(run)
    ]


def measured_of(run: Run) -> int:
    """Count the cells that were measured."""
    return sum(case.status == "ok" for case in run.cases)


def sentence(run: Run, lines: Sequence[Line]) -> str:
    """Return the verdict on a run, counted from the lines of its table."""
    if not lines:
        return "Nothing was measured: the run holds no cells."
    failing = {line.case.test: None for line in lines if line.fails}
    states_in_words = counted(line.label for line in lines)
    if failing:
        return f"{len(failing)} of {len(run.cases)} cells fail: {states_in_words}."
    if not measured_of(run):
        return f"Nothing was measured, which is no pass: {states_in_words}."
    if run.exit_status:
        ended = f"pytest ended with exit status {run.exit_status}"
        return f"No cell fails, but {ended}: {states_in_words}."
    return f"No cell fails: {states_in_words}."


def _text(value: Any) -> str:
    """Write a value of a record; text stays as it is."""
    if value is None or value == "":
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
