"""Records what PyTorch makes of rearranged, joined, scattered and indexed tensors, as shapes.json.

A line of shape_cases.txt is an expression; what it comes to is kept (see lines.py), and the tests
run the same lines on autodiff.
"""

from __future__ import annotations

from typing import Any

from golden.lines import Facts, lines_of

OPERANDS: dict[str, Any] = {
    "x": [[0.5, -1.25, 2.0], [1.5, 0.25, -0.75]],
    "y": [[4.0, -2.5, 1.0], [0.125, 3.0, 0.0]],
    "v": [1.5, -0.5, 2.25],
    "u": [3.0, 0.5],
    "s": 2.5,
    "w": [[[0.5, 1.0], [1.5, -2.0], [2.5, 0.75]], [[3.5, -0.25], [0.0, 4.5], [1.25, -1.0]]],
    "z": [[0.0, 2.0, 0.0], [3.0, 0.0, 1.0]],
    "e": [[], []],
}
FACTS = Facts("shapes.json", OPERANDS, lines_of("shape_cases.txt"))

if __name__ == "__main__":
    FACTS.record()
