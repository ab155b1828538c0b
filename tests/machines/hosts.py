"""Hosts that are network namespaces of this machine, joined by a cable (a veth pair)."""

import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import SIGKILL

TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]


def ip(*arguments: str) -> str:
    return subprocess.run(
        ["ip", *arguments],  # noqa: S607
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def why_no_hosts() -> str | None:
    """Return why there can be no namespaces here, None if there can."""
    if not shutil.which("ip"):
        return "there is no ip (iproute2)"
    try:
        with two_hosts():
            return None
    except subprocess.CalledProcessError as error:
        return f"network namespaces are not to be had: {str(error.stderr).strip()}"


class Host:
    """A namespace with a name and an address of its own; its files are this machine's."""

    def __init__(self, letter: str, number: int) -> None:
        self.name, self.address = f"host-{letter}", f"10.77.0.{number}"
        self.namespace = f"hpml-{letter}-{uuid.uuid4().hex[:8]}"

    def start(self, output: Path, *command: str, **environment: str) -> "subprocess.Popen[bytes]":
        """Start a command there; what it writes goes to ``output``."""
        there = ["ip", "netns", "exec", self.namespace, "unshare", "--uts"]
        rename = ["sh", "-c", 'hostname "$0" && exec "$@"', self.name]
        with output.open("wb") as file:
            return subprocess.Popen(
                [*there, *rename, *command],
                stdout=file,
                stderr=subprocess.STDOUT,
                env={
                    **os.environ,
                    "GLOO_SOCKET_IFNAME": "cable",
                    "TP_SOCKET_IFNAME": "cable",
                    **environment,
                },
            )

    def cut_off(self) -> None:
        """Pull the cable: nobody is told."""
        ip("-n", self.namespace, "link", "set", "cable", "down")

    def pids(self) -> list[int]:
        return [int(pid) for pid in ip("netns", "pids", self.namespace).split()]

    def kill_all(self) -> None:
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, SIGKILL)

    def is_quiet(self) -> bool:
        """Whether everything there ends within a while."""
        deadline = time.monotonic() + 20
        while (left := self.pids()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return not left

    def close(self) -> None:
        deadline = time.monotonic() + 20
        while self.pids() and time.monotonic() < deadline:
            self.kill_all()
            time.sleep(0.1)
        ip("netns", "delete", self.namespace)


@contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Give two hosts that reach each other and nothing else; whatever runs there ends with them."""
    a, b = Host("a", 1), Host("b", 2)
    made = []
    try:
        for host in (a, b):
            ip("netns", "add", host.namespace)
            made.append(host)
        ends = ["name", "cable", "netns", a.namespace], ["name", "cable", "netns", b.namespace]
        ip("link", "add", *ends[0], "type", "veth", "peer", *ends[1])
        for host in (a, b):
            ip("-n", host.namespace, "addr", "add", f"{host.address}/24", "dev", "cable")
            for device in ("lo", "cable"):
                ip("-n", host.namespace, "link", "set", device, "up")
        yield a, b
    finally:
        for host in made:
            host.close()
