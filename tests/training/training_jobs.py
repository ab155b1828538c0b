"""A small run of training that a rank builds from plain data. No pytest here: ranks import it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from problem import Problem, jitter, task_of
from torch import Tensor, nn

from hpml_models.cases import registry
from hpml_models.samples.base import Key, Samples
from hpml_models.training.checkpoint import Checkpoints
from hpml_models.training.loop import Loop, Plan
from hpml_models.training.schedule import warm_up_and_decay
from hpml_models.types import Batch, Rank, Task

SAMPLES, BATCH = 29, 12  # two batches an epoch, five samples left out of each
EPOCHS = 3
PROBLEM = Problem(
    widths=(3, 5, 2, 4, 5, 3, 5),
    hidden=12,
    batch=BATCH,
    steps=1,
    optimizer="adamw",
    seed=7,
    dtype="float32",
    weight_decay=0.1,
)


class Points(Samples[tuple[Tensor, Tensor]]):
    """Samples with noise of their own in each epoch: augmentation, as it were."""

    facts: dict[str, Any] = {}  # noqa: RUF012  nothing was made of any file

    def __init__(self, problem: Problem) -> None:
        generator = torch.Generator().manual_seed(problem.seed)
        whole = problem.make_batch(SAMPLES, generator)
        self.whole = whole

    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, key: Key) -> Any:
        generator = torch.Generator().manual_seed(1000 * key.epoch + key.row)
        noise = torch.randn((), generator=generator) * 0.1
        inputs = {name: one[key.row] + noise for name, one in self.whole.inputs.items()}
        return inputs, {name: one[key.row] for name, one in self.whole.targets.items()}

    def collate(self, rows: Sequence[Any]) -> Batch:
        inputs, targets = zip(*rows, strict=True)
        return Batch(inputs=_stacked(inputs), targets=_stacked(targets))


def _stacked(rows: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}


@dataclass(frozen=True)
class Under:
    """How a run is trained."""

    strategy: str = "single"
    variant: str = ""
    stages: int = 1
    micro_batches: int = 1
    problem: Problem = PROBLEM
    epochs: int = EPOCHS
    seed: int = 5
    is_scheduled: bool = True
    jitter_seed: int | None = None


@dataclass(frozen=True)
class Trained:
    """What a run has come to, as one rank gives it."""

    epochs: tuple[Any, ...]
    tensors: dict[str, NDArray[Any]]
    rates: list[float]


class Killed(Exception):
    """The run ends here."""


def make_loop(rank: Rank, under: Under, folder: Path | None, every: int | None = None) -> Loop:
    torch.set_num_threads(1)
    problem = replace(
        under.problem,
        variant=under.variant,
        stages=under.stages,
        micro_batches=under.micro_batches,
    )
    module = problem.build().train()
    task: Task = task_of(problem, module, problem_batch(problem).inputs, rank, under.strategy)
    if under.is_scheduled:
        recipe = replace(task.spec.recipe, schedule=warm_up_and_decay(3))
        task = replace(task, spec=replace(task.spec, recipe=recipe))
    points = Points(problem)
    if under.jitter_seed is not None:
        jitter(module, [points.whole], problem.unit_roundoff, under.jitter_seed)
    held_out = points.collate([points[Key(row, 99)] for row in range(SAMPLES)])

    def measure(module: nn.Module) -> float:
        return -float(task.spec.recipe.loss(module(**held_out.inputs), held_out.targets))

    return Loop(
        task,
        registry.strategies()[under.strategy],
        points,
        Plan(epochs=under.epochs, batch=BATCH, seed=under.seed),
        measure=measure,
        checkpoints=Checkpoints(folder=folder, every=every) if folder else None,
    )


def problem_batch(problem: Problem) -> Batch:
    return problem.make_batch(BATCH, torch.Generator().manual_seed(0))


def train(
    rank: Rank, under: Under, folder: Path | None = None, every: int | None = None
) -> Trained:
    """Train to the end, from the latest checkpoint on if there is one."""
    loop = make_loop(rank, under, folder, every)
    return trained(loop, loop.run())


def train_until(rank: Rank, under: Under, folder: Path, steps: int, every: int) -> None:
    """Train until the run is killed before a step."""
    loop = make_loop(rank, under, folder, every)
    step = loop.trainer.step

    def killing(split: Any) -> Tensor:
        if loop.progress.step == steps:
            raise Killed
        return step(split)

    loop.trainer.step = killing  # type: ignore[method-assign]  # the machine fails
    try:
        loop.run()
    except Killed:
        return
    raise AssertionError("the run went past the step that should end it")


def trained(loop: Loop, epochs: Any) -> Trained:
    snapshot = loop.trainer.snapshot()
    kinds = (snapshot.parameters, snapshot.optimizer, snapshot.counts, snapshot.buffers)
    names = ("parameter", "optimizer", "count", "buffer")
    return Trained(
        epochs=epochs,
        tensors={
            f"{name} {key}": one.numpy().copy()
            for name, kind in zip(names, kinds, strict=True)
            for key, one in kind.items()
        },
        rates=[group["lr"] for group in loop.trainer.optimizer.param_groups],
    )
