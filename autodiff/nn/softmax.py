"""Softmax and its relatives as modules."""

from __future__ import annotations

from autodiff.nn import functional
from autodiff.nn._declared import calls
from autodiff.nn.module import Module
from autodiff.tensor import Tensor

__all__ = ["LogSoftmax", "Softmax", "Softmax2d", "Softmin"]


@calls(functional.softmax)
class Softmax(Module):
    """exp(input) divided by its sum along `dim`.

    >>> nn.Softmax(dim=-1)(ad.zeros(2))
    tensor([0.5000, 0.5000])
    """

    dim: int | None = None


@calls(functional.log_softmax)
class LogSoftmax(Module):
    """The logarithm of softmax along `dim`.

    >>> nn.LogSoftmax(dim=-1)(ad.zeros(2))
    tensor([-0.6931, -0.6931])
    """

    dim: int | None = None


@calls(functional.softmin)
class Softmin(Module):
    """softmax of -input along `dim`.

    >>> nn.Softmin(dim=-1)(ad.tensor([0.0, 1.0]))
    tensor([0.7311, 0.2689])
    """

    dim: int | None = None


class Softmax2d(Module):
    """softmax over the channels of images (c, h, w) or (n, c, h, w).

    >>> nn.Softmax2d()(ad.zeros(1, 4, 2, 2)).shape
    torch.Size([1, 4, 2, 2])
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D, got {input.ndim}D instead")
        return functional.softmax(input, -3)
