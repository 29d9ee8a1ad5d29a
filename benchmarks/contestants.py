"""The libraries compared: how each is held to some threads, given arrays, and waited for."""

import importlib
import importlib.util
import os
from collections.abc import Callable
from typing import Any

Library = Any
Array = Any

US = "autodiff"
ALONE = "autodiff, 1 thread"  # ourselves again, where all cores are timed
PEERS = ("torch", "numpy", "jax")
TITLES = {US: "autodiff", ALONE: "1 thread", "torch": "PyTorch", "numpy": "NumPy", "jax": "jax.jit"}


def restrict(threads: int) -> int:
    """Give this process `threads` cores, or all; the number of them.

    Call it before any library is imported: BLAS and XLA count the cores and read these variables
    as they load. NumPy's OpenBLAS chooses its kernels by itself: what would pin them is unset.
    """
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[-threads:])
        threads = min(threads or len(cores), len(cores))
    threads = threads or os.cpu_count() or 1
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        os.environ.pop(name, None)
    os.environ["AUTODIFF_NUM_THREADS"] = str(threads)
    os.environ["JAX_PLATFORMS"] = "cpu"
    if threads == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    return threads


def load(threads: int, wanted: tuple[str, ...] = PEERS) -> dict[str, Library]:
    """The contestants that are installed, by name."""
    libraries: dict[str, Library] = {}
    for name in (US, *wanted):
        if importlib.util.find_spec(name) is not None:
            libraries[name] = importlib.import_module(name)
    for name in (US, "torch"):
        if name in libraries:
            libraries[name].set_num_threads(threads)
    if threads > 1:
        libraries[ALONE] = libraries[US]
    if "jax" in libraries:
        libraries["jax"].config.update("jax_enable_x64", True)
        libraries["jax"].config.update("jax_cpu_enable_async_dispatch", False)
    return libraries


def array_of(name: str, library: Library, values: Array) -> Array:
    """A NumPy array as the library's own, in memory of its own."""
    if name == "numpy":
        return values.copy(order="K")
    if name == "jax":
        return library.numpy.asarray(values)
    return library.from_numpy(values).clone()


def to_numpy(value: Any) -> Array:
    """A result as a NumPy array, whichever library it is of; of several, the first."""
    if isinstance(value, tuple | list):
        return to_numpy(value[0])
    if hasattr(value, "detach"):
        return value.detach().numpy()
    return importlib.import_module("numpy").asarray(value)


def waiting(run: Callable[[], Any]) -> Callable[[], Any]:
    """A run of jax that ends when its result is there."""

    def wait() -> Any:
        return importlib.import_module("jax").block_until_ready(run())

    return wait
