"""Random numbers written over a tensor: uniform_, normal_ and the like, and what they all share.

The numbers are those of PyTorch's CPU kernels for the same state of the generator, drawn in the
order of memory, and the generator moves as far. Uniforms, integers and what compares uniforms agree
bit for bit; what is made with logarithms, sines or exponentials, to the last few bits (2e-6 of the
standard deviation in float32). They are the numbers of PyTorch's own kernels: where a build hands
bernoulli_(p), and with it dropout, to the generators of Intel's MKL, it draws others.
"""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Sequence
from typing import Any

from autodiff import dtypes
from autodiff.native import describe, lib, take_failure
from autodiff.node import Node, mode
from autodiff.ops.create import zeros
from autodiff.ops.generator import INVALID, Generator, native_generator
from autodiff.ops.history import check_writable, rebase
from autodiff.ops.views import expand
from autodiff.tensor import Tensor, live_node


class Drawn(Node):
    """Random numbers: whatever they were drawn with or written over gets a zero gradient."""

    __slots__ = ("inputs",)
    inputs: list[tuple[Sequence[int], dtypes.dtype]]

    def vjp(self, g: Tensor) -> Sequence[Tensor | None]:
        if self.title == "NotImplemented":
            raise RuntimeError("derivative for bernoulli(input, p) is not implemented")
        return [
            None if edge is None else zeros(shape, dtype=d)
            for edge, (shape, d) in zip(self.edges, self.inputs, strict=True)
        ]


def drawn(title: str, tensors: Sequence[Tensor], edges: Sequence[Node | None]) -> Drawn:
    """The node of numbers drawn with these tensors."""
    node = Drawn()
    node.title, node.edges, node.saved, node.versions = title, edges, (), 0
    node.inputs = [(x.shape, x.dtype) for x in tensors]
    return node


_INT64 = dtypes.int64.code
REFUSED = {  # what a native draw says of its parameters or weights, by the reason it gives
    "uniform": ("uniform_ expects to - from to be finite in the dtype",),
    "uniform_where": ("uniform_ expects to - from to be finite in the dtype",),
    "bernoulli_": ("bernoulli expects each p to be in [0, 1]",),
    "set_state": (INVALID,),
    "poisson": ("invalid Poisson rate, expected rate to be non-negative (and below 2^62)",),
    "multinomial": (
        "",
        "invalid multinomial distribution (encountering probability entry < 0, or nan)",
        "invalid multinomial distribution (encountering probability entry = infinity)",
        "invalid multinomial distribution (sum of probabilities <= 0)",
    ),
}
_FILLS = {name[7:]: getattr(lib, name) for name in dir(lib) if name.startswith("ad_rng_")}
_METHODS = {"bernoulli_of": "bernoulli_", "randint": "random_"}


def draw_into(x: Tensor, name: str, generator: Generator | None, *args: Any) -> Tensor:
    """Overwrite x by one native call, outside the graph."""
    if _FILLS[name](native_generator(generator, name), x._p, *args):
        failure = take_failure()
        if failure[0] == lib.AD_BAD_DTYPE:
            kind = RuntimeError if name in ("exponential", "cauchy") else NotImplementedError
            public = name.removesuffix("_of")
            raise kind(f'"{public}" not implemented for {dtypes.SCALAR_NAMES[failure[1]]!r}')
        if failure[0] == lib.AD_BAD_ARG and _METHODS.get(name, name) in REFUSED:
            raise RuntimeError(REFUSED[_METHODS.get(name, name)][failure[1]])
        raise describe(failure, name, x._p)
    return x


def _write(
    x: Tensor,
    title: str,
    name: str,
    generator: Generator | None,
    *args: Any,
    given: Sequence[Tensor] = (),
) -> Tensor:
    """Overwrite x in the graph; `given` are tensors it is drawn with."""
    if x._node is None and x._base is None and not given:
        return draw_into(x, name, generator, *args)  # there is no graph
    if mode.grad:
        check_writable(x, _METHODS.get(name, f"{name}_"))
    before = live_node(x)
    draw_into(x, name, generator, *args)
    edges = [before if x._base is None else None, *map(live_node, given)]
    if mode.grad and x.is_floating_point() and (before is not None or any(edges)):
        rebase(x, drawn(title, (x, *given), edges))
    return x


def uniform_(
    x: Tensor, from_: float = 0.0, to: float = 1.0, *, generator: Generator | None = None
) -> Tensor:
    """Fill with numbers from the uniform distribution on [from, to).

    >>> g = ad.manual_seed(0)
    >>> ad.empty(2).uniform_(-1, 1)
    tensor([-0.0075,  0.5364])
    """
    low, high = float(from_), float(to)
    if not low <= high or not math.isfinite(high - low):
        raise RuntimeError(
            f"uniform_ expects to return a [from, to) range, but found from={low} > to={high}"
        )
    return _write(x, "UniformBackward0", "uniform", generator, low, high)


def check_std(std: float) -> float:
    """RuntimeError where a standard deviation is negative or nan."""
    if not std >= 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    return float(std)


def normal_(
    x: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None
) -> Tensor:
    """Fill with numbers from the normal distribution.

    >>> g = ad.manual_seed(0)
    >>> ad.empty(2).normal_()
    tensor([ 1.5410, -0.2934])
    """
    return _write(x, "NormalBackward0", "normal", generator, float(mean), check_std(std))


