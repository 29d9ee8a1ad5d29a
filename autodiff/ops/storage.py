"""A tensor's memory: what it is, other sizes and strides over it, and other memory in its place."""

from __future__ import annotations

import os
from typing import Any

from autodiff import dtypes
from autodiff.changes import changed_of
from autodiff.descriptor import fresh
from autodiff.dtypes import dtype, flag, get_default_dtype
from autodiff.native import lib
from autodiff.node import mode
from autodiff.ops.bytes import reinterpreted
from autodiff.ops.clones import clone
from autodiff.ops.convert import Dtype
from autodiff.ops.create import renewed, unset
from autodiff.ops.foreign import view_of
from autodiff.ops.guard import must_be, strict
from autodiff.ops.views import narrow
from autodiff.shapes import contiguous_strides, sizes_of
from autodiff.tensor import Tensor, wrap


def whole(x: Tensor) -> Any:
    """All elements of x's storage, as a descriptor."""
    n = lib.ad_storage_bytes(x._p) // x.itemsize
    return fresh(lib.ad_as_strided(x._p, 1, [n], [1], 0), "storage", x._p)


class UntypedStorage:
    """The memory that tensors share, as bytes; `Tensor.storage()` is the same as its elements.

    data_ptr(), nbytes(), size() (also len()), element_size(), tolist(), elements to get and set.

    >>> x = ad.tensor([1.0, 2.0, 3.0])
    >>> x[1:].untyped_storage().nbytes()
    12
    >>> x[1:].untyped_storage().data_ptr() == x.data_ptr()
    True
    """

    def __init__(self, elements: Tensor) -> None:
        self._x = elements
        self.data_ptr, self.tolist, self.size = elements.data_ptr, elements.tolist, elements.numel
        self.element_size, self.dtype = elements.element_size, elements.dtype
        self.device = elements.device

    def nbytes(self) -> int:
        """The bytes there are."""
        return self._x.nbytes

    def __len__(self) -> int:
        return self._x.numel()

    def __getitem__(self, index: int) -> Any:
        return self._x[index].item()

    def __setitem__(self, index: int | slice, value: Any) -> None:
        self._x[index] = value

    def untyped(self) -> UntypedStorage:
        """The same as bytes."""
        return untyped_storage(self._x)

    def __repr__(self) -> str:
        values = "\n ".join(map(str, self.tolist()))
        return f" {values}\n[torch.storage.{self._about()} of size {len(self)}]"

    def _about(self) -> str:
        return f"UntypedStorage(device={self.device!s})"


class TypedStorage(UntypedStorage):
    """The memory that tensors share, as elements of a dtype."""

    def _about(self) -> str:
        return f"TypedStorage(dtype={self.dtype!r}, device={self.device!s})"


def storage(self: Tensor) -> UntypedStorage:
    """The memory that the tensor shares with its views, as elements of its dtype.

    >>> ad.tensor([1, 2, 3])[1:].storage().tolist()
    [1, 2, 3]
    """
    return TypedStorage(wrap(whole(self)))


def untyped_storage(self: Tensor) -> UntypedStorage:
    """The memory that the tensor shares with its views, as bytes.

    >>> ad.zeros(2, 3).untyped_storage().nbytes()
    24
    """
    return UntypedStorage(reinterpreted(wrap(whole(self)), dtypes.uint8))


def is_set_to(self: Tensor, tensor: Tensor) -> bool:
    """Whether two tensors are the same elements of the same memory, in the same order.

    >>> x = ad.zeros(2)
    >>> x.is_set_to(x.view(2)), x.is_set_to(x.clone())
    (True, False)
    """
    same = lib.ad_storage_id(self._p) == lib.ad_storage_id(tensor._p)
    return (
        same
        and self.storage_offset() == tensor.storage_offset()
        and (self.shape, self.stride()) == (tensor.shape, tensor.stride())
    )


# ---- other memory in place of a tensor's ----


def _give(self: Tensor, p: Any) -> Tensor:
    """The tensor with another descriptor. RuntimeError where its history made another shape."""
    if not self.is_leaf and wrap(p).shape != self.shape:
        raise RuntimeError(
            f"set_(): a tensor of shape {list(self.shape)} that an operation made cannot be given "
            "another shape: backward needs its own"
        )
    self._p = p
    self._base = self._base_node = None
    changed_of(self)
    return self


