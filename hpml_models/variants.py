"""What is the same for all variants of a kind: subclass it in one file, the constant last."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from hpml_models.types import (
    Batch,
    Case,
    ModelBytes,
    ModelSpec,
    ParallelCase,
    Snapshot,
    Split,
    Task,
    Tensors,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

    from hpml_models.instruments.traffic import Traffic


class Trainer(ABC):
    """A model under a strategy, as one rank sees it.

    ``optimizer`` is what a schedule sets the learning rate of. Where all ranks work on the same
    activations, they ``draws_alike``: dropout leaves out the same ones everywhere.
    """

    optimizer: Any
    draws_alike: bool = False

    @abstractmethod
    def split(self, batch: Batch) -> Split:
        """Cut this rank's micro-batches out of a global batch."""

    @abstractmethod
    def samples(self, split: Split) -> int:
        """Count the samples that this rank answers for: over all ranks, each counts once."""

    @abstractmethod
    def step(self, split: Split) -> "Tensor":
        """Do one optimisation step; return this rank's term of the global batch's mean loss."""

    @property
    @abstractmethod
    def updates(self) -> int:
        """How often the optimizer has updated this rank's parameters."""

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """Gather what this rank can give of the model; every rank must ask at the same time."""

    @abstractmethod
    def restore(self, snapshot: Snapshot) -> None:
        """Take over what a snapshot holds of this rank's model; every rank must do so.

        The snapshot is whole, whatever strategy gave it on however many ranks.
        """

    @abstractmethod
    def proof(self, traffic: "Traffic") -> dict[str, Any]:
        """Read back what took effect after some steps; raise ``Incorrect`` if it did not.

        ``traffic`` is what this rank gave to collectives in one step.
        """


class Strategy(ABC):
    """A way to train one model on several devices; one file each in ``strategies``."""

    name: str
    variants: Sequence[str] = ("",)  # schedules, say, where there are several
    device_counts: range = range(2, 1025)  # those at which the strategy means something
    micro_batches: int = 1  # how many a replica works through, unless options say
    needs_world: bool = True  # whether it runs in a process group

    # What tests have to know.
    clips_whole_norm: bool = True  # whether it can clip by the norm of the whole model
    has_float64: bool = True  # whether it updates float64 weights in float64
    shows_gradients: bool = True  # whether a snapshot after a step has that step's gradients
    keeps_tied_weights: bool = True  # whether layers may share a weight
    shares_buffers: bool = False  # whether replicas begin a step with the buffers of the first

    padding: float = 0.02  # how far, relatively, memory and traffic may be off their theory

    def replicas(self, case: ParallelCase) -> int:
        """Return how many ranks, or groups of ranks, share a batch."""
        return case.device_count // case.stages

    def stage_counts(self, device_count: int) -> Sequence[int]:  # noqa: ARG002  for pipelines
        """Return into how many stages a replica may be cut; 1: each device has all layers."""
        return (1,)

    @abstractmethod
    def why_not(self, spec: ModelSpec, case: ParallelCase) -> str | None:
        """Return the reason why the model cannot be trained this way, None if it can."""

    @abstractmethod
    def prepare(self, task: Task) -> Trainer:
        """Put the task's model under the strategy, in the rank that calls."""

    def model_bytes_in_theory(self, case: ParallelCase, single: ModelBytes) -> float | None:  # noqa: ARG002
        """Return the bytes that a rank should hold of what one device holds; None: not known."""
        return single.total_bytes

    def traffic_in_theory(self, case: ParallelCase, single: ModelBytes) -> float | None:  # noqa: ARG002
        """Return the bytes that a rank should give to collectives in a step; None: not known."""
        return None

    def least_traffic(self, case: ParallelCase) -> float:  # noqa: ARG002  for those that gather
        """Return the part of these bytes that may suffice."""
        return 1.0


Predictor = Callable[..., "Tensor"]
"""Inputs by name, ``[B, ...]`` each, to outputs ``[B, ...]``, whatever runs underneath."""


class Runtime(ABC):
    """What executes a model's forward pass; one file each in ``runtimes``."""

    name: str
    output_tolerance: float  # relative, against eager on the same inputs

    @abstractmethod
    def why_not(self, spec: ModelSpec, case: Case) -> str | None:
        """Return the reason why the model cannot run this way, None if it can."""

    @abstractmethod
    def prepare(self, module: "nn.Module", example: Tensors) -> Predictor:
        """Turn an eager module into what the runtime executes."""

    @abstractmethod
    def proof(self, predictor: Predictor) -> dict[str, Any]:
        """Read back what took effect; raise ``Incorrect`` if nothing did."""


class Quantization(ABC):
    """How weights and activations are held as integers; one file each in ``quantization``."""

    name: str
    output_tolerance: float  # relative, against float32 on the same inputs

    @abstractmethod
    def why_not(self, spec: ModelSpec, case: Case) -> str | None:
        """Return the reason why the model cannot be quantized this way, None if it can."""

    @abstractmethod
    def apply(self, module: "nn.Module", calibration: Tensors) -> "nn.Module":
        """Quantize a module in eval mode, calibrated on named inputs ``[B, ...]``."""

    @abstractmethod
    def proof(self, original: "nn.Module", quantized: "nn.Module") -> dict[str, Any]:
        """Read back what took effect; raise ``Incorrect`` if nothing did."""
