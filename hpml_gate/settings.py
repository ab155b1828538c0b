"""The gate's options, checked once where they enter."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

Mode = Literal["auto", "record", "judge", "off"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a user may set; see ``pytest --help``, group *gate*."""

    mode: Mode
    baselines: Path
    results: Path
    launches: int
    margin: float
    timeout_s: float
    packages: tuple[str, ...]

    @classmethod
    def of(cls, config: pytest.Config) -> "Settings":
        """Read the settings from options and ini file."""
        option = config.getoption
        stored = option("gate_baselines") or config.getini("gate_baselines")
        return cls(
            mode="off" if option("benchmark_skip") else option("gate"),
            baselines=config.rootpath / stored,
            results=config.rootpath / option("gate_results"),
            launches=option("gate_launches"),
            margin=option("gate_margin"),
            timeout_s=option("gate_timeout"),
            packages=tuple(config.getini("gate_packages")),
        )


def add_options(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("gate", "performance gate")
    group.addoption(
        "--gate",
        choices=["auto", "record", "judge", "off"],
        default="auto",
        help="auto (the default): judge what has a baseline for this machine, record what has "
        "none; judge: only judge, fail if nothing could be judged; record: record everything "
        "anew; off: only measure",
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
        default=4,
        help="fresh processes per case, the replicates (default: 4)",
    )
    group.addoption(
        "--gate-margin",
        metavar="PERCENT",
        type=_percent,
        default="10%",
        help="how much slower than the baseline is a regression (default: 10%%)",
    )
    group.addoption(
        "--gate-timeout",
        metavar="SECONDS",
        type=_positive,
        default=300.0,
        help="how long one launch may take (default: 300)",
    )
    parser.addini("gate_baselines", "default of --gate-baselines", default="gate_baselines")
    parser.addini(
        "gate_packages",
        "packages whose versions are part of the machine's fingerprint",
        type="args",
        default=["numpy"],
    )


def _launches(text: str) -> int:
    fewest = 2  # one launch says nothing about how launches scatter
    if not text.isdecimal() or int(text) < fewest:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a whole number of at least {fewest}: launches are the replicates"
        )
    return int(text)


def _percent(text: str) -> float:
    try:
        value = float(text.removesuffix("%")) / 100
    except ValueError:
        value = -1.0
    if not text.endswith("%") or not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a percentage like 10%")
    return value


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of seconds")
    return value