def resize_(self: Tensor, *sizes: Any) -> Tensor:
    """Give the tensor another shape, row-major from its first element on.

    Where its storage is too small for that, the tensor gets another one with what was there, and
    shares memory with its former views no more. What no element was stored in is not set.

    RuntimeError of a tensor that requires grad.

    >>> ad.tensor([1, 2, 3, 4, 5]).resize_(2, 2)
    tensor([[1, 2],
            [3, 4]])
    """
    if not sizes:
        raise TypeError('resize_() missing 1 required positional arguments: "size"')
    shape = sizes_of(sizes, "resize_")
    if self.requires_grad:
        raise RuntimeError("cannot resize variables that require grad")
    if tuple(shape) == self.shape:
        return self
    steps, p = list(contiguous_strides(shape)), self._p
    fits = lib.ad_as_strided(p, len(shape), shape, steps, self.storage_offset())
    if fits:
        return _give(self, fresh(fits, "resize_"))
    larger = renewed("resize_", self, shape)
    flat = wrap(whole(self))[self.storage_offset() :]
    n = min(flat.numel(), larger.numel())
    larger.view(-1)[:n] = flat[:n]
    return _give(self, larger._p)


def resize_as_(self: Tensor, the_template: Tensor) -> Tensor:
    """`resize_` to another tensor's shape.

    >>> ad.tensor([1, 2, 3, 4]).resize_as_(ad.zeros(2, 2))
    tensor([[1, 2],
            [3, 4]])
    """
    return resize_(self, the_template.shape)


def set_(
    self: Tensor, source: Any = None, storage_offset: int = 0, size: Any = None, stride: Any = None
) -> Tensor:
    """Have the tensor be over the memory of another tensor or storage, or over none.

    With a size, which is row-major without strides, they are of its storage, from the element
    `storage_offset` on. RuntimeError for another dtype, for what is outside the storage, and for
    a tensor that requires grad where grad mode is on.

    >>> x = ad.tensor([1.0, 2.0, 3.0])
    >>> ad.zeros(0).set_(x), ad.zeros(0).set_(x, 1, (2,))
    (tensor([1., 2., 3.]), tensor([2., 3.]))
    """
    if self.requires_grad and mode.grad:
        raise RuntimeError(
            "set_(): a tensor that requires grad is being used in an in-place operation: use "
            "no_grad(), or detach() it"
        )
    if source is None:
        return _give(self, unset("set_", [0], self.dtype)._p)
    if isinstance(source, UntypedStorage):
        source = reinterpreted(source._x, self.dtype)
    if not isinstance(source, Tensor):
        raise must_be("set_", "source", "Tensor or storage", source)
    if source.dtype is not self.dtype:
        raise RuntimeError(
            f"Could not set tensor of type {source.dtype.title} to a tensor of type "
            f"{self.dtype.title}"
        )
    if size is None:
        return _give(self, source._p)
    return _give(self, source.detach().as_strided(*_layout(size, stride), storage_offset)._p)


def _layout(size: Any, stride: Any) -> tuple[list[int], list[int]]:
    """Sizes, and strides: row-major ones where there are none."""
    shape = sizes_of((size,), "size")
    steps = contiguous_strides(shape) if stride is None else sizes_of((stride,), "stride")
    return shape, list(steps)


# ---- tensors of a layout, or over a buffer ----


def _strided(name: str, size: Any, stride: Any, d: dtype, requires_grad: bool) -> Tensor:
    shape, steps = _layout(size, stride)
    if min([*shape, *steps], default=0) < 0:
        raise RuntimeError(f"{name}(): sizes {shape} and strides {steps} may not be negative")
    if len(shape) != len(steps):
        raise RuntimeError(
            f"dimensionality of sizes ({len(shape)}) must match dimensionality of strides "
            f"({len(steps)})"
        )
    n = 0 if 0 in shape else 1 + sum((n - 1) * s for n, s in zip(shape, steps, strict=True))
    x = unset(name, [n], d).as_strided(shape, steps)
    return wrap(x._p).requires_grad_(requires_grad)


