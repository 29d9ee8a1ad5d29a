"""`autodiff.autograd.functional`: derivatives of a function at given inputs.

Inputs, outputs and vectors are tensors, or tuples of tensors; results come in the same form. With
`create_graph` results can be differentiated again. With `strict`, RuntimeError where an output
does not depend on an input; else the derivative is zero.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

from autodiff.grad_mode import enable_grad
from autodiff.graph import grad_of_some
from autodiff.ops.create import zeros, zeros_like
from autodiff.ops.join import stack
from autodiff.ops.views import alias, reshape
from autodiff.tensor import Tensor

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

Tensors = tuple[Tensor, ...]


def _tuple(given: Any, what: str, function: str) -> Tensors:
    found = given if isinstance(given, tuple) else (given,)
    for i, x in enumerate(found):
        if not isinstance(x, Tensor):
            at = f" value at index {i} has" if isinstance(given, tuple) else f" given {what} has"
            raise TypeError(
                f"The {what} given to {function} must be either a Tensor or a tuple of Tensors but "
                f"the{at} type {type(x)}."
            )
    return found


class _Run:
    """A function run once on inputs that gradients are wanted for."""

    def __init__(
        self,
        name: str,
        func: Callable[..., Any],
        inputs: Any,
        create: bool,
        strict: bool,
        *v: Any,
    ) -> None:
        self.many_inputs = isinstance(inputs, tuple)
        given = _tuple(inputs, "inputs", name)
        if v:
            self.vectors = _vectors(v[0], given, self.many_inputs, name, _OF_INPUT) or _ones(given)
        self.inputs = tuple(
            alias(x) if create and x.requires_grad else x.detach().requires_grad_() for x in given
        )
        outputs = func(*self.inputs)
        self.many_outputs = isinstance(outputs, tuple)
        self.outputs = _tuple(outputs, "outputs of the user-provided function", name)
        if strict:
            self.check_outputs()

    def of_inputs(self, found: Sequence[Any]) -> Any:
        """Results in the form of the inputs."""
        return tuple(found) if self.many_inputs else found[0]

    def of_outputs(self, found: Sequence[Any]) -> Any:
        """Results in the form of the outputs."""
        return tuple(found) if self.many_outputs else found[0]

    def check_outputs(self) -> None:
        """RuntimeError where an output depends on none of the inputs."""
        for i, y in enumerate(self.outputs):
            if not y.requires_grad:
                raise RuntimeError(
                    f"Output {i} of the user-provided function does not require gradients. The "
                    "outputs must be computed in a differentiable manner from the input when "
                    "running in strict mode."
                )


def _check_single(name: str, many: bool, outputs: Tensors) -> None:
    """RuntimeError where a function does not return one element."""
    if many:
        raise RuntimeError(f"The function given to {name} should return a single Tensor")
    if outputs[0].numel() != 1:
        raise RuntimeError(
            f"The Tensor returned by the function given to {name} should contain a single element"
        )


def _vectors(v: Any, beside: Tensors, many: bool, name: str, whose: str) -> Tensors | None:
    """A vector as a tuple that fits; None where it may be left out and is."""
    if v is None:
        if len(beside) != 1 or beside[0].numel() != 1:
            raise RuntimeError(
                f"The vector v can only be None if {whose} a single Tensor with a single element."
            )
        return None
    vs = _tuple(v, "v", name)
    if len(vs) != len(beside):
        if not many:
            raise RuntimeError("The given v should contain a single Tensor.")
        raise RuntimeError(
            f"v is a tuple of invalid length: should be {len(beside)} but got {len(vs)}."
        )
    for i, (one, x) in enumerate(zip(vs, beside, strict=True)):
        if one.shape != x.shape:
            entry = f"Entry {i} in " if many else ""
            raise RuntimeError(
                f"{entry}v has invalid size: should be {x.shape} but got {one.shape}."
            )
    return vs


_OF_OUTPUT = "the user-provided function returns"
_OF_INPUT = "the input to the user-provided function is"


def _ones(xs: Tensors) -> Tensors:
    return tuple(x.new_ones(x.shape) for x in xs)


def _filled(
    found: Sequence[Tensor | None], like: Sequence[Tensor], strict: bool, what: str
) -> list[Tensor]:
    """Zeros for what there is none of. RuntimeError where that is not allowed."""
    results = []
    for i, (g, x) in enumerate(zip(found, like, strict=True)):
        if g is None and strict:
            raise RuntimeError(what.format(i=i) + " This is not allowed in strict mode.")
        results.append(zeros_like(x.detach()) if g is None else g)
    return results


_INDEPENDENT = "The output of the user-provided function is independent of input {i}."
_LINEAR = (
    "While computing the hessian, found that the jacobian of the user-provided function with "
    "respect to input {i} is independent of the input. You should ensure that your function is "
    "twice differentiable and that the jacobian depends on the inputs."
)


def _check_recorded(found: Sequence[Tensor], strict: bool, create: bool) -> None:
    if strict and create:
        for i, g in enumerate(found):
            if not g.requires_grad:
                raise RuntimeError(
                    f"The jacobian of the user-provided function is independent of input {i}. This "
                    "is not allowed in strict mode when create_graph=True."
                )


def _pushed(run: _Run, ys: Sequence[Tensor], create: bool, strict: bool, what: str) -> list[Tensor]:
    """The products of the Jacobian of `ys` with the vectors: the vjp's own vjp, which is linear."""
    duals = [zeros_like(y.detach()).requires_grad_() for y in ys]
    pulled = _filled(grad_of_some(ys, run.inputs, duals, True), run.inputs, strict, what)
    found = grad_of_some(pulled, duals, run.vectors, create)
    pushed = _filled(found, ys, strict, what)
    _check_recorded(pushed, strict, create)
    return pushed


