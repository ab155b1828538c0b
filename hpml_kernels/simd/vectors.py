"""Vectors of 64 bytes inside compiled functions: what numba's loops cannot be relied on to make.

``load(x, i)`` reads the vector that begins at element ``i``, ``store`` writes one, ``stream``
writes one past the caches (a non-temporal store: the line is not read before it is written), which
asks for an address that is a multiple of 64. ``splat`` fills all lanes, ``total`` adds them up.

Lane by lane work ``+`` and ``*``. Floating-point vectors also have ``fma(a, b, c)``, ``a * b + c``
rounded once, ``larger(a, b)``, and ``greatest``, the largest of all lanes. Unsigned integer ones
have ``^``, ``|``, ``<<``, ``>>``, also with a number on the right. ``square_sums`` takes any vector
as pairs of signed 16-bit numbers.

Where the machine's vectors are narrower, LLVM splits them.
"""

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic as numba_intrinsic
from numba.extending import models, overload, register_model

BYTES = 64
intrinsic: Any = numba_intrinsic  # its types do not know that it takes two arguments off


class Vector(types.Type):
    """As many elements of a numba scalar type as fill 64 bytes."""

    def __init__(self, element: Any) -> None:
        """Know the element's type."""
        self.element = element
        self.lanes = BYTES * 8 // element.bitwidth
        super().__init__(name=f"{element}x{self.lanes}")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, vector: Vector) -> None:
        element = manager.lookup(vector.element).get_value_type()
        super().__init__(manager, vector, ir.VectorType(element, vector.lanes))


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """Return where a vector begins in a contiguous array."""
    data = context.make_array(array_type)(context, builder, array).data
    vector = context.get_value_type(Vector(array_type.dtype))
    return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())


def _is_floating(vector: Vector) -> bool:
    return isinstance(vector.element, types.Float)


def _llvm(builder: Any, name: str, vector: Any, result: Any, *arguments: Any) -> Any:
    """Declare a function that LLVM has for vectors of this type."""
    full_name = f"llvm.{name}.v{vector.count}{vector.element.intrinsic_name}"
    kind = ir.FunctionType(result, arguments)
    return cgutils.get_or_insert_function(builder.module, kind, full_name)


@intrinsic
def load(_typing: Any, x: Any, index: Any) -> Any:  # noqa: ARG001  numba goes by names
    """Read the vector at element ``index``, which need not be aligned."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], *arguments)
        return builder.load(pointer, align=x.dtype.bitwidth // 8)

    return Vector(x.dtype)(x, types.uintp), build


def _storing(align: int | None, *, past_caches: bool) -> Any:
    def typed(_typing: Any, x: Any, index: Any, value: Any) -> Any:  # noqa: ARG001
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> None:
            array, at, vector = arguments
            pointer = _pointer(context, builder, signature.args[0], array, at)
            written = builder.store(vector, pointer, align=align or x.dtype.bitwidth // 8)
            if past_caches:
                one = ir.Constant(ir.IntType(32), 1)
                written.set_metadata("nontemporal", builder.module.add_metadata([one]))

        return types.void(x, types.uintp, Vector(x.dtype)), build

    return typed


store = intrinsic(_storing(None, past_caches=False))
stream = intrinsic(_storing(BYTES, past_caches=True))


@intrinsic
def splat(_typing: Any, number: Any) -> Any:
    """Fill all lanes with one number."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = context.get_value_type(signature.return_type)
        index = ir.IntType(32)
        first = builder.insert_element(ir.Constant(vector, ir.Undefined), arguments[0], index(0))
        none = ir.Constant(ir.VectorType(index, vector.count), [0] * vector.count)
        return builder.shuffle_vector(first, first, none)

    return Vector(number)(number), build


@intrinsic
def total(_typing: Any, vector: Any) -> Any:
    """Add up the lanes: floating-point numbers in float64, in pairs."""
    element = types.float64 if _is_floating(vector) else vector.element

    def build(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        kind, (lanes,) = context.get_value_type(element), arguments
        if not _is_floating(vector):
            add_up = _llvm(builder, "vector.reduce.add", lanes.type, kind, lanes.type)
            return builder.call(add_up, [lanes])
        wide = builder.fpext(lanes, ir.VectorType(kind, vector.lanes))
        add_up = _llvm(builder, "vector.reduce.fadd", wide.type, kind, kind, wide.type)
        return builder.call(add_up, [ir.Constant(kind, -0.0), wide], fastmath=("reassoc",))

    return element(vector), build


@intrinsic
def fma(_typing: Any, a: Any, b: Any, c: Any) -> Any:
    """Multiply, add, round once."""

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        vector = arguments[0].type
        return builder.call(_llvm(builder, "fma", vector, vector, *[vector] * 3), arguments)

    return a(a, b, c), build


@intrinsic
def larger(_typing: Any, a: Any, b: Any) -> Any:
    """Choose the larger number in each lane; that of ``b`` where one is not a number."""

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", *arguments), *arguments)

    return a(a, b), build


@intrinsic
def greatest(_typing: Any, vector: Any) -> Any:
    """Return the largest number of all lanes; what is not a number counts only if all are."""

    def build(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        element = context.get_value_type(vector.element)
        find = _llvm(builder, "vector.reduce.fmax", arguments[0].type, element, arguments[0].type)
        return builder.call(find, arguments)

    return vector.element(vector), build


@intrinsic
def square_sums(_typing: Any, vector: Any) -> Any:
    """Return ``x * x + y * y`` of each pair of signed 16-bit numbers, as 32-bit ones.

    LLVM makes one instruction of it where there is one (vpmaddwd).
    """
    result = Vector(types.uint32)

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        halves = ir.VectorType(ir.IntType(16), 2 * result.lanes)
        whole = ir.VectorType(ir.IntType(32), 2 * result.lanes)
        numbers = builder.sext(builder.bitcast(arguments[0], halves), whole)
        squares = builder.mul(numbers, numbers)
        index = ir.VectorType(ir.IntType(32), result.lanes)
        every_second = (range(start, 2 * result.lanes, 2) for start in (0, 1))
        masks = (ir.Constant(index, [*lanes]) for lanes in every_second)
        return builder.add(*(builder.shuffle_vector(squares, squares, mask) for mask in masks))

    return result(vector), build


def _lane_by_lane(integer: str, floating: str | None) -> Any:
    """Make the intrinsic of LLVM's instruction for two vectors."""

    @intrinsic
    def both(_typing: Any, a: Any, b: Any) -> Any:
        instruction = floating if _is_floating(a) else integer

        def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return getattr(builder, str(instruction))(*arguments)

        return a(a, b), build

    return both


def _operator(function: Any, integer: str, floating: str | None = None) -> None:
    lane_by_lane = _lane_by_lane(integer, floating)

    @overload(function)
    def _of_vectors(a: Any, b: Any) -> Any:
        # numba compares the parameters of the two, annotations too.
        def of_vectors(a: Any, b: Any) -> Any:
            return lane_by_lane(a, b)

        def of_a_number(a: Any, b: Any) -> Any:
            return lane_by_lane(a, splat(b))

        if not isinstance(a, Vector) or (_is_floating(a) and floating is None):
            return None
        return of_vectors if a == b else of_a_number if b == a.element else None


_operator(operator.add, "add", "fadd")
_operator(operator.mul, "mul", "fmul")
_operator(operator.xor, "xor")
_operator(operator.or_, "or_")
_operator(operator.lshift, "shl")
_operator(operator.rshift, "lshr")
