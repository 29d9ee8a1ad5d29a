"""Records which exceptions PyTorch raises for wrong calls, as bad_input.json: run it where torch is
installed.

The calls are made from the right ones in bad_input.txt: each argument is replaced by what its kind
does not allow, arguments are left out, added and misspelt. With each goes what a message that helps
would name.
"""

from __future__ import annotations

import functools
import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

CASES = Path(__file__).with_name("bad_input.txt")
GOLDEN = Path(__file__).with_name("bad_input.json")
OPERANDS = {
    "x": "torch.tensor([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])",
    "w": "torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])",
    "s": "torch.tensor([[1.0, 2.0, 0.5], [3.0, 4.0, 1.5]])",
    "y": "torch.tensor([1.0, 2.0, 3.0])",
    "z": "torch.tensor([1.0, 2.0])",
    "b": "torch.ones(2, 3, 3)",
    "h": "torch.ones(1, 2, 4, 4)",
    "f": "torch.ones(2, 2, 2, 2)",
    "o": "torch.ones(2, 1, 2, 2, 2)",
    "u": "torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]])",
    "j": "torch.tensor([0, 1, 1])",
    "k": "torch.tensor([[0, 1, 1], [2, 2, 0]])",
    "c": "torch.tensor([0, 2])",
    "m": "torch.tensor([[True, False, True], [False, True, True]])",
    "p": "torch.nn.Parameter(torch.ones(3))",
    "q": "p * p",
    "r": "torch.ones(3)",
    "v": "(lambda leaf: (leaf.sum().backward(), leaf)[1])(torch.nn.Parameter(torch.ones(3)))",
    "g": "torch.Generator().manual_seed(1)",
    "net": "torch.nn.Linear(3, 2)",
    "chain": "torch.nn.Sequential(net, torch.nn.Tanh())",
    "layers": "torch.nn.ModuleList([net])",
    "named": 'torch.nn.ModuleDict({"a": net})',
    "params": "torch.nn.ParameterList([p])",
    "table": 'torch.nn.ParameterDict({"a": p})',
    "opt": "torch.optim.SGD([p], lr=0.1)",
    "rates": "torch.optim.lr_scheduler.StepLR(opt, 2)",
    "cyclic": "torch.optim.lr_scheduler.CyclicLR(opt, 0.1, 0.5)",
    "sequence": "torch.optim.lr_scheduler.SequentialLR(opt, [rates], [])",
    "lambdas": "torch.optim.lr_scheduler.LambdaLR(opt, lambda epoch: 1.0)",
    "times": "torch.optim.lr_scheduler.MultiplicativeLR(opt, lambda epoch: 1.0)",
    "plateau": "torch.optim.lr_scheduler.ReduceLROnPlateau(opt)",
    "Twice": """type("Twice", (torch.autograd.Function,), {
        "forward": staticmethod(lambda ctx, a: a * 2),
        "backward": staticmethod(lambda ctx, grad: grad * 2),
    })""",
    # A function of a forward of (ctx, a) and a backward of (ctx, grad).
    "made": """lambda forward, backward=lambda ctx, grad: grad: type("Made", (
        torch.autograd.Function,
    ), {"forward": staticmethod(forward), "backward": staticmethod(backward)})""",
}
OPERATORS = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "truediv": "/",
    "floordiv": "//",
    "mod": "%",
    "pow": "**",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "and": "&",
    "or": "|",
    "xor": "^",
    "lshift": "<<",
    "rshift": ">>",
    "matmul": "@",
}

