"""The record of a run, ``gate.json`` in schema 2: what it holds, one writer, one reader.

Who reads records imports this module alone: it needs neither pytest nor the rest of the gate. Times
are nanoseconds per step, shares and ratios have no unit, all other units stand in names.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Literal

import msgspec

from hpml_gate.files import write_whole

SCHEMA_VERSION = 2
FILE_NAME = "gate.json"
TIME = "time"  # the name of the first metric

# Of a cell: whether it was measured, and why not. ``skipped`` is a skip that states no kind.
Status = Literal[
    "ok",
    "skipped",
    "unsupported",
    "no_hardware",
    "no_data",
    "missing",
    "oom",
    "timeout",
    "error",
    "incorrect",
]
NOT_RUN: Sequence[Status] = ("skipped", "unsupported", "no_hardware", "no_data")

Quantiles = tuple[float, float, float, float, float]
"""Minimum, lower quartile, median, upper quartile and maximum over the blocks of one launch."""

Scalar = str | int | float | bool | None


class RecordError(Exception):
    """A record cannot be read; the message names the file and the remedy."""


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What a suite says of one of its tests, before it runs.

    ``axes`` are the fields that tables and filters use. ``theory`` are figures to stand beside the
    measured ones, by name.
    """

    case_id: str = ""
    axes: Mapping[str, Scalar] = {}
    theory: Mapping[str, float] = {}


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the time, or of a second metric.

    ``ratio`` is now over then, ``low`` to ``high`` its interval, above 1 is always worse; None
    where nothing was compared.
    """

    metric: str
    status: str
    margin: float
    against: str
    ratio: float | None
    low: float | None
    high: float | None
    reason: str
    unit: str


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The other side of a ratio: the base in pairs, or the sessions of a stored baseline."""

    kind: Literal["base", "baseline"]
    commit: str | None
    launches_ns: list[Quantiles]
    log_ratios: list[float]  # log(head / base) of each paired launch


class MetricValues(msgspec.Struct, frozen=True, kw_only=True):
    """A second metric: a value for each launch."""

    values: list[float]
    better: str
    margin: float


