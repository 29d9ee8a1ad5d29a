"""Functions that are written out from what declares them: a call costs what one by hand does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def written(name: str, parameters: Sequence[str], lines: Sequence[str], scope: Any) -> Any:
    """The function of these lines, which find what they name in `scope`."""
    text = "\n ".join([f"def {name}({', '.join(parameters)}):", *lines])
    exec(compile(text, f"{__file__}: {name}", "exec"), scope)
    return scope.pop(name)


def member_of(
    family: Callable[Concatenate[str, int, P], R],
) -> Callable[[Callable[[], None]], Callable[P, R]]:
    """One function of a family over dimensions: conv2d(...) is family("conv2d", 2, ...).

    What is decorated tells its name and docstring.
    """
    whole: Any = family
    names = whole.__code__.co_varnames[2 : whole.__code__.co_argcount]
    defaults = dict(zip(names[::-1], (whole.__defaults__ or ())[::-1], strict=False))
    given = [f"{name}=default_{name}" if name in defaults else name for name in names]

    def declare(told: Any) -> Callable[P, R]:
        op = told.__name__
        scope = {"family": family, **{f"default_{name}": x for name, x in defaults.items()}}
        call = written(op, given, [f"return family({op!r}, {op[-2]}, {', '.join(names)})"], scope)
        call.__doc__, call.__module__ = told.__doc__, told.__module__
        call.__annotations__ = {name: whole.__annotations__[name] for name in (*names, "return")}
        return call  # type: ignore[no-any-return]

    return declare
