"""What a launcher (torchrun, say) tells the processes that it starts, and how these meet.

Rank 0 leads: it alone runs and reports the tests. The others follow: they start a part for each
world that rank 0 asks for (:mod:`hpml_models.worlds.placed`), and end when, and as, rank 0 does.
Between rank 0 and each of them a connection stands for the whole run, by which either knows of the
other's end.
"""

import json
import multiprocessing
import os
import secrets
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

from hpml_models.worlds.connections import IncomingConnection, accept, connect, listen, port_of
from hpml_models.worlds.placed import RankHost, RankHosts, serve_part
from hpml_models.worlds.rank_process import START_S
from hpml_models.worlds.world import STOP_S

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
CONTEXT = multiprocessing.get_context("spawn")  # parts are fresh processes, as launches are


class LauncherError(RuntimeError):
    """The environment is no launcher's, or the processes that it started do not meet."""


@dataclass(frozen=True, kw_only=True)
class LaunchedRank:
    """What a launcher has told this process."""

    rank: int
    world_size: int
    local_rank: int
    address: str
    port: int
    restarts: str  # torchrun's count: after a restart its store still has the keys of before


class Ending(NamedTuple):
    """How a run ended on rank 0."""

    status: int
    reason: str


def launched_rank(environment: Mapping[str, str]) -> LaunchedRank | None:
    """Read what a launcher has told; None if there is none, or it started one process only.

    Raises :class:`LauncherError` if a variable is missing or means nothing.
    """
    present = [name for name in NAMES if name in environment]
    if not present:
        return None
    if missing := [name for name in NAMES if name not in environment]:
        raise LauncherError(
            f"{', '.join(present)} set but not {', '.join(missing)}: a launcher such as torchrun "
            "sets them all; without one unset them"
        )
    numbers = {name: _number(name, environment[name]) for name in NAMES if name != "MASTER_ADDR"}
    if not numbers["RANK"] < numbers["WORLD_SIZE"]:
        raise LauncherError(
            f"RANK {numbers['RANK']} is no rank of WORLD_SIZE {numbers['WORLD_SIZE']}"
        )
    if not 0 < numbers["MASTER_PORT"] < 2**16:
        raise LauncherError(f"MASTER_PORT {numbers['MASTER_PORT']} is no port")
    if numbers["WORLD_SIZE"] == 1:
        return None
    return LaunchedRank(
        rank=numbers["RANK"],
        world_size=numbers["WORLD_SIZE"],
        local_rank=numbers["LOCAL_RANK"],
        address=environment["MASTER_ADDR"],
        port=numbers["MASTER_PORT"],
        restarts=environment.get("TORCHELASTIC_RESTART_COUNT", "0"),
    )


def _number(name: str, text: str) -> int:
    if not text.isdecimal():
        raise LauncherError(f"{name}={text!r} is no number")
    return int(text)


class Leader:
    """Rank 0's connections to all others."""

    def __init__(self, launched: LaunchedRank, timeout_s: float = START_S) -> None:
        """Meet the others and publish where they are.

        Raises :class:`LauncherError` if they do not come within ``timeout_s``.
        """
        self._store = _store(launched, timeout_s)  # rank 0 may be the one that holds it
        token = secrets.token_hex(32)
        own = _rank_host(launched)
        self._connections: dict[int, Connection] = {}
        self.rank_hosts = {0: own}
        with listen() as server:
            self._store.set(_key(launched), json.dumps([own.host, port_of(server), token]))
            deadline = time.monotonic() + timeout_s
            while len(self.rank_hosts) < launched.world_size:
                server.settimeout(max(0.01, deadline - time.monotonic()))
                self._admit(_next_connection(server, token, self._absent(launched), timeout_s))
        ranks = [self.rank_hosts[rank] for rank in range(launched.world_size)]
        RankHosts(ranks=ranks, address=launched.address, port=launched.port, token=token).publish()

    @property
    def hosts(self) -> list[str]:
        """The machines that the ranks are on, rank 0's first."""
        return list(
            dict.fromkeys(rank_host.host for _, rank_host in sorted(self.rank_hosts.items()))
        )

    @property
    def machines(self) -> list[str]:
        """Say of every other rank what it runs on, and which of them are on one machine."""
        others = [rank_host for rank, rank_host in sorted(self.rank_hosts.items()) if rank]
        return [f"{self.hosts.index(rank_host.host)}: {rank_host.machine}" for rank_host in others]

    def loss(self) -> str | None:
        """Return which ranks are gone, None if none is: they say nothing while all is well."""
        ended = wait(list(self._connections.values()), 0)
        gone = [rank for rank, connection in self._connections.items() if connection in ended]
        names = ", ".join(f"rank {rank} on {self.rank_hosts[rank].host}" for rank in gone)
        return (
            f"{names} is lost: its process ended, or its host cannot be reached" if gone else None
        )

    def end(self, ending: Ending) -> None:
        """Let the others end in the same way, and wait a little until they have."""
        deadline = time.monotonic() + 2 * STOP_S
        for connection in self._connections.values():
            with suppress(OSError):
                connection.send(ending)
        for connection in self._connections.values():
            with suppress(EOFError, OSError):
                connection.poll(max(0.0, deadline - time.monotonic()))
            connection.close()

    def _absent(self, launched: LaunchedRank) -> str:
        return ", ".join(
            str(rank) for rank in range(launched.world_size) if rank not in self.rank_hosts
        )

    def _admit(self, incoming: IncomingConnection | None) -> None:
        if incoming is None:
            return
        with suppress(EOFError, OSError):
            rank_host: RankHost = incoming.connection.recv()
            self.rank_hosts[rank_host.rank] = replace(rank_host, address=incoming.address)
            self._connections[rank_host.rank] = incoming.connection


