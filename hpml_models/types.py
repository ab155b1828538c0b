"""The types that the rooms of this package share: frozen, keyword-only, light to import.

Shapes: B batch, C channels, H height, W width, K classes.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Mode = Literal["train", "inference"]
Device = Literal["cpu", "cuda"]
PresetName = Literal["tiny", "small", "paper"]

SYNTHETIC = "synthetic"
SEED = 42  # weights and synthetic data of every case: two runs time the same numbers


class Incorrect(AssertionError):
    """A variant gave a wrong result, or did not take effect: its time would mean nothing."""


class Batch(NamedTuple):
    """Inputs ``[B, ...]`` and targets ``[B]``."""

    inputs: "Tensor"
    targets: "Tensor"

    def __len__(self) -> int:
        """Count the samples; a tuple would count its two members."""
        return len(self.inputs)


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """A data set: its shapes for synthetic batches, and how to load the real one."""

    name: str
    input_shape: tuple[int, ...]  # of one sample: [C, H, W] for images
    classes: int
    open: Callable[[Path, str], Any]  # (data root, "train" or "test") -> torch Dataset


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A size of a model's workload; ``options`` go to its ``build``."""

    batch: int
    options: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """A model: how to build it, what it eats, how it is trained."""

    name: str
    data: str  # name of its DataSpec
    presets: Mapping[PresetName, Preset]
    build: Callable[..., "nn.Module"]
    loss: "Callable[[Tensor, Tensor], Tensor]"
    optimizer: "Callable[[Iterator[nn.Parameter]], torch.optim.Optimizer]"
    parameter_count: int | None = None  # published or derived; a build that differs is an error


@dataclass(frozen=True, kw_only=True)
class Precision:
    """How numbers are held while a step runs."""

    name: str
    autocast: str | None  # a torch dtype's name; None: float32 throughout, TF32 off
    output_dtype: str  # what the model's outputs must have if the precision took effect
    output_tolerance: float  # relative, against float32 on the same inputs


@dataclass(frozen=True, kw_only=True)
class Case:
    """One cell of the matrix; names and numbers only, so it can be sent to any process."""

    mode: Mode
    model: str
    data: str
    preset: PresetName
    batch: int  # global: all ranks together
    strategy: str
    device_count: int
    device: Device
    precision: str
    runtime: str
    quantization: str
    data_root: str | None = None  # where, not what: the only field that is no part of the id

    @property
    def cpus(self) -> int | None:
        """How many CPUs it computes on, None for all: one for each device that is a CPU."""
        return self.device_count if self.device == "cpu" else None

    @property
    def id(self) -> str:
        """The case in words: the key of its baseline. Eager and unquantized go without saying."""
        words = [
            self.mode,
            self.model,
            self.data,
            self.preset,
            f"b{self.batch}",
            self.strategy,
            f"x{self.device_count}",
            self.device,
            self.precision,
        ]
        extras = [self.runtime] * (self.runtime != "eager") + [self.quantization] * (
            self.quantization != "none"
        )
        return "-".join(words + extras)


@dataclass(frozen=True, kw_only=True)
class Rank:
    """Where a process stands in its world; ``kept`` holds what it prepared between jobs."""

    index: int
    world_size: int
    device: str  # "cpu" or "cuda:2"
    kept: dict[str, Any]


class Share(NamedTuple):
    """One rank's part of a global batch.

    ``weight`` turns the mean loss over the part into this rank's term of the mean over the
    whole: ranks average their gradients, so it is ``len(part) * world_size / len(whole)``.
    """

    batch: Batch
    weight: float


class Trainer(Protocol):
    """A model under a strategy, as one rank sees it."""

    def share(self, batch: Batch) -> Share:
        """Cut this rank's part out of a global batch."""

    def step(self, share: Share) -> "Tensor":
        """Do one optimisation step and return the part's mean loss, detached."""

    def parameters(self) -> "dict[str, Tensor]":
        """Return the whole model's parameters by the name they have on one device."""


class Strategy(Protocol):
    """A way to train one model on several devices; one file each in ``strategies``."""

    name: str
    device_counts: range  # the counts at which the strategy means something
    needs_world: bool  # whether it runs in a process group

    def why_not(self, spec: ModelSpec, case: Case) -> str | None:
        """Return the reason why the model cannot be trained this way, None if it can."""

    def prepare(self, task: "Task") -> Trainer:
        """Put the task's model under the strategy, in the rank that calls."""

    def proof(self, trainer: Trainer, rank: Rank) -> dict[str, Any]:
        """Read back what took effect after some steps; raise :class:`Incorrect` if it did not."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is to be trained: the model on this rank's device, not yet under any strategy."""

    module: "nn.Module"
    loss: "Callable[[Tensor, Tensor], Tensor]"
    optimizer: "Callable[[Iterator[nn.Parameter]], torch.optim.Optimizer]"
    precision: Precision
    rank: Rank


Predictor = Callable[["Tensor"], "Tensor"]
"""Inputs ``[B, ...]`` to outputs ``[B, K]``, whatever runs underneath."""


class Runtime(Protocol):
    """What executes a model's forward pass; one file each in ``runtimes``."""

    name: str
    output_tolerance: float  # relative, against eager on the same inputs

    def why_not(self, spec: ModelSpec, case: Case) -> str | None:
        """Return the reason why the model cannot run this way, None if it can."""

    def prepare(self, module: "nn.Module", example: "Tensor") -> Predictor:
        """Turn an eager module into what the runtime executes."""

    def proof(self, predictor: Predictor) -> dict[str, Any]:
        """Read back what took effect; raise :class:`Incorrect` if nothing did."""


class Quantization(Protocol):
    """How weights and activations are held as integers; one file each in ``quantization``."""

    name: str
    output_tolerance: float  # relative, against float32 on the same inputs

    def why_not(self, spec: ModelSpec, case: Case) -> str | None:
        """Return the reason why the model cannot be quantized this way, None if it can."""

    def apply(self, module: "nn.Module", calibration: "Tensor") -> "nn.Module":
        """Quantize a module in eval mode, calibrated on ``calibration`` ``[B, ...]``."""

    def proof(self, original: "nn.Module", quantized: "nn.Module") -> dict[str, Any]:
        """Read back what took effect; raise :class:`Incorrect` if nothing did."""
