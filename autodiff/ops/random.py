"""New tensors of random numbers: PyTorch's, as `ops.draws` has them."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from autodiff import dtypes
from autodiff.descriptor import fresh
from autodiff.dtypes import dtype
from autodiff.grad_mode import no_grad
from autodiff.native import lib
from autodiff.node import mode
from autodiff.ops.base import has_history
from autodiff.ops.create import _finish, empty, empty_like, unset
from autodiff.ops.draws import (
    bernoulli_,
    check_range,
    check_std,
    draw_into,
    drawn,
    integers,
    normal_,
)
from autodiff.ops.generator import Generator
from autodiff.ops.out import asked, fit
from autodiff.shapes import broadcast, sizes_of
from autodiff.tensor import Tensor, live_node, own


def _target(
    function: str,
    shape: Sequence[int],
    d: dtype | None,
    out: Tensor | None,
    *given: Tensor,
    natural: dtype | None = None,
) -> Tensor:
    """What a function writes to: `out`, made to fit as PyTorch does, or a new tensor."""
    if out is None:
        return unset(function, shape, d or natural or dtypes.get_default_dtype())
    asked(function, d, out)
    return fit(function, out, shape, *given)


def rand(
    *sizes: Any,
    size: Any = None,
    generator: Generator | None = None,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers from the uniform distribution on [0, 1), of a floating-point dtype.

    >>> g = ad.manual_seed(0)
    >>> ad.rand(2)
    tensor([0.4963, 0.7682])
    """
    x = _target("rand", sizes_of(sizes, "rand", size), dtype, out)
    draw_into(x, "uniform", generator, 0.0, 1.0)
    return x.requires_grad_() if requires_grad else x


