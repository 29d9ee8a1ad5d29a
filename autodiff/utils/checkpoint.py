"""Checkpoints: what a part of a graph saved is given up, and computed again by backward.

The part is recorded as always, then its nodes lose what they saved. The first of them that backward
runs has the function run again, on the same inputs and random numbers; the nodes of that second
graph hand over what they saved, and are dropped. So everything a graph can do, it still can: other
tensors that the function uses get their gradients, gradients can be differentiated again, and
checkpoints can be made of checkpoints.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from autodiff.amp.policies import apart, state
from autodiff.anomaly import watchers, watching
from autodiff.func.batched import levels
from autodiff.func.batching import resumed
from autodiff.grad_mode import enable_grad
from autodiff.native import operand_text
from autodiff.node import Node, mode, recomputed
from autodiff.ops.generator import get_rng_state, set_rng_state
from autodiff.tensor import Tensor

__all__ = [
    "CheckpointError", "checkpoint", "checkpoint_sequential", "get_device_states",
    "noop_context_fn", "set_checkpoint_debug_enabled", "set_checkpoint_early_stop",
    "set_device_states",
]  # fmt: skip

Function = Callable[..., Any]


class CheckpointError(RuntimeError):
    """The function did not do the same when it ran again."""


def get_device_states(*args: Any) -> tuple[list[int], list[Tensor]]:
    """The devices but the CPU that tensors are on, and the states of their generators: none.

    >>> from autodiff.utils.checkpoint import get_device_states
    >>> get_device_states(ad.ones(1))
    ([], [])
    """
    return [], []


def set_device_states(devices: Sequence[int], states: Sequence[Tensor]) -> None:
    """Set the states of generators of other devices than the CPU: of none.

    >>> from autodiff.utils.checkpoint import set_device_states
    >>> set_device_states([], [])
    """


def noop_context_fn() -> tuple[Any, Any]:
    """The contexts of a forward and of a recomputation that need none.

    >>> from autodiff.utils.checkpoint import noop_context_fn
    >>> with noop_context_fn()[0]:
    ...     ad.ones(1)
    tensor([1.])
    """
    return nullcontext(), nullcontext()


def set_checkpoint_early_stop(enable: bool) -> AbstractContextManager[None]:
    """A block in which `early_stop` is so for all checkpoints that are made, whatever they say.

    >>> with ad.utils.checkpoint.set_checkpoint_early_stop(False):
    ...     ad.utils.checkpoint.checkpoint(ad.exp, ad.zeros(1))
    tensor([1.])
    """
    return _early_stop(enable)


@contextmanager
def _early_stop(enable: bool) -> Iterator[None]:
    before, _settings.early_stop = _settings.early_stop, enable
    try:
        yield
    finally:
        _settings.early_stop = before


def set_checkpoint_debug_enabled(enabled: bool | None) -> AbstractContextManager[None]:
    """A block in which `debug` is set for all checkpoints: errors tell as much without it.

    >>> with ad.utils.checkpoint.set_checkpoint_debug_enabled(True):
    ...     ad.utils.checkpoint.checkpoint(ad.exp, ad.zeros(1))
    tensor([1.])
    """
    return nullcontext()


class _Settings:
    early_stop: bool | None = None  # as a block has it for all


_settings = _Settings()


class _Enough(BaseException):
    """All that was saved is there again: raised through a function that need not go on."""


class _Part:
    """A part of a graph: a call, and the nodes that it recorded."""

    def __init__(
        self, function: Function, args: Any, kwargs: Any, again: Any, check: bool, stop: bool
    ) -> None:
        self.function: Function | None = function
        self.args, self.kwargs = args, kwargs
        self.again = again  # the context of a recomputation
        self.check = check
        self.stop = stop if _settings.early_stop is None else _settings.early_stop
        self.state: Tensor | None = None  # of the random numbers, before the call
        self.owner: _Part | None = None  # the part that this one is a part of
        self.autocast = state()
        self.levels = list(levels.stack)  # the vmaps that the call is in
        self.given = [x for x in (*args, *kwargs.values()) if isinstance(x, Tensor)]
        self.versions = self.version()
        self.saved: list[tuple[weakref.ref[Any], list[str]]] = []

    def version(self) -> int:
        """What tells whether an input was written to."""
        return sum(x._version for x in self.given if not x.is_inference())

    def give_up(self, found: Sequence[Any]) -> None:
        """Forget what nodes saved, and the inputs of the parts inside."""
        for one in found:
            if isinstance(one, Node):
                texts = [operand_text(p) for p in one.saved or ()]
                one.saved = None
                recomputed[one] = self.recompute
            else:
                texts = []
                one.owner = self
                one.forget()
            self.saved.append((weakref.ref(one), texts))

    def forget(self) -> None:
        """Let go of the inputs of a part of another, which that one will make again."""
        if self.owner is not None:
            self.function = self.args = self.kwargs = None
            self.given = []

    def recompute(self) -> None:
        """Run the function again, and take over what it saves."""
        if self.function is None and self.owner is not None:
            self.owner.recompute()
        if self.version() != self.versions:
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified by an "
                "inplace operation: an input of a checkpoint was written to before backward. "
                "Write to a clone() of it."
            )
        found: list[Any] = []

        def note(one: Any) -> None:
            found.append(one)
            if self.stop and len(found) == len(self.saved):
                raise _Enough

        before = None if self.state is None else get_rng_state()
        try:
            if self.state is not None:
                set_rng_state(self.state)
            inside = apart(self.autocast)
            with enable_grad(), watching(note), resumed(self.levels), inside, self.again:
                assert self.function is not None
                self.function(*self.args, **self.kwargs)
        except _Enough:
            pass
        finally:
            if before is not None:
                set_rng_state(before)
        self.take(found)

    def take(self, found: Sequence[Any]) -> None:
        """Hand what was recorded again to what was recorded first."""
        if len(found) != len(self.saved):
            raise CheckpointError(
                "checkpoint: A different number of tensors was saved during the original forward "
                f"and recomputation: by {len(self.saved)} operations, and by {len(found)}. The "
                "function must do the same each time it is called on the same inputs."
            )
        for (first, texts), new in zip(self.saved, found, strict=True):
            old = first()
            if isinstance(new, Node):
                if self.check:
                    _compare(texts, new)
                if old is not None and old.saved is None:
                    old.saved, old.versions = new.saved, new.versions
                    del recomputed[old]
            elif old is not None:
                old.function, old.args, old.kwargs = new.function, new.args, new.kwargs
                old.given, old.versions, old.state = new.given, new.versions, new.state


def _compare(texts: list[str], new: Node) -> None:
    again = [operand_text(p) for p in new.saved or ()]
    if again != texts:
        raise CheckpointError(
            "checkpoint: Recomputed values for the following tensors have different metadata than "
            f"during the forward pass: {new.name()} saved {' and '.join(texts)} first, and "
            f"{' and '.join(again)} when it was recomputed. The function must do the same each "
            "time it is called on the same inputs."
        )


def checkpoint(
    function: Function,
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Callable[[], tuple[Any, Any]] = noop_context_fn,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """`function(*args, **kwargs)`, without keeping what backward needs of it: that is recomputed.

    Memory is that of the inputs and outputs, at the cost of another forward. `preserve_rng_state`
    has the recomputation draw the same random numbers, so that dropout is the same. `context_fn`
    returns the contexts for the call and for the recomputation. CheckpointError where the function
    does not do the same then (`determinism_check` "default": also where shapes differ). With
    `early_stop` it runs again only up to the last operation that saved something. There is one
    implementation, PyTorch's `use_reentrant=False`, whatever is given for it; `debug` changes
    nothing.

    >>> x = ad.tensor([1.0, 2.0], requires_grad=True)
    >>> y = ad.utils.checkpoint.checkpoint(lambda x: (x * x).exp(), x)
    >>> y.sum().backward()
    >>> x.grad
    tensor([  5.4366, 218.3926])
    """
    if determinism_check not in ("default", "none"):
        raise ValueError(
            f"determinism_check should be one of ['default', 'none'], but got {determinism_check}"
        )
    if use_reentrant and kwargs:
        raise ValueError(f"Unexpected keyword arguments: {','.join(kwargs)}")
    first, again = context_fn()
    if not mode.grad:
        with first:
            return function(*args, **kwargs)
    part = _Part(function, args, kwargs, again, determinism_check == "default", early_stop)
    part.state = get_rng_state() if preserve_rng_state else None
    found: list[Any] = []
    with watching(found.append), apart(part.autocast), first:
        result = function(*args, **kwargs)
    part.give_up(found)
    if watchers.stack:
        watchers.stack[-1](part)
    return result


def checkpoint_sequential(
    functions: Any,
    segments: int,
    input: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """The functions (a Sequential or a list) one after another, in `segments` checkpoints.

    The last segment is run as it is, as its backward comes first.

    >>> net = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1))
    >>> ad.utils.checkpoint.checkpoint_sequential(net, 2, ad.ones(3, 2)).shape
    torch.Size([3, 1])
    """
    if kwargs:
        raise ValueError(f"Unexpected keyword arguments: {','.join(kwargs)}")
    parts = list(functions.children()) if hasattr(functions, "children") else list(functions)
    size = len(parts) // segments
    if segments > len(parts):
        raise ValueError(f"{len(parts)} function(s) cannot be cut into {segments} segments")

    def chain(start: int, stop: int) -> Function:
        def run(x: Any) -> Any:
            for function in parts[start:stop]:
                x = function(x)
            return x

        return run

    end = 0
    for start in range(0, size * (segments - 1), size):
        end = start + size
        input = checkpoint(
            chain(start, end),
            input,
            use_reentrant=use_reentrant,
            preserve_rng_state=preserve_rng_state,
        )
    return chain(end, len(parts))(input)
