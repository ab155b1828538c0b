"""One session's file: checked as a whole when it is read, named by its time when it is written.

It is a pytest-benchmark document with one key of the gate's own. Two branches that both record
write files of different names, so their merge has no conflict.
"""

import hashlib
import json
import os
import re
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

KEY = "hpml_gate"  # the one key that the gate adds to pytest-benchmark's document
SCHEMA_VERSION = 1
SESSIONS = "[0-9][0-9][0-9][0-9]_*gate.json"  # names that pytest-benchmark looks for
TIME = "%Y_%m%dT%H%M%S.%f"
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")  # pytest-benchmark has words where there is none
REMEDY = "restore it from version control, or delete it to record its cases afresh"

Seconds = Annotated[float, Meta(ge=1e-12, le=1e9)]  # of one step: neither zero nor infinite
Positive = Annotated[float, Meta(gt=0, le=1e300)]
Name = Annotated[str, Meta(min_length=1)]


class BaselineError(Exception):
    """A baseline cannot be read or written; the message names the file and the remedy."""


class Metric(msgspec.Struct, frozen=True):
    """A second metric: a value for each launch."""

    values: Annotated[list[Positive], Meta(min_length=1)]


class Info(msgspec.Struct, frozen=True):
    """What the gate says of a case."""

    case_id: Name
    launches: Annotated[int, Meta(ge=2)]  # one says nothing of how launches scatter
    metrics: dict[str, Metric] = {}
    items_per_step: int | None = None  # what a step works through, if it was written down
    parameters: str = ""  # of the test, by content
    axes: dict[str, str | int | float | bool | None] = {}  # by which the suite knows it


class Stats(msgspec.Struct, frozen=True):
    """The times of a case, launch by launch."""

    data: Annotated[list[Seconds], Meta(min_length=2)]


class Row(msgspec.Struct, frozen=True):
    """One case of a session."""

    fullname: Name  # the node id of the test that recorded it
    extra_info: Info
    stats: Stats

    def __post_init__(self) -> None:
        """Refuse launches of unequal length."""
        if len(self.stats.data) % self.extra_info.launches:
            raise ValueError(f"{len(self.stats.data)} times in {self.extra_info.launches} launches")

    @property
    def step_ns(self) -> list[list[float]]:
        """Nanoseconds per step, launches x blocks."""
        ns = [second * 1e9 for second in self.stats.data]
        blocks = len(ns) // self.extra_info.launches
        return [ns[start : start + blocks] for start in range(0, len(ns), blocks)]


class Commit(msgspec.Struct, frozen=True):
    """What was checked out."""

    id: str
    dirty: bool | None = None

    @property
    def name(self) -> str | None:
        """The commit's full name, where there is one."""
        return self.id if COMMIT.fullmatch(self.id) else None


class Own(msgspec.Struct, frozen=True):
    """What the gate adds: which cases stand beside earlier sessions, and which are retired."""

    retired: list[str]
    added: list[str] = []


class Session(msgspec.Struct, frozen=True):
    """A session's document, as far as the gate reads it."""

    benchmarks: list[Row]
    commit_info: Commit
    hpml_gate: Own
    datetime: str = ""


def read(file: Path) -> Session:
    """Read and check a session; raises :class:`BaselineError`."""
    document = _document(file)
    own = document.get(KEY) if isinstance(document, dict) else None
    version = own.get("schema_version") if isinstance(own, dict) else None
    if version != SCHEMA_VERSION:
        raise BaselineError(
            f"baseline {file} has schema version {version}, this gate reads {SCHEMA_VERSION}: "
            f"run the gate that wrote it, or {REMEDY}"
        )
    try:
        return msgspec.convert(document, Session)
    except msgspec.ValidationError as error:
        raise BaselineError(f"baseline {file} is damaged ({error}): {REMEDY}") from None


def _document(file: Path) -> Any:
    """Return what a file holds; what the gate does not read may be no number (NaN)."""
    if not file.is_file():
        raise BaselineError(f"baseline {file} is no file that can be read: {REMEDY}")
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BaselineError(f"baseline {file} is unreadable ({error}): {REMEDY}") from None


def write(folder: Path, text: str) -> Path:
    """Write a session under a name of its own: whole, or not at all. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    target = folder / f"{_time_after(folder):{TIME}}-{digest}_gate.json"
    with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".part", encoding="utf-8") as part:
        part.write(text)
        part.flush()
        os.fsync(part.fileno())
        os.fchmod(part.fileno(), 0o644)  # a temporary file is its owner's alone; a baseline is not
        os.link(part.name, target)
    return target


def _time_after(folder: Path) -> datetime:
    """Return now, or just after the newest session where its clock was ahead of this one."""
    known = [_time_of(file) for file in folder.glob(SESSIONS)]
    newest = max((time for time in known if time), default=datetime.min.replace(tzinfo=UTC))
    return max(datetime.now(tz=UTC), newest + timedelta(microseconds=1))


def _time_of(file: Path) -> datetime | None:
    """Return the time in a session's name; an older gate numbered them."""
    try:
        return datetime.strptime(file.name.partition("-")[0], TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
