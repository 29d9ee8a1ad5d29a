"""What wrong calls of each public name raise, for the reference: calls and messages.

They are made from the right calls in tests/golden/bad_input.txt, as the tests make theirs; here
only with values that are wrong for what they are, not for their type.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from golden.record_bad_input import OPERANDS, Row, is_method, render, rows, run

import autodiff as ad

VALUES = {
    "tensor": ["torch.ones(7)", "torch.ones(5, 5, 5)", "torch.ones(2, 3, dtype=torch.bool)"],
    "dim": ["5"],
    "ix_int": ["5"],
    "size": ["-1"],
    "rate": ["-1.0"],
    "shape": ["(5, 7)", "(-3,)"],
    "seq": ["[]", "[x, torch.ones(7)]"],
    "ix": ["torch.tensor([9])", "torch.tensor([0.5])"],
    "pair": ["(0.9, 1.0)"],
    "name": ['"a"'],
    "single": ["torch.ones(2, 3)"],
    "leaf": ["q"],
    "floats": ["torch.tensor(1)"],
    "tracked": ["x"],
    "constant": ["p"],
}
MOST = 3  # of a name
NAMES = {
    "torch.nn.functional.": "F.",
    "torch.nn.": "nn.",
    "torch.optim.": "optim.",
    "torch.utils.data.": "data.",
    "torch.linalg.": "linalg.",
    "torch.special.": "special.",
    "torch.": "ad.",
}


def _name(row: Row) -> str:
    """A name as the reference has it."""
    section = {"torch": "", "utils.data": "data"}.get(row.section, row.section)
    return f"{section}.{row.name}".lstrip(".")


def _calls(row: Row) -> list[str]:
    """The calls with one value wrong."""
    found = []
    for args, made in [(row.args, False), (row.made or (), True)]:
        right = [(key, value) for key, _, value in args]
        for i, (key, kind, _) in enumerate(args):
            for value in VALUES.get(kind, []):
                if kind == "tensor" and i == 0 and not made and is_method(row.section):
                    continue
                wrong = [*right[:i], (key, value), *right[i + 1 :]]
                if made:
                    inner = ", ".join(f"{k}={v}" if k else v for k, v in wrong)
                    whole = render(row, [(k, v) for k, _, v in row.args])
                    found.append(f"{whole}({inner})")
                else:
                    found.append(render(row, wrong))
    return found


ROWS: dict[str, list[Row]] = defaultdict(list)
for _row in rows():
    ROWS[_name(_row)].append(_row)


def errors(name: str) -> list[tuple[str, str]]:
    """Wrong calls of a name, and their exceptions: those that differ in more than numbers.

    Types are left out, and shapes that do not broadcast: all functions treat them alike.
    """
    told: dict[str, tuple[str, str]] = {}
    for row in ROWS[name]:
        for call in _calls(row):
            failure = run(ad, call)
            text = f"{type(failure).__name__}: {' '.join(str(failure).split())}"
            if failure is not None and not re.match("TypeError|.*cannot be broadcast", text):
                kind = re.sub(r"\[[^\]]*\]|-?\d+", "0", text)[:60]
                told.setdefault(kind, (_written(call), text))
    return list(told.values())[:MOST]


def _written(line: str) -> str:
    """A line with the names that examples have."""
    for longer, name in NAMES.items():
        line = line.replace(longer, name)
    return line


def operands() -> str:
    """The operands that calls name, as a program that makes them."""
    shown = [name for name in OPERANDS if name not in ("v", "Twice", "made")]
    return "\n".join(_written(f"{name} = {OPERANDS[name]}") for name in shown)
