"""Small functions of others: what tensors are, sums and sorts of a kind, matrices from parts."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from typing import Any

from autodiff.descriptor import fresh
from autodiff.dtypes import dtype, float64, get_default_dtype, promote_types
from autodiff.expr import build, inputs
from autodiff.native import error, lib
from autodiff.ops.base import Op, OpNode, called
from autodiff.ops.calling import apply
from autodiff.ops.cast import to_dtype
from autodiff.ops.comparing import result_type
from autodiff.ops.convert import Dtype, tensor
from autodiff.ops.create import arange, ends_of, linspace, zeros
from autodiff.ops.derived import nansum
from autodiff.ops.diagonals import triu_indices
from autodiff.ops.guard import must_be
from autodiff.ops.numbers import operand
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.reductions import KINDS
from autodiff.ops.searching import searchsorted
from autodiff.ops.sorting import sort
from autodiff.ops.stacking import atleast_2d
from autodiff.ops.views import reshape, unsqueeze, zeros_p
from autodiff.tensor import Tensor, own


def is_tensor(obj: Any) -> bool:
    """Whether an object is a tensor.

    >>> ad.is_tensor(ad.ones(1)), ad.is_tensor([1.0])
    (True, False)
    """
    return isinstance(obj, Tensor)


def is_floating_point(input: Tensor) -> bool:
    """Whether the elements are floating-point numbers.

    >>> ad.is_floating_point(ad.ones(1))
    True
    """
    return input.is_floating_point()


def is_nonzero(input: Tensor) -> bool:
    """Whether the one element is not zero. RuntimeError where there is not one.

    >>> ad.is_nonzero(ad.tensor([0.5]))
    True
    """
    return input._p.ndim >= 0 and bool(input)


def numel(input: Tensor) -> int:
    """The number of elements.

    >>> ad.numel(ad.ones(2, 3))
    6
    """
    return input.numel()


def isposinf(input: Tensor) -> Tensor:
    """Whether each element is infinity: bool.

    >>> ad.isposinf(ad.tensor([1.0, float("inf"), float("-inf")]))
    tensor([False,  True, False])
    """
    return input.eq(math.inf)


def isneginf(input: Tensor) -> Tensor:
    """Whether each element is minus infinity: bool.

    >>> ad.isneginf(ad.tensor([1.0, float("inf"), float("-inf")]))
    tensor([False, False,  True])
    """
    return input.eq(-math.inf)


_ANY = KINDS["any"]
_FEW = 4096  # pairs, which are compared one by one sooner than sorted


def isin(
    elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False
) -> Tensor:
    """Whether each of `elements` is (with `invert`, is not) among `test_elements`: bool.

    Either may be a number. `assume_unique` is taken as PyTorch has it, and changes nothing.

    >>> ad.isin(ad.tensor([[1, 2], [3, 4]]), ad.tensor([2, 4]))
    tensor([[False,  True],
            [False,  True]])
    """
    if not (isinstance(elements, Tensor) or isinstance(test_elements, Tensor)):
        kinds = f"({type(elements).__name__}, {type(test_elements).__name__})"
        raise TypeError(f"isin(): one of elements and test_elements must be a Tensor, not {kinds}")
    for name, given in (("elements", elements), ("test_elements", test_elements)):
        if operand(given) is None:
            raise must_be("isin", name, "Tensor", given)
    found: Tensor
    if not isinstance(test_elements, Tensor):
        found = elements == test_elements
        return ~found if invert else found
    known = test_elements if test_elements._p.ndim == 1 else reshape(test_elements, -1)
    if not isinstance(elements, Tensor) or elements._p.numel * known._p.numel <= _FEW:
        x = unsqueeze(elements, -1) if isinstance(elements, Tensor) else elements
        same = (x == known)._p
        found = own(lib.ad_reduce(_ANY, same, 1 << same.ndim - 1, False, same.dtype), "isin", same)
        return ~found if invert else found
    d = result_type(elements, known)
    x, known = (given.detach().to(d) for given in (elements, known))
    if not d.is_floating_point:
        x, known = x.long(), known.long()
    if not known.numel():
        return x.new_full(x.shape, invert).bool()
    places = sort(known)[0]
    found = places.take(searchsorted(places, x).clamp(max=places.numel() - 1)) == x
    return ~found if invert else found


def nanmean(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Dtype = None
) -> Tensor:
    """The mean over `dim` of the elements that are not nan. RuntimeError of integers.

    >>> ad.nanmean(ad.tensor([1.0, float("nan"), 2.0]))
    tensor(1.5000)
    """
    if not input.is_floating_point():
        raise RuntimeError(
            "nanmean(): expected input to have floating point or complex dtype but got "
            f"{input.dtype.title}"
        )
    counted = input.isnan().logical_not().sum(dim, keepdim)
    return nansum(input, dim, keepdim, dtype=dtype) / counted


@called("MvlgammaBackward0")
def mvlgamma(input: Tensor, p: int) -> Tensor:
    """The logarithm of the multivariate gamma function of dimension p: p (p - 1) / 4 * log(pi), and
    the sum of `lgamma` of input, input - 1/2, ... input - (p - 1) / 2.

    >>> ad.mvlgamma(ad.tensor([2.0]), 1), ad.mvlgamma(ad.tensor([2.0]), 2)
    (tensor([0.]), tensor([0.4516]))
    """
    if isinstance(p, bool) or not hasattr(p, "__index__"):
        raise must_be("mvlgamma", "p", "int", p)
    if not 1 <= operator.index(p) < 2**31:
        raise RuntimeError(f"mvlgamma: p has to be greater than or equal to 1, but is {p}")
    steps = arange(0, p / 2, 0.5, dtype=input.dtype if input.is_floating_point() else None)
    y: Tensor = (input.unsqueeze(-1) - steps).lgamma().sum(-1)
    return y + p * (p - 1) / 4 * math.log(math.pi)


def msort(input: Tensor) -> Tensor:
    """The elements in order along the first dimension.

    >>> ad.msort(ad.tensor([[3, 1], [2, 4]]))
    tensor([[2, 1],
            [3, 4]])
    """
    return sort(input, 0)[0]


def _blocks_forward(*args: Any) -> Any:
    *ps, d, shape, places = args
    y = zeros_p(d.code, shape)
    for p, (_, *place) in zip(ps, places, strict=True):
        top, n, left, m = place
        block = lib.ad_as_strided(y, 2, (n, m), (shape[1], 1), top * shape[1] + left)
        if lib.ad_copy(fresh(block, "block_diag", p), p):
            raise error("block_diag", y, p)
    return lib.ad_alias(y)


def _blocks_rule(node: OpNode, g: Tensor) -> list[Tensor | None]:
    """The cotangent of a block is its part."""
    found: list[Tensor | None] = []
    for i, (d, top, n, left, m) in enumerate(node.args[2]):
        part = g[top : top + n, left : left + m] if node.needs(i) else None
        found.append(None if part is None else to_dtype(part, d))
    return found


_blocks: Op = Op(
    "block_diag", _blocks_forward, _blocks_rule, shaped=False, grad_name="BlockDiagBackward0"
)


def block_diag(*tensors: Any) -> Tensor:
    """A matrix of matrices along its diagonal; vectors are rows. RuntimeError of more dimensions.

    >>> ad.block_diag(ad.tensor([1, 2]), ad.tensor(3))
    tensor([[1, 2, 0],
            [0, 0, 3]])
    """
    for i, x in enumerate(tensors):
        if not isinstance(x, Tensor):
            raise TypeError(
                f"block_diag(): expected Tensors, but element {i} is {type(x).__name__}"
            )
        if x.ndim > 2:
            raise RuntimeError(
                "torch.block_diag: Input tensors must have 2 or fewer dimensions. Input "
                f"{i} has {x.ndim} dimensions"
            )
    parts = list(atleast_2d(tensors)) or [zeros(1, 0)]
    d, height, width, places = parts[0].dtype, 0, 0, []
    for x in parts:
        (n, m), d = x.shape, promote_types(d, x.dtype)
        places.append((x.dtype, height, n, width, m))
        height, width = height + n, width + m
    return _blocks.on(parts, d, (height, width), places)


@called("StackBackward0")
def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """The combinations of r elements of a vector, a row each. RuntimeError of other tensors.

    >>> ad.combinations(ad.tensor([1, 2, 3]))
    tensor([[1, 2],
            [1, 3],
            [2, 3]])
    """
    if input.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return input.new_empty(0)
    n = input.numel()
    if r == 2:
        return input[triu_indices(n, n, 0 if with_replacement else 1).t()]
    kinds = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    return input[tensor(list(kinds(range(n), r))).long().reshape(-1, r)]


@functools.cache
def _power_as(d: dtype) -> PointwiseOp:
    return PointwiseOp("logspace", build("pow", *inputs(2)).to(d), 2)


def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    *,
    dtype: Dtype = None,
    requires_grad: bool = False,
) -> Tensor:
    """base to the power of `steps` evenly spaced exponents, from start to end.

    >>> ad.logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    if dtype is not None and not dtype.is_floating_point:
        if dtype.name == "bool":
            raise NotImplementedError("\"logspace\" not implemented for 'Bool': it makes numbers")
        start, end = int(start), int(end)
    d = dtype or get_default_dtype()
    exponents = linspace(start, end, steps, dtype=float64)
    if d is not float64 and steps != 1:
        ends_of(start, end, steps, d)
    given = operand(base)
    op = _power_as(d)
    x = apply(op, (base, exponents)) if given is None else op.call(given, exponents)
    return x.requires_grad_() if requires_grad else x
