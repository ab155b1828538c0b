"""What all worlds are: ranks that do jobs together, wherever they run."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any, Self

STOP_S = 2.0
GRACE_S = 0.5  # how much later than its peers' errors a rank's death may be noticed


class RankError(RuntimeError):
    """A rank failed; the message holds its number and traceback, the cause what it raised."""


class World(ABC):
    """Processes in one process group: gloo on the CPU, NCCL on CUDA devices.

    Use it as a context manager, or call :meth:`close`. After a failure it is closed for good. A
    job may take ``timeout_s`` seconds. A world that serves another process has its connections
    as ``owners``: it ends with EOFError once one of them has hung up.
    """

    def __init__(self, timeout_s: float, owners: Sequence[Connection] = ()) -> None:
        """Begin without ranks: there is one connection to each."""
        self._timeout_s = timeout_s
        self._owners = owners
        self._connections: list[Connection] = []

    def __enter__(self) -> Self:
        """Return the world itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the ranks."""
        self.close()

    @property
    def size(self) -> int:
        """How many ranks there are."""
        return len(self._connections)

    @property
    def is_open(self) -> bool:
        """Whether jobs can be run."""
        return bool(self._connections)

    def run(self, job: Callable[..., Any], *args: Any) -> list[Any]:
        """Call ``job(rank, *args)`` on every rank and return what each gave, by rank.

        Raises :class:`RankError` for the first rank that failed, and closes the world.
        """
        if not self.is_open:
            raise RankError("this world is closed: start another")
        try:
            for connection in self._connections:
                with suppress(OSError):  # that rank is gone; its answer will say so
                    connection.send((job, args))
            return self._collect(self._timeout_s)
        except BaseException:
            self.close()
            raise

    @abstractmethod
    def close(self) -> None:
        """End every rank and remove what it left."""

    @abstractmethod
    def _receive(self, index: int, waiting: Sequence[int]) -> Any:
        """Return a rank's answer; raise RankError if it failed while some were waited for."""

    @abstractmethod
    def _silence_of(self, waiting: Sequence[int], timeout_s: float) -> RankError:
        """Describe ranks that have not answered in time."""

    def _collect(self, timeout_s: float) -> list[Any]:
        """Wait for one answer of each rank; the first failure, by time, ends the waiting."""
        answers: dict[int, Any] = {}
        deadline = time.monotonic() + timeout_s
        while waiting := [index for index in range(self.size) if index not in answers]:
            ready = self._ready(waiting, max(0.0, deadline - time.monotonic()))
            if not ready:
                raise self._silence_of(waiting, timeout_s) from TimeoutError()
            for index in ready:
                answers[index] = self._receive(index, waiting)
        return [answers[index] for index in range(self.size)]

    def _ready(self, waiting: Sequence[int], timeout_s: float) -> list[int]:
        connections = [self._connections[index] for index in waiting]
        ready = wait([*connections, *self._owners], timeout_s)
        if not {*self._owners}.isdisjoint(ready):
            raise EOFError
        return [index for index in waiting if self._connections[index] in ready]
