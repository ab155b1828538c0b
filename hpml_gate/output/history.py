"""Change points over stored sessions: slow creep that no single comparison shows.

``python -m hpml_gate.output.history [FOLDER ...]`` reads every ``gate.json`` and every stored
baseline below the folders, puts each case's
sessions of one machine in order, and says where its level changed. Without folders it reads
``results`` and the folder that ``gate_baselines`` names in pytest's ini file.
"""

import argparse
import sys
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from configparser import ConfigParser
from dataclasses import dataclass
from itertools import pairwise
from math import exp, log
from pathlib import Path
from statistics import mean

import numpy as np

from hpml_gate import record
from hpml_gate.baselines import session_file
from hpml_gate.baselines.session_file import SESSIONS, BaselineError
from hpml_gate.measure.samples import launch_medians
from hpml_gate.words import sparkline

FEWEST = 8  # sessions; with fewer, two levels cannot be told from noise
SHORTEST = 2  # sessions that a level lasts at least
SMALLEST_SIGMA = 1e-4  # equal times are rounding, not certainty
PENALTY = 8.0  # times log(sessions) and the variance: about 5 % of steady series are cut


@dataclass(frozen=True, kw_only=True)
class Session:
    """One case in one session of one machine."""

    machine: str
    case_id: str
    datetime: str
    commit: str
    log_ns: float


@dataclass(frozen=True, kw_only=True)
class Change:
    """A session from which on a case is at another level."""

    at: Session
    ratio: float  # of the level from here on to the one before


def change_points(log_ns: Sequence[float]) -> list[int]:
    """Return where a series changes its level, as indices of the first value of each new one.

    PELT on the mean (R. Killick et al., J. Am. Stat. Assoc. 107, 2012), as ruptures has it. The
    noise is estimated from neighbours' differences, which a few changes do not move.
    """
    if len(log_ns) < FEWEST:
        return []
    import ruptures

    steps = np.diff(log_ns)
    sigma = 1.4826 * float(np.median(np.abs(steps - np.median(steps)))) / 2**0.5
    penalty = PENALTY * log(len(log_ns)) * max(sigma, SMALLEST_SIGMA) ** 2
    model = ruptures.Pelt(model="l2", min_size=SHORTEST, jump=1)
    return [int(end) for end in model.fit(np.asarray(log_ns)).predict(pen=penalty)[:-1]]


def changes_of(sessions: Sequence[Session]) -> list[Change]:
    """Return the changes of one case, oldest first."""
    values = [one.log_ns for one in sessions]
    cuts = [0, *change_points(values), len(values)]
    levels = [mean(values[start:end]) for start, end in pairwise(cuts)]
    return [
        Change(at=sessions[cut], ratio=exp(after - before))
        for cut, before, after in zip(cuts[1:-1], levels, levels[1:], strict=False)
    ]


def read(folders: Iterable[Path]) -> tuple[dict[tuple[str, str], list[Session]], list[str]]:
    """Return all sessions below the folders by machine and case, in the order of their time.

    A run's record and the baseline that it wrote are the same session. What cannot be read comes
    back as messages.
    """
    found: dict[tuple[str, str, str], Session] = {}
    problems: list[str] = []
    for folder in folders:
        for file in [*record.find([folder]), *sorted(folder.rglob(SESSIONS))]:
            try:
                sessions = [*(_of_run(file) if file.name == record.FILE_NAME else _stored(file))]
            except (record.RecordError, BaselineError) as error:
                problems.append(str(error))
            else:
                found |= {(one.machine, one.case_id, one.datetime): one for one in sessions}
    series: dict[tuple[str, str], list[Session]] = {}
    for _, one in sorted(found.items()):
        series.setdefault((one.machine, one.case_id), []).append(one)
    return series, problems


def _of_run(file: Path) -> Iterator[Session]:
    """Yield what a run measured; a case whose test failed by itself is no point of a trend."""
    run = record.read(file)
    for case in run.cases:
        if case.measurement is not None and case.status == "ok":
            yield Session(
                machine=run.machine.id,
                case_id=case.case_id,
                datetime=run.datetime,
                commit=run.commit.id,
                log_ns=mean(log(ns) for ns in case.measurement.launch_medians_ns),
            )


def _stored(file: Path) -> Iterator[Session]:
    """Yield what a baseline file holds."""
    session = session_file.read(file)
    for row in session.benchmarks:
        yield Session(
            machine=file.parent.name,
            case_id=row.extra_info.case_id,
            datetime=session.datetime,
            commit=session.commit_info.id,
            log_ns=mean(log(ns) for ns in launch_medians(row.step_ns)),
        )


def lines(series: dict[tuple[str, str], list[Session]]) -> Iterator[str]:
    """Write what there is to say: each case with its changes, then how many were steady."""
    steady, short = 0, 0
    for (machine, case_id), sessions in series.items():
        changes = changes_of(sessions)
        steady += not changes and len(sessions) >= FEWEST
        short += len(sessions) < FEWEST
        if changes:
            bars = sparkline([one.log_ns for one in sessions])
            total = exp(sum(log(one.ratio) for one in changes))
            yield f"{case_id}  {bars}  {total:.3f} over {len(sessions)} sessions on {machine}"
            for one in changes:
                since = f"{one.at.datetime[:19]}, commit {one.at.commit[:12]}"
                yield f"    {one.ratio:.3f} from {since}"
    yield f"{steady} cases without a change of level"
    if short:
        yield f"{short} cases with fewer than {FEWEST} sessions: too few to say"


def usual_folders(here: Path) -> list[Path]:
    """Return where a run started here leaves its results and its baselines, by the ini file."""
    return [here / "results", here / (_ini_value(here, "gate_baselines") or "gate_baselines")]


def _ini_value(here: Path, name: str) -> str | None:
    """Return a setting of pytest's ini file in a folder, as pytest looks for it."""
    project = here / "pyproject.toml"
    if project.is_file():
        tool = tomllib.loads(project.read_text(encoding="utf-8")).get("tool", {}).get("pytest", {})
        if value := tool.get("ini_options", tool).get(name):
            return str(value)
    for file, section in (("pytest.ini", "pytest"), ("tox.ini", "pytest"),
                          ("setup.cfg", "tool:pytest")):  # fmt: skip
        parser = ConfigParser(interpolation=None)
        parser.read(here / file, encoding="utf-8")
        if value := parser.get(section, name, fallback=None):
            return value
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the changes; the exit status is 2 where there is nothing to read."""
    parser = argparse.ArgumentParser(prog="python -m hpml_gate.output.history", description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, help="default: results and the baselines")
    folders = parser.parse_args(arguments).folders or usual_folders(Path())
    series, problems = read(folders)
    for problem in problems:
        print(f"left out: {problem}", file=sys.stderr)  # noqa: T201
    if not series:
        where = ", ".join(map(str, folders))
        print(f"no gate.json and no baseline below {where}: name the folders", file=sys.stderr)  # noqa: T201
        return 2
    for line in lines(series):
        print(line)  # noqa: T201  this is what the command is for
    return 0


if __name__ == "__main__":
    sys.exit(main())
