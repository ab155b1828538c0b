"""A small training problem that a rank can build from plain data, and its single-device answer.

No pytest here: ranks import this file.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from math import inf, sqrt
from typing import Any

import numpy as np
import torch
from bare import train_bare
from numpy.typing import NDArray
from torch import Tensor, nn

from hpml_models.cases import registry
from hpml_models.networks.tensor_plans import by_name
from hpml_models.precision import PRECISIONS
from hpml_models.types import Batch, ModelSpec, Preset, Rank, Recipe, Task, Tensors, one_group
from hpml_models.variants import Trainer

Arrays = dict[str, NDArray[Any]]
Prepare = Callable[[Task], Trainer]


@dataclass(frozen=True)
class Problem:
    """What is drawn: everything else follows from it.

    The model is a chain of blocks, each a pair of matrices as tensor parallelism cuts them, of
    ``widths`` on the outside and ``hidden`` within; ``tied`` blocks share their first matrix. Each
    block multiplies what it gives by ``scale``, an input of its own for each sample: a mask, as it
    were. Of a ``skewed`` batch only the first third of the samples count in the loss.
    """

    widths: tuple[int, ...]
    hidden: int
    batch: int
    steps: int
    optimizer: str
    seed: int
    dtype: str
    weight_decay: float = 0.0
    clip_norm: float | None = None
    micro_batches: int = 1
    stages: int = 1
    variant: str = ""
    tied: bool = False
    precision: str = "fp32"
    extra: str = ""  # a layer in each block that strategies may differ in
    skewed: bool = False
    frozen: bool = False  # whether the first matrix is not trained
    grouped: bool = False  # whether biases are a group of their own, without weight decay

    @property
    def torch_dtype(self) -> torch.dtype:
        return torch.float64 if self.dtype == "float64" else torch.float32

    @property
    def unit_roundoff(self) -> float:
        return torch.finfo(self.torch_dtype).eps / 2

    def make_optimizer(self, parameters: Iterable[Any]) -> torch.optim.Optimizer:
        if self.optimizer == "sgd":
            return torch.optim.SGD(
                parameters, lr=0.05, momentum=0.9, weight_decay=self.weight_decay
            )
        # At the usual eps of 1e-8 Adam hides the scale of a gradient, and with it most faults.
        return torch.optim.AdamW(parameters, lr=1e-2, eps=1e-3, weight_decay=self.weight_decay)

    def bare_optimizer(
        self, parameters: Iterable[tuple[str, nn.Parameter]]
    ) -> torch.optim.Optimizer:
        named = list(parameters)
        return self.make_optimizer(
            biases_apart(named) if self.grouped else [one for _, one in named]
        )

    @property
    def spec(self) -> ModelSpec:
        return ModelSpec(
            name="problem",
            data=None,
            presets={"tiny": Preset(batch=self.batch, options={"heads": 12})},
            build=self.build,
            make_batch=self.make_batch,
            recipe=Recipe(
                optimizer=self.make_optimizer,
                loss=mean_squared_error,
                loss_count=counted,
                parameter_groups=biases_apart if self.grouped else one_group,
                clip_norm=self.clip_norm,
            ),
            pipeline_layers=lambda module: list(module.children()),
            pipeline_layer_count=lambda **_: len(self.widths) - 1,
            tensor_plan=tensor_plan,
        )

    def build(self) -> nn.Module:
        generator = torch.Generator().manual_seed(self.seed)
        first, *others = [self.layers(*ends) for ends in pairwise(self.widths)]
        blocks = [FirstBlock(first), *map(Block, others)]
        module = Blocks(*blocks).to(self.torch_dtype)
        for parameter in module.parameters():
            nn.init.normal_(parameter, std=0.5, generator=generator)
        blocks[0].up.weight.requires_grad_(not self.frozen)
        if self.tied:
            blocks[-1].up.weight = blocks[0].up.weight
        return module

    def layers(self, width_in: int, width_out: int) -> "OrderedDict[str, nn.Module]":
        layers = OrderedDict[str, nn.Module](up=nn.Linear(width_in, self.hidden), act=nn.Tanh())
        if self.extra == "batch_norm":
            layers["norm"] = nn.BatchNorm1d(self.hidden)
        if self.extra == "sync_batch_norm":
            layers["norm"] = nn.SyncBatchNorm(self.hidden)
        if self.extra == "dropout":
            layers["dropout"] = nn.Dropout()
        layers["down"] = nn.Linear(self.hidden, width_out)
        return layers

    def make_batch(self, batch: int, generator: torch.Generator) -> Batch:
        def normal(*shape: int) -> Tensor:
            return torch.randn(batch, *shape, generator=generator, dtype=self.torch_dtype)

        counts = torch.arange(batch) < batch // 3 if self.skewed else torch.ones(batch).bool()
        return Batch(
            inputs={"features": normal(self.widths[0]), "scale": normal().abs()},
            targets={"values": normal(self.widths[-1]), "counts": counts},
        )


class Block(nn.Sequential):
    up: nn.Linear

    def forward(self, hidden: Tensor, scale: Tensor) -> Tensor:  # type: ignore[override]  # takes two
        for layer in self:
            hidden = layer(hidden)
        return hidden * scale[:, None].to(hidden.dtype)


class FirstBlock(Block):
    def forward(  # type: ignore[override]  # by another name
        self, features: Tensor, scale: Tensor
    ) -> Tensor:
        return super().forward(features, scale)


class Blocks(nn.Sequential):
    def forward(  # type: ignore[override]  # by name
        self, features: Tensor, scale: Tensor
    ) -> Tensor:
        for block in self:
            features = block(features, scale)
        return features


def biases_apart(parameters: Iterable[tuple[str, nn.Parameter]]) -> list[dict[str, Any]]:
    biases: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in parameters:
        (biases if name.endswith("bias") else others).append(parameter)
    return [{"params": others}, {"params": biases, "weight_decay": 0.0}]


def tensor_plan(module: nn.Module) -> Mapping[str, Any]:
    return by_name(module, columns=("up",), rows=("down",))


def mean_squared_error(outputs: Tensor, targets: Tensors) -> Tensor:
    by_sample = (outputs - targets["values"]).square().mean(dim=1)
    return (by_sample * targets["counts"]).sum() / counted(targets).clamp(min=1)


def counted(targets: Tensors) -> Tensor:
    return targets["counts"].sum()


def train(rank: Rank, prepare: Prepare, problem: Problem, jitter_seed: int | None = None) -> Arrays:
    """Train the problem's model as ``prepare`` puts it; every rank is given the global batches.

    Returns this rank's terms of the losses, and what it can give of gradients, parameters and
    the optimizer's state.
    """
    torch.set_num_threads(1)
    torch.manual_seed(problem.seed)  # dropout draws from here
    module, batches = drawn(problem, jitter_seed)
    trainer = prepare(task_of(problem, module, batches[0].inputs, rank))
    losses = [trainer.step(trainer.split(batch)) for batch in batches]
    snapshot = trainer.snapshot()
    return {
        "losses": torch.stack(losses).double().numpy().copy(),
        **_named("gradient", snapshot.gradients),
        **_named("parameter", snapshot.parameters),
        **_named("optimizer", snapshot.optimizer),
    }


def task_of(
    problem: Problem, module: nn.Module, example: Tensors, rank: Rank, strategy: str = "a strategy"
) -> Task:
    return Task(
        module=module,
        spec=problem.spec,
        precision=PRECISIONS[problem.precision],  # fp32: no autocast, the module's own dtype
        rank=rank,
        example=example,
        strategy=strategy,
        variant=problem.variant,
        stages=problem.stages,
        micro_batches=problem.micro_batches,
    )


def _named(kind: str, tensors: Mapping[str, Tensor]) -> Arrays:
    return {f"{kind} {name}": value.numpy().copy() for name, value in tensors.items()}


@lru_cache(maxsize=64)
def reference(
    problem: Problem, jitter_seed: int | None = None, *, by_sample: bool = False
) -> Arrays:
    """Train the problem's model by the bare loop."""
    torch.set_num_threads(1)
    torch.manual_seed(problem.seed)
    module, batches = drawn(problem, jitter_seed)
    return train_bare(
        module, batches, problem.bare_optimizer, problem.clip_norm, by_sample=by_sample
    )


