"""What a public function says of an argument that is no tensor, or no dtype."""

from __future__ import annotations

import functools
import numbers
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import CodeType
from typing import Any, TypeVar, cast

from autodiff import torch_function
from autodiff.dtypes import PYTHON, dtype
from autodiff.tensor import Tensor
from autodiff.torch_function import noticed, takes_part

F = TypeVar("F", bound=Callable[..., Any])

_KINDS: dict[str, tuple[type, ...]] = {
    "Tensor": (Tensor,),
    "Tensor | None": (Tensor, type(None)),
    "dtype | None": (dtype, type(None)),
    "Dtype": (dtype, type(None)),
}


# NumPy's names of arguments, which PyTorch takes, too, and of arguments that are one here.
_NUMPY = {
    "axis": "dim",
    "keepdims": "keepdim",
    "x": "input",
    "x1": "input",
    "a": "input",
    "x2": "other",
    "sections": "indices_or_sections",
    "indices": "indices_or_sections",
}

Elsewhere = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]


def unwrapped(function: Any) -> Any:
    """A function without what decorators do around it."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function


def guarded(
    function: F,
    method: bool = False,
    elsewhere: Elsewhere | None = None,
    keywords: frozenset[str] = frozenset(),
) -> F:
    """The function, with a TypeError for foreign arguments instead of whatever they cause.

    Nothing but flags is checked before the call: only when it failed are the arguments looked at,
    and then called again where they have NumPy's names (`axis` for `dim`). A method that takes
    nothing but its own tensor and plain arguments is left alone, but for those names and flags. A
    call with one of the `keywords` is left to `elsewhere(call, args, kwargs)`, which takes them
    away and calls again.
    """
    names, known = parameters(function)
    flags = {} if hasattr(function, "strict") else _flags_of(function, known, len(names))
    soonest = min(flags.values(), default=sys.maxsize)
    alone = method and not _kinds_of(function).keys() - {known[0]}
    if alone and not flags and "dim" not in known:
        return function

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs and elsewhere is not None and not keywords.isdisjoint(kwargs):
            return elsewhere(call, args, kwargs)
        if flags and (kwargs or len(args) > soonest):
            _check_flags(function, flags, args, kwargs)
        try:
            return function(*args, **kwargs) if kwargs else function(*args)  # much faster
        except (AttributeError, TypeError) as failure:
            if not noticed(*args, *kwargs.values()):
                args, kwargs = _as_taken(function, failure, args, kwargs)
        except OverflowError as failure:
            raise _does_not_fit(function.__name__, failure, [*args, *kwargs.values()]) from failure
        return call(*args, **kwargs)

    numpys = None
    if method and elsewhere is None and "dim" in known:
        numpys = _named_as_numpy(function, names, flags, None if alone else call)
    return numpys or (function if alone and not flags else cast(F, call))


def parameters(function: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of what a function takes: by position, and at all."""
    code = unwrapped(function).__code__
    n = code.co_argcount
    return code.co_varnames[:n], code.co_varnames[: n + code.co_kwonlyargcount]


def _kinds_of(function: Any) -> dict[str, tuple[type, ...]]:
    """The arguments that are tensors or dtypes."""
    of = function.__annotations__.items()
    return {name: _KINDS[kind] for name, kind in of if kind in _KINDS and name != "return"}


