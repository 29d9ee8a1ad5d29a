"""Parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from autodiff.ops.join import cat
from autodiff.ops.typed import typename
from autodiff.ops.views import view
from autodiff.tensor import Tensor

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All elements in one 1-d tensor, differentiably. RuntimeError for strides without a view.

    >>> nn.utils.parameters_to_vector(nn.Linear(2, 3).parameters()).shape
    torch.Size([9])
    """
    return cat([view(x, -1) for x in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Let the parameters view consecutive slices of a vector, which gives them its dtype.

    RuntimeError where the vector is too short; the parameters before have changed then.

    >>> layer = nn.Linear(2, 1)
    >>> nn.utils.vector_to_parameters(ad.arange(3.0), layer.parameters())
    >>> layer.bias.detach()
    tensor([2.])
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected torch.Tensor, but got: {typename(vec)}")
    start = 0
    for x in parameters:
        end = start + x.numel()
        x.data = view(vec[start:end], x.shape).data
        start = end
