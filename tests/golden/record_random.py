"""Records what PyTorch's CPU generator gives, as random.json (see recording.py).

A case is a seed and steps; each step is a function, its arguments and a dtype. The test runs the
same steps on autodiff with the `draw` and `summary` of this file, so both sides read alike.
"""

from __future__ import annotations

import hashlib
import struct
from array import array
from pathlib import Path
from typing import Any

from golden.recording import write

SEEDS = [0, 17, 123456789012345]
SIZES = [1, 2, 7, 15, 16, 17, 31, 100, 1000, 10000]
TYPECODES = {
    "float32": "f",
    "float64": "d",
    "int64": "q",
    "int32": "i",
    "int8": "b",
    "int16": "h",
    "uint8": "B",
    "bool": "B",
}
ROUNDED = {
    "randn",
    "normal_",
    "normal_transposed",
    "normal_every_second",
}  # exact but for last bits
GOLDEN = Path(__file__).with_name("random.json")

Step = list[Any]  # [function, arguments, dtype]
Summary = dict[str, Any]


def draw(lib: Any, step: Step) -> Any:
    """The tensor that a step makes with `lib`: torch or autodiff."""
    name, args, dtype_name = step
    dtype = getattr(lib, dtype_name)
    if name == "randint":
        low, high, n = args
        return lib.randint(low, high, (n,), dtype=dtype)
    if name in ("rand", "randn", "randperm"):
        return getattr(lib, name)(*args, dtype=dtype)
    n, *rest = args
    method = name.split("_")[0] + "_"
    if name.endswith("_transposed"):
        return getattr(lib.zeros(n, 3, dtype=dtype).t(), method)(*rest)
    if name.endswith("_every_second"):
        return getattr(lib.zeros(2 * n, dtype=dtype)[::2], method)(*rest)
    return getattr(lib.zeros(n, dtype=dtype), method)(*rest)


def summary(step: Step, tensor: Any) -> Summary:
    """What is kept of a result: a hash of exact values, the ends and the sum of rounded ones."""
    values = tensor.reshape(-1).tolist()
    if step[0] in ROUNDED:
        return {"first": values[:16], "last": values[-16:], "sum": sum(values)}
    data = array(TYPECODES[step[2]], values).tobytes()
    return {"first": values[:8], "sha256": hashlib.sha256(data).hexdigest()}


def run(lib: Any, seed: int, steps: list[Step]) -> list[Summary]:
    """Seeds `lib` and takes the steps one after the other."""
    lib.manual_seed(seed)
    return [summary(step, draw(lib, step)) for step in steps]


def single_steps() -> list[Step]:
    """Steps that are each taken on a fresh seed."""
    steps: list[Step] = []
    for n in SIZES:
        for dtype in ("float32", "float64"):
            steps += [["rand", [n], dtype], ["randn", [n], dtype]]
        for high in (10, 2**28 - 1, 2**28, 2**40):
            steps.append(["randint", [-3, high, n], "int64"])
        steps.append(["randperm", [n], "int64"])
    return [*steps, ["randperm", [70000], "int64"]]


def mixed_sequences() -> list[list[Step]]:
    """Steps in a row: the position in the stream and the kept second normal must agree."""
    odd_normals: list[Step] = [
        ["randn", [3], "float32"],
        ["rand", [1], "float32"],
        ["randn", [1], "float64"],
        ["randn", [20], "float32"],
        ["randn", [5], "float64"],
        ["randn", [17], "float64"],
        ["randn", [1], "float32"],
        ["rand", [3], "float64"],
    ]
    integers: list[Step] = [
        ["randint", [0, 2, 9], "bool"],
        ["randint", [0, 256, 9], "uint8"],
        ["randint", [-(2**31), 2**31 - 1, 9], "int32"],
        ["randint", [-5, 5, 9], "float32"],
        ["randint", [2**24 + 1, 2**26 + 3, 9], "float32"],
        ["randint", [-(2**63), 2**63 - 1, 9], "int64"],
        ["randperm", [11], "int32"],
        ["randperm", [256], "uint8"],
        ["randperm", [128], "int8"],
        ["randint", [-300, 256, 9], "int16"],
        ["randperm", [12], "float32"],
        ["rand", [700], "float32"],
    ]
    in_place: list[Step] = [
        ["uniform_", [50, -1.3, 2.71], "float32"],
        ["uniform_", [50, -1.3, 2.71], "float64"],
        ["normal_", [9, 0.3, 1.7], "float32"],
        ["normal_", [50, 0.3, 1.7], "float32"],
        ["normal_", [50, 0.3, 1.7], "float64"],
        ["uniform_transposed", [8, 0.1, 0.77], "float32"],
        ["normal_transposed", [8, 0.0, 1.0], "float32"],
        ["normal_every_second", [33, 0.0, 1.0], "float64"],
        ["uniform_every_second", [33, 0.0, 1.0], "float64"],
        ["rand", [2], "float32"],
    ]
    return [odd_normals, integers, in_place]