def empty_strided(
    size: Any, stride: Any, *, dtype: Dtype = None, requires_grad: bool = False
) -> Tensor:
    """A tensor whose elements are not set, of these sizes and strides.

    >>> ad.empty_strided((2, 3), (1, 2)).stride()
    (1, 2)
    """
    d = dtype or get_default_dtype()
    return _strided("empty_strided", size, stride, d, requires_grad)


def new_empty_strided(
    self: Tensor, size: Any, stride: Any, *, dtype: Dtype = None, requires_grad: bool = False
) -> Tensor:
    """`empty_strided` of the tensor's dtype.

    >>> ad.ones(2).new_empty_strided((2, 3), (1, 2)).stride()
    (1, 2)
    """
    return _strided("new_empty_strided", size, stride, dtype or self.dtype, requires_grad)


@strict
def frombuffer(
    buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False
) -> Tensor:
    """A tensor over a buffer's memory: `count` elements (all, if below 0) from byte `offset` on.

    ValueError where there are not as many, or bytes are left over.

    >>> ad.frombuffer(bytearray([1, 2, 3]), dtype=ad.uint8, offset=1)
    tensor([2, 3], dtype=torch.uint8)
    """
    if not isinstance(dtype, dtypes.dtype):
        raise must_be("frombuffer", "dtype", "torch.dtype", dtype)
    try:
        raw = memoryview(buffer).cast("B")
    except TypeError:
        kind = type(buffer).__name__
        raise ValueError(f"{kind} object does not implement Python buffer protocol.") from None
    n, size = raw.nbytes, dtype.itemsize
    if not n or not count:
        raise ValueError(f"both buffer length ({n}) and count ({count}) must not be 0")
    if not 0 <= offset < n:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length ({n} "
            "bytes) minus 1"
        )
    if count < 0 and (n - offset) % size:
        raise ValueError(
            f"buffer length ({n - offset} bytes) after offset ({offset} bytes) must be a multiple "
            f"of element size ({size})"
        )
    count = (n - offset) // size if count < 0 else count
    if offset + count * size > n:
        raise ValueError(
            f"requested buffer length ({count} * {size} bytes) after offset ({offset} bytes) must "
            f"not be greater than actual buffer length ({n} bytes)"
        )
    x = view_of(raw[offset : offset + count * size])
    if dtype is dtypes.bool and int(x.max()) > 1:
        raise ValueError("frombuffer(): bytes that are neither 0 nor 1 are no bools; use to()")
    return reinterpreted(x, dtype, are_bools=True).requires_grad_(requires_grad)


@strict
def from_file(
    filename: str,
    shared: bool | None = None,
    size: int = 0,
    *,
    dtype: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The first `size` numbers of a file, mapped into memory, as a vector.

    What is written to the tensor is written to the file if it is `shared` (which makes the file,
    and makes it larger, where that is needed), else to the tensor alone. RuntimeError where there
    are not as many numbers, or no file that can be opened.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     ad.from_file(file.name, shared=True, size=2).fill_(1)
    tensor([1., 1.])
    """
    import mmap  # of the standard library, but not there on every system

    if shared is not None:
        flag(shared, "from_file")
    d = dtype or get_default_dtype()
    n = size * d.itemsize
    try:
        with open(filename, "a+b" if shared else "rb") as file:
            if shared and os.fstat(file.fileno()).st_size < n:
                file.truncate(n)
            access = mmap.ACCESS_WRITE if shared else mmap.ACCESS_COPY
            memory = mmap.mmap(file.fileno(), n, access=access) if n else b""
    except (OSError, ValueError, OverflowError) as failure:
        raise RuntimeError(f"from_file(): {size} numbers of {filename!r}: {failure}") from None
    if not n:
        return unset("from_file", (0,), d).requires_grad_(requires_grad)
    return frombuffer(memory, dtype=d, requires_grad=requires_grad)


def narrow_copy(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """`narrow`, as a copy.

    >>> ad.narrow_copy(ad.tensor([1, 2, 3]), 0, 1, 2)
    tensor([2, 3])
    """
    return clone(narrow(input, dim, start, length))
