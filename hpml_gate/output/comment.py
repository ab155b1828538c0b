"""The comment for a pull request: what fails first, then what is undecided, passes folded."""

from collections.abc import Sequence

from hpml_gate.markdown import code, prose
from hpml_gate.record import Case, Run, Verdict
from hpml_gate.words import counted, reason_of, sides_in_words, states, time_in_words

MOST_BYTES = 65_000  # a service refuses 65,536 characters; the heading and the end need some
FOLDED = {"pass", "faster", "ok", "new"}
SIGNS = {"pass": "✅", "ok": "✅", "faster": "🚀", "new": "🆕"}
UNDECIDED = {"inconclusive", "incomparable", "skipped", "unsupported", "no_hardware", "no_data"}
COLUMNS = (
    "| | case | time per step | ratio | interval | margin | why |\n|---|---|---|---|---|---|---|"
)
Row = tuple[str, str]  # state, line


def comment(run: Run) -> str:
    """Return the comment: Markdown, shorter than what services take."""
    shown = states(run)
    rows = [(state, _row(run, case, one, state)) for case, one, state in shown]
    head = f"### Performance: {counted(state for state, _ in rows) or 'nothing was measured'}"
    against = f"Compared with {prose(sides_in_words(run))}, on {code(run.machine.id)}."
    ends = [prose(note) for note in [*run.problems, *run.notes]]
    rest = "\n\n".join([head, against, *ends])
    kept = _that_fit(rows, MOST_BYTES - _size(rest) - 400)
    parts = [head, against, _open([line for state, line in kept if state not in FOLDED])]
    parts.append(_folded([row for row in kept if row[0] in FOLDED]))
    if left_out := len(rows) - len(kept):
        parts.append(f"{left_out} more rows are left out here: gate.json has all of them.")
    return "\n\n".join(part for part in [*parts, *ends] if part) + "\n"


def _that_fit(rows: Sequence[Row], most_bytes: int) -> list[Row]:
    kept: list[Row] = []
    for row in rows:
        most_bytes -= _size(row[1]) + 1
        if most_bytes < 0:
            break
        kept.append(row)
    return kept


def _open(lines: Sequence[str]) -> str:
    return "\n".join([COLUMNS, *lines]) if lines else ""


def _folded(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    summary = f"<details><summary>{counted(state for state, _ in rows)}</summary>"
    return "\n\n".join([summary, _open([line for _, line in rows]), "</details>"])


def _row(run: Run, case: Case, one: Verdict | None, state: str) -> str:
    sign = SIGNS.get(state, "❔" if state in UNDECIDED else "❌")
    name = code(case.case_id if one is None else case.name_of(one))
    time = time_in_words(case.measurement.median_ns) if case.measurement else ""
    numbers = ["", "", ""]
    if one is not None and None not in (one.ratio, one.low, one.high):
        interval = f"{one.low:.3f} to {one.high:.3f} ({run.confidence:.0%})"
        numbers = [f"{one.ratio:.3f}", interval, f"{one.margin:.0%}"]
    cells = [f"{sign} {state}", name, time, *numbers, prose(reason_of(case, one))]
    return f"| {' | '.join(cells)} |"


def _size(text: str) -> int:
    return len(text.encode("utf-8", "backslashreplace"))
