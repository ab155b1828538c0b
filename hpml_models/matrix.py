"""The matrix: every case that makes sense, in a stable order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any, get_args

from hpml_models import registry
from hpml_models.hardware import why_no_hardware
from hpml_models.precision import PRECISIONS
from hpml_models.types import SYNTHETIC, Case, Device, Mode, ModelSpec, PresetName

DEVICE_COUNTS = (1, 2, 4)
DEFAULT_DEVICE_COUNTS = (1, 2)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What one run's cases have in common; with ``data_root`` they use each model's real data."""

    device: Device
    preset: PresetName
    data_root: str | None = None


def cases(
    mode: Mode, setting: Setting, device_counts: Sequence[int] = DEVICE_COUNTS
) -> Iterator[Case]:
    """List a mode's cases: training by strategy and count, inference by runtime and scheme."""
    variants = _training_variants(device_counts) if mode == "train" else _inference_variants()
    for model, precision, axes in product(registry.models(), PRECISIONS, list(variants)):
        yield make_case(mode, setting, model=model, precision=precision, **axes)


def make_case(mode: Mode, setting: Setting, *, model: str, **axes: Any) -> Case:
    """Put a case together from its axes; the preset decides the batch."""
    spec = registry.models()[model]
    return Case(
        mode=mode,
        model=model,
        data=spec.data if setting.data_root else SYNTHETIC,
        preset=setting.preset,
        batch=spec.presets[setting.preset].batch,
        device=setting.device,
        data_root=setting.data_root,
        **axes,
    )


def _training_variants(device_counts: Sequence[int]) -> Iterator[dict[str, Any]]:
    for strategy, count in product(registry.strategies().values(), device_counts):
        if count in strategy.device_counts:
            yield {
                "strategy": strategy.name,
                "device_count": count,
                "runtime": "eager",
                "quantization": "none",
            }


def _inference_variants() -> Iterator[dict[str, Any]]:
    for runtime, quantization in product(registry.runtimes(), registry.quantizations()):
        yield {
            "strategy": "single",
            "device_count": 1,
            "runtime": runtime,
            "quantization": quantization,
        }


@cache
def every_id() -> frozenset[str]:
    """Return the id of every case that any options can select."""
    return frozenset(
        case.id
        for mode, device, preset, data_root in product(
            get_args(Mode), get_args(Device), get_args(PresetName), (None, "anywhere")
        )
        for case in cases(mode, Setting(device=device, preset=preset, data_root=data_root))
    )


def why_not(case: Case) -> str | None:
    """Return why the case cannot run here, as ``status: reason``; None if it can."""
    spec = spec_of(case)
    for variant in (
        registry.strategies()[case.strategy],
        registry.runtimes()[case.runtime],
        registry.quantizations()[case.quantization],
    ):
        if reason := variant.why_not(spec, case):
            return f"unsupported: {reason}"
    reason = why_no_hardware(case)
    return f"no_hardware: {reason}" if reason else None


def spec_of(case: Case) -> ModelSpec:
    """Look the case's model up."""
    return registry.models()[case.model]
