"""Losses of classes: class indices, or the probabilities of all classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autodiff import dtypes
from autodiff.nn.functional.reduction import (
    REDUCTIONS,
    check_floating,
    check_tensors,
    reduced,
    reduction_of,
)
from autodiff.ops import losses, normalize
from autodiff.ops.base import titled
from autodiff.ops.cast import to_dtype
from autodiff.ops.contraction import linear
from autodiff.tensor import Tensor

__all__ = ["cross_entropy", "linear_cross_entropy", "nll_loss"]


def _class_dim(x: Tensor) -> int:
    """The dimension of classes in (classes), (n, classes) and (n, classes, d1, ...)."""
    return 1 if x.ndim > 1 else 0


_CLASSES = (dtypes.int64.code, dtypes.uint8.code)


def _check_classes(input: Tensor, target: Tensor, weight: Tensor | None) -> None:
    """RuntimeError or ValueError where class-index targets or weights do not fit the input."""
    if target._p.dtype not in _CLASSES:
        raise RuntimeError(
            f"expected target dtype to be Long or Byte, but got {target.dtype.title}"
        )
    sizes, given = tuple(input.shape), tuple(target.shape)
    ndim = len(sizes)
    if ndim > 1 and sizes[:1] != (given[:1] or (0,)):
        batch = given[0] if given else 0
        raise ValueError(
            f"Expected input batch_size ({sizes[0]}) to match target batch_size ({batch})."
        )
    if ndim <= 2 and len(given) > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if ndim == 1 and target.numel() != 1:
        raise ValueError(
            f"For 1D input, 1D target must have size 1, but got target size: {target.numel()}"
        )
    if ndim > 2 and given != sizes[:1] + sizes[2:]:
        expected = list(sizes[:1] + sizes[2:])
        raise RuntimeError(f"Expected target size {expected}, got {list(given)}")
    if weight is not None:
        _check_weight(input, weight)


def _check_weight(input: Tensor, weight: Tensor) -> None:
    x, w = input._p, weight._p
    classes = x.shape[x.ndim > 1]
    if w.ndim == 1 and w.numel == classes and w.dtype == x.dtype:
        return
    _check_weight_shape(weight, classes)
    if weight.dtype is not input.dtype:
        raise RuntimeError(
            f"expected scalar type {input.dtype.title} but found {weight.dtype.title}"
        )


def _check_weight_shape(weight: Tensor, classes: int) -> None:
    if weight.shape != (classes,):
        raise RuntimeError(
            f"weight tensor should be defined either for all {classes} classes or no classes but "
            f"got weight tensor of shape: {list(weight.shape)}"
        )


def _rows(input: Tensor) -> Tensor:
    """(classes) as one row of many."""
    return input if input._p.ndim > 1 else input.unsqueeze(0)


def _is_plain(size_average: Any, ignore_index: Any, reduce: Any, reduction: Any) -> bool:
    """Whether these are as they mostly are: a loss of rows then takes one native call."""
    deprecated = size_average is not None or reduce is not None
    usual = type(ignore_index) is int and ignore_index == losses.IGNORED
    return usual and not deprecated and reduction in REDUCTIONS


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The negative log-likelihood of the target classes, weighted by class.

    The mean divides by the sum of the weights; targets equal to ignore_index are left out.

    >>> F.nll_loss(ad.tensor([[0.5, 0.5], [0.2, 0.8]]).log(), ad.tensor([0, 1]))
    tensor(0.4581)
    """
    if weight is None and _is_plain(size_average, ignore_index, reduce, reduction):
        found: Tensor | None = losses.nll_at_once[reduction](input, target, None)
        if found is not None:
            return found
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensors("nll_loss", input=input, target=target)
    if _are_rows(input._p, target._p):
        if weight is not None:
            _check_weight(input, weight)
        return losses.nll(input, target, weight, ignore_index, reduction)
    if input.ndim == 0:
        raise ValueError(f"Expected 1 or more dimensions (got {input.ndim})")
    check_floating("nll_loss", input)
    _check_classes(input, target, weight)
    return _of_classes(losses.nll, input, target, weight, ignore_index, reduction)


def _of_classes(
    loss_of: Callable[..., Tensor],
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
) -> Tensor:
    """A loss of logits, or of logarithms, and classes: of arguments that are checked."""
    classes = to_dtype(target, dtypes.int64)
    loss = loss_of(_rows(input), classes, weight, ignore_index, reduction)
    ndim = input._p.ndim
    if ndim > 2:  # PyTorch views all but images as images, and each loss as theirs
        viewed = ndim != 4 and reduction == "none"
        return titled(loss, "ViewBackward0" if viewed else "NllLoss2DBackward0")
    one = reduction == "none" and ndim == 1
    return titled(loss.reshape(()), "NllLossBackward0") if one else loss


