"""Records PyTorch's facts of float16 and bfloat16, as half.json (see recording.py).

Values are recorded as they print; those of functions with their gradients, and those of random
numbers after one seed. Views of other dtypes are recorded as geometry and bytes, or as errors.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from golden.recording import write

GOLDEN = Path(__file__).with_name("half.json")
DTYPES = ("float16", "bfloat16")
PRINTED: list[Any] = [
    1.1,
    [0.1, 2.0],
    [1e-7, 6.1e-5, 3e-6],
    [65504.0, 1.5],
    [float("nan"), float("inf"), -2.5],
    [[1.0, -2.0], [1e-3, 1000.0]],
    [],
]
NUMBERS = [2.0**-25, 1.5 * 2.0**-25, 65519.9, 65520.0, 1.00048828125, 1.00146484375, 3.4e38, -1e-45]
INTEGERS = [2049, 2051, 257, 65519, 2**63 - 1, -(2**31)]

Functions = dict[str, Callable[..., Any]]
PLAIN = "exp expm1 sin cos tanh erf sigmoid relu abs neg floor round square sinh atan sinc exp2 "
PLAIN += "frac sign logical_not erfc lgamma digamma"
ACTIVATIONS = "silu relu6 elu selu leaky_relu hardswish softplus mish logsigmoid hardshrink"
UNARY: Functions = {
    **{name: lambda t, x, name=name: getattr(t, name)(x) for name in PLAIN.split()},
    **{
        name: lambda t, x, name=name: getattr(t.nn.functional, name)(x)
        for name in ACTIVATIONS.split()
    },
    "x + 0.1": lambda t, x: x + 0.1,
    "0.1 - x": lambda t, x: 0.1 - x,
    "x * 0.1": lambda t, x: x * 0.1,
    "x / 0.3": lambda t, x: x / 0.3,
    "x < 0.1": lambda t, x: x < 0.1,
    "x ** 2": lambda t, x: x**2,
    "x + long": lambda t, x: x + t.tensor([2049, 257, -4099, 5]),
    "x + 0-d": lambda t, x: x + t.tensor(0.1),
    "x * 0-d": lambda t, x: x * t.tensor(0.1),
    "clamp": lambda t, x: x.clamp(-0.3, 0.7),
    "sum": lambda t, x: x.sum(),
    "sum 1": lambda t, x: x.sum(1),
    "mean": lambda t, x: x.mean(),
    "amax": lambda t, x: x.amax(1),
    "argmin": lambda t, x: x.argmin(),
    "sort": lambda t, x: x.sort(1)[0],
    "topk": lambda t, x: x.topk(2)[0],
    "cumsum": lambda t, x: x.cumsum(1),
    "cumprod": lambda t, x: x.cumprod(1),
    "cummax": lambda t, x: x.cummax(1)[0],
    "logcumsumexp": lambda t, x: x.logcumsumexp(1),
    "median": lambda t, x: x.median(1)[0],
    "median of all": lambda t, x: x.median(),
    "searchsorted": lambda t, x: t.searchsorted(x.sort(1)[0], x),
    "unique": lambda t, x: t.unique(x.detach()),
    "polygamma": lambda t, x: t.polygamma(2, x),
    "std": lambda t, x: x.std(),
    "softmax": lambda t, x: x.softmax(1),
    "int": lambda t, x: (x * 100).int(),
    "float": lambda t, x: x.float(),
    "double": lambda t, x: x.double(),
    "other": lambda t, x: x.half() + x.bfloat16(),
    "index": lambda t, x: x[:, t.tensor([3, 0, 0])],
    "masked": lambda t, x: x.masked_fill(x > 0, 0.1),
    "cat": lambda t, x: t.cat([x, x.double()]),
    "layer_norm": lambda t, x: t.nn.functional.layer_norm(x, (4,)),
    "cross_entropy": lambda t, x: t.nn.functional.cross_entropy(x, t.tensor([3, 1])),
    "mse": lambda t, x: t.nn.functional.mse_loss(x, x.detach() * 0.5),
    "gather": lambda t, x: x.gather(1, t.tensor([[3], [0]])),
    "pad": lambda t, x: t.nn.functional.pad(x, (1, 0)),
}
BINARY: Functions = {
    **{
        name: lambda t, x, y, name=name: getattr(t, name)(x, y)
        for name in ("add", "sub", "mul", "div", "maximum", "fmod", "remainder", "atan2", "hypot")
    },
    "lerp": lambda t, x, y: t.lerp(x, y, 0.3),
    "where": lambda t, x, y: t.where(x > 0, x, y),
    "matmul": lambda t, x, y: x @ y.t(),
    "linear": lambda t, x, y: t.nn.functional.linear(x, y, y[0, :2]),
    "conv1d": lambda t, x, y: t.nn.functional.conv1d(x[None], y[:, None, :2], groups=2),
    "scatter_add": lambda t, x, y: x.scatter_add(1, t.tensor([[1, 0], [2, 2]]), y[:, :2]),
}
X = [[0.3, -1.7, 2.4, 0.0625], [-0.8, 1.1, -3.3, 0.55]]
Y = [[1.2, 0.4, -0.9, 2.5], [0.7, -1.5, 0.35, 1.9]]

RANDOM: Functions = {
    "rand": lambda t, d: t.rand(9, dtype=d),
    "uniform_": lambda t, d: t.empty(9, dtype=d).uniform_(0.1, 0.7),
    "uniform_ at its bounds": lambda t, d: t.stack(
        [(t.manual_seed(3), t.empty(4000, dtype=d).uniform_(1, 3) == x)[1].sum() for x in (1, 3)]
    ),
    "randn": lambda t, d: t.randn(5, dtype=d),
    "randn of blocks": lambda t, d: t.randn(37, dtype=d),
    "normal_ of columns": lambda t, d: t.empty(4, 6, dtype=d).t().normal_(1.0, 2.0),
    "exponential_": lambda t, d: t.empty(5, dtype=d).exponential_(0.7),
    "bernoulli": lambda t, d: t.bernoulli(t.rand(9, dtype=d)),
    "randint": lambda t, d: t.randint(-100, 100, (9,), dtype=d),
    "random_": lambda t, d: t.empty(9, dtype=d).random_(),
    "randperm": lambda t, d: t.randperm(9, dtype=d),
    "multinomial": lambda t, d: t.multinomial(t.rand(9, dtype=d), 4),
    "poisson": lambda t, d: t.poisson(t.rand(9, dtype=d) * 20),
    "dropout": lambda t, d: t.nn.functional.dropout(t.ones(9, dtype=d), 0.3),
    "state after": lambda t, d: [t.randn(37, dtype=d), t.rand(3)][1],
}
VIEWED: Functions = {
    "whole": lambda t: t.arange(24.0).reshape(2, 3, 4),
    "first dimensions exchanged": lambda t: t.arange(24.0).reshape(2, 3, 4).transpose(0, 1),
    "last exchanged": lambda t: t.arange(24.0).reshape(2, 3, 4).transpose(0, 2),
    "part": lambda t: t.arange(12.0).reshape(3, 4)[:, 1:3],
    "odd": lambda t: t.arange(12.0).reshape(3, 4)[:, :3],
    "every other": lambda t: t.arange(12.0).reshape(3, 4)[:, ::2],
    "odd rows": lambda t: t.arange(15.0).reshape(5, 3)[:, :2],
    "number": lambda t: t.tensor(1.0),
    "empty": lambda t: t.zeros(0, 3),
    "expanded": lambda t: t.ones(2, 3).expand(2, 2, 3),
    "broadcast": lambda t: t.ones(2, 1).expand(2, 4),
    "leaf": lambda t: t.ones(2, 4).requires_grad_(),
    "bytes": lambda t: t.arange(16, dtype=t.uint8).reshape(2, 8),
}
VIEWS = ("float16", "int32", "float64")


def near(value: float) -> Any:
    """A value as JSON holds it, in few digits: those of 16 bits need five."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def shown(x: Any) -> Any:
    """The dtype of a tensor, and its elements."""
    return [str(x.dtype).removeprefix("torch."), [near(v) for v in x.reshape(-1).tolist()]]


