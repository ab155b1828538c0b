"""The families of data loading: batches of real samples alone, and a training step fed by them."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, get_args

from hpml_models.cases import registry
from hpml_models.cases.setting import Setting
from hpml_models.types import Device, ModelSpec, Reading
from hpml_steps.axes import axes_of, axis, joined

BatchMemory = Literal["pageable", "pinned"]

USUAL_BATCH = 16
WORKERS = (0, 1, 2)
QUICK_WORKERS = (0,)


@dataclass(frozen=True, kw_only=True)
class LoadingCase:
    """One batch: read, decoded, augmented, tokenized and collated."""

    family: ClassVar[str] = "load"

    data_root: str | None
    device: Device = "cpu"
    data: str = axis(help="data sets", known=registry.data_sets)
    batch: int = axis(
        help="samples of a batch",
        known=lambda: range(1, 2**20 + 1),
        values=lambda *_: (USUAL_BATCH,),
        is_open=True,
        word=lambda case: f"b{case.batch}",
    )
    reading: Reading = axis(
        help="when text is tokenized: all of it ahead, or each row on demand",
        known=lambda: get_args(Reading),
        values=lambda _, chosen: registry.data_sets()[chosen["data"]].readings,
        quick=lambda _: ("ahead",),
        word=lambda case: "" if case.reading == "ahead" else case.reading,
    )
    batch_memory: BatchMemory = axis(
        help="memory of batches: pageable, or pinned for a GPU to copy from",
        known=lambda: get_args(BatchMemory),
        values=lambda setting, _: _memories(setting),
        word=lambda case: "" if case.batch_memory == "pageable" else case.batch_memory,
    )
    workers: int = axis(
        help="processes that make batches ahead; 0: none but the step's own",
        known=lambda: range(65),
        values=lambda *_: WORKERS,
        quick=lambda _: QUICK_WORKERS,
        is_open=True,
        word=lambda case: f"w{case.workers}" if case.workers else "",
    )

    @classmethod
    def make(cls, setting: Setting, values: Mapping[str, Any]) -> Self:
        """Put a case together from the values of its axes."""
        return cls(data_root=setting.data_root, device=setting.device, **values)

    @property
    def id(self) -> str:
        """The key of the case's baseline: ``load-cifar10-b16``, ``load-sst2-b16-on_demand-w2``."""
        device = "" if self.device == "cpu" else self.device
        return joined([self.family, *(one.word(self) for one in axes_of(type(self))), device])

    @property
    def axes(self) -> dict[str, Any]:
        """The case's fields, for records."""
        values = {one.name: getattr(self, one.name) for one in axes_of(type(self))}
        return {"family": self.family, "device": self.device, **values}

    @property
    def cpus(self) -> int | None:
        """How many CPUs it computes on: one for each process, None for all that there are."""
        return None if self.is_oversubscribed else 1 + self.workers

    @property
    def is_oversubscribed(self) -> bool:
        """Whether it has more processes than there are cores: they take turns."""
        return 1 + self.workers > len(os.sched_getaffinity(0))

    def why_not(self, setting: Setting) -> str | None:
        """Return why the case cannot run here, as ``status: reason``; None if it can."""
        if setting.data_root is None:
            return "no_data: give the folder of the real data sets with --data-root"
        return None


@dataclass(frozen=True, kw_only=True)
class FeedingCase(LoadingCase):
    """One training step on a batch that is made while it waits, or ahead by workers."""

    family: ClassVar[str] = "feed"

    @property
    def spec(self) -> ModelSpec | None:
        """The first model that is trained on the data set."""
        return next((one for one in registry.models().values() if one.data == self.data), None)

    def why_not(self, setting: Setting) -> str | None:
        """Return why the case cannot run here, as ``status: reason``; None if it can."""
        if self.spec is None:
            return f"unsupported: no model is trained on {self.data}"
        return super().why_not(setting)


def _memories(setting: Setting) -> Sequence[BatchMemory]:
    """Pinned memory is for a GPU to copy from."""
    return get_args(BatchMemory) if setting.device == "cuda" else ("pageable",)
