"""Bytes that this process gives to collectives."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What this process gave to each collective, by the name torch calls it.

    Bytes as the caller hands them over; how often an algorithm sends each is the backend's.
    """

    bytes: Counter[str] = field(default_factory=Counter)
    largest: Counter[str] = field(default_factory=Counter)  # bytes of one call

    def note(self, name: str, sent_bytes: int) -> None:
        """Add a call."""
        self.bytes[name] += sent_bytes
        self.largest[name] = max(self.largest[name], sent_bytes)

    def of(self, word: str) -> int:
        """Return the bytes of all collectives that have a word in their names."""
        return sum(sent for name, sent in self.bytes.items() if word in name)


@contextmanager
def traffic() -> Iterator[Traffic]:
    """Count the bytes that this process gives to collectives.

    Those of DDP's and FSDP's own C++ and of DeepSpeed go through the same dispatcher.
    """
    from torch.utils._python_dispatch import TorchDispatchMode

    seen = Traffic()

    class Recorder(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if func.namespace in ("c10d", "_c10d_functional"):
                seen.note(_name(func), sum(tensor.nbytes for tensor in _inputs(func, args)))
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
