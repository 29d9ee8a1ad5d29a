"""Memory shared by DLPack: the same elements on both sides, for as long as one of them lives."""

from __future__ import annotations

import ctypes
import gc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff.native import ffi, lib
from autodiff.tensor import own

DTYPES = [ad.bool, ad.uint8, ad.int8, ad.int16, ad.int32, ad.int64, ad.float32, ad.float64]


@st.composite
def tensors(draw: Any) -> ad.Tensor:
    """Of any dtype and layout."""
    shape = draw(st.lists(st.integers(0, 4), max_size=4))
    x = (ad.arange(float(np.prod(shape, dtype=int))) % 7).reshape(shape)
    x = x.to(draw(st.sampled_from(DTYPES)))
    if x.ndim:
        x = x.permute(draw(st.permutations(range(x.ndim))))
        x = x[draw(st.sampled_from([slice(None), slice(1, None), slice(None, None, 2)]))]
        x = x.unsqueeze(1).expand(-1, draw(st.integers(1, 2)), *x.shape[1:])
    return x


@settings(deadline=None, max_examples=60)
@given(tensors())
def test_elements_are_shared_both_ways(x: ad.Tensor) -> None:
    array = np.from_dlpack(x)
    assert array.shape == tuple(x.shape)
    assert array.tolist() == x.tolist()
    back = ad.from_dlpack(array)
    assert back.dtype is x.dtype
    assert back.tolist() == x.tolist()
    if x.numel():
        assert array.ctypes.data == back.data_ptr() == x.data_ptr()
        for size, stride, theirs in zip(x.shape, x.stride(), back.stride(), strict=True):
            assert stride == theirs or size == 1  # where older NumPys have strides of their own
        one = ad.from_dlpack(x)
        one[(0,) * x.ndim] = 1
        assert x[(0,) * x.ndim].item() == array[(0,) * x.ndim] == 1
    copied = ad.from_dlpack(x, copy=True)
    assert copied.tolist() == x.tolist()
    assert not x.numel() or copied.data_ptr() != x.data_ptr()


def in_use() -> int:
    gc.collect()
    stats = ffi.new("int64_t[4]")
    lib.ad_memory_stats(stats)
    return int(stats[3])


def test_memory_lives_as_long_as_it_is_used() -> None:
    before = in_use()
    x = ad.arange(5.0)
    array = np.from_dlpack(x[1:])
    del x
    gc.collect()
    y = ad.from_dlpack(array)
    assert array.tolist() == [1.0, 2.0, 3.0, 4.0]
    del array
    gc.collect()
    assert y.tolist() == [1.0, 2.0, 3.0, 4.0]
    del y
    assert in_use() == before


