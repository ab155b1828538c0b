"""The types that the rooms of this package share: frozen, keyword-only, light to import."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from torch.optim.lr_scheduler import LRScheduler

Device = Literal["cpu", "cuda"]
PresetName = Literal["tiny", "small", "paper"]
DataSplit = Literal["train", "validation"]
Reading = Literal["ahead", "on_demand"]

SYNTHETIC = "synthetic"
IGNORED = -100  # a label that is none: padding; what torch's losses leave out by default
SEED = 42  # weights and synthetic data of every case: two runs time the same numbers

Tensors = Mapping[str, "Tensor"]
"""Tensors by name, each ``[B, ...]``: the names that transformers and torchvision use."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Named inputs and named targets, each tensor ``[B, ...]``.

    A module is called as ``module(**batch.inputs)``.
    """

    inputs: Tensors
    targets: Tensors

    def __post_init__(self) -> None:
        """Raise ValueError if the tensors do not have equally many rows."""
        rows = {name: len(tensor) for name, tensor in [*self.inputs.items(), *self.targets.items()]}
        if len({*rows.values()}) != 1:
            raise ValueError(f"the tensors of a batch must have equally many rows: {rows}")

    def __len__(self) -> int:
        """Count the samples."""
        return len(next(iter(self.inputs.values())))

    def to(self, device: str) -> "Batch":
        """Return the batch on a device."""
        return self._each(lambda tensor: tensor.to(device))

    def rows(self, index: "slice | Tensor") -> "Batch":
        """Return some of the samples: a slice, or the rows that a tensor of indices names."""
        return self._each(lambda tensor: tensor[index])

    def pin_memory(self) -> "Batch":
        """Return the batch in memory that a GPU copies from; the loader calls it."""
        return self._each(lambda tensor: tensor.pin_memory())

    def split(self, count: int) -> "list[Batch]":
        """Cut the samples into ``count`` batches whose sizes differ by one at most."""
        size, larger = divmod(len(self), count)
        bounds = [number * size + min(number, larger) for number in range(count + 1)]
        return [self.rows(slice(*ends)) for ends in pairwise(bounds)]

    def _each(self, change: "Callable[[Tensor], Tensor]") -> "Batch":
        return Batch(
            inputs={name: change(tensor) for name, tensor in self.inputs.items()},
            targets={name: change(tensor) for name, tensor in self.targets.items()},
        )


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """A real data set: where it is from, and how to open it.

    ``open`` gets the data root, the split, and the options of the model's preset, and returns
    :class:`hpml_models.samples.base.Samples`.
    """

    name: str
    licence: str
    revision: str
    url: str
    files: str  # what is expected below the data root
    size: str  # of the whole set
    open: Callable[..., Any]  # (data root, split, **options)
    readings: Sequence[Reading] = ("ahead",)  # when its text may be tokenized
    download: Callable[[Path], None] | None = None  # into a data root; None: by hand


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A size of a model's workload; ``options`` go to its ``build`` and its ``make_batch``."""

    batch: int
    options: Mapping[str, Any]


def one_group(parameters: "Iterable[tuple[str, nn.Parameter]]") -> "list[dict[str, Any]]":
    """Put all named parameters into one group of an optimizer."""
    return [{"params": [parameter for _, parameter in parameters]}]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is trained.

    ``loss`` is a mean, given the module's outputs and the batch's targets; ``loss_count`` counts
    what it is the mean of: the mean over a batch is the mean of its parts' losses weighted by
    their counts. A count is a number, or a tensor on the targets' device without dimensions.
    ``parameter_groups`` sorts named parameters into the optimizer's groups; a rank may pass some
    of the model's only. ``schedule`` gets the optimizer and how many steps there will be.
    """

    optimizer: "Callable[[Iterable[Any]], torch.optim.Optimizer]"
    loss: "Callable[[Tensor, Tensors], Tensor]"
    loss_count: "Callable[[Tensors], int | Tensor]"
    parameter_groups: "Callable[[Iterable[tuple[str, nn.Parameter]]], list[dict[str, Any]]]" = (
        one_group
    )
    schedule: "Callable[[torch.optim.Optimizer, int], LRScheduler] | None" = None
    clip_norm: float | None = None  # largest norm of the whole model's gradient

    def make_optimizer(
        self, parameters: "Iterable[tuple[str, nn.Parameter]]"
    ) -> "torch.optim.Optimizer":
        """Return an optimizer over those named parameters that are trained."""
        return self.optimizer(self.groups(parameters))

    def groups(self, parameters: "Iterable[tuple[str, nn.Parameter]]") -> "list[dict[str, Any]]":
        """Return the optimizer's groups of those named parameters that are trained."""
        return self.parameter_groups([one for one in parameters if one[1].requires_grad])


