"""`GradScaler`: losses that are multiplied, lest gradients of 16 bits vanish."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

from autodiff import dtypes
from autodiff.grad_mode import no_grad
from autodiff.optim import Optimizer
from autodiff.tensor import Tensor

__all__ = ["GradScaler"]


class GradScaler:
    """Multiplies losses, so that gradients of 16 bits do not vanish, and divides the gradients.

    A step whose gradients are not finite is left out and halves the scale; it doubles after
    `growth_interval` steps that were not. For "cuda", where there is no GPU, nothing is scaled.

    >>> w = ad.ones(1, requires_grad=True)
    >>> optimizer, scaler = optim.SGD([w], lr=0.5), ad.amp.GradScaler("cpu")
    >>> scaler.scale(w.sum()).backward()
    >>> scaler.step(optimizer)
    >>> scaler.update()
    >>> w
    tensor([0.5000], requires_grad=True)
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 65536.0,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        if enabled and device == "cuda":
            warnings.warn(
                "torch.cuda.amp.GradScaler is enabled, but CUDA is not available.  Disabling.",
                stacklevel=2,
            )
            enabled = False
        if enabled and not growth_factor > 1:
            raise AssertionError("The growth factor must be > 1.0.")
        if enabled and not backoff_factor < 1:
            raise AssertionError("The backoff factor must be < 1.0.")
        self._enabled = enabled
        self._state = {
            "scale": float(init_scale),
            "growth_factor": growth_factor,
            "backoff_factor": backoff_factor,
            "growth_interval": growth_interval,
            "_growth_tracker": 0,
        }
        self._scaled = False  # whether it was ever used
        self._found: dict[int, list[bool]] = {}  # which gradients of an optimizer are not finite
        self._stepped: set[int] = set()

    def scale(self, outputs: Any) -> Any:
        """A tensor, or each of a list or tuple of them, times the scale."""
        if not self._enabled:
            return outputs
        self._scaled = True
        if isinstance(outputs, Tensor):
            return outputs * self._state["scale"]
        if isinstance(outputs, Iterable):
            scaled = map(self.scale, outputs)
            return type(outputs)(scaled) if isinstance(outputs, (list, tuple)) else scaled
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    def unscale_(self, optimizer: Optimizer) -> None:
        """Divide an optimizer's gradients by the scale.

        RuntimeError for a second time, ValueError for gradients of float16.
        """
        if not self._enabled:
            return
        self._check_scaled("unscale_")
        if id(optimizer) in self._stepped:
            raise RuntimeError("unscale_() is being called after step().")
        if id(optimizer) in self._found:
            raise RuntimeError(
                "unscale_() has already been called on this optimizer since the last update()."
            )
        grads = [p.grad for group in optimizer.param_groups for p in group["params"]]
        grads = [g for g in grads if g is not None]
        if any(g.dtype == dtypes.float16 for g in grads):
            raise ValueError("Attempting to unscale FP16 gradients.")
        with no_grad():
            self._found[id(optimizer)] = [not bool(g.isfinite().all()) for g in grads]
            for g in grads:
                g.mul_(1.0 / self._state["scale"])

    def _check_scaled(self, name: str) -> None:
        if not self._scaled:
            raise AssertionError(f"Attempted {name} before anything was scaled: call scale() first")

    def step(self, optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
        """optimizer.step() on unscaled gradients, where all are finite; else None."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        if id(optimizer) in self._stepped:
            raise RuntimeError("step() has already been called since the last update().")
        if id(optimizer) not in self._found:
            self.unscale_(optimizer)
        if not self._found[id(optimizer)]:
            raise AssertionError("No inf checks were recorded for this optimizer.")
        self._stepped.add(id(optimizer))
        return None if any(self._found[id(optimizer)]) else optimizer.step(*args, **kwargs)

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """Take a new scale, or the one that follows from the steps since the last update."""
        if not self._enabled:
            return
        self._check_scaled("update")
        state = self._state
        if new_scale is not None:
            state["scale"] = float(new_scale)
        elif not any(self._found.values()):
            raise AssertionError("No inf checks were recorded prior to update.")
        elif any(map(any, self._found.values())):
            state["scale"] *= state["backoff_factor"]
            state["_growth_tracker"] = 0
        else:
            state["_growth_tracker"] += 1
            if state["_growth_tracker"] == state["growth_interval"]:
                state["scale"] *= state["growth_factor"]
                state["_growth_tracker"] = 0
        self._found.clear()
        self._stepped.clear()

    def get_scale(self) -> float:
        """The scale; 1.0 where nothing is scaled."""
        return self._state["scale"] if self._enabled else 1.0

    def get_growth_factor(self) -> float:
        """What the scale is multiplied by after steps that were finite."""
        return self._state["growth_factor"]

    def set_growth_factor(self, new_factor: float) -> None:
        """Set what get_growth_factor gives."""
        self._state["growth_factor"] = new_factor

    def get_backoff_factor(self) -> float:
        """What the scale is multiplied by after a step that was not finite."""
        return self._state["backoff_factor"]

    def set_backoff_factor(self, new_factor: float) -> None:
        """Set what get_backoff_factor gives."""
        self._state["backoff_factor"] = new_factor

    def get_growth_interval(self) -> int:
        """After how many finite steps the scale grows."""
        return int(self._state["growth_interval"])

    def set_growth_interval(self, new_interval: int) -> None:
        """Set what get_growth_interval gives."""
        self._state["growth_interval"] = new_interval

    def is_enabled(self) -> bool:
        """Whether anything is scaled."""
        return self._enabled

    def state_dict(self) -> dict[str, Any]:
        """The scale and what it depends on."""
        return dict(self._state) if self._enabled else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what state_dict gave."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled "
                "instance of GradScaler."
            )
        self._state.update({key: state_dict[key] for key in self._state})
