"""What a public function says of an argument that is no tensor, or no dtype."""

from __future__ import annotations

import functools
import numbers
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

from autodiff import torch_function
from autodiff.dtypes import PYTHON, dtype
from autodiff.ops.written import MISSING, is_open, parameters, twin, unwrapped
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

PLAIN = frozenset([int, bool, float, dtype, type(None), type(MISSING)])  # of no graph
_OFTEN = {"axis": "dim", "keepdims": "keepdim"}  # which are taken without another call

Elsewhere = Callable[[Callable[..., Any], Sequence[Any], dict[str, Any]], Any]


def guarded(
    function: F,
    method: bool = False,
    elsewhere: Elsewhere | None = None,
    keywords: frozenset[str] = frozenset(),
) -> F:
    """The function, with a TypeError for foreign arguments instead of whatever they cause.

    Nothing but flags is checked before the call: only when it failed are the arguments looked at.
    It takes NumPy's names, too (`axis` for `dim`). A method that takes nothing but its own tensor
    and plain arguments is left alone, but for flags and those names (unless more must be given
    after `dim`). A call with one of the `keywords` is left to `elsewhere(call, args, kwargs)`,
    which takes them away and calls again;
    what calls mostly need of it is named in its `direct`.
    """
    names, known = parameters(function)
    flags = {} if hasattr(function, "strict") else _flags_of(function, known, len(names))
    soonest = min(flags.values(), default=sys.maxsize)
    alone = method and not _kinds_of(function).keys() - {known[0]}
    required = names[: len(names) - len(unwrapped(function).__defaults__ or ())]
    if alone and not flags and ("dim" not in known or "dim" in required[:-1]):
        return function
    accepted = frozenset(known)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            if elsewhere is not None and not keywords.isdisjoint(kwargs):
                return elsewhere(whole, args, kwargs)
            if not accepted.issuperset(kwargs):
                kwargs = _all_renamed(kwargs, known) or kwargs
        if flags and (kwargs or len(args) > soonest):
            _check_flags(function, flags, args, kwargs)
        try:
            return function(*args, **kwargs) if kwargs else function(*args)  # much faster
        except (AttributeError, TypeError, OverflowError) as failure:
            args, kwargs = _as_meant(function, failure, args, kwargs)
        return whole(*args, **kwargs)

    whole: Any = call
    if "dim" in known and not is_open(function) and len(keywords) < 2:  # often given by name
        tell = functools.partial(_told, call, function, flags, alone, elsewhere, keywords)
        whole = twin(function, tell, more=True)
    return cast(F, whole)


def _kinds_of(function: Any) -> dict[str, tuple[type, ...]]:
    """The arguments that are tensors or dtypes."""
    of = function.__annotations__.items()
    return {name: _KINDS[kind] for name, kind in of if kind in _KINDS and name != "return"}


