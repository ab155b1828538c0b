"""Cutting a model's chain into stages. Imports torch: import it where a step is prepared."""

from collections.abc import Sequence
from functools import cache
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from hpml_models.precision import autocast
from hpml_models.types import Precision, Task

# What a weight costs in each micro-batch beside its products: it is read forward and backward, its
# gradient written, read and added. Measured on one AVX-512 core, ResNet-18's last blocks: 1.7 ns
# a weight where products run at 85 GFLOP/s.
FLOPS_PER_PARAMETER = 140


class Stage(nn.Module):
    """Links of a model's chain, run one after the other under a precision."""

    def __init__(self, links: Sequence[nn.Module], precision: Precision, device: str) -> None:
        """Hold the links; their parameters stay the model's own."""
        super().__init__()
        self.links = nn.ModuleList(links)
        self._precision = precision
        self._device = device

    def forward(self, *values: Tensor) -> Any:
        """Hand what each link gives to the next."""
        with autocast(self._precision, self._device):
            return run(self.links, *values)


def run(links: Sequence[nn.Module] | nn.ModuleList, *values: Tensor) -> Any:
    """Run links one after the other; each takes the tensors that the one before gives.

    Several may come as one tuple: so DeepSpeed hands them on.
    """
    given: Any = values[0] if len(values) == 1 else values
    for link in links:
        given = link(*given) if isinstance(given, tuple) else link(given)
    return given


def cut(task: Task, count: int) -> list[Stage]:
    """Cut the task's model into ``count`` stages that cost about the same per micro-batch."""
    links = links_of(task)
    replicas = task.rank.world_size // task.stages
    size = max(1, len(task.example) // (replicas * task.micro_batches))
    bounds = balanced(costs(links, task.example[:size]), count)
    check_nothing_is_tied([links[first:last] for first, last in pairwise([0, *bounds])])
    return [
        Stage(links[first:last], task.precision, task.rank.device)
        for first, last in pairwise([0, *bounds])
    ]


def check_nothing_is_tied(groups: Sequence[Sequence[nn.Module]]) -> None:
    """Raise ValueError if two groups of modules share a parameter: apart, it would become two."""
    by_group = [{id(one) for module in group for one in module.parameters()} for group in groups]
    if len(set().union(*by_group)) < sum(map(len, by_group)):
        raise ValueError("weights that layers share cannot be cut apart: train it with replicas")


def links_of(task: Task) -> list[nn.Module]:
    """Return the chain of the task's model."""
    assert task.spec.pipeline_layers is not None  # noqa: S101  why_not refused it
    return task.spec.pipeline_layers(task.module)


def costs(links: Sequence[nn.Module], micro_batch: Tensor) -> list[int]:
    """Estimate each link's cost for a micro-batch, in floating-point operations.

    They are counted, not timed: two launches must cut in the same places.
    """
    found: list[int] = []
    given: Any = micro_batch
    modes = [link.training for link in links]
    with torch.no_grad():
        for link in links:
            link.eval()  # statistics of normalisation stay as they are
            with FlopCounterMode(display=False) as counter:
                given = run([link], *(given if isinstance(given, tuple) else (given,)))
            weights = sum(parameter.numel() for parameter in link.parameters())
            found.append(3 * counter.get_total_flops() + FLOPS_PER_PARAMETER * weights)
    for link, mode in zip(links, modes, strict=True):
        link.train(mode)
    return found


def balanced(costs: Sequence[int], count: int) -> list[int]:
    """Return where ``count`` contiguous groups end if the dearest is to be as cheap as can be.

    Raises ValueError if there are fewer costs than groups.
    """
    if count > len(costs):
        raise ValueError(f"a chain of {len(costs)} links cannot be cut into {count} stages")
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
