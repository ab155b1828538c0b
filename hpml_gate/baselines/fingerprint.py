"""The machine's fingerprint: times are compared only where it is the same."""

import hashlib
import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

from hpml_gate.measure.environment import available_cpus
from hpml_gate.measure.gpus import driver, gpus


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """What of a machine moves a benchmark's time for good; the momentary clock is left out."""

    facts: Mapping[str, Any]

    @property
    def id(self) -> str:
        """A name for people and folders: processor, cores and a digest of all facts."""
        canonical = json.dumps(self.facts, sort_keys=True).encode()
        digest = hashlib.sha256(canonical).hexdigest()[:8]
        cpu = re.sub(r"[^a-z0-9]+", "-", str(self.facts["cpu"]).lower()).strip("-")
        return f"{cpu}-{self.facts['cores']}c-{digest}"


def take(machine_info: Mapping[str, Any], packages: Sequence[str]) -> Fingerprint:
    """Take this machine's fingerprint; ``machine_info`` is pytest-benchmark's."""
    cpu = machine_info["cpu"]
    return Fingerprint(
        facts={
            "cpu": cpu.get("brand_raw") or platform.machine(),
            "cpu_model": [cpu.get("family"), cpu.get("model"), cpu.get("stepping")],
            "cores": len(available_cpus()),
            "gpus": [asdict(gpu) for gpu in gpus(driver())],
            "python": ".".join(platform.python_version_tuple()[:2]),
            "packages": {name: _version(name) for name in sorted(packages)},
            "threads": {
                name: os.environ[name]
                for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
                if name in os.environ
            },
            # A suite that computes on other machines too adds theirs (pytest-benchmark's hook
            # pytest_benchmark_update_machine_info).
            **{name: machine_info[name] for name in ("machines",) if name in machine_info},
        }
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
