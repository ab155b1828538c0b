"""The innermost loop of a matrix product: a tile of the result kept in vector registers.

The layout is that of K. Goto and R. van de Geijn, "Anatomy of High-Performance Matrix
Multiplication" (ACM TOMS 34, 2008): per step of depth one column of the left panel, number by
number, meets one row of the right panel, ``COLUMNS`` wide. The tile's size follows the machine's
registers: 32 of 64 bytes, or 16 of 32.
"""

from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

WIDE = bool(binding.get_host_cpu_features().get("avx512f"))
LANES = 16 if WIDE else 8
ROWS = 12 if WIDE else 6  # with two vectors a row, two for the right panel, and some to spare
COLUMNS = 2 * LANES

_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_INT = ir.IntType(32)


def _splat(builder: Any, number: Any) -> Any:
    first = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), number, _INT(0))
    none = ir.Constant(ir.VectorType(_INT, LANES), [0] * LANES)
    return builder.shuffle_vector(first, first, none)


def _vectors(builder: Any, pointer: Any) -> list[Any]:
    """Return where the two vectors lie that begin at a pointer to float."""
    first = builder.bitcast(pointer, _VECTOR.as_pointer())
    return [builder.gep(first, [_INT(i)]) for i in range(2)]


def _step(builder: Any, fma: Any, left: Any, right: Any, sums: list[list[Any]]) -> None:
    """Add one step of depth to the sums."""
    row = [builder.load(pointer, align=4) for pointer in _vectors(builder, right)]
    for r, pair in enumerate(sums):
        number = _splat(builder, builder.load(builder.gep(left, [_INT(r)])))
        for part, total in zip(row, pair, strict=True):
            builder.store(builder.call(fma, [number, part, builder.load(total)]), total)


def _add_tile(  # noqa: PLR0913  panels and a tile, each an array and an index
    _typing: Any,
    left: Any,
    left_at: Any,  # noqa: ARG001  numba goes by names
    right: Any,
    right_at: Any,  # noqa: ARG001
    depth: Any,  # noqa: ARG001
    out: Any,
    out_at: Any,  # noqa: ARG001
    stride: Any,  # noqa: ARG001
) -> Any:
    """Add a product of packed panels to a tile of ``out``.

    ``left`` holds ``ROWS`` numbers for each step of depth from ``left_at``, ``right`` ``COLUMNS``
    from ``right_at``; the tile's rows begin at ``out_at`` and every ``stride`` after it. All are
    flat, contiguous float32 arrays; nothing is checked.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        def at(array: int, index: Any) -> Any:
            made = context.make_array(signature.args[array])(context, builder, arguments[array])
            return builder.gep(made.data, [index])

        zero = ir.Constant(_VECTOR, [0.0] * LANES)
        sums = [[cgutils.alloca_once_value(builder, zero) for _ in range(2)] for _ in range(ROWS)]
        kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        fma = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{LANES}f32")
        _, left_from, _, right_from, steps, _, first, row_stride = arguments
        with cgutils.for_range(builder, steps) as loop:
            left_index = builder.add(left_from, builder.mul(loop.index, loop.index.type(ROWS)))
            right_index = builder.add(right_from, builder.mul(loop.index, loop.index.type(COLUMNS)))
            _step(builder, fma, at(0, left_index), at(2, right_index), sums)
        for r, pair in enumerate(sums):
            start = builder.add(first, builder.mul(row_stride, row_stride.type(r)))
            for pointer, total in zip(_vectors(builder, at(5, start)), pair, strict=True):
                before = builder.load(pointer, align=4)
                builder.store(builder.fadd(before, builder.load(total)), pointer, align=4)

    at_type = types.intp
    return types.void(left, at_type, right, at_type, at_type, out, at_type, at_type), build


add_tile: Any = intrinsic(_add_tile)
