"""Functions that are written out from what declares them: a call costs what one by hand does."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from types import CodeType, FunctionType
from typing import Any, Concatenate, ParamSpec, TypeVar

from autodiff.changes import new_lock

P = ParamSpec("P")
R = TypeVar("R")
MISSING = object()  # an argument that was not given
_later: dict[Any, Callable[[], CodeType]] = {}  # what writes functions that were not called yet
_lock = new_lock()


def written(name: str, parameters: Sequence[str], lines: Sequence[str], scope: Any) -> Any:
    """The function of these lines, which find what they name in `scope`."""
    text = "\n ".join([f"def {name}({', '.join(parameters)}):", *lines])
    exec(compile(text, f"{__file__}: {name}", "exec"), scope)
    return scope.pop(name)


def unwrapped(function: Any) -> Any:
    """A function without what decorators do around it."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function


def parameters(function: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of what a function takes: by position, and at all."""
    return _parameters(unwrapped(function))


@functools.cache  # as a function may be given other code (replaced.py) before it is written
def _parameters(function: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    code = function.__code__
    n = code.co_argcount
    return code.co_varnames[:n], code.co_varnames[: n + code.co_kwonlyargcount]


def is_open(function: Any) -> bool:
    """Whether a function takes any number of arguments, or any keywords."""
    return bool(unwrapped(function).__code__.co_flags & (4 | 8))


Lines = Callable[[dict[str, Any]], Sequence[str]]


def twin(function: Any, tell: Lines, *, more: bool = False) -> Any:
    """A function of the parameters of one that is not open, whose lines call those by position _0,
    _1...: it costs what one by hand does, where any arguments would cost as much as a small kernel.

    Where it takes `more`, no argument has to be given: those that are not are `MISSING`. Its first
    call writes it, as import would take a quarter longer: `tell` puts what its lines name into the
    scope that it is given, where it finds the function itself as `whole`.
    """
    own = unwrapped(function)
    defaults = own.__defaults__ or ()
    if more:
        defaults = (*[MISSING] * (own.__code__.co_argcount - len(defaults)), *defaults)
    scope: dict[str, Any] = {"__name__": __name__, "finish": finish}  # whose a frame is
    made: Any = FunctionType(_unwritten.__code__, scope, own.__name__, defaults)
    made.__kwdefaults__ = own.__kwdefaults__
    scope["whole"] = made
    _later[made] = functools.partial(_twin_code, own, tell, scope, more)
    return functools.wraps(function)(made)


def finish(function: Any) -> None:
    """Give a function the code it is to have, where it still waits for its first call."""
    with _lock:
        if function in _later:
            function.__code__ = _later[function]()
            del _later[function]


def _unwritten(*args: Any, **kwargs: Any) -> Any:
    function = whole  # whose name messages find here
    finish(function)
    return function(*args, **kwargs)


whole: Any = None  # in the scope of each that `twin` makes: itself


def _twin_code(own: Any, tell: Lines, scope: dict[str, Any], more: bool) -> CodeType:
    names, known = parameters(own)
    n = len(names)
    first, last = ("*more", "**rest") if more else ("*", "")
    told = [*(f"_{at}" for at in range(n)), first, *known[n:], last]
    lines = tuple(tell(scope))
    code = _code(", ".join(x for x in told if x and (x, n) != ("*", len(known))), lines)
    names_of = (*known, *code.co_varnames[len(known) :])
    return code.replace(co_name=own.__name__, co_varnames=names_of)


@functools.cache  # the same text serves many
def _code(told: str, lines: Sequence[str]) -> CodeType:
    text = "\n ".join([f"def call({told}):", *lines])
    made = compile(text, f"{__file__}: call", "exec").co_consts
    return next(code for code in made if isinstance(code, CodeType))


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
