"""Optimisers whose step is one native call a parameter group."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from autodiff import dtypes
from autodiff.changes import changes, recorder_here
from autodiff.grad_mode import enable_grad
from autodiff.native import describe, descriptors, ffi, lib, numbered, take_failure
from autodiff.node import Pending
from autodiff.ops.create import full_like, zeros, zeros_like
from autodiff.optim.optimizer import Group, Optimizer
from autodiff.tensor import Tensor

KINDS = numbered(lib.ad_optim_name)
SCALARS = ("step", "mu_product", "eta", "mu")  # state that is one number a parameter


class NativeOptimizer(Optimizer):
    """Base of optimisers that are rows of csrc/optimizers.def.

    A subclass says which row and which state a group uses, and the numbers the row takes. A step
    checks all tensors of a group before it writes any; groups before one that fails have stepped.
    """

    def _kernel(self, group: Group) -> tuple[str, Sequence[str]]:
        """The native optimiser, and the names of the state in the order of its columns."""
        raise NotImplementedError

    def _numbers(self, group: Group) -> Sequence[Any]:
        """The options the native optimiser takes, after lr, weight_decay and maximize."""
        raise NotImplementedError

    def _start(self, x: Tensor, group: Group) -> dict[str, Any]:
        """The state of a parameter before its first step."""
        names = [name for name in self._kernel(group)[1] if name not in SCALARS]
        return {"step": count(group), **{name: zeros_like(x) for name in names}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over state; counts saved as numbers become tensors."""
        super().__setstate__(state)
        for group in self.param_groups:
            for x in group["params"]:
                own_state = self.state.get(x, {})
                for name in SCALARS:
                    if name in own_state and not isinstance(own_state[name], Tensor):
                        own_state[name] = full_like(count(group), float(own_state[name]))

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters that have a gradient; returns what the closure returned."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        if self.defaults.get("differentiable"):
            self._record()
            return loss
        for group, hyper in zip(self.param_groups, self._hypers()):  # noqa: B905 - as it is faster
            self._update(group, hyper)
        return loss

    def _record(self) -> None:
        """A step of operations that gradients go through: of differentiable=True."""
        if recorder := recorder_here():
            recorder.stay_eager("it steps an optimizer with differentiable=True")
        with enable_grad():
            for group in self.param_groups:
                for x in group["params"]:
                    if (g := x.grad) is not None:
                        self._record_one(x, g, group)

    def _record_one(self, x: Tensor, g: Tensor, group: Group) -> None:
        state, decay, before = self.state[x], group.get("weight_decay", 0), x.clone()
        if not state:
            state.update(self._start(x, group))
        now = {name: value.clone() for name, value in state.items() if value is not None}
        if "step" in now:
            now["step"] += 1
        g = -g if group["maximize"] else g
        if group.get("decoupled_weight_decay"):
            before = before * (1 - group["lr"] * decay)
        elif decay != 0:
            g = g + before * decay
        x.copy_(self._moved(before, g, now, group))
        for name, value in now.items():
            if state.get(name) is None:
                state[name] = value
            else:
                state[name].copy_(value)

    def _moved(self, x: Tensor, g: Tensor, now: dict[str, Any], group: Group) -> Tensor:
        """Where a recorded step takes a parameter, of decayed weights; it renews what `now` has of
        its state, whose `step` counts this one.
        """
        raise NotImplementedError

    def _hypers(self) -> list[Any]:
        """C memory for each group's options: it stays, so that a record may point to it."""
        n, found = len(self.param_groups), self.__dict__.setdefault("_hyper", [])
        while len(found) < n:
            kind = KINDS[self._kernel(self.param_groups[len(found)])[0]]
            found.append(ffi.new("double[]", lib.ad_optim_hypers(kind)))
        return found[:n]  # type: ignore[no-any-return]

    def _set(self, group: Group, hyper: Any) -> None:
        """Hand a group's options over."""
        decay = group.get("weight_decay", 0)
        numbers = (group["lr"], decay, group["maximize"], *self._numbers(group))
        hyper[0 : len(numbers)] = numbers

    def _relied_on(self, states: bool) -> list[Any]:
        found = self._called()
        for group in self.param_groups:
            found += [self._kernel(group)[0], *group["params"], None]
        return found + self._states() if states else found

    def _refresh(self) -> None:
        super()._refresh()
        for group, hyper in zip(self.param_groups, self._hypers(), strict=True):
            self._set(group, hyper)

    def _update(self, group: Group, hyper: Any) -> None:
        name, names = self._kernel(group)
        self._set(group, hyper)
        xs, columns = with_gradients(group["params"])
        states: list[dict[str, Any]] = []
        if names:
            states = [self.state[x] for x in xs]
            for x, state in zip(xs, states, strict=True):
                if not state:
                    state.update(self._start(x, group))
            for key in names:
                columns += self._column(key, states)
        take_over = self._take_over if names else None
        table = columns if take_over is None else descriptors(columns)
        failed = lib.ad_optim_step(KINDS[name], len(xs), table, hyper)
        failure = take_failure() if failed else None
        if take_over is not None:
            take_over(states, table)
        if failure is not None:  # as a local name, an exception would keep its frame alive
            raise describe(failure, f"{type(self).__name__}.step", *columns[: 2 * len(xs)])

    def _column(self, key: str, states: list[dict[str, Any]]) -> list[Any]:
        return [state[key]._p for state in states]

    # Takes what a step made and stored in its table, where it makes anything.
    _take_over: Callable[[list[dict[str, Any]], Any], None] | None = None


