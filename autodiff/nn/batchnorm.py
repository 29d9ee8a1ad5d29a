"""Norms by channel as modules: batch, instance and group norm, and local response norm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autodiff import dtypes
from autodiff.devices import check_device
from autodiff.dtypes import dtype
from autodiff.nn import functional
from autodiff.nn._declared import calls
from autodiff.nn.module import Module
from autodiff.nn.normalization import reset_affine
from autodiff.nn.parameter import Parameter
from autodiff.ops.convert import tensor
from autodiff.ops.create import empty, ones, zeros
from autodiff.tensor import Tensor

__all__ = [
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "CrossMapLRN2d", "GroupNorm", "InstanceNorm1d",
    "InstanceNorm2d", "InstanceNorm3d", "LocalResponseNorm", "SyncBatchNorm",
]  # fmt: skip


def _affine(module: Module, size: int, affine: bool, bias: bool, d: dtype | None) -> None:
    """A weight and a bias of a number for each channel, or None."""
    for name, wanted in (("weight", affine), ("bias", affine and bias)):
        module.register_parameter(name, Parameter(empty(size, dtype=d)) if wanted else None)


class _Norm(Module):
    """What batch and instance norm share: running moments, weight and bias."""

    _version = 2
    _dims: tuple[int, ...] = ()
    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: str | None = None,
        dtype: dtype | None = None,
        *,
        bias: bool = True,
    ) -> None:
        check_device(type(self).__name__, device)
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        _affine(self, num_features, affine, bias, dtype)
        tracked = track_running_stats
        self.register_buffer("running_mean", zeros(num_features, dtype=dtype) if tracked else None)
        self.register_buffer("running_var", ones(num_features, dtype=dtype) if tracked else None)
        self.register_buffer("num_batches_tracked", tensor(0) if tracked else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Make the running mean zeros, the running variance ones and the count 0."""
        if self.running_mean is not None and self.running_var is not None:
            self.running_mean.zero_()
            self.running_var.fill_(1)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Reset the running moments; make the weight ones and the bias zeros."""
        self.reset_running_stats()
        reset_affine(self)

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim not in self._dims:
            wanted = " or ".join(f"{d}D" for d in self._dims)
            raise ValueError(f"expected {wanted} input (got {input.ndim}D input)")

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        local_metadata: Mapping[str, Any],
        *rest: Any,
    ) -> None:
        key = f"{prefix}num_batches_tracked"
        if self._version > local_metadata.get("version", 0) and key not in state_dict:
            held = self.num_batches_tracked  # states older than the count have none
            if self.track_running_stats:
                state_dict = {**state_dict, key: tensor(0) if held is None else held}
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)


class _BatchNorm(_Norm):
    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        share: Any = 0.0 if self.momentum is None else self.momentum
        count = self.num_batches_tracked
        if self.training and self.track_running_stats and count is not None:
            count.add_(1)
            if self.momentum is None:
                share = count.to(dtypes.float64).reciprocal()
        own = self.training or (self.running_mean is None and self.running_var is None)
        held = not self.training or self.track_running_stats
        mean, var = (self.running_mean, self.running_var) if held else (None, None)
        return functional.batch_norm(input, mean, var, self.weight, self.bias, own, share, self.eps)


class BatchNorm1d(_BatchNorm):
    """Normalizes each channel of (n, channels) or (n, channels, length) over all else.

    In training by the batch's mean and variance, which move the running ones by `momentum` (None:
    to their average so far); in evaluation by the running ones, if they are tracked.

    >>> nn.BatchNorm1d(1, affine=False)(ad.tensor([[1.0], [3.0]]))
    tensor([[-1.0000],
            [ 1.0000]])
    """

    _dims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch norm of (n, channels, height, width); see BatchNorm1d.

    >>> nn.BatchNorm2d(3)(ad.zeros(2, 3, 4, 4)).shape
    torch.Size([2, 3, 4, 4])
    """

    _dims = (4,)


class BatchNorm3d(_BatchNorm):
    """Batch norm of (n, channels, depth, height, width); see BatchNorm1d."""

    _dims = (5,)


