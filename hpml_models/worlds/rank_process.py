"""The process of one rank: it meets the others, then does the jobs that it is sent."""

import faulthandler
import multiprocessing
import os
import shutil
import signal
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

from hpml_models.types import Rank

START_S = 120.0  # importing torch on a busy machine, then meeting
STACK_SIGNAL = signal.SIGUSR1
STACK_END = f"\n{chr(STACK_SIGNAL)}"


@dataclass(frozen=True, kw_only=True)
class Store:
    """A launcher's key-value store, and the prefix of one world's keys in it."""

    address: str
    port: int
    prefix: str


def serve(
    pipe: Connection, rank: Rank, folder: Path, store: Store | None, timeout_s: float
) -> None:
    """Be a rank: meet the others, then do the jobs that come until the pipe closes."""
    faulthandler.enable()
    _tell_when_asked(stack_file(folder, rank.index))
    threading.Thread(target=_leave_with_parent, args=(folder,), daemon=True).start()
    try:
        _answer(pipe, lambda: _meet(rank, store or folder / "store", timeout_s))
        while True:
            order = pipe.recv_bytes()
            _answer(pipe, lambda: _carry_out(order, rank))  # noqa: B023  called at once
    except (EOFError, OSError):
        _leave(folder)  # closed by the controller; no rank waits for the others' goodbye


def _tell_when_asked(written: Path) -> None:
    """Have this process write down its stack when STACK_SIGNAL comes, whatever it hangs in.

    A dump has no end of its own: Python's handler, called after it, marks it, even where no
    Python code can run.
    """
    stack = os.open(written, os.O_WRONLY | os.O_NONBLOCK)
    signal.signal(STACK_SIGNAL, lambda *_: None)
    signal.set_wakeup_fd(stack)  # gets the number of each signal as a byte
    faulthandler.register(STACK_SIGNAL, file=stack, all_threads=False, chain=True)


def _carry_out(order: bytes, rank: Rank) -> Any:
    job, args = ForkingPickler.loads(order)
    return job(rank, *args)


def _answer(pipe: Connection, work: Callable[[], Any]) -> None:
    try:
        answer = ForkingPickler.dumps((True, work()))
    except Exception as error:  # noqa: BLE001  whatever it is, it belongs to whoever sent the job
        answer = ForkingPickler.dumps((False, (portable(error), traceback.format_exc())))
    pipe.send_bytes(answer)


def portable(error: BaseException | None) -> BaseException | None:
    """Return the error if it survives being sent; some cannot be made again from their pickle."""
    try:
        ForkingPickler.loads(ForkingPickler.dumps(error))
    except Exception:  # noqa: BLE001  a pickle may raise anything
        return None
    return error


def _meet(rank: Rank, store: Store | Path, timeout_s: float) -> None:
    import torch
    import torch.distributed as dist

    on_cuda = rank.device != "cpu"
    if on_cuda:
        torch.cuda.set_device(rank.device)
    else:
        torch.set_num_threads(1)  # a rank on the CPU is one core
    dist.init_process_group(
        "nccl" if on_cuda else "gloo",
        store=_opened(store, rank),
        rank=rank.index,
        world_size=rank.world_size,
        timeout=timedelta(seconds=timeout_s),
        device_id=torch.device(rank.device) if on_cuda else None,
    )


def _opened(store: Store | Path, rank: Rank) -> Any:
    """Return torch's store: a file where all ranks are on this machine, else the launcher's."""
    import torch.distributed as dist

    if isinstance(store, Path):
        return dist.FileStore(str(store), rank.world_size)
    server = dist.TCPStore(store.address, store.port, timeout=timedelta(seconds=START_S))
    return dist.PrefixStore(store.prefix, server)


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


def stack_file(folder: Path, index: int) -> Path:
    """Return where a rank writes down, when it is told to, what it is doing; then STACK_END."""
    return folder / f"stack-{index}"