def _detached(xs: Sequence[Tensor], create: bool) -> list[Tensor]:
    return list(xs) if create else [x.detach() for x in xs]


def vjp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The outputs at `inputs`, and the product of `v` (as the outputs) with the Jacobian.

    >>> x, v = ad.tensor([1.0, 2.0]), ad.tensor([1.0, 1.0])
    >>> ad.autograd.functional.vjp(lambda x: x ** 2, x, v)
    (tensor([1., 4.]), tensor([2., 4.]))
    """
    with enable_grad():
        run = _Run("vjp", func, inputs, create_graph, strict)
        vs = _vectors(v, run.outputs, run.many_outputs, "vjp", _OF_OUTPUT)
        found = grad_of_some(run.outputs, run.inputs, vs, create_graph)
        grads = _filled(found, run.inputs, strict, _INDEPENDENT)
        _check_recorded(grads, strict, create_graph)
    outputs = run.of_outputs(_detached(run.outputs, create_graph))
    return outputs, run.of_inputs(_detached(grads, create_graph))


def jvp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The outputs at `inputs`, and the product of the Jacobian with `v` (as the inputs).

    By a backward pass of a backward pass.

    >>> x, v = ad.tensor([1.0, 2.0]), ad.tensor([1.0, 1.0])
    >>> ad.autograd.functional.jvp(lambda x: x ** 2, x, v)
    (tensor([1., 4.]), tensor([2., 4.]))
    """
    with enable_grad():
        run = _Run("jvp", func, inputs, create_graph, strict, v)
        pushed = _pushed(run, run.outputs, create_graph, strict, _INDEPENDENT)
    outputs = run.of_outputs(_detached(run.outputs, create_graph))
    return outputs, run.of_outputs(_detached(pushed, create_graph))


