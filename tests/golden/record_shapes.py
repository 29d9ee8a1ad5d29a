"""Records what PyTorch makes of rearranged, joined, scattered and indexed tensors, as shapes.json.

A line of shape_cases.txt is an expression; what it comes to is kept (see lines.py), and the tests
run the same lines on autodiff.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from golden import lines as lines_
from golden.recording import write

CASES = Path(__file__).with_name("shape_cases.txt")
GOLDEN = Path(__file__).with_name("shapes.json")
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


def lines() -> list[str]:
    """The lines of the file, without its comments."""
    return lines_.lines_of(CASES)


@cache
def recorded() -> dict[str, Any]:
    """PyTorch's facts, by line."""
    found: dict[str, Any] = json.loads(GOLDEN.read_text())["cases"]
    return found


def outcome(lib: Any, line: str) -> Any:
    """What a line comes to."""
    return lines_.outcome(lib, OPERANDS, line)


def main() -> None:
    """Writes the file, a line's facts a line."""
    import torch

    write(GOLDEN, cases={line: outcome(torch, line) for line in lines()})


if __name__ == "__main__":
    main()
