"""`autodiff.overrides`: functions of other tensors, by PyTorch's protocol `__torch_function__`.

A class with a method `__torch_function__(cls, func, types, args, kwargs)` is asked instead of each
public function or method that is given one of its objects, be it a subclass of Tensor or no tensor
at all, and a `TorchFunctionMode` instead of all that is called inside it.

That functions look at their arguments first begins once, at the first subclass or mode that takes
part, or the first object of another class that is given to an operator or to a
function at the top or of `linalg` (where the first is one of `nn.functional`, call `install`).
"""

from __future__ import annotations

import functools
import importlib
import inspect
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from autodiff import _AT_TOP, functions, torch_function
from autodiff.changes import new_lock
from autodiff.ops import cells, fused, generator, recurrent, settings
from autodiff.replaced import Layer, beneath, find_all
from autodiff.tensor import Tensor
from autodiff.torch_function import by_modes, dispatch, is_asked, look, name_of, names, overloaded

__all__ = [
    "TorchFunctionMode", "get_overridable_functions", "handle_torch_function", "has_torch_function",
    "has_torch_function_unary", "has_torch_function_variadic", "install", "is_tensor_like",
    "is_tensor_method_or_property", "resolve_name", "wrap_torch_function",
]  # fmt: skip

Function = Callable[..., Any]

_SPACES = ("", "nn.functional", "linalg", "special")
_SETTINGS = (
    generator.__name__,
    settings.__name__,
    "autodiff.anomaly",
)  # no tensor is given to them
_NEVER = ("is_tensor", "is_storage", "typename", "from_numpy", "frombuffer", "from_dlpack",
          "to_dlpack", "__new__", "__hash__", "__init_subclass__", "__iter__", "__torch_function__",
          "as_subclass")  # fmt: skip
_MAKERS = ("tensor", "as_tensor", "asarray")  # whose data is not asked
# What an operator calls, where it is another method: with the operands as they are for that.
_OPERATORS = {
    **{f"__{name}__": name for name in ("add", "sub", "mul", "matmul", "pow", "abs", "neg")},
    **{f"__{name}__": name for name in ("ne", "lt", "le", "gt", "ge")},
    **{f"__i{name}__": f"{name}_" for name in ("add", "sub", "mul", "pow")},
    **{f"__r{name}__": f"bitwise_{name}" for name in ("and", "or", "xor")},
    "__truediv__": "div",
    "__itruediv__": "div_",
    "__mod__": "remainder",
    "__imod__": "remainder_",
    "__ifloordiv__": "floor_divide_",
    "__pos__": "positive",
    "__radd__": "add",
    "__rmul__": "mul",
}

_lock = new_lock()


def _spaces() -> Iterator[tuple[str, str, types.FunctionType]]:
    """The public functions: module, name, and function."""
    for space in _SPACES:
        module = importlib.import_module(f"autodiff.{space}".rstrip("."))
        for name in module.__all__ if space else (*functions.__all__, *_AT_TOP.split()):
            function = getattr(module, name)
            known = type(function) is types.FunctionType and name not in _NEVER
            if known and inspect.unwrap(function).__module__ not in _SETTINGS:
                yield space, name, function
    for name in ("grad", "backward"):
        yield "autograd", name, getattr(importlib.import_module("autodiff.autograd"), name)


def _members() -> Iterator[tuple[str, Any]]:
    """The methods and properties of a tensor."""
    for owner in Tensor.__mro__[:-1]:
        for name, member in vars(owner).items():
            hidden = name.startswith("_") and not name.endswith("__") and name != "_version"
            if not hidden and name not in _NEVER:
                yield name, member


def _table() -> dict[types.FunctionType, Function]:
    """By function whose code is replaced, what a `__torch_function__` is told was called."""
    table: dict[types.FunctionType, Function] = {}
    for space, name, function in _spaces():
        table.setdefault(function, function)
        if function not in names or (function.__name__ == name and not space):
            names[function] = f"torch.{space}.{name}".replace("..", ".")
    for name, member in _members():
        if isinstance(member, property):
            for part, how in ((member.fget, "get"), (member.fset, "set"), (member.fdel, "delete")):
                if isinstance(part, types.FunctionType):
                    table[part] = getattr(member, f"__{how}__")
            names[member] = f"torch.Tensor.{name}"
        elif isinstance(member, types.FunctionType):
            table.setdefault(member, getattr(Tensor, _OPERATORS.get(name, name)))
            names.setdefault(member, f"torch.Tensor.{name}")
    # what recurrent modules and distributions call
    inside: list[Any] = [recurrent.scan, cells.cell_step, fused.pointwise.__call__]
    table |= {function: function for function in inside}
    for function, func in list(table.items()):
        inner: Any = function  # what it wraps is called by modules
        while (inner := getattr(inner, "__wrapped__", None)) is not None:
            if type(inner) is types.FunctionType:
                table.setdefault(inner, func)
    return table