def with_gradients(params: Iterable[Tensor]) -> tuple[list[Tensor], list[Any]]:
    """The parameters that have a gradient; their descriptors, and then those of the gradients."""
    xs, ps, gradients, recorded = [], [], [], changes.recorder is not None
    for x in params:
        leaf = x._asked() if recorded else x._acc
        if leaf is None:
            continue
        g = leaf.gradient() if recorded else leaf.grad
        if g is not None:
            xs.append(x)
            ps.append(x._p)
            gradients.append((leaf.made() if g.__class__ is Pending else g)._p)
    return xs, ps + gradients


def count(group: Group) -> Tensor:
    """A count of no steps, of PyTorch's dtype."""
    wide = dtypes.get_default_dtype() is dtypes.float64 and not group.get("fused")
    return zeros((), dtype=dtypes.float64 if wide else dtypes.float32)


def means(g: Tensor, now: dict[str, Any], group: Group) -> tuple[Tensor, Tensor]:
    """Adam's running means of the gradient and of its square, renewed."""
    first, second = group["betas"]
    mean = now["exp_avg"] = now["exp_avg"] + (g - now["exp_avg"]) * (1 - first)
    square = now["exp_avg_sq"] = now["exp_avg_sq"] * second + g * g * (1 - second)
    return mean, square


def plain(lr: Any) -> float:
    """A learning rate's number."""
    return lr.item() if isinstance(lr, Tensor) else float(lr)


# ---- checks of options; written so that nan fails them ----


def check_lr(lr: Any) -> None:
    """ValueError for a negative learning rate or a tensor of several."""
    if isinstance(lr, Tensor) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    check_at_least_0("learning rate", lr)


def check_at_least_0(what: str, value: Any) -> None:
    """ValueError for a negative option."""
    if not value >= 0.0:
        raise ValueError(f"Invalid {what}: {value}")


def check_betas(betas: Sequence[Any]) -> None:
    """ValueError for betas outside [0, 1), IndexError where there is one only."""
    for i, beta in enumerate((betas[0], betas[1])):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {beta}")


def check_adam(lr: Any, betas: Sequence[Any], eps: Any, weight_decay: Any) -> None:
    """ValueError for what no optimiser of Adam's family can take, in PyTorch's order."""
    check_lr(lr)
    check_at_least_0("epsilon value", eps)
    check_betas(betas)
    check_at_least_0("weight_decay value", weight_decay)


def check_modes(differentiable: bool, foreach: Any, fused: Any) -> None:
    """RuntimeError where these contradict."""
    if differentiable and fused:
        raise RuntimeError("`fused` does not support `differentiable`")
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
