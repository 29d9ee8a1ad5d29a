"""Functions from functions to their derivatives. They nest, in any order, also with vmap.

Each runs its function on tensors of its own: the inputs taken out of the graph, or, where they are
part of one outside, connected to it, so that what is found can be differentiated again. An input
that an enclosing vmap has no batch of is spread over its samples first, as every sample has a
gradient of its own.

`jvp` differentiates a vjp: for y = f(x) the vjp is linear in the cotangent u, so the derivative of
<vjp(u), tangent> with respect to u is the jvp, exactly. So everything that can be differentiated
twice has a jvp, at the cost of two backward passes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from autodiff import graph
from autodiff.dtypes import get_default_dtype
from autodiff.func import trees
from autodiff.func.batched import Batched, Level, levels, lifted
from autodiff.grad_mode import enable_grad
from autodiff.node import mode
from autodiff.ops.create import zeros_like
from autodiff.ops.views import alias
from autodiff.tensor import Tensor, live_node
from autodiff.walk import reaches

Function = Callable[..., Any]
Argnums = Any  # an int or a tuple of them

# ---- what a transform runs its function on ----


def _spread(x: Tensor, stack: Sequence[Level]) -> Tensor:
    """x as a tensor of every sample of the running vmaps."""
    if not stack:
        return x
    *outer, level = stack
    return Batched(_spread(lifted(x, level), outer), level)


def _own(x: Any) -> Tensor:
    """A tensor of the transform's own, connected to the graph that x is part of."""
    if not isinstance(x, Tensor):
        raise ValueError(f"Thing passed to transform API must be Tensor, got {type(x)}")
    y = _spread(x, levels.stack)
    return alias(y) if y.requires_grad else y.detach().requires_grad_()


class _Run:
    """A function run on inputs of its own, in a graph of its own."""

    def __init__(self, inputs: Sequence[Any]) -> None:
        self.outer = mode.grad
        with enable_grad():
            self.tracked = any(isinstance(x, Tensor) and x.requires_grad for x in inputs)
            self.inputs = [_own(x) for x in inputs]
        self.leaves = {live_node(x) for x in self.inputs}

    def is_tracked(self, outputs: Iterable[Tensor]) -> bool:
        """Whether outputs are part of a graph outside: whether results are to be, too."""
        if not self.outer:
            return False
        return self.tracked or reaches(outputs, self.leaves)

    def gradients(
        self, outputs: Sequence[Tensor], starts: Any, create: bool, keep: bool | None = None
    ) -> list[Tensor]:
        """The gradients of the inputs, zeros where outputs do not depend on one."""
        found = graph.grad_of_some(outputs, self.inputs, starts, create, keep)
        return [
            zeros_like(x.detach()) if g is None else g
            for x, g in zip(self.inputs, found, strict=True)
        ]


def _outward(tree: Any, tracked: bool) -> Any:
    """Results as they leave a transform: without its graph, unless one outside goes on."""
    return tree if tracked else trees.tree_map(_detached, tree)


def _detached(x: Any) -> Any:
    return x.detach() if isinstance(x, Tensor) and x.requires_grad else x


# ---- arguments ----


def _chosen(args: tuple[Any, ...], argnums: Argnums) -> list[int]:
    """The positions of the arguments that are differentiated."""
    if not isinstance(argnums, (int, tuple)):
        raise RuntimeError(f"argnums must be int or Tuple[int, ...], got: {type(argnums)}")
    wanted = (argnums,) if isinstance(argnums, int) else argnums
    if not wanted:
        raise RuntimeError("argnums must be non-empty")
    for i in wanted:
        if not isinstance(i, int):
            raise RuntimeError(f"argnums must be int or Tuple[int, ...], got: {wanted}")
        if not -len(args) <= i < len(args):
            raise RuntimeError(f"Got argnum={i}, but only {len(args)} positional inputs")
    positions = [i % len(args) for i in wanted]
    if len(set(positions)) != len(positions):
        raise RuntimeError(f"argnums elements must be unique, got {argnums}")
    return positions


class _Call:
    """A function of some of its arguments, run once."""

    def __init__(
        self, func: Function, argnums: Argnums, args: tuple[Any, ...], kwargs: Any
    ) -> None:
        positions = _chosen(args, argnums)
        self.one = isinstance(argnums, int)
        leaves, self.form = trees.flatten(tuple(args[i] for i in positions))
        self.run = _Run(leaves)
        given = list(args)
        own = trees.unflatten(self.form, self.run.inputs)
        for i, x in zip(positions, own, strict=True):
            given[i] = x
        with enable_grad():
            self.output = func(*given, **kwargs)

    def in_form(self, leaves: Iterable[Any]) -> Any:
        """Results for the inputs, as the inputs were given."""
        found = trees.unflatten(self.form, leaves)
        return found[0] if self.one else found


def _aux(what: str, output: Any, has_aux: bool) -> tuple[Any, Any]:
    if not has_aux:
        return output, None
    if not isinstance(output, tuple) or len(output) != 2:
        raise RuntimeError(
            f"{what}: output of function f should be a tuple: (output, aux) if has_aux is True"
        )
    return output


