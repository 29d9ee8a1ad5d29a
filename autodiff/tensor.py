"""The Tensor: a descriptor of native memory, and its place in the graph. No mathematics here.

Four slots make a tensor. `_p` is its native descriptor, which frees itself. `_node` is the node of
the graph that a gradient for this tensor goes to, or None where none is wanted. `_acc` holds
`.grad` (for a leaf that requires grad, `_acc` is its node). `_base` is the tensor this one is a
view of, and `_base_node` the node that had when the view was made.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeVar

from autodiff import dtypes
from autodiff.changes import changed_of, changes
from autodiff.hooks import RemovableHandle, add_hook, hooks_of
from autodiff.native import error, ffi, lib, looked_at
from autodiff.node import AccumulateGrad, Node, mode
from autodiff.shapes import Size, dim_index

if TYPE_CHECKING:
    from autodiff._methods import TensorMethods
else:
    TensorMethods = object

__all__ = ["TENSOR_TYPES", "Tensor", "own", "wrap"]

_gc = ffi.gc
_free = lib.ad_free
_unpack = ffi.unpack
_new: Callable[[type[Any]], Any] = object.__new__
_shape_key = lib.ad_shape_key
_POINTERS = ("uint8_t *", "uint8_t *", "int32_t *", "int64_t *", "", "", "float *", "double *")
_TYPESTR = ("|b1", "|u1", "<i4", "<i8", "<f2", "", "<f4", "<f8")

_NO_GRAD_KEPT = (
    "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad "
    "attribute won't be populated during autograd.backward(). Call .retain_grad() on it first to "
    "have it populated, or access the leaf Tensor instead."
)

TENSOR_TYPES: set[type] = set()  # Tensor and its subclasses: a fast test for operands


_shapes: dict[int, Size] = {}  # by ad_shape_key: to make one takes as long as an operation


def _note_shape(key: int, p: Any) -> Size:
    shape = tuple.__new__(Size, _unpack(p.shape, p.ndim))
    if key:
        if len(_shapes) > 4096:
            _shapes.clear()
        _shapes[key] = shape
    return shape


class Tensor(TensorMethods):
    """A strided, typed array that remembers how it was computed.

    >>> x = ad.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    __slots__ = ("__weakref__", "_acc", "_base", "_base_node", "_node", "_p")
    _p: Any
    _node: Node | None
    _acc: AccumulateGrad | None
    _base: Tensor | None
    _base_node: Node | None

    __array_priority__ = 1000  # NumPy leaves mixed arithmetic to us

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        TENSOR_TYPES.add(cls)

    # ---- geometry ----

    @property
    def shape(self) -> Size:
        """The sizes of the dimensions.

        >>> ad.zeros(2, 3).shape
        torch.Size([2, 3])
        """
        p = self._p
        key = _shape_key(p)
        found = _shapes.get(key)
        return _note_shape(key, p) if found is None else found

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one dimension.

        >>> ad.zeros(2, 3).size(1)
        3
        """
        return self.shape if dim is None else self.shape[dim_index(dim, self.ndim)]

    def stride(self, dim: int | None = None) -> Any:
        """The strides in elements, or that of one dimension.

        >>> ad.zeros(2, 3).stride()
        (3, 1)
        """
        strides = tuple(_unpack(self._p.strides, self._p.ndim))
        return strides if dim is None else strides[dim_index(dim, self.ndim)]

    def storage_offset(self) -> int:
        """The position of the first element in the storage, in elements.

        >>> ad.arange(4)[2:].storage_offset()
        2
        """
        return int(lib.ad_offset(self._p))

    def data_ptr(self) -> int:
        """The address of the first element.

        >>> x = ad.zeros(2)
        >>> x.view(1, 2).data_ptr() == x.data_ptr()
        True
        """
        looked_at()
        return int(ffi.cast("intptr_t", self._p.data))

    @property
    def ndim(self) -> int:
        """The number of dimensions.

        >>> ad.zeros(2, 3).ndim
        2
        """
        return int(self._p.ndim)

    def dim(self) -> int:
        """The number of dimensions.

        >>> ad.zeros(2, 3).dim()
        2
        """
        return int(self._p.ndim)

    def numel(self) -> int:
        """The number of elements.

        >>> ad.zeros(2, 3).numel()
        6
        """
        return int(self._p.numel)

    def nelement(self) -> int:
        """The number of elements.

        >>> ad.zeros(2, 3).nelement()
        6
        """
        return int(self._p.numel)

    def element_size(self) -> int:
        """The bytes of one element.

        >>> ad.zeros(2, 3).element_size()
        4
        """
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """The bytes of all elements.

        >>> ad.zeros(2, 3).nbytes
        24
        """
        return self.numel() * self.element_size()

    @property
    def itemsize(self) -> int:
        """The bytes of one element.

        >>> ad.zeros(2, 3).itemsize
        4
        """
        return self.dtype.itemsize

    def is_contiguous(self) -> bool:
        """Whether the elements lie in row-major order without gaps.

        >>> ad.zeros(2, 3).t().is_contiguous()
        False
        """
        return bool(self._p.contiguous)

    @property
    def dtype(self) -> dtypes.dtype:
        """The type of the elements.

        >>> ad.tensor([1, 2]).dtype
        torch.int64
        """
        return dtypes.ALL[self._p.dtype]

    @property
    def device(self) -> str:
        """Always "cpu".

        >>> ad.zeros(2).device
        'cpu'
        """
        return "cpu"

    @property
    def is_cuda(self) -> bool:
        """Always False.

        >>> ad.zeros(2).is_cuda
        False
        """
        return False

    def is_floating_point(self) -> bool:
        """Whether the elements are floating-point numbers.

        >>> ad.tensor([1, 2]).is_floating_point()
        False
        """
        return bool(self._p.dtype >= dtypes.FIRST_FLOAT)

    def cpu(self) -> Tensor:
        """The tensor itself: all memory is the CPU's.

        >>> x = ad.zeros(2)
        >>> x.cpu() is x
        True
        """
        return self

    # ---- the graph ----

    @property
    def requires_grad(self) -> bool:
        """Whether backward computes a gradient for this tensor or passes one through it.

        >>> x = ad.ones(2, requires_grad=True)
        >>> (2 * x).requires_grad
        True
        """
        return live_node(self) is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if not isinstance(value, bool):
            raise RuntimeError(f"requires_grad must be a bool, not {type(value).__name__}")
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set whether operations on this leaf are recorded; returns the tensor.

        >>> ad.ones(2).requires_grad_()
        tensor([1., 1.], requires_grad=True)
        """
        dtypes.flag(requires_grad, "requires_grad_")
        node = live_node(self)
        if not self.is_leaf:
            if requires_grad:
                return self
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables. If you want to use a "
                "computed variable in a subgraph that doesn't require differentiation use "
                "var_no_grad = var.detach()."
            )
        if requires_grad and not self.is_floating_point():
            raise RuntimeError(
                f"only Tensors of floating point dtype can require gradients, not {self.dtype!r}"
            )
        if requires_grad and node is None and not mode.inference and self.is_inference():
            raise RuntimeError(
                "Setting requires_grad=True on inference tensor outside InferenceMode is not "
                "allowed."
            )
        if requires_grad and node is None:
            self._node = self._accumulator()
            changed_of(self)
        elif node is not None and not requires_grad:
            self._node = None
            changed_of(self)
        return self

    def _accumulator(self) -> AccumulateGrad:
        if self._acc is None:
            self._acc = AccumulateGrad(self)
        return self._acc

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made this tensor.

        >>> x = ad.ones(2, requires_grad=True)
        >>> x.is_leaf, (2 * x).is_leaf
        (True, False)
        """
        node = live_node(self)
        return node is None or node is self._acc

    @property
    def grad_fn(self) -> Node | None:
        """The node of the operation that made this tensor; None for a leaf.

        >>> (2 * ad.ones(2, requires_grad=True)).grad_fn.name()
        'MulBackward0'
        """
        node = live_node(self)
        return None if node is None or node is self._acc else node.call

    @property
    def grad(self) -> Tensor | None:
        """The gradient that backward accumulated, or None.

        >>> x = ad.ones(2, requires_grad=True)
        >>> (3 * x).sum().backward()
        >>> x.grad
        tensor([3., 3.])
        """
        if self._acc is None:
            if live_node(self) is not None:
                warnings.warn(_NO_GRAD_KEPT, UserWarning, stacklevel=2)
            return None
        return self._acc.gradient()

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is None:
            if self._acc is not None:
                self._acc.put(None)
            return
        if not isinstance(value, Tensor):
            raise TypeError(
                f"assigned grad expected to be a Tensor or None but got grad of type "
                f"{type(value).__name__}"
            )
        if value.shape != self.shape or value.dtype is not self.dtype:
            raise RuntimeError(
                f"assigned grad has data of a different size or type: {value.dtype!r} "
                f"{list(value.shape)} for a tensor of {self.dtype!r} {list(self.shape)}"
            )
        self._accumulator().put(value)

    @grad.deleter
    def grad(self) -> None:
        self.grad = None

    def retain_grad(self) -> None:
        """Have backward keep the gradient of this tensor in `.grad`, though it is no leaf.

        >>> y = 2 * ad.ones(2, requires_grad=True)
        >>> y.retain_grad()
        >>> y.sum().backward()
        >>> y.grad
        tensor([1., 1.])
        """
        node = live_node(self)
        if node is None:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if node is not self._acc:
            hooks_of(node).retained = self._accumulator()
            changed_of(self)

    @property
    def retains_grad(self) -> bool:
        """Whether this is no leaf, and backward keeps its gradient all the same.

        >>> y = 2 * ad.ones(2, requires_grad=True)
        >>> y.retain_grad()
        >>> y.retains_grad
        True
        """
        node = live_node(self)
        if node is None or self._acc is None or node is self._acc:
            return False
        return hooks_of(node).retained is self._acc

    def register_hook(self, hook: Callable[[Tensor], Any]) -> RemovableHandle:
        """Have `hook(gradient)` called when the gradient of this tensor is known.

        A tensor that it returns takes the gradient's place. Hooks see the tensor as it is now: a
        later write in place makes another value, with a gradient of its own.

        >>> x = ad.ones(2, requires_grad=True)
        >>> handle = x.register_hook(lambda g: 10 * g)
        >>> x.sum().backward()
        >>> x.grad
        tensor([10., 10.])
        """
        node = live_node(self)
        if node is None:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        return add_hook(hooks_of(node).tensor, hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], Any]) -> RemovableHandle:
        """Have `hook(tensor)` called after backward added to `.grad` of this leaf.

        >>> x = ad.ones(2, requires_grad=True)
        >>> handle = x.register_post_accumulate_grad_hook(lambda x: print(x.grad))
        >>> x.sum().backward()
        tensor([1., 1.])
        """
        node = live_node(self)
        if node is None:
            raise RuntimeError(
                "cannot register a post accumulate grad hook on a tensor that doesn't require "
                "gradient"
            )
        if node is not self._acc:
            raise RuntimeError(
                "post accumulate grad hooks cannot be registered on non-leaf tensors"
            )
        return add_hook(hooks_of(node).accumulated, hook)

    def detach(self) -> Tensor:
        """The same memory as a tensor outside the graph.

        >>> y = 2 * ad.ones(2, requires_grad=True)
        >>> y.detach()
        tensor([2., 2.])
        """
        return own(lib.ad_alias(self._p), "detach", self._p)

    def detach_(self) -> Tensor:
        """Take this tensor out of the graph; it becomes a leaf.

        >>> y = 2 * ad.ones(2, requires_grad=True)
        >>> y.detach_().is_leaf
        True
        """
        if self._base is not None:
            raise RuntimeError("Can't detach views in-place. Use detach() instead.")
        self._node = None
        changed_of(self)
        return self

    @property
    def data(self) -> Tensor:
        """The same memory as a tensor outside the graph.

        >>> ad.ones(2, requires_grad=True).data
        tensor([1., 1.])
        """
        return self.detach()

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
        if self.requires_grad and not value.is_floating_point():
            raise RuntimeError(
                "data set to a tensor that requires gradients must be floating point, not "
                f"{value.dtype!r}"
            )
        self._p = value.detach()._p
        self._base = self._base_node = None
        changed_of(self)

    @property
    def _version(self) -> int:
        if self.is_inference():
            raise RuntimeError("Inference tensors do not track version counter.")
        return int(lib.ad_version(self._p))

    def is_inference(self) -> bool:
        """Whether the memory was made in inference mode, and so can be part of no graph.

        >>> ad.ones(2).is_inference()
        False
        """
        return bool(lib.ad_is_inference(self._p))

    # ---- values as Python objects ----

    def item(self) -> Any:
        """The value of a one-element tensor as a Python number. RuntimeError for others.

        >>> ad.tensor([1.5]).item()
        1.5
        """
        p = self._p
        if p.numel != 1:
            raise RuntimeError(
                f"a Tensor with {p.numel} elements cannot be converted to Scalar "
                f"(shape {list(self.shape)})"
            )
        if changes.recorder is not None:
            looked_at()
        if p.dtype >= dtypes.FIRST_FLOAT:
            return lib.ad_item_f64(p)
        value = lib.ad_item_i64(p)
        return value != 0 if p.dtype == dtypes.bool.code else value

    def tolist(self) -> Any:
        """The values as nested lists, or as a number for a 0-d tensor.

        >>> ad.tensor([[1, 2], [3, 4]]).tolist()
        [[1, 2], [3, 4]]
        """
        if self._p.ndim == 0:
            return self.item()
        p = self._p
        looked_at()
        half = self.dtype in dtypes.HALVES
        if half or not p.contiguous:
            d = dtypes.float32.code if half else p.dtype
            p = own(lib.ad_contiguous(p, d), "tolist", p)._p
        flat = _unpack(ffi.cast(_POINTERS[p.dtype], p.data), p.numel) if p.numel else []
        values = [v != 0 for v in flat] if p.dtype == dtypes.bool.code else list(flat)
        return _nest(values, self.shape)

    def numpy(self, *, force: bool = False) -> Any:
        """A NumPy array that shares this tensor's memory; by `force` also one that needs grad.

        >>> ad.tensor([1, 2]).numpy()
        array([1, 2])
        """
        if self.requires_grad and not force:
            raise RuntimeError(
                "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() "
                "instead."
            )
        if self.dtype is dtypes.bfloat16:
            raise TypeError("Got unsupported ScalarType BFloat16")
        import numpy

        return numpy.asarray(_Exported(self))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            if copy is False:
                raise ValueError(f"an array of {dtype} is a copy of a tensor of {self.dtype!r}")
            return array.astype(dtype)
        return array.copy() if copy else array

    def __len__(self) -> int:
        if self._p.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return int(self._p.shape[0])

    def __bool__(self) -> bool:
        if self._p.numel != 1:
            what = "no values" if self._p.numel == 0 else "more than one value"
            raise RuntimeError(f"Boolean value of Tensor with {what} is ambiguous")
        return bool(self.item())

    def _single(self) -> Any:
        if self._p.numel != 1:
            raise ValueError(
                "only one element tensors can be converted to Python scalars, this one has "
                f"{self._p.numel} elements"
            )
        return self.item()

    def __float__(self) -> float:
        return float(self._single())

    def __int__(self) -> int:
        return int(self._single())

    def __index__(self) -> int:
        value = self.item() if self._p.numel == 1 else None
        if not isinstance(value, int):
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(value)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self._p.ndim == 0 else object.__format__(self, spec)

    def __hash__(self) -> int:
        return id(self)

    # ---- copies and pickles ----

    def __copy__(self) -> Tensor:
        """A leaf of the same memory."""
        return as_subclass(type(self), self).requires_grad_(self.requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        """A leaf with a copy of the values and of `.grad`. RuntimeError where this is no leaf."""
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
                "protocol at the moment. Take detach() of the others first."
            )
        found = memo.get(id(self))
        if found is None:
            data = own(lib.ad_clone(self._p), "clone", self._p)
            found = memo[id(self)] = as_subclass(type(self), data)
            found.requires_grad_(self.requires_grad)
            if self.grad is not None:
                found.grad = self.grad.__deepcopy__(memo)
        return found

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        p = own(lib.ad_contiguous(self._p, self._p.dtype), "pickle", self._p)._p
        looked_at()
        raw = bytes(ffi.buffer(p.data, self.nbytes)) if self.nbytes else b""
        return _unpickled, (type(self), self.dtype, tuple(self.shape), raw, self.requires_grad)


TENSOR_TYPES.add(Tensor)


class _Exported:
    """What NumPy reads a tensor's memory through; it keeps the memory alive."""

    def __init__(self, x: Tensor) -> None:
        size = x.element_size()
        self.owner = x._p
        self.__array_interface__ = {
            "version": 3,
            "shape": tuple(x.shape),
            "typestr": _TYPESTR[x._p.dtype],
            "data": (x.data_ptr(), bool(lib.ad_readonly(x._p))),
            "strides": tuple(s * size for s in x.stride()),
        }


