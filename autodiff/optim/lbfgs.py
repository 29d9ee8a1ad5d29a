"""L-BFGS."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from autodiff.grad_mode import enable_grad, no_grad
from autodiff.named import NamedTuple
from autodiff.ops.create import zeros
from autodiff.ops.join import cat
from autodiff.optim._native import check_lr
from autodiff.optim.optimizer import Optimizer
from autodiff.tensor import Tensor

__all__ = ["LBFGS"]


class LBFGS(Optimizer):
    """Limited-memory BFGS (Nocedal, 1980): quasi-Newton steps, which evaluate a closure many times.

    A step makes up to max_iter iterations and about max_eval evaluations (1.25 max_iter where that
    is None), and ends when the largest gradient is at most tolerance_grad, or loss or parameters
    change by less than tolerance_change. The curvature is that of the last history_size iterations.
    An iteration moves by lr along its direction, or with line_search_fn="strong_wolfe" to a point
    that satisfies the strong Wolfe conditions (Nocedal and Wright, 2006, chapter 3). There can be
    only one group of parameters.

    >>> w = ad.tensor([1.0], requires_grad=True)
    >>> optimizer = optim.LBFGS([w], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = ((w - 3) ** 2).sum()
    ...     loss.backward()
    ...     return loss
    >>> loss = optimizer.step(closure)
    >>> w.detach()
    tensor([3.])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        check_lr(lr)
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Minimise what the closure returns; gives what it returned first."""
        with no_grad():
            return self._minimise(enable_grad()(closure))

    def _minimise(self, closure: Callable[[], Any]) -> Any:
        group = self.param_groups[0]
        search = group["line_search_fn"]
        # The whole has one state; as the first parameter's, it follows that one's dtype.
        state = self.state[group["params"][0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first = closure()
        loss, gradient, evaluations = float(first), self._gradient(), 1
        state["func_evals"] += 1
        if _largest(gradient) <= group["tolerance_grad"]:
            return first
        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            d = state["d"] = _direction(state, gradient, group["history_size"])
            state["prev_flat_grad"], state["prev_loss"] = gradient, loss
            t = group["lr"]
            t = t.item() if isinstance(t, Tensor) else t
            if state["n_iter"] == 1:
                t = min(1.0, 1.0 / gradient.abs().sum()) * t
            state["t"] = t
            slope = gradient.dot(d)
            if slope > -group["tolerance_change"]:
                break
            done = 0
            if search is not None:
                if search != "strong_wolfe":
                    raise RuntimeError("only 'strong_wolfe' is supported")
                start = _Point(0, loss, gradient, slope)
                most = group["max_eval"] - evaluations
                found, done = _strong_wolfe(self._evaluator(closure, d), t, start, d, most)
                t, loss, gradient = found.t, found.loss, found.gradient
                state["t"] = t
                self._move(t, d)
            else:
                self._move(t, d)
                if iteration != group["max_iter"]:  # where the last one leads, nothing asks for
                    loss, gradient, done = float(closure()), self._gradient(), 1
            evaluations += done
            state["func_evals"] += done
            if (
                iteration == group["max_iter"]
                or evaluations >= group["max_eval"]
                or _largest(gradient) <= group["tolerance_grad"]
                or _largest(d.mul(t)) <= group["tolerance_change"]
                or abs(loss - state["prev_loss"]) < group["tolerance_change"]
            ):
                break
        return first

    def _gradient(self) -> Tensor:
        """All gradients as one vector; zeros where there is none."""
        given = [(x, x.grad) for x in self.param_groups[0]["params"]]
        return cat(
            [zeros(x.numel(), dtype=x.dtype) if g is None else g.reshape(-1) for x, g in given]
        )

    def _move(self, t: Any, d: Tensor) -> None:
        """Add t times the vector d to the parameters."""
        first = 0
        for x in self.param_groups[0]["params"]:
            part = d[first : first + x.numel()]
            x.add_(part.reshape(x.shape), alpha=t.item() if isinstance(t, Tensor) else t)
            first += x.numel()

    def _evaluator(self, closure: Callable[[], Any], d: Tensor) -> Callable[[Any], _Point]:
        """What evaluates the closure some way along d, and leaves the parameters where they are."""
        params = self.param_groups[0]["params"]
        kept = [x.clone() for x in params]

        def at(t: Any) -> _Point:
            self._move(t, d)
            loss, gradient = float(closure()), self._gradient()
            for x, values in zip(params, kept, strict=True):
                x.copy_(values)
            return _Point(t, loss, gradient, gradient.dot(d))

        return at


def _largest(x: Tensor) -> Tensor:
    found: Tensor = x.abs().max()
    return found


def _direction(state: dict[str, Any], gradient: Tensor, history_size: int) -> Tensor:
    """Minus the gradient times the inverse Hessian as the last steps tell it (two-loop recursion).

    The state's "old_dirs" are changes of the gradient, "old_stps" those of the parameters.
    """
    if state["n_iter"] == 1:
        state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1)
        return -gradient
    changes, steps, inverses = state["old_dirs"], state["old_stps"], state["ro"]
    change, step = gradient.sub(state["prev_flat_grad"]), state["d"].mul(state["t"])
    curvature = change.dot(step)
    if curvature > 1e-10:
        if len(changes) == history_size:
            for oldest in (changes, steps, inverses):
                oldest.pop(0)
        changes.append(change)
        steps.append(step)
        inverses.append(1.0 / curvature)
        state["H_diag"] = curvature / change.dot(change)
    weights = state.setdefault("al", [None] * history_size)
    d: Tensor = gradient.neg()
    for i in reversed(range(len(changes))):
        weights[i] = steps[i].dot(d) * inverses[i]
        d.add_(changes[i], alpha=-weights[i].item())
    d.mul_(state["H_diag"])
    for i in range(len(changes)):
        weight = weights[i] - changes[i].dot(d) * inverses[i]
        d.add_(steps[i], alpha=weight.item())
    return d


class _Point(NamedTuple):
    """How far along the direction, and what is there; slope is the loss's along the direction."""

    t: Any
    loss: float
    gradient: Tensor
    slope: Any


def _strong_wolfe(
    at: Callable[[Any], _Point], t: Any, start: _Point, d: Tensor, most: int
) -> tuple[_Point, int]:
    """A point of sufficient decrease and small slope, looked for from t on, and evaluations made.

    First a bracket that holds such points is found, by going farther; then it is narrowed.
    """

    def rises(now: _Point) -> Any:
        return now.loss > start.loss + 1e-4 * now.t * start.slope

    def is_flat(now: _Point) -> Any:
        return abs(now.slope) <= -0.9 * start.slope

    before, now = start, at(t)
    count = 0
    while count < most:
        if rises(now) or (count > 1 and now.loss >= before.loss):
            break
        if is_flat(now):
            return now, count + 1
        if now.slope >= 0:
            break
        bounds = (now.t + 0.01 * (now.t - before.t), now.t * 10)
        before, now = now, at(_lowest(before, now, *bounds))
        count += 1
    else:
        before = start
    return _zoom(at, [before, now], rises, is_flat, (d, count, most))


def _zoom(
    at: Callable[[Any], _Point],
    bracket: list[_Point],
    rises: Callable[[_Point], Any],
    is_flat: Callable[[_Point], Any],
    limits: tuple[Tensor, int, int],
) -> tuple[_Point, int]:
    """Narrow a bracket until a point of it will do, or the search has gone on for long enough."""
    d, count, most = limits
    reach = _largest(d)
    slow = False  # whether the last point was near an end of the bracket
    low, high = _by_loss(bracket)
    while count < most and not abs(bracket[1].t - bracket[0].t) * reach < 1e-9:
        first, last = sorted((bracket[0].t, bracket[1].t))
        t = _lowest(bracket[0], bracket[1], first, last)
        margin = 0.1 * (last - first)
        near = min(last - t, t - first) < margin
        if near and (slow or t >= last or t <= first):
            t = last - margin if abs(t - last) < abs(t - first) else first + margin
            near = False
        slow = bool(near)
        now = at(t)
        count += 1
        if rises(now) or now.loss >= bracket[low].loss:
            bracket[high] = now
            low, high = _by_loss(bracket)
            continue
        flat = is_flat(now)
        if not flat and now.slope * (bracket[high].t - bracket[low].t) >= 0:
            bracket[high] = bracket[low]
        bracket[low] = now
        if flat:
            break
    return bracket[low], count + 1


def _by_loss(bracket: list[_Point]) -> tuple[int, int]:
    """Which end of a bracket is lower, and which higher."""
    return (0, 1) if bracket[0].loss <= bracket[1].loss else (1, 0)


def _lowest(p: _Point, q: _Point, first: Any, last: Any) -> Any:
    """Where in [first, last] the cubic through two points is lowest; the middle if it has no low.

    Nocedal and Wright, 2006, equation 3.59.
    """
    a = p.slope + q.slope - 3 * (p.loss - q.loss) / (p.t - q.t)
    square = a**2 - p.slope * q.slope
    if not square >= 0:
        return (first + last) / 2.0
    if p.t > q.t:
        p, q = q, p
    root = square.sqrt()
    t = q.t - (q.t - p.t) * ((q.slope + root - a) / (q.slope - p.slope + 2 * root))
    return min(max(t, first), last)
