"""Modules that are one call of a function: declared by their options, which the class annotates."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from autodiff.nn import functional
from autodiff.nn.module import Module
from autodiff.ops.written import unwrapped, written

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_: bool) -> Any:
        """Tell type checkers that `__init__` takes what a class annotates."""
        return lambda function: function


M = TypeVar("M", bound=Module)


@dataclass_transform(eq_default=False)
def options(cls: type[M]) -> type[M]:
    """Give a module of annotated options an `__init__` that keeps them, and a text that shows them.

    What the base's `__init__` takes is passed on to it. If the class has `_settle`, that is called
    at the end; if it has `_shown`, those are the names that are shown.
    """
    declared: Any = cls
    kinds, base = declared.__annotations__, super(declared, declared).__init__.__code__
    defaults = {name: vars(cls)[name] for name in kinds if name in vars(cls)}
    for name in defaults:
        delattr(cls, name)  # a module that has set none of them, as a subclass may, has none
    passed = [name for name in kinds if name in base.co_varnames[1 : base.co_argcount]]
    kept = [name for name in kinds if name not in passed]
    given = [f"{name}=default_{name}" if name in defaults else name for name in kinds]
    lines = [f"super(cls, self).__init__({', '.join(f'{name}={name}' for name in passed)})"]
    lines += [f"self.{name} = {name}" for name in kept]
    lines += ["self._settle()"] * hasattr(cls, "_settle")
    scope = {"cls": cls, **{f"default_{name}": value for name, value in defaults.items()}}
    declared.__init__ = _method(cls, "__init__", given, lines, scope)
    declared.__init__.__annotations__ = {**kinds, "return": "None"}
    declared._options = (*getattr(cls, "_options", ()), *kept)
    declared._shown = getattr(cls, "_shown", declared._options)
    if declared.extra_repr is Module.extra_repr:
        declared.extra_repr = _extra_repr
    return cls


@dataclass_transform(eq_default=False)
def calls(function: Callable[..., Any]) -> Callable[[type[M]], type[M]]:
    """Declare a module by its options, and by the function of `nn.functional` that it calls.

    Parameters of the function that are options, or `training`, are the module's; `forward` takes
    the others that have no default.
    """
    raw = unwrapped(function)
    names, defaults = raw.__code__.co_varnames, raw.__defaults__ or ()
    positional = names[: raw.__code__.co_argcount]
    needed = positional[: len(positional) - len(defaults)]

    def declare(cls: type[M]) -> type[M]:
        declared: Any = cls if "__init__" in vars(cls) or not cls.__annotations__ else options(cls)
        held = {*getattr(cls, "_options", ()), "training"}
        taken = [name for name in needed if name not in held]
        given, by_name = [], False
        for at, name in enumerate(names[: len(positional) + raw.__code__.co_kwonlyargcount]):
            used = name in held or name in taken
            if used:
                value = name if name in taken else f"self.{name}"
                given.append(f"{name}={value}" if by_name else value)
            by_name = by_name or not used or at + 1 >= len(positional)
        line = f"return functional.{function.__name__}({', '.join(given)})"
        scope = {"functional": functional}
        declared.forward = _method(cls, "forward", taken, [line], scope)
        kinds = function.__annotations__
        declared.forward.__annotations__ = {name: kinds[name] for name in (*taken, "return")}
        return cls

    return declare


def _method(cls: type, name: str, given: list[str], lines: list[str], scope: Any) -> Any:
    method = written(name, ["self", *given], lines, scope)
    method.__qualname__, method.__module__ = f"{cls.__qualname__}.{name}", cls.__module__
    return method


def _extra_repr(self: Any) -> str:
    told = {name: getattr(self, name) for name in self._shown if name != "inplace" or self.inplace}
    texts = {name: repr(x) if isinstance(x, str) else str(x) for name, x in told.items()}
    return ", ".join(f"{name}={text}" for name, text in texts.items())
