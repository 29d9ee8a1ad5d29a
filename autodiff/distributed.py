"""`autodiff.distributed`: what programs ask of a group of processes: there is none.

Collectives raise what PyTorch raises before `init_process_group`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, NoReturn

from autodiff.nn.parallel import NO_GROUP
from autodiff.places import also_at

__all__ = [
    "ProcessGroup", "ReduceOp", "init_process_group", "is_available", "is_initialized",
    "is_torchelastic_launched",
]  # fmt: skip

ProcessGroup = type("ProcessGroup", (), {"__doc__": "What `new_group` would make."})
ReduceOp = enum.Enum("ReduceOp", "SUM AVG PRODUCT MIN MAX BAND BOR BXOR PREMUL_SUM")


def is_available() -> bool:
    """Whether processes can form a group: False.

    >>> ad.distributed.is_available()
    False
    """
    return False


is_initialized = is_torchelastic_launched = is_available


def init_process_group(backend: Any = None, *args: Any, **options: Any) -> NoReturn:
    """RuntimeError: there is one process.

    >>> ad.distributed.init_process_group("gloo")
    Traceback (most recent call last):
    RuntimeError: init_process_group: processes form no group here, a program runs as one
    """
    raise RuntimeError("init_process_group: processes form no group here, a program runs as one")


def _collective(name: str) -> Callable[..., NoReturn]:
    def call(*args: Any, **kwargs: Any) -> NoReturn:
        """ValueError: there is no group.

        >>> ad.distributed.get_rank()
        Traceback (most recent call last):
        ValueError: Default process group has not been initialized, please make sure to call ...
        """
        raise ValueError(NO_GROUP)

    call.__name__ = call.__qualname__ = name
    return call


_NAMES = """
all_gather all_gather_into_tensor all_gather_object all_reduce all_to_all barrier broadcast
broadcast_object_list destroy_process_group gather get_backend get_rank get_world_size irecv isend
new_group recv reduce reduce_scatter scatter send
"""
globals().update({name: _collective(name) for name in _NAMES.split()})
__all__ += _NAMES.split()
also_at(__name__, "nn")  # which can be differentiated
