"""Four float32 at once in CUDA kernels: one instruction of 16 bytes, which NVVM makes of no loop.

``load4(x, i)`` reads elements ``i`` to ``i + 3`` of a contiguous array, ``store4`` writes them;
the first must lie at a multiple of 16 bytes, as every fourth of a whole device array does. What
stands here is what Python runs, in numba's simulator; for the device it is replaced.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic as numba_intrinsic
from numba.extending import overload

from hpml_kernels.types import Array

BYTES = 16
intrinsic: Any = numba_intrinsic  # its types do not know that it takes one argument off
_INDEX = ir.IntType(32)
_VECTOR = ir.VectorType(ir.FloatType(), 4)
_FOUR = types.UniTuple(types.float32, 4)


def load4(x: Array, i: int) -> tuple[Any, Any, Any, Any]:
    """Read four elements."""
    return x[i], x[i + 1], x[i + 2], x[i + 3]


def store4(x: Array, i: int, four: tuple[Any, Any, Any, Any]) -> None:
    """Write four elements."""
    x[i], x[i + 1], x[i + 2], x[i + 3] = four


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer())


@intrinsic
def _load(_typing: Any, x: Any, i: Any) -> Any:  # noqa: ARG001  numba goes by names
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], *arguments)
        vector = builder.load(pointer, align=BYTES)
        each = [builder.extract_element(vector, _INDEX(lane)) for lane in range(4)]
        return context.make_tuple(builder, _FOUR, each)

    return _FOUR(x, types.intp), build


@intrinsic
def _store(_typing: Any, x: Any, i: Any, four: Any) -> Any:  # noqa: ARG001
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, index, values = arguments
        vector = ir.Constant(_VECTOR, ir.Undefined)
        for lane in range(4):
            value = builder.extract_value(values, lane)
            vector = builder.insert_element(vector, value, _INDEX(lane))
        pointer = _pointer(context, builder, signature.args[0], array, index)
        builder.store(vector, pointer, align=BYTES)
        return context.get_dummy_value()

    return types.void(x, types.intp, _FOUR), build


# numba compares the parameters of the two functions, annotations too.
@overload(load4)
def _load4(x: Any, i: Any) -> Any:  # noqa: ARG001
    def load(x: Any, i: Any) -> Any:
        return _load(x, i)

    return load


@overload(store4)
def _store4(x: Any, i: Any, four: Any) -> Any:  # noqa: ARG001
    def store(x: Any, i: Any, four: Any) -> Any:
        return _store(x, i, four)

    return store
