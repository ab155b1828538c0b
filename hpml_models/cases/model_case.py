"""What the families of models have in common: a model at a preset, its data and its batch."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from hpml_models.cases import registry
from hpml_models.cases.options import OptionValues, option_values, options_word
from hpml_models.cases.setting import Setting
from hpml_models.types import SYNTHETIC, Device, ModelSpec, PresetName
from hpml_steps.axes import axes_of, axis, joined


@dataclass(frozen=True, kw_only=True)
class ModelCase(ABC):
    """One cell; names and numbers only, so that it can be sent to any process.

    ``nodes`` is how many machines a launcher has placed the ranks on; 0: they are started here.
    ``data_root`` says where and not what: it is no part of the id.
    """

    family: ClassVar[str]

    preset: PresetName
    device: Device
    data: str
    data_root: str | None = None
    nodes: int = 0
    model: str = axis(
        help="models",
        known=registry.models,
        values=lambda setting, _: _models(setting),
        default=lambda _: ("resnet18",),
    )
    model_options: OptionValues = axis(
        help="see --model-option",
        values=lambda setting, chosen: option_values(
            registry.models()[chosen["model"]], setting.preset, setting.model_options
        ),
        word=lambda case: options_word(case.model_options),
    )
    batch: int = axis(
        help="samples of a step, all ranks together (the preset's)",
        known=lambda: range(1, 2**20 + 1),
        values=lambda setting, chosen: (_preset_batch(setting, chosen["model"]),),
        is_open=True,
        word=lambda case: joined([case.data, case.preset, f"b{case.batch}"]),
    )

    @classmethod
    def make(cls, setting: Setting, values: Mapping[str, Any]) -> Self:
        """Put a case together from the values of its axes."""
        spec = registry.models()[values["model"]]
        return cls(
            preset=setting.preset,
            device=setting.device,
            data=spec.data if setting.data_root and spec.data else SYNTHETIC,
            data_root=setting.data_root,
            **values,
        )

    @property
    def id(self) -> str:
        """The case in words: the key of its baseline. What is usual goes without saying."""
        return joined([self.family, *(one.word(self) for one in axes_of(type(self)))])

    @property
    def axes(self) -> dict[str, Any]:
        """The case's fields for a record: facts are never parsed back out of an id."""
        values = {one.name: getattr(self, one.name) for one in axes_of(type(self)) if one.known}
        return {
            "family": self.family,
            "data": self.data,
            "preset": self.preset,
            "device": self.device,
            "nodes": self.nodes,
            **values,
        } | dict(self.model_options)

    @property
    def devices_per_node(self) -> int:
        """How many devices it uses of one machine."""
        return 1

    @abstractmethod
    def why_not(self, setting: Setting) -> str | None:
        """Return why the case cannot run here, as ``status: reason``; None if it can."""

    @property
    def options(self) -> dict[str, Any]:
        """What the model is built with: the preset's options, and those that the run sweeps."""
        return self.spec.options_of(self)

    @property
    def spec(self) -> ModelSpec:
        """The case's model."""
        return registry.models()[self.model]


def _models(setting: Setting) -> Iterator[str]:
    """Yield the models that have data of the kind that the run uses."""
    for name, spec in registry.models().items():
        if setting.data_root is None or spec.data is not None:
            yield name


def _preset_batch(setting: Setting, model: str) -> int:
    return registry.models()[model].presets[setting.preset].batch