def _next_connection(
    server: socket.socket, token: str, absent: str, timeout_s: float
) -> IncomingConnection | None:
    try:
        return accept(server, token)
    except TimeoutError:
        raise LauncherError(
            f"rank {absent} did not come within {timeout_s:g} s: what it wrote says why"
        ) from None


def follow(launched: LaunchedRank, machine: str, timeout_s: float = START_S) -> Ending:
    """Start parts for rank 0's worlds until it ends; return how it did.

    ``machine`` names the hardware and software here. Raises :class:`LauncherError` if rank 0 does
    not come within ``timeout_s``, or is lost.
    """
    leader, port, token = _found(launched, timeout_s)
    with listen() as server, connect(launched.address, port, token) as connection, _no_parts_left():
        connection.send(_rank_host(launched, port=port_of(server), machine=machine))
        while connection not in wait([connection, server]):
            if caller := accept(server, token):
                _start_part(caller.connection)
        try:
            ending: Ending = connection.recv()
        except (EOFError, OSError):
            raise LauncherError(
                f"rank 0 on {leader} is lost: its process ended, or its host cannot be reached"
            ) from None
        return ending


def _rank_host(launched: LaunchedRank, *, port: int = 0, machine: str = "") -> RankHost:
    return RankHost(
        rank=launched.rank,
        local_rank=launched.local_rank,
        host=socket.gethostname(),
        address="",  # rank 0 sees it when it is called
        port=port,
        machine=machine,
    )


def _found(launched: LaunchedRank, timeout_s: float) -> tuple[str, int, str]:
    import torch.distributed as dist

    store = _store(launched, timeout_s)
    try:
        host, port, token = json.loads(store.get(_key(launched)))
    except dist.DistError:
        raise LauncherError(f"rank 0 did not come within {timeout_s:g} s") from None
    return host, port, token


def _key(launched: LaunchedRank) -> str:
    return f"hpml-{launched.restarts}"


def _store(launched: LaunchedRank, timeout_s: float) -> Any:
    """Open the store that the launcher holds; where it holds none, rank 0 does."""
    import torch.distributed as dist

    endpoint = f"port {launched.port} of {launched.address}"
    # What listens there may be no store, and torch would wait for its greeting without end.
    mute = threading.Timer(timeout_s + STOP_S, _give_up, [f"{endpoint} does not answer"])
    mute.start()
    try:
        store, *_ = next(dist.rendezvous("env://", timeout=timedelta(seconds=timeout_s)))
    except dist.DistError as error:
        in_use = "EADDRINUSE" in str(error)
        why = "in use: choose another MASTER_PORT" if in_use else f"no meeting place: {error}"
        raise LauncherError(f"{endpoint} is {why}") from None
    finally:
        mute.cancel()
    return store


def _give_up(why: str) -> None:
    sys.stderr.write(f"{why}\n")
    sys.stderr.flush()
    os._exit(1)


@contextmanager
def _no_parts_left() -> Iterator[None]:
    """End the parts that still run; each of them ends its rank."""
    try:
        yield
    finally:
        parts = multiprocessing.active_children()
        for part in parts:
            part.terminate()
        deadline = time.monotonic() + 2 * STOP_S
        for part in parts:
            part.join(max(0.0, deadline - time.monotonic()))
            part.kill()


def _start_part(connection: Connection) -> None:
    multiprocessing.active_children()  # takes note of those that have ended
    CONTEXT.Process(target=_part, args=(connection,)).start()
    connection.close()


def _part(connection: Connection) -> None:
    """Be a part; leave tidily when the follower is gone or wants it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the follower gets it too, and says so
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    try:
        with tempfile.TemporaryDirectory(prefix="hpml-part-", ignore_cleanup_errors=True) as folder:
            os.environ["TMPDIR"] = tempfile.tempdir = folder
            serve_part(connection)
    finally:
        os._exit(0)  # what multiprocessing would tidy up was in that folder


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
