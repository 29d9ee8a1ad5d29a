"""`autocast`: blocks in which products are made of operands of 16 bits, and its state."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from autodiff import dtypes
from autodiff.amp.policies import State, blocks, eligible, put, state
from autodiff.devices import device
from autodiff.dtypes import dtype as Dtype
from autodiff.dtypes import flag
from autodiff.node import mode
from autodiff.ops.cast import to_dtype

__all__ = [
    "autocast", "clear_autocast_cache", "custom_bwd", "custom_fwd", "get_autocast_dtype",
    "is_autocast_available", "is_autocast_cache_enabled", "is_autocast_enabled",
    "set_autocast_cache_enabled", "set_autocast_dtype", "set_autocast_enabled",
]  # fmt: skip


class autocast:  # noqa: N801 - PyTorch's name
    """A block, or a function's body, in which products are made of operands of 16 bits.

    Products of matrices, linear maps, convolutions, attention and recurrent layers have float32
    operands rounded to `dtype` (bfloat16 where none is given, or float16), and so their results;
    losses, factorizations and some more have operands of 16 bits widened to float32; cat and stack
    take the widest of theirs: PyTorch's lists for a CPU. All else takes what it is given. Within a
    product, sums are of float32. A leaf is rounded once in a block, unless `cache_enabled` is
    False. Backward passes compute in the dtypes that were recorded.

    A dtype of other than 16 bits turns it off, with a warning, and so does "cuda": there is no GPU.

    >>> with ad.autocast("cpu"):
    ...     y = ad.ones(2, 2) @ ad.ones(2, 2)
    >>> y.dtype
    torch.bfloat16
    """

    def __init__(
        self,
        device_type: Any = "cuda",  # as torch.cuda.amp takes it
        dtype: Dtype | None = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:
        _check_type(device_type)
        self.device = device_type
        on_cpu, now = is_autocast_available(device_type), state()
        asked = now.asked if on_cpu else dtypes.float16
        self.fast_dtype = asked if dtype is None else dtype
        if enabled and not on_cpu:
            warnings.warn(
                f"autocast: device_type '{device_type}', but CUDA is not available. Disabling "
                "autocast.",
                stacklevel=2,
            )
        elif enabled and self.fast_dtype not in dtypes.HALVES:
            warnings.warn(
                "In CPU autocast, but the target dtype is not supported. Disabling autocast.\n"
                "CPU Autocast only supports dtypes of torch.bfloat16, torch.float16 currently.",
                stacklevel=2,
            )
            enabled = False
        self._enabled, self._on_cpu = bool(enabled) and on_cpu, on_cpu
        caches = now.caches if cache_enabled is None else bool(cache_enabled)
        to = self.fast_dtype if on_cpu else now.asked
        self._state = State(to if self._enabled else None, to, caches)
        self._before: list[State] = []

    def __enter__(self) -> autocast:
        before = state()
        try:
            put(self._state if self._on_cpu else before._replace(caches=self._state.caches))
        except BaseException:  # an interrupt: the block is not entered, so nobody would leave it
            put(before)
            raise
        self._before.append(before)
        blocks.depth += 1
        return self

    def __exit__(self, *failure: object) -> None:
        blocks.depth -= 1
        if blocks.depth == 0:
            clear_autocast_cache()
        put(self._before.pop())

    def __call__(self, func: Callable[..., Any]) -> Callable[..., Any]:
        if not callable(func):
            raise TypeError(
                f"autocast()(func) requires a callable, but got {type(func).__name__}. Did you "
                "mean to use autocast as a context manager? For example:\n"
                "    with torch.autocast(device_type=...):\n"
                "        output = model(input)"
            )

        @functools.wraps(func)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self:
                return func(*args, **kwargs)

        return call


# ---- the state ----


def is_autocast_available(device_type: str) -> bool:
    """Whether `autocast` takes a type of device: of those that have a name, the CPU alone.

    >>> ad.amp.is_autocast_available("cpu")
    True
    """
    return device(device_type).type == "cpu"


def is_autocast_enabled(device_type: str | None = None) -> bool:
    """Whether this thread is in autocast on a type of device: "cuda" where none is given.

    >>> ad.is_autocast_enabled("cpu")
    False
    """
    on_cpu = device_type is not None and is_autocast_available(device_type)
    return on_cpu and mode.autocast is not None


def set_autocast_enabled(device_type: str, enabled: bool) -> None:
    """Turn autocast on or off on this thread: what a block does at its begin and end.

    >>> ad.set_autocast_enabled("cpu", True)
    >>> ad.mm(ad.eye(2), ad.eye(2)).dtype
    torch.bfloat16
    >>> ad.set_autocast_enabled("cpu", False)
    """
    if is_autocast_available(device_type):
        now = state()
        put(now._replace(dtype=now.asked if flag(enabled, "set_autocast_enabled") else None))


def get_autocast_dtype(device_type: str) -> Dtype:
    """The dtype that autocast takes on a type of device where it is given none.

    >>> ad.get_autocast_dtype("cpu")
    torch.bfloat16
    """
    return state().asked if is_autocast_available(device_type) else dtypes.float16


def set_autocast_dtype(device_type: str, dtype: Any) -> None:
    """Set what get_autocast_dtype gives, on this thread.

    >>> ad.set_autocast_dtype("cpu", ad.bfloat16)
    """
    if not isinstance(dtype, Dtype):
        kind = type(dtype).__name__
        raise TypeError(f"set_autocast_dtype(): argument 'dtype' must be dtype, not {kind}")
    if is_autocast_available(device_type):
        on = mode.autocast is not None
        put(state()._replace(dtype=dtype if on else None, asked=dtype))


def is_autocast_cache_enabled() -> bool:
    """Whether a block rounds a leaf once, and not at each use.

    >>> ad.is_autocast_cache_enabled()
    True
    """
    return state().caches


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Set what is_autocast_cache_enabled gives, on this thread.

    >>> ad.set_autocast_cache_enabled(True)
    """
    put(state()._replace(caches=flag(enabled, "set_autocast_cache_enabled")))