def _as_taken(
    function: Any, failure: Exception, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call that failed, as the function takes them; else what is wrong."""
    names, known = parameters(function)
    name = function.__name__
    if isinstance(failure, AttributeError):
        given, kinds = {**dict(zip(names, args, strict=False)), **kwargs}, _kinds_of(function)
        types = _dtypes_among(given, kinds)
        if not types:
            raise _foreign(name, given, kinds) from failure
        rest = [types.pop(name, x) for name, x in zip(names, args, strict=False)]
        return (*rest, *args[len(names) :]), {**kwargs, **types}
    if renamed := _all_renamed(kwargs, known):
        return args, renamed
    if name in str(failure):
        raise failure
    text = (
        f"{name}(): {failure}; the arguments are of types {_type_names([*args, *kwargs.values()])}"
    )
    raise TypeError(text) from failure


def _flags_of(function: Any, known: Iterable[str], positional: int) -> dict[str, int]:
    """The arguments that are True or False alone, and where they are given by position."""
    kinds = function.__annotations__
    if "bool" not in kinds.values():
        return {}
    return {
        name: at if at < positional else sys.maxsize
        for at, name in enumerate(known)
        if kinds.get(name) == "bool"
    }


def _check_flags(
    function: Any, flags: Mapping[str, int], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> None:
    for name, at in flags.items():
        value = args[at] if at < len(args) else kwargs.get(name, False)
        if value is not True and value is not False:
            raise no_flag(function.__name__, name, value)


def _dtypes_among(
    given: Mapping[str, Any], kinds: Mapping[str, tuple[type, ...]]
) -> dict[str, Any]:
    """The dtypes that float, int and bool name where one is taken."""
    named = {name: d for name, d in given.items() if dtype in kinds.get(name, ())}
    return {name: PYTHON[d] for name, d in named.items() if d in tuple(PYTHON)}


def _all_renamed(kwargs: Mapping[str, Any], known: Sequence[str]) -> dict[str, Any]:
    """The arguments by a function's own names, where some are given by NumPy's; else none."""
    if kwargs.keys() <= {*known}:
        return {}
    renamed = {_renamed(name, known): value for name, value in kwargs.items()}
    fine = len(renamed) == len(kwargs) and renamed.keys() != kwargs.keys()
    return renamed if fine else {}


def _renamed(name: str, known: Iterable[str]) -> str:
    """A function's own name of an argument that is given by NumPy's."""
    own = _NUMPY.get(name, name)
    return own if own in known and name not in known else name


def _named_as_numpy(
    function: F, names: tuple[str, ...], flags: Iterable[str], again: Any
) -> F | None:
    """A method that takes `axis` for `dim`, too, and `keepdims`, unless what follows must be given.

    A call that failed for its arguments' types is made `again`, if not None, to be worded.

    It is written out: a call of any arguments would cost as much as a small operation's kernel.
    """
    own: Any = unwrapped(function)
    values, more, code = own.__defaults__ or (), own.__kwdefaults__ or {}, own.__code__
    required = names[: len(names) - len(values)]
    if "dim" in required[:-1] or code.co_flags & _OPEN or code.co_kwonlyargcount != len(more):
        return None
    defaults = {"dim": _MISSING} | dict(zip(names[len(required) :], values, strict=True)) | more
    told = [f"{name}=_{name}" if name in defaults else name for name in (*names, "*", *more)]
    given = [*names, *(f"{name}={name}" for name in more)]
    keep = "keepdim = keepdims" if "keepdim" in (*names, *more) else "function(keepdims=keepdims)"
    checks = [
        f"    if {x} is not False and {x} is not True: raise no_flag(name, {x!r}, {x})\n"
        for x in flags
    ]
    worded = f"    except (AttributeError, TypeError): return again({', '.join(given)})\n"
    text = f"""
def call({", ".join(told)}, axis=missing, keepdims=missing):
    if axis is not missing:
        if dim is not _dim: raise TypeError(name + "(): got both dim and axis")
        dim = axis
    if keepdims is not missing: {keep}
    if dim is missing: function({", ".join(required[:-1])})
{"".join(checks)}    try:
        return function({", ".join(given)})
{"" if again is None else worded}    except OverflowError as failure:
        raise does_not_fit(name, failure, ()) from failure
"""
    scope = {f"_{name}": value for name, value in defaults.items()} | {"again": again}
    scope |= {"function": function, "missing": _MISSING, "does_not_fit": _does_not_fit}
    scope |= {"no_flag": no_flag, "name": own.__name__}
    exec(_compiled(text), scope)
    return cast(F, functools.wraps(function)(scope["call"]))


@functools.cache  # the same text serves many
def _compiled(text: str) -> CodeType:
    return compile(text, f"{__file__}: axis", "exec")


_OPEN = 4 | 8  # of code that takes *args or **kwargs
_MISSING = object()
_PLAIN: dict[str, Any] = {
    "bool": bool,
    "int": numbers.Integral,
    "int | None": (numbers.Integral, type(None)),
    "float": numbers.Real,
    "str": str,
}
_EXACT: dict[str, frozenset[type]] = {  # what mostly is given, and known at once
    "bool": frozenset([bool]),
    "int": frozenset([int]),
    "int | None": frozenset([int, type(None)]),
    "float": frozenset([float, int]),
    "str": frozenset([str]),
}


def strict(function: F) -> F:
    """The function, with a TypeError for what is no bool, int, float or str where it takes one."""
    names, known = parameters(function)
    kinds = function.__annotations__
    plain = [
        (at if at < len(names) else sys.maxsize, name, _EXACT[kinds[name]])
        for at, name in enumerate(known)
        if kinds.get(name) in _PLAIN
    ]

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        n = len(args)
        for at, name, exact in plain:
            if at < n:
                if type(args[at]) not in exact:
                    break
            elif name in kwargs and type(kwargs[name]) not in exact:
                break
        else:
            return function(*args, **kwargs)
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        for position, (name, value) in enumerate(given.items(), start=1):
            kind = kinds.get(name)
            if kind in _PLAIN and not isinstance(value, _PLAIN[kind]):
                raise must_be(function.__name__, name, kind, value, position)
        return function(*args, **kwargs)

    checked.strict = True  # type: ignore[attr-defined]
    return cast(F, checked)


def _foreign(function: str, given: dict[str, Any], kinds: dict[str, tuple[type, ...]]) -> TypeError:
    for position, (name, value) in enumerate(given.items(), start=1):
        if name in kinds and not isinstance(value, kinds[name]):
            wanted = "Tensor" if kinds[name][0] is Tensor else "torch.dtype"
            return must_be(function, name, wanted, value, position)
    kinds_given = _type_names(given.values())
    return TypeError(f"{function}(): unsupported arguments of types {kinds_given}")


def _does_not_fit(function: str, failure: Exception, given: Iterable[Any]) -> Exception:
    """PyTorch's exception for integers past 64 bits (among sizes, TypeError)."""
    kind = TypeError if any(isinstance(value, (tuple, list)) for value in given) else ValueError
    return kind(f"{function}(): an integer does not fit 64 bits")


def no_flag(function: str, name: str, value: Any) -> TypeError:
    """What is said of a flag that is neither True nor False: PyTorch takes no 1 for True."""
    return must_be(function, name, "bool", value)


def must_be(function: str, name: str, kind: str, value: Any, position: int = 0) -> TypeError:
    """What is said of an argument that is of another kind than this."""
    place = f" (position {position})" if position else ""
    return TypeError(f"{function}(): argument '{name}'{place} must be {kind}, not {kind_of(value)}")


_BY_CLASS = 1 << 9  # of types that are no part of a module of C, whose names CPython tells in full


def kind_of(value: Any) -> str:
    """The name of a value's type, and of another library's tensors how to take them."""
    kind = type(value)
    if takes_part(kind) and not torch_function.functions:
        return f"{kind.__name__}, before autodiff.overrides.install() was called"
    if kind.__name__ != "Tensor" or isinstance(value, Tensor):
        declared = kind.__flags__ & _BY_CLASS or kind.__module__ == "builtins"
        return kind.__name__ if declared else f"{kind.__module__}.{kind.__name__}"
    return f"{kind.__module__}.Tensor (from_dlpack shares its memory)"


def _type_names(values: Iterable[Any]) -> str:
    """The types of values; of lists, also those of what is in them."""
    names = [
        f"{type(value).__name__} of {_type_names(value)}"
        if isinstance(value, (tuple, list)) and value
        else kind_of(value)
        for value in values
    ]
    return f"({', '.join(names)})"
