"""Functions to be called around a step."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from autodiff.changes import recorder_here


def with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """An optimiser's `step` with the hooks of the optimiser it is called on."""

    @functools.wraps(step)
    def hooked(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self._opt_called is False:
            self._opt_called = True
        if recorder := recorder_here():
            recorder.before_step(self)
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