def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian: for each output and input a tensor (*shape of the output, *shape of the input).

    `vectorize` computes all rows by one backward pass of a batch; strategy "forward-mode" all
    columns, with `vectorize` only.

    >>> ad.autograd.functional.jacobian(lambda x: x ** 2, ad.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(
            'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If your '
            'function has more outputs than inputs, "forward-mode" tends to be more performant. '
            'Otherwise, prefer to use "reverse-mode".'
        )
    if strategy == "forward-mode" and not vectorize:
        raise NotImplementedError(
            "Computing Jacobian using forward-AD or forward-over-reverse Hessian is only "
            "implemented for `vectorize=True`."
        )
    if strict and vectorize:
        raise RuntimeError(
            "torch.autograd.functional.jacobian: `strict=True` and `vectorized=True` are not "
            "supported together. Please either set `strict=False` or `vectorize=False`."
        )
    with enable_grad():
        run = _Run("jacobian", func, inputs, create_graph, strict)
        if vectorize:
            jacobians = importlib.import_module("autodiff.func.jacobians")  # which is above
            compute = jacobians.jacobian_rows
            if strategy == "forward-mode":
                compute = jacobians.jacobian_columns
            table = compute(run.outputs, run.inputs, create_graph)
        else:
            table = [_rows(run, i, y, create_graph, strict) for i, y in enumerate(run.outputs)]
    return run.of_outputs([run.of_inputs(_detached(row, create_graph)) for row in table])


def _rows(run: _Run, i: int, y: Tensor, create: bool, strict: bool) -> list[Tensor]:
    """The derivatives of one output, element by element."""
    flat = reshape(y, -1)
    rows: list[list[Tensor]] = []
    for element in flat.unbind():
        found = grad_of_some([element], run.inputs, None, create, True)
        what = f"Output {i} of the user-provided function is independent of input {{i}}."
        row = _filled(found, run.inputs, strict, what)
        _check_recorded(row, strict, create)
        rows.append(row)
    if not rows:
        return [zeros([*y.shape, *x.shape], dtype=x.dtype) for x in run.inputs]
    columns = zip(*rows, strict=True)
    return [
        reshape(stack(column), [*y.shape, *x.shape])
        for column, x in zip(columns, run.inputs, strict=True)
    ]


def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The second derivatives of a function that returns one element: (*input, *input) for each two.

    >>> ad.autograd.functional.hessian(lambda x: (x ** 3).sum(), ad.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    many = isinstance(inputs, tuple)
    _tuple(inputs, "inputs", "hessian")

    def scalar(*xs: Tensor) -> Any:
        y = func(*xs)
        given = _tuple(y, "outputs of the user-provided function", "hessian")
        _check_single("hessian", isinstance(y, tuple), given)
        return y.squeeze()

    def first(*xs: Tensor) -> Any:
        found = jacobian(scalar, xs if many else xs[0], create_graph=True, strict=strict)
        if strict:
            for i, g in enumerate(found if many else (found,)):
                if not g.requires_grad:
                    raise RuntimeError(_LINEAR.format(i=i) + " This is not allowed in strict mode.")
        return found

    return jacobian(first, inputs, create_graph, strict, vectorize, outer_jacobian_strategy)


def hvp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The output, one element, and the product of the Hessian with `v` (as the inputs).

    By a derivative of the gradient along `v`; `vhp` is cheaper, and the same where the second
    derivatives are continuous.

    >>> x, v = ad.tensor([1.0, 2.0]), ad.tensor([1.0, 0.0])
    >>> ad.autograd.functional.hvp(lambda x: (x ** 3).sum(), x, v)
    (tensor(9.), tensor([6., 0.]))
    """
    with enable_grad():
        run = _Run("hvp", func, inputs, create_graph, strict, v)
        _check_single("hvp", run.many_outputs, run.outputs)
        products = _pushed(run, _gradient(run, strict), create_graph, strict, _LINEAR)
    return _with_output(run, products, create_graph)


def _gradient(run: _Run, strict: bool) -> list[Tensor]:
    found = grad_of_some(run.outputs, run.inputs, None, True)
    return _filled(found, run.inputs, strict, _INDEPENDENT)


def _with_output(run: _Run, products: Sequence[Tensor], create: bool) -> tuple[Any, Any]:
    output = run.outputs[0] if create else run.outputs[0].detach()
    return output, run.of_inputs(_detached(products, create))


def vhp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The output, one element, and the product of `v` (as the inputs) with the Hessian.

    >>> x, v = ad.tensor([1.0, 2.0]), ad.tensor([1.0, 0.0])
    >>> ad.autograd.functional.vhp(lambda x: (x ** 3).sum(), x, v)
    (tensor(9.), tensor([6., 0.]))
    """
    with enable_grad():
        run = _Run("vhp", func, inputs, create_graph, strict, v)
        _check_single("vhp", run.many_outputs, run.outputs)
        first = _gradient(run, strict)
        found = grad_of_some(first, run.inputs, run.vectors, create_graph)
        products = _filled(found, run.inputs, strict, _LINEAR)
        _check_recorded(products, strict, create_graph)
    return _with_output(run, products, create_graph)
