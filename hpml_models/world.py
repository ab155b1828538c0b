"""A world of ranks: starting them, running jobs on all of them, stopping them.

Ranks are forked from a server that has imported torch already, and meet in a file: no ports, no
second import. They are sent functions of modules and plain data. A rank that raises, dies or
hangs fails the job with that rank's traceback, ends the world, and leaves nothing behind.
"""

import faulthandler
import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any, Self

from hpml_models.types import Device, Rank

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

START_S = 120.0  # importing torch on a busy machine, then meeting
STOP_S = 2.0
STACK_SIGNAL = signal.SIGUSR1
GRACE_S = 0.5  # how much later than its peers' errors a rank's death may be noticed


class RankError(RuntimeError):
    """A rank failed; the message holds its number and traceback, the cause what it raised."""


class World:
    """``size`` processes in one process group: gloo on the CPU, NCCL on CUDA devices.

    Use it as a context manager, or call :meth:`close`. After a failure it is closed for good.
    """

    def __init__(self, size: int, device: Device = "cpu", timeout_s: float = 240.0) -> None:
        """Start the ranks and wait until they have met.

        A job may take ``timeout_s`` seconds; a collective in it gives up a little later, and a
        launch of the gate (300 s by default) later still, so that it is the rank that is named.
        Raises :class:`RankError` if a rank cannot start.
        """
        self._timeout_s = timeout_s
        # Unlike mkdtemp's, this folder goes when the owner exits without closing the world.
        self._folder = tempfile.TemporaryDirectory(prefix="hpml-world-", ignore_cleanup_errors=True)
        self._processes: list[Any] = []
        self._pipes: list[Connection] = []
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOAD)
        try:
            for index in range(size):
                rank = Rank(index=index, world_size=size, device=device_of(device, index), kept={})
                self._start(context, rank, timeout_s)
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
        """How many ranks there are."""
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

    def _start(self, context: Any, rank: Rank, timeout_s: float) -> None:
        _stack_file(Path(self._folder.name), rank.index).touch()
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_serve,
            args=(theirs, rank, Path(self._folder.name) / "store", timeout_s + STOP_S),
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
                [self._pipes[index] for index in waiting], max(0.0, deadline - time.monotonic())
            )
            if not ready:
                late = ", ".join(map(str, waiting))
                raise RankError(
                    f"rank {late} of {self.size}: no answer in {timeout_s:g} s\n"
                    + "\n".join(self._stack_of(index) for index in waiting)
                ) from TimeoutError()
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
            raise RankError(f"rank {index} of {self.size} raised {summary}\n{details}") from error
        return answer

    def _stack_of(self, index: int) -> str:
        """Let a rank that hangs write down where it is; a rank that cannot even do that says so."""
        written = _stack_file(Path(self._folder.name), index)
        with suppress(ProcessLookupError):
            os.kill(self._processes[index].pid, STACK_SIGNAL)
        deadline = time.monotonic() + GRACE_S
        while not (stack := written.read_text(encoding="utf-8")) and time.monotonic() < deadline:
            time.sleep(0.01)
        return f"rank {index} is here, innermost call first:\n{stack or '  it does not tell'}"

    def _death_of(self, index: int) -> RankError:
        self._processes[index].join(STOP_S)
        status = self._processes[index].exitcode
        return RankError(f"rank {index} of {self.size} died: exit status {status}")


def _stack_file(folder: Path, index: int) -> Path:
    return folder / f"stack-{index}"


def device_of(device: Device, index: int) -> str:
    """Return the torch device of a rank on this machine."""
    return "cpu" if device == "cpu" else f"cuda:{index}"


def _serve(pipe: Connection, rank: Rank, store: Path, timeout_s: float) -> None:
    """Be a rank: meet the others, then do the jobs that come until the pipe closes."""
    faulthandler.enable()
    stack = _stack_file(store.parent, rank.index).open("w", encoding="utf-8")
    faulthandler.register(STACK_SIGNAL, file=stack, all_threads=False)
    threading.Thread(target=_leave_with_parent, args=(store.parent,), daemon=True).start()
    try:
        _answer(pipe, lambda: _meet(rank, store, timeout_s))
        while True:
            order = pipe.recv_bytes()
            _answer(pipe, lambda: _carry_out(order, rank))  # noqa: B023  called at once
    except (EOFError, OSError):
        _leave(store.parent)  # closed by the controller; no rank waits for the others' goodbye


def _carry_out(order: bytes, rank: Rank) -> Any:
    job, args = ForkingPickler.loads(order)
    return job(rank, *args)


def _answer(pipe: Connection, work: Callable[[], Any]) -> None:
    try:
        answer = ForkingPickler.dumps((True, work()))
    except Exception as error:  # noqa: BLE001  whatever it is, it belongs to whoever sent the job
        answer = ForkingPickler.dumps((False, (_portable(error), traceback.format_exc())))
    pipe.send_bytes(answer)


def _portable(error: Exception) -> Exception | None:
    """Return the error if it survives being sent; some cannot be made again from their pickle."""
    try:
        ForkingPickler.loads(ForkingPickler.dumps(error))
    except Exception:  # noqa: BLE001  a pickle may raise anything
        return None
    return error


def _meet(rank: Rank, store: Path, timeout_s: float) -> None:
    import torch
    import torch.distributed as dist

    on_cuda = rank.device != "cpu"
    if on_cuda:
        torch.cuda.set_device(rank.device)
    else:
        torch.set_num_threads(1)  # a rank on the CPU is one core
    dist.init_process_group(
        "nccl" if on_cuda else "gloo",
        store=dist.FileStore(str(store), rank.world_size),
        rank=rank.index,
        world_size=rank.world_size,
        timeout=timedelta(seconds=timeout_s),
        device_id=torch.device(rank.device) if on_cuda else None,
    )


def _leave_with_parent(folder: Path) -> None:
    """End this rank when the process that started it is gone, even in the midst of a collective."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        _leave(folder)


def _leave(folder: Path) -> None:
    """Remove the meeting place, then end this process at once.

    Whoever was killed could not clean up. A rank notices in two threads, and the first to get
    here ends both: so each of them removes the folder before it does.
    """
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)
