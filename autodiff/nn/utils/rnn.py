"""Sequences of several lengths: padded to one tensor, or packed without what pads them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from autodiff import dtypes
from autodiff.named import NamedTuple
from autodiff.ops.cast import to_dtype
from autodiff.ops.convert import tensor
from autodiff.ops.create import arange
from autodiff.ops.slices import index_select
from autodiff.ops.views import transpose
from autodiff.tensor import Tensor

__all__ = [
    "PackedSequence", "invert_permutation", "pack_padded_sequence", "pack_sequence",
    "pad_packed_sequence", "pad_sequence", "unpack_sequence", "unpad_sequence",
]  # fmt: skip


class _Packed(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Packed):
    """Sequences step by step: the elements of step 0, of step 1 ..., the longest sequence first.

    `batch_sizes` counts the sequences that reach each step; `sorted_indices` tells which sequence
    of the batch each is, `unsorted_indices` the other way round (None: they are in order).

    >>> packed = nn.utils.rnn.pack_sequence([ad.tensor([1, 2, 3]), ad.tensor([4])])
    >>> packed.data, packed.batch_sizes
    (tensor([1, 4, 2, 3]), tensor([2, 1, 1]))
    """

    def __new__(
        cls,
        data: Any,
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:
        """A packed sequence of its parts; what is not given of the order follows from the rest."""
        if batch_sizes is None:
            if not isinstance(data, (list, tuple)) or len(data) != 2:
                raise AssertionError("Expected data to be a list or tuple of length 2")
            data, batch_sizes = data
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The sequences with their data converted as by `Tensor.to`."""
        data = self.data.to(*args, **kwargs)
        return self if data is self.data else type(self)(data, *self[1:])

    is_cuda = False

    def cpu(self) -> PackedSequence:
        """The sequences themselves: all memory is the CPU's."""
        return self

    def double(self) -> PackedSequence:
        """The sequences with their data as float64."""
        return self.to(dtypes.float64)

    def float(self) -> PackedSequence:
        """The sequences with their data as float32."""
        return self.to(dtypes.float32)

    def long(self) -> PackedSequence:
        """The sequences with their data as int64."""
        return self.to(dtypes.int64)

    def int(self) -> PackedSequence:
        """The sequences with their data as int32."""
        return self.to(dtypes.int32)


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes another; None of None.

    >>> nn.utils.rnn.invert_permutation(ad.tensor([2, 0, 1]))
    tensor([1, 2, 0])
    """
    if permutation is None:
        return None
    inverse = arange(permutation.numel())
    inverse[permutation] = arange(permutation.numel())
    return inverse


def _lengths(lengths: Any) -> list[int]:
    if isinstance(lengths, Tensor):
        if lengths.ndim != 1:
            raise RuntimeError(
                "'lengths' argument should be a 1D CPU int64 tensor, but got "
                f"{lengths.ndim}D cpu {lengths.dtype.title} tensor"
            )
        lengths = to_dtype(lengths, dtypes.int64).tolist()
    return list(map(int, lengths))


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Padded sequences (steps, batch, ...), or (batch, steps, ...) if batch_first, packed.

    RuntimeError for a length below 1, and for lengths that grow if `enforce_sorted`.

    >>> nn.utils.rnn.pack_padded_sequence(ad.tensor([[1, 4], [2, 0]]), [2, 1]).data
    tensor([1, 4, 2])
    """
    sizes = _lengths(lengths)
    x = transpose(input, 0, 1) if batch_first else input
    steps, batch = x.size(0), x.size(1)
    if len(sizes) != batch:
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(sizes)} "
            f"(batch_size={batch})"
        )
    if any(n <= 0 for n in sizes):
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' "
            "that is <= 0"
        )
    order = sorted(range(batch), key=lambda j: -sizes[j])
    if enforce_sorted and order != list(range(batch)):
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You "
            "can pass `enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to "
            "sidestep this requirement if you do not need ONNX exportability."
        )
    longest = max(sizes, default=0)
    if longest > steps:
        raise RuntimeError(f"Expected lengths of at most {steps}, the padded length, got {longest}")
    counts = [sum(n > t for n in sizes) for t in range(longest)]
    at = [t * batch + j for t, count in enumerate(counts) for j in order[:count]]
    data = index_select(x.reshape((steps * batch, *x.shape[2:])), 0, tensor(at, dtype=dtypes.int64))
    return PackedSequence(
        data, tensor(counts, dtype=dtypes.int64), None if enforce_sorted else tensor(order)
    )


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """The inverse of pack_padded_sequence: the padded sequences and their lengths.

    >>> packed = nn.utils.rnn.pack_sequence([ad.tensor([1, 2]), ad.tensor([4])])
    >>> nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    (tensor([[1, 2],
            [4, 0]]), tensor([2, 1]))
    """
    counts = sequence.batch_sizes.tolist()
    steps = len(counts) if total_length is None else total_length
    if steps < len(counts):
        raise ValueError(
            "Expected total_length to be at least the length of the longest sequence in input, but "
            f"got total_length={total_length} and max sequence length being {len(counts)}"
        )
    batch, given = counts[0], sequence.sorted_indices
    order = list(range(batch)) if given is None else given.tolist()
    at = tensor([t * batch + j for t, count in enumerate(counts) for j in order[:count]])
    x = sequence.data
    padded = x.new_full((steps * batch, *x.shape[1:]), padding_value)
    padded[at] = x
    padded = padded.reshape((steps, batch, *x.shape[1:]))
    lengths = [0] * batch
    for rank, j in enumerate(order):
        lengths[j] = sum(count > rank for count in counts)
    return transpose(padded, 0, 1) if batch_first else padded, tensor(lengths)