def _nest(values: list[Any], shape: Sequence[int]) -> Any:
    """A flat list as nested lists of the given shape."""
    for d in range(len(shape) - 1, 0, -1):
        size, count = shape[d], 1
        for s in shape[:d]:
            count *= s
        values = [values[i * size : (i + 1) * size] for i in range(count)]
    return values


def wrap(p: Any, node: Node | None = None) -> Tensor:
    """A tensor of a descriptor that is already owned."""
    x = Tensor()
    x._p = p
    x._node = node
    x._acc = x._base = x._base_node = None
    return x


def own(p: Any, op: str, *inputs: Any) -> Tensor:
    """A tensor that owns a new descriptor; a failure of `op` on `inputs` where it is NULL."""
    if not p:
        raise error(op, *inputs)
    x = Tensor()
    x._p = _gc(p, _free)
    x._node = x._acc = x._base = x._base_node = None
    return x


T = TypeVar("T", bound=Tensor)


def _unpickled(
    cls: type[T], dtype: dtypes.dtype, shape: tuple[int, ...], raw: bytes, requires_grad: bool
) -> T:
    """A leaf of pickled bytes. ValueError where they do not fit the shape."""
    x = own(lib.ad_empty(dtype.code, len(shape), shape), "unpickle")
    if x.nbytes != len(raw):
        raise ValueError(f"a pickled tensor of shape {list(shape)} has {len(raw)} bytes")
    lib.ad_raw(x._p)
    ffi.memmove(x._p.data, raw, len(raw))
    y = as_subclass(cls, x)
    y.requires_grad_(requires_grad)
    return y


def as_subclass(cls: type[T], x: Tensor) -> T:
    """A leaf of another class over the same memory."""
    y: T = _new(cls)
    y._p = x._p
    y._node = y._acc = y._base = y._base_node = None
    return y


def live_node(x: Tensor) -> Node | None:
    """The node of x, renewed first where x is a view and its base was written to in the graph."""
    base = x._base
    if base is not None and base._node is not x._base_node:
        late.renew_view(x, base)
    return x._node


class _Late:
    """What a later module provides, so that imports point one way."""

    renew_view: Callable[[Tensor, Tensor], None]  # set by ops.views


late = _Late()
