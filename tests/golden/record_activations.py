"""Records PyTorch's activations as activations.json (see recording.py).

Each case is a function of the library, torch or autodiff: the test runs the same text on both.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from golden.recording import failure, write

GOLDEN = Path(__file__).with_name("activations.json")
Case = Callable[[Any], Any]
POINTS = [-math.inf, -100.0, -20.0, -6.0, -3.0, -2.2, -2.0, -1.1, -1.0, -0.5, -0.3, -1e-3, -0.0]
POINTS += [-x for x in reversed(POINTS)] + [math.nan]
FLOATS, OTHERS = ("float32", "float64"), ("int64", "int32", "uint8", "bool")

# A function of nn.functional by name, with its arguments after the input. The alphas of celu are
# those that PyTorch, which rounds their inverse to float32, can be exact for.
FUNCTIONS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "relu": ("relu", ()),
    "relu6": ("relu6", ()),
    "leaky_relu": ("leaky_relu", ()),
    "leaky_relu 0.3": ("leaky_relu", (0.3,)),
    "rrelu": ("rrelu", ()),
    "rrelu 0.1 0.4": ("rrelu", (0.1, 0.4)),
    "hardtanh": ("hardtanh", ()),
    "hardtanh -2 0.5": ("hardtanh", (-2.0, 0.5)),
    "threshold 0.5 2": ("threshold", (0.5, 2.0)),
    "threshold 1 0": ("threshold", (1, 0)),
    "hardshrink": ("hardshrink", ()),
    "hardshrink 1": ("hardshrink", (1,)),
    "hardshrink -1": ("hardshrink", (-1.0,)),
    "softshrink": ("softshrink", ()),
    "softshrink 1": ("softshrink", (1,)),
    "softshrink 0": ("softshrink", (0.0,)),
    "hardsigmoid": ("hardsigmoid", ()),
    "hardswish": ("hardswish", ()),
    "elu": ("elu", ()),
    "elu 0.4": ("elu", (0.4,)),
    "selu": ("selu", ()),
    "celu": ("celu", ()),
    "celu 0.5": ("celu", (0.5,)),
    "celu -2": ("celu", (-2.0,)),
    "softplus": ("softplus", ()),
    "softplus 2 5": ("softplus", (2.0, 5.0)),
    "logsigmoid": ("logsigmoid", ()),
    "mish": ("mish", ()),
    "silu": ("silu", ()),
    "gelu": ("gelu", ()),
    "softsign": ("softsign", ()),
    "tanhshrink": ("tanhshrink", ()),
    "tanh": ("tanh", ()),
    "sigmoid": ("sigmoid", ()),
}
WRITTEN = ("relu_", "leaky_relu_", "hardtanh_", "elu_", "selu_", "celu_", "rrelu_")
INPLACE = ("relu6", "hardsigmoid", "hardswish", "selu", "celu", "mish", "elu", "rrelu")


def call(lib: Any, name: str, x: Any) -> Any:
    """An activation of a tensor."""
    function, arguments = FUNCTIONS[name]
    return getattr(lib.nn.functional, function)(x, *arguments)


def curve(lib: Any, name: str, dtype: str) -> Any:
    """Values, first and second derivatives; None where the library has no second."""
    x = lib.tensor(POINTS, dtype=getattr(lib, dtype), requires_grad=True)
    y = call(lib, name, x)
    (first,) = lib.autograd.grad(y.sum(), x, create_graph=True)
    try:
        (second,) = lib.autograd.grad(first.sum(), x)
    except RuntimeError:
        return [y.tolist(), first.tolist(), None]
    return [y.tolist(), first.tolist(), second.tolist()]


def of_integers(lib: Any, name: str, dtype: str) -> Any:
    """The result for integers: its dtype and values, or the type of the exception."""
    numbers = [0, 1, 1] if dtype == "bool" else [0, 1, 5] if dtype == "uint8" else [-3, 0, 5]
    try:
        y = call(lib, name, lib.tensor(numbers, dtype=getattr(lib, dtype)))
    except Exception as error:
        return type(error).__name__
    return [str(y.dtype), y.tolist()]


def node_names(lib: Any, name: str) -> Any:
    """The name of the node that an activation leaves."""
    x = lib.ones(3, requires_grad=True)
    return call(lib, name, x).grad_fn.name()


def in_place(lib: Any, write: Callable[[Any], Any]) -> Any:
    """What is written over a tensor, and the gradient of what it was made of."""
    leaf = lib.tensor([-4.0, -0.7, 0.2, 3.5], requires_grad=True)
    x = leaf * 1
    y = write(x)
    (g,) = lib.autograd.grad(x.sum(), leaf)
    return [y is x, x.tolist(), g.tolist()]


def prelu(lib: Any, shape: tuple[int, ...], weight: Any, dtype: str) -> Any:
    """Prelu of a grid without 0, with first and second derivatives by both arguments."""
    d = getattr(lib, dtype)
    n = math.prod(shape)
    x = (lib.arange(n, dtype=d) / 2 - n // 4 + 0.25).reshape(shape).requires_grad_()
    w = lib.tensor(weight, dtype=d, requires_grad=True)
    y = lib.nn.functional.prelu(x, w)
    g = lib.linspace(-1, 2, n, dtype=d).reshape(shape)
    first = lib.autograd.grad(y, (x, w), g, create_graph=True)
    second = lib.autograd.grad(sum((f * f).sum() for f in first), (x, w))
    return [t.detach().tolist() for t in (y, *first, *second)]


def glu(lib: Any, shape: tuple[int, ...], dim: int, dtype: str) -> Any:
    """Glu of numbers small and large, with first and second derivatives."""
    d = getattr(lib, dtype)
    n = math.prod(shape)
    x = lib.linspace(-30, 25, n, dtype=d).reshape(shape).requires_grad_()
    y = lib.nn.functional.glu(x, dim)
    g = lib.linspace(-1, 2, n // 2, dtype=d).reshape(y.shape)
    (first,) = lib.autograd.grad(y, x, g, create_graph=True)
    (second,) = lib.autograd.grad((first * first).sum(), x)
    return [y.tolist(), first.tolist(), second.tolist()]


def drawn(lib: Any, dtype: str, inplace: bool) -> Any:
    """Rrelu in training: the slopes drawn, its gradient, and what is drawn next."""
    lib.manual_seed(7)
    leaf = lib.linspace(-3, 2, 24, dtype=getattr(lib, dtype)).reshape(4, 6).requires_grad_()
    x = leaf.t() * 1
    y = lib.nn.functional.rrelu(x, 0.1, 0.6, training=True, inplace=inplace)
    (g,) = lib.autograd.grad(y.sum(), leaf)
    return [y.tolist(), g.tolist(), lib.rand(2).tolist()]


def _module(name: str, shape: tuple[int, ...], *arguments: Any) -> Case:
    def run(lib: Any) -> Any:
        x = lib.linspace(-2, 3, math.prod(shape), dtype=lib.float64).reshape(shape)
        return getattr(lib.nn, name)(*arguments)(x).tolist()

    return run


NUMBERS: dict[str, Case] = {
    **{
        f"in place {name}": lambda lib, n=name: in_place(lib, getattr(lib.nn.functional, n))
        for name in WRITTEN
    },
    **{
        f"inplace=True {name}": lambda lib, n=name: in_place(
            lib, lambda x: getattr(lib.nn.functional, n)(x, inplace=True)
        )
        for name in INPLACE
    },
    "in place threshold_": lambda lib: in_place(
        lib, lambda x: lib.nn.functional.threshold_(x, 0.1, 9.0)
    ),
    **{
        f"prelu {shape} {dtype}": lambda lib, s=shape, w=weight, d=dtype: prelu(lib, s, w, d)
        for dtype in FLOATS
        for shape, weight in (
            ((5,), [0.3]),
            ((), [0.3]),
            ((4, 3), [0.1, -0.2, 0.3]),
            ((4, 1), 0.5),
            ((2, 3, 2), [0.1, -0.2, 0.3]),
            ((1, 2, 2, 3), [0.25, 0.5]),
        )
    },
    **{
        f"glu {shape} {dim} {dtype}": lambda lib, s=shape, i=dim, d=dtype: glu(lib, s, i, d)
        for dtype in FLOATS
        for shape, dim in (((8,), -1), ((4, 6), 0), ((2, 4, 3), 1), ((2, 4, 2), -1))
    },
    **{
        f"drawn {dtype} {inplace}": lambda lib, d=dtype, i=inplace: drawn(lib, d, i)
        for dtype in FLOATS
        for inplace in (False, True)
    },
    "Softmin": _module("Softmin", (2, 3), 1),
    "Softmax2d of an image": _module("Softmax2d", (3, 2, 2)),
    "Softmax2d of images": _module("Softmax2d", (2, 3, 1, 2)),
    "PReLU": lambda lib: lib.nn.PReLU(init=0.5)(lib.tensor([-2.0, 3.0])).tolist(),
    "PReLU of channels": lambda lib: lib.nn.PReLU(2, dtype=lib.float64)(
        lib.tensor([[-2.0, 3.0], [-1.0, -4.0]], dtype=lib.float64)
    ).tolist(),
    "GLU": _module("GLU", (2, 4)),
    "Unflatten": _module("Unflatten", (2, 6), 1, (2, -1)),
    "Unflatten first": _module("Unflatten", (4, 2), 0, [2, 2]),
    "Threshold": _module("Threshold", (5,), 0.5, -1.0),
}


def _functional(name: str, *arguments: Any) -> Case:
    return lambda lib: getattr(lib.nn.functional, name)(
        *[lib.ones(a) if isinstance(a, tuple) else a for a in arguments]
    )


ERRORS: dict[str, Case] = {
    "celu 0": _functional("celu", (2,), 0.0),
    "glu odd": _functional("glu", (3,)),
    "glu odd dim": _functional("glu", (2, 3), 1),
    "glu 0-d": _functional("glu", ()),
    "glu dim": _functional("glu", (4,), 2),
    "rrelu bounds": _functional("rrelu", (2,), 1.0, 0.5),
    "prelu channels": _functional("prelu", (2, 3), (2,)),
    "prelu row": _functional("prelu", (3,), (3,)),
    "prelu matrix": _functional("prelu", (2, 3), (1, 3)),
    "prelu 0-d": _functional("prelu", (), (3,)),
    "prelu empty": _functional("prelu", (2, 3), (0,)),
    "prelu number": _functional("prelu", (2, 3), 3),
    "prelu of a number": _functional("prelu", 3, (1,)),
    "prelu dtypes": lambda lib: lib.nn.functional.prelu(
        lib.ones(2), lib.ones(1, dtype=lib.float64)
    ),
    "Softmax2d": lambda lib: lib.nn.Softmax2d()(lib.ones(2, 3)),
    "hardtanh of bytes": lambda lib: lib.nn.functional.hardtanh(lib.ones(2, dtype=lib.uint8)),
    "Unflatten size": lambda lib: lib.nn.Unflatten(1, 3),
    "Unflatten element": lambda lib: lib.nn.Unflatten(1, (3, 2.0)),
    "Unflatten sizes": lambda lib: lib.nn.Unflatten(1, (3, 2))(lib.ones(1, 5)),
    "Unflatten rest": lambda lib: lib.nn.Unflatten(1, (3, -1))(lib.ones(1, 5)),
    "Unflatten nothing": lambda lib: lib.nn.Unflatten(1, ())(lib.ones(1, 5)),
    "Unflatten dim": lambda lib: lib.nn.Unflatten(3, (5,))(lib.ones(1, 5)),
    "GLU odd": lambda lib: lib.nn.GLU()(lib.ones(3)),
}
# Errors of which the type alone is PyTorch's.
REFUSED: dict[str, Case] = {
    "slope": lambda lib: lib.nn.functional.leaky_relu(lib.ones(2), lib.ones(1)),
    "slope None": lambda lib: lib.nn.functional.leaky_relu(lib.ones(2), None),
    "threshold text": lambda lib: lib.nn.functional.threshold(lib.ones(2), "a", 2),
    "softshrink below 0": lambda lib: lib.nn.functional.softshrink(lib.ones(2), -1.0),
    "selu number": lambda lib: lib.nn.functional.selu(3),
    "mish number": lambda lib: lib.nn.functional.mish(3),
    "logsigmoid number": lambda lib: lib.nn.functional.logsigmoid(3),
    "glu of integers": lambda lib: lib.nn.functional.glu(lib.ones(2, dtype=lib.int64)),
    "Unflatten two rests": lambda lib: lib.nn.Unflatten(1, (-1, -1))(lib.ones(1, 5)),
    "Unflatten below": lambda lib: lib.nn.Unflatten(1, (-3, -4))(lib.ones(1, 12)),
    "Unflatten 0": lambda lib: lib.nn.Unflatten(1, (0, -1))(lib.ones(2, 0)),
}


def main() -> None:
    """Writes activations.json."""
    import torch

    warnings.simplefilter("ignore")
    each = [(name, dtype) for name in FUNCTIONS for dtype in FLOATS]
    write(
        GOLDEN,
        curves={f"{n} {d}": curve(torch, n, d) for n, d in each},
        integers={f"{n} {d}": of_integers(torch, n, d) for n in FUNCTIONS for d in OTHERS},
        nodes={name: node_names(torch, name) for name in FUNCTIONS},
        numbers={name: case(torch) for name, case in NUMBERS.items()},
        errors={name: failure(case, torch) for name, case in ERRORS.items()},
        refused={name: failure(case, torch)[0] for name, case in REFUSED.items()},
    )


if __name__ == "__main__":
    main()
