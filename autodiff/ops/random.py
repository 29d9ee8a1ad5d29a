"""Random numbers: PyTorch's CPU generator, so that equal seeds give equal numbers."""

from __future__ import annotations

import math
import os
from typing import Any

from autodiff import dtypes
from autodiff.dtypes import dtype
from autodiff.native import error, ffi, lib
from autodiff.node import mode
from autodiff.ops.create import empty, empty_like
from autodiff.ops.history import check_writable
from autodiff.shapes import sizes_of
from autodiff.tensor import Tensor

DEFAULT_SEED = 67280421310721  # PyTorch's


class Generator:
    """A source of random numbers with a state of its own."""

    def __init__(self, device: str = "cpu") -> None:
        if device != "cpu":
            raise RuntimeError(f"Generator: device {device!r} is not supported; only 'cpu' is")
        self._seed = DEFAULT_SEED
        self.native = ffi.gc(lib.ad_rng_new(DEFAULT_SEED), lib.ad_rng_free)

    def manual_seed(self, seed: int) -> Generator:
        """Start over from a seed, taken modulo 2^64."""
        if not -(2**63) <= seed < 2**64:
            raise RuntimeError(
                f"Overflow when unpacking long long: the seed {seed} does not fit 64 bits"
            )
        self._seed = seed % 2**64
        lib.ad_rng_seed(self.native, self._seed)
        return self

    def initial_seed(self) -> int:
        """The seed the generator started from."""
        return self._seed

    def seed(self) -> int:
        """Start over from a seed that the operating system draws; returns it."""
        self.manual_seed(int.from_bytes(os.urandom(8), "little"))
        return self._seed

    def get_state(self) -> Tensor:
        """The state, as bytes in a uint8 tensor."""
        x = empty(lib.ad_rng_state_size(), dtype=dtypes.uint8)
        lib.ad_rng_get_state(self.native, ffi.cast("uint8_t *", x._p.data))
        return x

    def set_state(self, new_state: Tensor) -> Generator:
        """Go on from a state that get_state gave. RuntimeError for any other tensor."""
        size = lib.ad_rng_state_size()
        if not isinstance(new_state, Tensor) or new_state.dtype is not dtypes.uint8:
            raise TypeError("expected a torch.ByteTensor, the result of get_state()")
        if new_state.shape != (size,):
            raise RuntimeError(
                f"RNG state is wrong size: expected {size} bytes, got shape {list(new_state.shape)}"
            )
        state = new_state.contiguous()
        if lib.ad_rng_set_state(self.native, ffi.cast("uint8_t *", state._p.data)):
            raise RuntimeError("RNG state is not one that get_state() gave")
        return self


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Start the default generator over from a seed."""
    return default_generator.manual_seed(seed)


def initial_seed() -> int:
    """The seed of the default generator."""
    return default_generator.initial_seed()


def seed() -> int:
    """Start the default generator over from a seed that the operating system draws."""
    return default_generator.seed()


def get_rng_state() -> Tensor:
    """The state of the default generator."""
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Go on from a state of the default generator."""
    default_generator.set_state(new_state)


def _draw(x: Tensor, name: str, generator: Generator | None, *args: Any) -> Tensor:
    """Fill x natively; the write takes it out of the graph."""
    if mode.grad:
        check_writable(x, f"{name}_")
    if not isinstance(generator, (Generator, type(None))):
        raise TypeError(f"{name}_(): generator must be a Generator, not {type(generator).__name__}")
    rng = (generator or default_generator).native
    if getattr(lib, f"ad_rng_{name}")(rng, x._p, *args):
        raise error(f"{name}_", x._p)
    if mode.grad and x._base is None and not x.is_leaf:
        x._node = None
    return x


def uniform_(
    x: Tensor, from_: float = 0.0, to: float = 1.0, *, generator: Generator | None = None
) -> Tensor:
    """Fill with numbers from the uniform distribution on [from, to)."""
    low, high = float(from_), float(to)
    if not low <= high or not math.isfinite(high - low):
        raise RuntimeError(
            f"uniform_ expects to return a [from, to) range, but found from={low} > to={high}"
        )
    return _draw(x, "uniform", generator, low, high)


def normal_(
    x: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None
) -> Tensor:
    """Fill with numbers from the normal distribution."""
    if not std >= 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    return _draw(x, "normal", generator, float(mean), float(std))


def _finish(x: Tensor, requires_grad: bool) -> Tensor:
    return x.requires_grad_() if requires_grad else x


def rand(
    *sizes: Any,
    size: Any = None,
    generator: Generator | None = None,
    dtype: dtype | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers from the uniform distribution on [0, 1)."""
    x = empty(sizes_of(sizes, "rand", size), dtype=dtype)
    return _finish(uniform_(x, generator=generator), requires_grad)


def randn(
    *sizes: Any,
    size: Any = None,
    generator: Generator | None = None,
    dtype: dtype | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers from the standard normal distribution."""
    x = empty(sizes_of(sizes, "randn", size), dtype=dtype)
    return _finish(normal_(x, generator=generator), requires_grad)


def rand_like(input: Tensor, *, dtype: dtype | None = None, requires_grad: bool = False) -> Tensor:
    """`rand` of the input's shape and dtype."""
    return _finish(uniform_(empty_like(input, dtype=dtype)), requires_grad)


def randn_like(input: Tensor, *, dtype: dtype | None = None, requires_grad: bool = False) -> Tensor:
    """`randn` of the input's shape and dtype."""
    return _finish(normal_(empty_like(input, dtype=dtype)), requires_grad)


def randint(
    low: int,
    high: Any = None,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: dtype | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Integers from [low, high); from [0, low) where only low and size are given."""
    if size is None:
        if not isinstance(high, (tuple, list)):
            raise TypeError("randint() missing argument 'size': a tuple of ints")
        low, high, size = 0, low, high
    if low >= high:
        raise RuntimeError(
            f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
        )
    x = empty(sizes_of((size,), "randint"), dtype=dtype or dtypes.int64)
    try:
        _draw(x, "randint", generator, low, high)
    except OverflowError:
        raise RuntimeError(f"randint: [{low}, {high}) does not fit 64 bits") from None
    return _finish(x, requires_grad)


def randperm(n: int, *, generator: Generator | None = None, dtype: dtype | None = None) -> Tensor:
    """The integers below n in random order."""
    if n < 0:
        raise RuntimeError(f"n must be non-negative, got {n}")
    return _draw(empty(n, dtype=dtype or dtypes.int64), "randperm", generator)
