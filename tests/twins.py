"""Two equal trainers, one of which runs a compiled step: whatever happens, they stay equal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import autodiff as ad
from autodiff import nn, optim

SIZE, BATCH = 4, 3
Fn = Callable[[ad.Tensor], Any]
Row = tuple[Fn, Callable[[], Any]]  # what is compiled, and a change
Change = Callable[["Trainer"], Any]


class Rows(dict[str, Callable[[], Row]]):
    """What makes rows, by name."""

    def add(self, make: Callable[[], Row]) -> Callable[[], Row]:
        """Add a row, called as the function that makes it."""
        self[make.__name__.replace("_", " ")] = make
        return make


def bits(x: Any) -> Any:
    """What tells a structure of tensors from another: layout and bytes of each."""
    if isinstance(x, ad.Tensor):
        return x.dtype, tuple(x.shape), x.stride(), x.requires_grad, x.detach().numpy().tobytes()
    if isinstance(x, dict):
        return {key: bits(value) for key, value in x.items()}
    return [bits(v) for v in x] if isinstance(x, (list, tuple)) else x


def check_change(fn: Fn, change: Callable[[], Any]) -> None:
    """A function is recorded once, and once more after the change, which its results show."""
    compiled, x = ad.compile(fn, fullgraph=True), ad.tensor([-0.5, 1.5])
    for _ in range(4):
        before = bits(compiled(x))
        assert before == bits(fn(x))
    assert compiled.stats().runs
    assert compiled.stats().recordings == 1
    change()
    assert bits(fn(x)) != before
    for _ in range(3):
        assert bits(compiled(x)) == bits(fn(x))
    assert compiled.stats().recordings == 2


def sgd(parameters: Any) -> optim.Optimizer:
    return optim.SGD(parameters, lr=0.05, momentum=0.9, weight_decay=0.01)


def adam(parameters: Any) -> optim.Optimizer:
    return optim.Adam(parameters, lr=0.01, weight_decay=0.01)


class Trainer:
    """A model, its optimiser, and a step that is an ordinary method."""

    def __init__(
        self,
        optimizer: Callable[[Any], optim.Optimizer] = sgd,
        wrap: Callable[..., Any] = ad.compile,
    ) -> None:
        ad.manual_seed(3)
        self.model = nn.Sequential(
            nn.Linear(SIZE, SIZE), nn.Tanh(), nn.Dropout(0.3), nn.Linear(SIZE, 2)
        )
        self.optimizer = optimizer(self.model.parameters())
        self.scheduler = optim.lr_scheduler.StepLR(self.optimizer, step_size=1, gamma=0.5)
        self.scale = 2.0
        self.zero = True
        self.step = wrap(self.train_step)

    def train_step(self, x: ad.Tensor, y: ad.Tensor) -> ad.Tensor:
        if self.zero:
            self.optimizer.zero_grad()
        loss = ((self.model(x) - y) ** 2).mean() * self.scale
        loss.backward()
        self.optimizer.step()
        return loss

    def state(self) -> Any:
        """Everything a step may leave changed."""
        parameters = list(self.model.parameters())
        found = [*parameters, *self.model.buffers(), *[p.grad for p in parameters]]
        found += [v for s in self.optimizer.state.values() for v in s.values()]
        return bits(found)


class Twins:
    """An eager trainer and one whose step is compiled."""

    def __init__(self, optimizer: Callable[[Any], optim.Optimizer] = sgd) -> None:
        self.eager = Trainer(optimizer, lambda step: step)
        self.compiled = Trainer(optimizer)
        self.count = 0

    def each(self, change: Change) -> list[Any]:
        """The same to both, from the same random state."""
        state = ad.get_rng_state()
        found = [change(self.eager)]
        after = ad.get_rng_state()
        ad.set_rng_state(state)
        found.append(change(self.compiled))
        assert ad.get_rng_state().tolist() == after.tolist()
        return found

    def steps(self, n: int = 3, rows: int = BATCH) -> None:
        """Steps on fresh data; after each one the twins are compared."""
        for _ in range(n):
            self.count += 1
            ad.manual_seed(self.count)
            x, y = ad.randn(rows, SIZE), ad.randn(rows, 2)
            eager, compiled = self.each(lambda t: t.step(x, y))  # noqa: B023
            assert bits(eager) == bits(compiled)
            assert self.eager.state() == self.compiled.state()

    @property
    def recordings(self) -> int:
        return self.compiled.step.stats().recordings  # type: ignore[no-any-return]

    @property
    def runs(self) -> int:
        return self.compiled.step.stats().runs  # type: ignore[no-any-return]
