"""The matrix: every case that makes sense, in a stable order."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from types import MappingProxyType
from typing import Any, get_args

from hpml_models.cases import registry
from hpml_models.cases.hardware import why_no_hardware
from hpml_models.precision import PRECISIONS
from hpml_models.types import SYNTHETIC, Case, Device, Mode, ModelSpec, PresetName

DEVICE_COUNTS = (1, 2, 4)
PLACED = re.compile(r"-x(\d+)-n(\d+)")  # ranks that a launcher has placed, and on how many nodes
NUMBERS = re.compile(r"-b\d+|-m\d+(?=-x)")  # of samples and micro-batches, in a case's id

Axes = Mapping[str, Collection[Any]]  # names or numbers of each axis that is not left open
DEFAULTS: Axes = {"model": ("resnet18",), "device_count": (1, 2)}
QUICK: Axes = {"strategy": ("single", "ddp")}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What one run's cases have in common; with ``data_root`` they use each model's real data.

    A launcher has placed ``ranks`` ranks on ``nodes`` machines; 0: there is none.
    """

    device: Device
    preset: PresetName
    data_root: str | None = None
    ranks: int = 0
    nodes: int = 0

    @property
    def device_counts(self) -> list[int]:
        """On how many devices a case may be wanted."""
        return sorted({*DEVICE_COUNTS, self.ranks} - {0})


def cases(
    mode: Mode,
    setting: Setting,
    axes: Axes = MappingProxyType({}),
    *,
    batches: Sequence[int] | None = None,
    micro_batches: Sequence[int] | None = None,
) -> Iterator[Case]:
    """List a mode's cases: training by strategy and count, inference by runtime and scheme.

    An axis that ``axes`` leaves open has all its names. ``batches`` and ``micro_batches`` may be
    any numbers; without them a model's preset has its own, and so has each strategy.
    """
    variants = (
        _training_variants(setting.device_counts, micro_batches)
        if mode == "train"
        else _inference_variants()
    )
    for spec, precision, rest in product(registry.models().values(), PRECISIONS, list(variants)):
        for batch in batches or [spec.presets[setting.preset].batch]:
            chosen = {"model": spec.name, "batch": batch, "precision": precision, **rest}
            has_data = setting.data_root is None or spec.data is not None
            if has_data and all(chosen[axis] in names for axis, names in axes.items()):
                yield make_case(mode, setting, **chosen)


def make_case(mode: Mode, setting: Setting, *, model: str, device_count: int, **axes: Any) -> Case:
    """Put a case together from its axes; what takes all of a launcher's ranks runs on them."""
    spec = registry.models()[model]
    return Case(
        mode=mode,
        model=model,
        data=spec.data if setting.data_root and spec.data else SYNTHETIC,
        preset=setting.preset,
        device=setting.device,
        device_count=device_count,
        nodes=setting.nodes if device_count == setting.ranks else 0,
        data_root=setting.data_root,
        **axes,
    )


def _training_variants(
    device_counts: Sequence[int], micro_batches: Sequence[int] | None
) -> Iterator[dict[str, Any]]:
    for strategy, count in product(registry.strategies().values(), device_counts):
        if count in strategy.device_counts:
            for variant, stages, parts in product(
                strategy.variants,
                strategy.stage_counts(count),
                micro_batches or (strategy.micro_batches,),
            ):
                yield {
                    "strategy": strategy.name,
                    "device_count": count,
                    "variant": variant,
                    "stages": stages,
                    "micro_batches": parts,
                    "runtime": "eager",
                    "quantization": "none",
                }


def _inference_variants() -> Iterator[dict[str, Any]]:
    """Inference runs on one device, whatever the axes of training are."""
    for runtime, quantization in product(registry.runtimes(), registry.quantizations()):
        yield {
            "strategy": "single",
            "variant": "",
            "stages": 1,
            "micro_batches": 1,
            "device_count": 1,
            "runtime": runtime,
            "quantization": quantization,
        }


def variants() -> list[str]:
    """Return the names of all strategies' variants."""
    return [one for strategy in registry.strategies().values() for one in strategy.variants if one]


def is_case(case_id: str) -> bool:
    """Say whether some options select a case of this id: some of its numbers may be any."""
    placed = PLACED.search(case_id)
    ranks, nodes = map(int, placed.groups()) if placed else (0, 0)
    return NUMBERS.sub("", case_id) in _every_id(ranks, nodes)


@cache
def _every_id(ranks: int, nodes: int) -> frozenset[str]:
    settings = product(get_args(Device), get_args(PresetName), (None, "anywhere"))
    made = [
        Setting(device=device, preset=preset, data_root=data_root, ranks=ranks, nodes=nodes)
        for device, preset, data_root in settings
    ]
    return frozenset(
        NUMBERS.sub("", case.id)
        for mode, setting in product(get_args(Mode), made)
        for case in cases(mode, setting)
    )


def why_not_placed(case: Case, setting: Setting) -> str | None:
    """Return why a launcher's ranks cannot run the case, None if they can or there are none."""
    if setting.ranks and case.device_count not in (1, setting.ranks):
        return (
            f"unsupported: the launcher has placed {setting.ranks} ranks: "
            f"a case runs on all of them or on one device, not on {case.device_count}"
        )
    return None


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
