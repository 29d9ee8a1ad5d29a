"""Tensors of the native library for tests below the Tensor class, in any layout."""

import ctypes
import gc
import math
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

from hypothesis import strategies as st

from autodiff.native import Held, ffi, hold, lib

DTYPES = {ffi.string(lib.ad_dtype_name(i)).decode(): i for i in range(64) if lib.ad_dtype_name(i)}
REDUCTIONS = {
    ffi.string(lib.ad_reduction_name(i)).decode(): i for i in range(64) if lib.ad_reduction_name(i)
}
INTEGERS = ("uint8", "int8", "int16", "int32", "int64")
C_TYPES = {"bool": "uint8_t"} | {name: f"{name}_t" for name in INTEGERS}
C_TYPES |= {"float16": "uint16_t", "bfloat16": "uint16_t", "float32": "float", "float64": "double"}
HALVES = ("float16", "bfloat16")  # whose elements are seen as bits
FLOATS = ("float32", "float64")

Number = float | int


def in_use() -> tuple[int, int]:
    """Bytes and blocks that the pool has given out."""
    stats = ffi.new("int64_t[4]")
    lib.ad_memory_stats(stats)
    return int(stats[0]), int(stats[3])


@contextmanager
def no_collector() -> Iterator[None]:
    """Memory is freed by reference counts alone."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def fails(call: Callable[[], Any], at: int) -> bool:
    """Whether a call in which the allocation of this number fails raises MemoryError."""
    said = ""
    lib.ad_memory_fail(at)
    try:
        call()
    except MemoryError as failure:
        said = str(failure)
    finally:
        lib.ad_memory_fail(0)
    assert not said or re.search(r"[1-9]\d* bytes", said)
    return bool(said)


def wrap(value: Number, dtype: str) -> Number:
    """The value as an element of dtype holds it."""
    if dtype == "bool":
        return int(value != 0)
    if dtype in HALVES:
        return from_bits(to_bits(value, dtype), dtype)
    if dtype in FLOATS:
        return ctypes.c_float(value).value if dtype == "float32" else float(value)
    integer: Number = getattr(ctypes, f"c_{dtype}")(math.trunc(value)).value
    return integer


def to_bits(value: Number, dtype: str) -> int:
    """The bits of the nearest number of 16, by way of float32."""
    single = ctypes.c_float(value).value
    if dtype == "float16":
        try:
            raw = struct.pack("<e", single)
        except OverflowError:
            raw = struct.pack("<e", math.copysign(math.inf, single))
        return int.from_bytes(raw, "little")
    bits = int.from_bytes(struct.pack("<f", single), "little")
    return bits >> 16 | 0x40 if single != single else bits + 0x7FFF + (bits >> 16 & 1) >> 16


def from_bits(bits: int, dtype: str) -> float:
    if dtype == "float16":
        return float(struct.unpack("<e", bits.to_bytes(2, "little"))[0])
    return float(struct.unpack("<f", (bits << 16).to_bytes(4, "little"))[0])


def owned(pointer: Any) -> Any:
    """A tensor that frees itself; a failure is an exception."""
    check(0 if pointer else lib.ad_error(ffi.NULL))
    return pointer if type(pointer) is Held else hold(pointer)


class NativeError(Exception):
    """A status of the library, by the tail of its name, and its numbers."""


def check(status: int) -> None:
    if status:
        detail = ffi.new("int64_t[3]")
        lib.ad_error(detail)
        name = ffi.typeof("ad_status").elements[status].removeprefix("AD_")
        raise NativeError(name, *detail)


def positions(shape: Sequence[int]) -> Iterator[tuple[int, ...]]:
    return product(*(range(n) for n in shape))


def offsets(shape: Sequence[int], strides: Sequence[int]) -> list[int]:
    """Of each element, in row-major order."""
    return [sum(i * s for i, s in zip(p, strides, strict=True)) for p in positions(shape)]


@dataclass(frozen=True)
class Layout:
    """How to store a shape: dimensions from outer to inner, a step for each, elements before."""

    shape: tuple[int, ...]
    order: tuple[int, ...]
    steps: tuple[int, ...]
    skip: int

    def strides(self) -> list[int]:
        strides, stride = [0] * len(self.shape), 1
        for d in reversed(self.order):
            strides[d] = self.steps[d] * stride
            stride *= max(1, self.shape[d] * self.steps[d])
        return strides


def plain(*shape: int) -> Layout:
    return Layout(shape, tuple(range(len(shape))), (1,) * len(shape), 0)


def layouts(shape: Sequence[int]) -> st.SearchStrategy[Layout]:
    n = len(shape)
    order = st.permutations(range(n)).map(tuple)
    steps = st.tuples(*[st.sampled_from([1, 1, 1, 2, 3])] * n)
    return st.builds(Layout, st.just(tuple(shape)), order, steps, st.sampled_from([0, 0, 3]))


def shapes(max_dims: int = 4, max_size: int = 5) -> st.SearchStrategy[tuple[int, ...]]:
    return st.lists(st.integers(0, max_size), max_size=max_dims).map(tuple)


def tensor(values: Sequence[Number], dtype: str, layout: Layout | None = None) -> Any:
    """The values, in row-major order, in this layout (one dimension by default)."""
    layout = layout or plain(len(values))
    strides = layout.strides()
    places = [layout.skip + at for at in offsets(layout.shape, strides)]
    room = owned(lib.ad_empty(DTYPES[dtype], 1, [max(places, default=layout.skip) + 1]))
    data = ffi.cast(C_TYPES[dtype] + "*", room.data)
    for i in range(room.numel):
        data[i] = 77  # what a wrong stride would find
    for at, value in zip(places, values, strict=True):
        data[at] = to_bits(value, dtype) if dtype in HALVES else wrap(value, dtype)
    shape = list(layout.shape)
    return owned(lib.ad_as_strided(room, len(shape), shape, strides, layout.skip))


def shape_of(x: Any) -> tuple[int, ...]:
    return tuple(x.shape[d] for d in range(x.ndim))


def strides_of(x: Any) -> tuple[int, ...]:
    return tuple(x.strides[d] for d in range(x.ndim))


def dtype_of(x: Any) -> str:
    name: str = ffi.string(lib.ad_dtype_name(x.dtype)).decode()
    return name


def values_of(x: Any) -> list[Number]:
    """The elements in row-major order."""
    dtype = dtype_of(x)
    data = ffi.cast(C_TYPES[dtype] + "*", x.data)
    found = [data[at] for at in offsets(shape_of(x), strides_of(x))]
    return [from_bits(v, dtype) for v in found] if dtype in HALVES else found


def same(a: Sequence[Number], b: Sequence[Number]) -> bool:
    """Equal in value and in the sign of zeros; one nan is as good as another."""

    def key(v: Number) -> tuple[str, float]:
        return ("nan", 0.0) if v != v else (repr(v), math.copysign(1, v))

    return [key(v) for v in a] == [key(v) for v in b]


def numbers(dtype: str) -> st.SearchStrategy[Number]:
    if dtype == "bool":
        return st.integers(0, 1)
    if dtype in HALVES:
        return numbers("float32").map(lambda v: wrap(v, dtype))
    if dtype in FLOATS:
        width: Literal[32, 64] = 32 if dtype == "float32" else 64
        special = st.sampled_from([0.0, -0.0, 1.0, math.inf, -math.inf, math.nan])
        return st.floats(width=width) | st.floats(-8, 8, width=width) | special
    small, bits = st.integers(0, 3), 8 * lib.ad_dtype_size(DTYPES[dtype])
    if dtype == "uint8":
        return small | st.integers(0, 255)
    return small | st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
