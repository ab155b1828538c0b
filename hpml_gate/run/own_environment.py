"""An environment of a checkout's own: this run's packages, and the checkout built on top of them.

What the checkout installs comes first, so its own version of a package hides this run's. What is
already there in the version that it asks for is not installed again.
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from hpml_gate.measure.environment import outside_hooks
from hpml_gate.measure.origins import SITES
from hpml_gate.run.repository import BaseError

INSTALL_S = 1800
THIS_RUN = "zz_of_this_run.pth"  # read last: what the checkout installs is found first


def make_environment(
    folder: Path, *, project: Path, install: str, path: Sequence[str], name: str
) -> str:
    """Build ``project`` in a new environment in ``folder``; return its interpreter.

    ``path`` is what it shares with this run. Raises :class:`BaseError` with what the command said.
    """
    bare = ["--without-pip"] if find_spec("pip") else []
    _run([sys.executable, "-m", "venv", *bare, str(folder)], project, name)
    python = folder / "bin" / "python"
    _site_of(folder).joinpath(THIS_RUN).write_text(_this_run(path), encoding="utf-8")
    _run([str(python), *shlex.split(install)], project, name)
    return str(python)


def is_site(entry: str) -> bool:
    """Whether a path entry holds installed packages."""
    return Path(entry).name in SITES


def is_installed(entry: str) -> bool:
    """Whether a path entry is of this interpreter or of its environment."""
    path = Path(entry).resolve()
    homes = (Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix))
    return is_site(entry) or any(path.is_relative_to(home) for home in homes)


def added_by_sites(entries: Sequence[str]) -> set[str]:
    """Return the path entries that editable installs have added by their ``.pth`` files."""
    files = [file for entry in entries if is_site(entry) for file in Path(entry).glob("*.pth")]
    lines = (line for file in files for line in file.read_text("utf-8", "replace").splitlines())
    return {str(Path(line).resolve()) for line in lines if os.path.isabs(line)}  # noqa: PTH117


def _site_of(folder: Path) -> Path:
    return next(folder.glob("lib*/python*/site-packages"))


def _this_run(path: Sequence[str]) -> str:
    """Return a ``.pth`` file that adds this run's packages, their own ``.pth`` files included."""
    lines = [f"import site; site.addsitedir({entry!r})" for entry in path if is_site(entry)]
    lines += [str(Path(entry).resolve()) for entry in path if not is_installed(entry)]
    return "\n".join(lines) + "\n"


def _run(command: Sequence[str], folder: Path, name: str) -> None:
    why = f"{name} cannot be built in an environment of its own: {shlex.join(command)}"
    try:
        done = subprocess.run(  # noqa: S603  the user's own command
            command,
            cwd=folder,
            env=outside_hooks({k: v for k, v in os.environ.items() if k != "PYTHONPATH"}),
            capture_output=True,
            text=True,
            check=False,
            timeout=INSTALL_S,
        )
    except subprocess.TimeoutExpired:
        raise BaseError(f"{why} took more than {INSTALL_S} s (ini: gate_base_install)") from None
    if done.returncode:
        said = (done.stdout + done.stderr)[-2000:]
        raise BaseError(
            f"{why} ended with status {done.returncode} (ini: gate_base_install): {said}"
        )
