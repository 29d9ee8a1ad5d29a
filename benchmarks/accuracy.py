"""Largest errors of the elementary functions, in units in the last place (ulp).

python benchmarks/accuracy.py [--full] [--isa NAME] [--library torch] [function ...]

Each variant of the kernels this machine can run is measured in a process of its own. float32
functions of one argument see every 257th bit pattern, with --full all 2^32; float64 functions and
pow see samples chosen where such functions go wrong (ulps.c). The exit status is 1 where a bound is
exceeded. Needs a C compiler, for the references.
"""

import argparse
import ctypes
import importlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from compiled import load_c

FUNCTIONS = (
    *("exp", "exp2", "expm1", "log", "log1p", "sin", "cos", "tan"),
    *("tanh", "erf", "erfc", "sigmoid", "atan"),
    *("sqrt", "rsqrt", "reciprocal", "pow"),
)
BOUNDS = {"float32": 2.0, "float64": 4.0}
OTHERS = {"sqrt": 0.5, "reciprocal": 0.5, "tan": 3.0, "erfc": 5.0}
ISAS = ("baseline", "avx2", "avx512", "neon")
CHUNK = 1 << 16
STEP = 257  # prime, so that all low bits are met
SAMPLES = {False: 1 << 22, True: 1 << 28}
C_TYPES = {"float32": ctypes.c_float, "float64": ctypes.c_double}
ROW = "{:<11} {:<8} {:<9} {:>7}  {:<42} {:>11}"


class Worst(NamedTuple):
    """The largest error, the input it was found at, and how many inputs were tried."""

    ulps: float
    at: str
    inputs: int


def main() -> None:
    options = parse_options()
    if options.library == "autodiff" and options.isa != os.environ.get("AUTODIFF_ISA", ""):
        chosen = [options.isa] if options.isa else [isa for isa in ISAS if available(isa)]
        raise SystemExit(max([run_isa(isa, isa == chosen[0]) for isa in chosen]))
    library = importlib.import_module(options.library)
    if options.header:
        print(ROW.format("function", "dtype", "variant", "ulp", "at", "inputs"), flush=True)
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        reference = compile_reference(Path(folder))
        for name in options.functions or FUNCTIONS:
            for dtype in options.dtype or BOUNDS:
                worst = measure(library, reference, name, dtype, options.full)
                variant = options.isa or options.library
                row = (name, dtype, variant, f"{worst.ulps:.3f}", worst.at, worst.inputs)
                failed |= not worst.ulps <= bound(name, dtype)
                print(ROW.format(*row), flush=True)
    raise SystemExit(failed)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("functions", nargs="*", metavar="function", help=" ".join(FUNCTIONS))
    parser.add_argument("--full", action="store_true", help="all 2^32 float32 patterns")
    parser.add_argument("--isa", choices=ISAS, help="one variant of the kernels (all)")
    parser.add_argument("--dtype", choices=BOUNDS, action="append", help="one dtype (both)")
    parser.add_argument("--library", default="autodiff", choices=("autodiff", "torch"))
    parser.add_argument("--no-header", dest="header", action="store_false")
    options = parser.parse_args()
    if unknown := set(options.functions) - set(FUNCTIONS):
        parser.error(f"no function {', '.join(unknown)}; choose from {' '.join(FUNCTIONS)}")
    return options


def in_isa(isa: str, *command: str) -> "subprocess.CompletedProcess[bytes]":
    path = os.pathsep.join([str(Path(__file__).parent.parent), *sys.path])
    env = os.environ | {"AUTODIFF_ISA": isa, "PYTHONPATH": path}
    quiet = subprocess.DEVNULL if command[0] == "-c" else None
    return subprocess.run([sys.executable, *command], env=env, stderr=quiet)


def available(isa: str) -> bool:
    return in_isa(isa, "-c", "import autodiff").returncode == 0


def run_isa(isa: str, header: bool) -> int:
    rest = [] if header else ["--no-header"]
    return in_isa(isa, *sys.argv, "--isa", isa, *rest).returncode


def bound(name: str, dtype: str) -> float:
    return OTHERS.get(name, BOUNDS[dtype])


def compile_reference(folder: Path) -> ctypes.CDLL:
    reference = load_c("ulps", folder, "-ffp-contract=off")
    for dtype in BOUNDS:
        getattr(reference, f"worst_{dtype}").restype = ctypes.c_double
    return reference


def measure(library: Any, reference: ctypes.CDLL, name: str, dtype: str, full: bool) -> Worst:
    """The worst of all inputs, a chunk at a time; both sides read the tensors where they lie."""
    function, arity = getattr(library, name), 2 if name == "pow" else 1
    operands = [library.zeros(CHUNK, dtype=getattr(library, dtype)) for _ in range(arity)]
    pointers = [ctypes.c_void_p(x.data_ptr()) for x in operands]
    index, at, worst = reference.find(name.encode()), ctypes.c_int64(), Worst(-1.0, "", 0)
    total = 1 << 32 if full else (1 << 32) // STEP + 1
    total = total if dtype == "float32" and arity == 1 else SAMPLES[full]
    n = ctypes.c_int64(CHUNK)
    for first in range(0, total, CHUNK):
        fill(reference, dtype, pointers, first, 1 if full else STEP)
        got = function(*operands)
        pair = (*pointers, None)[:2]
        result = ctypes.c_void_p(got.data_ptr())
        error = getattr(reference, f"worst_{dtype}")(index, n, *pair, result, ctypes.byref(at))
        if error > worst.ulps:
            where = ", ".join(float(x[at.value]).hex() for x in operands)
            worst = worst._replace(ulps=error, at=where)
    return worst._replace(inputs=-(-total // CHUNK) * CHUNK)


def fill(
    reference: ctypes.CDLL, dtype: str, pointers: list[ctypes.c_void_p], first: int, step: int
) -> None:
    n, start = ctypes.c_int64(CHUNK), ctypes.c_int64(first)
    if len(pointers) == 2:
        getattr(reference, f"pairs_{dtype}")(n, *pointers, start)
    elif dtype == "float64":
        reference.points_float64(n, *pointers, start)
    else:
        reference.patterns_float32(n, *pointers, ctypes.c_int64(first * step), ctypes.c_int64(step))


if __name__ == "__main__":
    main()