Wrong = list[tuple[str, str]]  # values, and what a message must say of each
FOREIGN: Wrong = [('"a"', "str"), ("object()", "object"), ("b'x'", "bytes")]
NUMBERS: Wrong = [('"a"', "str"), ("object()", "object"), ("[1]", "list"), ("None", "NoneType")]
INTEGERS: Wrong = [('"a"', "str"), ("1.5", "float"), ("2**70", ""), ("None", "NoneType")]
# What a tensor's layout or dtype may be said to miss; some of it is often said of another operand.
TENSOR_WORDS = r"size|shape|[0-9]-?[Dd]|[Dd]im|dtype|require|Float|Double|Bool|bool|Byte"
TENSORS: Wrong = [
    *FOREIGN,
    ("None", "NoneType"),
    ('[1, "a"]', "list|str"),
    ("torch.ones(7)", rf"7|{TENSOR_WORDS}"),
    ("torch.ones(5, 5, 5)", rf"5|{TENSOR_WORDS}"),
    ("torch.ones(0)", rf"0|{TENSOR_WORDS}"),
    ("torch.ones(2, 3, dtype=torch.bool)", rf"[Bb]ool|{TENSOR_WORDS}"),
    ("torch.ones(2, 3, dtype=torch.float64)", rf"[Ff]loat|[Dd]ouble|{TENSOR_WORDS}"),
]
KINDS: dict[str, Wrong] = {
    "tensor": TENSORS,
    "dim": [*INTEGERS, ("5", "5"), ("-6", "-6"), ("2**40", str(2**40))],
    "ix_int": [*INTEGERS, ("5", "5"), ("-6", "-6")],
    "size": [*INTEGERS, ("-1", "-1")],
    "num": NUMBERS,
    "rate": [*NUMBERS, ("-1.0", "-1"), ("float('nan')", "nan"), ("torch.ones(2)", "")],
    "shape": [
        ('"a"', "str"),
        ('("a",)', "str"),
        ("(1.5,)", "float"),
        ("(-3,)", "-3"),
        ("(5, 7)", "5|7"),
        ("(2**62,)", ""),
        ("(2**40, 2**40)", ""),
        ("(2**70,)", ""),
        ("object()", "object"),
    ],
    "dtype": [('"a"', "str|'a'"), ("5", "int"), ("object()", "object")],
    "seq": [
        ("[]", ""),
        ('["a"]', "str"),
        ("5", "int"),
        ("None", "NoneType"),
        ("[x, torch.ones(7)]", rf"7|{TENSOR_WORDS}"),
        ("[torch.ones(5, 5, 5), x]", rf"5|{TENSOR_WORDS}"),
    ],
    "ix": [
        *TENSORS,
        ("torch.tensor([9])", rf"9|{TENSOR_WORDS}"),
        ("torch.tensor([-9])", rf"-9|{TENSOR_WORDS}"),
        ("torch.tensor([0.5])", rf"[Ff]loat|{TENSOR_WORDS}"),
    ],
    "pair": [
        ("(-1.0, 0.9)", "-1"),
        ("(0.9, 1.0)", "1"),
        ("(0.9,)", ""),
        ("5", ""),
        ("('a', 0.9)", ""),
    ],
    "state": [(value, "ByteTensor") for value, _ in TENSORS],
    "name": [('"a"', "a"), ("5", "int|5"), ("None", "None")],
    "raw": [],
    "flag": [('"a"', "str"), ("object()", "object"), ("None", "NoneType"), ("1", "int|1")],
    "fn": [("5", "int"), ("None", "NoneType"), ('"a"', "str")],
    "module": [("5", "int"), ('"a"', "str"), ("None", "None"), ("torch.ones(2)", "Tensor")],
    "parameter": [("5", "int"), ('"a"', "str"), ("torch.ones(2)", "Tensor"), ("q", "leaf|Tensor")],
    "times": [(v, w) for v, w in INTEGERS if v != "2**70"],
    "key": [
        ("5", "int|5"),
        ("None", "None"),
        ('""', "empty|''|``|without"),
        ('"nope.x"', r'nope|"\."'),
    ],
    "at": [
        ('"a"', "str|a"),
        ("1.5", "float|1.5"),
        ("None", "None"),
        ("7", "7|range"),
        ("-7", "-7|range"),
    ],
    "epoch": [('"a"', "str|initial_lr"), ("3", "initial_lr")],
    "device": [('"a"', "'a'"), ("5", "5|int"), ("object()", "object")],
    "state_dict": [
        ("5", "int"),
        ("None", "NoneType"),
        ("{}", "weight|state|param_groups|lr_lambdas"),
        ('{"bogus": torch.ones(1)}', "bogus|param_groups|state|lr_lambdas"),
        ('{"weight": torch.ones(5), "bias": "a"}', "weight|param_groups|state|lr_lambdas"),
        ('{"state": {}, "param_groups": []}', "group|weight|lr_lambdas"),
        ('{"state": {}, "param_groups": [{"params": [0, 1]}]}', "group|weight|lr_lambdas"),
    ],
    "opt": [("5", "int"), ("None", "NoneType"), ("[p]", "list"), ("net", "Linear")],
    "group": [
        ("5", "int"),
        ("{}", "params"),
        ('{"params": 5}', "int"),
        ('{"params": ["a"]}', "str"),
        ('{"params": [p]}', "more than one"),
        ('{"params": [q]}', "leaf"),
        ('{"params": {r}}', "set"),
    ],
    "tensors": [("5", "int"), ("None", "NoneType"), ('["a"]', "str"), ("[None]", "NoneType")],
    "mapping": [
        ("5", "int"),
        ("[5]", "int|list|0"),
        ("[(1, 2, 3)]", "3|list"),
        ('{"b": 5}', "int"),
    ],
    # What a method asks of its own tensor.
    "single": [("torch.ones(2, 3)", "more|6|one|only"), ("torch.ones(0)", "0|no values|one|only")],
    "integer": [("torch.ones(2, dtype=torch.int64)", "integer"), ("torch.tensor(1.5)", "integer")],
    "sized": [("torch.tensor(1.0)", "0-d")],
    "tracked": [("x", "grad"), ("torch.tensor(1)", "grad")],
    "leaf": [("q", "leaf|leaves"), ("x", "grad")],
    "constant": [("p", "detach"), ("q", "detach")],
    "whole": [("q[0]", "view")],
    "fixed": [(value, "setter|not writable|read-only|can't set") for value in ("5", "None")],
    "floats": [("torch.tensor(1)", "float"), ("torch.tensor(True)", "float")],
}


