"""The family of data loading: one training batch of a real data set."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from hpml_models.cases import registry
from hpml_models.cases.setting import Setting
from hpml_steps.axes import axes_of, axis, joined

USUAL_BATCH = 16


@dataclass(frozen=True, kw_only=True)
class LoadingCase:
    """One batch: read, decoded, augmented and collated."""

    family: ClassVar[str] = "load"

    data_root: str | None
    data: str = axis(help="data sets", known=registry.data_sets)
    batch: int = axis(
        help="samples of a batch",
        known=lambda: range(1, 2**20 + 1),
        values=lambda *_: (USUAL_BATCH,),
        is_open=True,
        word=lambda case: f"b{case.batch}",
    )

    @classmethod
    def make(cls, setting: Setting, values: Mapping[str, Any]) -> Self:
        """Put a case together from the values of its axes."""
        return cls(data_root=setting.data_root, **values)

    @property
    def id(self) -> str:
        """The key of the case's baseline: ``load-cifar10-b16``."""
        return joined([self.family, *(one.word(self) for one in axes_of(type(self)))])

    @property
    def axes(self) -> dict[str, Any]:
        """The case's fields, for records."""
        values = {one.name: getattr(self, one.name) for one in axes_of(type(self))}
        return {"family": self.family, "device": "cpu", **values}

    @property
    def cpus(self) -> int | None:
        """How many CPUs it computes on."""
        return 1

    def why_not(self, setting: Setting) -> str | None:
        """Return why the case cannot run here, as ``status: reason``; None if it can."""
        if setting.data_root is None:
            return "no_data: give the folder of the real data sets with --data-root"
        return None