def expressions() -> list[str]:
    """What is drawn on a fresh seed: texts that mean the same to torch and to autodiff, as L."""
    shapes = ["L.zeros({n}, dtype={d})", "L.zeros(3, {n}, dtype={d}).t()", "L.zeros(2 * {n})[::2]"]
    in_place = [
        *("exponential_()", "exponential_(2.5)", "log_normal_()", "log_normal_(-0.5, 0.3)"),
        *("cauchy_()", "cauchy_(1.5, 0.2)", "geometric_(0.3)", "bernoulli_()", "bernoulli_(0.83)"),
        *("random_()", "random_(9)", "random_(-5, 2**40)", "random_(3, None)"),
        "bernoulli_(L.tensor(0.3))",
    ]
    texts = [
        f"{shape.format(n=n, d=d)}.{call}"
        for call in in_place
        for shape in shapes
        for d in ("L.float32", "L.float64")
        for n in (3, 20)
    ]
    calls = ["random_()", "random_(2)", "random_(0, None)", "bernoulli_(0.4)", "geometric_(0.01)"]
    texts += [
        f"L.zeros(19, dtype=L.{d}).{call}"
        for call in calls
        for d in ("bool", "uint8", "int8", "int16", "int32", "int64")
        if (d, call) != ("bool", "geometric_(0.01)")
    ]
    for d in ("L.float32", "L.float64"):
        up = f"L.arange(1, 25, dtype={d})"
        rows = f"{up}.reshape(4, 6)"
        for p in (f"({up} / 25)", f"({rows} / 25)", f"({rows} / 25).t()"):
            texts += [
                f"L.bernoulli({p})",
                f"L.bernoulli({p}, 0.3)",
                f"L.zeros(24).bernoulli_({up}/25)",
            ]
        texts += [
            f"L.poisson({x})" for x in (f"{up} / 5", f"{rows}.t()", f"{up} * 1e4", f"{up} - 1")
        ]
        for w in (up, rows, f"{rows}.t()", f"{rows}[:, ::2]", f"({up} % 3)"):
            texts += [f"L.multinomial({w}, {n}, {r})" for n in (1, 3) for r in (True, False)]
        for mean, std in ((up, f"{up} / 9"), (f"{rows}.t()", "0.5"), ("-2.0", up), (up, "2.0")):
            texts.append(f"L.normal({mean}, {std})")
        texts += [f"L.normal({rows}, {up}[:6])", f"L.normal({up}[:5], {up}[:5])"]
        texts += [f"L.normal(0.3, 2.0, (3, 7), dtype={d})", f"L.normal({up}, 2.0, out=L.zeros(24))"]
        for like in ("rand_like({x})", "randn_like({x})", "randint_like({x}, 9)"):
            texts += [f"L.{like.format(x=x)}" for x in (up, f"{rows}.t()", f"{rows}[:, 1:].t()")]
    texts += [
        "L.zeros(9).random_(-(2**24), None)",
        "L.zeros(9, dtype=L.int64).random_(-(2**63), None)",
    ]
    return [*dict.fromkeys([*texts, *dropouts(), *inits()])]


