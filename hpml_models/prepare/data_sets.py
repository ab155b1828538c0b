"""The command ``hpml data``: which data sets a folder holds, and what to put where."""

import argparse
from pathlib import Path

from hpml_models.cases import registry
from hpml_models.types import DataSpec


def main(arguments: list[str] | None = None) -> int:
    """Show each set as found or missing; with ``--download`` fetch it. Return the exit status."""
    parser = argparse.ArgumentParser(prog="hpml data", description=__doc__)
    parser.add_argument("root", type=Path, help="the folder that --data-root names")
    parser.add_argument("--download", choices=registry.data_sets(), help="fetch this one first")
    parsed = parser.parse_args(arguments)
    if parsed.download and not _download(registry.data_sets()[parsed.download], parsed.root):
        return 1
    for spec in registry.data_sets().values():
        print(f"{spec.name}: {_state(spec, parsed.root)}")  # noqa: T201  a command's output
    return 0


def _download(spec: DataSpec, root: Path) -> bool:
    if spec.download is None:
        print(f"{spec.name} has no downloader: put {spec.files} into {root}, from {spec.url}")  # noqa: T201
        return False
    root.mkdir(parents=True, exist_ok=True)
    spec.download(root)
    return True


def _state(spec: DataSpec, root: Path) -> str:
    """Open the training split; return what it holds, or what is wrong with it."""
    try:
        samples = spec.open(root, "train")
    except (FileNotFoundError, ValueError) as error:
        return str(error)
    return f"{len(samples):,} samples ({spec.licence})"
