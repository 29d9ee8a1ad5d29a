"""Memory that processes share, and memory pinned for other devices, of which there are none."""

from __future__ import annotations

import weakref
from typing import Any

from autodiff.grad_mode import no_grad
from autodiff.ops.assign import copy_
from autodiff.ops.storage import frombuffer, storage
from autodiff.tensor import Tensor

_BLOCKS: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()


def is_shared(self: Tensor) -> bool:
    """Whether child processes write to the same memory: see `share_memory_`.

    >>> ad.ones(2).is_shared()
    False
    """
    return storage(self).data_ptr() in _BLOCKS


def share_memory_(self: Tensor) -> Tensor:
    """Move the tensor to memory that it shares with the processes forked from then on. Views that
    were made before keep the memory that it had.

    >>> ad.ones(2).share_memory_().is_shared()
    True
    """
    if not is_shared(self):
        import mmap  # which few need

        old = storage(self)
        block = mmap.mmap(-1, max(old.nbytes(), self.element_size()))
        shared = frombuffer(block, dtype=self.dtype)
        _BLOCKS[shared.data_ptr()] = block
        size, strides, offset = self.shape, self.stride(), self.storage_offset()
        with no_grad():
            copy_(shared[: old.size()], old._x)
            self.data = shared.as_strided(size, strides, offset)
    return self


def is_pinned(self: Tensor, device: Any = None) -> bool:
    """False: there is no device to pin memory for.

    >>> ad.ones(2).is_pinned()
    False
    """
    return bool(self._p.ndim < 0)  # never: but an error of what is no tensor


def pin_memory(self: Tensor, device: Any = None) -> Tensor:
    """RuntimeError: there is no device to pin memory for.

    >>> ad.ones(2).pin_memory()
    Traceback (most recent call last):
    RuntimeError: Cannot access accelerator device when none is available.
    """
    raise RuntimeError("Cannot access accelerator device when none is available.")
