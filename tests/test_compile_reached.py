"""What a compiled function reaches by the names it uses is never stale; `check=True` looks too."""

from __future__ import annotations

import copy
import functools
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from twins import bits

import autodiff as ad
from autodiff import nn, optim
from autodiff.compiled import MismatchError


class Part:
    """An object with a number, a list of layers and methods that reach them."""

    factor = 1.5

    def __init__(self) -> None:
        ad.manual_seed(2)
        self.scale = 2.0
        self.options: Any = {"scale": 2.0, "more": {"scale": 2.0}}
        self.layers = [nn.Linear(3, 3), nn.Tanh()]
        self.config: Any = None
        self.once = ad.compile(lambda x: x * self.scale)

    @property
    def twice(self) -> float:
        return 2 * self.scale

    def scaled(self, x: ad.Tensor) -> ad.Tensor:
        return x * self.scale

    def __call__(self, x: ad.Tensor) -> ad.Tensor:
        return x * self.scale

    def own_method(self, x: ad.Tensor) -> ad.Tensor:
        return self.scaled(x)

    def own_property(self, x: ad.Tensor) -> ad.Tensor:
        return x * self.twice

    @staticmethod
    def apart(x: ad.Tensor) -> ad.Tensor:
        return x * Part.factor

    def own_static(self, x: ad.Tensor) -> ad.Tensor:
        return self.apart(x)

    def own_class(self, x: ad.Tensor) -> ad.Tensor:
        return x * self.factor

    def deep(self, x: ad.Tensor) -> ad.Tensor:
        return x * self.config.scale


def through_list(part: Part) -> Callable[..., Any]:
    layers = part.layers

    def fn(x: ad.Tensor) -> ad.Tensor:
        for layer in layers:
            x = layer(x)
        return x

    return fn


def of_options(part: Part) -> Callable[..., Any]:
    options = part.options
    return lambda x: x * options["scale"]


def nest(part: Part) -> Callable[..., Any]:
    part.config = Part()
    return part.deep