class Row(NamedTuple):
    """A right call: of what, and its arguments, each with its kind and keyword."""

    section: str
    name: str
    args: tuple[tuple[str, str, str], ...]  # keyword, kind, value
    made: tuple[tuple[str, str, str], ...] | None  # of the module


class Call(NamedTuple):
    """A wrong call, and what our message must say of it, as a regular expression."""

    line: str
    words: str


def parse_args(text: str) -> tuple[tuple[str, str, str], ...]:
    """The arguments of a row."""
    found = []
    for part in text.split():
        key, equals, rest = part.partition("=")
        key, rest = (key, rest) if equals and key.isidentifier() else ("", part)
        kind, colon, value = rest.partition(":")
        found.append((key, kind, value) if colon else (key, "tensor", rest))
    return tuple(found)


@functools.cache
def rows() -> list[Row]:
    """The right calls."""
    found, section = [], ""
    for line in CASES.read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#") and section != "lines":
            names, _, args = line.partition(":")
            first, bar, second = args.partition("|")
            made = parse_args(second) if bar else None
            found += [Row(section, n, parse_args(first), made) for n in names.split()]
    return found


def written_lines() -> Iterator[Call]:
    """The lines that are wrong as they stand."""
    _, _, text = CASES.read_text().partition("[lines]\n")
    for line in text.splitlines():
        code, _, words = line.partition(" ##")
        yield Call(code, words.strip())


def spell(args: list[tuple[str, str]]) -> str:
    """Arguments as they are written in a call."""
    return ", ".join(f"{key}={value}" if key else value for key, value in args)


def is_method(section: str) -> bool:
    """Whether a section is a class, so the first argument of its rows is the object itself."""
    return section.rpartition(".")[2][0].isupper() or section == "dtype"


