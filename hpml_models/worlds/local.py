"""A world of ranks: starting them, running jobs on all of them, stopping them.

Ranks are forked from a server that has imported torch already, and meet in a file: no ports, no
second import. They are sent functions of modules and plain data. A rank that raises, dies or
hangs fails the job with that rank's traceback, ends the world, and leaves nothing behind.
"""

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Self

from hpml_models.types import Device, Rank
from hpml_models.worlds.rank_process import (
    STACK_END,
    STACK_SIGNAL,
    START_S,
    Store,
    serve,
    stack_file,
)

# What ranks import anyway, and nothing that starts threads: those would not survive the fork.
PRELOAD = [
    "torch",
    "torch._dynamo",
    "torch.distributed",
    "torch.distributed.fsdp",
    "torch.distributed.optim",
    "torch.distributed.pipelining",
    "torch.distributed.tensor.parallel",
    "torch.nn.parallel",
    "torch.utils.flop_counter",
    "torchvision",
]

STOP_S = 2.0
GRACE_S = 0.5  # how much later than its peers' errors a rank's death may be noticed


class RankError(RuntimeError):
    """A rank failed; the message holds its number and traceback, the cause what it raised."""


@dataclass(frozen=True, kw_only=True)
class RankAddress:
    """A rank that a launcher has placed on a host, and where it meets the ranks on others."""

    rank: Rank
    host: str
    store: Store


class World:
    """Processes in one process group: gloo on the CPU, NCCL on CUDA devices.

    Use it as a context manager, or call :meth:`close`. After a failure it is closed for good.
    """

    def __init__(
        self,
        size: int,
        device: Device = "cpu",
        timeout_s: float = 240.0,
        *,
        address: RankAddress | None = None,
        owners: Sequence[Connection] = (),
    ) -> None:
        """Start ``size`` ranks, or the one at an address, and wait until all have met.

        A job may take ``timeout_s`` seconds; a collective in it gives up a little later, and a
        launch of the gate (300 s by default) later still, so that it is the rank that is named.
        Raises :class:`RankError` if a rank cannot start, EOFError once an owner has hung up.
        """
        self._timeout_s = timeout_s
        self._owners = owners
        self._host = f" on {address.host}" if address else ""
        self._ranks = [address.rank] if address else _ranks_here(size, device)
        # Unlike mkdtemp's, this folder goes when the owner exits without closing the world.
        self._folder = tempfile.TemporaryDirectory(prefix="hpml-world-", ignore_cleanup_errors=True)
        self._processes: list[Any] = []
        self._pipes: list[Connection] = []
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOAD)
        try:
            for rank in self._ranks:
                self._start(context, rank, address.store if address else None)
            self._collect(START_S)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Return the world itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the ranks."""
        self.close()

    @property
    def size(self) -> int:
        """How many ranks there are here."""
        return len(self._pipes)

    @property
    def is_open(self) -> bool:
        """Whether jobs can be run."""
        return bool(self._processes)

    def run(self, job: Callable[..., Any], *args: Any) -> list[Any]:
        """Call ``job(rank, *args)`` on every rank and return what each gave, by rank.

        Raises :class:`RankError` for the first rank that failed, and closes the world.
        """
        if not self.is_open:
            raise RankError("this world is closed: start another")
        try:
            for pipe in self._pipes:
                with suppress(BrokenPipeError):  # that rank is dead; its answer will say so
                    pipe.send((job, args))
            return self._collect(self._timeout_s)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End every rank, by force where asking does not help, and remove the meeting place."""
        for pipe in self._pipes:
            pipe.close()
        deadline = time.monotonic() + STOP_S
        for process in self._processes:
            process.join(max(0.0, deadline - time.monotonic()))
        for process in self._processes:
            process.kill()
            process.join()
            process.close()
        self._pipes, self._processes = [], []
        self._folder.cleanup()

    def _start(self, context: Any, rank: Rank, store: Store | None) -> None:
        folder = Path(self._folder.name)
        stack_file(folder, rank.index).touch()
        ours, theirs = context.Pipe()
        process = context.Process(
            target=serve,
            args=(theirs, rank, folder, store, self._timeout_s + STOP_S),
            daemon=True,
        )
        process.start()
        theirs.close()
        self._pipes.append(ours)
        self._processes.append(process)

    def _collect(self, timeout_s: float) -> list[Any]:
        """Wait for one answer of each rank; the first failure, by time, ends the waiting."""
        answers: dict[int, Any] = {}
        deadline = time.monotonic() + timeout_s
        while len(answers) < self.size:
            waiting = [index for index in range(self.size) if index not in answers]
            ready = wait(
                [*(self._pipes[index] for index in waiting), *self._owners],
                max(0.0, deadline - time.monotonic()),
            )
            if not ready:
                raise RankError(
                    f"{self._called(*waiting)}: no answer in {timeout_s:g} s\n"
                    + "\n".join(self._stack_of(index) for index in waiting)
                ) from TimeoutError()
            if not {*self._owners}.isdisjoint(ready):
                raise EOFError
            for index in waiting:
                if self._pipes[index] in ready:
                    answers[index] = self._receive(index)
        return [answers[index] for index in range(self.size)]

    def _receive(self, index: int) -> Any:
        try:
            succeeded, answer = self._pipes[index].recv()
        except (EOFError, ConnectionResetError):
            raise self._death_of(index) from None
        if not succeeded:
            # A rank that dies makes the others' collectives raise; it is the cause, they are not.
            ended = wait([process.sentinel for process in self._processes], GRACE_S)
            for other, process in enumerate(self._processes):
                if process.sentinel in ended:
                    raise self._death_of(other)
            error, details = answer
            summary = details.rstrip().rpartition("\n")[2]
            raise RankError(f"{self._called(index)} raised {summary}\n{details}") from error
        return answer

    def _called(self, *indices: int) -> str:
        """Name ranks by their number in the whole world, and their host if there are several."""
        numbers = ", ".join(str(self._ranks[index].index) for index in indices)
        return f"rank {numbers} of {self._ranks[0].world_size}{self._host}"

    def _stack_of(self, index: int) -> str:
        """Let a rank that hangs write down where it is; a rank that cannot even do that says so."""
        number = self._ranks[index].index
        written = stack_file(Path(self._folder.name), number)
        with suppress(ProcessLookupError):
            os.kill(self._processes[index].pid, STACK_SIGNAL)
        stack, deadline = "", time.monotonic() + STOP_S
        while not stack.endswith(STACK_END) and time.monotonic() < deadline:
            time.sleep(0.01)
            stack = written.read_text(encoding="utf-8")
        written_down = stack.removesuffix(STACK_END) or "  it does not tell"
        return f"rank {number} is here, innermost call first:\n{written_down}"

    def _death_of(self, index: int) -> RankError:
        self._processes[index].join(STOP_S)
        status = self._processes[index].exitcode
        return RankError(f"{self._called(index)} died: exit status {status}")


def _ranks_here(size: int, device: Device) -> list[Rank]:
    return [
        Rank(index=index, world_size=size, device=device_of(device, index), kept={})
        for index in range(size)
    ]


def device_of(device: Device, index: int) -> str:
    """Return the torch device of a rank on this machine."""
    return "cpu" if device == "cpu" else f"cuda:{index}"
