"""Jobs that ranks are sent to behave badly. No pytest here: ranks import this file."""

import os
import signal
import time

import torch
import torch.distributed as dist

from hpml_models.types import Rank
from hpml_steps.incorrect import Incorrect


def pid(_: Rank) -> int:
    return os.getpid()


def add_up(rank: Rank, number: int) -> int:
    total = torch.tensor(number * (rank.index + 1))
    dist.all_reduce(total)
    return int(total)


def keep(rank: Rank, value: int) -> None:
    rank.kept["value"] = value


def recall(rank: Rank) -> int:
    return int(rank.kept["value"])


def raise_on(rank: Rank, index: int) -> None:
    if rank.index == index:
        raise ValueError("a planted failure")
    dist.barrier()


def exit_on(rank: Rank, index: int) -> None:
    if rank.index == index:
        os._exit(7)
    dist.barrier()


def kill_on(rank: Rank, index: int) -> None:
    if rank.index == index:
        os.kill(os.getpid(), signal.SIGKILL)
    dist.barrier()


def hang_on(rank: Rank, index: int) -> None:
    if rank.index == index:
        time.sleep(600)
    dist.barrier()


def unpicklable(_: Rank) -> object:
    return lambda: None


def raise_incorrect(_: Rank) -> None:
    raise Incorrect("a planted wrong result")
