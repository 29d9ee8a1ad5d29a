"""A softmax of many classes, the frequent ones of which are computed first."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from autodiff.dtypes import dtype as Dtype
from autodiff.functions import cat, where, zeros
from autodiff.named import NamedTuple
from autodiff.nn.containers import ModuleList, Sequential
from autodiff.nn.functional import log_softmax
from autodiff.nn.linear import Linear
from autodiff.nn.module import Module
from autodiff.tensor import Tensor

__all__ = ["AdaptiveLogSoftmaxWithLoss"]


class _ASMoutput(NamedTuple):
    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """log_softmax over `n_classes`, ordered by frequency, cut at `cutoffs` into clusters.

    The head tells the first classes and the clusters; within cluster i classes are told by a map of
    in_features / div_value^(i + 1) features. Called with inputs (n, in_features) and targets (n,),
    or one of each, it gives (output, loss): the targets' log-probabilities, and minus their mean.
    Only the clusters that have targets are computed. RuntimeError for targets of other shapes, or
    that are no class (Grave et al., Efficient softmax approximation for GPUs, 2016).

    >>> head = nn.AdaptiveLogSoftmaxWithLoss(4, 10, cutoffs=[3, 6], div_value=2.0)
    >>> head(ad.ones(2, 4), ad.tensor([0, 7])).output.shape, head.log_prob(ad.ones(2, 4)).shape
    (torch.Size([2]), torch.Size([2, 10]))
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: str | None = None,
        dtype: Dtype | None = None,
    ) -> None:
        super().__init__()
        cutoffs = list(cutoffs)
        if not cutoffs:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        if (
            cutoffs != sorted(set(cutoffs))
            or not 0 < cutoffs[0] <= cutoffs[-1] < n_classes
            or any(int(c) != c for c in cutoffs)
        ):
            raise ValueError(
                "cutoffs should be a sequence of unique, positive integers sorted in an increasing "
                "order, where each value is between 1 and n_classes-1"
            )
        self.in_features, self.n_classes = in_features, n_classes
        self.cutoffs = [*cutoffs, n_classes]
        self.div_value, self.head_bias = div_value, head_bias
        self.shortlist_size = self.cutoffs[0]
        self.n_clusters = len(cutoffs)
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, head_bias, device, dtype)
        self.tail = ModuleList()
        for i, (start, end) in enumerate(itertools.pairwise(self.cutoffs)):
            size = int(in_features // div_value ** (i + 1))
            self.tail.append(
                Sequential(
                    Linear(in_features, size, False, device, dtype),
                    Linear(size, end - start, False, device, dtype),
                )
            )

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        for layer in self.modules():
            if isinstance(layer, Linear):
                layer.reset_parameters()

    def forward(self, input_: Tensor, target_: Tensor) -> _ASMoutput:
        n = target_.dim()
        if n > 1:
            raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
        if n == 1 and input_.size(0) != target_.size(0):
            raise RuntimeError(
                "Input and target should have the same size in the batch dimension: they have "
                f"{input_.size(0)} and {target_.size(0)}"
            )
        if input_.dim() != n + 1:
            raise RuntimeError(
                f"{n}D target tensor expects {n + 1}D input tensors, but found inputs with size "
                f"{input_.size()}"
            )
        x, target = (input_, target_) if n else (input_.unsqueeze(0), target_.unsqueeze(0))
        wrong = (target < 0) | (target >= self.n_classes)
        if wrong.any():
            raise RuntimeError(
                f"Target values should be in [0, {self.n_classes - 1}], but values in range "
                f"[{target.min().item()}, {target.max().item()}] were found. "
            )
        within, place = zeros(len(target), dtype=x.dtype), target
        for i, (start, end) in enumerate(itertools.pairwise(self.cutoffs)):
            here = (target >= start) & (target < end)
            rows = here.nonzero().squeeze(1)
            if not len(rows):
                continue
            found = log_softmax(self.tail[i](x.index_select(0, rows)), 1)
            own = (target[rows] - start).unsqueeze(1)
            within = within.index_add(0, rows, found.gather(1, own).squeeze(1))
            place = where(here, self.shortlist_size + i, place)
        of_head = log_softmax(self.head(x), 1).gather(1, place.unsqueeze(1)).squeeze(1)
        output = within + of_head
        loss = (-output).mean()
        return _ASMoutput(output if n else output.squeeze(0), loss)

    def log_prob(self, input: Tensor) -> Tensor:
        """The log-probabilities (n, n_classes) of all classes, for inputs (n, in_features)."""
        head = log_softmax(self.head(input), 1)
        parts = [head[:, : self.shortlist_size]]
        for i, layers in enumerate(self.tail):
            of_cluster = head[:, self.shortlist_size + i].unsqueeze(1)
            parts.append(log_softmax(layers(input), 1) + of_cluster)
        return cat(parts, 1)

    def predict(self, input: Tensor) -> Tensor:
        """The most probable classes (n,) of inputs (n, in_features).

        Where the head prefers one of the first classes, the clusters are not computed.
        """
        found = self.head(input).argmax(1)
        rare = found >= self.shortlist_size
        if rare.any():
            found[rare] = self.log_prob(input[rare]).argmax(1)
        return found  # type: ignore[no-any-return]
