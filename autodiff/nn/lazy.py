"""Modules that learn their input's size at their first call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autodiff.devices import check_device
from autodiff.dtypes import dtype
from autodiff.nn.batchnorm import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
)
from autodiff.nn.linear import Linear
from autodiff.nn.module import Module
from autodiff.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy
from autodiff.ops.convert import tensor
from autodiff.tensor import Tensor

__all__ = [
    "LazyBatchNorm1d", "LazyBatchNorm2d", "LazyBatchNorm3d", "LazyInstanceNorm1d",
    "LazyInstanceNorm2d", "LazyInstanceNorm3d", "LazyLinear", "UninitializedBuffer",
    "UninitializedParameter",
]  # fmt: skip


class LazyModuleMixin(Module):
    """The base of modules whose parameters get their shapes at the first call.

    A subclass holds `UninitializedParameter`s, which its `initialize_parameters`, called with the
    arguments of forward, has to materialize; the module is a `cls_to_become` from then on, if any.
    """

    cls_to_become: type[Module] | None = None

    def _materialize(self, shapes: Mapping[str, Sequence[int]]) -> None:
        for name, shape in shapes.items():
            x = self.__dict__.get(name)
            if is_lazy(x):
                x.materialize(shape)  # type: ignore[union-attr]

    def has_uninitialized_params(self) -> bool:
        """Whether a parameter is yet to get its shape."""
        return any(map(is_lazy, (*self.parameters(recurse=False), *self.buffers(recurse=False))))

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Give the parameters the shapes that fit an input, and their first values."""
        raise NotImplementedError(
            f"initialize_parameters is not implemented for {type(self).__name__}"
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The result of the module that this one has become."""
        if self.cls_to_become is not None or self.has_uninitialized_params():
            self.initialize_parameters(*args, **kwargs)
            if self.has_uninitialized_params():
                raise RuntimeError(f"module {type(self).__name__} has not been fully initialized")
            self.__class__ = self.cls_to_become or type(self)  # type: ignore[assignment]
        return Module.__call__(self, *args, **kwargs)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        found = {name: state_dict.get(prefix + name) for name in self._parameter_names}
        given = {name: x for name, x in found.items() if isinstance(x, Tensor)}
        known = {n: x for n, x in given.items() if not is_lazy(x)}
        if known:
            self._materialize({name: x.shape for name, x in known.items()})
            self._note_sizes()
        elif given and self.has_uninitialized_params():
            return  # both are yet to be known
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _note_sizes(self) -> None:
        """Set the sizes that the parameters tell."""


class LazyLinear(LazyModuleMixin, Linear):
    """A Linear whose in_features are the last size of its first input.

    >>> nn.LazyLinear(2)(ad.ones(4, 3)).shape
    torch.Size([4, 2])
    """

    cls_to_become = Linear

    def __init__(
        self,
        out_features: int,
        bias: bool = True,
        device: str | None = None,
        dtype: dtype | None = None,
    ) -> None:
        check_device("LazyLinear", device)
        Module.__init__(self)
        self.in_features = 0
        self.out_features = out_features
        self.weight = UninitializedParameter(dtype=dtype)
        self.register_parameter("bias", UninitializedParameter(dtype=dtype) if bias else None)

    def reset_parameters(self) -> None:
        """Draw new initial values, where the shapes are known."""
        if not self.has_uninitialized_params():
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:
        """Take in_features from an input, and draw initial values."""
        if self.has_uninitialized_params():
            self.in_features = input.shape[-1]
            shapes = {"weight": (self.out_features, self.in_features), "bias": (self.out_features,)}
            self._materialize(shapes)
            self.reset_parameters()

    def _note_sizes(self) -> None:
        self.in_features = self.weight.shape[1]


class _LazyNorm(LazyModuleMixin):
    """A batch or instance norm whose num_features are the channels of its first input."""

    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: str | None = None,
        dtype: dtype | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(  # type: ignore[call-arg]
            0, eps, momentum, False, False, device, dtype
        )
        self.affine = affine
        self.track_running_stats = track_running_stats
        for name, wanted in (("weight", affine), ("bias", affine and bias)):
            setattr(self, name, UninitializedParameter(dtype=dtype) if wanted else None)
        if track_running_stats:
            for name in ("running_mean", "running_var"):
                self.__dict__[name] = UninitializedBuffer(dtype=dtype)
            self.__dict__["num_batches_tracked"] = tensor(0)

    def has_uninitialized_params(self) -> bool:
        """Whether the number of channels is yet to be known."""
        return bool(self.__dict__["num_features"] == 0)

    def reset_parameters(self) -> None:
        """Set first values, where the number of channels is known."""
        if self.__dict__.get("num_features"):
            super().reset_parameters()  # type: ignore[misc]

    def initialize_parameters(self, input: Tensor) -> None:
        """Take the number of channels from an input, and set first values."""
        if self.has_uninitialized_params():
            self._begin(input.size(1))

    def _begin(self, channels: int) -> None:
        values: Any = self
        values.num_features = channels
        names = ("weight", "bias", "running_mean", "running_var")
        self._materialize(dict.fromkeys(names, (channels,)))
        self.reset_parameters()

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        given = [state_dict.get(prefix + name) for name in ("weight", "running_mean")]
        for x in given:
            if isinstance(x, Tensor) and not is_lazy(x) and len(x):
                self._begin(x.shape[0])
                break
        super()._load_from_state_dict(state_dict, prefix, *rest)


class LazyBatchNorm1d(_LazyNorm, BatchNorm1d):
    """A BatchNorm1d whose num_features are the channels of its first input.

    >>> nn.LazyBatchNorm1d()(ad.ones(4, 3)).shape
    torch.Size([4, 3])
    """

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(_LazyNorm, BatchNorm2d):
    """A BatchNorm2d whose num_features are the channels of its first input."""

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(_LazyNorm, BatchNorm3d):
    """A BatchNorm3d whose num_features are the channels of its first input."""

    cls_to_become = BatchNorm3d


class LazyInstanceNorm1d(_LazyNorm, InstanceNorm1d):
    """An InstanceNorm1d whose num_features are the channels of its first input.

    >>> nn.LazyInstanceNorm1d()(ad.ones(4, 3, 5)).shape
    torch.Size([4, 3, 5])
    """

    cls_to_become = InstanceNorm1d


class LazyInstanceNorm2d(_LazyNorm, InstanceNorm2d):
    """An InstanceNorm2d whose num_features are the channels of its first input."""

    cls_to_become = InstanceNorm2d


class LazyInstanceNorm3d(_LazyNorm, InstanceNorm3d):
    """An InstanceNorm3d whose num_features are the channels of its first input."""

    cls_to_become = InstanceNorm3d