def derived(t: Any, function: Callable[..., Any], d: str, *given: Any) -> list[Any]:
    """A result, and the gradients for a cotangent that differs at each element."""
    xs = [t.tensor(x, dtype=getattr(t, d)).requires_grad_() for x in given]
    y = function(t, *xs)
    found = [shown(y.detach())]
    if y.requires_grad:
        g = (t.arange(y.numel(), dtype=t.float32) / 8 + 0.5).reshape(y.shape).to(y.dtype)
        found += [shown(x) for x in t.autograd.grad(y, xs, g)]
    return found


def viewed(t: Any, x: Any, d: str) -> list[Any]:
    """What a view of another dtype is, or why there is none."""
    try:
        y = x.view(getattr(t, d))
    except RuntimeError as error:
        return [str(error)]
    raw = y.contiguous().view(t.uint8).reshape(-1) if y.ndim else y
    geometry = [list(y.shape), list(y.stride()), y.storage_offset(), y.requires_grad]
    return [*geometry, sum(raw.tolist()) if y.ndim else y.item()]


def random(t: Any, name: str, d: str) -> list[Any]:
    """What is drawn after a seed."""
    t.manual_seed(7)
    return shown(RANDOM[name](t, getattr(t, d)))


def main() -> None:
    """Writes half.json."""
    import torch

    of = {d: getattr(torch, d) for d in DTYPES}
    functions = {**dict.fromkeys(UNARY, (X,)), **dict.fromkeys(BINARY, (X, Y))}
    write(
        GOLDEN,
        texts={d: [repr(torch.tensor(v, dtype=of[d])) for v in PRINTED] for d in DTYPES},
        numbers={d: [torch.tensor(v, dtype=of[d]).item() for v in NUMBERS] for d in DTYPES},
        integers={d: torch.tensor(INTEGERS).to(of[d]).tolist() for d in DTYPES},
        limits={d: repr(torch.finfo(of[d])) for d in DTYPES},
        values={
            f"{name}, {d}": derived(torch, {**UNARY, **BINARY}[name], d, *given)
            for name, given in functions.items()
            for d in DTYPES
        },
        random={f"{name}, {d}": random(torch, name, d) for name in RANDOM for d in DTYPES},
        views={
            f"{name}, {d}": viewed(torch, x(torch), d) for name, x in VIEWED.items() for d in VIEWS
        },
    )


if __name__ == "__main__":
    main()
