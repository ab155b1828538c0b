"""Loading real data as a step to be timed: alone, or as what a training step is fed by."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from multiprocessing import active_children
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from hpml_models.cases import registry
from hpml_models.cases.loading import FeedingCase, LoadingCase
from hpml_models.instruments.clocks import clock_for
from hpml_models.instruments.memory import metrics_of, peak_memory_bytes
from hpml_models.instruments.waiting import measure_waiting
from hpml_models.precision import PRECISIONS
from hpml_models.prepare.build import build_module
from hpml_models.prepare.step import set_up_numerics
from hpml_models.strategies import single
from hpml_models.training.loader import Order, Walk, Workers, make_loader
from hpml_models.training.trainer import EagerTrainer
from hpml_models.types import Batch, PresetName, Rank, Task
from hpml_models.worlds.local import device_of
from hpml_steps.clocks import Clock
from hpml_steps.incorrect import Incorrect
from hpml_steps.local_step import LocalStep

PRESET: PresetName = "tiny"


@dataclass(frozen=True, kw_only=True)
class LoadingStep(LocalStep):
    """A step that holds workers; they end with it."""

    stop: Callable[[], None]

    def close(self) -> None:
        """End the workers."""
        self.stop()


class Stream:
    """Training batches of a case, epoch after epoch; the first is made when it is opened."""

    def __init__(self, case: LoadingCase, options: Mapping[str, Any]) -> None:
        """Open the data set with a model's options, start the workers."""
        opened = registry.data_sets()[case.data].open(
            Path(str(case.data_root)), "train", is_ahead=case.reading == "ahead", **options
        )
        workers = Workers(count=case.workers, is_pinned=case.batch_memory == "pinned")
        loader = make_loader(
            opened, Walk(order=Order(count=len(opened), batch=case.batch), epochs=None), workers
        )
        others, begun_ns = len(active_children()), perf_counter_ns()
        self._batches: Iterator[Batch] | None = iter(loader)
        first = next(self)
        self.effective: Mapping[str, Any] = {
            **opened.facts,
            "first_batch_ns": perf_counter_ns() - begun_ns,
            "workers": len(active_children()) - others,
            "pinned": all(tensor.is_pinned() for tensor in first.inputs.values()),
            "shapes": {name: list(tensor.shape) for name, tensor in first.inputs.items()},
        }
        self._prove(case)

    def __iter__(self) -> Iterator[Batch]:
        """Return itself."""
        return self

    def __next__(self) -> Batch:
        """Return the next batch; raise ValueError after the end."""
        if self._batches is None:
            raise ValueError("the workers have ended")
        return next(self._batches)

    def stop(self) -> None:
        """End the workers: they live as long as the iterator."""
        self._batches = None

    def _prove(self, case: LoadingCase) -> None:
        """Raise if the workers do not run, or memory is not what the case says."""
        wanted = {"workers": case.workers, "pinned": case.batch_memory == "pinned"}
        effective = {name: self.effective[name] for name in wanted}
        if effective != wanted:
            self.stop()
            raise Incorrect(f"batches are made with {effective}, not {wanted}")


def prepare_loading(case: LoadingCase) -> LoadingStep:
    """Prepare a step that makes one training batch."""
    set_up_numerics()
    stream = Stream(case, {})
    return _step(case, stream, run=lambda: next(stream), observe=dict)


def prepare_feeding(case: FeedingCase) -> LoadingStep:
    """Prepare a step that trains the data set's model, on one thread, on each batch as it comes."""
    set_up_numerics()
    trainer, options = _trainer(case)
    stream = Stream(case, options)
    device = trainer.task.rank.device

    def train(batch: Batch) -> object:
        return trainer.step(trainer.split(batch.to(device)))

    return _step(
        case,
        stream,
        run=lambda: train(next(stream)),
        observe=lambda: {"waiting": asdict(measure_waiting(stream, train))},
        clock=clock_for(trainer.task.rank, in_world=False),
    )


def _trainer(case: FeedingCase) -> tuple[EagerTrainer, Mapping[str, Any]]:
    spec = case.spec
    if spec is None:
        raise ValueError(f"no model is trained on {case.data}")
    options = spec.presets[PRESET].options
    rank = Rank(index=0, world_size=1, device=device_of(case.device, 0), kept={})
    task = Task(
        module=build_module(spec, options, rank.device).train(),
        spec=spec,
        precision=PRECISIONS["fp32"],
        rank=rank,
        example={},
        strategy=single.STRATEGY.name,
    )
    return single.STRATEGY.prepare(task), options


def _step(
    case: LoadingCase,
    stream: Stream,
    *,
    run: Callable[[], object],
    observe: Callable[[], Mapping[str, Any]],
    clock: Clock | None = None,
) -> LoadingStep:
    return LoadingStep(
        run=run,
        clock=clock,
        items_per_step=case.batch,
        effective={**stream.effective, "oversubscribed": case.is_oversubscribed},
        read_metrics=lambda: metrics_of(peak_memory_bytes("cpu")),
        observe=observe,
        stop=stream.stop,
    )
