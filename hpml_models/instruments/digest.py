"""A digest of tensors: two runs that name the same one computed on the same numbers."""

from hashlib import sha256

from hpml_models.types import Tensors

LENGTH = 12  # hexadecimal digits


def digest(tensors: Tensors) -> str:
    """Return a digest of names, types, shapes and every byte."""
    import torch

    state = sha256()
    for name, tensor in sorted(tensors.items()):
        state.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        state.update(flat.view(torch.uint8).numpy().data)
    return state.hexdigest()[:LENGTH]
