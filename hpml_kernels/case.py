"""The family of kernels: the same arithmetic by numpy, numba and CUDA."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

from hpml_kernels.registry import QUICK, kernels
from hpml_kernels.types import Kernel, Variant
from hpml_steps.axes import axis


class Setting(Protocol):
    """What all kernels of a run have in common."""

    @property
    def preset(self) -> str:
        """The size of the inputs."""

    @property
    def kernel_devices(self) -> Iterable[str]:
        """The kinds of device that a run's kernels compute on."""


@dataclass(frozen=True, kw_only=True)
class KernelCase:
    """One call of a kernel's variant on inputs of the preset's size."""

    family: ClassVar[str] = "kernel"

    preset: str
    kernel: str = axis(help="kernels", known=kernels, quick=lambda _: QUICK)
    variant: str = axis(
        help="ways to compute a kernel",
        known=lambda: dict.fromkeys(
            name for kernel in kernels().values() for name in kernel.variants
        ),
        values=lambda setting, chosen: [
            name
            for name, variant in kernels()[chosen["kernel"]].variants.items()
            if variant.device in setting.kernel_devices
        ],
    )

    @classmethod
    def make(cls, setting: Setting, values: Mapping[str, Any]) -> Self:
        """Put a case together from the values of its axes."""
        return cls(preset=setting.preset, **values)

    @property
    def id(self) -> str:
        """The key of the case's baseline: ``add-numba-n100000``."""
        return f"{self.kernel}-{self.variant}-n{self.size}"

    @property
    def axes(self) -> dict[str, Any]:
        """The case's fields, for records."""
        return {
            "family": self.family,
            "kernel": self.kernel,
            "variant": self.variant,
            "preset": self.preset,
            "size": self.size,
            "device": self.implementation.device,
        }

    @property
    def size(self) -> int:
        """How many elements the kernel works on."""
        return self.spec.sizes[self.preset]

    @property
    def cpus(self) -> int | None:
        """How many CPUs the variant computes on; None for all."""
        return self.implementation.cpus

    @property
    def spec(self) -> Kernel:
        """The case's kernel."""
        return kernels()[self.kernel]

    @property
    def implementation(self) -> Variant:
        """The case's variant."""
        return self.spec.variants[self.variant]

    def why_not(self, _: object = None) -> str | None:
        """Return the reason why the variant cannot be timed here at this size."""
        largest = self.implementation.largest_size
        if largest is not None and self.size > largest:
            return f"unsupported: {self.size} elements are beyond the {largest} of {self.variant}"
        return self.implementation.why_not()
