"""The types that the rooms of this package share: frozen, keyword-only, light to import."""

from collections.abc import Callable, Iterable, Mapping, Sequence
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
    """Inputs ``[B, ...]`` and targets ``[B, ...]``."""

    inputs: "Tensor"
    targets: "Tensor"

    def __len__(self) -> int:
        """Count the samples; a tuple would count its two members."""
        return len(self.inputs)


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """A real data set, and how to open it."""

    name: str
    open: Callable[[Path, str], Any]  # (data root, "train" or "test") -> torch Dataset


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A size of a model's workload; ``options`` go to its ``build`` and its ``make_batch``."""

    batch: int
    options: Mapping[str, Any]


PipelineLayers = Callable[["nn.Module"], "list[nn.Module]"]
"""A model as modules that run one after the other: where it may be cut into stages."""


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """A model: how to build it, what it eats, how it is trained, how it may be taken apart.

    ``loss`` is a mean; ``terms`` counts what it is the mean of, given the targets: the mean over
    a whole batch is the mean of its parts' losses weighted by their terms.
    """

    name: str
    data: str | None  # name of its DataSpec; None: synthetic batches only
    presets: Mapping[PresetName, Preset]
    build: Callable[..., "nn.Module"]
    make_batch: Callable[..., Batch]  # (batch, torch.Generator, **options): one synthetic batch
    loss: "Callable[[Tensor, Tensor], Tensor]"
    optimizer: "Callable[[Iterable[Any]], torch.optim.Optimizer]"
    loss_count: "Callable[[Tensor], int]" = len
    is_symbolic: bool = True  # whether torch.fx can follow its forward pass without running it
    pipeline_layers: PipelineLayers | None = None
    pipeline_layer_count: Callable[..., int] | None = None  # (**options): how many the chain has
    tensor_plan: "Callable[[nn.Module], Mapping[str, Any]] | None" = None  # to ParallelStyles
    parameter_count: Callable[..., int] | None = None  # (**options): published, or by hand


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
    variant: str = ""  # of the strategy: a schedule, a stage of sharding
    stages: int = 1  # ranks that a replica of the model is cut over
    micro_batches: int = 1  # parts that each replica's share of the batch is worked through in
    device_count: int
    nodes: int = 0  # machines that a launcher has placed the ranks on; 0: they are started here
    device: Device
    precision: str
    runtime: str
    quantization: str
    data_root: str | None = None  # where, not what: the only field that is no part of the id

    @property
    def cpus(self) -> int | None:
        """How many CPUs it computes on: one for each device that is a CPU.

        None for all, and for ranks that a launcher has placed: where they run is its to say.
        """
        return self.device_count if self.device == "cpu" and not self.nodes else None

    @property
    def devices_per_node(self) -> int:
        """How many devices it uses of one machine."""
        return -(-self.device_count // max(1, self.nodes))

    @property
    def id(self) -> str:
        """The case in words: the key of its baseline. What is usual goes without saying."""
        words = [
            self.mode,
            self.model,
            self.data,
            self.preset,
            f"b{self.batch}",
            self.layout,
            self.device,
            self.precision,
            self.runtime if self.runtime != "eager" else "",
            self.quantization if self.quantization != "none" else "",
        ]
        return "-".join(word for word in words if word)

    @property
    def layout(self) -> str:
        """The part of the id that says how the work is shared out."""
        words = [
            self.strategy,
            self.variant,
            f"s{self.stages}" if self.stages not in (1, self.device_count) else "",
            f"m{self.micro_batches}" if self.micro_batches > 1 else "",
            f"x{self.device_count}",
            f"n{self.nodes}" if self.nodes else "",
        ]
        return "-".join(word for word in words if word)


@dataclass(frozen=True, kw_only=True)
class Rank:
    """Where a process stands in its world; ``kept`` holds what it prepared between jobs."""

    index: int
    world_size: int
    device: str  # "cpu" or "cuda:2"
    kept: dict[str, Any]


class MicroBatch(NamedTuple):
    """A micro-batch of one rank; ``weight`` is its part of the whole batch's terms of the loss."""

    batch: Batch
    weight: float


class Snapshot(NamedTuple):
    """Whole tensors by the name that they have on one device; together the ranks give all.

    ``gradients`` are those of the last step, as the optimizer used them; an optimizer's tensors
    are named ``PARAMETER.KEY``.
    """

    parameters: "dict[str, Tensor]"
    gradients: "dict[str, Tensor]"
    optimizer: "dict[str, Tensor]"


@dataclass(frozen=True, kw_only=True)
class ModelBytes:
    """What a process holds of a model."""

    parameter_bytes: float
    optimizer_bytes: float

    @property
    def total_bytes(self) -> float:
        """Both together."""
        return self.parameter_bytes + self.optimizer_bytes


class Trainer(Protocol):
    """A model under a strategy, as one rank sees it."""

    def split(self, batch: Batch) -> list[MicroBatch]:
        """Cut this rank's micro-batches out of a global batch."""

    def samples(self, micro_batches: list[MicroBatch]) -> int:
        """Count the samples that this rank answers for: over all ranks, each counts once."""

    def step(self, micro_batches: list[MicroBatch]) -> "Tensor":
        """Do one optimisation step; return this rank's term of the global batch's mean loss."""

    def snapshot(self) -> Snapshot:
        """Gather what this rank can give of the model; every rank must ask at the same time."""


class Strategy(Protocol):
    """A way to train one model on several devices; one file each in ``strategies``.

    Subclass it: what most strategies have in common is given here.
    """

    name: str
    variants: Sequence[str] = ("",)  # schedules, say, where there are several
    device_counts: range = range(2, 1025)  # those at which the strategy means something
    micro_batches: int = 1  # how many a replica works through, unless options say
    needs_world: bool = True  # whether it runs in a process group

    def stage_counts(self, device_count: int) -> Sequence[int]:  # noqa: ARG002  for pipelines
        """Return into how many stages a replica may be cut; 1: each device has all layers."""
        return (1,)

    def why_not(self, spec: ModelSpec, case: Case) -> str | None:
        """Return the reason why the model cannot be trained this way, None if it can."""

    def prepare(self, task: "Task") -> Trainer:
        """Put the task's model under the strategy, in the rank that calls."""

    def proof(self, trainer: Trainer, rank: Rank, traffic: Mapping[str, int]) -> dict[str, Any]:
        """Read back what took effect after some steps; raise :class:`Incorrect` if it did not.

        ``traffic`` holds the bytes that this rank gave to each collective in one step.
        """

    def model_bytes_in_theory(self, case: Case, single: ModelBytes) -> float | None:  # noqa: ARG002
        """Return the bytes that a rank should hold of what one device holds; None: not known."""
        return single.total_bytes

    def traffic_in_theory(self, case: Case, single: ModelBytes) -> float | None:  # noqa: ARG002
        """Return the bytes that a rank should give to collectives in a step; None: not known."""
        return None


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is to be trained: the model on this rank's device, not yet under any strategy."""

    module: "nn.Module"
    spec: ModelSpec
    precision: Precision
    rank: Rank
    example: "Tensor"  # inputs like those to come, to count a model's operations on
    device_count: int = 1
    variant: str = ""
    stages: int = 1
    micro_batches: int = 1
    clip_norm: float | None = None  # largest norm of the whole model's gradient


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
