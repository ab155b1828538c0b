"""The family of inference steps: a runtime and a quantization, on one device."""

from dataclasses import dataclass
from typing import ClassVar

from hpml_models.cases import registry
from hpml_models.cases.hardware import why_no_hardware
from hpml_models.cases.model_case import ModelCase
from hpml_models.cases.setting import Setting
from hpml_models.precision import PRECISIONS
from hpml_steps.axes import axis, joined


@dataclass(frozen=True, kw_only=True)
class InferenceCase(ModelCase):
    """One forward pass of a model by a runtime."""

    family: ClassVar[str] = "inference"

    precision: str = axis(
        help="precisions",
        known=lambda: PRECISIONS,
        word=lambda case: joined(["single-x1", case.device, case.precision]),
    )
    runtime: str = axis(
        help="runtimes",
        known=registry.runtimes,
        word=lambda case: "" if case.runtime == "eager" else case.runtime,
    )
    quantization: str = axis(
        help="quantization schemes",
        known=registry.quantizations,
        word=lambda case: "" if case.quantization == "none" else case.quantization,
    )

    @property
    def cpus(self) -> int | None:
        """How many CPUs it computes on; None for all."""
        return 1 if self.device == "cpu" else None

    def why_not(self, setting: Setting) -> str | None:  # noqa: ARG002  as the other families
        """Return why the case cannot run here, as ``status: reason``; None if it can."""
        variants = (
            registry.runtimes()[self.runtime],
            registry.quantizations()[self.quantization],
        )
        for variant in variants:
            if reason := variant.why_not(self.spec, self):
                return f"unsupported: {reason}"
        reason = why_no_hardware(self)
        return f"no_hardware: {reason}" if reason else None