def dropouts() -> list[str]:
    """Dropout of every kind: of elements and channels, of float and double, in memory order."""
    texts = []
    for d in ("L.float32", "L.float64"):
        x, cube = f"L.arange(1, 25, dtype={d})", f"L.arange(1, 25, dtype={d}).reshape(2, 3, 4)"
        wide = f"L.arange(1, 49, dtype={d}).reshape(2, 3, 4, 2)"
        part = f"{cube}[..., 1:].permute(2, 0, 1)"
        for given in (x, f"{cube}.permute(2, 0, 1)", f"L.ones(5, 7, dtype={d})[:, ::2]", part):
            for p in ("0.0", "0.1", "0.37", "1.0"):
                for name in ("dropout", "alpha_dropout"):
                    texts.append(f"L.nn.functional.{name}({given}, {p}, True)")
        texts += [
            f"L.nn.functional.dropout({x}, 0.4, {flags})" for flags in ("False", "True, True")
        ]
        texts += [
            f"L.nn.functional.alpha_dropout({x}, 0.4, True, True)",
            f"L.nn.functional.feature_alpha_dropout({cube}, 0.4, True)",
            f"L.nn.functional.feature_alpha_dropout({wide}, 0.4, True, True)",
            f"L.nn.functional.dropout1d({cube}, 0.4)",
            f"L.nn.functional.dropout1d({cube}[0], 0.4, inplace=True)",
            f"L.nn.functional.dropout2d({wide}, 0.4)",
            f"L.nn.functional.dropout2d({wide}, 1.0, inplace=True)",
            f"L.nn.functional.dropout3d({wide}, 0.4)",
            f"L.nn.functional.dropout3d({wide}[None], 0.4)",
        ]
        modules = ("Dropout(0.2)", "Dropout(0.2, True)", "Dropout(0.2).eval()", "AlphaDropout(0.2)")
        texts += [f"L.nn.{module}({x})" for module in modules]
        texts += [f"L.nn.{name}(0.3)({wide})" for name in ("Dropout2d", "Dropout3d")]
        texts += [f"L.nn.{name}(0.3)({cube})" for name in ("Dropout1d", "FeatureAlphaDropout")]
    return texts


def inits() -> list[str]:
    """The init functions that nn.json does not have."""
    texts = []
    for d in ("L.float32", "L.float64"):
        for shape in ("3, 5", "5, 3", "4, 4", "7, 2, 3", "40, 70", "1, 1"):
            texts.append(f"L.nn.init.orthogonal_(L.zeros({shape}, dtype={d}))")
        texts += [
            f"L.nn.init.orthogonal_(L.zeros(3, 4, dtype={d}).t(), gain=2.5)",
            f"L.nn.init.sparse_(L.zeros(6, 4, dtype={d}), 0.3)",
            f"L.nn.init.sparse_(L.zeros(4, 6, dtype={d}).t(), 0.6, std=2.0)",
            f"L.nn.init.dirac_(L.ones(4, 2, 3, dtype={d}), 2)",
        ]
    sizes = ("3, 2, 3", "2, 3, 4, 2", "2, 2, 1, 2, 3")
    return [*texts, *(f"L.nn.init.dirac_(L.ones({size}))" for size in sizes)]


def evaluate(lib: Any, expression: str) -> dict[str, Any]:
    """The dtype, shape and values of an expression on a fresh seed, and the number drawn next."""
    lib.manual_seed(17)
    x = eval(expression, {"L": lib})
    values = [float(v) for v in x.detach().reshape(-1)[:8].tolist()]
    following = lib.rand(1, dtype=lib.float64).item()
    kind = str(x.dtype).split(".")[-1]
    return {"dtype": kind, "shape": list(x.shape), "values": values, "next": following}


def states(lib: Any) -> list[list[Any]]:
    """Parts of the state: when seeded, amid draws, and with a normal kept."""
    found = []
    for n in (0, 3, 20, 700):
        lib.manual_seed(2**63 + 5)
        lib.randn(n)
        b = bytes(lib.get_rng_state().tolist())
        (kept,) = struct.unpack("<d", b[5024:5032])
        words = hashlib.sha256(b[:5024]).hexdigest()
        found.append([len(b), b[:24].hex(), words, kept, b[5032:].hex()])
    return found