Reach = Callable[[Part], Callable[..., Any]]
REACHES: dict[str, Reach] = {
    "attribute": lambda part: lambda x: x * part.scale,
    "attribute of a class": lambda part: lambda x: x * Part.factor,
    "key": of_options,
    "callable": lambda part: part,
    "callable in a closure": lambda part: lambda x: part(x),
    "compiled in a closure": lambda part: functools.partial(lambda f, x: f(x), part.once),
    "method": lambda part: lambda x: part.scaled(x),
    "own method": lambda part: part.own_method,
    "own property": lambda part: part.own_property,
    "own class": lambda part: part.own_class,
    "own static method": lambda part: part.own_static,
    "key of a key": lambda part: lambda x: x * part.options["more"]["scale"],
    "attribute of an attribute": nest,
    "partial": lambda part: functools.partial(lambda y, x: x * y * part.scale, 2.0),
    "list of modules": through_list,
    "argument": lambda part: functools.partial(lambda p, x: x * p.scale, part),
}


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize("reach", REACHES)
def test_what_is_reached_takes_effect(
    reach: str, check: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = Part()
    fn = REACHES[reach](part)
    compiled = ad.compile(fn, check=check)
    x = ad.ones(2, 3)
    for _ in range(3):
        assert bits(compiled(x)) == bits(fn(x))
    for owner in (part, part.config):
        if owner is not None:
            owner.scale = owner.options["scale"] = owner.options["more"]["scale"] = 5.0
            owner.layers.append(nn.ReLU())
    monkeypatch.setattr(Part, "factor", 7.0)
    for _ in range(3):
        assert bits(compiled(x)) == bits(fn(x))
    assert compiled.stats().recordings == 2


def test_what_is_only_written_or_grows_does_not_matter() -> None:
    part, losses = Part(), [ad.ones(())]

    def fn(x: ad.Tensor) -> ad.Tensor:
        part.last = x.sum()  # type: ignore[attr-defined]
        losses.append(part.last)  # type: ignore[attr-defined]
        return x * 2

    compiled = ad.compile(fn)
    for _ in range(4):
        compiled(ad.ones(2))
    assert compiled.stats().recordings == 1


@pytest.mark.parametrize("wrap", [ad.no_grad, ad.enable_grad])
def test_check_looks_at_calls_whose_graph_goes_on(wrap: Callable[..., Any]) -> None:
    layer, hidden = nn.Linear(3, 3), np.full(999, 2.0)
    compiled = ad.compile(lambda x: layer(x) * hidden[0], check=True)
    with wrap():
        for _ in range(3):
            compiled(ad.ones(2, 3))
        hidden[0] = 3.0
        with pytest.raises(MismatchError, match="mul, at"):
            compiled(ad.ones(2, 3))


def test_check_follows_arguments_that_share_memory_now_and_then() -> None:
    def fn(x: ad.Tensor, y: ad.Tensor) -> ad.Tensor:
        x.add_(y)
        return x * 2

    compiled = ad.compile(fn, check=True)
    for i in range(6):
        x, y = ad.arange(4.0), ad.arange(4.0)
        expected = fn(y, y if i % 2 else y.clone())
        assert bits(compiled(x, x if i % 2 else x.clone())) == bits(expected)


def test_objects_given_are_looked_into() -> None:
    part, x = Part(), ad.ones(2)
    compiled = ad.compile(lambda given, x: x * given.scale)
    for scale in (2.0, 2.0, 5.0, 5.0):
        part.scale = scale
        assert compiled(part, x).tolist() == [scale, scale]
    assert compiled.stats().recordings == 2


def test_arrays_given_leave_a_call_eager() -> None:
    array, compiled = np.ones(2), ad.compile(lambda a: ad.tensor(a) * 2)
    with pytest.warns(UserWarning, match="an argument is an array"):
        compiled(array)
    for number in (1.0, 2.0, 3.0):  # without another warning
        array[:] = number
        assert compiled(array).tolist() == [2 * number] * 2
        assert compiled(array.copy()).tolist() == [2 * number] * 2
    with pytest.raises(RuntimeError, match="an argument is an array"):
        ad.compile(lambda a: ad.tensor(a), fullgraph=True)(array)


def test_a_compiled_module_is_a_part_like_others() -> None:
    ad.manual_seed(0)
    plain = nn.Sequential(nn.Sequential(nn.Linear(3, 3)), nn.Dropout(0.5))
    twin = nn.Sequential(ad.compile(copy.deepcopy(plain[0])), plain[1])
    assert isinstance(twin[0], nn.Sequential)
    assert list(twin.state_dict()) == list(plain.state_dict())
    assert [name for name, _ in twin.named_parameters()] == ["0.0.weight", "0.0.bias"]
    assert bits(twin.load_state_dict(plain.state_dict()))
    optimizers = [optim.SGD(net.parameters(), lr=0.1) for net in (plain, twin)]
    for i in range(6):
        found = []
        for net, optimizer in zip((plain, twin), optimizers, strict=True):
            net.train(i % 2 == 0)
            net.requires_grad_(i != 3)
            ad.manual_seed(i)
            y = net(ad.ones(2, 3))
            if y.requires_grad:
                y.sum().backward()
                optimizer.step()
            found.append(bits([y, *net.parameters()]))
        assert found[0] == found[1]
    assert twin[0].stats().runs


def test_what_is_set_on_a_compiled_module_is_set_on_the_module() -> None:
    class Scaled(nn.Module):
        scale = 2.0

        def forward(self, x: ad.Tensor) -> ad.Tensor:
            return x * self.scale

    net = ad.compile(Scaled())
    for scale in (2.0, 2.0, 3.0, 3.0):
        net.scale = scale
        assert net(ad.ones(1)).item() == scale
    del net.scale
    assert net(ad.ones(1)).item() == 2.0


@pytest.mark.parametrize("again", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_and_pickles_are_compiled_anew(again: Callable[..., Any]) -> None:
    net = ad.compile(nn.Linear(3, 3), check=True)
    for _ in range(3):
        net(ad.ones(1, 3))
    twin = again(net)
    assert (twin.check, twin.stats().recordings) == (True, 0)
    with ad.no_grad():
        net.weight.zero_()
    assert bits(twin(ad.ones(1, 3))) != bits(net(ad.ones(1, 3)))


def test_tuples_that_are_made_anew_are_compared() -> None:
    class Grid:
        rows = 3

        @property
        def size(self) -> tuple[int, int]:
            return (self.rows, 2)

    grid, array = Grid(), np.ones((3, 2))

    def fn(x: ad.Tensor, like: tuple[int, ...]) -> Any:
        y = x.reshape(like).expand(grid.size) * array.shape[0]
        return y, y.shape

    compiled, x = ad.compile(fn), ad.ones(2)
    for rows, like in [(3, ad.ones(1, 2))] * 3 + [(4, ad.ones(1, 2))] * 3 + [(4, ad.ones(2))] * 3:
        grid.rows = rows
        (y, size), (want, shape) = compiled(x, like.shape), fn(x, like.shape)
        assert (bits(y), size, type(size)) == (bits(want), shape, type(shape))
    array.resize((6, 1), refcheck=False)
    assert compiled(x, x.shape)[0].tolist() == fn(x, x.shape)[0].tolist()
    assert (compiled.stats().runs, compiled.stats().eager) == (6, ())


@pytest.mark.parametrize("clear", [True, False])
def test_a_tensor_that_never_had_a_gradient_may_have_one_later(clear: bool) -> None:
    def train(compiles: bool) -> list[Any]:
        p, frozen = nn.Parameter(ad.ones(2)), nn.Parameter(ad.ones(2), requires_grad=False)
        optimizer = optim.SGD([p, frozen], lr=0.1)

        def step(x: ad.Tensor) -> ad.Tensor:
            p.grad = None
            if clear:
                frozen.grad = None
            loss = (x * p * frozen).sum()
            loss.backward()
            optimizer.step()
            return loss.detach()

        run: Any = ad.compile(step) if compiles else step
        found = []
        for i in range(10):
            frozen.requires_grad_(i in (3, 4, 7))
            if i in (6, 9):
                frozen.grad = ad.ones(2)
            found.append(bits([run(ad.ones(2)), p, frozen]))
            found.append(None if frozen.grad is None else bits(frozen.grad))
        assert not compiles or run.stats().runs
        return found

    assert train(True) == train(False)


def test_members_of_a_batch_are_asked_for_their_gradients() -> None:
    compiled = ad.compile(
        lambda x: ad.func.vmap(lambda row: 2 * row if row.grad is None else row)(x)
    )
    for _ in range(3):
        assert compiled(ad.ones(2, 3)).tolist() == [[2.0] * 3] * 2


def test_what_an_array_makes_at_each_look_leads_nowhere() -> None:
    class Chosen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rows = np.arange(3)
            self.large = np.ones((40, 40))

        def forward(self, x: ad.Tensor) -> ad.Tensor:
            return x.T.real * float(self.rows[1]) + len(self.large)

    def itself(value: Any) -> Any:
        return value

    module = Chosen()

    def step(x: ad.Tensor) -> ad.Tensor:
        result: ad.Tensor = itself(module)(x).T.sum()
        return result

    compiled = ad.compile(step)
    for _ in range(3):
        assert compiled(ad.ones(2, 2)).item() == step(ad.ones(2, 2)).item() == 164
    assert (compiled.stats().recordings, compiled.stats().eager) == (1, ())
    module.rows[1] = 5
    assert compiled(ad.ones(2, 2)).item() == 180
