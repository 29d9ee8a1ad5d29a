"""Records what PyTorch's CPU generator gives, as random.json: run it where torch is installed.

A case is a seed and steps; each step is a function, its arguments and a dtype. The test runs the
same steps on autodiff with the `draw` and `summary` of this file, so both sides read alike.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from pathlib import Path
from typing import Any

SEEDS = [0, 17, 123456789012345]
SIZES = [1, 2, 7, 15, 16, 17, 31, 100, 1000, 10000]
TYPECODES = {"float32": "f", "float64": "d", "int64": "q", "int32": "i", "uint8": "B", "bool": "B"}
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
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    GOLDEN.write_text(f'{{"torch":"{torch.__version__}","cases":[\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
