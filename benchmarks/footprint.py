"""What a library costs before it computes: import time, installed size."""

import os
import subprocess
import sys
import time
from pathlib import Path

from timing import Comparison, summary


def compare_imports(ours: str, theirs: str, rounds: int) -> Comparison:
    """Seconds that `import` adds to a bare interpreter, the two in alternating rounds."""
    for module in (ours, theirs):
        import_seconds(f"import {module}")  # fills the file cache, and that of bytecode
    samples = []
    for _ in range(rounds):
        bare = import_seconds("pass")
        samples.append(tuple(import_seconds(f"import {name}") - bare for name in (ours, theirs)))
    return summary([(mine, other) for mine, other in samples])


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
