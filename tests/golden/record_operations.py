"""Records PyTorch's values and derivatives of the operations in scope, as operations.json.

Those of one and of two tensors are tables here, of the operand that is in their domain; the others
are lines of operation_cases.txt. What each line comes to is kept (see lines.py), and the tests run
the same lines on autodiff.
"""

from __future__ import annotations

from typing import Any

from golden.lines import Facts, lines_of
from golden.record_shapes import OPERANDS as SHAPES

OPERANDS: dict[str, Any] = SHAPES | {
    "h": [[0.5, -0.25, 0.75], [-0.625, 0.125, -0.875]],  # inside of (-1, 1),
    "r": [[0.25, 0.5, 0.125], [0.875, 0.375, 0.625]],  # of (0, 1),
    "p": [[0.5, 2.25, 1.0], [3.5, 0.125, 1.75]],  # above 0,
    "q": [[1.5, 2.0, 3.25], [1.125, 5.0, 2.5]],  # above 1
    "m": [[2.0, -0.5, 0.25], [0.75, 1.5, -1.0], [-0.25, 0.5, 3.0]],
    "k": [[4.0, 1.0, -0.5], [1.0, 3.0, 0.75], [-0.5, 0.75, 2.0]],  # symmetric, positive definite
    "b": [
        [[2.0, 0.5, -1.0], [0.25, 3.0, 0.75], [-0.5, 1.0, 1.5]],
        [[1.0, -2.0, 0.5], [1.5, 0.75, -0.25], [2.5, 0.5, -3.0]],
    ],
    "g": [  # an image of two channels
        [
            [
                [0.5, -1.0, 2.25, 0.75],
                [1.5, -0.25, 3.0, -2.0],
                [-1.5, 0.125, 1.0, 2.5],
                [4.0, -3.5, 0.25, 1.75],
            ],
            [
                [-0.5, 1.25, 0.375, -2.5],
                [2.0, 3.5, -1.25, 0.625],
                [1.125, -0.75, 2.75, -4.0],
                [0.875, -1.75, 3.25, 5.0],
            ],
        ]
    ],
    "f": [  # kernels of two channels for it
        [[[0.5, -1.0], [0.25, 2.0]], [[1.5, 0.75], [-0.5, 1.0]]],
        [[[-2.0, 0.125], [1.25, -0.75]], [[0.625, 3.0], [-1.5, 0.375]]],
    ],
}
UNARY = {
    "x": "abs asinh atan ceil cos cosh deg2rad erf erfc exp exp2 expm1 floor frac neg positive "
    "rad2deg round sigmoid sign sin sinc sinh square tanh trunc nan_to_num",
    "h": "acos asin atanh erfinv tan",
    "r": "logit log1p",
    "p": "digamma lgamma log log10 log2 reciprocal rsqrt sqrt",
    "q": "acosh",
}
BINARY = {  # the second operand, and one that broadcasts
    "yv": "add sub mul atan2 fmax fmin maximum minimum hypot logaddexp eq ge gt le lt ne",
    "ps": "div true_divide fmod remainder xlogy",
}
NOT_IN_PLACE = ["positive", "fmax", "fmin", "maximum", "minimum", "logaddexp"]


def lines() -> list[str]:
    """All lines, those of the tables first."""
    found = []
    for x, names in UNARY.items():
        for name in names.split():
            found += [f"torch.{name}({x})", f"{x}.t().{name}()", f"{x}.{name}_()"]
            found.append(f"torch.{name}({x}[:, ::2] * 0.75)")
    for (y, z), names in BINARY.items():
        for name in names.split():
            found += [f"torch.{name}(x, {y})", f"x.{name}({z})", f"x.{name}_({y})"]
            found += [f"{y}.t().{name}(x.t())", f"torch.{name}(s, {y})"]
            found.append(f"torch.{name}(x, torch.ones(4))")
    absent = [f".{name}_(" for name in NOT_IN_PLACE]
    tables = [line for line in found if not any(call in line for call in absent)]
    return tables + lines_of("operation_cases.txt")


FACTS = Facts("operations.json", OPERANDS, lines())

if __name__ == "__main__":
    FACTS.record()