def drawn(problem: Problem, jitter_seed: int | None) -> tuple[nn.Module, list[Batch]]:
    """Build the model and make the batches, moved by roundoff if there is a seed for that."""
    generator = torch.Generator().manual_seed(problem.seed + 1)
    module = problem.build()
    batches = [problem.make_batch(problem.batch, generator) for _ in range(problem.steps)]
    if jitter_seed is not None:
        jitter(module, batches, problem.unit_roundoff, jitter_seed)
    return module, batches


@lru_cache(maxsize=64)
def on_one_device(problem: Problem, jitter_seed: int | None = None) -> Arrays:
    alone = Rank(index=0, world_size=1, device="cpu", kept={})
    return train(alone, registry.strategies()["single"].prepare, problem, jitter_seed)


def jitter(module: nn.Module, batches: list[Batch], unit_roundoff: float, seed: int) -> None:
    """Move weights and inputs by up to two units of roundoff, relative to each."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        drawn = [tensor for batch in batches for tensor in batch.inputs.values()]
        for tensor in [*module.parameters(), *drawn]:
            noise = torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype) * 2 - 1
            tensor.mul_(1 + 2 * unit_roundoff * noise)


def worst_error(by_rank: Sequence[Arrays], problem: Problem, *, gradients: bool = True) -> float:
    """Return the largest deviation from the bare loop, in units of what is allowed.

    Above 1 is wrong.

    Together the ranks must give every tensor of the model (without ``gradients``, all but those)
    and none else: that deviates without limit.
    Allowed per tensor: 8 times the larger of a floor and four units of roundoff of the tensor's
    largest value. The floor is how far one device itself moves when weights and inputs are
    jittered by two units of roundoff, or when its samples are added up one by one: it tells
    well-conditioned problems from others.
    """
    expected = reference(problem)
    jittered = [reference(problem, jitter_seed) for jitter_seed in (1, 2, 3)]
    if not problem.extra:  # what normalises or drops would be another training by sample
        jittered.append(reference(problem, by_sample=True))
    names = {name for name in expected if gradients or not name.startswith("gradient")}
    if {name for arrays in by_rank for name in arrays} != names:
        return inf
    summed = {"losses": np.sum([arrays["losses"] for arrays in by_rank], axis=0)}
    errors = []
    for arrays in by_rank:
        for name, value in {**arrays, **summed}.items():
            floor = max(_distance(one[name], expected[name]) for one in jittered)
            largest = float(np.abs(expected[name]).max())
            allowed = 8 * max(floor, 4 * problem.unit_roundoff * largest)
            errors.append(_share(_distance(value, expected[name]), allowed))
    return float(np.max(errors))  # a NaN stays one


def _share(distance: float, allowed: float) -> float:
    """Return a distance in units of what is allowed; of nothing allowed, nothing is no error."""
    return distance / allowed if allowed else inf * distance if distance else 0.0


def precision_error(by_rank: Sequence[Arrays], problem: Problem) -> float:
    """Return how far the parameters are from float32's on one device, in units of their norm."""
    exact = on_one_device(replace(problem, precision="fp32"))
    trained = {name: value for one in by_rank for name, value in one.items()}
    names = [name for name in exact if name.startswith("parameter")]
    off = sum(float(((trained[name] - exact[name]) ** 2).sum()) for name in names)
    return sqrt(off / sum(float((exact[name] ** 2).sum()) for name in names))


def _distance(one: NDArray[Any], other: NDArray[Any]) -> float:
    assert one.shape == other.shape
    return float(np.abs(one - other).max())
