"""A layer and the batch norm after it as one layer, for evaluation."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

from autodiff.nn.functional.reduction import check_tensors
from autodiff.nn.module import Module
from autodiff.nn.parameter import Parameter
from autodiff.tensor import Tensor

__all__ = [
    "fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights",
]  # fmt: skip

M = TypeVar("M", bound=Module)


def fuse_conv_bn_weights(
    conv_w: Tensor,
    conv_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """The weight and bias of `fuse_conv_bn_eval`, from those of the parts; None: 1 or 0.

    >>> one = ad.ones(1)
    >>> w, b = nn.utils.fuse_conv_bn_weights(ad.ones(1, 1, 1), one, one, one, 0.0, 2 * one, one)
    >>> w.item(), b.item()
    (2.0, 1.0)
    """
    check_tensors("fuse_conv_bn_weights", conv_w=conv_w, bn_rm=bn_rm, bn_rv=bn_rv)
    more = {"conv_b": conv_b, "bn_w": bn_w, "bn_b": bn_b}
    check_tensors("fuse_conv_bn_weights", **{k: x for k, x in more.items() if x is not None})
    scale = (bn_rv + bn_eps).rsqrt()
    scale = scale if bn_w is None else bn_w * scale
    bias = (-bn_rm if conv_b is None else conv_b - bn_rm) * scale
    bias = bias if bn_b is None else bias + bn_b
    shape = [1] * conv_w.ndim
    shape[bool(transpose)] = -1
    weight = (conv_w * scale.reshape(shape)).to(conv_w.dtype)
    of_bias = conv_w.dtype if conv_b is None else conv_b.dtype
    learned = conv_b is not None and conv_b.requires_grad
    return (Parameter(weight, conv_w.requires_grad), Parameter(bias.to(of_bias), learned))


def fuse_linear_bn_weights(
    linear_w: Tensor,
    linear_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor,
    bn_b: Tensor,
) -> tuple[Parameter, Parameter]:
    """The weight and bias of `fuse_linear_bn_eval`, from those of the parts.

    >>> one = ad.ones(1)
    >>> w, b = nn.utils.fuse_linear_bn_weights(ad.ones(1, 1), one, one, one, 0.0, 2 * one, one)
    >>> w.item(), b.item()
    (2.0, 1.0)
    """
    return fuse_conv_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)


def _fused(layer: M, bn: Any, *more: Any) -> M:
    if layer.training or bn.training:
        raise AssertionError("Fusion only for eval!")
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("bn.running_mean and bn.running_var must not be None")
    made: Any = copy.deepcopy(layer)
    given = (bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, *more)
    made.weight, made.bias = fuse_conv_bn_weights(made.weight, made.bias, *given)
    return made  # type: ignore[no-any-return]


def fuse_conv_bn_eval(conv: M, bn: Module, transpose: bool = False) -> M:
    """A convolution that does what this one and a batch norm of its result do in evaluation.

    `transpose` tells that it is a transposed one. AssertionError where one of them is training.

    >>> conv, bn = nn.Conv1d(1, 2, 3).eval(), nn.BatchNorm1d(2).eval()
    >>> x, fused = ad.randn(1, 1, 5), nn.utils.fuse_conv_bn_eval(conv, bn)
    >>> ad.allclose(fused(x), bn(conv(x)), atol=1e-6)
    True
    """
    return _fused(conv, bn, transpose)


def fuse_linear_bn_eval(linear: M, bn: Module) -> M:
    """A Linear that does what this one and a batch norm of its result do in evaluation.

    AssertionError where one of them is training, or where they do not fit.

    >>> linear, bn = nn.Linear(3, 2).eval(), nn.BatchNorm1d(2).eval()
    >>> x, fused = ad.randn(4, 3), nn.utils.fuse_linear_bn_eval(linear, bn)
    >>> ad.allclose(fused(x), bn(linear(x)), atol=1e-6)
    True
    """
    sizes: Any = (linear, bn)
    out, features = sizes[0].out_features, sizes[1].num_features
    if features not in (out, 1):
        raise AssertionError(
            "To fuse, linear.out_features == bn.num_features or bn.num_features == 1, got "
            f"linear.out_features={out} and bn.num_features={features}"
        )
    return _fused(linear, bn)
