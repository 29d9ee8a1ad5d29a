"""Memory shared with other libraries by DLPack, both ways and without a copy."""

from __future__ import annotations

from typing import Any

from autodiff.native import describe, lib, take_failure
from autodiff.native import ffi as _ffi
from autodiff.tensor import Tensor, own

CPU = (1, 0)
_NAMES = (b"dltensor", b"dltensor_versioned")
_USED = (b"used_dltensor", b"used_dltensor_versioned")

_REFUSED = {
    1: "DLPack of version {b}.x is not supported; 1.x is",
    2: "the tensor is on a device of type {b}; only the CPU's memory (1) can be shared",
    3: "its dtype (code {b}, {c} bits) is none of bool, uint8, int8, int16, int32, "
    "int64, float16, bfloat16, float32, float64",
    4: "it has {b} dimensions; at most {c} are supported",
    5: "dimension {c} has the size {b}",
    6: "dimension {c} has the negative stride {b}, which tensors do not have: make a copy first",
    7: "its memory is not aligned to its elements: make a copy first",
    8: "it has {b} dimensions and no shape",
}


def _python() -> Any:
    """CPython's functions for capsules."""
    import ctypes

    api: Any = ctypes.pythonapi
    pointer, text = ctypes.c_void_p, ctypes.c_char_p
    for name, result, arguments in (
        ("New", ctypes.py_object, [pointer, text, pointer]),
        ("IsValid", ctypes.c_int, [ctypes.py_object, text]),
        ("GetPointer", pointer, [ctypes.py_object, text]),
        ("SetName", ctypes.c_int, [ctypes.py_object, text]),
    ):
        function = getattr(api, f"PyCapsule_{name}")
        function.restype, function.argtypes = result, arguments
    return api


def to_dlpack(
    self: Tensor,
    *,
    stream: Any = None,
    max_version: tuple[int, int] | None = None,
    dl_device: tuple[int, int] | None = None,
    copy: bool | None = None,
) -> Any:
    """A DLPack capsule of this tensor's memory, or of a copy; for other libraries' from_dlpack.

    BufferError for a tensor that requires grad, for other devices than the CPU, and for read-only
    memory where the other side does not know of such (max_version before 1.0).

    >>> ad.from_dlpack(ad.to_dlpack(ad.ones(2)))
    tensor([1., 1.])
    """
    if self.requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    if stream is not None:
        raise AssertionError("stream should be None on cpu.")
    if dl_device is not None and tuple(dl_device) != CPU:
        raise BufferError(f"cannot export to the device {tuple(dl_device)}; only to {CPU}")
    versioned = max_version is not None and max_version[0] >= 1
    x = self._p
    if copy:
        x = own(lib.ad_clone(x), "__dlpack__", x)._p
    if lib.ad_readonly(x) and not versioned:
        raise BufferError("this tensor views read-only memory, which DLPack before 1.0 cannot tell")
    managed = lib.ad_dlpack_export(x, versioned, bool(copy))
    if not managed:
        raise describe(take_failure(), "__dlpack__", x)
    address = int(_ffi.cast("intptr_t", managed))
    return _python().PyCapsule_New(address, _NAMES[versioned], lib.ad_capsule_destructor())


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor that shares the memory of an object with `__dlpack__`, or of a DLPack capsule.

    copy=True copies it. BufferError where the memory cannot be shared, as for other dtypes and
    devices, or negative strides; RuntimeError for what is no such object.

    >>> ad.from_dlpack(ad.arange(3))
    tensor([0, 1, 2])
    """
    if device is not None and str(device) != "cpu":
        raise BufferError(f"from_dlpack: device {device!r} is not supported; only 'cpu' is")
    capsule = _capsule_of(ext_tensor)
    api = _python()
    versioned = bool(api.PyCapsule_IsValid(capsule, _NAMES[1]))
    if not versioned and not api.PyCapsule_IsValid(capsule, _NAMES[0]):
        raise RuntimeError(
            "from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed "
            f"only once, so you might have already constructed a tensor from it once: {capsule!r}"
        )
    address = api.PyCapsule_GetPointer(capsule, _NAMES[versioned])
    p = lib.ad_dlpack_import(_ffi.cast("void *", address), versioned)
    if not p:
        failure = take_failure()
        _, a, b, c = failure
        if failure[0] == lib.AD_BAD_ARG and a in _REFUSED:
            raise BufferError(f"from_dlpack: {_REFUSED[a].format(b=b, c=c)}")
        raise describe(failure, "from_dlpack")
    api.PyCapsule_SetName(capsule, _USED[versioned])
    x = own(p, "from_dlpack")
    return own(lib.ad_clone(x._p), "from_dlpack", x._p) if copy else x


def _capsule_of(x: Any) -> Any:
    export = getattr(x, "__dlpack__", None)
    if export is None:
        if type(x).__name__ == "PyCapsule":
            return x
        raise RuntimeError(
            f"from_dlpack expects an object with __dlpack__, or a capsule, not {type(x).__name__}"
        )
    where = x.__dlpack_device__()
    if tuple(where) != CPU:
        raise BufferError(f"from_dlpack: {_REFUSED[2].format(b=int(where[0]))}")
    try:
        return export(max_version=(1, 0))
    except TypeError:  # of a library before DLPack 1.0
        return export()
