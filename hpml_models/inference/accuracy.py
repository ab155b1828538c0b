"""How far a variant's outputs may be from eager float32."""

from typing import TYPE_CHECKING

from hpml_steps.incorrect import Incorrect

if TYPE_CHECKING:
    from torch import Tensor


def check_outputs(outputs: "Tensor", expected: "Tensor", allowed: float) -> float:
    """Return ``|outputs - expected| / |expected|``, Euclidean; raise if beyond ``allowed``."""
    error = float((outputs.float() - expected).norm() / expected.norm())
    if not error <= allowed:  # a NaN is not allowed either
        raise Incorrect(f"outputs are off by {error:.2g} of their norm, {allowed:.2g} is allowed")
    return error
