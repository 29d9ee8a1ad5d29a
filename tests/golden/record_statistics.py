"""Records PyTorch's logsumexp, var, std and the pairs with a mean as statistics.json (see
recording.py).

Each case is a call on an operand, written as text: the test runs the same text on both libraries.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from golden.recording import write

GOLDEN = Path(__file__).with_name("statistics.json")
INF, NAN = float("inf"), float("nan")
OPERANDS: dict[str, Any] = {
    "matrix": [[0.5, -1.25, 2.0, 3.5], [1.5, 0.25, -0.75, 2.25], [4.0, -2.5, 1.0, 0.125]],
    "cube": [[[1.0, 2.5], [-1.0, 0.5]], [[3.25, -2.0], [0.75, 4.5]]],
    "number": 2.5,
    "one": [2.5],
    "none": [],
    "equal": [1.5, 1.5, 1.5],
    "infinite": [INF, 1.0],
    "negative infinite": [-INF, -INF],
    "mixed infinite": [[INF, -INF], [-INF, 1.0], [INF, INF], [-INF, -INF]],
    "nan": [NAN, 1.0, INF],
    "huge": [[1e4, 1e4 - 1, -1e30], [-1e30, -1e30, 1e4]],
}
SPREADS = ("var", "std", "var_mean", "std_mean")
OVERLOADS = """
x
x, True
x, False
x, unbiased=False
x, -1
x, None
x, -1, False
x, -1, True, True
x, dim=-1, unbiased=False, keepdim=True
x, (-1,), correction=0
x, [-1], keepdim=True
x, keepdim=True
x, None, False
x, None, True, True
x, correction=0
x, correction=1.5
x, correction=-2
x, correction=True
x, correction=None
x, correction=3
x, -1, correction=4
"""
CALLS = [f"{name}({args})" for name in SPREADS for args in OVERLOADS.strip().splitlines()]
CALLS += [
    f"logsumexp({args})" for args in ("x, -1", "x, dim=(-1,)", "x, [-1], True", "x, -1, False")
]
ON_MATRICES = [f"{name}(x, (0, 1))" for name in (*SPREADS, "logsumexp")]
ON_MATRICES += [f"{name}(x, [0, -1], keepdim=True)" for name in (*SPREADS, "logsumexp")]
# PyTorch's mean beside a variance is nan where its `mean` is infinite, and so is a derivative that
# compares with the mean.
INFINITE = ("infinite", "negative infinite", "mixed infinite", "nan")
# Of tensors without elements, of integers, and what is refused.
PLAIN = """
var(zeros(0, 3), 0)
var(zeros(0, 3), 1)
std_mean(zeros(0, 3), 0)
var(zeros(0), correction=-3)
logsumexp(zeros(0, 3), 0)
logsumexp(zeros(0, 3), 1)
logsumexp(zeros(0, 3), 0, True)
logsumexp(zeros(2, 0, 3), (0, 1))
logsumexp(tensor([1, 2]), 0)
logsumexp(tensor([True, False]), 0)
logsumexp(tensor([[1, 2], [3, 4]], dtype=uint8), 1, True)
logsumexp(ones(2, 3), (0, 0))
logsumexp(ones(2, 3), 2)
logsumexp(ones(2, 3), None)
logsumexp(ones(2, 3))
var(tensor([1, 2]))
std(tensor([True]))
var_mean(tensor([1, 2]))
var(ones(2, 3), (0, 0))
var(ones(2, 3), 2)
var(tensor(1.0), 0)
var(tensor(1.0), 1)
var(ones(2, 3), 0, 1)
var(ones(2, 3), 0, unbiased=1)
var(ones(2, 3), 0, unbiased=False, correction=1)
var(ones(2, 3), False, True)
var(ones(2, 3), True, keepdim=True)
var(ones(2, 3), True, correction=1)
var(ones(2, 3), keepdim=1)
var(ones(2, 3), correction="1")
var(ones(2, 3), correction=nan)
var(ones(2, 3), correction=tensor(0.5))
ones(2, 3).var(0, False)
ones(2, 3).std(False)
ones(2, 3).logsumexp(0)
var([1.0])
""".strip().splitlines()


def cases() -> list[tuple[str, str]]:
    """Calls and the names of their operands."""
    found = [(call, name) for call in CALLS for name in OPERANDS if name != "huge"]
    differ = ("correction=3", "_mean")
    found = [(c, n) for c, n in found if n not in INFINITE or not any(d in c for d in differ)]
    found += [(call, name) for call in ON_MATRICES for name in ("matrix", "cube")]
    return [*found, ("logsumexp(x, 1)", "huge")]


def scope(lib: Any) -> dict[str, Any]:
    """What the texts may name."""
    names = (*SPREADS, "logsumexp", "zeros", "ones", "tensor", "uint8")
    return {name: getattr(lib, name) for name in names} | {"nan": NAN}


def caught(run: Any) -> tuple[Any, bool]:
    """The result of a call, and whether it warned; of failures the name of the exception."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            return run(), bool(warned)
        except Exception as failure:
            return type(failure).__name__, False


def derivatives(lib: Any, call: str, operand: str, dtype: str) -> Any:
    """Results, the names of their nodes, first and second derivatives, and whether it warned."""
    x = lib.tensor(OPERANDS[operand], dtype=getattr(lib, dtype), requires_grad=True)
    y, warned = caught(lambda: eval(call, scope(lib), {"x": x}))
    ys = y if isinstance(y, tuple) else (y,)
    weighted = sum((k + 1) * each.sum() for k, each in enumerate(ys))
    (first,) = lib.autograd.grad(weighted, x, create_graph=True)
    second = None
    if first.requires_grad:
        weights = lib.arange(1, first.numel() + 1).reshape(first.shape).to(first.dtype)
        (second,) = lib.autograd.grad((first * weights).sum(), x, allow_unused=True)
    names = [each.grad_fn.name() for each in ys]
    return [
        [each.tolist() for each in ys],
        names,
        first.tolist(),
        None if second is None else second.tolist(),
        warned,
    ]


def plain(lib: Any, text: str) -> Any:
    """Values, dtype and shape of a text's results, and whether it warned, or its exception."""
    y, warned = caught(lambda: eval(text, scope(lib)))
    if isinstance(y, str):
        return y
    ys = y if isinstance(y, tuple) else (y,)
    return [[[t.tolist(), str(t.dtype), list(t.shape)] for t in ys], warned]


def main() -> None:
    """Writes the file, a case a line."""
    import torch

    found = {
        f"{call} of {name}": derivatives(torch, call, name, "float64") for call, name in cases()
    }
    found |= {text: plain(torch, text) for text in PLAIN}
    write(GOLDEN, cases=found)


if __name__ == "__main__":
    main()
