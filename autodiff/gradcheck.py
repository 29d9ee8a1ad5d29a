"""Gradients checked against central differences, to first and to second order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

from autodiff import dtypes
from autodiff.grad_mode import enable_grad
from autodiff.graph import grad
from autodiff.ops.create import zeros
from autodiff.ops.generator import Generator
from autodiff.ops.indexing import setitem
from autodiff.ops.random import randn
from autodiff.ops.views import clone
from autodiff.tensor import Tensor

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]

Index = tuple[int, ...]
Function = Callable[..., Any]


class GradcheckError(RuntimeError):
    """A gradient that finite differences contradict."""


def gradcheck(
    func: Function,
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Whether the gradients of `func(*inputs)` agree with central differences.

    `func` returns a tensor or a tuple of tensors. The inputs that require grad are checked and must
    be float64, in any layout; others, tensors or not, are passed on. GradcheckError tells the first
    element that disagrees by more than `atol + rtol * |numerical|`, a gradient of another shape or
    dtype than its input's, or an input that `func` changed; without `raise_exception` the result is
    then False.
    """
    args = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    try:
        _Check(func, args, eps, atol, rtol).run()
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Function,
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Whether the gradients of the gradients of `func(*inputs)` agree with central differences.

    The function checked is `grad` of `func`, of the inputs and of the outputs' cotangents:
    `grad_outputs`, or random ones.
    """
    args = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    checked = _checked_inputs(args)
    cotangents = _cotangents(func, args, grad_outputs)

    def gradients(*both: Any) -> tuple[Tensor, ...]:
        given = both[: len(args)]
        ys = _differentiable(_outputs(func, given))
        wanted = [given[i] for i in checked]
        found = grad(ys, wanted, both[len(args) :], create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None)

    return gradcheck(
        gradients, args + cotangents, eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception
    )


def _cotangents(func: Function, args: tuple[Any, ...], given: Any) -> tuple[Tensor, ...]:
    if given is not None:
        return tuple(given) if isinstance(given, (tuple, list)) else (given,)
    rng = Generator().manual_seed(0)  # not the default one: a check moves nobody's random numbers
    return tuple(
        randn(y.shape, generator=rng, dtype=y.dtype).requires_grad_()
        for y in _differentiable(_outputs(func, args))
    )


def _outputs(func: Function, args: Sequence[Any]) -> tuple[Tensor, ...]:
    """The outputs as a tuple. TypeError where one is no tensor."""
    with enable_grad():
        result = func(*args)
    ys = tuple(result) if isinstance(result, (tuple, list)) else (result,)
    for k, y in enumerate(ys):
        if not isinstance(y, Tensor):
            raise TypeError(
                f"gradcheck expects a function from tensors to tensors, but output {k} is a "
                f"{type(y).__name__}"
            )
    return ys


def _differentiable(ys: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return tuple(y for y in ys if y.requires_grad)


def _checked_inputs(args: Sequence[Any]) -> list[int]:
    """The positions of the inputs to check. ValueError where there are none, or not in float64."""
    found = [i for i, x in enumerate(args) if isinstance(x, Tensor) and x.requires_grad]
    if not found:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of them "
            "have requires_grad=True."
        )
    for i in found:
        if args[i].dtype is not dtypes.float64:
            raise ValueError(
                f"gradcheck compares with finite differences, which need float64, but input {i} is "
                f"{args[i].dtype!r}: pass x.detach().double().requires_grad_()"
            )
    return found


def _positions(x: Tensor) -> Iterator[Index]:
    """The index of each element, in row-major order."""
    return product(*map(range, x.shape))


def _flat(y: Tensor) -> list[float]:
    values: list[float] = y.detach().reshape(-1).tolist()
    return values


def _snapshot(x: Any) -> str | None:
    """What tells whether a tensor's elements changed; nan is equal to nan here."""
    return repr(_flat(x)) if isinstance(x, Tensor) else None


def _shares_elements(x: Tensor) -> bool:
    """Whether two elements may be one in memory, as after expand."""
    reach = 0
    for stride, size in sorted(zip(x.stride(), x.shape, strict=True)):
        if size > 1:
            if stride <= reach:
                return True
            reach += stride * (size - 1)
    return False


