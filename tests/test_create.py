"""Making tensors: from Python, NumPy and foreign memory, as PyTorch does."""

from __future__ import annotations

import array
import collections
import gc
import re
import weakref
from typing import Any

import numpy as np
import pytest
from golden.record_tensor import lines_of, outcome, recorded

import autodiff as ad


@pytest.mark.parametrize("line", lines_of("create"))
def test_as_pytorch(line: str) -> None:
    assert outcome(ad, line) == recorded()[line]


def test_a_copy_of_a_tensor_warns_that_no_gradient_gets_through() -> None:
    x = ad.ones(2, requires_grad=True)
    with pytest.warns(UserWarning, match="recommended to use sourceTensor.detach"):
        assert not ad.tensor(x).requires_grad


def test_buffers_share_memory() -> None:
    values = array.array("d", [1.0, 2.0])
    x = ad.as_tensor(values)
    x += 1
    assert values.tolist() == [2.0, 3.0]
    raw = bytearray(b"\x01\x02\x03\x04")
    y = ad.as_tensor(memoryview(raw)[1:3])
    y[0] = 9
    assert raw == bytearray(b"\x01\x09\x03\x04")
    assert (y.dtype, y.shape) == (ad.uint8, (2,))


def test_a_buffer_of_several_dimensions() -> None:
    view = memoryview(array.array("i", range(6))).cast("B").cast("i", (2, 3))
    assert ad.as_tensor(view).tolist() == [[0, 1, 2], [3, 4, 5]]


def test_buffers_that_cannot_be_shared_are_type_errors() -> None:
    for data in (array.array("H", [1]), array.array("Q", [1])):
        with pytest.raises(TypeError, match="format"):
            ad.as_tensor(data)
    with pytest.raises(TypeError, match="contiguous"):
        ad.as_tensor(memoryview(b"abcd")[::2])


@pytest.mark.parametrize(
    "data",
    [b"abc", np.broadcast_to(np.arange(3.0), (3,)), memoryview(b"xyz")],
    ids=["bytes", "array", "memoryview"],
)
def test_read_only_memory_is_read_but_never_written(data: object) -> None:
    x = ad.as_tensor(data)
    before = x.tolist()
    writes = [
        lambda: x.zero_(),
        lambda: x.add_(1),
        lambda: x.__setitem__(0, 1),
        lambda: x[1:].fill_(2),
        lambda: x.copy_(ad.zeros(3, dtype=x.dtype)),
        lambda: x.index_put_((ad.tensor([0]),), ad.zeros(1, dtype=x.dtype)),
        lambda: x.__setitem__(x == x, 0),
        lambda: ad.add(x, 1, out=x),
        lambda: ad.as_tensor(data).uniform_() if x.is_floating_point() else x.mul_(2),
    ]
    for write in writes:
        with pytest.raises(RuntimeError, match="read-only"):
            write()
    assert x.tolist() == before == x.clone().zero_().add_(x).tolist()


def test_numpy_of_read_only_memory_is_read_only() -> None:
    array = ad.as_tensor(b"abc").numpy()
    assert not array.flags.writeable
    with pytest.raises(ValueError, match="WRITEABLE"):
        array.flags.writeable = True


@pytest.mark.parametrize("kind", ["?", "u1", "i1", "i2", "i4", "i8", "f2", "f4", "f8"])
def test_arrays_keep_place_strides_and_flag_there_and_back(kind: str) -> None:
    whole = np.arange(24).reshape(2, 3, 4).astype(kind)
    views = [whole, whole.T, whole[:, ::2], whole[1, 2, 3:].reshape(()), whole[:, :, 1:2]]
    for given in [*views, np.broadcast_to(whole[:1], (2, 3, 4)), whole[:, 1:1]]:
        back = ad.from_numpy(given).numpy()
        assert (back.dtype, back.shape) == (given.dtype, given.shape)
        assert (back == given).all()
        if given.size:
            assert back.ctypes.data == given.ctypes.data
            assert back.flags.writeable == given.flags.writeable
            assert back.strides == given.strides


def test_an_array_keeps_the_memory_of_its_tensor() -> None:
    arrays = [ad.full((1000,), float(i)).numpy() for i in range(50)]
    others = [ad.zeros(1000) for _ in range(100)]
    assert all((a == i).all() for i, a in enumerate(arrays))
    assert len(others) == 100


@pytest.mark.parametrize("strided", [False, True])
def test_memory_that_is_not_aligned_is_refused(strided: bool) -> None:
    floats = np.frombuffer(bytearray(17), np.uint8)[1:].view(np.float32)
    for make in (ad.from_numpy, ad.as_tensor, ad.tensor):
        with pytest.raises(ValueError, match="memory is not aligned"):
            make(floats[::2] if strided else floats)


def test_memory_lives_as_long_as_any_view() -> None:
    class Owner(np.ndarray):
        pass

    owner = np.arange(4.0).view(Owner)
    alive = weakref.ref(owner)
    x = ad.from_numpy(owner)
    view = x[1:]
    del owner, x
    gc.collect()
    assert alive() is not None
    assert view.tolist() == [1.0, 2.0, 3.0]
    del view
    gc.collect()
    assert alive() is None
    shared = ad.ones(3).numpy()
    gc.collect()
    assert shared.tolist() == [1.0, 1.0, 1.0]


