"""C helpers of the benchmarks, compiled when they are needed."""

import ctypes
import os
import shlex
import subprocess
from pathlib import Path

COMPILER = shlex.split(os.environ.get("CC", "cc"))


def load_c(name: str, folder: Path, *flags: str) -> ctypes.CDLL:
    """The library made of NAME.c, which lies beside this file; compiled into `folder`."""
    source, target = Path(__file__).with_name(f"{name}.c"), folder / f"{name}.so"
    command = [*COMPILER, "-O2", "-shared", "-fPIC", *flags, str(source), "-o", str(target), "-lm"]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(target))


def compiler_version() -> str:
    """What the compiler calls itself."""
    result = subprocess.run([*COMPILER, "--version"], capture_output=True, text=True, check=True)
    return result.stdout.splitlines()[0]
