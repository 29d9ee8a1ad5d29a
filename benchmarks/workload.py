"""What a workload is: a text for each kind of library, the work it takes, and the bar."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from contestants import US, Array, Library, array_of, waiting

Run = Callable[[], Any]  # does the work once and returns what to compare
Make = Callable[[Library], Run]
Operands = Callable[[], Sequence[Array]]
Text = Callable[..., Any]  # of a library and arrays: `lambda lib, x: lib.exp(x)`


@dataclass(frozen=True)
class Workload:
    """A named piece of work.

    `makes` prepares it for each contestant. The bar: `target` times as fast as the best of
    `against`, but for the peers that `targets` names. `size` is its place on the plot of its group, one line for each `line`; `work` is how
    many flop or bytes (`unit`) it takes, to be held against the machine's limit. One run counts for
    `parts` units.
    """

    name: str
    group: str
    makes: Mapping[str, Make]
    target: float = 1.0
    against: tuple[str, ...] = ("torch", "numpy", "jax")
    targets: Mapping[str, float] = field(default_factory=dict)  # of peers held to another target
    size: int | None = None
    line: str = ""
    work: float | None = None
    unit: str = ""
    limit: float | None = None  # the share of the machine's limit to be reached
    parts: int = 1
    quick: bool = False  # part of the short suite
    tolerance: float = 1e-4
    threads: tuple[int, ...] = field(default=(1, 0))  # with how many it is timed; 0 is all cores


def calls(
    name: str,
    group: str,
    operands: Operands,
    *,
    everywhere: Text | None = None,
    torch: Text | None = None,
    numpy: Text | None = None,
    jax: Text | None = None,
    **rest: Any,
) -> Workload:
    """A workload that is one expression of arrays.

    `everywhere` is its text where all libraries spell it alike; `torch` is ours and PyTorch's;
    `jax` (of jax.numpy, jitted) is NumPy's where nothing else is said.
    """
    torch = torch or everywhere
    numpy = numpy or everywhere
    jax = jax or numpy
    makes: dict[str, Make] = {}
    if torch is not None:
        makes |= {name: _calling(name, torch, operands) for name in (US, "torch")}
    if numpy is not None:
        makes["numpy"] = _calling("numpy", numpy, operands)
    if jax is not None:
        makes["jax"] = _jitted(jax, operands)
    return Workload(name, group, makes, **rest)


def _calling(name: str, text: Text, operands: Operands) -> Make:
    def make(library: Library) -> Run:
        arrays = [array_of(name, library, x) for x in operands()]
        return lambda: text(library, *arrays)

    return make


def _jitted(text: Text, operands: Operands) -> Make:
    def make(library: Library) -> Run:
        arrays = [array_of("jax", library, x) for x in operands()]
        compiled = library.jit(lambda *given: text(library.numpy, *given))
        return waiting(lambda: compiled(*arrays))

    return make


def same(make: Make) -> dict[str, Make]:
    """The makes of a text that ours and PyTorch share: a training step, a stateful object."""
    return {US: make, "torch": make}


def normal(*shape: int, dtype: str = "float32", seed: int = 0) -> Array:
    """Normally distributed numbers, the same for every library."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def uniform(*shape: int, low: float = 0.0, high: float = 1.0, dtype: str = "float32") -> Array:
    """Uniformly distributed numbers, the same for every library."""
    return np.random.default_rng(1).uniform(low, high, shape).astype(dtype)


def integers(*shape: int, high: int, low: int = 0, dtype: str = "int64") -> Array:
    """Uniformly distributed integers, the same for every library."""
    return np.random.default_rng(2).integers(low, high, shape, dtype=dtype)
