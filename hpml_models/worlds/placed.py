"""A world whose ranks a launcher has placed, on this machine or on several.

The controller has a connection to each rank's *part*: a fresh process on that rank's machine with
a :class:`~hpml_models.worlds.local.World` of this one rank in it, which finds out there how its rank
fails, and says so. Rank 0 is on the controller's machine; its part is a thread.
"""

import hashlib
import json
import os
import platform
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from hpml_models.types import Device, Rank
from hpml_models.worlds.connections import dial
from hpml_models.worlds.local import GRACE_S, STOP_S, RankError, Seat, World, device_of
from hpml_models.worlds.rank_process import START_S, Store, portable

PLACES = "HPML_PLACES"  # the environment variable that tells a controller where its ranks are
MARGIN_S = 5.0  # a part that gives up says more than a controller that does, so it is first


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a launcher put a rank, and where the process that it started there listens."""

    rank: int
    local_rank: int
    host: str
    address: str
    port: int
    machine: str  # hardware and software there, in a word


@dataclass(frozen=True, kw_only=True)
class Places:
    """All places by rank, where their store is, and what callers must know."""

    ranks: Sequence[Place]
    address: str
    port: int
    token: str

    def publish(self) -> None:
        """Tell the processes that this one will start."""
        os.environ[PLACES] = json.dumps(asdict(self))

    @classmethod
    def published(cls) -> "Places":
        """Return what a process before this one has told."""
        told = json.loads(os.environ[PLACES])
        return cls(**{**told, "ranks": [Place(**one) for one in told["ranks"]]})


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a part is first sent: its rank, and the code that the controller runs."""

    seat: Seat
    timeout_s: float
    code: str


class PlacedWorld:
    """One rank in each place, in one process group, like :class:`~hpml_models.worlds.local.World`."""

    def __init__(self, places: Places, device: Device, timeout_s: float = 240.0) -> None:
        """Start every rank and wait until they have met; raises :class:`RankError` like a World."""
        self._places = places
        self._timeout_s = timeout_s
        self._lines: list[Connection] = []
        store = Store(address=places.address, port=places.port, prefix=uuid.uuid4().hex)
        try:
            for place in places.ranks:
                self._lines.append(self._reach(place))
            for place, line in zip(places.ranks, self._lines, strict=True):
                line.send(self._order(place, device, store))
            self._collect(START_S)
        except BaseException:
            self.close()
            raise

    def run(self, job: Callable[..., Any], *args: Any) -> list[Any]:
        """Call ``job(rank, *args)`` on every rank and return what each gave, by rank.

        Raises :class:`RankError`, which names the host, if one failed or is lost; closes the world.
        """
        if not self._lines:
            raise RankError("this world is closed: start another")
        try:
            for line in self._lines:
                with suppress(OSError):  # that part is gone; its answer will say so
                    line.send((job, args))
            return self._collect(self._timeout_s)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Hang up: each part then ends its rank."""
        for line in self._lines:
            line.close()
        self._lines = []
        if hasattr(self, "_own_part"):
            self._own_part.join(2 * STOP_S)

    def _reach(self, place: Place) -> Connection:
        if place.rank == 0:
            ours, theirs = Pipe()
            self._own_part = threading.Thread(target=serve_part, args=(theirs,), daemon=True)
            self._own_part.start()
            return ours
        try:
            return dial(place.address, place.port, self._places.token)
        except OSError as error:
            raise self._loss_of(place.rank, error) from None

    def _order(self, place: Place, device: Device, store: Store) -> Order:
        rank = Rank(
            index=place.rank,
            world_size=len(self._places.ranks),
            device=device_of(device, place.local_rank),
            kept={},
        )
        seat = Seat(rank=rank, host=place.host, store=store)
        return Order(seat=seat, timeout_s=self._timeout_s, code=code_here())

    def _collect(self, timeout_s: float) -> list[Any]:
        """Wait for one answer of each part; the first failure, by time, ends the waiting."""
        answers: dict[int, Any] = {}
        deadline = time.monotonic() + timeout_s + MARGIN_S
        while waiting := [index for index in range(len(self._lines)) if index not in answers]:
            for index in self._ready(waiting, max(0.0, deadline - time.monotonic())):
                succeeded, answers[index] = self._receive(index)
                if not succeeded:
                    raise self._failure(answers.pop(index), waiting)
        return [answers[index] for index in range(len(self._lines))]

    def _ready(self, waiting: Sequence[int], timeout_s: float) -> list[int]:
        ready = wait([self._lines[index] for index in waiting], timeout_s)
        if not ready:
            late = ", ".join(f"{one} on {self._places.ranks[one].host}" for one in waiting)
            raise RankError(f"rank {late}: no answer") from TimeoutError()
        return [index for index in waiting if self._lines[index] in ready]

    def _receive(self, index: int) -> tuple[bool, Any]:
        try:
            answer: tuple[bool, Any] = self._lines[index].recv()
        except (EOFError, OSError) as error:
            return False, (str(self._loss_of(index, error)), None)
        return answer

    def _failure(self, first: tuple[str, BaseException | None], others: Sequence[int]) -> RankError:
        """Put what other ranks say at the same time (where they hang, say) below the first."""
        message, cause = first
        said, deadline = [message], time.monotonic() + GRACE_S
        for index in others:
            with suppress(EOFError, OSError):
                if self._lines[index].poll(max(0.0, deadline - time.monotonic())):
                    succeeded, answer = self._lines[index].recv()
                    said += [] if succeeded else [answer[0]]
        error = RankError("\n\n".join(said))
        error.__cause__ = cause
        return error

    def _loss_of(self, index: int, error: Exception) -> RankError:
        place = self._places.ranks[index]
        why = f" ({error})" if str(error) else ""
        return RankError(
            f"rank {index} of {len(self._places.ranks)} on {place.host} is lost: "
            f"its process ended, or its host cannot be reached{why}"
        )


def serve_part(line: Connection) -> None:
    """Hold one rank of a world for the controller at the other end, until that hangs up."""
    with line, suppress(EOFError, OSError):
        order: Order = line.recv()
        try:
            _serve_rank(line, order)
        except EOFError:
            return  # the controller has hung up
        except RankError as error:
            line.send((False, (str(error), portable(error.__cause__))))
        except Exception as error:  # noqa: BLE001  whatever it is, the controller has to know
            line.send((False, (f"{_name(order.seat)}: {error!r}", portable(error))))
        line.recv()  # it hangs up when it has heard all


def _serve_rank(line: Connection, order: Order) -> None:
    if order.code != code_here():
        raise RankError(f"{_name(order.seat)} has other code than rank 0: {code_here()}")
    size = order.seat.rank.world_size
    with World(size, timeout_s=order.timeout_s, seat=order.seat, owners=[line]) as world:
        line.send((True, None))
        while True:
            job, args = line.recv()
            line.send((True, world.run(job, *args)[0]))


def _name(seat: Seat) -> str:
    return f"rank {seat.rank.index} of {seat.rank.world_size} on {seat.host}"


def code_here() -> str:
    """Name what a rank computes with on this machine: versions, and a digest of this package."""
    folder = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes() + b"\0")
    python = platform.python_version()
    return f"Python {python}, torch {version('torch')}, hpml_models {digest.hexdigest()[:12]}"
