"""Grad modes: whether operations are recorded, set for a block or a function."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator
from typing import Any, TypeVar, overload

from autodiff.dtypes import flag
from autodiff.native import lib
from autodiff.node import mode, set_grad

F = TypeVar("F", bound=Callable[..., Any])
S = TypeVar("S", bound="_Switch")
_GENERATOR = 0x20  # inspect.CO_GENERATOR


class _GradMode:
    """A context manager and decorator that sets the grad mode."""

    enabled: bool

    def __enter__(self) -> None:
        self.previous = mode.grad
        _set(self.enabled)

    def __exit__(self, *exc: object) -> None:
        set_grad(self.previous)

    @overload
    def __call__(self, function: F, /) -> F: ...

    @overload  # what a function is to type checkers that is decorated without parentheses
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

    def __call__(self, function: Any, /) -> Any:  # type: ignore[misc]
        self.decorating()
        if getattr(getattr(function, "__code__", None), "co_flags", 0) & _GENERATOR:
            return self._stepwise(function)

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self.again():  # a call may hold another
                return function(*args, **kwargs)

        return wrapped

    def _stepwise(self, function: Callable[..., Generator[Any, Any, Any]]) -> Any:
        """A function whose generator has the mode in its steps, and leaves its user theirs."""

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            steps = function(*args, **kwargs)
            step = functools.partial(steps.send, None)
            while True:
                try:
                    with self.again():
                        made = step()
                except StopIteration as end:
                    return end.value
                try:
                    step = functools.partial(steps.send, (yield made))
                except GeneratorExit:
                    with self.again():
                        steps.close()
                    raise
                except BaseException as error:  # thrown in by whoever runs it
                    step = functools.partial(steps.throw, error)

        return wrapped

    def again(self) -> _GradMode:
        """A context like this one that is not entered yet."""
        return type(self)()

    def decorating(self) -> None:
        """Called before a function is decorated."""


class _Switch(_GradMode):
    """A mode that is fixed: as a decorator it needs no parentheses."""

    def __new__(cls: type[S], function: Any = None) -> S:
        self = super().__new__(cls)
        return self if function is None else self(function)


class no_grad(_Switch):  # noqa: N801 - PyTorch's name
    """Operations inside are not recorded.

    >>> x = ad.ones(1, requires_grad=True)
    >>> with ad.no_grad():
    ...     y = 2 * x
    >>> y.requires_grad
    False
    """

    enabled = False


class enable_grad(_Switch):  # noqa: N801 - PyTorch's name
    """Operations inside are recorded, also within no_grad.

    >>> x = ad.ones(1, requires_grad=True)
    >>> with ad.no_grad(), ad.enable_grad():
    ...     y = 2 * x
    >>> y.requires_grad
    True
    """

    enabled = True


class _Forced(_GradMode):
    def __init__(self, enabled: bool) -> None:
        self.enabled = enabled


class set_grad_enabled(_GradMode):  # noqa: N801 - PyTorch's name
    """Sets the grad mode at once; as a context manager, until its end.

    >>> x = ad.ones(1, requires_grad=True)
    >>> with ad.set_grad_enabled(False):
    ...     y = 2 * x
    >>> y.requires_grad
    False
    """

    def __init__(self, mode: bool) -> None:
        self.enabled = flag(mode, "set_grad_enabled")
        self.previous = is_grad_enabled()
        _set(self.enabled)

    def __enter__(self) -> None:
        _set(self.enabled)

    def __repr__(self) -> str:
        return f"torch.autograd.grad_mode.set_grad_enabled(mode={self.enabled})"

    def decorating(self) -> None:
        _set(self.previous)

    def again(self) -> _GradMode:
        return _Forced(self.enabled)


def _set(enabled: bool) -> None:
    set_grad(enabled and not mode.inference)


class inference_mode(_GradMode):  # noqa: N801 - PyTorch's name
    """Operations inside are not recorded, and what they make can never be: for serving a model.

    RuntimeError outside the mode where such a tensor is written to or saved for backward; a clone()
    is a normal tensor. `inference_mode(False)` inside the mode suspends it.

    >>> with ad.inference_mode():
    ...     y = ad.ones(2) * 2
    >>> y.is_inference()
    True
    """

    def __new__(cls, mode: Any = True) -> inference_mode:
        if isinstance(mode, bool):
            return super().__new__(cls)
        return cls()(mode)  # type: ignore[no-any-return] # used as a decorator without parentheses

    def __init__(self, mode: bool | Callable[..., Any] = True) -> None:
        self.enabled = bool(mode)

    def again(self) -> _GradMode:
        """A context like this one that is not entered yet."""
        return inference_mode(self.enabled)

    def __enter__(self) -> None:
        self.previous = mode.grad
        self.was_on = mode.inference
        try:
            mode.inference = self.enabled
            set_grad(not self.enabled)
            lib.ad_set_inference(self.enabled)
        except BaseException:  # an interrupt: the block is not entered, so nobody leaves it
            self.__exit__()
            raise

    def __exit__(self, *exc: object) -> None:
        mode.inference = self.was_on
        set_grad(self.previous)
        lib.ad_set_inference(self.was_on)


class set_multithreading_enabled(_GradMode):  # noqa: N801 - PyTorch's name
    """PyTorch's switch for backward passes on several threads; here one thread does a pass.

    >>> with ad.autograd.set_multithreading_enabled(False):
    ...     ad.ones(1)
    tensor([1.])
    """

    def __init__(self, mode: bool) -> None:
        self.mode = flag(mode, "set_multithreading_enabled")

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        pass

    def again(self) -> _GradMode:
        """A context like this one that is not entered yet."""
        return set_multithreading_enabled(self.mode)


def is_inference_mode_enabled() -> bool:
    """Whether this thread is in inference mode.

    >>> ad.is_inference_mode_enabled()
    False
    """
    return mode.inference


def is_grad_enabled() -> bool:
    """Whether operations are recorded on this thread.

    >>> with ad.no_grad():
    ...     ad.is_grad_enabled()
    False
    """
    return mode.grad