def render(row: Row, args: list[tuple[str, str]]) -> str:
    """The call of a row with these arguments."""
    name = row.name
    if not is_method(row.section):
        prefix = "torch" if row.section == "torch" else f"torch.{row.section}"
        return f"{prefix}.{name}({spell(args)})"
    values = [value for _, value in args]
    if name.endswith("="):
        return f"{values[0]}.{name[:-1]} = {', '.join(values[1:])}"
    inner = name.strip("_")
    if row.section == "Tensor" and name.startswith("__") and len(values) == 2:
        if inner in OPERATORS:
            return f"{values[0]} {OPERATORS[inner]} {values[1]}"
        if inner[1:] in OPERATORS and inner[0] == "r":
            return f"{values[1]} {OPERATORS[inner[1:]]} {values[0]}"
        if inner[1:] in OPERATORS:
            return f"torch.Tensor.{name}({', '.join(values)})"
    return f"{values[0]}.{name}({spell(args[1:])})"


def wrong_arguments(
    args: tuple[tuple[str, str, str], ...], method: bool
) -> Iterator[tuple[list[tuple[str, str]], str]]:
    """The arguments with one thing wrong, and what is to be said of it."""
    right = [(key, value) for key, _, value in args]
    for i, (key, kind, _) in enumerate(args):
        own = method and i == 0
        for value, words in [] if own and kind == "tensor" else KINDS[kind]:
            yield [*right[:i], (key, value), *right[i + 1 :]], words
        if not own and not key:
            yield right[:i], ""
    yield [*right, ("bogus", "1")], "bogus|keyword"
    positional = [a for a in right if not a[0]]
    yield [*positional, *[("", "object()")] * 8], ""


def wrong_calls(row: Row) -> Iterator[Call]:
    """Each wrong call made from a row."""
    for args, words in wrong_arguments(row.args, is_method(row.section)):
        if (row.name.startswith("__") or row.name[-1] == "=") and len(args) != len(row.args):
            continue  # Python's own syntax
        if not (row.name.startswith("__") and args[-1][0] == "bogus"):
            yield Call(render(row, args), words)
    if row.made is not None:
        right = render(row, [(key, value) for key, _, value in row.args])
        for args, words in wrong_arguments(row.made, method=False):
            yield Call(f"{right}({spell(args)})", words)


def all_calls() -> Iterator[Call]:
    """Every wrong call."""
    for row in rows():
        yield from wrong_calls(row)
    yield from written_lines()


@functools.cache
def recorded() -> dict[str, str]:
    """What PyTorch raises for a line, or "ok"."""
    found: dict[str, str] = json.loads(GOLDEN.read_text())
    return found


_WORD = re.compile(r"(?<![.\w\"'])[a-zA-Z]+(?![\w\"'=])")  # names, not attributes nor texts


def scope(lib: Any, line: str) -> dict[str, Any]:
    """What a line may name: `lib` as torch, and the operands that it uses."""
    found: dict[str, Any] = {"torch": lib}

    def add(text: str) -> None:
        for name in _WORD.findall(text):
            if name in OPERANDS and name not in found:
                add(OPERANDS[name])
                found[name] = eval(_compiled(name), found)

    add(line)
    return found


@functools.cache
def _compiled(name: str) -> CodeType:
    return compile(OPERANDS[name], name, "eval")


def run(lib: Any, line: str) -> Exception | None:
    """What a line raises, with `lib` in scope as `torch`."""
    names = scope(lib, line)
    try:
        with warnings.catch_warnings(), lib.enable_grad():
            warnings.simplefilter("ignore")
            exec(line, names)
    except Exception as failure:
        return failure.with_traceback(None)
    return None


def main() -> None:
    """Writes bad_input.json, a line's outcome a line."""
    import torch

    found = {}
    for call in all_calls():
        failure = run(torch, call.line)
        found[call.line] = "ok" if failure is None else type(failure).__name__
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in found.items())
    GOLDEN.write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    main()
