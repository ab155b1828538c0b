"""The family of comparisons: a kernel's variants beside the machine's limits and the best peer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from hpml_kernels.case import Setting
from hpml_kernels.registry import QUICK, kernels
from hpml_kernels.roofline.compare import why_not_compared
from hpml_kernels.roofline.rows import GROUPS, Group
from hpml_steps.axes import axis


@dataclass(frozen=True, kw_only=True)
class ComparisonCase:
    """All variants of a group, in turn with probes of their limits."""

    family: ClassVar[str] = "limits"

    preset: str
    kernel: str = axis(help="kernels", known=kernels, quick=lambda _: QUICK)
    group: Group = axis(
        help="what kernels are compared on",
        values=lambda setting, _: [
            one for one in GROUPS if _device_of(one) in setting.kernel_devices
        ],
    )

    @classmethod
    def make(cls, setting: Setting, values: Mapping[str, Any]) -> Self:
        """Put a case together from the values of its axes."""
        return cls(preset=setting.preset, **values)

    @property
    def id(self) -> str:
        """The name of a comparison: ``limits-add-one_core-n100000``."""
        return f"{self.family}-{self.kernel}-{self.group.replace(' ', '_')}-n{self.size}"

    @property
    def axes(self) -> dict[str, Any]:
        """The case's fields, for records."""
        return {
            "family": self.family,
            "kernel": self.kernel,
            "group": self.group,
            "preset": self.preset,
            "size": self.size,
            "device": _device_of(self.group),
        }

    @property
    def size(self) -> int:
        """How many elements the kernel works on."""
        return kernels()[self.kernel].sizes[self.preset]

    @property
    def cpus(self) -> int | None:
        """How many CPUs it computes on; None for all."""
        return 1 if self.group == "one core" else None

    def why_not(self, _: object = None) -> str | None:
        """Return the reason why there is nothing to compare here."""
        return why_not_compared(self.kernel, self.group, self.preset)


def _device_of(group: Group) -> str:
    return "cuda" if group == "cuda" else "cpu"
