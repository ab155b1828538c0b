"""Stored baselines: one folder per fingerprint, one file per session that recorded.

Each file is a pytest-benchmark JSON document with the raw times, so that its command line reads
them too (``pytest-benchmark --storage FOLDER compare``). A file is written once, whole, under a
name of its own, and never changed. The newest file that starts a case anew, and the sessions
after it that passed and were added to it, are that case's baseline.
"""

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from hpml_gate import pytest_benchmark_adapter as adapter
from hpml_gate.baselines import session_file
from hpml_gate.baselines.fingerprint import Fingerprint
from hpml_gate.baselines.session_file import KEY, SCHEMA_VERSION, SESSIONS, BaselineError
from hpml_gate.judge.statistics import Drift, usual_drift
from hpml_gate.measure.samples import launch_medians

MOST_SESSIONS = 5  # how many sessions of a case are kept to know its drift


@dataclass(frozen=True, kw_only=True)
class StoredSession:
    """What one session measured of one case."""

    step_ns: Sequence[Sequence[float]]  # launches x blocks
    metrics: Mapping[str, Sequence[float]]  # by name, a value for each launch


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What is stored of one case: the test that recorded it and what its sessions measured."""

    case_id: str
    test: str  # the pytest node id that recorded it
    axes: Mapping[str, Any]  # the fields by which the suite knows the case
    sessions: Sequence[StoredSession]
    file: Path  # the newest
    commit: str | None  # of the session that began this level
    is_dirty: bool  # whether that had changes beyond the commit
    items_per_step: int | None = None  # of the newest session
    parameters: str = ""  # of its test, by content

    @property
    def step_ns(self) -> list[Sequence[float]]:
        """The launches of all sessions."""
        return [launch for session in self.sessions for launch in session.step_ns]

    @property
    def launch_medians_ns(self) -> list[list[float]]:
        """Sessions x launches."""
        return [launch_medians(session.step_ns) for session in self.sessions]

    def metric(self, name: str) -> list[Sequence[float]]:
        """Return a second metric's values, sessions x launches; none where it was not measured."""
        return [session.metrics[name] for session in self.sessions if name in session.metrics]


@dataclass(frozen=True, kw_only=True)
class Baselines:
    """The baselines below ``folder`` for one machine."""

    folder: Path
    fingerprint: Fingerprint

    @property
    def own_folder(self) -> Path:
        """Where this machine's sessions stand."""
        return self.folder / self.fingerprint.id

    @cached_property
    def by_case(self) -> dict[str, Baseline]:
        """The newest baseline of each case on this machine; raises :class:`BaselineError`."""
        return _read_folder(self.own_folder)

    @cached_property
    def other_machines(self) -> dict[str, set[str]]:
        """The cases that have a baseline of another fingerprint: case ids by fingerprint id."""
        found: dict[str, set[str]] = {}
        for folder in sorted(self.folder.glob("*/")):
            if folder.name != self.fingerprint.id:
                with suppress(BaselineError):  # nothing is judged by it, so it need not be sound
                    found[folder.name] = set(_read_folder(folder))
        return found

    @cached_property
    def usual_drift(self) -> Drift:
        """How far sessions of the same code lie apart on this machine, over all cases."""
        return usual_drift([one.launch_medians_ns for one in self.by_case.values()])

    def measured_elsewhere(self, case_id: str) -> str | None:
        """Return the name of another machine that has a baseline of the case."""
        return next((name for name, ids in self.other_machines.items() if case_id in ids), None)

    def check_writable(self) -> None:
        """Raise :class:`BaselineError` now if a session could not be written later."""
        try:
            self.own_folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.own_folder) as trial:
                session_file.write(Path(trial), "")
        except OSError as error:
            raise _cannot_write(self.own_folder, error) from None

    def write(
        self, document: Mapping[str, Any], *, added: Sequence[str], retired: Sequence[str]
    ) -> Path:
        """Write a session. ``added`` are cases whose earlier sessions stand beside this one.

        ``retired`` are cases that no test measures any more; all others start anew.
        """
        stamped = {
            **document,
            KEY: {
                "schema_version": SCHEMA_VERSION,
                "fingerprint": self.fingerprint.facts,
                "added": list(added),
                "retired": list(retired),
            },
        }
        try:
            return session_file.write(self.own_folder, adapter.to_json(stamped))
        except OSError as error:
            raise _cannot_write(self.own_folder, error) from None


def _read_folder(folder: Path) -> dict[str, Baseline]:
    found: dict[str, Baseline] = {}
    for file in sorted(folder.glob(SESSIONS)):
        session = session_file.read(file)
        for case_id in session.hpml_gate.retired:
            found.pop(case_id, None)
        for row in session.benchmarks:
            one = _baseline(row, session.commit_info, file)
            is_added = one.case_id in session.hpml_gate.added
            level = found.get(one.case_id) if is_added else None
            found[one.case_id] = one if level is None else _with_another(level, one)
    return found


def _with_another(level: Baseline, one: Baseline) -> Baseline:
    """Add a session to those of a level; the level stays that of the commit that began it."""
    sessions = [*level.sessions, *one.sessions][-MOST_SESSIONS:]
    return replace(one, sessions=sessions, commit=level.commit, is_dirty=level.is_dirty)


def _baseline(row: session_file.Row, commit: session_file.Commit, file: Path) -> Baseline:
    info = row.extra_info
    metrics = {name: one.values for name, one in info.metrics.items()}
    return Baseline(
        case_id=info.case_id,
        test=row.fullname,
        axes=info.axes,
        sessions=[StoredSession(step_ns=row.step_ns, metrics=metrics)],
        file=file,
        commit=commit.name,
        is_dirty=bool(commit.dirty),
        items_per_step=info.items_per_step,
        parameters=info.parameters,
    )


def _cannot_write(folder: Path, error: OSError) -> BaselineError:
    return BaselineError(
        f"cannot write baselines in {folder} ({error.strerror or error}): "
        "make room, choose another folder with --gate-baselines, or record nothing with "
        "--gate judge"
    )
