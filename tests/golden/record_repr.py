"""Records how PyTorch prints tensors, as repr.json (see recording.py).

A case's values are repeated until its shape is full, so that long tensors stay short here.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from golden.recording import write

GOLDEN = Path(__file__).with_name("repr.json")
Case = dict[str, Any]
INF, NAN = math.inf, math.nan

FLOATS: list[list[float]] = [
    [0.5],
    [1.0],
    [0.0, -0.0],
    [-0.0, 1.5],
    [NAN],
    [INF, -INF],
    [NAN, 1.0, INF],
    [NAN, 1.5, -INF],
    [NAN, 1e-10],
    [1e-5, 1.0],
    [1e-4, 2e-4],
    [1e-4, 0.2],
    [9.9999e-5],
    [1e-45],
    [1e7],
    [1e8],
    [1e8, 1.0],
    [1e8, 3e7],
    [1e9, 2e9],
    [-1e9],
    [123456.789],
    [1234567.0, 7654.0],
    [1000.0, 1.0],
    [1001.0, 1.0],
    [0.0, 1001.0, 2.0],
    [1000.5, 0.1],
    [1000.5, 1.5],
    [99999.5],
    [0.99999, 1.0],
    [0.999999, 1.5],
    [-1e-8, -1.0],
    [3.4e38, 1e-38],
    [-1.25, 10.0, 100.125],
    [16777216.0],
    [0.1, 0.2, 0.3],
    [2.5, -3.75, NAN, 0.0],
    [1.0, 2.0, INF, 0.0],
]
INTEGERS: list[list[int]] = [[0], [1], [7, 200, 31], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]
SIGNED: list[list[int]] = [[-1], [1, -200, 3], [2147483647, -2147483648, 0]]
SHAPES: list[list[int]] = [
    [],
    [1],
    [7],
    [23],
    [2, 3],
    [3, 25],
    [2, 1, 4],
    [2, 2, 2, 3],
    [1, 1, 1, 1],
]
EMPTY: list[list[int]] = [[0], [0, 3], [3, 0], [2, 0, 5], [0, 0, 0]]
LONG: list[list[int]] = [
    [1000],
    [1001],
    [1001, 1],
    [1, 1001],
    [6, 200],
    [7, 150],
    [40, 40],
    [2, 7, 90],
]
VERY_LONG: list[list[int]] = [[9, 8, 20], [8, 2, 9, 10]]
# What functions return that return several tensors, of x = [[2, 1], [0, 4]].
SEVERAL = [
    "x.max(1)",
    "x.min(1)",
    "x.sort()",
    "x.topk(1)",
    "x.kthvalue(1)",
    "x.aminmax()",
    "torch.linalg.qr(torch.eye(1))",
    "torch.linalg.eigh(torch.eye(1))",
    "torch.linalg.svd(torch.eye(1))",
    "torch.linalg.slogdet(x)",
    "torch.linalg.inv_ex(torch.eye(2))",
    "torch.linalg.cholesky_ex(torch.eye(2))",
    "str(x.max(1))",
]
OPTIONS: list[dict[str, Any]] = [
    {"precision": 0},
    {"precision": 2},
    {"precision": 10},
    {"edgeitems": 2, "threshold": 10},
    {"edgeitems": 1, "threshold": 4},
    {"edgeitems": 0, "threshold": 4},
    {"edgeitems": 0, "threshold": 0},
    {"linewidth": 75},
    {"linewidth": 30},
    {"linewidth": 5},
    {"linewidth": 200},
    {"profile": "short"},
    {"profile": "short", "precision": 6},
    {"profile": "full"},
    {"sci_mode": True},
    {"sci_mode": False},
    {"sci_mode": True, "precision": 1, "linewidth": 60},
]


def case(dtype: str, shape: list[int], values: list[Any], **more: Any) -> Case:
    """A case; `more`: options, requires_grad, grad_fn."""
    return {"dtype": dtype, "shape": shape, "values": values, **more}


def plain_cases() -> Iterator[Case]:
    """Every dtype, value and kind of shape, with the default options."""
    for values in FLOATS:
        yield case("float32", [len(values)], values)
        yield case("float64", [3, len(values)], values)
    for values in FLOATS[:20]:
        yield case("float32", [], values[:1])
    yield case("float64", [2], [1e300, -1e-300])
    for shape in SHAPES:
        yield case("float32", shape, [0.25, -1.5, 3.0])
        yield case("float64", shape, [1.0, 2.0, -30.0])
        yield case("bool", shape, [True, False, False])
        for dtype in ("uint8", "int8", "int16", "int32", "int64"):
            for integers in INTEGERS + SIGNED * (dtype != "uint8"):
                if dtype not in ("int8", "int16") or max(map(abs, integers)) < 128:
                    yield case(dtype, shape, integers)
    for shape in EMPTY:
        for dtype in ("float32", "float64", "int64", "int32", "uint8", "bool"):
            yield case(dtype, shape, [])
        yield case("float32", shape, [], requires_grad=True)
        yield case("float64", shape, [], grad_fn="MulBackward0")


def long_cases() -> Iterator[Case]:
    """Summaries: the values differ from place to place, so that a wrong place shows."""
    for shape in LONG:
        yield case("int64", shape, list(range(97)))
        yield case("float32", shape, [i / 8 for i in range(89)])
    for shape in VERY_LONG:
        yield case("int32", shape, list(range(97)))
    yield case("float32", [1001], [1.5, *[1e9] * 90])  # what is hidden has no say
    yield case("float64", [30, 40], [float(i) for i in range(101)], grad_fn="MulBackward0")
    yield case("bool", [2000], [True, False, False, True, True])


def suffix_cases() -> Iterator[Case]:
    """Lines of every length up to the width, with each suffix."""
    for n in range(1, 30):
        values = [float(i) for i in range(n)]
        yield case("float32", [n], values, requires_grad=True)
        yield case("float64", [n], values, grad_fn="MulBackward0")
        yield case("int32", [2, n], list(range(n)))
    for options in ({"linewidth": 40}, {"linewidth": 75}):
        for n in range(1, 16):
            yield case("float64", [n], [0.5], requires_grad=True, options=options)
    for width in range(24, 56):
        options = {"linewidth": width}
        yield case("float64", [2], [0.5], requires_grad=True, options=options)
        yield case("int32", [2, 3], [10, 200, 3000], options=options)
    yield case("float32", [], [2.0], requires_grad=True)
    yield case("float32", [], [2.5], grad_fn="MulBackward0")


def option_cases() -> Iterator[Case]:
    for options in OPTIONS:
        yield case("float32", [], [3.0], options=options)
        yield case("float32", [5], [1.5, -2000.25, 3.0, NAN, 0.0], options=options)
        yield case("float32", [3], [1.5, 20.0, 1e-9], options=options)
        yield case("float64", [9], [1.0, 2000.0, 0.0, INF], options=options)
        yield case("int64", [4, 9], list(range(-3, 50)), options=options)
        yield case("float32", [5, 3, 7], [i / 4 for i in range(60)], options=options)
        yield case("bool", [2, 8], [True, False], options=options, requires_grad=False)
        yield case("float32", [0, 2], [], options=options)


def random_cases() -> Iterator[Case]:
    """Magnitudes around the borders between formats."""
    rng = random.Random(1)
    for _ in range(120):
        low, spread = rng.uniform(-7, 8), rng.choice([0.5, 2.9, 3.1, 6])
        values = [rng.choice([-1, 1]) * 10 ** rng.uniform(low, low + spread) for _ in range(8)]
        if rng.random() < 0.3:
            values = [float(round(v)) for v in values]
        if rng.random() < 0.2:
            values[rng.randrange(8)] = rng.choice([NAN, INF, -INF, 0.0, -0.0])
        shape = rng.choice([[8], [2, 4], [3, 10], [2, 2, 2]])
        yield case(rng.choice(["float32", "float64"]), shape, values)


def printed(torch: Any, case: Case) -> Case:
    """The case with its text, and its values as the dtype holds them."""
    dtype = getattr(torch, case["dtype"])
    values = torch.tensor(case["values"], dtype=dtype)
    numel = math.prod(case["shape"])
    repeats = -(-numel // max(1, len(case["values"])))
    x = values.repeat(repeats)[:numel].reshape(case["shape"])
    if case.get("requires_grad") or case.get("grad_fn"):
        x.requires_grad_()
    if case.get("grad_fn"):
        x = x * 1
    torch.set_printoptions(profile="default")
    torch.set_printoptions(**case.get("options", {}))
    return {**case, "values": values.tolist(), "text": repr(x)}


def several(torch: Any, line: str) -> str:
    """The text of what a line of SEVERAL makes."""
    torch.set_printoptions(profile="default")
    return repr(eval(line, {"torch": torch, "x": torch.tensor([[2.0, 1.0], [0.0, 4.0]])}))


def main() -> None:
    """Writes repr.json, a case a line."""
    import torch

    groups = (plain_cases(), long_cases(), suffix_cases(), option_cases(), random_cases())
    texts = {line: several(torch, line) for line in SEVERAL}
    write(GOLDEN, cases=[printed(torch, case) for group in groups for case in group], several=texts)


if __name__ == "__main__":
    main()
