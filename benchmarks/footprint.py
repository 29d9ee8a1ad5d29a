"""What a library costs besides time: to import, to install, to hold a training step in memory."""

import os
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from contestants import US, Library
from fact import Fact
from timing import ratio

ROUNDS = 7
STEPS = """
import {name} as ad


def status(field):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


def train(sizes, batch, steps):
    layers = []
    for i, (fan_in, fan_out) in enumerate(zip(sizes, sizes[1:])):
        layers += [ad.nn.ReLU()] if i else []
        layers.append(ad.nn.Linear(fan_in, fan_out))
    model = ad.nn.Sequential(*layers)
    optimizer = ad.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    x, target = ad.randn(batch, sizes[0]), ad.randint(0, sizes[-1], (batch,))
    for _ in range(steps):
        loss = ad.nn.CrossEntropyLoss()(model(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


ad.set_num_threads(1)
train((4, 4, 4, 4), 4, 3)  # what is loaded at the first use is no part of it
before = status("VmRSS")
open("/proc/self/clear_refs", "w").write("5")  # the peak, from now on
train((784, 1024, 1024, 10), 64, 5)
print((status("VmHWM") - before) * 1024)
"""


def facts(libraries: dict[str, Library]) -> list[Fact]:
    """Ours and PyTorch's, where PyTorch is."""
    if "torch" not in libraries:
        return []
    ours, theirs = import_times(US, "torch", ROUNDS)
    sizes = [installed_bytes(name) / 1e6 for name in (US, "torch")]
    packed = [packed_bytes(name) / 1e6 for name in (US, "torch")]
    peaks = [median(training_bytes(name) for _ in range(3)) / 1e6 for name in (US, "torch")]
    return [
        Fact("import", median(ours), median(theirs), "s", ratio(ours, theirs)),
        Fact("installed size", *sizes, "MB", sizes[1] / sizes[0]),
        Fact("the same packed, as in a wheel", *packed, "MB", packed[1] / packed[0]),
        Fact("peak memory, 784-1024-1024-10", *peaks, "MB", peaks[1] / peaks[0]),
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


def installed_files(module: str) -> Iterator[Path]:
    """An imported package's, without the bytecode Python caches."""
    origin = sys.modules[module].__file__
    assert origin is not None
    files = (path for path in Path(origin).parent.rglob("*") if path.is_file())
    return (path for path in files if "__pycache__" not in path.parts)


def installed_bytes(module: str) -> int:
    """Their size."""
    return sum(path.stat().st_size for path in installed_files(module))


def packed_bytes(module: str) -> int:
    """Their size when deflated, which is what is downloaded."""
    total = 0
    for path in installed_files(module):
        pack = zlib.compressobj()
        with path.open("rb") as file:
            total += sum(len(pack.compress(part)) for part in iter(lambda: file.read(1 << 20), b""))
        total += len(pack.flush())
    return total


def training_bytes(name: str) -> float:
    """Resident bytes that training at batch 64, with momentum, adds at its peak."""
    command = [sys.executable, "-c", STEPS.format(name=name)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