def _are_rows(logits: Any, target: Any) -> bool:
    """Whether these are rows of logits and a class for each."""
    return bool(
        logits.ndim == 2
        and logits.dtype >= dtypes.FIRST_FLOAT
        and target.ndim == 1
        and target.dtype == dtypes.int64.code
        and target.numel == logits.shape[0]
    )


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """The cross-entropy of softmax(input) against classes: their indices, or probabilities.

    input is (classes), (n, classes) or (n, classes, d1, ...); target is the same without the
    classes, or the same shape where it holds probabilities. IndexError for a class out of range.

    >>> F.cross_entropy(ad.zeros(3, 4), ad.tensor([0, 1, 3]))
    tensor(1.3863)
    """
    plain = weight is None and _is_plain(size_average, ignore_index, reduce, reduction)
    if plain and label_smoothing == 0.0:
        found: Tensor | None = losses.cross_entropy_at_once[reduction](input, target, None)
        if found is not None:
            return found
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensors("cross_entropy_loss", input=input, target=target)
    if label_smoothing == 0.0 and _are_rows(input._p, target._p):
        if weight is not None:
            _check_weight(input, weight)
        return losses.cross_entropy(input, target, weight, ignore_index, reduction)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    if input.ndim == 0:
        raise IndexError("cross_entropy: input has no dimension of classes: it is 0-d")
    dim = _class_dim(input)
    if input.shape == target.shape:
        return _probability_loss(input, target, weight, ignore_index, reduction, label_smoothing)
    check_floating("log_softmax", input)
    _check_classes(input, target, weight)
    if label_smoothing == 0.0:
        return _of_classes(losses.cross_entropy, input, target, weight, ignore_index, reduction)
    logs = normalize.log_softmax(input, dim)
    loss = _of_classes(losses.nll, logs, target, weight, ignore_index, reduction)
    smooth = _smooth_loss(logs, target, weight, ignore_index, reduction)
    return loss * (1 - label_smoothing) + smooth * (label_smoothing / input.shape[dim])


def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """`cross_entropy` of `linear(input, linear_weight, linear_bias)`: a head with its loss.

    input is (features) or (n, features), linear_weight (classes, d1, ..., features), linear_bias
    the same without the features. Of probabilities in `target` there is no `ignore_index`.

    >>> F.linear_cross_entropy(ad.ones(2, 3), ad.zeros(4, 3), ad.tensor([0, 1]))
    tensor(1.3863)
    """
    name = "linear_cross_entropy"
    check_tensors(name, input=input, linear_weight=linear_weight, target=target)
    heads, shape = linear_weight.shape[:-1], [*input.shape[:-1], *linear_weight.shape[:-1]]
    if input.ndim not in (1, 2) or not heads or (input.ndim == 1 and len(heads) > 1):
        raise RuntimeError(
            f"{name}(): input must be (n, features) or, with a weight (classes, features), "
            f"(features), but it is {list(input.shape)}, and linear_weight "
            f"{list(linear_weight.shape)}"
        )
    if linear_bias is not None and linear_bias.shape != heads:
        raise RuntimeError(
            f"{name}(): linear_bias must be {list(heads)}, not {list(linear_bias.shape)}"
        )
    if ignore_index is not None and list(target.shape) == shape:
        raise RuntimeError(f"{name}(): ignore_index needs classes as target, not probabilities")
    rows = linear_weight.reshape(-1, linear_weight.shape[-1])
    logits = linear(input, rows, None if linear_bias is None else linear_bias.reshape(-1))
    return cross_entropy(
        logits.reshape(shape),
        target,
        weight,
        ignore_index=-100 if ignore_index is None else ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )


def _by_class(weight: Tensor, like: Tensor) -> Tensor:
    """Class weights, shaped to broadcast against `like`."""
    return weight if like.ndim == 1 else weight.reshape(-1, *[1] * (like.ndim - 2))


def _smooth_loss(
    logs: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str
) -> Tensor:
    """The loss against all classes alike, as nll_loss reduces it."""
    weighted = logs if weight is None else logs * _by_class(weight, logs)
    each = -weighted.sum(_class_dim(logs))
    ignored = target == ignore_index
    each = each.masked_fill(ignored, 0.0)
    if reduction != "mean":
        return reduced(each, reduction)
    kept = ignored.logical_not().to(logs.dtype)
    if weight is not None:
        kept = kept * weight[target.to(dtypes.int64).masked_fill(ignored, 0)]
    return each.sum() / kept.sum()


def _probability_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
) -> Tensor:
    if not target.is_floating_point():
        raise RuntimeError(
            "Expected floating point type for target with class probabilities, got "
            f"{target.dtype.title}"
        )
    if ignore_index >= 0:
        raise RuntimeError("ignore_index is not supported for floating point target")
    dim = _class_dim(input)
    classes = input.shape[dim]
    if weight is not None:
        _check_weight_shape(weight, classes)
    if label_smoothing > 0.0:
        target = target * (1 - label_smoothing) + label_smoothing / classes
    products = normalize.log_softmax(input, dim) * target
    if weight is not None:
        products = products * _by_class(weight, input)
    if reduction == "none":
        return -products.sum(dim)
    total = -products.sum()
    return total if reduction == "sum" else total / (input.numel() / max(classes, 1))
