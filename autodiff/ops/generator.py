"""Generators of random numbers, and the default one: PyTorch's, states included."""

from __future__ import annotations

import os
import threading
from typing import Any

from autodiff import dtypes
from autodiff.changes import changes, recorder_here
from autodiff.devices import CPU, device
from autodiff.native import error, ffi, lib
from autodiff.ops.create import empty
from autodiff.ops.guard import must_be
from autodiff.tensor import Tensor

DEFAULT_SEED = 67280421310721  # PyTorch's
INVALID = "Invalid mt19937 state: it is not one that get_state() gave"


class Generator:
    """A source of random numbers with a state of its own.

    Copies and pickles go on from the same state, each for itself.

    >>> g = ad.Generator().manual_seed(0)
    >>> ad.rand(2, generator=g)
    tensor([0.4963, 0.7682])
    """

    def __init__(self, device: str | None = "cpu") -> None:
        if not isinstance(device, (str, int, type(None))):
            raise TypeError(f"Generator: device must be a str, not {type(device).__name__}")
        if device not in ("cpu", None):
            raise RuntimeError(f"Generator: device {device!r} is not supported; only 'cpu' is")
        native = lib.ad_rng_new(DEFAULT_SEED)
        if not native:
            raise error("Generator")
        self.native = ffi.gc(native, lib.ad_rng_free)
        if recorder_here():
            self.manual_seed(DEFAULT_SEED)  # as a run begins with, though no new one is made

    @property
    def device(self) -> device:
        """Always the CPU."""
        return CPU

    def manual_seed(self, seed: int) -> Generator:
        """Start over from a seed, taken modulo 2^64. ValueError where it does not fit 64 bits."""
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise RuntimeError(f"manual_seed expected a long, but got {type(seed).__name__}")
        if not -(2**63) <= seed < 2**64:
            raise ValueError(
                f"Overflow when unpacking long long: the seed {seed} does not fit 64 bits"
            )
        if lib.ad_rng_seed(native_generator(self, "manual_seed"), seed % 2**64):
            raise error("manual_seed")
        return self

    def initial_seed(self) -> int:
        """The seed the generator, or the state it was given, started from."""
        return int(lib.ad_rng_initial_seed(self.native))

    def seed(self) -> int:
        """Start over from a seed that the operating system draws; returns it."""
        drawn = int.from_bytes(os.urandom(8), "little")
        if recorder := recorder_here():
            recorder.notice(lib.AD_TAPE_SEED)
        self.manual_seed(drawn)
        return drawn

    def get_state(self) -> Tensor:
        """The state as 5056 bytes in a uint8 tensor: those of PyTorch's CPU generator."""
        x = empty(lib.ad_rng_state_size(), dtype=dtypes.uint8)
        if lib.ad_rng_get_state(native_generator(self, "get_state"), x._p):
            raise error("get_state")
        return x

    def set_state(self, new_state: Tensor) -> Generator:
        """Go on from a state that get_state gave, here or in PyTorch."""
        if not isinstance(new_state, Tensor):
            raise TypeError(f"expected a torch.ByteTensor, but got {type(new_state).__name__}")
        if new_state.dtype is not dtypes.uint8:
            raise TypeError(f"RNG state must be a torch.ByteTensor, not {new_state.dtype!r}")
        size = lib.ad_rng_state_size()
        if new_state.numel() != size:
            raise RuntimeError(
                f"Expected a CPUGeneratorImplState of size {size} but found the input RNG state "
                f"size to be {new_state.numel()}"
            )
        state = new_state.contiguous()
        if lib.ad_rng_set_state(native_generator(self, "set_state"), state._p):
            raise RuntimeError(INVALID)
        return self

    def clone_state(self) -> Generator:
        """A new generator in the same state."""
        return Generator().set_state(self.get_state())

    def __reduce__(self) -> tuple[Any, ...]:
        return Generator, (self.device,), self.get_state()

    def __setstate__(self, state: Tensor) -> None:
        self.set_state(state)


default_generator = Generator()


class _Thread(threading.local):
    generator: Generator | None = None


_thread = _Thread()


def use_in_this_thread(generator: Generator) -> None:
    """Make a generator the default one of this thread, which then disturbs no other."""
    _thread.generator = generator


def current_generator() -> Generator:
    """The default generator of this thread."""
    return _thread.generator or default_generator


def native_generator(generator: Generator | None, function: str) -> Any:
    """The handle of a generator, or of the default one for None. TypeError for anything else."""
    if generator is None:
        generator = _thread.generator or default_generator
    elif not isinstance(generator, Generator):
        raise must_be(function, "generator", "Generator", generator)
    if changes.recorder is not None and (recorder := recorder_here()):
        recorder.keep(generator)
    return generator.native


def manual_seed(seed: int) -> Generator:
    """Start the default generator over from a seed.

    >>> g = ad.manual_seed(0)
    >>> ad.rand(2)
    tensor([0.4963, 0.7682])
    """
    return current_generator().manual_seed(int(seed))


def initial_seed() -> int:
    """The seed of the default generator.

    >>> g = ad.manual_seed(7)
    >>> ad.initial_seed()
    7
    """
    return current_generator().initial_seed()


def seed() -> int:
    """Start the default generator over from a seed that the operating system draws.

    >>> ad.seed() == ad.initial_seed()
    True
    """
    return current_generator().seed()


def get_rng_state() -> Tensor:
    """The state of the default generator.

    >>> state = ad.get_rng_state()
    >>> x = ad.rand(3)
    >>> ad.set_rng_state(state)
    >>> ad.equal(ad.rand(3), x)
    True
    """
    return current_generator().get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Go on from a state of the default generator.

    >>> state = ad.get_rng_state()
    >>> ad.set_rng_state(state)
    """
    current_generator().set_state(new_state)
