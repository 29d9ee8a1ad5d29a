"""Memory shared with other libraries by DLPack, both ways and without a copy."""

from __future__ import annotations

from typing import Any

from autodiff.native import describe, lib, take_failure
from autodiff.tensor import Tensor, own

CPU = (1, 0)

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
_NO_CAPSULE = 9


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
    made: list[Any] = []
    if lib.ad_capsule_append(id(made), managed, versioned):
        raise MemoryError("__dlpack__: there is no capsule")
    return made[0]


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
    p = lib.ad_capsule_take(id(capsule))
    if not p:
        failure = take_failure()
        status, a, b, c = failure
        if status == lib.AD_BAD_ARG and a == _NO_CAPSULE:
            raise RuntimeError(
                "from_dlpack received an invalid capsule. Note that DLTensor capsules can be "
                "consumed only once, so you might have already constructed a tensor from it once: "
                f"{capsule!r}"
            )
        if status == lib.AD_BAD_ARG and a in _REFUSED:
            raise BufferError(f"from_dlpack: {_REFUSED[a].format(b=b, c=c)}")
        raise describe(failure, "from_dlpack")
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