ERRORS = [
    *(f"L.ones(5, dtype=L.int64).{name}_()" for name in ("normal", "uniform", "exponential")),
    *(f"L.ones(5, dtype=L.int64).{name}_()" for name in ("cauchy", "log_normal")),
    "L.ones(5, dtype=L.bool).geometric_(0.5)",
    "L.ones(5).uniform_(3, 2)",
    "L.ones(5).uniform_(-3e38, 3e38)",
    "L.ones(5).normal_(0, -1)",
    "L.ones(5).normal_(0, float('nan'))",
    *(f"L.ones(5).exponential_({rate})" for rate in ("0", "-1", "float('nan')")),
    *(f"L.ones(5).log_normal_(0, {std})" for std in (0, -1)),
    *(f"L.ones(5).cauchy_(0, {sigma})" for sigma in (0, -1)),
    *(f"L.ones(5).geometric_({p})" for p in ("0", "1", "-1", "float('nan')")),
    *(f"L.ones(5).bernoulli_({p})" for p in ("1.5", "-0.1", "float('nan')", "L.ones(5) * 2")),
    "L.ones(5).bernoulli_(L.ones(3) * 0.5)",
    "L.ones(3).bernoulli_(L.ones(5, 3) * 0.5)",
    "L.ones(5).bernoulli_(L.ones(5, dtype=L.int64))",
    "L.ones(5, requires_grad=True).bernoulli_()",
    "L.ones(1).expand(3).bernoulli_()",
    "L.ones(1).expand(3).random_()",
    "(lambda p: p[1:].bernoulli_(p[:-1]))(L.rand(8, generator=L.Generator()))",
    "L.ones(5).uniform_(generator=3)",
    "L.ones(5).random_(3, 2)",
    "L.ones(5).random_(0)",
    "L.ones(5, dtype=L.uint8).random_(300)",
    "L.ones(5, dtype=L.bool).random_(-1, 1)",
    *(f"L.bernoulli(L.ones(5) * {p})" for p in ("1.5", "float('nan')")),
    "L.bernoulli(L.ones(5), 1.5)",
    "L.bernoulli(L.ones(5, dtype=L.int64))",
    "L.bernoulli(L.ones(5, requires_grad=True), 0.5).sum().backward()",
    *(f"L.poisson(L.ones(5) * {rate})" for rate in ("-1", "float('nan')")),
    "L.poisson(L.ones(5, dtype=L.int64))",
    "L.poisson([1.0])",
    "L.normal(2.0, 3.0)",
    "L.normal(2.0, 3.0, 5)",
    "L.normal('a', 3.0, (5,))",
    "L.normal(2.0, -3.0, (5,))",
    "L.normal(L.ones(5), -1.0)",
    "L.normal(0.0, -L.ones(5))",
    "L.normal(L.ones(3), L.ones(4))",
    "L.normal(L.arange(3), 1.0)",
    "L.normal(L.ones(3, requires_grad=True), 1.0, out=L.zeros(3))",
    *(f"L.multinomial(L.tensor([1.0, 2.0]), {n})" for n in (3, 0, -1, 1.0)),
    *(f"L.multinomial(L.ones({size}), 1)" for size in ("()", "2, 2, 2", "0", "3, 0")),
    *(
        f"L.multinomial(L.tensor({w}), 2, {r})"
        for w in ("[-1.0, 2.0]", "[float('nan'), 2.0]", "[float('inf'), 2.0]", "[0.0, 0.0]")
        for r in (True, False)
    ),
    "L.multinomial(L.tensor([[1.0, 0.0], [0.0, 0.0]]), 2)",
    "L.multinomial(L.ones(3), 2, out=L.zeros(2))",
    "L.multinomial(L.arange(3), 2)",
    "L.multinomial([1.0], 1)",
    "L.multinomial(L.ones(2**24 + 1), 1)",
    "L.randint_like(L.ones(3), 5, 2)",
    "L.rand_like(L.arange(3))",
    "L.rand(3, dtype=L.int64)",
    "L.randperm(-1)",
    "L.randint(3, 3, (2,))",
    "L.randint(0, 257, (2,), dtype=L.uint8)",
    "L.randint(0, 129, (2,), dtype=L.int8)",
    "L.randint(-32769, 2, (2,), dtype=L.int16)",
    "L.randint(-1, 2, (2,), dtype=L.uint8)",
    *(
        f"L.Generator().manual_seed({seed})"
        for seed in ("'a'", "1.5", "True", "2**64", "-(2**63) - 1")
    ),
    "L.manual_seed('a')",
    "L.manual_seed(2**64)",
    "L.Generator('cuda')",
    "L.set_rng_state(3)",
    "L.set_rng_state(L.zeros(5056))",
    "L.set_rng_state(L.zeros(5055, dtype=L.uint8))",
    "L.set_rng_state(L.zeros(5056, dtype=L.uint8))",
]


def error_of(lib: Any, expression: str) -> str:
    """The type of the exception that an expression ends in; RuntimeError's own for its kinds."""
    try:
        eval(expression, {"L": lib})
    except Exception as error:
        return type(error).__name__
    return "none"


def main() -> None:
    """Writes random.json, a case a line."""
    import warnings

    import torch

    warnings.simplefilter("ignore")  # of bounds that a float cannot hold
    sequences = [[step] for step in single_steps()] + mixed_sequences()
    cases = [
        {"seed": seed, "steps": steps, "results": run(torch, seed, steps)}
        for seed in SEEDS
        for steps in sequences
    ]
    write(
        GOLDEN,
        states=states(torch),
        errors={text: error_of(torch, text) for text in ERRORS},
        expressions={text: evaluate(torch, text) for text in expressions()},
        cases=cases,
    )


if __name__ == "__main__":
    main()
