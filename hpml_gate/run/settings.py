"""The gate's options, checked once where they enter."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import pytest

from hpml_gate.judge.budget import Budget

if TYPE_CHECKING:
    from hpml_gate.run.case import Case

Mode = Literal["auto", "record", "judge", "paired", "self-test", "off"]
MODES: tuple[Mode, ...] = get_args(Mode)
FEWEST_OF_SELF_TEST = 12  # a third of them under load, and rates need four of either
STORED_MARGIN, PAIRED_MARGIN = 0.10, 0.03  # what a machine drifts by; what pairs resolve


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a user may set; see ``pytest --help``, group *gate*."""

    mode: Mode
    baselines: Path
    results: Path
    launches: int
    margin: float | None  # None: each way of judging has its own
    timeout_s: float
    budget: Budget
    base: str
    base_install: str
    packages: tuple[str, ...]
    retired: tuple[str, ...]

    @classmethod
    def of(cls, config: pytest.Config) -> "Settings":
        """Read the settings from options and ini file."""
        option = config.getoption
        stored = option("gate_baselines") or config.getini("gate_baselines")
        mode = mode_of(config)
        return cls(
            mode=mode,
            baselines=config.rootpath / stored,
            results=config.rootpath / option("gate_results"),
            launches=_launches_of(option("gate_launches"), mode),
            margin=option("gate_margin"),
            timeout_s=option("gate_timeout"),
            budget=Budget.of(option("gate_budget")),
            base=option("gate_base"),
            base_install=config.getini("gate_base_install"),
            packages=tuple(config.getini("gate_packages")),
            retired=tuple(config.getini("gate_retired")),
        )

    def margin_of(self, case: "Case", *, paired: bool = False) -> float:
        """Return how much slower is a regression: the test's own margin before the run's."""
        own = case.margin if case.margin is not None else self.margin
        usual = PAIRED_MARGIN if paired else STORED_MARGIN
        return usual if own is None else own


def mode_of(config: pytest.Config) -> Mode:
    """Return what this run is for."""
    skips = config.getoption("benchmark_skip", default=False)
    return "off" if skips else _asked_mode(config) or "auto"


def gates_plain(config: pytest.Config) -> bool:
    """Whether tests of pytest-benchmark's own fixture are gated: a mode was asked for."""
    return _asked_mode(config) is not None and mode_of(config) != "off"


def _asked_mode(config: pytest.Config) -> Mode | None:
    asked: Mode | None = config.getoption("gate") or config.getini("gate") or None
    if asked and asked not in MODES:
        raise pytest.UsageError(f"gate = {asked} in the ini file: choose from {', '.join(MODES)}")
    return asked


def add_options(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("gate", "performance gate")
    group.addoption(
        "--gate",
        choices=MODES,
        help="auto (the default): judge what has a baseline for this machine, record what has "
        "none; judge: only judge, fail if nothing could be judged; record: record everything "
        "anew; paired: judge against the commit of --gate-base, measured here and now; "
        "self-test: show how often the gate is wrong on these cases; off: only measure. A mode "
        "that is given here, or as gate in the ini file, is for pytest-benchmark's own tests, too",
    )
    group.addoption(
        "--gate-baselines",
        metavar="DIR",
        help="where baselines are kept, one folder per machine (ini: gate_baselines)",
    )
    group.addoption(
        "--gate-results",
        metavar="DIR",
        default="results",
        help="where each run leaves a folder with its times and pictures (default: results)",
    )
    group.addoption(
        "--gate-launches",
        metavar="N",
        type=_launches,
        help="fresh processes per case, the replicates (default: 4; 36 in a self-test)",
    )
    group.addoption(
        "--gate-margin",
        metavar="PERCENT",
        type=percent,
        help="how much slower is a regression (default: 10%% of a stored baseline, 3%% in pairs; "
        "a test's own: @pytest.mark.gate(margin='5%%'))",
    )
    group.addoption(
        "--gate-base",
        metavar="REF",
        default="HEAD",
        help="what --gate paired compares with: a branch, tag or commit (default: HEAD, so what "
        "is not committed yet is judged)",
    )
    group.addoption(
        "--gate-budget",
        metavar="SECONDS",
        type=_positive,
        default=60.0,
        help="how long a suspect is measured in pairs, process starts not counted (default: 60)",
    )
    group.addoption(
        "--gate-timeout",
        metavar="SECONDS",
        type=_positive,
        default=300.0,
        help="how long one launch may take (default: 300)",
    )
    parser.addini("gate", "default of --gate; gates pytest-benchmark's own tests, too", default="")
    parser.addini("gate_baselines", "default of --gate-baselines", default="gate_baselines")
    parser.addini(
        "gate_base_install",
        "what the python of a fresh environment runs in the base commit's worktree if its "
        "dependencies differ from the head's",
        default="-m pip install --quiet -e .",
    )
    parser.addini(
        "gate_retired",
        "patterns of tests that a base commit has and --gate paired need not miss",
        type="args",
        default=[],
    )
    parser.addini(
        "gate_packages",
        "packages whose versions are part of the machine's fingerprint",
        type="args",
        default=["numpy"],
    )


def own_margin(item: pytest.Item) -> float | None:
    """Return the margin that a test's marker sets, if it has one; raises ValueError."""
    marker = item.get_closest_marker("gate")
    return margin_of_marker(marker) if marker else None


def _launches_of(given: int | None, mode: Mode) -> int:
    if mode != "self-test":
        return given or 4
    if given is not None and given < FEWEST_OF_SELF_TEST:
        raise pytest.UsageError(
            f"--gate-launches {given}: a self-test needs at least {FEWEST_OF_SELF_TEST}"
        )
    return given or 36


def _launches(text: str) -> int:
    fewest = 2  # one launch says nothing about how launches scatter
    if not text.isdecimal() or int(text) < fewest:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a whole number of at least {fewest}: launches are the replicates"
        )
    return int(text)


def percent(text: str) -> float:
    """Read a percentage like ``5%``; raises argparse's error for anything else."""
    try:
        value = float(text.removesuffix("%")) / 100
    except ValueError:
        value = -1.0
    if not text.endswith("%") or not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a percentage like 10%")
    return value


def margin_of_marker(marker: pytest.Mark) -> float:
    """Return a test's own margin; raises ValueError, which says how the marker is written."""
    margin = marker.kwargs.get("margin")
    if marker.args or marker.kwargs.keys() != {"margin"} or not isinstance(margin, str):
        given = [*map(repr, marker.args), *(f"{k}={v!r}" for k, v in marker.kwargs.items())]
        raise ValueError(
            f"@pytest.mark.gate({', '.join(given)}): it takes a margin alone, as a percentage in "
            "quotes: @pytest.mark.gate(margin='5%')"
        )
    try:
        return percent(margin)
    except argparse.ArgumentTypeError as error:
        raise ValueError(f"@pytest.mark.gate(margin={margin!r}): {error}") from None


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of seconds")
    return value
