"""Checkpoints that every strategy reads, on any number of ranks: torch.distributed.checkpoint.

A checkpoint holds whole tensors by the names that they have on one device. It is written into a
folder of another name, which is renamed when all ranks are done: it is there whole, or not at all.
"""

import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import msgspec

from hpml_models.types import Snapshot

if TYPE_CHECKING:
    from torch import Tensor

VERSION = 1
KEPT = 2  # checkpoints: one may turn out to be on a disk that failed
HEADER = "training.json"


class CheckpointError(Exception):
    """A checkpoint cannot be read, or is of another training; the message says what to do."""


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """What must be the same for a run to go on as if it had not been interrupted."""

    model: str
    optimizer: str
    batch: int
    seed: int
    samples: int
    scheduled_steps: int | None  # of a run with a schedule
    parameters: dict[str, list[int]]  # shapes


class Epoch(msgspec.Struct, frozen=True, kw_only=True):
    """What a run had reached after an epoch; epochs count from 1."""

    number: int
    training_loss: float  # mean over the steps
    quality: float | None  # of the validation, if there is one


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run is: the place in the data follows from the steps."""

    step: int = 0
    loss_sum: float = 0.0  # over the steps of the epoch that has begun
    epochs: tuple[Epoch, ...] = ()


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in a checkpoint beside the tensors."""

    version: int
    training: Training
    progress: Progress


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """The checkpoints of one run: one folder each, below ``folder``, which all ranks see.

    ``every``: after how many steps one is saved; the end of an epoch always is.
    """

    folder: Path
    every: int | None = None

    def save(self, snapshot: Snapshot, header: Header) -> None:
        """Save what the ranks hold together; every rank must do so."""
        from torch.distributed import checkpoint

        whole = self.folder / f"step-{header.progress.step:09d}"
        partial = whole.with_suffix(".partial")
        if _is_first():
            for left in [*self.folder.glob("step-*.partial"), whole]:
                shutil.rmtree(left, ignore_errors=True)
            partial.mkdir(parents=True)
            (partial / HEADER).write_bytes(msgspec.json.encode(header))
        _wait_for_all()
        with _without_notes():
            checkpoint.save(_flat(snapshot), checkpoint_id=partial)
        if _is_first():
            partial.rename(whole)
            for old in self.whole()[:-KEPT]:
                shutil.rmtree(old)
        _wait_for_all()

    def whole(self) -> list[Path]:
        """Return the checkpoints that were saved to their end, the oldest first."""
        return sorted(one for one in self.folder.glob("step-*") if one.suffix != ".partial")


def read_header(path: Path, training: Training) -> Header:
    """Read how far a checkpoint is; raise CheckpointError if it is not of this training."""
    try:
        version = msgspec.json.decode((path / HEADER).read_bytes()).get("version")
        if version != VERSION:
            raise CheckpointError(
                f"{path} has version {version}, this code reads {VERSION}: go on with the code "
                "that saved it, or start anew in an empty folder"
            )
        header = msgspec.json.decode((path / HEADER).read_bytes(), type=Header)
    except (OSError, AttributeError, msgspec.DecodeError) as error:
        raise _broken(path, error) from None
    if different := _differences(header.training, training):
        raise CheckpointError(f"{path} is of another training: {different}")
    return header


def _broken(path: Path, error: BaseException) -> CheckpointError:
    return CheckpointError(
        f"{path} is half a checkpoint ({type(error).__name__} {error}): delete it, and the run "
        "goes on from the one before"
    )


def _differences(saved: Training, current: Training) -> str:
    before, now = msgspec.structs.asdict(saved), msgspec.structs.asdict(current)
    before |= before.pop("parameters")
    now |= now.pop("parameters")
    different = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    lines = [f"{name} {before.get(name)}, here {now.get(name)}" for name in different[:3]]
    return "; ".join([*lines, *(["..."] if len(different) > len(lines) else [])])


def read_tensors(path: Path) -> Snapshot:
    """Read a checkpoint's tensors, whole, in the process that calls; other ranks do the same."""
    import torch
    from torch.distributed import checkpoint
    from torch.distributed.checkpoint.api import CheckpointException

    try:
        found: Any = checkpoint.FileSystemReader(path).read_metadata().state_dict_metadata
        tensors = {
            name: torch.empty(one.size, dtype=one.properties.dtype) for name, one in found.items()
        }
        with _without_notes():
            checkpoint.load(tensors, checkpoint_id=path, no_dist=True)
    except CheckpointException as error:
        raise _broken(path, next(iter(error.failures.values()))[0]) from None
    except (OSError, EOFError, UnpicklingError) as error:
        raise _broken(path, error) from None
    return _snapshot(tensors)


KINDS = ("parameters", "optimizer", "counts", "buffers")  # gradients are of no use later


def _flat(snapshot: Snapshot) -> "dict[str, Tensor]":
    return {
        f"{kind}/{name}": tensor
        for kind in KINDS
        for name, tensor in getattr(snapshot, kind).items()
    }


def _snapshot(tensors: "dict[str, Tensor]") -> Snapshot:
    kinds: dict[str, dict[str, Tensor]] = {kind: {} for kind in KINDS}
    for name, tensor in tensors.items():
        kind, _, of = name.partition("/")
        kinds[kind][of] = tensor
    return Snapshot(gradients={}, **kinds)


@contextmanager
def _without_notes() -> Iterator[None]:
    """Leave out torch's note that there is no process group: one process may well save alone."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled")
        yield


def _is_first() -> bool:
    import torch.distributed as dist

    return not dist.is_initialized() or dist.get_rank() == 0


def _wait_for_all() -> None:
    import torch.distributed as dist

    if dist.is_initialized():
        dist.barrier()
