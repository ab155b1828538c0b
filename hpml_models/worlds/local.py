"""A world of ranks on this machine: starting them, running jobs on all of them, stopping them.

Ranks are forked from a server that has imported torch already, and meet in a file: no ports, no
second import. They are sent functions of modules and plain data. A rank that raises, dies or
hangs fails the job with that rank's traceback, ends the world, and leaves nothing behind.
"""

import multiprocessing
import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from hpml_models.types import Device, Rank
from hpml_models.worlds.rank_process import (
    STACK_END,
    STACK_SIGNAL,
    START_S,
    Store,
    serve,
    stack_file,
)
from hpml_models.worlds.world import GRACE_S, STOP_S, RankError, World

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


@dataclass(frozen=True, kw_only=True)
class RankAddress:
    """A rank that a launcher has placed on a host, and where it meets the ranks on others."""

    rank: Rank
    host: str
    store: Store


class LocalWorld(World):
    """Ranks on this machine."""

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

        A collective in a job gives up a little later than the job's ``timeout_s``, and a launch of
        the gate (300 s by default) later still, so that it is the rank that is named. Raises
        :class:`RankError` if a rank cannot start, EOFError once an owner has hung up.
        """
        super().__init__(timeout_s, owners)
        self._host = f" on {address.host}" if address else ""
        self._ranks = [address.rank] if address else _ranks_here(size, device)
        # Unlike mkdtemp's, this folder goes when the owner exits without closing the world.
        self._folder = tempfile.TemporaryDirectory(prefix="hpml-world-", ignore_cleanup_errors=True)
        self._processes: list[Any] = []
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOAD)
        try:
            for rank in self._ranks:
                self._start(context, rank, address.store if address else None)
            self._collect(START_S)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End every rank, by force where asking does not help, and remove the meeting place."""
        for connection in self._connections:
            connection.close()
        deadline = time.monotonic() + STOP_S
        for process in self._processes:
            process.join(max(0.0, deadline - time.monotonic()))
        for process in self._processes:
            process.kill()
            process.join()
            process.close()
        self._connections, self._processes = [], []
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
        self._connections.append(ours)
        self._processes.append(process)

    def _silence_of(self, waiting: Sequence[int], timeout_s: float) -> RankError:
        stacks = "\n".join(self._stack_of(index) for index in waiting)
        return RankError(f"{self._called(*waiting)}: no answer in {timeout_s:g} s\n{stacks}")

    def _receive(self, index: int, waiting: Sequence[int]) -> Any:  # noqa: ARG002  all are here
        try:
            succeeded, answer = self._connections[index].recv()
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