def _tensors(what: str, tree: Any) -> list[Tensor]:
    ys: list[Tensor] = []
    for y in trees.leaves(tree):
        if not isinstance(y, Tensor):
            raise RuntimeError(f"{what} to return only tensors, got unsupported type {type(y)}")
        ys.append(y)
    return ys


# ---- gradients ----


def grad_and_value(func: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """A function that returns the gradient of `func` and its value: (gradient, value).

    `func` returns a 0-d tensor (with `has_aux`: and anything else; the result is then (gradient,
    (value, aux))). `argnums` chooses the arguments, trees of floating-point tensors.

    >>> ad.func.grad_and_value(lambda x: x ** 3)(ad.tensor(2.0))
    (tensor(12.), tensor(8.))
    """

    @functools.wraps(func, updated=())
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        call = _Call(func, argnums, args, kwargs)
        value, aux = _aux("grad_and_value(f)(*args)", call.output, has_aux)
        if not isinstance(value, Tensor):
            raise RuntimeError(
                f"grad_and_value(f)(*args): Expected f(*args) to return a Tensor, got {type(value)}"
            )
        if value.ndim:
            raise RuntimeError(
                "grad_and_value(f)(*args): Expected f(*args) to return a scalar Tensor, got tensor "
                f"with {value.ndim} dims. Maybe you wanted to use the vjp or jacrev APIs instead?"
            )
        tracked = call.run.is_tracked([value])
        grads = call.in_form(call.run.gradients([value], None, tracked))
        grads, value, aux = _outward((grads, value, aux), tracked)
        return (grads, (value, aux)) if has_aux else (grads, value)

    return wrapped


def value_and_grad(func: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """`grad_and_value` in the other order: a function that returns (value, gradient).

    With `has_aux`: ((value, aux), gradient).

    >>> ad.func.value_and_grad(lambda x: x ** 3)(ad.tensor(2.0))
    (tensor(8.), tensor(12.))
    """
    call = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func, updated=())
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        gradient, value = call(*args, **kwargs)
        return value, gradient

    return wrapped


def grad(func: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """A function that returns the gradient of `func`, whose result is a 0-d tensor.

    `argnums` chooses the arguments: an int, or a tuple for a tuple of gradients; each is a tree of
    floating-point tensors. With `has_aux`, `func` returns (value, aux), and this (gradient, aux).

    >>> ad.func.grad(ad.func.grad(lambda x: x ** 3))(ad.tensor(2.0))
    tensor(12.)
    """
    call = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func, updated=())
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        gradient, value = call(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return wrapped


def vjp(func: Function, *primals: Any, has_aux: bool = False) -> Any:
    """The value of `func` at `primals`, and a function from cotangents to those of the primals.

    That function takes cotangents in the form of the output, any number of times, and returns a
    tuple. With `has_aux`, `func` returns (output, aux), and this (output, function, aux).

    >>> y, pull = ad.func.vjp(lambda x: x.sin(), ad.zeros(2))
    >>> pull(ad.tensor([1.0, 2.0]))
    (tensor([1., 2.]),)
    """
    call = _Call(func, tuple(range(len(primals))), primals, {})
    output, aux = _aux("vjp(f, *primals)", call.output, has_aux)
    ys = _tensors("vjp(f, *primals): expected f(*primals)", output)
    tracked = call.run.is_tracked(ys)

    def pull(cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        """The cotangents of the primals, a tuple, from those of the output."""
        given = list(trees.leaves(cotangents))
        if not trees.alike(cotangents, output):
            raise RuntimeError(
                "Expected pytree structure of cotangents to be the same as pytree structure of "
                f"outputs to the function: got {len(given)} cotangent(s) for {len(ys)} output(s)"
            )
        for i, (y, g) in enumerate(zip(ys, given, strict=True)):
            if not isinstance(g, Tensor):
                raise RuntimeError(f"cotangents must be Tensors, got {type(g)}")
            if g.shape != y.shape:
                raise RuntimeError(
                    f"Mismatch in shape: grad_output[{i}] has a shape of {g.shape} and output[{i}] "
                    f"has a shape of {y.shape}."
                )
        follow = tracked or any(g.requires_grad for g in given)
        create = (follow and mode.grad) if create_graph is None else create_graph
        return call.in_form(call.run.gradients(ys, given, create, retain_graph or create))

    output, aux = _outward((output, aux), tracked)
    return (output, pull, aux) if has_aux else (output, pull)


# ---- tangents ----


class _Linear:
    """The derivative of outputs at inputs, as a function linear in tangents."""

    def __init__(self, run: _Run, ys: Sequence[Tensor]) -> None:
        self.ys = ys
        with enable_grad():
            kinds = [None if y.is_floating_point() else get_default_dtype() for y in ys]
            self.duals = [
                _own(zeros_like(y.detach(), dtype=kind)) for y, kind in zip(ys, kinds, strict=True)
            ]
            self.run = run
            self.pulled = run.gradients(ys, self.duals, create=True, keep=True)

    def push(self, tangents: Sequence[Tensor], create: bool) -> list[Tensor]:
        """The tangents of the outputs."""
        found = graph.grad_of_some(self.pulled, self.duals, tangents, create, True)
        return [
            zeros_like(y.detach()) if t is None else t for y, t in zip(self.ys, found, strict=True)
        ]


def jvp(
    func: Function, primals: Any, tangents: Any, *, strict: bool = False, has_aux: bool = False
) -> Any:
    """The value of `func` at `primals`, and its derivative along `tangents`: (output, tangent).

    `tangents` is a tuple in the form of `primals`, itself a tuple of trees of tensors. With
    `has_aux`, `func` returns (output, aux), and this (output, tangent, aux). With `strict`,
    RuntimeError where an output does not depend on the primals; else its tangent is zero.

    >>> ad.func.jvp(lambda x: x ** 2, (ad.tensor(3.0),), (ad.tensor(1.0),))
    (tensor(9.), tensor(6.))
    """
    what = "jvp(f, primals, tangents)"
    if not isinstance(primals, tuple):
        raise RuntimeError(
            f"{what}: Expected primals to be a tuple. E.g. it should be valid to call f(*primals)."
        )
    given = list(trees.leaves(tangents))
    if not trees.alike(tangents, primals):
        raise RuntimeError(
            f"{what}: Expected primals and tangents to have the same python structure. For "
            "example, if primals is a tuple of 3 tensors, tangents also must be."
        )
    if not given:
        raise RuntimeError(f"{what}: Expected primals to contain at least one Tensor.")
    call = _Call(func, tuple(range(len(primals))), primals, {})
    output, aux = _aux(what, call.output, has_aux)
    ys = _tensors(f"{what}: expected f(*primals)", output)
    _check_tangents(call.run.inputs, given)
    if strict and any(live_node(y) is None for y in ys):
        raise RuntimeError(
            f"{what}: The output of f is independent of the primals. This is not allowed with "
            "strict=True."
        )
    tracked = call.run.is_tracked(ys) or (mode.grad and any(t.requires_grad for t in given))
    pushed = trees.unflatten(output, _Linear(call.run, ys).push(given, tracked))
    output, pushed, aux = _outward((output, pushed, aux), tracked)
    return (output, pushed, aux) if has_aux else (output, pushed)


def _check_tangents(primals: Sequence[Tensor], tangents: Sequence[Any]) -> None:
    for x, t in zip(primals, tangents, strict=True):
        if not isinstance(t, Tensor):
            raise ValueError(f"Thing passed to transform API must be Tensor, got {type(t)}")
        if t.shape != x.shape:
            raise RuntimeError(
                "Trying to set a forward gradient that has a different size than that of the "
                f"original Tensor, this is not supported. Tensor is of size {list(x.shape)} while "
                f"the given forward gradient is of size {list(t.shape)}."
            )


def linearize(func: Function, *primals: Any) -> tuple[Any, Function]:
    """The value of `func` at `primals`, and its derivative there as a function of tangents.

    `func` runs once; the function takes tangents in the form of the primals, any number of times.

    >>> y, push = ad.func.linearize(lambda x: x ** 2, ad.tensor(3.0))
    >>> push(ad.tensor(1.0)), push(ad.tensor(2.0))
    (tensor(6.), tensor(12.))
    """
    call = _Call(func, tuple(range(len(primals))), primals, {})
    output = call.output
    ys = _tensors("linearize(f, *primals): expected f(*primals)", output)
    tracked = call.run.is_tracked(ys)
    linear = _Linear(call.run, ys)

    def push(*tangents: Any) -> Any:
        """The tangents of the output."""
        given = list(trees.leaves(tangents))
        if not trees.alike(tangents, primals):
            raise RuntimeError(
                "linearize: Expected primals and tangents to have the same python structure."
            )
        _check_tangents(call.run.inputs, given)
        follow = mode.grad and (tracked or any(t.requires_grad for t in given))
        return _outward(trees.unflatten(output, linear.push(given, follow)), follow)

    return _outward(output, tracked), push


def functionalize(func: Callable[..., Any], *, remove: str = "mutations") -> Callable[..., Any]:
    """`func` as it is: PyTorch's transform replaces writes by copies, for tracers that need that.

    What a call returns, writes to its arguments and has for gradients is the same with it as
    without, there and here. RuntimeError for a `remove` other than "mutations" or
    "mutations_and_views".

    >>> def double(x):
    ...     return x.clone().mul_(2)
    >>> ad.func.functionalize(double)(ad.ones(2))
    tensor([2., 2.])
    """
    if remove not in ("mutations", "mutations_and_views"):
        raise RuntimeError(
            f'functionalize: remove must be "mutations" or "mutations_and_views", not {remove!r}'
        )

    @functools.wraps(func)
    def call(*args: Any, **kwargs: Any) -> Any:
        return func(*args, **kwargs)

    return call