def test_nested_data_is_not_changed_and_not_shared() -> None:
    data = [[1.0, 2.0], [3.0, 4.0]]
    x = ad.tensor(data)
    x.zero_()
    assert data == [[1.0, 2.0], [3.0, 4.0]]


def test_any_sequence_is_data() -> None:
    rows = collections.deque([[1, 2.5], collections.UserList([3, 4])])
    for make in (ad.tensor, ad.as_tensor, ad.Tensor):
        assert make(rows).tolist() == [[1.0, 2.5], [3.0, 4.0]]
    for data in ({1: 2}, collections.UserDict(), {1, 2}, iter([1])):
        with pytest.raises(RuntimeError, match="Could not infer dtype"):
            ad.tensor(data)


def test_a_tensor_of_another_library_is_data_and_named_where_it_is_refused() -> None:
    class Tensor:
        __module__ = "other"

        def __init__(self, x: ad.Tensor) -> None:
            self.__dlpack__, self.__dlpack_device__ = x.__dlpack__, x.__dlpack_device__

    x = ad.ones(2, 2)
    foreign = Tensor(x)
    assert ad.tensor(foreign).data_ptr() != x.data_ptr() == ad.as_tensor(foreign).data_ptr()
    calls = [ad.exp, ad.nn.Parameter, ad.nn.Linear(2, 2), lambda y: ad.cat([x, y])]
    for call in [*calls, lambda y: ad.matmul(x, y), lambda y: ad.nn.functional.mse_loss(x, y)]:
        with pytest.raises(TypeError, match=r"other\.Tensor \(from_dlpack shares"):
            call(foreign)


def test_a_list_that_holds_itself_is_an_error() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="at most 8 dimensions"):
        ad.tensor(endless)


def test_default_dtype() -> None:
    ad.set_default_dtype(ad.float64)
    try:
        made = [ad.tensor(1.0), ad.zeros(1), ad.tensor([1]) / 2, ad.tensor([1]) + 0.5, ad.rand(1)]
        assert [x.dtype for x in made] == [ad.float64] * 5
        assert repr(ad.tensor(1.5)) == "tensor(1.5000)"
    finally:
        ad.set_default_dtype(ad.float32)
    assert (ad.tensor([1]) + 0.5).dtype is ad.float32


@pytest.mark.parametrize("kind", "fdqhB")
def test_an_empty_buffer_lies_anywhere(kind: str) -> None:
    """CPython has the memory of empty arrays at an odd address."""
    empty = array.array(kind)
    for make in (ad.tensor, ad.as_tensor, ad.asarray):
        assert make(empty).shape == (0,)


@pytest.mark.parametrize("strided", [False, True])
def test_memory_that_is_refused_is_let_go_at_once(strided: bool) -> None:
    """No cycle holds it: a buffer in one may be cleared before what uses it."""

    class Owner(np.ndarray):
        pass

    owner = np.zeros((1,) * 8 + (4,)).view(Owner)[..., :: 1 + strided]
    alive = weakref.ref(owner)
    gc.disable()
    try:
        for _ in range(2):
            try:
                ad.from_numpy(owner)
            except IndexError:
                continue
            pytest.fail("taken with 9 dimensions")
        del owner
        assert alive() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("address", [-8, 2**64 - 8])
def test_an_array_past_the_last_address_is_refused(address: int) -> None:
    about = {"shape": (3,), "typestr": "<f4", "data": (address, False), "version": 3}
    nowhere: Any = type("Nowhere", (), {"__array_interface__": about})()
    with pytest.raises(RuntimeError, match="do not fit"):
        ad.from_numpy(nowhere)


def test_an_array_without_memory_is_refused() -> None:
    about = {"shape": (3,), "typestr": "<f4", "data": (0, False), "version": 3}
    nowhere: Any = type("Nowhere", (), {"__array_interface__": about})()
    for make in (ad.tensor, ad.as_tensor, ad.from_numpy):
        with pytest.raises(ValueError, match=r"shape \(3,\): it has no memory"):
            make(nowhere)


@pytest.mark.parametrize(
    ("data", "error", "said"),
    [
        ("a", TypeError, "new(): invalid data type 'str'"),
        (["a"], ValueError, "too many dimensions 'str'"),
        ([["ab"], 1], ValueError, "too many dimensions 'str'"),
        ([1, "a"], TypeError, "new(): invalid data type 'str'"),
        ([b"a"], TypeError, "new(): invalid data type 'bytes'"),
    ],
)
def test_texts_are_no_numbers_and_no_indices(
    data: object, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=re.escape(said)):
        ad.tensor(data)
    x = ad.zeros(2, 3)
    if not isinstance(data, list):
        for index in (data, (0, data), (..., data)):
            with pytest.raises(error, match=re.escape(said)):
                x[index]
            with pytest.raises(error, match=re.escape(said)):
                x[index] = 0
