"""Transposing a square of 16 by 16 float32 numbers in vector registers.

Four rounds of perfect shuffles: each interleaves vector i with vector i + 8, which rotates the bits
of (row, column) by one; after four of eight bits rows and columns have changed places.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from hpml_kernels.simd.vectors import BYTES

SIDE = 16
_INT = ir.IntType(32)
_VECTOR = ir.VectorType(ir.FloatType(), SIDE)


def _shuffles(builder: Any, rows: list[Any]) -> list[Any]:
    half = SIDE // 2
    masks = []
    for first in (0, half):
        lanes = [lane + source for lane in range(first, first + half) for source in (0, SIDE)]
        masks.append(ir.Constant(ir.VectorType(_INT, SIDE), lanes))
    pairs = [(rows[i], rows[i + half], mask) for i in range(half) for mask in masks]
    return [builder.shuffle_vector(*pair) for pair in pairs]


def _transposing(*, past_caches: bool) -> Any:
    def typed(  # noqa: PLR0913  two places, each an array, an index and a stride
        _typing: Any,
        x: Any,
        x_at: Any,  # noqa: ARG001  numba goes by names
        x_row: Any,  # noqa: ARG001
        out: Any,
        out_at: Any,  # noqa: ARG001
        out_row: Any,  # noqa: ARG001
    ) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> None:
            x_array, x_first, x_stride, out_array, out_first, out_stride = arguments

            def at(array_type: Any, array: Any, first: Any, stride: Any, row: int) -> Any:
                data = context.make_array(array_type)(context, builder, array).data
                index = builder.add(first, builder.mul(stride, stride.type(row)))
                return builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer())

            rows = [
                builder.load(at(signature.args[0], x_array, x_first, x_stride, row), align=4)
                for row in range(SIDE)
            ]
            for _ in range(SIDE.bit_length() - 1):
                rows = _shuffles(builder, rows)
            for row, vector in enumerate(rows):
                pointer = at(signature.args[3], out_array, out_first, out_stride, row)
                written = builder.store(vector, pointer, align=BYTES if past_caches else 4)
                if past_caches:
                    written.set_metadata("nontemporal", builder.module.add_metadata([_INT(1)]))

        place = types.intp
        return types.void(x, place, place, out, place, place), build

    return typed


transpose_tile = intrinsic(_transposing(past_caches=False))
transpose_tile_past_caches = intrinsic(_transposing(past_caches=True))