def pad_sequence(
    sequences: Tensor | Sequence[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Sequences (length, ...) in one tensor (longest, batch, ...), or batch first.

    >>> nn.utils.rnn.pad_sequence([ad.tensor([1, 2]), ad.tensor([4])], batch_first=True)
    tensor([[1, 2],
            [4, 0]])
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            "pad_sequence: Expected iterable for input sequences, but got arg of type: "
            f"{type(sequences)}"
        )
    if padding_side not in ("left", "right"):
        raise RuntimeError(
            f"Expected padding_side to be one of left or right, but got {padding_side}."
        )
    xs = list(sequences)
    if not xs:
        raise RuntimeError("received an empty list of sequences")
    longest = max(x.size(0) for x in xs)
    padded = xs[0].new_full((len(xs), longest, *xs[0].shape[1:]), padding_value)
    for i, x in enumerate(xs):
        start = longest - x.shape[0] if padding_side == "left" else 0
        padded[i, start : start + x.shape[0]] = x
    return padded if batch_first else transpose(padded, 0, 1)


def unpad_sequence(
    padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False
) -> list[Tensor]:
    """The sequences of a padded tensor, each of its own length.

    >>> nn.utils.rnn.unpad_sequence(ad.tensor([[1, 4], [2, 0]]), ad.tensor([2, 1]))
    [tensor([1, 2]), tensor([4])]
    """
    x = padded_sequences if batch_first else transpose(padded_sequences, 0, 1)
    return [x[i, :n] for i, n in enumerate(_lengths(lengths))]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Sequences (length, ...) packed; the longest must come first if `enforce_sorted`.

    >>> nn.utils.rnn.pack_sequence([ad.tensor([1, 2]), ad.tensor([4])]).data
    tensor([1, 4, 2])
    """
    lengths = [x.size(0) for x in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences that were packed.

    >>> packed = nn.utils.rnn.pack_sequence([ad.tensor([1, 2]), ad.tensor([4])])
    >>> nn.utils.rnn.unpack_sequence(packed)
    [tensor([1, 2]), tensor([4])]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
