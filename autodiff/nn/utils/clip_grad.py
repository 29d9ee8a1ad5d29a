"""Clipping gradients, by the norm of all of them or each element by itself.

`foreach` chooses among PyTorch's implementations; here it changes nothing.
"""

from __future__ import annotations

import functools
import math
import types
import warnings
from collections.abc import Iterable

from autodiff import dtypes
from autodiff.grad_mode import no_grad
from autodiff.native import check, lib, refuse_any
from autodiff.nn.init import deprecated
from autodiff.ops.convert import tensor
from autodiff.tensor import Tensor, own

__all__ = [
    "clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_",
    "get_total_norm",
]  # fmt: skip

Tensors = Tensor | Iterable[Tensor]


def _listed(tensors: Tensors) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _gradients(parameters: Tensors) -> list[Tensor]:
    return [x.grad for x in _listed(parameters) if x.grad is not None]


def get_total_norm(
    tensors: Tensors,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of the tensors' norms, a 0-d tensor: that of all elements as one vector.

    Floating-point tensors only. RuntimeError for an infinite order and an empty tensor and, if
    wanted, for a norm that is not finite.

    >>> nn.utils.get_total_norm([ad.tensor([3.0]), ad.tensor([4.0])])
    tensor(5.)
    """
    xs, order = _listed(tensors), float(norm_type)
    if not xs:
        return tensor(0.0)
    if math.isinf(order) and any(x.numel() == 0 for x in xs):
        raise RuntimeError(
            f"get_total_norm: the norm of order {order} of an empty tensor is not defined, as the "
            "operation does not have an identity"
        )
    ps, kind = [x._p for x in xs], functools.reduce(dtypes.promote_types, [x.dtype for x in xs])
    total = own(lib.ad_norm(len(ps), ps, order, kind.code), "get_total_norm", *ps)
    if error_if_nonfinite:
        refuse_any(
            (~total.isfinite())._p,
            RuntimeError,
            f"The total norm of order {order} for gradients from `parameters` is non-finite, so it "
            "cannot be clipped. To disable this error and scale the gradients by the non-finite "
            "norm anyway, set `error_if_nonfinite=False`",
        )
    return total


def clip_grads_with_norm_(
    parameters: Tensors, max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Multiply all gradients by max_norm / (total_norm + 1e-6) where that is less than 1.

    >>> w = nn.Parameter(ad.zeros(2))
    >>> w.grad = ad.tensor([3.0, 4.0])
    >>> nn.utils.clip_grads_with_norm_(w, 1.0, ad.tensor(10.0))
    >>> w.grad
    tensor([0.3000, 0.4000])
    """
    gradients = _gradients(parameters)
    with no_grad():
        factor = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
    if gradients:
        ps = [g._p for g in gradients]
        check(lib.ad_scale(len(ps), ps, factor._p), "clip_grads_with_norm_", *ps)


def clip_grad_norm_(
    parameters: Tensors,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale all gradients in place so that their norm as one vector is at most max_norm.

    Returns the norm they had. RuntimeError, if wanted, where it is not finite.

    >>> w = nn.Parameter(ad.zeros(2))
    >>> w.grad = ad.tensor([3.0, 4.0])
    >>> nn.utils.clip_grad_norm_(w, max_norm=1.0)
    tensor(5.)
    >>> w.grad
    tensor([0.6000, 0.8000])
    """
    xs = _listed(parameters)
    if isinstance(parameters, types.GeneratorType) and not xs:
        warnings.warn(
            "`parameters` is an empty generator, no gradient clipping will occur.", stacklevel=2
        )
    total = get_total_norm(_gradients(xs), norm_type, error_if_nonfinite, foreach)
    clip_grads_with_norm_(xs, max_norm, total, foreach)
    return total


clip_grad_norm = deprecated(clip_grad_norm_, "torch.nn.utils")


def clip_grad_value_(parameters: Tensors, clip_value: float, foreach: bool | None = None) -> None:
    """Clamp each element of the gradients to [-clip_value, clip_value], in place.

    >>> w = nn.Parameter(ad.zeros(2))
    >>> w.grad = ad.tensor([3.0, 0.5])
    >>> nn.utils.clip_grad_value_(w, 1.0)
    >>> w.grad
    tensor([1.0000, 0.5000])
    """
    bound, ps = float(clip_value), [g._p for g in _gradients(parameters)]
    if ps:
        check(lib.ad_clip(len(ps), ps, -bound, bound), "clip_grad_value_", *ps)
