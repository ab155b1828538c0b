"""A world whose ranks a launcher has placed, on this machine or on several.

The controller has a connection to each rank's *part*: a fresh process on that rank's machine with
a :class:`~hpml_models.worlds.local.LocalWorld` of this one rank in it, which finds out there how
its rank fails, and says so. Rank 0 is on the controller's machine; its part is a thread.
"""

import hashlib
import json
import os
import platform
import threading
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from hpml_models.types import Device, Rank
from hpml_models.worlds.connections import connect
from hpml_models.worlds.local import LocalWorld, RankAddress, device_of
from hpml_models.worlds.rank_process import START_S, Store, portable
from hpml_models.worlds.world import GRACE_S, STOP_S, RankError, World

RANK_HOSTS = "HPML_RANK_HOSTS"  # the environment variable that holds where the ranks are
MARGIN_S = 5.0  # how much sooner a rank gives up than its controller


@dataclass(frozen=True, kw_only=True)
class RankHost:
    """Where a launcher put a rank, and where the process that it started there listens."""

    rank: int
    local_rank: int
    host: str
    address: str
    port: int
    machine: str  # hardware and software there, in a word


@dataclass(frozen=True, kw_only=True)
class RankHosts:
    """All hosts by rank, where their store is, and what callers must know."""

    ranks: Sequence[RankHost]
    address: str
    port: int
    token: str

    def publish(self) -> None:
        """Tell the processes that this one will start."""
        os.environ[RANK_HOSTS] = json.dumps(asdict(self))

    @classmethod
    def published(cls) -> "RankHosts":
        """Return what a process before this one has told."""
        fields = json.loads(os.environ[RANK_HOSTS])
        return cls(**{**fields, "ranks": [RankHost(**one) for one in fields["ranks"]]})


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a part is first sent: its rank, and the code that the controller runs."""

    address: RankAddress
    timeout_s: float
    code: str


class PlacedWorld(World):
    """Ranks on several hosts."""

    def __init__(self, rank_hosts: RankHosts, device: Device, timeout_s: float = 240.0) -> None:
        """Start every rank and wait until they have met; raises :class:`RankError` if one cannot.

        A rank that gives up says more than a controller that does, so it has less time.
        """
        super().__init__(timeout_s + MARGIN_S)
        self._rank_hosts = rank_hosts
        store = Store(address=rank_hosts.address, port=rank_hosts.port, prefix=uuid.uuid4().hex)
        try:
            for rank_host in rank_hosts.ranks:
                self._connections.append(self._reach(rank_host))
            for rank_host, connection in zip(rank_hosts.ranks, self._connections, strict=True):
                connection.send(self._order(rank_host, device, store, timeout_s))
            self._collect(START_S + MARGIN_S)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Hang up: each part then ends its rank."""
        for connection in self._connections:
            connection.close()
        self._connections = []
        if hasattr(self, "_own_part"):
            self._own_part.join(2 * STOP_S)

    def _reach(self, rank_host: RankHost) -> Connection:
        if rank_host.rank == 0:
            ours, theirs = Pipe()
            self._own_part = threading.Thread(target=serve_part, args=(theirs,), daemon=True)
            self._own_part.start()
            return ours
        try:
            return connect(rank_host.address, rank_host.port, self._rank_hosts.token)
        except OSError as error:
            raise self._loss_of(rank_host.rank, error) from None

    def _order(self, rank_host: RankHost, device: Device, store: Store, timeout_s: float) -> Order:
        rank = Rank(
            index=rank_host.rank,
            world_size=len(self._rank_hosts.ranks),
            device=device_of(device, rank_host.local_rank),
            kept={},
        )
        address = RankAddress(rank=rank, host=rank_host.host, store=store)
        return Order(address=address, timeout_s=timeout_s, code=code_here())

    def _silence_of(self, waiting: Sequence[int], timeout_s: float) -> RankError:  # noqa: ARG002
        late = ", ".join(f"{one} on {self._rank_hosts.ranks[one].host}" for one in waiting)
        return RankError(f"rank {late}: no answer")

    def _receive(self, index: int, waiting: Sequence[int]) -> Any:
        try:
            succeeded, answer = self._connections[index].recv()
        except (EOFError, OSError) as error:
            succeeded, answer = False, (str(self._loss_of(index, error)), None)
        if not succeeded:
            raise self._failure(answer, [one for one in waiting if one != index])
        return answer

    def _failure(self, first: tuple[str, BaseException | None], others: Sequence[int]) -> RankError:
        """Put what other ranks say at the same time (where they hang, say) below the first."""
        message, cause = first
        said, deadline = [message], time.monotonic() + GRACE_S
        for index in others:
            with suppress(EOFError, OSError):
                if self._connections[index].poll(max(0.0, deadline - time.monotonic())):
                    succeeded, answer = self._connections[index].recv()
                    said += [] if succeeded else [answer[0]]
        error = RankError("\n\n".join(said))
        error.__cause__ = cause
        return error

    def _loss_of(self, index: int, error: Exception) -> RankError:
        rank_host = self._rank_hosts.ranks[index]
        why = f" ({error})" if str(error) else ""
        return RankError(
            f"rank {index} of {len(self._rank_hosts.ranks)} on {rank_host.host} is lost: "
            f"its process ended, or its host cannot be reached{why}"
        )


def serve_part(connection: Connection) -> None:
    """Hold one rank of a world for the controller at the other end, until that hangs up."""
    with connection, suppress(EOFError, OSError):
        order: Order = connection.recv()
        try:
            _serve_rank(connection, order)
        except EOFError:
            return  # the controller has hung up
        except RankError as error:
            connection.send((False, (str(error), portable(error.__cause__))))
        except Exception as error:  # noqa: BLE001  whatever it is, the controller has to know
            connection.send((False, (f"{_name(order.address)}: {error!r}", portable(error))))
        connection.recv()  # it hangs up when it has heard all


def _serve_rank(connection: Connection, order: Order) -> None:
    if order.code != code_here():
        raise RankError(f"{_name(order.address)} has other code than rank 0: {code_here()}")
    size = order.address.rank.world_size
    with LocalWorld(
        size, timeout_s=order.timeout_s, address=order.address, owners=[connection]
    ) as world:
        connection.send((True, None))
        while True:
            job, args = connection.recv()
            connection.send((True, world.run(job, *args)[0]))


def _name(address: RankAddress) -> str:
    return f"rank {address.rank.index} of {address.rank.world_size} on {address.host}"


def code_here() -> str:
    """Name what a rank computes with on this machine: versions, and a digest of this package."""
    folder = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes() + b"\0")
    python = platform.python_version()
    return f"Python {python}, torch {version('torch')}, hpml_models {digest.hexdigest()[:12]}"