def clear_autocast_cache() -> None:
    """Forget the rounded leaves, as the end of the outermost block does.

    >>> ad.clear_autocast_cache()
    """
    blocks.weights.clear()


# ---- functions that users differentiate themselves ----


def custom_fwd(fwd: Any = None, *, device_type: str, cast_inputs: Dtype | None = None) -> Any:
    """A decorator of the forward of an `autograd.Function`, for `custom_bwd` to know its state.

    With `cast_inputs`, in autocast, floats that are not double are converted to it, and the
    forward runs without autocast.

    >>> class Double(ad.autograd.Function):
    ...     @staticmethod
    ...     @ad.amp.custom_fwd(device_type="cpu", cast_inputs=ad.float32)
    ...     def forward(ctx, x):
    ...         return x * 2
    >>> with ad.autocast("cpu"):
    ...     Double.apply(ad.ones(1, dtype=ad.bfloat16))
    tensor([2.])
    """
    _check_type(device_type)
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def forward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        inside = is_autocast_enabled(device_type)
        ctx._dtype = get_autocast_dtype(device_type)
        ctx._fwd_used_autocast = inside and cast_inputs is None
        if not inside or cast_inputs is None:
            return fwd(ctx, *args, **kwargs)
        with autocast(device_type, enabled=False):
            return fwd(ctx, *_cast(args, cast_inputs), **_cast(kwargs, cast_inputs))

    return forward


def custom_bwd(bwd: Any = None, *, device_type: str) -> Any:
    """A decorator of the backward of an `autograd.Function`: it runs in the forward's state.

    >>> class Product(ad.autograd.Function):
    ...     @staticmethod
    ...     @ad.amp.custom_fwd(device_type="cpu")
    ...     def forward(ctx, x):
    ...         return x @ x
    ...     @staticmethod
    ...     @ad.amp.custom_bwd(device_type="cpu")
    ...     def backward(ctx, g):
    ...         return g
    """
    _check_type(device_type)
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def backward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        with autocast(device_type, enabled=ctx._fwd_used_autocast, dtype=ctx._dtype):
            return bwd(ctx, *args, **kwargs)

    return backward


def _check_type(device_type: Any) -> None:
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")


def _cast(x: Any, to: Dtype) -> Any:
    """What a forward is given, as `cast_inputs` has it."""
    if isinstance(x, Mapping):
        return {_cast(key, to): _cast(value, to) for key, value in x.items()}
    if isinstance(x, (list, tuple)):
        return type(x)(_cast(each, to) for each in x)
    return to_dtype(x, to) if eligible(x) else x