def _separate(x: Any) -> Any:
    """The input itself, or a copy where its elements cannot be changed one by one."""
    if not isinstance(x, Tensor) or not x.requires_grad or not _shares_elements(x):
        return x
    return clone(x.detach().reshape(-1)).reshape(x.shape).requires_grad_()


class _Check:
    """One function and its inputs: the Jacobian by backward and by differences, compared."""

    def __init__(self, func: Function, args: tuple[Any, ...], eps: float, atol: float, rtol: float):
        self.func, self.args = func, args
        self.eps, self.atol, self.rtol = eps, atol, rtol
        self.checked = _checked_inputs(args)
        self.separate = [_separate(x) for x in args]

    def run(self) -> None:
        """Compare every element. GradcheckError at the first that disagrees."""
        before = [_snapshot(x) for x in self.args]
        ys = _outputs(self.func, self.args)
        kept = [k for k, y in enumerate(ys) if y.requires_grad]
        kept = kept or [k for k, y in enumerate(ys) if y.is_floating_point()]  # must be constant
        analytical = [self.analytical(ys[k], k) for k in kept]
        for i, (now, then) in enumerate(zip(map(_snapshot, self.args), before, strict=True)):
            if now != then:
                raise GradcheckError(f"input {i} was changed by the function or its backward")
        for n, i in enumerate(self.checked):
            for at, index in enumerate(_positions(self.args[i])):
                expected = self.numerical(i, index, kept)
                for k, column, rows in zip(kept, expected, analytical, strict=True):
                    self.compare(i, index, k, ys[k], column, [row[n][at] for row in rows])

    def analytical(self, y: Tensor, k: int) -> list[list[list[float]]]:
        """For each element of output k, its gradient with respect to each checked input."""
        xs = [self.args[i] for i in self.checked]
        rows = []
        for index in _positions(y):
            if not y.requires_grad:
                rows.append([[0.0] * x.numel() for x in xs])
                continue
            one = zeros(y.shape, dtype=y.dtype)
            setitem(one, index, 1.0)
            found = grad(y, xs, one, retain_graph=True, allow_unused=True)
            rows.append([self.gradient(i, k, g) for i, g in zip(self.checked, found, strict=True)])
        return rows

    def gradient(self, i: int, k: int, g: Tensor | None) -> list[float]:
        """A gradient's elements, zeros for None; GradcheckError where it does not fit its input."""
        x = self.args[i]
        if g is None:
            return [0.0] * x.numel()
        if g.shape != x.shape or g.dtype is not x.dtype:
            raise GradcheckError(
                f"the gradient of output {k} with respect to input {i} is {g.dtype!r} "
                f"{list(g.shape)}, and the input is {x.dtype!r} {list(x.shape)}"
            )
        return _flat(g)

    def numerical(self, i: int, index: Index, kept: Sequence[int]) -> list[list[float]]:
        """The derivative of each kept output by one element of input i."""
        memory = self.separate[i].detach()
        value = memory[index].item()
        ends = []
        try:
            for there in (value + self.eps, value - self.eps):
                setitem(memory, index, there)
                ys = _outputs(self.func, self.separate)
                ends.append([_flat(ys[k]) for k in kept])
        finally:
            setitem(memory, index, value)
        return [
            [(up - down) / (2 * self.eps) for up, down in zip(*pair, strict=True)]
            for pair in zip(*ends, strict=True)
        ]

    def compare(
        self, i: int, index: Index, k: int, y: Tensor, expected: list[float], got: list[float]
    ) -> None:
        """Compare a column of the Jacobian. GradcheckError names the first difference."""
        for place, want, have in zip(_positions(y), expected, got, strict=True):
            if want == have or abs(want - have) <= self.atol + self.rtol * abs(want):
                continue
            raise GradcheckError(
                f"Jacobian mismatch for output {k} with respect to input {i}: "
                f"d output[{', '.join(map(str, place))}] / d input[{', '.join(map(str, index))}]\n"
                f"numerical (expected): {want}\nanalytical (got): {have}"
            )
