"""What proves that a strategy took effect: bytes on each rank, replicas that agree."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    import torch.distributed as dist
    from torch import Tensor, nn

State = Mapping[Any, Mapping[str, Any]]  # what an optimizer keeps of each parameter


class Updates:
    """Counts the steps of an optimizer."""

    def __init__(self, optimizer: "torch.optim.Optimizer") -> None:
        """Count from now on."""
        self.count = 0
        optimizer.register_step_post_hook(self._note)

    def _note(self, *_: object) -> None:
        self.count += 1


def world_facts(parameters: "Iterable[nn.Parameter]", state: State) -> dict[str, Any]:
    """Count the world's ranks, and the bytes of parameters and optimizer state on this one."""
    import torch.distributed as dist

    return {
        "world_size": dist.get_world_size(),
        "backend": dist.get_backend(),
        **model_bytes(parameters, state),
    }


def model_bytes(parameters: "Iterable[nn.Parameter]", state: State) -> dict[str, int]:
    """Count the bytes of parameters and optimizer state in this process."""
    return {
        "parameter_bytes": sum(local(parameter).nbytes for parameter in parameters),
        "optimizer_bytes": _state_bytes(state),
    }


def _state_bytes(state: State) -> int:
    """Count the bytes of what an optimizer keeps of each parameter, counters of steps left out."""
    kept = [value for one in state.values() for value in one.values()]
    return sum(local(value).nbytes for value in kept if getattr(value, "ndim", 0) > 0)


def trained_bytes(parameters: "Iterable[nn.Parameter]") -> int:
    """Count the bytes of the parameters that have gradients: others are frozen."""
    return sum(local(parameter).nbytes for parameter in parameters if parameter.requires_grad)


def total_over_ranks(number: int) -> int:
    """Add a number up over the ranks."""
    import torch.distributed as dist

    everyones: list[int] = [0] * dist.get_world_size()
    dist.all_gather_object(everyones, number)
    return sum(everyones)


def local(tensor: "Tensor") -> "Tensor":
    """Return this rank's shard of a tensor; the tensor itself where it is whole."""
    from torch.distributed.tensor import DTensor

    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def spread_over_ranks(
    tensors: "Iterable[Tensor]", group: "dist.ProcessGroup | None" = None
) -> float:
    """Return the largest difference of any element between any two ranks of a group, or of all."""
    import torch
    import torch.distributed as dist

    flat = torch.cat([tensor.detach().flatten() for tensor in tensors])
    largest, smallest = flat.clone(), flat.clone()
    dist.all_reduce(largest, dist.ReduceOp.MAX, group=group)
    dist.all_reduce(smallest, dist.ReduceOp.MIN, group=group)
    return float((largest - smallest).abs().max())
