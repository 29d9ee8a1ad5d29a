"""Records what PyTorch calls the node of a result as node_names.json (see recording.py).

A line of node_names.txt is a call of operands by name, all of which require grad. The tests run the
same lines on autodiff.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from golden.recording import write

CASES = Path(__file__).with_name("node_names.txt")
GOLDEN = Path(__file__).with_name("node_names.json")
NUMBERS = {
    "x": [[0.5, -0.25, 0.75], [0.4, 0.25, -0.75]],
    "y": [[4.0, -2.5, 1.0], [0.125, 3.0, 0.7]],
    "p": [[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]],
    "m": [[4.0, 0.5, 0.25], [0.5, 3.0, 0.1], [0.25, 0.1, 2.0]],
    "v": [1.5, -0.5, 2.25],
    "u": [3.0, 0.5],
    "s": 2.5,
}
SHAPES = {
    "b": (2, 3, 3),
    "b4": (2, 2, 3, 3),
    "h": (1, 2, 6),
    "im": (1, 2, 4, 4),
    "vol": (1, 1, 4, 4, 4),
}


def lines() -> list[str]:
    """The calls."""
    return CASES.read_text().splitlines()


def scope(lib: Any) -> dict[str, Any]:
    """What the calls are about."""
    found = {
        name: lib.tensor(value, dtype=lib.float64).requires_grad_()
        for name, value in NUMBERS.items()
    }
    for name, shape in SHAPES.items():
        n = lib.zeros(shape).numel()
        found[name] = (lib.arange(float(n)).double() * 0.37).sin().reshape(shape).requires_grad_()
    found["i"], found["g"] = lib.tensor([0, 1]), lib.tensor([[0, 2, 1], [1, 0, 2]])
    found["k2"], found["g4"] = lib.tensor([True, False]), lib.zeros(1, 4, 4, dtype=lib.int64)
    return {**found, "torch": lib, "F": lib.nn.functional}


def node_name(lib: Any, line: str) -> str:
    """The name as a tensor is printed with it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        node = eval(line, scope(lib)).grad_fn
    return "" if node is None else str(node.name()).rpartition("::")[2]


def main() -> None:
    """Writes the file, a line's name a line."""
    import torch

    write(GOLDEN, names={line: node_name(torch, line) for line in lines()})


if __name__ == "__main__":
    main()
