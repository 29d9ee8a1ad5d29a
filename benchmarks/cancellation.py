"""Compositions where a formula taken literally cancels: our errors, PyTorch's, in units last place.

Errors are against mpmath. Exits with 1 where ours is above both PyTorch's and the allowance.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath as mp

Library = Any  # autodiff or torch
ALLOWED_ULP = 4.0
BITS = {"float32": (24, -149), "float64": (53, -1074)}
mp.mp.prec = 400
# Arguments of an element-wise function, spread over both tails and close to 0.
LINE = [s * m * 10.0**e for s in (-1, 1) for e in (-20, -8, -4, -2) for m in (1.0, 3.7)]
LINE += [k / 8 + 0.01 for k in range(-120, 121)]
LINE += [s * x for s in (-1, 1) for x in (17.3, 20.0, 21.5, 25.3, 30.1, 36.9, 37.7, 40.0, 1e4)]
# Where both forms of gelu have derivatives that are normal numbers in float32.
NORMAL = [x for x in LINE if abs(x) < 9.8]


@dataclass(frozen=True)
class Composition:
    """A function of a tensor, the same of mpmath numbers, and what it is given."""

    name: str
    call: Callable[[Library, Any], Any]
    exact: Callable[..., Any]  # of one number if `each`, else of a list of them: numbers
    inputs: tuple[list[float], ...]
    each: bool = True
    orders: int = 2  # derivatives that are measured


def sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def softplus(x: Any, beta: int, threshold: int) -> Any:
    return x if beta * x > threshold else mp.log1p(mp.exp(beta * x)) / beta


def gelu(x: Any) -> Any:
    return x * mp.erfc(-x / mp.sqrt(2)) / 2


def gelu_tanh(x: Any) -> Any:
    return x * sigmoid(2 * mp.sqrt(2 / mp.pi) * (x + mp.mpf(0.044715) * x**3))


def variance_in_two_passes(lib: Library, x: Any) -> Any:
    centred = x - x.mean()
    return (centred * centred).mean()


def log_sum_exp(xs: list[Any]) -> list[Any]:
    largest = max(xs)
    return [mp.log(mp.fsum(mp.exp(x - largest) for x in xs)) + largest]


def log_softmax(xs: list[Any]) -> list[Any]:
    (total,) = log_sum_exp(xs)
    return [x - total for x in xs]


def softmax(xs: list[Any]) -> list[Any]:
    return [mp.exp(x) for x in log_softmax(xs)]


def cross_entropy(xs: list[Any]) -> list[Any]:
    return [-log_softmax(xs)[1]]


def cross_entropy_of(lib: Library, x: Any) -> Any:
    return lib.nn.functional.cross_entropy(x.unsqueeze(0), lib.tensor([1]))


def exact_variance(xs: list[Any]) -> list[Any]:
    mean = mp.fsum(xs) / len(xs)
    return [mp.fsum((x - mean) ** 2 for x in xs) / len(xs)]


def sums(x: Any, dim: int) -> Any:
    """Of a vector as a matrix of 8 rows, or of 8 columns."""
    return (x.reshape(COLUMNS, -1) if dim else x.reshape(-1, COLUMNS)).sum(dim)


def row_sums(xs: list[Any]) -> list[Any]:
    n = len(xs) // COLUMNS
    return [mp.fsum(xs[i : i + n]) for i in range(0, len(xs), n)]


def column_sums(xs: list[Any]) -> list[Any]:
    return [mp.fsum(xs[i::COLUMNS]) for i in range(COLUMNS)]


def bce(label: float) -> Composition:
    t = mp.mpf(label)

    def call(lib: Library, x: Any) -> Any:
        return lib.nn.functional.binary_cross_entropy_with_logits(
            x, lib.full_like(x, label), reduction="none"
        )

    def exact(x: Any) -> Any:
        return t * softplus(-x, 1, mp.inf) + (1 - t) * softplus(x, 1, mp.inf)

    return Composition(f"BCE with logits, label {label}", call, exact, (LINE,))


NOISE = [((k * 7919) % 1009 / 1009 - 0.5) for k in range(1000)]
ROWS = (
    [0.0, 1e-3, 2e-3, -1e-3],
    [1e4, 0.0, 1e4 - 1, -1e4],
    [3.0, 1e4, 9e3, -1e30],
    [1e30, 1e30, 0.0, 5.0],
    [-50.0, 40.0, 0.0, 10.0],
    [100.0 + 1e-3 * k for k in range(100)],
)
# Close to each other, equal, and rows whose sum of exponentials is close to one.
ROWS += (
    [1e8, 1e8 - 8, 1e8 + 8, 1e8 - 64],
    [88.0, 88.5, 87.25, 89.0, -103.0],
    [-1e30, -1e30, -1e4],
    [2.5] * 37,
    [NOISE[k] * 1e-6 for k in range(50)],
    [2 * x for x in NOISE[:50]],
)
FEW = NOISE[:100]  # the gradients of longer rows take minutes in many digits
SUMMED = ([-1.0, -0.5, -2.0], [-0.7, -0.7], [0.0, -20.0, -25.0], [-7.0 + x for x in FEW])
SHIFTED = ([1e4 + x for x in FEW], [1e8 + 64 * x for x in FEW], [1e-9 * (x + 1) for x in FEW])
CLOSE = ([1e8 + 8 * (k % 5) for k in range(100)], [1.0 + 1e-6 * x for x in FEW], [1e-30, 3e-30])
LONG = (
    [1e8 + 64 * NOISE[k % 1000] for k in range(30000)],
    [1.5 + NOISE[k % 997] for k in range(100000)],
    [abs(NOISE[k * 31 % 1000]) for k in range(2048)],
    [1e4 + NOISE[k % 991] for k in range(5000)],
)
COLUMNS = 8
COMPOSITIONS = [
    *[
        Composition(
            f"softplus, beta {beta}, threshold {threshold}",
            lambda lib, x, b=beta, h=threshold: lib.nn.functional.softplus(x, b, h),
            lambda x, b=beta, h=threshold: softplus(x, b, h),
            (LINE,),
        )
        for beta, threshold in ((1, 20), (2, 20), (1, 50))
    ],
    Composition(
        "logsigmoid",
        lambda lib, x: lib.nn.functional.logsigmoid(x),
        lambda x: -softplus(-x, 1, mp.inf),
        (LINE,),
    ),
    bce(0.0),
    bce(1.0),
    bce(0.25),
    Composition("gelu", lambda lib, x: lib.nn.functional.gelu(x), gelu, (NORMAL,)),
    Composition(
        "gelu, tanh",
        lambda lib, x: lib.nn.functional.gelu(x, approximate="tanh"),
        gelu_tanh,
        (NORMAL,),
    ),
    Composition(
        "silu", lambda lib, x: lib.nn.functional.silu(x), lambda x: x * sigmoid(x), (LINE,)
    ),
    Composition("sigmoid", lambda lib, x: lib.sigmoid(x), sigmoid, (LINE,)),
    Composition("tanh", lambda lib, x: lib.tanh(x), mp.tanh, (LINE,)),
    Composition(
        "elu",
        lambda lib, x: lib.nn.functional.elu(x),
        lambda x: mp.expm1(x) if x < 0 else x,
        (LINE,),
    ),
    Composition("expm1", lambda lib, x: lib.expm1(x), mp.expm1, ([x for x in LINE if x < 80],)),
    Composition("log1p", lambda lib, x: lib.log1p(x), mp.log1p, ([x for x in LINE if x > -0.99],)),
    Composition("softmax", lambda lib, x: lib.softmax(x, 0), softmax, ROWS, each=False, orders=1),
    Composition(
        "log_softmax", lambda lib, x: lib.log_softmax(x, 0), log_softmax, ROWS, each=False, orders=1
    ),
    Composition("cross-entropy", cross_entropy_of, cross_entropy, ROWS, each=False, orders=1),
    Composition(
        "mean",
        lambda lib, x: x.mean(),
        lambda xs: [mp.fsum(xs) / len(xs)],
        SHIFTED,
        each=False,
        orders=0,
    ),
    Composition(
        "variance in two passes",
        variance_in_two_passes,
        exact_variance,
        SHIFTED,
        each=False,
        orders=1,
    ),
    Composition(
        "sum", lambda lib, x: x.sum(), lambda xs: [mp.fsum(xs)], LONG, each=False, orders=0
    ),
    Composition("sum over rows", lambda lib, x: sums(x, 1), row_sums, LONG, each=False, orders=0),
    Composition(
        "sum over columns", lambda lib, x: sums(x, 0), column_sums, LONG, each=False, orders=0
    ),
    Composition(
        "var",
        lambda lib, x: x.var(),
        lambda xs: [exact_variance(xs)[0] * len(xs) / (len(xs) - 1)],
        (*SHIFTED, *CLOSE),
        each=False,
        orders=1,
    ),
    Composition(
        "var of long vectors",
        lambda lib, x: x.var(correction=0),
        exact_variance,
        LONG,
        each=False,
        orders=0,
    ),
    Composition(
        "std, correction 0",
        lambda lib, x: x.std(correction=0),
        lambda xs: [mp.sqrt(exact_variance(xs)[0])],
        (*SHIFTED, *CLOSE),
        each=False,
        orders=1,
    ),
    Composition(
        "logsumexp",
        lambda lib, x: lib.logsumexp(x, 0),
        log_sum_exp,
        (*ROWS, *SUMMED),
        each=False,
        orders=1,
    ),
]


def ulps(got: float, exact: Any, size: Any, dtype: str) -> float:
    """The error in units of the last place of `size`; of infinities, 0 or infinite."""
    bits, least = BITS[dtype]
    limit = mp.mpf(2) ** (128 if dtype == "float32" else 1024)
    if abs(exact) >= limit or not mp.isfinite(exact):
        return 0.0 if got == mp.sign(exact) * mp.inf else float("inf")
    if not mp.isfinite(got):
        return float("inf")
    exponent = mp.frexp(size)[1] if size else -(10**6)
    return float(abs(mp.mpf(got) - exact) / mp.mpf(2) ** max(exponent - bits, least))


def exact_derivatives(c: Composition, xs: list[Any], order: int) -> list[Any]:
    """The values, or the derivatives by each input: of the second value where there are several."""
    if c.each:
        return [mp.diff(c.exact, x, order, h=mp.mpf(2) ** -80) if order else c.exact(x) for x in xs]
    if order == 0:
        return c.exact(xs)
    step = mp.mpf(2) ** -150

    def total(values: list[Any]) -> Any:
        return (c.exact(values) * 2)[1]

    slopes = []
    for i in range(len(xs)):
        up, down = ([*xs[:i], xs[i] + s, *xs[i + 1 :]] for s in (step, -step))
        slopes.append((total(up) - total(down)) / (2 * step))
    return slopes


def measured(lib: Library, c: Composition, xs: list[float], dtype: str, order: int) -> list[float]:
    """What a library computes for the same."""
    x = lib.tensor(xs, dtype=getattr(lib, dtype), requires_grad=order > 0)
    y = c.call(lib, x)
    for _ in range(order):
        one = y.sum() if c.each or y.numel() == 1 else y[1]
        (y,) = lib.autograd.grad(one, x, create_graph=True)
    return y.detach().reshape(-1).tolist()


def errors(
    libraries: list[Library], c: Composition, dtype: str, order: int
) -> list[tuple[float, float]]:
    """For each library the worst error, and the input it is at."""
    worst = [(0.0, 0.0)] * len(libraries)
    for given in c.inputs:
        xs = libraries[0].tensor(given, dtype=getattr(libraries[0], dtype)).tolist()
        exact = exact_derivatives(c, [mp.mpf(x) for x in xs], order)
        # A gradient is a vector: its error is relative to its largest element.
        largest = max(map(abs, exact)) if order and not c.each else None
        for k, lib in enumerate(libraries):
            got = measured(lib, c, xs, dtype, order)
            for i, (a, b) in enumerate(zip(got, exact, strict=True)):
                worst[k] = max(worst[k], (ulps(a, b, largest or b, dtype), xs[min(i, len(xs) - 1)]))
    return worst


def main() -> int:
    """Prints the table."""
    import torch

    import autodiff

    worse = 0
    wanted = sys.argv[1:]
    print(f"{'composition':34} {'dtype':8} {'order':5} {'ours':>10} {'PyTorch':>10}  ours is at")
    for c in COMPOSITIONS:
        if wanted and not any(c.name.startswith(name) for name in wanted):
            continue
        for dtype in BITS:
            for order in range(c.orders + 1):
                (ours, at), (theirs, _) = errors([autodiff, torch], c, dtype, order)
                bad = ours > max(theirs, ALLOWED_ULP)
                worse += bad
                print(
                    f"{c.name:34} {dtype:8} {order:5} {ours:10.3g} {theirs:10.3g}  {at:g}"
                    + "  WORSE" * bad,
                    flush=True,
                )
    return int(worse > 0)


if __name__ == "__main__":
    sys.exit(main())
