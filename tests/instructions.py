"""Instructions that our extension executes for fixed pieces of work, as callgrind counts them.

As a script, under callgrind, it does the work, between calls of a native function that make
callgrind write down what it has counted. Only the extension's own instructions are taken, so
neither Python's version nor the C library's matters much, and start-up not at all.
"""

import gc
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import autodiff as ad
from autodiff import _native
from autodiff.native import ffi, lib

MARK = "ad_memory_stats"  # which nothing below calls
WARM_UP = 2
ISA = "avx2"

Run = Callable[[], Any]


def add() -> Run:
    x, y = ad.ones(1), ad.ones(1)
    return lambda: x + y


def add_with_graph() -> Run:
    x, y = ad.ones(1, requires_grad=True), ad.ones(1)
    return lambda: x + y


def matmul() -> Run:
    x = ad.ones(64, 64)
    return lambda: x @ x


def gelu() -> Run:
    x = ad.linspace(-4, 4, 100_000)
    return lambda: ad.nn.functional.gelu(x)


def softmax() -> Run:
    x = ad.linspace(-4, 4, 512_000).reshape(512, 1000)
    return lambda: x.softmax(1)


def sum_of_rows() -> Run:
    x = ad.linspace(-4, 4, 512_000).reshape(512, 1000)
    return lambda: x.sum(1)


def logic() -> Run:
    x = ad.linspace(-4, 4, 100_000)
    low, high = x < -1, x > 1
    return lambda: low | high


def training_step() -> Run:
    ad.manual_seed(17)
    x, target = ad.randn(9, 1), ad.randn(9, 1)
    model = ad.nn.Sequential(ad.nn.Linear(1, 13), ad.nn.Tanh(), ad.nn.Linear(13, 1))
    loss_fn = ad.nn.MSELoss()
    optimizer = ad.optim.SGD(model.parameters(), lr=1e-3)

    def run() -> None:
        loss = loss_fn(model(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return run


def adam_step() -> Run:
    parameters = [ad.ones(100, requires_grad=True) for _ in range(10)]
    for p in parameters:
        p.grad = ad.ones(100)
    return ad.optim.Adam(parameters, lr=1e-3).step


WORK: dict[str, tuple[Callable[[], Run], int]] = {  # and how often it is repeated
    "x + y, one element": (add, 20),
    "x + y with a graph": (add_with_graph, 20),
    "matmul 64x64x64": (matmul, 2),
    "gelu of 100,000": (gelu, 1),
    "softmax over rows of 512x1000": (softmax, 1),
    "sum over rows of 512x1000": (sum_of_rows, 1),
    "logic of 100,000 truth values": (logic, 1),
    "training step 1-13-1, batch 9": (training_step, 5),
    "Adam step of 10 parameters": (adam_step, 5),
}


def do_everything() -> None:
    """What callgrind watches."""
    gc.disable()
    stats = ffi.new("int64_t[4]")
    for make, times in WORK.values():
        run = make()
        for _ in range(WARM_UP):
            run()
        lib.ad_memory_stats(stats)
        for _ in range(times):
            run()
        lib.ad_memory_stats(stats)


def count(folder: Path) -> dict[str, int]:
    """Instructions of one repetition of each piece of work."""
    out = folder / "callgrind.out"
    command = ["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={out}"]
    command += [f"--dump-before={MARK}", sys.executable, __file__]
    environment = os.environ | {
        "AUTODIFF_ISA": ISA,
        "AUTODIFF_NUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": str(Path(ad.__file__).parents[1]),
    }
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(result.stderr)
    counts = {}
    for index, (name, (_, times)) in enumerate(WORK.items()):
        dump = Path(f"{out}.{2 * index + 2}")  # the one before it is of the warm-up
        if not dump.exists():
            raise RuntimeError(f"callgrind did not see {MARK}: is the extension without symbols?")
        counts[name] = round(of_extension(dump.read_text()) / times)
    return counts


def of_extension(dump: str) -> int:
    """The sum of what the functions of our extension executed themselves, in a dump of callgrind.

    `ob=` names the file of the functions that follow, by a number after the first time. A line of
    costs is a position and a count; the one after `calls=` is of a callee, and not their own.
    """
    extension = os.path.realpath(_native.__file__)
    ours: dict[str, bool] = {}
    total, inside, of_callee = 0, False, False
    for line in dump.splitlines():
        key, equals, value = line.partition("=")
        if equals and key in ("ob", "cob"):
            number, _, path = value.partition(" ")
            if path:
                ours[number] = path == extension
            if key == "ob":
                inside = ours[number]
        elif key == "calls":
            of_callee = True
        elif line[:1] in "0123456789+-*" and line:
            if inside and not of_callee:
                total += int(line.split()[1])
            of_callee = False
    return total


if __name__ == "__main__":
    do_everything()