class SyncBatchNorm(_BatchNorm):
    """Batch norm of (n, channels, ...) by the batches of all processes, of which there is one.

    >>> nn.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(nn.BatchNorm2d(3)))
    Sequential(
      (0): SyncBatchNorm(3, eps=1e-05, momentum=0.1, affine=True, bias=True, \
track_running_stats=True)
    )
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        process_group: Any = None,
        device: str | None = None,
        dtype: dtype | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )
        self.process_group = process_group

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"expected at least 2D input (got {input.ndim}D input)")

    @classmethod
    def convert_sync_batchnorm(cls, module: Module, process_group: Any = None) -> Module:
        """The module with such layers in place of its batch norms, which share what those have."""
        found = module
        if isinstance(module, _BatchNorm):
            how = (module.eps, module.momentum, module.affine, module.track_running_stats)
            biased = module.bias is not None
            found = cls(module.num_features, *how, process_group, bias=biased)
            for name in ("weight", "bias", *found._buffers):
                setattr(found, name, getattr(module, name))
            found.training = module.training
        for name, child in module.named_children():
            found.add_module(name, cls.convert_sync_batchnorm(child, process_group))
        return found


class _InstanceNorm(_Norm):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: str | None = None,
        dtype: dtype | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        batched = input.ndim == self._dims[1]
        dim = int(batched)
        if input.size(dim) != self.num_features and self.affine:
            raise ValueError(
                f"expected input's size at dim={dim} to match num_features ({self.num_features}), "
                f"but got: {input.size(dim)}."
            )
        x, mean, var = input if batched else input.unsqueeze(0), self.running_mean, self.running_var
        own = self.training or not self.track_running_stats
        share = 0.0 if self.momentum is None else self.momentum
        y = functional.instance_norm(x, mean, var, self.weight, self.bias, own, share, self.eps)
        return y if batched else y.squeeze(0)


class InstanceNorm1d(_InstanceNorm):
    """Normalizes each channel of each element of (n, channels, length), or of one without n.

    >>> nn.InstanceNorm1d(1)(ad.tensor([[[1.0, 3.0]]]))
    tensor([[[-1.0000,  1.0000]]])
    """

    _dims = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Instance norm of (n, channels, height, width), or of one element; see InstanceNorm1d."""

    _dims = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """Instance norm of (n, channels, depth, height, width), or of one element."""

    _dims = (4, 5)


class GroupNorm(Module):
    """Normalizes groups of channels of each element of (n, channels, ...); then by channel.

    ValueError where num_channels is no multiple of num_groups.

    >>> nn.GroupNorm(2, 4)(ad.zeros(5, 4, 8)).shape
    torch.Size([5, 4, 8])
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: str | None = None,
        dtype: dtype | None = None,
        *,
        bias: bool = True,
    ) -> None:
        check_device("GroupNorm", device)
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(
                f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})"
            )
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        _affine(self, num_channels, affine, bias, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Make the weight ones and the bias zeros."""
        reset_affine(self)

    def forward(self, input: Tensor) -> Tensor:
        return functional.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


@calls(functional.local_response_norm)
class LocalResponseNorm(Module):
    """input / (k + alpha * mean of the squares of `size` channels around it) ** beta.

    >>> nn.LocalResponseNorm(3)(ad.ones(1, 4, 5)).shape
    torch.Size([1, 4, 5])
    """

    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class CrossMapLRN2d(LocalResponseNorm):
    """A LocalResponseNorm of images (N, C, H, W) by the mean over as many channels on either side,
    an odd number: as in PyTorch, those that do not reach the first channel count it nonetheless.

    >>> nn.CrossMapLRN2d(3)(ad.ones(1, 4, 5, 5)).shape
    torch.Size([1, 4, 5, 5])
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1) -> None:
        super().__init__(size, alpha, beta, k)

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim != 4:
            raise ValueError(f"CrossMapLRN2d: Expected input to be 4D, got {input.ndim}D instead.")
        reach = (self.size + 1) // 2
        squares, beyond = input * input, max(input.shape[1] - reach, 0)
        sides = functional.pad(squares, (0, 0, 0, 0, reach - 1, reach - 1))
        sums = sides.unfold(1, 2 * reach - 1, 1).sum(-1)
        first = squares[:, :1].expand(-1, beyond, -1, -1)
        sums = sums + functional.pad(first, (0, 0, 0, 0, input.shape[1] - beyond, 0))
        return input * (sums * (self.alpha / self.size) + self.k) ** -self.beta
