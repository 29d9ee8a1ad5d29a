"""Conversions of modules: all their parameters and buffers, in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from autodiff.changes import changed
from autodiff.devices import check_device
from autodiff.dtypes import ALL, SCALAR_NAMES, bfloat16, dtype, float16, float32, float64
from autodiff.nn._members import Nested
from autodiff.nn.parameter import is_lazy
from autodiff.ops.cast import parsed
from autodiff.ops.create import empty_like
from autodiff.ops.guard import no_flag
from autodiff.tensor import Tensor

Self = TypeVar("Self", bound="Convertible")


class Convertible(Nested):
    """What takes `to(dtype)` and its like."""

    def _apply(self: Self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Replace the data of every parameter, gradient and buffer by `fn` of it."""
        for module in self.children() if recurse else ():
            module._apply(fn)
        values = self.__dict__
        for name in self._parameter_names:
            parameter = values[name]
            if parameter is not None:
                parameter.data = fn(parameter.data)
                if parameter.grad is not None:
                    parameter.grad.data = fn(parameter.grad.data)
        for name in self._buffer_names:
            if is_lazy(buffer := values[name]):
                buffer.data = fn(buffer.data)
            elif buffer is not None:
                values[name] = fn(buffer)
        changed()
        return self

    def to(self: Self, *args: Any, **kwargs: Any) -> Self:
        """Convert floating-point parameters and buffers to a dtype, or to a tensor's."""
        device, wanted, copy = [kwargs.pop(name, None) for name in ("device", "dtype", "copy")]
        if type(non_blocking := kwargs.pop("non_blocking", False)) is not bool:
            raise no_flag("to", "non_blocking", non_blocking)
        kwargs.pop("memory_format", None)  # the layers take any
        if kwargs.keys() == {"tensor"} and not args:
            args = (kwargs.pop("tensor"),)
        if kwargs:
            raise TypeError(f"to() takes a dtype, a device or a tensor, and no {min(kwargs)!r}")
        d, copy = parsed(args, device, wanted, copy)
        if copy:
            raise RuntimeError(".to() does not accept copy argument")
        if d is not None and not d.is_floating_point:
            raise TypeError(
                "nn.Module.to only accepts floating point or complex dtypes, but got desired "
                f"dtype={d!r}"
            )
        return self if d is None else self._convert(d)

    def cuda(self, device: Any = None) -> NoReturn:
        """AssertionError: there is no GPU to move to."""
        check_device("cuda", "cuda")
        raise AssertionError

    def type(self: Self, dst_type: dtype | str) -> Self:
        """Convert all parameters and buffers to a dtype, or to one as "torch.DoubleTensor"."""
        if isinstance(dst_type, str):
            name = dst_type.removeprefix("torch.").removesuffix("Tensor")
            if name not in SCALAR_NAMES:
                raise ValueError(f"invalid type: {dst_type!r}")
            dst_type = ALL[SCALAR_NAMES.index(name)]
        d = dst_type
        return self._apply(lambda x: x.to(d))

    def to_empty(self: Self, *, device: str | None, recurse: bool = True) -> Self:
        """Replace parameters and buffers by uninitialised ones of their shapes and dtypes."""
        check_device("to_empty", device)
        return self._apply(empty_like, recurse)

    def _convert(self: Self, d: dtype) -> Self:
        return self._apply(lambda x: x.to(d) if x.is_floating_point() else x)

    def float(self: Self) -> Self:
        """Convert floating-point parameters and buffers to float32."""
        return self._convert(float32)

    def half(self: Self) -> Self:
        """Convert floating-point parameters and buffers to float16."""
        return self._convert(float16)

    def bfloat16(self: Self) -> Self:
        """Convert floating-point parameters and buffers to bfloat16."""
        return self._convert(bfloat16)

    def double(self: Self) -> Self:
        """Convert floating-point parameters and buffers to float64."""
        return self._convert(float64)

    def share_memory(self: Self) -> Self:
        """Move parameters and buffers to memory that forked processes share."""
        return self._apply(lambda x: x.share_memory_())

    def cpu(self: Self) -> Self:
        """The module itself: all memory is the CPU's."""
        return self
