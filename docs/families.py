"""Prints how many primitives and compositions each family has, and how many lines they take.

The families and their files are those of the table in docs/architecture.md. A primitive has a
derivative of its own: an instruction of the pointwise machine, or an `Op`. Public functions in a
family's files that are not named as one are compositions.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from make_reference import entries, unwrapped

from autodiff.ops.base import Op
from autodiff.ops.declare import FUNCTIONS
from autodiff.ops.pointwise import PointwiseOp

ROOT = Path(__file__).parents[1]


class Family(NamedTuple):
    """One row of the table."""

    name: str
    python: list[Path]
    native: list[Path]


def families() -> list[Family]:
    """The rows of the table, a continued one with that before it."""
    found = []
    for line in (ROOT / "docs" / "architecture.md").read_text().splitlines():
        cells = line.strip("|").split("|")
        if len(cells) != 3 or "`" not in cells[1]:
            continue
        python, native = (re.findall(r"`([^`]+)`", cell) for cell in cells[1:])
        found.append(
            Family(
                cells[0].strip(),
                [path for name in python for path in sorted((ROOT / "autodiff").glob(name))],
                [path for name in native for path in sorted((ROOT / "csrc").glob(name))],
            )
        )
    return found


def instructions() -> int:
    """How many the pointwise machine has."""
    text = (ROOT / "csrc" / "instructions.def").read_text()
    return len(re.findall(r"^AD_(?:INSTR|CAST|CHEAP)\(", text, re.MULTILINE))


def ops_of(family: Family) -> list[Op]:
    """The operations with a rule of their own."""
    found: dict[int, Op] = {}
    for path in family.python:
        module = importlib.import_module(module_name(path))
        for value in vars(module).values():
            if isinstance(value, Op):
                found[id(value)] = value
    return list(found.values())


def module_name(path: Path) -> str:
    """The module a file is."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def row(family: Family, public: dict[str, set[Any]]) -> list[int]:
    """Primitives, compositions, lines of Python and of C."""
    functions: set[Any] = set().union(*(public.get(module_name(p), set()) for p in family.python))
    ops = ops_of(family)
    own = {op.name for op in ops}
    primitives = len(ops)
    compositions = sum(f.__name__ not in own for f in functions)
    if family.name.startswith("pointwise"):
        primitives = instructions() + len(ops)
        programs = {name for name, f in FUNCTIONS.items() if isinstance(f.op, PointwiseOp)}
        compositions = len(programs | {f.__name__ for f in functions})
    lines = [sum(len(p.read_text().splitlines()) for p in part) for part in family[1:]]
    return [primitives, compositions, *lines]


def main() -> None:
    """Print the table."""
    public: dict[str, set[Any]] = {}
    for entry in entries():
        target = unwrapped(entry.target)
        if callable(target) and not isinstance(target, type):
            public.setdefault(target.__module__, set()).add(target)
    print(f"{'family':40}{'primitives':>12}{'compositions':>14}{'Python':>9}{'C':>7}")
    total = [0] * 4
    for family in families():
        numbers = row(family, public)
        total = [a + b for a, b in zip(total, numbers, strict=True)]
        print(f"{family.name:40}{numbers[0]:12}{numbers[1]:14}{numbers[2]:9}{numbers[3]:7}")
    print(f"{'all':40}{total[0]:12}{total[1]:14}{total[2]:9}{total[3]:7}")


if __name__ == "__main__":
    main()
