"""`nn.parallel`: models on several GPUs, of which there are none."""

from __future__ import annotations

from typing import Any

from autodiff.nn.module import Module
from autodiff.tensor import Tensor

__all__ = ["DataParallel", "DistributedDataParallel", "data_parallel"]

NO_GROUP = (
    "Default process group has not been initialized, please make sure to call init_process_group."
)


class DataParallel(Module):
    """The module itself, on the CPU; the keys of its state begin with "module.".

    >>> nn.DataParallel(nn.Linear(2, 1))(ad.ones(1, 2)).shape
    torch.Size([1, 1])
    """

    module: Module

    def __init__(
        self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0
    ) -> None:
        super().__init__()
        self.module = module
        self.device_ids: list[int] = []

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)


class DistributedDataParallel(Module):
    """What no module is: there are no groups of processes. ValueError.

    >>> isinstance(nn.Linear(2, 1), nn.parallel.DistributedDataParallel)
    False
    """

    module: Module

    def __init__(self, module: Module, *args: Any, **kwargs: Any) -> None:
        raise ValueError(NO_GROUP)


def data_parallel(
    module: Module,
    inputs: Any,
    device_ids: Any = None,
    output_device: Any = None,
    dim: int = 0,
    module_kwargs: dict[str, Any] | None = None,
) -> Any:
    """The result of a module for inputs, a tensor or a tuple: on the CPU, as it is.

    >>> nn.parallel.data_parallel(nn.ReLU(), ad.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    given = (inputs,) if isinstance(inputs, Tensor) else inputs
    return module(*given, **(module_kwargs or {}))