def test_capsules_that_nobody_takes_are_no_leak() -> None:
    x = ad.ones(3)
    before = in_use()
    for version in (None, (1, 0)):
        for _ in range(10):
            x.__dlpack__(max_version=version)
        with pytest.raises(ZeroDivisionError):  # one that goes while an exception is on its way
            [x.__dlpack__(max_version=version), 1 // 0]
    assert in_use() == before
    capsule = x.__dlpack__()
    assert ad.from_dlpack(capsule).data_ptr() == x.data_ptr()
    with pytest.raises(RuntimeError, match="consumed only once"):
        ad.from_dlpack(capsule)


def test_read_only_memory_stays_so() -> None:
    fixed = np.ones(2)
    fixed.flags.writeable = False
    x = ad.from_dlpack(fixed)
    with pytest.raises(RuntimeError, match="read-only"):
        x.add_(1)
    assert not np.from_dlpack(x).flags.writeable
    with pytest.raises(BufferError, match="read-only"):
        x.__dlpack__()
    assert np.from_dlpack(ad.from_dlpack(fixed, copy=True)).flags.writeable


def test_what_cannot_be_shared_is_an_error() -> None:
    x = ad.ones(2, requires_grad=True)
    with pytest.raises(BufferError, match="require gradient"):
        x.__dlpack__()
    with pytest.raises(AssertionError, match="stream should be None"):
        ad.ones(2).__dlpack__(stream=1)
    with pytest.raises(BufferError, match=r"device \(2, 0\)"):
        ad.ones(2).__dlpack__(dl_device=(2, 0))
    assert ad.ones(2).__dlpack_device__() == (1, 0)
    with pytest.raises(BufferError, match="negative stride -1"):
        ad.from_dlpack(np.arange(3)[::-1])
    with pytest.raises(BufferError, match="code 1, 16 bits"):
        ad.from_dlpack(np.ones(2, np.uint16))
    with pytest.raises(RuntimeError, match="not int"):
        ad.from_dlpack(3)
    with pytest.raises(BufferError, match="'cuda' is not supported"):
        ad.from_dlpack(np.ones(2), device="cuda")

    class Elsewhere:
        def __dlpack__(self) -> None:
            pytest.fail("was asked")

        def __dlpack_device__(self) -> tuple[int, int]:
            return 2, 0

    with pytest.raises(BufferError, match="device of type 2"):
        ad.from_dlpack(Elsewhere())


class Raw(ctypes.Structure):
    """A versioned struct of two float32, which a test may spoil."""

    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("data", ctypes.c_void_p),
        ("device", ctypes.c_int32),
        ("id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


def test_structs_of_others_are_checked() -> None:
    memory = (ctypes.c_float * 4)(0.5, 1.5, 2.5, 3.5)
    shape, far = (ctypes.c_int64 * 9)(*[2] * 9), (ctypes.c_int64 * 1)(2**62)
    good: dict[str, Any] = {
        "major": 1,
        "data": ctypes.addressof(memory),
        "device": 1,
        "ndim": 1,
        "code": 2,
        "bits": 32,
        "lanes": 1,
        "shape": shape,
    }

    def taken(**spoilt: Any) -> Any:
        raw = Raw(**{**good, **spoilt})
        return raw, lib.ad_dlpack_import(ffi.cast("void *", ctypes.addressof(raw)), 1)

    raw, p = taken(byte_offset=4)
    assert ffi.unpack(ffi.cast("float *", p.data), 2) == [1.5, 2.5]
    lib.ad_free(p)
    raw, p = taken(shape=(ctypes.c_int64 * 1)(0), data=None)  # PyTorch's tensors of nothing
    x = own(p, "from_dlpack")
    assert x.tolist() == []
    assert x.sum().item() == 0
    assert x.clone().numpy().shape == (0,)
    assert repr(x) == "tensor([])"
    assert len(x.numpy()) == 0
    assert bytes(memoryview(x.numpy())) == b""
    negative, huge = (ctypes.c_int64 * 1)(-1), (ctypes.c_int64 * 2)(2**40, 2**40)
    for spoilt in (
        {"major": 2},
        {"device": 2},
        {"lanes": 4},
        {"bits": 8},
        {"code": 9},
        {"ndim": -1},
        {"ndim": 9},
        {"shape": negative},
        {"strides": negative},
        {"strides": far},
        {"shape": huge, "ndim": 2},
        {"data": None},
        {"byte_offset": 2},
        {"byte_offset": 2**63},
        {"data": 2**64 - 4},
        {"shape": None},
    ):
        raw, p = taken(**spoilt)
        assert not p, spoilt
    del raw


def test_numpy_arrays_of_tensors() -> None:
    x = ad.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"detach\(\)\.numpy\(\)"):
        x.numpy()
    assert x.numpy(force=True).ctypes.data == x.data_ptr()
    y = ad.ones(2)
    assert np.asarray(y).ctypes.data == y.data_ptr()
    assert np.asarray(y, dtype=np.float64).dtype == np.float64
    assert np.array(y).ctypes.data != y.data_ptr()
    with pytest.raises(ValueError, match="is a copy"):
        y.__array__(np.float64, copy=False)


def test_an_array_whose_capsule_is_of_no_use_is_taken_by_its_interface() -> None:
    class Odd:
        def __init__(self, array: Any, capsule: Any) -> None:
            self.__array_interface__ = array.__array_interface__
            self.array, self.__dlpack__ = array, lambda: capsule

    array = np.arange(6.0).reshape(2, 3).T
    taken = array.__dlpack__()
    assert ad.from_dlpack(taken).stride() == (1, 3)
    for capsule in (None, 5, taken, array[::-1].__dlpack__(), array.astype(complex).__dlpack__()):
        x = ad.from_numpy(Odd(array, capsule))
        assert (x.stride(), x.data_ptr()) == ((1, 3), array.ctypes.data)
    assert lib.ad_dlpack_import(ffi.NULL, 0) == lib.ad_dlpack_import(ffi.NULL, 1) == ffi.NULL
