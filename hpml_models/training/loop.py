"""Training by epochs, under every strategy; a run that was interrupted goes on where it was.

What is random in a step depends on seed, step and rank, the order of samples on seed and epoch. So
a place in a run is the number of its steps, and no generator's state has to be kept.
"""

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

from hpml_models.samples.base import Samples
from hpml_models.training.checkpoint import (
    VERSION,
    Checkpoints,
    Epoch,
    Header,
    Progress,
    Training,
    read_header,
    read_tensors,
)
from hpml_models.training.loader import Order, Walk, make_loader
from hpml_models.training.schedule import scheduler_at
from hpml_models.training.validation import Measure, Validation
from hpml_models.types import SEED, Batch, Task
from hpml_models.variants import Strategy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Plan:
    """For how long is trained, in which global batches, from which seed."""

    epochs: int
    batch: int
    seed: int = SEED

    def __post_init__(self) -> None:
        """Raise ValueError where there is nothing to do."""
        if self.epochs < 1:
            raise ValueError(f"{self.epochs} epochs: at least one is needed")


class Loop:
    """One run of training, as one rank sees it."""

    def __init__(  # noqa: PLR0913  what a run is made of
        self,
        task: Task,
        strategy: Strategy,
        samples: Samples[Any],
        plan: Plan,
        *,
        measure: Measure | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        """Put the task under the strategy, and take over the latest whole checkpoint, if any."""
        self._task, self._samples, self._plan = task, samples, plan
        self._order = Order(
            count=len(samples), batch=plan.batch, seed=plan.seed, sizes=samples.sizes
        )
        self._training = self._describe()
        self._checkpoints = checkpoints
        self._validation = Validation(task.module, measure) if measure else None
        self.trainer = strategy.prepare(task)
        self.progress = self._resume()
        self._scheduler = scheduler_at(
            task.spec.recipe, self.trainer.optimizer, steps=self._steps, done=self.progress.step
        )
        self._loss_sum: Any = self.progress.loss_sum if task.rank.index == 0 else 0.0

    @property
    def _steps(self) -> int:
        return self._plan.epochs * self._order.batches

    def _describe(self) -> Training:
        """State what the run is, before a strategy cuts the parameters."""
        module, recipe = self._task.module, self._task.spec.recipe
        return Training(
            model=self._task.spec.name,
            optimizer=type(recipe.make_optimizer(module.named_parameters())).__name__,
            batch=self._plan.batch,
            seed=self._plan.seed,
            samples=len(self._samples),
            scheduled_steps=self._steps if recipe.schedule else None,
            parameters={name: list(one.shape) for name, one in module.named_parameters()},
        )

    def _resume(self) -> Progress:
        if self._checkpoints is None or not (whole := self._checkpoints.whole()):
            return Progress()
        header = read_header(whole[-1], self._training)
        self.trainer.restore(read_tensors(whole[-1]))
        return header.progress

    def run(self) -> tuple[Epoch, ...]:
        """Train to the end of the plan; return what each epoch has reached."""
        while self.progress.step < self._steps:
            self._run_epoch()
        return self.progress.epochs

    def _run_epoch(self) -> None:
        every = self._checkpoints.every if self._checkpoints else None
        for batch in self._batches():
            self._step(batch)
            at_end = self.progress.step % self._order.batches == 0
            if every and self.progress.step % every == 0 and not at_end:
                self._save()
        self._end_epoch()
        self._save()

    def _batches(self) -> "Iterator[Batch]":
        """Yield what is left of the epoch."""
        epoch, batch = divmod(self.progress.step, self._order.batches)
        walk = Walk(order=self._order, first_epoch=epoch, first_batch=batch)
        return iter(make_loader(self._samples, walk))

    def _step(self, batch: Batch) -> None:
        self._seed()
        loss = self.trainer.step(self.trainer.split(batch.to(self._task.rank.device)))
        if self._scheduler is not None:
            self._scheduler.step()
        self._loss_sum = self._loss_sum + loss.double()
        self.progress = Progress(step=self.progress.step + 1, epochs=self.progress.epochs)

    def _seed(self) -> None:
        """Begin the random numbers of this step and rank: dropout's."""
        import numpy as np
        import torch

        rank = 0 if self.trainer.draws_alike else self._task.rank.index
        mixed = np.random.SeedSequence((self._plan.seed, self.progress.step, rank))
        torch.manual_seed(int(mixed.generate_state(1, np.uint64)[0] >> np.uint64(1)))

    def _end_epoch(self) -> None:
        number = self.progress.step // self._order.batches
        loss = self._summed_loss() / self._order.batches
        if not isfinite(loss):
            raise FloatingPointError(f"the mean loss of epoch {number} is {loss}: it diverged")
        quality = self._validation(self.trainer) if self._validation else None
        epoch = Epoch(number=number, training_loss=loss, quality=quality)
        self._loss_sum = 0.0
        self.progress = Progress(step=self.progress.step, epochs=(*self.progress.epochs, epoch))

    def _save(self) -> None:
        if self._checkpoints is None:
            return
        progress = Progress(
            step=self.progress.step,
            loss_sum=self._summed_loss() if self._is_within_epoch else 0.0,
            epochs=self.progress.epochs,
        )
        header = Header(version=VERSION, training=self._training, progress=progress)
        self._checkpoints.save(self.trainer.snapshot(), header)

    @property
    def _is_within_epoch(self) -> bool:
        return self.progress.step % self._order.batches > 0

    def _summed_loss(self) -> float:
        """Add up what the ranks know of the losses since the epoch's beginning."""
        import torch
        import torch.distributed as dist

        total: Tensor = torch.as_tensor(
            self._loss_sum, dtype=torch.float64, device=self._task.rank.device
        ).clone()
        if dist.is_initialized():
            dist.all_reduce(total)
        return float(total)
