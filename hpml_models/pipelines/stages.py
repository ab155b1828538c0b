"""Cutting a model's layers into stages. Imports torch: import it where a step is prepared."""

from collections.abc import Callable, Sequence
from functools import cache
from inspect import signature
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from hpml_models.precision import autocast
from hpml_models.training.trainer import buffers_of
from hpml_models.types import Precision, Task, Tensors

# What a weight costs in each micro-batch beside its products: it is read forward and backward, its
# gradient written, read and added. Measured on one AVX-512 core, ResNet-18's last blocks: 1.7 ns
# a weight where products run at 85 GFLOP/s.
FLOPS_PER_PARAMETER = 140


class Stage(nn.Module):
    """Layers of a model, run one after the other under a precision."""

    def __init__(self, layers: Sequence[nn.Module], precision: Precision, device: str) -> None:
        """Hold the layers; their parameters stay the model's own."""
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self._precision = precision
        self._device = device

    def forward(self, *activations: Tensor, **inputs: Tensor) -> Any:
        """Return the last layer's outputs, given the stage before's and a micro-batch's inputs."""
        with autocast(self._precision, self._device):
            return run(self.layers, activations, inputs)


def run(
    layers: Sequence[nn.Module] | nn.ModuleList, activations: tuple[Tensor, ...], inputs: Tensors
) -> Any:
    """Run layers one after the other, as :data:`~hpml_models.types.PipelineLayers` has it."""
    outputs: Any = activations
    for layer in layers:
        side = {name: inputs[name] for name in _parameters(type(layer).forward) if name in inputs}
        outputs = layer(*(outputs if isinstance(outputs, tuple) else (outputs,)), **side)
    return outputs


@cache
def _parameters(forward: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(signature(forward).parameters)


def cut(task: Task, count: int) -> list[Stage]:
    """Cut the task's model into ``count`` stages that cost about the same per micro-batch."""
    layers = layers_of(task)
    replicas = task.rank.world_size // task.stages
    rows = len(next(iter(task.example.values())))
    size = max(1, rows // (replicas * task.micro_batches))
    micro_batch = {name: tensor[:size] for name, tensor in task.example.items()}
    bounds = balanced(costs(layers, micro_batch), count)
    groups = [layers[first:last] for first, last in pairwise([0, *bounds])]
    check_nothing_is_tied(groups)
    return [Stage(group, task.precision, task.rank.device) for group in groups]


def own_buffers(module: nn.Module, stages: Sequence[nn.Module]) -> dict[str, Tensor]:
    """Name the buffers of stages as the whole model does."""
    here = {id(buffer) for stage in stages for buffer in stage.buffers()}
    return {name: one for name, one in buffers_of(module).items() if id(one) in here}


def check_nothing_is_tied(groups: Sequence[Sequence[nn.Module]]) -> None:
    """Raise ValueError if two groups of modules share a parameter: apart, it would become two."""
    by_group = [{id(one) for module in group for one in module.parameters()} for group in groups]
    if len(set().union(*by_group)) < sum(map(len, by_group)):
        raise ValueError("weights that layers share cannot be cut apart: train it with replicas")


def layers_of(task: Task) -> list[nn.Module]:
    """Return the layers of the task's model."""
    assert task.spec.pipeline_layers is not None  # noqa: S101  why_not refused it
    return task.spec.pipeline_layers(task.module)


def costs(layers: Sequence[nn.Module], micro_batch: Tensors) -> list[int]:
    """Estimate each layer's cost for a micro-batch, in floating-point operations.

    They are counted, not timed: two launches must cut in the same places.
    """
    estimates: list[int] = []
    outputs: Any = ()
    modes = [layer.training for layer in layers]
    with torch.no_grad():
        for layer in layers:
            layer.eval()  # statistics of normalisation stay as they are
            activations = outputs if isinstance(outputs, tuple) else (outputs,)
            with FlopCounterMode(display=False) as counter:
                outputs = run([layer], activations, micro_batch)
            weights = sum(parameter.numel() for parameter in layer.parameters())
            estimates.append(3 * counter.get_total_flops() + FLOPS_PER_PARAMETER * weights)
    for layer, mode in zip(layers, modes, strict=True):
        layer.train(mode)
    return estimates


def balanced(costs: Sequence[int], count: int) -> list[int]:
    """Return where ``count`` contiguous groups end if the dearest is to be as cheap as can be.

    Raises ValueError if there are fewer costs than groups.
    """
    if count > len(costs):
        raise ValueError(f"{len(costs)} layers cannot be cut into {count} stages")
    sums = [0, *accumulate(costs)]

    @cache
    def best(start: int, groups: int) -> tuple[int, tuple[int, ...]]:
        if groups == 1:
            return sums[-1] - sums[start], (len(costs),)
        tried = []
        for end in range(start + 1, len(costs) - groups + 2):
            dearest, ends = best(end, groups - 1)
            tried.append((max(sums[end] - sums[start], dearest), (end, *ends)))
        return min(tried)

    return list(best(0, count)[1])