PipelineLayers = Callable[["nn.Module"], "list[nn.Module]"]
"""A model as layers that run one after the other: where it may be cut into stages.

A layer is called with what the layer before returned, a tensor or a tuple of tensors, as
positional arguments, and with those of the batch's inputs that its ``forward`` names. So the first
layer takes inputs only, and a mask reaches each layer that names it.
"""


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """A model: how to build it, what it eats, how it is trained, how it may be taken apart.

    Its module is called with a batch's inputs by name and returns one tensor ``[B, ...]``.
    """

    name: str
    data: str | None  # name of its DataSpec; None: synthetic batches only
    presets: Mapping[PresetName, Preset]
    build: Callable[..., "nn.Module"]
    make_batch: Callable[..., Batch]  # (batch, torch.Generator, **options): one synthetic batch
    recipe: Recipe
    is_symbolic: bool = True  # whether torch.fx can follow its forward pass without running it
    pipeline_layers: PipelineLayers | None = None
    pipeline_layer_count: Callable[..., int] | None = None  # (**options)
    leaves_inputs_unused: bool = False  # whether a pipeline layer is handed what it does not use
    tensor_plan: "Callable[[nn.Module], Mapping[str, Any]] | None" = None  # to ParallelStyles
    parameter_count: Callable[..., int] | None = None  # (**options): published, or by hand

    def options_of(self, case: "SizedCase") -> dict[str, Any]:
        """Return what a case's model is built with: the preset's options, and those it sweeps."""
        return {**self.presets[case.preset].options, **dict(case.model_options)}


@dataclass(frozen=True, kw_only=True)
class Precision:
    """How numbers are held while a step runs."""

    name: str
    autocast: str | None  # a torch dtype's name; None: float32 throughout, TF32 off
    output_dtype: str  # what the model's outputs must have if the precision took effect
    output_tolerance: float  # relative, against float32 on the same inputs


class SizedCase(Protocol):
    """A case, as far as it says how large a model is."""

    @property
    def preset(self) -> PresetName:
        """The size of the model's workload."""

    @property
    def model_options(self) -> Sequence[tuple[str, Any]]:
        """The options that differ from the preset's, by name."""


class Case(SizedCase, Protocol):
    """What runtimes and quantizations may ask of a case; the families are in ``cases``."""

    @property
    def data(self) -> str:
        """The name of a data set, or ``synthetic``."""

    @property
    def data_root(self) -> str | None:
        """Where the data set is."""

    @property
    def batch(self) -> int:
        """Samples of a step, all ranks together."""

    @property
    def device(self) -> Device:
        """The kind of device."""

    @property
    def devices_per_node(self) -> int:
        """How many devices the case uses of one machine."""

    @property
    def precision(self) -> str:
        """The name of a precision."""


class ParallelCase(Case, Protocol):
    """What strategies may ask of a case, too."""

    @property
    def strategy(self) -> str:
        """The name of the strategy."""

    @property
    def variant(self) -> str:
        """The strategy's variant: a schedule, a stage of sharding."""

    @property
    def device_count(self) -> int:
        """How many devices there are, one rank each."""

    @property
    def stages(self) -> int:
        """How many ranks a replica of the model is cut over."""

    @property
    def micro_batches(self) -> int:
        """How many parts each replica's share of the batch is worked through in."""

    @property
    def nodes(self) -> int:
        """How many machines a launcher has placed the ranks on; 0: they are started here."""


@dataclass(frozen=True, kw_only=True)
class Rank:
    """Where a process stands in its world; ``kept`` holds what it prepared between jobs."""

    index: int
    world_size: int
    device: str  # "cpu" or "cuda:2"
    kept: dict[str, Any]


class MicroBatch(NamedTuple):
    """What a rank works on at once; ``weight`` is its part of the whole batch's loss count."""

    batch: Batch
    weight: "float | Tensor"


@dataclass(frozen=True, kw_only=True)
class Split:
    """What a rank works on in one step: its rows of the global batch, whole and cut."""

    batch: Batch
    micro_batches: Sequence[MicroBatch]


class Snapshot(NamedTuple):
    """Whole tensors by the name that they have on one device; together the ranks give all.

    ``gradients`` are those of the last step, as the optimizer used them; an optimizer's tensors
    are named ``PARAMETER.KEY``. ``counts`` are what it keeps without dimensions: how often it has
    stepped. ``buffers`` are the module's own: a normalisation's statistics.
    """

    parameters: "dict[str, Tensor]"
    gradients: "dict[str, Tensor]"
    optimizer: "dict[str, Tensor]"
    counts: "dict[str, Tensor]"
    buffers: "dict[str, Tensor]"


@dataclass(frozen=True, kw_only=True)
class ModelBytes:
    """What a process holds of a model."""

    parameter_bytes: float
    optimizer_bytes: float

    @property
    def total_bytes(self) -> float:
        """Both together."""
        return self.parameter_bytes + self.optimizer_bytes


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is to be trained: the model on this rank's device, not yet under any strategy."""

    module: "nn.Module"
    spec: ModelSpec
    precision: Precision
    rank: Rank
    example: Tensors  # inputs like those to come, to count a model's operations on
    strategy: str
    device_count: int = 1
    variant: str = ""
    stages: int = 1
    micro_batches: int = 1
