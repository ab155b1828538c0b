"""What all cases of one run have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from hpml_models.types import Device, PresetName


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A run's device, preset and data; with ``data_root`` its cases use each model's real data.

    A launcher has placed ``ranks`` ranks on ``nodes`` machines; 0: there is none.
    ``model_options`` holds the texts of ``--model-option`` by name.
    """

    device: Device
    preset: PresetName
    data_root: str | None = None
    ranks: int = 0
    nodes: int = 0
    model_options: Mapping[str, Sequence[str]] = field(default_factory=dict)
    kernel_devices: Sequence[Literal["cpu", "cuda"]] = ("cpu", "cuda")

    @property
    def usual_device_counts(self) -> tuple[int, ...]:
        """The numbers of devices of a run whose options name none."""
        return (1, self.ranks) if self.ranks else (1, 2)