def _as_meant(
    function: Any, failure: Exception, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call that failed, as the function takes them; else what is wrong."""
    names, _ = parameters(function)
    name = function.__name__
    if isinstance(failure, OverflowError):
        raise _does_not_fit(name, failure, [*args, *kwargs.values()]) from failure
    if noticed(*args, *kwargs.values()):
        return args, kwargs
    if isinstance(failure, AttributeError):
        given, kinds = {**dict(zip(names, args, strict=False)), **kwargs}, _kinds_of(function)
        types = _dtypes_among(given, kinds)
        if not types:
            raise _foreign(function, given, kinds) from failure
        rest = [types.pop(name, x) for name, x in zip(names, args, strict=False)]
        return (*rest, *args[len(names) :]), {**kwargs, **types}
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
    renamed = {_renamed(name, known): value for name, value in kwargs.items()}
    fine = len(renamed) == len(kwargs) and renamed.keys() != kwargs.keys()
    return renamed if fine else {}


def _renamed(name: str, known: Iterable[str]) -> str:
    """A function's own name of an argument that is given by NumPy's."""
    own = _NUMPY.get(name, name)
    return own if own in known and name not in known else name


class _Rest:
    """What a function that is written out leaves to `call`, which takes any arguments."""

    def __init__(self, whole: Any, call: Any, function: Any, listed: Sequence[Any]) -> None:
        names, self.known = parameters(function)
        self.n, self.call, self.function = len(names), call, function
        self.listed = listed  # what stands for arguments that are not given
        self.whole = whole  # what is written out

    def given(self, values: list[Any]) -> tuple[list[Any], dict[str, Any]]:
        """The arguments that were given, by position and by name."""
        listed, at = self.listed, self.n
        while at and values[at - 1] is listed[at - 1]:
            at -= 1
        for k in range(at):
            if values[k] is MISSING:  # what follows was given by name
                at = k
                break
        rest = zip(self.known[at:], values[at:], listed[at:], strict=True)
        return values[:at], {name: value for name, value, default in rest if value is not default}

    def otherwise(self, values: list[Any], more: tuple[Any, ...], other: dict[str, Any]) -> Any:
        """A call that is not plain."""
        if more:  # too many
            return self.call(*values[: self.n], *more, **other)
        args, kwargs = self.given(values)
        return self.call(*args, **kwargs, **other)

    def failed(self, failure: Exception, values: list[Any]) -> Any:
        """The call as it was meant, or the error that tells what is wrong."""
        before, named = self.given(values)
        args, kwargs = _as_meant(self.function, failure, tuple(before), named)
        return self.whole(*args, **kwargs)


def _told(
    call: Any,
    function: Any,
    flags: Iterable[str],
    alone: bool,
    elsewhere: Elsewhere | None,
    keywords: frozenset[str],
    scope: dict[str, Any],
) -> Sequence[str]:
    """The lines of `call` with the function's own parameters, so that one costs what one by hand
    does, and what they name.

    What is not plain is left to `call`: other keywords, arguments that are missing, or of a type
    that is to be looked at. A call that failed for its arguments' types is not made again, unless
    they were meant otherwise; where the function is `alone`, the failure is its own.
    """
    names, known = parameters(function)
    n = len(names)
    called = [*(f"_{at}" for at in range(n)), *known[n:]]
    own: Any = unwrapped(function)
    defaults = dict(zip(names[::-1], (own.__defaults__ or ())[::-1], strict=False))
    defaults |= own.__kwdefaults__ or {}
    rest = _Rest(scope["whole"], call, function, [defaults.get(name, MISSING) for name in known])
    checks = [f"_{at} is missing" for at, name in enumerate(names) if name not in defaults]
    inner, kinds = function, function.__annotations__
    if vars(function).get("strict") is function:
        inner = function.__wrapped__
        plain = [(x, kinds.get(name)) for x, name in zip(called, known, strict=True)]
        checks += [f"kind({x}) not in a_{_KEYS[kind]}" for x, kind in plain if kind in _PLAIN]
    for x in [called[known.index(name)] for name in flags]:
        checks.append(f"{x} is not False and {x} is not True")
    renamed = [(called[known.index(x)], name) for name, x in _OFTEN.items() if x in known]
    scope |= {
        **{f"no_{name}": defaults.get(_OFTEN[name], MISSING) for _, name in renamed},
        **{f"a_{_KEYS[kind]}": types for kind, types in _EXACT.items()},
        "function": inner,
        "kind": type,
        "missing": MISSING,
        "keywords": keywords,
        "elsewhere": elsewhere,
        "otherwise": rest.otherwise,
        "failed": rest.failed,
        "failures": (OverflowError,) if alone else (AttributeError, TypeError, OverflowError),
    }
    direct: dict[str, Any] = getattr(elsewhere, "direct", {})
    scope |= direct
    return _lines(called, n, known, renamed, checks, bool(direct), "out_into" in direct)


def _lines(
    called: Sequence[str],
    n: int,
    known: Sequence[str],
    renamed: Iterable[tuple[str, str]],
    checks: Iterable[str],
    direct: bool,
    into: bool,
) -> list[str]:
    """The text of what is written out."""
    given = ", ".join([*called[:n], *(f"{name}={name}" for name in known[n:])])
    listed = ", ".join(called)
    unfit = " or ".join(["more", "len(rest) > 1", "out_mode.autocast is not None", *checks])
    to = [  # an `out`, as is mostly the case
        f"  if out_fits(out_types, rest['out'], {listed}) and not ({unfit}):",
        *([f"   if out_into(rest['out'], {listed}): return rest['out']"] if into else ()),
        f"   try: _y = function({given})",
        "   except failures: pass",
        "   else: return rest['out'] if out_store(rest['out'], _y) else out_put(rest['out'], _y)",
    ]
    return [
        "if rest:",
        *(f" if {x} is no_{name}: {x} = rest.pop({name!r}, {x})" for x, name in renamed),
        " if not keywords.isdisjoint(rest):",
        *(to if direct else ()),
        f"  rest |= {{{', '.join(f'{name!r}: {name}' for name in known[n:])}}}",
        f"  return elsewhere(whole, [{', '.join([*called[:n], '*more'])}], rest)",
        f"if {' or '.join(['rest or more', *checks])}:",
        f" return otherwise([{listed}], more, rest)",
        f"try: return function({given})",
        f"except failures as failure: return failed(failure, [{listed}])",
    ]


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
_KEYS = {kind: kind.replace(" | ", "_or_").lower() for kind in _EXACT}  # as names


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
        for name, value in given.items():
            kind = kinds.get(name)
            if kind in _PLAIN and not isinstance(value, _PLAIN[kind]):
                raise must_be(function.__name__, name, kind, value, known.index(name) + 1)
        return function(*args, **kwargs)

    checked.strict = checked  # type: ignore[attr-defined]
    return cast(F, checked)


def _foreign(function: Any, given: dict[str, Any], kinds: dict[str, tuple[type, ...]]) -> TypeError:
    known = parameters(function)[1]
    for name, value in given.items():
        if name in kinds and not isinstance(value, kinds[name]):
            wanted = "Tensor" if kinds[name][0] is Tensor else "torch.dtype"
            return must_be(function.__name__, name, wanted, value, known.index(name) + 1)
    kinds_given = _type_names(given.values())
    return TypeError(f"{function.__name__}(): unsupported arguments of types {kinds_given}")


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
