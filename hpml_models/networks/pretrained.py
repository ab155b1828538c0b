"""Models of transformers, from a configuration with random weights or from a local folder.

Imports transformers where a model is built.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

SIZES = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
)
"""What a checkpoint and the model that is built from it must have in common."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A model of transformers by its classes' names, and what it sets beyond their defaults."""

    config: str
    model: str
    model_type: str  # what a checkpoint's config.json calls it
    settings: dict[str, Any]
    model_options: dict[str, Any]
    head: tuple[str, ...]  # beginnings of weights that a checkpoint may lack


def configure(architecture: Architecture, **settings: Any) -> Any:
    """Return a configuration. Raises ValueError for a name that the class does not have.

    transformers keeps a misspelled name without a word, and the default stays.
    """
    import transformers

    config_class = getattr(transformers, architecture.config)
    settings = architecture.settings | settings
    default = config_class()
    if unknown := [name for name in settings if not hasattr(default, name)]:
        raise ValueError(f"{architecture.config} has no {', '.join(unknown)}")
    return config_class(**settings, attn_implementation="sdpa")


def check_length(length: int, positions: int) -> None:
    """Raise ValueError if texts are to be longer than what a model has positions for."""
    if length > positions:
        raise ValueError(
            f"texts of {length} tokens in a model of {positions} positions: cut them with "
            f"length={positions}, or give the model more positions"
        )


def make(architecture: Architecture, config: Any, checkpoint: str) -> "nn.Module":
    """Build the model with the weights of the folder ``checkpoint``; "": with random ones."""
    import transformers

    model_class = getattr(transformers, architecture.model)
    if not checkpoint:
        model: nn.Module = model_class(config, **architecture.model_options)
        return model
    check_fits(architecture, config, Path(checkpoint))
    return _load(architecture, model_class, config, Path(checkpoint))


def check_fits(architecture: Architecture, config: Any, folder: Path) -> None:
    """Raise ValueError if the folder holds another model, or one of other sizes."""
    path = folder / "config.json"
    if not path.is_file():
        raise ValueError(f"{folder} is no checkpoint of transformers: it has no config.json")
    found = json.loads(path.read_text())
    if found.get("model_type") != architecture.model_type:
        raise ValueError(
            f"{path} describes a {found.get('model_type')!r} model, "
            f"not the {architecture.model_type!r} that is to be built"
        )
    stored = type(config)(**{name: found[name] for name in SIZES if name in found})
    if wrong := [name for name in SIZES if getattr(stored, name) != getattr(config, name)]:
        pairs = [f"{name} {getattr(stored, name)} != {getattr(config, name)}" for name in wrong]
        raise ValueError(
            f"{folder} does not fit the model: {', '.join(pairs)} (checkpoint != model); "
            "set the model's options to the checkpoint's sizes"
        )


def _load(architecture: Architecture, model_class: Any, config: Any, folder: Path) -> "nn.Module":
    """Load the weights in float32: by default they would come in the checkpoint's own type."""
    import torch

    try:
        model, report = model_class.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            local_files_only=True,
            output_loading_info=True,
            **architecture.model_options,
        )
    except Exception as error:  # from safetensors, pickle or the file system: whatever is wrong
        raise ValueError(f"{folder} holds no whole set of weights: {error}") from error
    missing = [name for name in report["missing_keys"] if not name.startswith(architecture.head)]
    if missing:
        raise ValueError(f"{folder} lacks {len(missing)} weights, {min(missing)} among them")
    model.train()  # as a model that was just built: loading puts it in evaluation mode
    loaded: nn.Module = model
    return loaded
