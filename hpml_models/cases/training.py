"""The family of training steps: a strategy on some devices, in a precision."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from hpml_models.cases import registry
from hpml_models.cases.hardware import why_no_hardware
from hpml_models.cases.model_case import ModelCase
from hpml_models.cases.setting import Setting
from hpml_models.precision import PRECISIONS
from hpml_models.variants import Strategy
from hpml_steps.axes import axis, joined


@dataclass(frozen=True, kw_only=True)
class TrainingCase(ModelCase):
    """One optimization step of a model under a strategy."""

    family: ClassVar[str] = "train"

    strategy: str = axis(
        help="parallel strategies",
        known=registry.strategies,
        quick=lambda _: ("single", "ddp"),
        word=lambda case: case.layout,
    )
    device_count: int = axis(
        help="devices, one rank each",
        known=lambda: range(1, 1025),
        values=lambda _, chosen: _strategy(chosen).device_counts,
        default=lambda setting: setting.usual_device_counts,
        word=lambda _: "",  # the strategy's word has it
    )
    variant: str = axis(
        help="variants of a strategy: a schedule, a stage of sharding",
        known=lambda: [
            one for strategy in registry.strategies().values() for one in strategy.variants
        ],
        values=lambda _, chosen: _strategy(chosen).variants,
        word=lambda _: "",
    )
    stages: int = axis(
        help="ranks that a replica of the model is cut over",
        known=lambda: range(1, 1025),
        values=lambda _, chosen: _strategy(chosen).stage_counts(chosen["device_count"]),
        word=lambda _: "",
    )
    micro_batches: int = axis(
        help="parts that each replica's share of the batch is worked through in",
        known=lambda: range(1, 1025),
        values=lambda _, chosen: (_strategy(chosen).micro_batches,),
        is_open=True,
        word=lambda _: "",
    )
    precision: str = axis(
        help="precisions",
        known=lambda: PRECISIONS,
        word=lambda case: joined([case.device, case.precision]),
    )

    @classmethod
    def make(cls, setting: Setting, values: Mapping[str, Any]) -> Self:
        """Put a case together; one that takes all of a launcher's ranks runs on them."""
        case = super().make(setting, values)
        return replace(case, nodes=setting.nodes if case.device_count == setting.ranks else 0)

    @property
    def cpus(self) -> int | None:
        """How many CPUs it computes on: one for each device that is a CPU.

        None for all, and for ranks that a launcher has placed: where they run is its to say.
        """
        return self.device_count if self.device == "cpu" and not self.nodes else None

    @property
    def devices_per_node(self) -> int:
        """How many devices it uses of one machine."""
        return -(-self.device_count // max(1, self.nodes))

    @property
    def layout(self) -> str:
        """How the work is shared out, in words."""
        return joined(
            [
                self.strategy,
                self.variant,
                f"s{self.stages}" if self.stages not in (1, self.device_count) else "",
                f"m{self.micro_batches}" if self.micro_batches > 1 else "",
                f"x{self.device_count}",
                f"n{self.nodes}" if self.nodes else "",
            ]
        )

    def why_not(self, setting: Setting) -> str | None:
        """Return why the case cannot run here, as ``status: reason``; None if it can."""
        if setting.ranks and self.device_count not in (1, setting.ranks):
            return (
                f"unsupported: the launcher has placed {setting.ranks} ranks: "
                f"a case runs on all of them or on one device, not on {self.device_count}"
            )
        if reason := registry.strategies()[self.strategy].why_not(self.spec, self):
            return f"unsupported: {reason}"
        reason = why_no_hardware(self)
        return f"no_hardware: {reason}" if reason else None


def _strategy(chosen: Mapping[str, Any]) -> Strategy:
    return registry.strategies()[chosen["strategy"]]