def randn(
    *sizes: Any,
    size: Any = None,
    generator: Generator | None = None,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers from the standard normal distribution, of a floating-point dtype.

    >>> g = ad.manual_seed(0)
    >>> ad.randn(2)
    tensor([ 1.5410, -0.2934])
    """
    x = _target("randn", sizes_of(sizes, "randn", size), dtype, out)
    draw_into(x, "normal", generator, 0.0, 1.0)
    return x.requires_grad_() if requires_grad else x


def rand_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    dtype: dtype | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """`rand` of the input's shape, order of strides and dtype.

    >>> g = ad.manual_seed(0)
    >>> ad.rand_like(ad.ones(2))
    tensor([0.4963, 0.7682])
    """
    x = empty_like(input, dtype=dtype)
    draw_into(x, "uniform", generator, 0.0, 1.0)
    return x.requires_grad_() if requires_grad else x


def randn_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    dtype: dtype | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """`randn` of the input's shape, order of strides and dtype.

    >>> g = ad.manual_seed(0)
    >>> ad.randn_like(ad.ones(2))
    tensor([ 1.5410, -0.2934])
    """
    x = empty_like(input, dtype=dtype)
    draw_into(x, "normal", generator, 0.0, 1.0)
    return x.requires_grad_() if requires_grad else x


# ---- integers ----


def _bounds(name: str, low: Any, high: Any) -> tuple[Any, Any]:
    """Where integers begin and end, of which the first may be left out."""
    if high is ...:
        low, high = ..., low
    if high is ...:
        raise TypeError(f"{name}() missing argument 'high': an int")
    return 0 if low is ... else low, high


def _from_range(x: Tensor, low: Any, high: Any, generator: Generator | None) -> Tensor:
    first, end = operator.index(low), operator.index(high)
    check_range(first, end)
    try:
        return integers(x, first, end - 1, generator)
    except OverflowError:
        raise RuntimeError(f"randint: [{first}, {end}) does not fit 64 bits") from None


def randint(
    low: Any = ...,
    high: Any = ...,
    size: Any = None,
    *,
    generator: Generator | None = None,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Integers from [low, high); from [0, low) where no high is given. int64.

    RuntimeError where there are none between.

    >>> g = ad.manual_seed(0)
    >>> ad.randint(0, 10, (3,))
    tensor([4, 9, 3])
    """
    if size is None:
        if not isinstance(high, (tuple, list)):
            raise TypeError("randint() missing argument 'size': a tuple of ints")
        low, high, size = ..., low, high
    low, high = _bounds("randint", low, high)
    x = _target("randint", sizes_of((size,), "randint"), dtype, out, natural=dtypes.int64)
    return _finish(_from_range(x, low, high, generator), requires_grad)


def randint_like(
    input: Tensor,
    low: Any = ...,
    high: Any = ...,
    *,
    generator: Generator | None = None,
    dtype: dtype | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """`randint` of the input's shape, order of strides and dtype.

    >>> g = ad.manual_seed(0)
    >>> ad.randint_like(ad.ones(3), 10)
    tensor([4., 9., 3.])
    """
    low, high = _bounds("randint_like", low, high)
    x = empty_like(input, dtype=dtype)
    return _finish(_from_range(x, low, high, generator), requires_grad)


def randperm(
    n: int,
    *,
    generator: Generator | None = None,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """The integers below n in random order: int64.

    >>> g = ad.manual_seed(0)
    >>> ad.randperm(4)
    tensor([0, 1, 3, 2])
    """
    if n < 0:
        raise RuntimeError(f"n must be non-negative, got {n}")
    x = _target("randperm", [n], dtype, out, natural=dtypes.int64)
    return _finish(draw_into(x, "randperm", generator), requires_grad)


# ---- with parameters of their own ----


def normal(
    mean: Any,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normal numbers: mean and std are numbers, with a size, or either or both are tensors.

    Tensors broadcast; the result has the dtype of mean, or of std where only it is a tensor. It is
    the standard normal of its shape, times std, plus mean. RuntimeError for a negative std.

    >>> g = ad.manual_seed(0)
    >>> ad.normal(0.0, 1.0, (2,))
    tensor([ 1.5410, -0.2934])
    """
    given = [x for x in (mean, std) if isinstance(x, Tensor)]
    if not given:
        for value in (mean, std):
            if type(value) is not float and not isinstance(dtypes.plain(value), (int, float)):
                raise TypeError(
                    f"normal(): mean and std must be tensors or numbers, not {type(value).__name__}"
                )
        if not isinstance(size, (tuple, list)):
            raise TypeError("normal() of numbers needs 'size', a tuple of ints")
        x = _target("normal", sizes_of((size,), "normal"), dtype, out)
        return _finish(normal_(x, mean, std, generator=generator), requires_grad)
    if size is not None or dtype is not None or requires_grad:
        raise TypeError("normal(): size, dtype and requires_grad are for numbers mean and std")
    shape = given[0].shape
    if len(given) == 2:
        shape = broadcast([shape, std.shape]) or (mean.detach() + std.detach()).shape
    x = _target("normal", shape, None, out, *given, natural=given[0].dtype)
    if not has_history((x, *given)):
        _scaled_normal(x, mean, std, generator)
        return x
    with no_grad():
        _scaled_normal(x, mean, std, generator)
    title = f"NormalBackward{3 if len(given) == 2 else 1 + isinstance(std, Tensor)}"
    return _recorded(x, title, given)


def _scaled_normal(x: Tensor, mean: Any, std: Any, generator: Generator | None) -> None:
    if isinstance(std, Tensor):
        if std.numel() and not (std.detach() >= 0).all():
            raise RuntimeError("normal expects all elements of std >= 0.0")
        normal_(x, generator=generator).mul_(std)
    else:
        normal_(x, 0.0, check_std(std), generator=generator)
    x.add_(mean)


def _recorded(x: Tensor, title: str, given: Sequence[Tensor]) -> Tensor:
    """A result drawn with these tensors, in their graph."""
    if mode.grad:
        edges = [live_node(t) for t in given]
        if any(edges):
            x._node = drawn(title, given, edges)
    return x


def bernoulli(
    input: Tensor,
    p: float | None = None,
    *,
    generator: Generator | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Ones with the probabilities in the input, else zeros; or all with probability p.

    Of p, the input gives only shape and dtype. RuntimeError outside [0, 1].

    >>> ad.bernoulli(ad.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    if p is not None:
        x = _target("bernoulli", input.shape, None, out, natural=input.dtype)
        return _recorded(bernoulli_(x, p, generator=generator), "NotImplemented", [input])
    x = _target("bernoulli", input.shape, None, out, input, natural=input.dtype)
    return _recorded(
        draw_into(x, "bernoulli_of", generator, input._p), "BernoulliBackward0", [input]
    )


def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Counts from the Poisson distributions of the rates in the input, a float tensor.

    RuntimeError for negative rates.

    >>> g = ad.manual_seed(0)
    >>> ad.poisson(ad.tensor([1.0, 10.0]))
    tensor([ 2., 15.])
    """
    x = empty(input.shape, dtype=input.dtype)
    return _recorded(draw_into(x, "poisson", generator, input._p), "PoissonBackward0", [input])


def multinomial(
    input: Tensor,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Generator | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """int64 indices of categories, drawn by the weights in the input: (n,) or (rows, n).

    Without replacement the indices of a row differ: they are those of its largest weights over
    exponential numbers. Categories of weight 0 come last, in order. RuntimeError for weights that
    are negative or all 0, and for more draws than categories.

    >>> ad.multinomial(ad.tensor([0.0, 1.0, 0.0]), 3, replacement=True)
    tensor([1, 1, 1])
    """
    n = operator.index(num_samples)
    once = not replacement or n == 1
    _check_sampling(input, n, once)
    if out is not None and out.dtype is not dtypes.int64:
        raise RuntimeError(f"multinomial expects Long tensor out, got: {out.dtype!r}")
    rows = input._p
    flat = rows.ndim == 1
    x = _target("multinomial", [n] if flat else [rows.shape[0], n], dtypes.int64, out)
    target = x
    if flat:
        rows = fresh(lib.ad_unsqueeze(rows, 0), "multinomial", rows)
        target = own(lib.ad_unsqueeze(x._p, 0), "multinomial", x._p)
    draw_into(target, "multinomial", generator, rows, not once)
    return x


def _check_sampling(input: Tensor, n: int, once: bool) -> None:
    p = input._p
    if p.ndim not in (1, 2):
        raise RuntimeError(f"prob_dist must be 1 or 2 dim, got shape {list(input.shape)}")
    if not input.is_floating_point():
        raise RuntimeError(
            f"multinomial only supports floating-point dtypes for input, got: {input.dtype.title}"
        )
    if n <= 0:
        raise RuntimeError(f"cannot sample n_sample <= 0 samples, got {n}")
    categories = p.shape[p.ndim - 1]
    if once and n > categories:
        raise RuntimeError(
            "cannot sample n_sample > prob_dist.size(-1) samples without replacement: "
            f"{n} of {categories}"
        )
    if categories > 2**24:
        raise RuntimeError(f"number of categories cannot exceed 2^24, got {categories}")