# ---- code that looks ----


@functools.cache
def _template(free: int) -> types.CodeType:
    """The code of a function with so many variables of an outer one, which it does not use."""
    names = ", ".join(f"free{i}" for i in range(free))
    unused = f"if 0: ({names})" if free else "pass"
    text = f"""
def outer({names}):
    def looking(*args, **kwargs):
        modes = "the modes"
        plain = "plain classes"
        kind = "type"
        look = "look"
        raw = "raw"
        if modes or kwargs:
            return look(args, kwargs)
        for x in args:
            if kind(x) not in plain:
                return look(args, kwargs)
        return raw(*args)
        {unused}
"""
    code = compile(text, __file__, "exec")
    for _ in range(2):
        code = next(c for c in code.co_consts if isinstance(c, types.CodeType))
    return code


class _Asking(Layer):
    """Functions that look at their arguments, or ask the modes."""

    def __init__(self) -> None:
        super().__init__(depth=-1)
        self.told: dict[types.FunctionType, Function] = {}
        self.renamed: dict[types.FunctionType, tuple[str, str]] = {}

    def find(self) -> None:
        """Find them once; they are called as they were named."""
        self.told = self.told or _table()
        for name, member in _members():
            if isinstance(member, types.FunctionType) and not hasattr(Tensor, member.__name__):
                self.renamed[member] = member.__name__, name
        for function in self.told:
            self.wraps[function] = functools.partial(_look, function)
            own = inspect.signature(beneath(inspect.unwrap(function)))
            function.__signature__ = own  # type: ignore[attr-defined]

    def code(self, function: types.FunctionType, raw: Function) -> types.CodeType:
        """That of `_template`, which looks without another call."""
        given = {
            "the modes": torch_function.modes,
            "plain classes": torch_function.plain,
            "type": type,
            "look": self.wraps[function](raw),
            "raw": raw,
        }
        code = _template(len(function.__code__.co_freevars))
        constants = tuple(given.get(c, c) if isinstance(c, str) else c for c in code.co_consts)
        return code.replace(co_consts=constants)

    def switched(self, on: bool) -> None:
        """Methods have the names by which who is told of them knows them, and signatures."""
        for function, names_of in self.renamed.items():
            function.__name__ = names_of[on]
        if not on:
            for function in self.told:
                del function.__signature__  # type: ignore[attr-defined]


_layer = _Asking()


def _look(function: types.FunctionType, raw: Function) -> Function:
    asks = by_modes if function.__name__ in _MAKERS else look
    return functools.partial(asks, _layer.told[function], raw)


def install() -> None:
    """Have all public functions look at their arguments first, from now on.

    >>> class Text:
    ...     @classmethod
    ...     def __torch_function__(cls, func, types, args=(), kwargs=None):
    ...         return f"{func.__name__} of a text"
    >>> overrides.install()
    >>> F.relu(Text())
    'relu of a text'
    """
    with _lock:
        if torch_function.functions:
            return
        for name in ("nn", "at_top", "func.looking"):  # which take functions as they are
            importlib.import_module(f"autodiff.{name}")
        parameter = importlib.import_module("autodiff.nn.parameter").Parameter
        torch_function.plain.update((parameter, type(Tensor.dtype), type(functions.zeros)))
        find_all()  # by the names that functions have
        _layer.use(None)
        for _space, name, function in _spaces():
            torch_function.functions.setdefault(name, function)


def uninstall() -> None:
    """Have functions be themselves again, as if no class or mode took part."""
    with _lock:
        if torch_function.functions:
            _layer.leave(None)
            torch_function.functions.clear()


# ---- what is asked, and asks ----


