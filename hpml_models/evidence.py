"""What proves that a strategy took effect: bytes held, bytes sent, replicas that agree."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch.distributed as dist
    from torch import Tensor, nn

State = Mapping[Any, Mapping[str, Any]]  # what an optimizer keeps of each parameter


@contextmanager
def traffic() -> Iterator[Counter[str]]:
    """Count the bytes that this process gives to each collective, by the name torch calls it.

    Bytes as the caller hands them over; how often an algorithm sends each is the backend's.
    Collectives of DDP's and FSDP's own C++ and of DeepSpeed go through the same dispatcher.
    """
    from torch.utils._python_dispatch import TorchDispatchMode

    seen: Counter[str] = Counter()

    class Recorder(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if func.namespace in ("c10d", "_c10d_functional"):
                seen[_name(func)] += sum(tensor.nbytes for tensor in _inputs(func, args))
            return func(*args, **(kwargs or {}))

    with Recorder():
        yield seen


def _name(func: Any) -> str:
    return str(func.overloadpacket.__name__)


def _inputs(func: Any, args: Any) -> "Iterator[Tensor]":
    """Find the tensors that a collective reads: where there are two lists, the outputs are first.

    Broadcasts, reductions and sends have one list, for input and output in turn.
    """
    from torch.utils._pytree import tree_leaves

    name = _name(func)
    if name.startswith(("recv", "barrier", "wait_tensor")):
        return iter(())
    lists = [arg for arg in args if _has_tensors(arg)]
    return (leaf for leaf in tree_leaves(lists[-1] if lists else []) if hasattr(leaf, "nbytes"))


def _has_tensors(arg: Any) -> bool:
    from torch.utils._pytree import tree_leaves

    return any(hasattr(leaf, "nbytes") for leaf in tree_leaves(arg))


def held(parameters: "Iterable[nn.Parameter]", state: State) -> dict[str, Any]:
    """Count the world's ranks, and the bytes of parameters and optimizer state on this one."""
    import torch.distributed as dist

    return {
        "world_size": dist.get_world_size(),
        "backend": dist.get_backend(),
        **held_bytes(parameters, state),
    }


def held_bytes(parameters: "Iterable[nn.Parameter]", state: State) -> dict[str, int]:
    """Count the bytes of parameters and optimizer state in this process."""
    return {
        "parameter_bytes": sum(local(parameter).nbytes for parameter in parameters),
        "optimizer_bytes": _state_bytes(state),
    }


def _state_bytes(state: State) -> int:
    """Count the bytes of what an optimizer keeps of each parameter, counters of steps left out."""
    kept = [value for one in state.values() for value in one.values()]
    return sum(local(value).nbytes for value in kept if getattr(value, "ndim", 0) > 0)


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
