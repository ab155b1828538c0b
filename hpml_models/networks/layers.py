"""Networks that are layers which run one after the other."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def layers_of(module: "nn.Module") -> "list[nn.Module]":
    """Return a network's layers: where it may be cut into stages."""
    layers: list[nn.Module] = list(module.layers)  # type: ignore[arg-type]  # a ModuleList
    return layers
