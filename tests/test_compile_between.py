"""What another thread does at any place of a compiled call is seen by the next call."""

from __future__ import annotations

import copy
import os
import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import autodiff as ad
from autodiff import compiled, nn, optim

TRIES = 8 if os.environ.get("AUTODIFF_TEST_PROFILE") == "few" else 16
FILES = os.path.dirname(compiled.__file__), "<string>"
Place = tuple[str, str, int]


class Between:
    """Has something done by another thread where calls end that `compiled` and what it generates
    make: there threads change places. At the first end at that place.
    """

    def __init__(self, at: Place | None, act: Callable[[], object]) -> None:
        self.at = at
        self.places: dict[Place, None] = {}
        self.other = threading.Thread(target=act)

    def __call__(self, frame: Any, event: str, arg: Any) -> None:
        caller = frame.f_back if event == "return" else frame
        if event not in ("return", "c_return") or caller is None:
            return
        code = caller.f_code
        if code.co_filename.startswith(FILES):
            place = code.co_filename, code.co_name, caller.f_lasti
            self.places[place] = None
            if place == self.at and not self.other.ident:
                sys.setprofile(None)
                self.other.start()
                self.other.join(0.2)  # or it waits for what this thread has

    def run(self, call: Callable[[], object]) -> None:
        """Make a call, and wait for the other thread."""
        sys.setprofile(self)
        try:
            call()
        finally:
            sys.setprofile(None)
        if self.other.ident:
            self.other.join()


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = 1.0
        self.inner = nn.Linear(2, 3)
        self.drop = nn.Dropout(0.5)
        self.outer = nn.Linear(3, 1)

    def forward(self, x: ad.Tensor) -> ad.Tensor:
        return self.outer(self.drop(self.inner(x).tanh())) * self.scale  # type: ignore[no-any-return]


class Training:
    """A step, plain and compiled; without `clear` it adds to gradients that are there."""

    def __init__(self, clear: bool) -> None:
        rng = ad.Generator().manual_seed(1)
        self.x, self.y = ad.randn(6, 2, generator=rng), ad.randn(6, 1, generator=rng)
        self.net = net = Net().eval()
        with ad.no_grad():
            for p in net.parameters():
                p.copy_(ad.randn(p.shape, generator=rng))
        self.optimizer = optimizer = optim.Adam(net.parameters(), lr=0.01)
        self.factors = factors = [1.0]
        self.clear = clear

        def plain(x: ad.Tensor, y: ad.Tensor) -> ad.Tensor:
            if clear:
                optimizer.zero_grad()
            loss = ((net(x) - y) ** 2).mean() * factors[0]
            loss.backward()
            optimizer.step()
            return loss

        self.plain = plain
        self.step = ad.compile(plain)

    def twin(self) -> Callable[[], Training]:
        """Makes another in the state of now; what is made counts as a change, so make it later."""
        net, factor, state = self.net, self.factors[0], copy.deepcopy(self.optimizer.state_dict())
        flags = net.scale, net.training
        leaves = [(p.requires_grad, p.data.clone(), p.grad) for p in net.parameters()]
        grads = [None if g is None else g.clone() for _, _, g in leaves]

        def make() -> Training:
            other = Training(self.clear)
            other.factors[0], (other.net.scale, training) = factor, flags
            other.net.train(training)
            for p, (wanted, data, _), g in zip(other.net.parameters(), leaves, grads, strict=True):
                p.requires_grad_(wanted)
                p.data, p.grad = data, g
            other.optimizer.load_state_dict(state)
            return other

        return make

    def left(self) -> list[Any]:
        """What a step leaves behind."""
        grads = [p.grad for p in self.net.parameters()]
        return [None if x is None else x.tolist() for x in [*self.net.parameters(), *grads]]


def put(t: Training, g: ad.Tensor | None) -> None:
    t.net.inner.weight.grad = g


def double(t: Training) -> None:
    if (g := t.net.inner.weight.grad) is not None:
        g.mul_(2)


def replace(t: Training) -> None:
    t.net.inner.weight.data = t.net.inner.weight.data * 0.5


ACTS: dict[str, Callable[[Training], object]] = {
    "an attribute": lambda t: setattr(t.net, "scale", 1.5 - t.net.scale / 2),
    "an item": lambda t: t.factors.__setitem__(0, 1.5 - t.factors[0] / 2),
    "a rate": lambda t: t.optimizer.param_groups[0].__setitem__("lr", 0.2),
    "an option": lambda t: t.optimizer.param_groups[0].__setitem__("weight_decay", 0.5),
    "a flag": lambda t: t.net.train(not t.net.training),
    "frozen": lambda t: t.net.inner.bias.requires_grad_(not t.net.inner.bias.requires_grad),
    "put": lambda t: put(t, ad.ones(3, 2)),
    "cleared": lambda t: put(t, None),
    "looked at": lambda t: t.net.inner.weight.grad,
    "doubled": double,
    "data": replace,
    "forgotten": lambda t: t.step.reset(),
    "called": lambda t: t.step(t.x, t.y),
    "looked for": lambda t: t.net.inner.weight.register_hook(lambda g: g * 1),
}


def check(training: Training) -> None:
    """The next steps are those of eager calls."""
    for _ in range(2):
        twin = training.twin()
        ad.manual_seed(4)
        loss = training.step(training.x, training.y)
        other = twin()
        ad.manual_seed(4)
        assert loss.item() == other.plain(other.x, other.y).item()
        assert training.left() == other.left()


@contextmanager
def step_may_raise(name: str) -> Iterator[None]:
    """A step within another one's backward changes what that has saved, as in eager calls."""
    try:
        yield
    except RuntimeError as error:
        if name != "called" or "modified by an inplace operation" not in str(error):
            raise


@pytest.mark.filterwarnings("ignore:.*stays eager")
@pytest.mark.parametrize("clear", [True, False])
@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("name", ACTS)
def test_what_happens_in_a_call_is_seen_by_the_next(name: str, recorded: bool, clear: bool) -> None:
    rng, found, apart = random.Random(name), [None], nn.Identity()
    for i in range(TRIES):
        training = Training(clear)
        for _ in range(0 if recorded else 3):
            training.step(training.x, training.y)
        apart.tag = i  # a change: the call looks
        between = Between(found.pop(), lambda t=training: ACTS[name](t))
        with step_may_raise(name):
            between.run(lambda t=training: t.step(t.x, t.y))
        check(training)
        if i == 0:
            assert len(between.places) > TRIES
            found = rng.sample([*between.places], len(between.places))
