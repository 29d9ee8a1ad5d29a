"""Functions to be called around a step."""

from __future__ import annotations

import functools
import itertools
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

Hook = Callable[..., Any]
Hooks = OrderedDict[int, Hook]
_numbers = itertools.count()


class RemovableHandle:
    """What registering a hook returns: `remove()` undoes it, as does leaving a `with` block."""

    def __init__(self, hooks: Hooks, hook: Hook) -> None:
        self.id = next(_numbers)
        self._hooks: Hooks = hooks
        hooks[self.id] = hook

    def remove(self) -> None:
        """Take the hook away; a second time does nothing."""
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


def with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """An optimiser's `step` with the hooks of the optimiser it is called on."""

    @functools.wraps(step)
    def hooked(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self._opt_called is False:
            self._opt_called = True
        if not self._optimizer_step_pre_hooks and not self._optimizer_step_post_hooks:
            return step(self, *args, **kwargs)
        given: tuple[Any, ...] = (self, *args)  # as PyTorch passes them on
        for hook in self._optimizer_step_pre_hooks.values():
            changed = hook(self, given, kwargs)
            if changed is not None:
                if not isinstance(changed, tuple) or len(changed) != 2:
                    raise RuntimeError(
                        f"{step} must return None or a tuple of (new_args, new_kwargs), but got "
                        f"{changed}."
                    )
                given, kwargs = changed
        result = step(*given, **kwargs)
        for hook in self._optimizer_step_post_hooks.values():
            hook(self, given, kwargs)
        return result

    return hooked
