"""Dropout as modules: noise while training, nothing after eval()."""

from __future__ import annotations

from autodiff.nn import functional
from autodiff.nn._declared import calls, options
from autodiff.nn.functional.noise import check_probability
from autodiff.nn.module import Module
from autodiff.tensor import Tensor

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"]


@options
class _Dropout(Module):
    p: float = 0.5
    inplace: bool = False

    def _settle(self) -> None:
        check_probability(self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


@calls(functional.dropout)
class Dropout(_Dropout):
    """In training, zeros elements with probability p, and divides the others by 1 - p.

    ValueError for a p outside [0, 1].

    >>> g = ad.manual_seed(0)
    >>> nn.Dropout(0.5)(ad.ones(4))
    tensor([0., 0., 2., 0.])
    """


@calls(functional.dropout1d)
class Dropout1d(_Dropout):
    """Zeros channels of (N, C, L) or (C, L) with probability p, and divides the others by 1 - p.

    >>> nn.Dropout1d(0.5)(ad.ones(8, 3, 5)).shape
    torch.Size([8, 3, 5])
    """


@calls(functional.dropout2d)
class Dropout2d(_Dropout):
    """Zeros channels of (N, C, H, W) with probability p, and divides the others by 1 - p.

    >>> nn.Dropout2d(0.5)(ad.ones(8, 3, 5, 5)).shape
    torch.Size([8, 3, 5, 5])
    """


@calls(functional.dropout3d)
class Dropout3d(_Dropout):
    """Zeros channels of (N, C, D, H, W) or (C, D, H, W) with probability p; scales the others.

    >>> nn.Dropout3d(0.5)(ad.ones(8, 3, 5, 5, 5)).shape
    torch.Size([8, 3, 5, 5, 5])
    """


class AlphaDropout(_Dropout):
    """Saturates elements as SELU does, with probability p, keeping mean 0 and variance 1.

    >>> nn.AlphaDropout(0.5).eval()(ad.ones(2))
    tensor([1., 1.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return functional.alpha_dropout(input, self.p, self.training)


class FeatureAlphaDropout(_Dropout):
    """`AlphaDropout` of whole channels of (N, C, ...).

    >>> nn.FeatureAlphaDropout(0.5).eval()(ad.ones(1, 2))
    tensor([[1., 1.]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return functional.feature_alpha_dropout(input, self.p, self.training)
