"""What a library costs before it computes: import time, installed size."""

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from contestants import US, Library
from fact import Fact
from timing import ratio

ROUNDS = 7


def facts(libraries: dict[str, Library]) -> list[Fact]:
    """Ours and PyTorch's, where PyTorch is."""
    if "torch" not in libraries:
        return []
    ours, theirs = import_times(US, "torch", ROUNDS)
    sizes = [installed_bytes(name) / 1e6 for name in (US, "torch")]
    return [
        Fact("import", median(ours), median(theirs), "s", ratio(ours, theirs)),
        Fact("installed size", *sizes, "MB", sizes[1] / sizes[0]),
    ]


def import_times(ours: str, theirs: str, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds that `import` adds to a bare interpreter, the two in alternating rounds."""
    for module in (ours, theirs):
        import_seconds(f"import {module}")  # fills the file cache, and that of bytecode
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        bare = import_seconds("pass")
        for name, samples in zip((ours, theirs), seconds, strict=True):
            samples.append(import_seconds(f"import {name}") - bare)
    return seconds


def import_seconds(code: str) -> float:
    """Seconds of an interpreter that runs `code` alone."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    return time.perf_counter() - start


def installed_bytes(module: str) -> int:
    """Size of an imported package's folder, without the bytecode Python caches."""
    origin = sys.modules[module].__file__
    assert origin is not None
    files = (path for path in Path(origin).parent.rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files if "__pycache__" not in path.parts)