class TorchFunctionMode:
    """A context whose `__torch_function__` is asked instead of each public function called in it.

    What that calls goes to the mode around this one, else to the functions themselves.

    >>> class Names(overrides.TorchFunctionMode):
    ...     def __torch_function__(self, func, types, args=(), kwargs=None):
    ...         print(overrides.resolve_name(func))
    ...         return func(*args, **(kwargs or {}))
    >>> with Names():
    ...     x = ad.ones(2) + 2
    torch.ones
    torch.Tensor.add
    """

    def __torch_function__(
        self, func: Function, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """What a call gives: to be overridden."""
        raise NotImplementedError(f"{type(self).__name__} does not define __torch_function__")

    def __enter__(self) -> Any:
        install()
        torch_function.enter(self)
        return self

    def __exit__(self, *error: object) -> None:
        torch_function.leave()


def has_torch_function(relevant_args: Iterable[Any]) -> bool:
    """Whether one of the arguments is asked by `__torch_function__`, or a mode is.

    >>> overrides.has_torch_function([ad.ones(2), 1])
    False
    """
    args = tuple(relevant_args)
    torch_function.noticed(*args)
    return is_asked() or bool(overloaded(args))


def has_torch_function_unary(tensor: Any) -> bool:
    """`has_torch_function` of one argument.

    >>> overrides.has_torch_function_unary(ad.ones(2))
    False
    """
    return has_torch_function((tensor,))


def has_torch_function_variadic(*args: Any) -> bool:
    """`has_torch_function` of several arguments.

    >>> overrides.has_torch_function_variadic(ad.ones(2), ad.ones(2))
    False
    """
    return has_torch_function(args)


def handle_torch_function(
    public_api: Function, relevant_args: Iterable[Any], *args: Any, **kwargs: Any
) -> Any:
    """What a call of `public_api` gives where `has_torch_function` of the relevant arguments.

    >>> def double(x):
    ...     if overrides.has_torch_function_unary(x):
    ...         return overrides.handle_torch_function(double, (x,), x)
    ...     return 2 * x
    >>> class Text:
    ...     @classmethod
    ...     def __torch_function__(cls, func, types, args=(), kwargs=None):
    ...         return f"{func.__name__} of a text"
    >>> double(Text())
    'double of a text'
    """
    return dispatch(public_api, overloaded(relevant_args), args, kwargs)


def wrap_torch_function(dispatcher: Callable[..., Iterable[Any]]) -> Callable[[Function], Function]:
    """The same by a decorator; `dispatcher` gives the relevant of the arguments.

    >>> @overrides.wrap_torch_function(lambda x: (x,))
    ... def double(x):
    ...     return 2 * x
    >>> double(ad.ones(1))
    tensor([2.])
    """

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            relevant = tuple(dispatcher(*args, **kwargs))
            if has_torch_function(relevant):
                return handle_torch_function(call, relevant, *args, **kwargs)
            return function(*args, **kwargs)

        return call

    return decorate


def is_tensor_like(inp: Any) -> bool:
    """Whether an object is a tensor, or of a class with `__torch_function__`.

    >>> overrides.is_tensor_like(ad.ones(2)), overrides.is_tensor_like([1])
    (True, False)
    """
    return hasattr(inp, "__torch_function__")


def is_tensor_method_or_property(func: Function) -> bool:
    """Whether a function is a tensor's method, or how its property is got or set.

    >>> is_one = overrides.is_tensor_method_or_property
    >>> is_one(ad.Tensor.view), is_one(ad.Tensor.T.__get__), is_one(ad.cat)
    (True, True, False)
    """
    name = getattr(func, "__name__", "")
    return name in ("__get__", "__set__") or any(func is member for _, member in _members())


def resolve_name(f: Function) -> str | None:
    """The name by which a function is found in PyTorch; None for what is not asked.

    >>> overrides.resolve_name(ad.nn.functional.mse_loss)
    'torch.nn.functional.mse_loss'
    """
    install()
    return name_of(f)


def get_overridable_functions() -> dict[Any, list[Function]]:
    """The functions that ask their arguments, by the module or class that has them.

    >>> ad.cat in overrides.get_overridable_functions()[ad]
    True
    """
    found: dict[Any, list[Function]] = {}
    for space, _, function in _spaces():
        module = importlib.import_module(f"autodiff.{space}".rstrip("."))
        found.setdefault(module, []).append(function)
    for _, member in _members():
        if isinstance(member, (types.FunctionType, property)):
            get: Any = member.__get__ if isinstance(member, property) else member
            found.setdefault(Tensor, []).append(get)
    return found