class Disturbance(msgspec.Struct, frozen=True, kw_only=True):
    """What went on while a launch was timed; shares are of all CPUs' time."""

    busy_share: float
    own_share: float
    steal_share: float
    preemptions_per_s: float
    page_faults_per_block: float
    cpu_mhz: float | None = None
    gpus: list[str] = []  # with clock and temperature
    gpus_held_back: list[str] = []  # which, by what


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """What was timed of the code under test, and what it was compared with."""

    launches_ns: list[Quantiles]
    blocks: int  # of each launch
    iterations: int  # of each block
    items_per_step: int
    metrics: dict[str, MetricValues]
    effective: dict[str, Any]  # what took effect, read back
    disturbances: list[Disturbance]
    comparison: Comparison | None = None

    @property
    def launch_medians_ns(self) -> list[float]:
        """One figure for each launch."""
        return medians(self.launches_ns)

    @property
    def median_ns(self) -> float:
        """The median over the launches' medians."""
        return median(self.launch_medians_ns)

    @property
    def items_per_s(self) -> float:
        """Throughput at the median step."""
        return self.items_per_step / self.median_ns * 1e9


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """A figure as it went: by epoch, by step, by second."""

    by: str
    at: list[float]
    values: list[float | None]


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One cell of a run: measured, or not measured and why."""

    case_id: str
    test: str  # pytest's node id
    axes: dict[str, Scalar]
    status: Status
    failed: bool  # whether its test did
    duration_s: float  # of its test
    reason: str = ""  # of the status, one line
    message: str = ""  # what the test failed with
    verdicts: list[Verdict] = []  # on the time first
    measurement: Measurement | None = None
    theory: dict[str, float] = {}
    curves: dict[str, Curve] = {}
    tables: dict[str, list[dict[str, Any]]] = {}  # rows that the test measured by itself

    @property
    def verdict(self) -> Verdict | None:
        """The verdict on the time."""
        return self.verdicts[0] if self.verdicts else None

    def name_of(self, verdict: Verdict) -> str:
        """Return the case's id, with the metric where that is not the time."""
        return self.case_id if verdict.metric == TIME else f"{self.case_id} [{verdict.metric}]"


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """The commit that was checked out."""

    id: str
    time: str | None = None
    branch: str | None = None
    dirty: bool = False


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """The fingerprint: times are compared only where it is the same."""

    id: str
    facts: dict[str, Any]


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run of pytest."""

    schema_version: int = SCHEMA_VERSION
    datetime: str
    duration_s: float
    command: list[str]
    exit_status: int
    mode: str
    commit: Commit
    base: Commit | None  # of a paired run
    machine: Machine
    versions: dict[str, str]
    confidence: float  # of the intervals
    cases: list[Case]
    origins: dict[str, dict[str, str]] = {}  # by side and module: whose code ran in pairs
    notes: list[str] = []  # what is said at the end
    problems: list[str] = []  # what could not be judged, read or written


class _Version(msgspec.Struct):
    schema_version: int


def medians(launches_ns: Sequence[Quantiles]) -> list[float]:
    """Return the median of each launch."""
    return [one[2] for one in launches_ns]


def write(run: Run, folder: Path) -> Path:
    """Write the record: whole, or not at all."""
    target = folder / FILE_NAME
    write_whole(target, msgspec.json.encode(run).decode())
    return target


def read(file: Path) -> Run:
    """Read a record; raises :class:`RecordError` where it is of another schema, or damaged."""
    try:
        text = file.read_bytes()
        version = msgspec.json.decode(text, type=_Version).schema_version
        if version != SCHEMA_VERSION:
            raise RecordError(_of_another_schema(file, version))
        return msgspec.json.decode(text, type=Run)
    except OSError as error:
        raise RecordError(f"{file} cannot be read: {error.strerror or error}") from None
    except msgspec.ValidationError as error:
        raise RecordError(
            f"{file} is no record of this gate ({error}): name another, or run the suite again"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordError(
            f"{file} is damaged ({error}): copy it again, or run the suite again"
        ) from None


def _of_another_schema(file: Path, version: int) -> str:
    if version < SCHEMA_VERSION:
        remedy = "read it with the hpml that wrote it, or run the suite again"
    else:
        remedy = "a newer hpml wrote it: read it with that one"
    return f"{file} has schema version {version}, this hpml reads {SCHEMA_VERSION}: {remedy}"


def find(places: Iterable[Path]) -> list[Path]:
    """Return the records in and below some folders, each once; a file is taken as it stands."""
    found = [
        file
        for place in places
        for file in ([place] if place.is_file() else sorted(place.rglob(FILE_NAME)))
    ]
    return [*{file.resolve(): file for file in found}.values()]


def read_all(places: Iterable[Path]) -> tuple[list[tuple[Path, Run]], list[str]]:
    """Read the records below some folders, by time; return what cannot be read as messages."""
    named = [*places]
    runs = []
    problems = [f"{one}: no {FILE_NAME} in or below it" for one in named if not find([one])]
    for file in find(named):
        try:
            runs.append((file, read(file)))
        except RecordError as error:
            problems.append(str(error))
    return sorted(runs, key=lambda one: one[1].datetime), problems


def plain(value: Any) -> Any:
    """Turn a value into what JSON can hold: text that is whole, numbers, lists and mappings.

    Everything else by its ``repr``; half a surrogate pair by its escape.
    """
    if value is None or isinstance(value, bool):
        return value
    for kind, turned in _PLAIN.items():
        if isinstance(value, kind):
            return turned(value)
    return plain(repr(value))


_PLAIN: Mapping[Any, Callable[[Any], Any]] = {
    int: int,
    float: float,  # numpy's too
    str: lambda text: text.encode("utf-8", "backslashreplace").decode(),
    Mapping: lambda whole: {plain(str(name)): plain(one) for name, one in whole.items()},
    list | tuple | set | frozenset | range: lambda whole: [plain(one) for one in whole],
}
