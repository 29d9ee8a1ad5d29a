"""Tables of rows by number, and numbers as rows: `embedding`, `embedding_bag`, `one_hot`."""

from __future__ import annotations

from typing import Any

from autodiff import dtypes
from autodiff.native import lib
from autodiff.ops import embedding as rows
from autodiff.ops.base import called
from autodiff.ops.cast import to_dtype
from autodiff.ops.guard import guarded
from autodiff.ops.views import reshape, unsqueeze
from autodiff.tensor import Tensor, own

__all__ = ["embedding", "embedding_bag", "one_hot"]


@guarded
def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of a table (rows, features) that input's indices name: (*input's shape, features).

    The row `padding_idx` gets no gradient. Rows that are used and longer than `max_norm` are
    shortened first, in place. `scale_grad_by_freq` divides a row's gradient by how often it is
    used. Gradients are dense, whatever `sparse`. IndexError for a number out of range.

    >>> table = ad.tensor([[0.0, 1.0], [2.0, 3.0]])
    >>> F.embedding(ad.tensor([1, 0, 1]), table).tolist()
    [[2.0, 3.0], [0.0, 1.0], [2.0, 3.0]]
    """
    given = (padding_idx, max_norm, norm_type, scale_grad_by_freq)
    return rows.rows_of("embedding", input, weight, *given)


@called("EmbeddingBagBackward0")
@guarded
def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The mean, sum or maximum ("max") of the rows of each bag of indices: (bags, features).

    A row of a 2-D input is a bag; a 1-D input is cut at `offsets`. `per_sample_weights` multiply
    the rows of a sum. Indices equal to `padding_idx` are left out. With `include_last_offset` the
    last of `offsets` is where the last bag ends.

    >>> table = ad.tensor([[0.0, 1.0], [2.0, 3.0]])
    >>> F.embedding_bag(ad.tensor([[1, 0]]), table).tolist()
    [[1.0, 2.0]]
    """
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f"mode has to be one of sum, mean or max, got {mode!r}")
    if weight.ndim != 2:
        raise ValueError(f"weight has to be a 2D Tensor, but got {weight.ndim} dimensions")
    if mode == "max" and scale_grad_by_freq:
        raise ValueError("max mode does not support scaling the gradient by the frequency")
    changed = include_last_offset or scale_grad_by_freq or mode == "max"
    plain = padding_idx is None and max_norm is None and per_sample_weights is None
    if plain and not changed and (offsets is None or type(offsets) is Tensor):
        y = rows.sums_of_bags(weight, input, offsets, mode == "mean")
        if y is not None:
            return y
    bags, n = rows.bags_of(input, offsets, include_last_offset)
    if per_sample_weights is not None:
        _check_sample_weights(per_sample_weights, input, weight, mode)
    flat = reshape(input, -1)
    given = (padding_idx, max_norm, float(norm_type), scale_grad_by_freq)
    found = rows.rows_of("embedding_bag", flat, weight, *given)
    if per_sample_weights is not None:
        found = found * unsqueeze(reshape(per_sample_weights, -1), 1)
    kept = None
    if padding_idx is not None:
        kept = to_dtype(flat != padding_idx % weight.shape[0], weight.dtype)
    y = rows.reduce_bags(found, bags, n, mode, kept)
    return y[:-1].clone() if include_last_offset else y


def _check_sample_weights(given: Tensor, input: Tensor, weight: Tensor, mode: str) -> None:
    if given.shape != input.shape:
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({list(given.shape)}) is not None, then it must "
            f"have the same shape as the input ({list(input.shape)})"
        )
    if mode != "sum":
        raise NotImplementedError(
            "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported "
            f"for mode='sum' (got mode={mode!r})."
        )
    if given.dtype is not weight.dtype:
        theirs, ours = (dtypes.SCALAR_NAMES[x._p.dtype] for x in (weight, given))
        raise RuntimeError(
            "Expected tensor for argument #1 'weight' to have the same type as tensor for argument "
            f"#1 'per_sample_weights'; but type torch.{theirs}Tensor does not equal "
            f"torch.{ours}Tensor (while checking arguments for embedding_bag)"
        )


def _marked(x: Tensor, count: int) -> Tensor:
    """Zeros with a 1 at each number of an index. IndexError where there is no such place."""
    return own(lib.ad_one_hot(x._p, count), "one_hot", x._p)


@guarded
def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Rows of zeros with a 1 at each index: the tensor's shape + (num_classes,), int64.

    Without num_classes it is one more than the largest number. RuntimeError for negative ones.

    >>> F.one_hot(ad.tensor([2, 0])).tolist()
    [[0, 0, 1], [1, 0, 0]]
    """
    if tensor._p.dtype != dtypes.int64.code:
        raise RuntimeError(
            f"one_hot is only applicable to index tensor of type LongTensor, got "
            f"{tensor.dtype!r} of shape {list(tensor.shape)}"
        )
    count = num_classes
    if count == -1:
        if tensor._p.numel == 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        count = max(0, int(tensor.max().item())) + 1
    if count < 1 and not (count == 0 and tensor._p.numel):
        raise RuntimeError(f"num_classes should be positive, got {num_classes}")
    try:
        return _marked(tensor, count)
    except IndexError:
        low: Any = tensor.min().item()
        bad = "non-negative" if low < 0 else f"smaller than num_classes ({count})"
        raise RuntimeError(
            f"Class values must be {bad}: they are from {low} to {tensor.max().item()}"
        ) from None
