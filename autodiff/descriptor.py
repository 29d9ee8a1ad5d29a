"""What a tensor's native descriptor tells: shape, strides, type and place in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from autodiff import dtypes
from autodiff.changes import changes
from autodiff.devices import CPU, check_device, device
from autodiff.formats import layout, memory_format, strided
from autodiff.native import error, ffi, lib, looked_at
from autodiff.shapes import Size, present_dim

if TYPE_CHECKING:
    from autodiff._methods import TensorMethods
else:
    from autodiff.shortcuts import Slots as TensorMethods

_unpack = ffi.unpack
_shape_key, _stride_key = lib.ad_shape_key, lib.ad_stride_key

_DTYPES = dtypes.ALL
shapes_made: dict[int, Size] = {}  # by ad_shape_key: to make one takes as long as an operation
_strides: dict[int, tuple[int, ...]] = {}  # by ad_stride_key


_format = memory_format  # which is an argument's name, too


def _note_shape(key: int, p: Any) -> Size:
    shape = tuple.__new__(Size, _unpack(p.shape, p.ndim))
    if key:
        if len(shapes_made) > 4096:
            shapes_made.clear()
        shapes_made[key] = shape
    return shape


def _note_strides(key: int, p: Any) -> tuple[int, ...]:
    strides = tuple(_unpack(p.strides, p.ndim))
    if key:
        if len(_strides) > 4096:
            _strides.clear()
        _strides[key] = strides
    return strides


def _never(name: str) -> Any:
    """A property of tensors on the CPU that are dense and plain."""

    def get(self: Any) -> bool:
        return False

    get.__name__ = name
    get.__doc__ = f"Always False.\n\n>>> ad.zeros(2).{name}\nFalse"
    return property(get)


def fresh(p: Any, op: str, *inputs: Any) -> Any:
    """A descriptor that frees itself; the failure of `op` on `inputs` where p is NULL."""
    if not p:
        raise error(op, *inputs)
    return p


class Described(TensorMethods):
    """The part of a tensor that its descriptor answers."""

    __slots__ = ()
    _p: Any

    @property
    def shape(self) -> Size:
        """The sizes of the dimensions.

        >>> ad.zeros(2, 3).shape
        torch.Size([2, 3])
        """
        p = self._p
        key = _shape_key(p)
        found = shapes_made.get(key)
        return _note_shape(key, p) if found is None else found

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one dimension.

        >>> ad.zeros(2, 3).size(1)
        3
        """
        if dim is None:
            return self.shape
        p = self._p
        n = p.ndim
        if type(dim) is int and -n <= dim < n:
            return p.shape[dim if dim >= 0 else dim + n]
        return p.shape[present_dim(dim, n)]

    def stride(self, dim: int | None = None) -> Any:
        """The strides in elements, or that of one dimension.

        >>> ad.zeros(2, 3).stride()
        (3, 1)
        """
        p = self._p
        if dim is not None:
            return self.stride()[present_dim(dim, p.ndim)]
        key = _stride_key(p)
        found = _strides.get(key)
        return _note_strides(key, p) if found is None else found

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
        if changes.recorder is not None:
            looked_at()
        return self._p.address  # type: ignore[no-any-return]

    @property
    def ndim(self) -> int:
        """The number of dimensions.

        >>> ad.zeros(2, 3).ndim
        2
        """
        return self._p.ndim  # type: ignore[no-any-return]

    def dim(self) -> int:
        """The number of dimensions.

        >>> ad.zeros(2, 3).dim()
        2
        """
        return self._p.ndim  # type: ignore[no-any-return]

    def numel(self) -> int:
        """The number of elements.

        >>> ad.zeros(2, 3).numel()
        6
        """
        return self._p.numel  # type: ignore[no-any-return]

    def nelement(self) -> int:
        """The number of elements.

        >>> ad.zeros(2, 3).nelement()
        6
        """
        return self._p.numel  # type: ignore[no-any-return]

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

    def is_contiguous(self, memory_format: Any = None) -> bool:
        """Whether the elements lie in row-major order, or in the given, without gaps.

        >>> ad.zeros(2, 3).t().is_contiguous()
        False
        """
        if memory_format is None:
            return self._p.contiguous != 0  # type: ignore[no-any-return]
        if not isinstance(memory_format, _format):
            kind = type(memory_format).__name__
            raise TypeError(f"argument 'memory_format' must be torch.memory_format, not {kind}")
        order = memory_format.order
        if order is None:
            return self._p.contiguous != 0  # type: ignore[no-any-return]
        if len(order) != self._p.ndim:
            return False
        return bool(fresh(lib.ad_permute(self._p, len(order), order), "permute").contiguous)

    @property
    def dtype(self) -> dtypes.dtype:
        """The type of the elements.

        >>> ad.tensor([1, 2]).dtype
        torch.int64
        """
        return _DTYPES[self._p.dtype]

    @property
    def device(self) -> device:
        """Always the CPU.

        >>> ad.zeros(2).device
        device(type='cpu')
        """
        return CPU

    is_cuda, is_meta, is_mps, is_quantized, is_sparse = map(
        _never, ("is_cuda", "is_meta", "is_mps", "is_quantized", "is_sparse")
    )
    is_nested, is_sparse_csr, is_xpu = map(_never, ("is_nested", "is_sparse_csr", "is_xpu"))

    def cuda(self, device: Any = None, non_blocking: bool = False) -> NoReturn:
        """AssertionError: there is no GPU to move to.

        >>> x = ad.zeros(2)
        >>> x = x.cuda() if ad.cuda.is_available() else x
        """
        check_device("cuda", "cuda")
        raise AssertionError

    @property
    def layout(self) -> layout:
        """How the elements are stored: with strides, all of them.

        >>> ad.zeros(2).layout
        torch.strided
        """
        return strided

    @property
    def is_cpu(self) -> bool:
        """Always True.

        >>> ad.zeros(2).is_cpu
        True
        """
        return True

    def is_floating_point(self) -> bool:
        """Whether the elements are floating-point numbers.

        >>> ad.tensor([1, 2]).is_floating_point()
        False
        """
        return bool(self._p.dtype >= dtypes.FIRST_FLOAT)

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
