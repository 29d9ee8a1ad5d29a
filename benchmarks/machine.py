"""Where a comparison ran: the processor, and what the libraries say of themselves."""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

from compiled import compiler_version
from contestants import US, Library

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


def describe(libraries: dict[str, Library]) -> dict[str, str]:
    """Facts of the machine and versions, in the order they are shown."""
    lib, ffi = libraries[US].native.lib, libraries[US].native.ffi
    facts = {
        "processor": processor(),
        "cores": str(os.cpu_count()),
        "caches": caches(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "compiler of limits.c": compiler_version(),
        "autodiff": f"{libraries[US].__version__}, {ffi.string(lib.ad_isa()).decode()} kernels, "
        f"compiled by {ffi.string(lib.ad_compiler()).decode()}",
    }
    tellers = {"torch": torch_facts, "numpy": numpy_facts, "jax": jax_facts}
    for name, tell in tellers.items():
        if name in libraries:
            facts |= tell(libraries[name])
    return facts


def processor() -> str:
    """The model, as Linux words it where that can be read."""
    try:
        found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def caches() -> str:
    """Levels, kinds and sizes of the first core's caches."""
    told = []
    for cache in sorted(CACHES.glob("index*")):
        level, kind, size = ((cache / x).read_text().strip() for x in ("level", "type", "size"))
        letter = {"Data": "d", "Instruction": "i"}.get(kind, "")
        told.append(f"L{level}{letter} {size}")
    return ", ".join(told) or "unknown"


def torch_facts(torch: Library) -> dict[str, str]:
    """PyTorch's version, the instructions of its own kernels, and its BLAS with those of that."""
    blas = re.search(r"BLAS_INFO=(\w+)", torch.__config__.show())
    facts = {
        "PyTorch": f"{torch.__version__}, {torch.backends.cpu.get_cpu_capability()} kernels",
        "PyTorch's BLAS": blas[1] if blas else "unknown",
    }
    if torch.backends.mkl.is_available():
        facts["PyTorch's BLAS"] = mkl()
    return facts


def mkl() -> str:
    """What MKL says of itself at its first product: its version, and the processor it sees."""
    code = "import torch; x = torch.ones(64, 64); x @ x"
    environment = os.environ | {"MKL_VERBOSE": "1"}
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found = re.search(r"MKL_VERBOSE (.+?) for (.+?),? (?:\w*:|Lnx|Linux)", told.stdout)
    return f"{found[1]} for {found[2]}" if found else "MKL"


def numpy_facts(numpy: Library) -> dict[str, str]:
    """NumPy's version; its OpenBLAS, and the kernel that chose for this processor."""
    facts = {"NumPy": numpy.__version__}
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return facts
    for pool in threadpool_info():
        if pool["internal_api"] == "openblas" and "numpy" in pool["filepath"]:
            unset = [n for n in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE") if n not in os.environ]
            facts["NumPy's BLAS"] = (
                f"OpenBLAS {pool['version']}, kernel {pool['architecture']}, "
                f"{pool['num_threads']} thread(s); unset: {', '.join(unset)}"
            )
    return facts


def jax_facts(jax: Library) -> dict[str, str]:
    """The versions of jax and of jaxlib, which brings XLA."""
    import jaxlib

    return {"jax": f"{jax.__version__}, jaxlib {jaxlib.__version__}, float64 allowed"}
