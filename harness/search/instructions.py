"""Instructions of a processor that numba has no name for, as LLVM offers them everywhere.

LLVM translates them for whatever processor it finds; where it lacks one, for several others.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from harness.base.jit import instruction

ABREAST = 64
"""Numbers that :func:`within` and :func:`reaching` compare at once."""

_BYTE, _INT16, _INT32, _INT64 = (ir.IntType(n) for n in (8, 16, 32, 64))


def _address(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    """The address of ``args[0][args[1]]``."""
    array = context.make_array(signature.args[0])(context, builder, args[0])
    return builder.gep(array.data, [args[1]])


def _abreast(builder: Any, address: Any, align: int) -> Any:
    """The ``ABREAST`` numbers at ``address``."""
    vector = ir.VectorType(address.type.pointee, ABREAST)
    return builder.load(builder.bitcast(address, vector.as_pointer()), align=align)


def _repeated(builder: Any, number: Any) -> Any:
    """``ABREAST`` times ``number``."""
    nothing = ir.Constant(ir.VectorType(number.type, ABREAST), ir.Undefined)
    one = builder.insert_element(nothing, number, _INT32(0))
    first = ir.Constant(ir.VectorType(_INT32, ABREAST), [0] * ABREAST)
    return builder.shuffle_vector(one, nothing, first)


@instruction
def prefetch(typingctx: Any, array: Any, index: Any) -> Any:
    """Begin to load the cache line of ``array[index]``, without waiting for it."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = builder.bitcast(_address(context, builder, signature, args), _BYTE.as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [_BYTE.as_pointer(), _INT32, _INT32, _INT32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        # To be read, kept in the nearest cache, data.
        builder.call(function, [address, _INT32(0), _INT32(3), _INT32(1)])
        return context.get_dummy_value()

    return types.void(array, index), generate


@instruction
def within(typingctx: Any, array: Any, index: Any, lowest: Any, width: Any) -> Any:
    """Which of the int16 ``array[index : index + ABREAST]`` are in an interval, as the bits of one.

    The interval is from ``lowest`` to ``lowest + width``, the width unsigned; no difference of a
    number and ``lowest`` may overflow.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        numbers = _abreast(builder, _address(context, builder, signature, args), 2)
        # Below the interval a difference is negative: as an unsigned number it is a large one.
        above = builder.sub(numbers, _repeated(builder, args[2]))
        inside = builder.icmp_unsigned("<=", above, _repeated(builder, args[3]))
        return builder.bitcast(inside, _INT64)

    return types.uint64(array, index, lowest, width), generate


@instruction
def reaching(typingctx: Any, array: Any, index: Any, bound: Any) -> Any:
    """Which of the float32 ``array[index : index + ABREAST]`` are at least ``bound``, as bits."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        numbers = _abreast(builder, _address(context, builder, signature, args), 4)
        enough = builder.fcmp_ordered(">=", numbers, _repeated(builder, args[2]))
        return builder.bitcast(enough, _INT64)

    return types.uint64(array, index, bound), generate


@instruction
def widened(typingctx: Any, number: Any) -> Any:
    """A stored number as the float32 that it is: of uint16, the bits of a float16, or float32."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if number == types.float32:
            return args[0]
        return builder.fpext(builder.bitcast(args[0], ir.HalfType()), ir.FloatType())

    return types.float32(number), generate


@instruction
def lowest_bit(typingctx: Any, bits: Any) -> Any:
    """The place of the lowest bit that is 1, of an integer other than 0."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.IntType(1)(1))

    return types.uint64(types.uint64), generate


@instruction
def ones(typingctx: Any, bits: Any) -> Any:
    """How many bits of an integer are 1."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), generate