def log_normal_(
    x: Tensor, mean: float = 1.0, std: float = 2.0, *, generator: Generator | None = None
) -> Tensor:
    """Fill with numbers whose logarithm is normal, of the given mean and standard deviation.

    >>> g = ad.manual_seed(0)
    >>> ad.empty(2).log_normal_(0, 1)
    tensor([4.6692, 0.7457])
    """
    if not std > 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std}")
    return _write(x, "LogNormalBackward0", "log_normal", generator, float(mean), float(std))


def exponential_(x: Tensor, lambd: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with numbers from the exponential distribution of rate lambd, by -log(1 - u) / lambd.

    >>> g = ad.manual_seed(0)
    >>> ad.empty(2).exponential_()
    tensor([3.5083, 1.2304])
    """
    if not lambd > 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd}")
    return _write(x, "ExponentialBackward0", "exponential", generator, float(lambd))


def cauchy_(
    x: Tensor, median: float = 0.0, sigma: float = 1.0, *, generator: Generator | None = None
) -> Tensor:
    """Fill with numbers from the Cauchy distribution, by median + sigma tan(pi (u - 1/2)).

    >>> g = ad.manual_seed(0)
    >>> ad.empty(2).cauchy_()
    tensor([10.5977,  0.7648])
    """
    if not sigma > 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma}")
    return _write(x, "CauchyBackward0", "cauchy", generator, float(median), float(sigma))


def geometric_(x: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """Fill with numbers of trials until the first success, which has probability p.

    By ceil(log(u) / log(1 - p)); integer dtypes wrap around what they cannot hold.

    >>> g = ad.manual_seed(0)
    >>> ad.empty(3).geometric_(0.5)
    tensor([1., 1., 2.])
    """
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p}")
    return _write(x, "GeometricBackward0", "geometric", generator, float(p))


def bernoulli_(x: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Fill with ones of probability p, else zeros; p is a number, or a tensor that broadcasts.

    A number is compared with uniforms of 53 bits, a tensor with those of its own dtype.

    >>> g = ad.manual_seed(0)
    >>> ad.empty(3).bernoulli_(0.5)
    tensor([0., 0., 1.])
    """
    if isinstance(p, Tensor):
        chances = expand(p.detach(), x.shape)._p
        return _write(x, "BernoulliBackward1", "bernoulli_of", generator, chances, given=(p,))
    if not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p}")
    return _write(x, "BernoulliBackward2", "bernoulli", generator, float(p))


# ---- integers ----

# All integers up to 2^bits are floats.
_BITS = {dtypes.float16: 11, dtypes.bfloat16: 8, dtypes.float32: 24, dtypes.float64: 53}
_LAST = {
    dtypes.bool: 1,
    dtypes.uint8: 2**8 - 1,
    dtypes.int8: 2**7 - 1,
    dtypes.int16: 2**15 - 1,
    dtypes.int32: 2**31 - 1,
    dtypes.int64: 2**63 - 1,
    **{d: 2**bits for d, bits in _BITS.items()},
}


def _check_bound(d: dtypes.dtype, name: str, bound: int) -> None:
    """RuntimeError for what an integer dtype cannot hold; a warning where a float would round."""
    least = 0 if not d.is_signed else -_LAST[d] - (d not in _BITS)
    if least <= bound <= _LAST[d]:
        return
    if d not in _BITS or abs(bound) > min(2**62 - 1, dtypes.finfo(d).max):
        raise RuntimeError(f"{name} is out of bounds for {d.name}: {bound}")
    warnings.warn(
        f"{name} is out of bounds [-(2^{_BITS[d]}), 2^{_BITS[d]}]: not all integers beyond them "
        f"are {d.name}s, so some are never drawn, others more often",
        stacklevel=5,
    )


def integers(
    x: Tensor, low: int, last: int, generator: Generator | None, title: str = ""
) -> Tensor:
    """Fill with integers from low to last, both included."""
    if x._p.dtype != _INT64 or low < -(1 << 63) or last >= 1 << 63:
        _check_bound(x.dtype, "from", low)
        _check_bound(x.dtype, "to - 1", last)
    return _write(x, title, "randint", generator, low, last)


def check_range(low: int, high: int) -> None:
    """RuntimeError where [low, high) is empty."""
    if low >= high:
        raise RuntimeError(
            f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
        )


_EVERY: Any = object()  # no upper bound was given, not even None


def random_(
    x: Tensor, from_: int | None = None, to: Any = _EVERY, *, generator: Generator | None = None
) -> Tensor:
    """Fill with integers from [from, to), or from [0, to) where `to` alone is given.

    random_() draws from 0 on, and random_(from, None) from `from` on, to the last of an integer
    dtype, or 2^11 of float16, 2^8 of bfloat16, 2^24 of float32 and 2^53 of float64.

    >>> g = ad.manual_seed(0)
    >>> ad.empty(3).random_(0, 10)
    tensor([4., 9., 3.])
    """
    if to is _EVERY:
        if from_ is None:
            return _write(x, "RandomBackward2", "random", generator)
        from_, to, title = None, from_, "RandomBackward1"
    else:
        title = "RandomBackward0"
    low = 0 if from_ is None else operator.index(from_)
    last = _LAST[x.dtype] if to is None else operator.index(to) - 1
    check_range(low, last + 1)
    return integers(x, low, last, generator, title)
