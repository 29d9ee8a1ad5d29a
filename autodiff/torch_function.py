"""Who is asked instead of a function's own code: `__torch_function__` of its arguments, and modes.

Functions look at their arguments only once there is somebody to ask: `autodiff.overrides` has them
do so at the first class or mode that takes part. Until then this module is not called.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from autodiff.changes import changed, recorder_here

__all__ = ["DisableTorchFunction", "DisableTorchFunctionSubclass", "disabled"]

Function = Callable[..., Any]


class _Thread(threading.local):
    """Of this thread, the modes, the innermost last, and how often who is asked was turned off."""

    def __init__(self) -> None:
        self.modes: list[Any] = []
        self.off = self.modes_off = 0
        self.within: Function | None = None  # what `default` calls


thread = _Thread()
plain: set[type] = {int, float, bool, str, type(None), slice, type(Ellipsis)}  # of no such object
modes: list[None] = []  # one for each mode of any thread
functions: dict[str, Function] = {}  # those that look, by name, once they do
names: dict[Any, str] = {}  # PyTorch's of all that does, and of properties


class DisableTorchFunctionSubclass:
    """A context in which no argument is asked: functions are what they are for plain tensors."""

    def __enter__(self) -> None:
        thread.off += 1

    def __exit__(self, *error: object) -> None:
        thread.off -= 1


class DisableTorchFunction(DisableTorchFunctionSubclass):
    """A context in which neither an argument nor a mode is asked."""

    def __enter__(self) -> None:
        thread.modes_off += 1
        super().__enter__()

    def __exit__(self, *error: object) -> None:
        thread.modes_off -= 1
        super().__exit__()


def disabled(func: Function, types: Any, args: Any = (), kwargs: Any = None) -> Any:
    """What a class that takes no part has for its `__torch_function__`."""
    with DisableTorchFunctionSubclass():
        return func(*args, **(kwargs or {}))


def refused(func: Function, types: Any, args: Any = (), kwargs: Any = None) -> Any:
    """What a class that takes no part has for its `__torch_dispatch__`: nothing calls it."""
    return NotImplemented


def enter(mode: Any) -> None:
    """Have a mode asked first, of what this thread calls."""
    thread.modes.append(mode)
    modes.append(None)
    changed()


def leave() -> None:
    """Undo `enter`."""
    thread.modes.pop()
    modes.pop()
    changed()


def is_asked() -> bool:
    """Whether a mode is asked first, whatever the arguments."""
    return bool(thread.modes) and not thread.modes_off


def takes_part(kind: type) -> bool:
    """Whether objects of a class are asked."""
    if kind in plain:
        return False
    method = getattr(kind, "__torch_function__", None)
    return method is not None and method is not disabled and not _is_pytorchs(method)


def _is_pytorchs(method: Any) -> bool:
    """Whether it is what PyTorch's own tensors and parameters have, which would ask us again."""
    module = getattr(method, "__module__", None) or ""
    return module.partition(".")[0] == "torch" or (
        getattr(method, "__name__", "") == "_disabled_torch_function_impl"
    )


def overloaded(values: Iterable[Any]) -> list[Any]:
    """Of arguments, and of what lists and tuples of them hold, one of each class that is asked.

    They come in order, but a subclass before what it is one of; Tensor itself is not asked.
    """
    found: list[Any] = []
    if not thread.off:
        _look(values, found, nested=True)
    return found


def _look(values: Iterable[Any], found: list[Any], nested: bool) -> None:
    for x in values:
        kind = type(x)
        if kind is tuple or kind is list:
            if nested:
                _look(x, found, False)
        elif takes_part(kind) and not any(type(y) is kind for y in found):
            at = [i for i, y in enumerate(found) if issubclass(kind, type(y))]
            found.insert(at[0] if at else len(found), x)


def dispatch(func: Function, given: list[Any], args: Any, kwargs: Any) -> Any:
    """What the innermost mode, else the first of those `given` that has an answer, makes of a call.

    TypeError where nobody has one.
    """
    if recorder := recorder_here():
        recorder.stay_eager("it calls a __torch_function__, which may do anything")
    types = tuple(map(type, given))
    asked = []
    if is_asked():
        mode = thread.modes.pop()
        asked.append(f"mode object {mode!r}")
        try:
            result = mode.__torch_function__(func, types, args, kwargs)
        finally:
            thread.modes.append(mode)
        if result is not NotImplemented:
            return result
    for x in given:
        result = x.__torch_function__(func, types, args, kwargs)
        if result is not NotImplemented:
            return result
    asked += [f"tensor subclass {kind!r}" for kind in types]
    raise TypeError(
        f"Multiple dispatch failed for '{name_of(func) or func}'; all __torch_function__ handlers "
        "returned NotImplemented:\n" + "".join(f"\n  - {one}" for one in asked)
    )


def name_of(func: Function) -> str | None:
    """The name by which a function is found in PyTorch; None for what does not look."""
    if getattr(func, "__name__", "") in ("__get__", "__set__", "__delete__"):
        owner = names.get(func.__self__)  # type: ignore[attr-defined]
        return None if owner is None else f"{owner}.{func.__name__}"
    return names.get(func)


def look(func: Function, raw: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A call of `func`, whose own code is `raw`."""
    given = overloaded((*args, *kwargs.values()) if kwargs else args)
    if given or is_asked():
        return dispatch(func, given, args, kwargs)
    return raw(*args, **kwargs)


def by_modes(func: Function, raw: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The same of a function whose arguments are not asked."""
    return dispatch(func, [], args, kwargs) if is_asked() else raw(*args, **kwargs)


def noticed(*values: Any) -> bool:
    """Whether a call failed as nobody had looked yet for the classes of its arguments; from now on
    functions do.
    """
    if functions or not overloaded(values):
        return False
    importlib.import_module("autodiff.overrides").install()
    return True


def default(cls: Any, base: type, func: Function, types: Any, args: Any, kwargs: Any) -> Any:
    """What a subclass of a tensor's class `base` does unless it says otherwise: the results that
    are tensors become ones of its class, over the same memory.
    """
    if thread.within is func or not all(issubclass(cls, kind) for kind in types):
        return NotImplemented  # a function of another library asks again and again

    def recast(x: Any) -> Any:
        if isinstance(x, base):
            return x if isinstance(x, cls) else x.as_subclass(cls)  # type: ignore[attr-defined]
        if isinstance(x, (tuple, list)):
            made = map(recast, x)
            return type(x)(*made) if hasattr(x, "_fields") else type(x)(made)
        return x

    with DisableTorchFunctionSubclass():
        before, thread.within = thread.within, func
        try:
            result = func(*args, **kwargs)
        finally:
            thread.within = before
        if cls is base or getattr(func, "__self__", None) is base.grad:  # type: ignore[attr-defined]
            return result
        return recast(result)


_disabled_torch_function_impl, _disabled_torch_dispatch_impl = disabled, refused
sys.modules["autodiff._C"] = sys.modules[__name__]  # where extensions of PyTorch look for these
