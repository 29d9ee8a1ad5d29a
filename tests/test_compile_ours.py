"""What users set on objects of the library, or ask them for, is seen by compiled functions."""

from __future__ import annotations

import dataclasses
import warnings
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import pytest
from twins import Row, Rows, Trainer, Twins, bits, check_change

import autodiff as ad
from autodiff import distributions, nn, optim
from autodiff.nn.modules.module import register_module_forward_hook
from autodiff.nn.utils import parametrize
from autodiff.utils.checkpoint import checkpoint

ROWS = Rows()
row = ROWS.add


# ---- numbers of optimisers, of what steps them, and of what scales losses ----


def sgd(lr: float = 2.0) -> optim.Optimizer:
    return optim.SGD([nn.Parameter(ad.ones(2))], lr=lr)


def to_five(optimizer: optim.Optimizer) -> Callable[[], Any]:
    return lambda: optimizer.param_groups[0].__setitem__("lr", 5.0)


@row
def rate_of_an_optimizer() -> Row:
    optimizer = sgd()
    return lambda x: x * optimizer.param_groups[0]["lr"], to_five(optimizer)


@row
def rate_that_a_function_given_the_optimizer_looks_at() -> Row:
    optimizer = sgd()

    def rate(of: optim.Optimizer) -> float:
        return max(group.get("lr", 0.0) for group in of.param_groups)

    return lambda x: x * rate(optimizer), to_five(optimizer)


@row
def all_options_of_an_optimizer() -> Row:
    optimizer = sgd()
    return lambda x: x * dict(optimizer.param_groups[0])["lr"], to_five(optimizer)


@row
def default_of_an_optimizer() -> Row:
    optimizer = sgd()
    return lambda x: x * optimizer.defaults["lr"], lambda: optimizer.defaults.update(lr=5.0)


@row
def rate_that_a_scheduler_set() -> Row:
    optimizer = sgd()
    scheduler = optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    optimizer.step()
    return lambda x: x * scheduler.get_last_lr()[0], scheduler.step


@row
def epoch_of_a_scheduler() -> Row:
    optimizer = sgd()
    scheduler = optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    optimizer.step()
    return lambda x: x * scheduler.last_epoch, scheduler.step


@row
def scale_of_losses() -> Row:
    scaler = ad.amp.GradScaler("cpu", init_scale=2.0)
    return lambda x: scaler.scale(x), lambda: scaler.update(5.0)


# ---- distributions ----


@row
def parameter_of_a_distribution() -> Row:
    d = distributions.Normal(ad.zeros(2), ad.ones(2))
    return lambda x: d.log_prob(x), lambda: setattr(d, "loc", ad.ones(2))


@row
def part_of_a_distribution() -> Row:
    part = distributions.AffineTransform(0.0, 2.0)
    d = distributions.TransformedDistribution(distributions.Normal(ad.zeros(2), ad.ones(2)), [part])
    return lambda x: d.log_prob(x), lambda: setattr(part, "scale", 5.0)


# ---- hooks, and what they read ----


class Thing:
    """An object of the user's."""

    scale = 2.0


def set_scale(thing: Any) -> Callable[[], Any]:
    return lambda: setattr(thing, "scale", 5.0)


def gradient(layer: nn.Module, x: ad.Tensor) -> Any:
    layer.zero_grad()
    layer(x).sum().backward()
    return layer.weight.grad.clone()


@row
def what_a_hook_of_a_parameter_reads() -> Row:
    layer, thing = nn.Linear(2, 2), Thing()
    layer.weight.register_hook(lambda g: g * thing.scale)
    return lambda x: gradient(layer, x), set_scale(thing)


@row
def what_a_hook_after_accumulation_reads() -> Row:
    w, thing = ad.ones(2, requires_grad=True), Thing()

    def hook(p: ad.Tensor) -> None:
        p.grad *= thing.scale

    w.register_post_accumulate_grad_hook(hook)

    def fn(x: ad.Tensor) -> Any:
        w.grad = None
        (w * x).sum().backward()
        return w.grad.clone()

    return fn, set_scale(thing)


@row
def what_a_hook_of_an_optimizer_reads() -> Row:
    optimizer, thing = sgd(), Thing()
    w = optimizer.param_groups[0]["params"][0]

    def hook(*args: Any) -> None:
        w.grad *= thing.scale

    optimizer.register_step_pre_hook(hook)

    def fn(x: ad.Tensor) -> Any:
        with ad.no_grad():
            w.zero_()
        optimizer.zero_grad()
        (w * x).sum().backward()
        optimizer.step()
        return w.clone()

    return fn, set_scale(thing)


def test_hooks_of_all_modules_come_and_go() -> None:
    layer, x, thing = nn.Linear(2, 2), ad.ones(2), Thing()
    compiled = ad.compile(lambda x: layer(x), fullgraph=True)
    handles: list[Any] = []

    def register() -> None:
        handles.append(register_module_forward_hook(lambda m, args, y: y * thing.scale))

    seen = []
    for change in (Thing, register, set_scale(thing), lambda: handles.pop().remove()):
        change()
        for _ in range(3):
            y = compiled(x)
            assert bits(y) == bits(layer(x))
        seen.append(y.tolist())
    assert seen[0] == seen[3]
    assert seen[1] != seen[2] != seen[0] != seen[1]


# ---- classes ----


def scaling() -> Any:
    class Scaling(ad.autograd.Function):
        factor = 2.0
        slope: ClassVar[float] = 2.0

        @staticmethod
        def forward(ctx: Any, x: ad.Tensor) -> ad.Tensor:
            return x * Scaling.factor

        @staticmethod
        def backward(ctx: Any, g: ad.Tensor) -> ad.Tensor:
            return g * Scaling.slope

    return Scaling


@row
def what_a_function_s_forward_reads() -> Row:
    kind = scaling()
    return lambda x: kind.apply(x), lambda: setattr(kind, "factor", 5.0)


@row
def another_forward_of_a_function() -> Row:
    kind = scaling()
    return lambda x: kind.apply(x), lambda: setattr(
        kind, "forward", staticmethod(lambda ctx, x: x * 5)
    )


def test_what_a_function_s_backward_reads() -> None:
    kind = scaling()
    compiled = ad.compile(lambda x: kind.apply(x))
    for slope in (2.0, 5.0):
        kind.slope = slope
        for _ in range(3):
            x = ad.ones(2, requires_grad=True)
            compiled(x).sum().backward()
            assert x.grad is not None
            assert x.grad.tolist() == [slope, slope]


@row
def another_class_of_a_module() -> Row:
    class Twice(nn.Linear):
        def forward(self, x: ad.Tensor) -> ad.Tensor:
            return super().forward(x) * 2

    layer = nn.Linear(2, 2)
    return lambda x: layer(x), lambda: setattr(layer, "__class__", Twice)


@pytest.mark.parametrize("name", ROWS)
def test_a_change_takes_effect_on_the_next_call(name: str) -> None:
    check_change(*ROWS[name]())


# ---- what runs cannot follow ----


@pytest.mark.parametrize(
    "read",
    [
        lambda t: t.optimizer.param_groups[0]["lr"],
        lambda t: t.scheduler.get_last_lr()[0],
        lambda t: t.scheduler.state_dict()["last_epoch"],
        lambda t: t.optimizer.state_dict()["param_groups"][0]["lr"],
    ],
)
def test_a_rate_that_is_looked_at_before_and_after_it_changes(read: Callable[[Any], Any]) -> None:
    """The scheduler changes it at every second step."""

    class Trained(Trainer):
        def train_step(self, x: ad.Tensor, y: ad.Tensor) -> Any:
            loss = super().train_step(x, y)
            before = read(self)
            self.scheduler.step()
            return loss * before, read(self)

    def scheduled(wrap: Callable[..., Any]) -> Trained:
        t = Trained(wrap=wrap)
        t.scheduler = optim.lr_scheduler.StepLR(t.optimizer, step_size=2, gamma=0.5)
        return t

    twins = Twins()
    twins.eager, twins.compiled = scheduled(lambda step: step), scheduled(ad.compile)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*stays eager")
        twins.steps(6)


def test_a_rate_that_becomes_a_tensor_is_looked_at() -> None:
    twins = Twins()
    twins.steps()
    assert twins.runs
    twins.each(lambda t: t.optimizer.param_groups[0].__setitem__("lr", ad.tensor(0.5)))
    with pytest.warns(UserWarning, match="stays eager"):
        twins.steps()
    twins.each(lambda t: t.optimizer.param_groups[0]["lr"].fill_(0.25))
    twins.steps()


def test_a_block_in_which_parametrized_tensors_are_kept() -> None:
    class Doubled(nn.Module):
        def forward(self, w: ad.Tensor) -> ad.Tensor:
            return w * 2

    layer, x = nn.Linear(2, 2), ad.ones(2)
    parametrize.register_parametrization(layer, "weight", Doubled())
    compiled = ad.compile(lambda x: layer(x))
    for _ in range(3):
        compiled(x)
    with parametrize.cached(), ad.no_grad():
        kept = compiled(x)
        weight = layer.weight
        layer.parametrizations.weight.original.mul_(3)
        assert bits(compiled(x)) == bits(kept)
        assert layer.weight is weight
    assert bits(compiled(x)) == bits(layer(x)) != bits(kept)


def test_parametrized_tensors_are_kept_in_a_recording() -> None:
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))

    def fn(x: ad.Tensor) -> ad.Tensor:
        with parametrize.cached():
            return layer(layer(x))  # type: ignore[no-any-return]

    compiled, x = ad.compile(fn, fullgraph=True), ad.ones(2)
    assert all(bits(compiled(x)) == bits(fn(x)) for _ in range(3))


def test_a_checkpoint_of_what_is_compiled() -> None:
    layer = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2))
    compiled = ad.compile(lambda x: layer(x))

    def gradients(fn: Any, wrap: Any) -> Any:
        x = ad.ones(1, 2, requires_grad=True)
        layer.zero_grad()
        wrap(fn, x).sum().backward()
        return bits([x.grad, *(p.grad for p in layer.parameters())])

    def kept(fn: Any, x: ad.Tensor) -> Any:
        return checkpoint(fn, x, use_reentrant=False)

    plain = gradients(layer, lambda fn, x: fn(x))
    for wrap in (kept, lambda fn, x: fn(x), kept) * 3:
        assert gradients(compiled, wrap) == plain
    assert compiled.stats().runs


# ---- attributes that are only set ----


class Keeper:
    """What trainers of users are like."""

    def __init__(self) -> None:
        self.net = nn.Linear(2, 1)
        self.optimizer = optim.SGD(self.net.parameters(), lr=0.1)
        self.loss: Any = None
        self.log: dict[str, Any] = {}
        self.hidden: Any = None

    def keep(self, loss: ad.Tensor, x: ad.Tensor) -> None:
        self.loss = loss
        self.found = {"mean": (x * loss).mean().detach(), "name": "x"}

    def step(self, x: ad.Tensor) -> None:
        self.optimizer.zero_grad()
        loss = (self.net(x) ** 2).mean()
        loss.backward()
        self.optimizer.step()
        self.keep(loss, x)


@pytest.mark.parametrize("looped", [False, True])
def test_attributes_of_objects_are_set_by_each_run(looped: bool) -> None:
    ad.manual_seed(2)
    eager = Keeper()
    ad.manual_seed(2)
    keeper = Keeper()
    step = ad.compile(keeper.step, fullgraph=True)
    kept = []
    for i in range(6):
        x = ad.full((3, 2), float(i + 1))
        for _ in range(3 if looped else 1):
            eager.step(x)
        step.repeat(3, x) if looped else step(x)
        assert bits(keeper.loss) == bits(eager.loss)
        assert bits(keeper.found) == bits(eager.found)
        kept.append((keeper.loss, eager.loss))
    assert all(bits(a) == bits(b) for a, b in kept), "a later call writes over none"
    assert step.stats().runs
    assert step.stats().recordings == 1


# ---- results of classes ----


@dataclasses.dataclass
class Output:
    loss: ad.Tensor
    parts: list[Any]
    more: Any = None

    def __post_init__(self) -> None:
        assert self.more is None, "it is not made by calling its class"


@dataclasses.dataclass(frozen=True)
class Sealed:
    __slots__ = ("value", "y")
    y: ad.Tensor
    value: float


class Pair(NamedTuple):
    x: Any
    y: Any


class Ordered(Pair):
    def __new__(cls, x: Any, y: Any) -> Any:
        return super().__new__(cls, y, x)


def filled(x: ad.Tensor) -> Output:
    made = Output(x.sum(), [x * 2, {"n": 3}])
    made.more = Sealed(x + 1, 2.0)
    return made


RESULTS: dict[str, Callable[[ad.Tensor], Any]] = {
    "dataclass": filled,
    "tuple of a class that orders them": lambda x: Ordered(x, x * 2),
    "ordered dict": lambda x: OrderedDict(b=x, a=x * 2),
}


def taken_apart(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        return type(value), [(name, taken_apart(getattr(value, name))) for name in names]
    if isinstance(value, (list, tuple)):
        return type(value), [taken_apart(x) for x in value]
    if isinstance(value, dict):
        return type(value), [(key, taken_apart(x)) for key, x in value.items()]
    return bits(value)


@pytest.mark.parametrize("name", RESULTS)
def test_results_of_classes(name: str) -> None:
    fn = RESULTS[name]
    compiled = ad.compile(fn, fullgraph=True)
    for i in range(4):
        x = ad.full((2,), float(i), requires_grad=True)
        assert taken_apart(compiled(x)) == taken_apart(fn(x))
    assert compiled.stats().runs == 3


def test_gradients_go_through_a_dataclass() -> None:
    compiled, w = ad.compile(lambda x: filled(x * 3)), ad.ones(2, requires_grad=True)
    for _ in range(3):
        w.grad = None
        compiled(w).more.y.sum().backward()
        assert w.grad is not None
        assert w.grad.tolist() == [3.0, 3.0]


@pytest.mark.parametrize("make", [lambda x: defaultdict(list, a=x), lambda x: Counter({"a": x})])
def test_dicts_of_classes_that_hold_more_stay_eager(make: Callable[[ad.Tensor], Any]) -> None:
    compiled = ad.compile(make)
    with pytest.warns(UserWarning, match="it returns a (defaultdict|Counter)"):
        found = [compiled(ad.ones(2)) for _ in range(3)]
    assert all(type(x) is type(make(ad.ones(2))) for x in found)


CHANGING: dict[str, Callable[[Any], Any]] = {
    "a new key": lambda d: d.update(y=d["x"] * 2),
    "another tensor": lambda d: d.update(x=d["x"] * 2),
    "a key taken out": lambda d: d.pop("x") * 2,
    "grown": lambda d: d["more"].append(d["x"] * 2),
    "another number": lambda d: d.update(n=d["n"] + 1),
}


@pytest.mark.parametrize("name", CHANGING)
def test_a_container_that_is_given_and_changed(name: str) -> None:
    fn = CHANGING[name]
    compiled = ad.compile(fn)

    def compare(i: int) -> None:
        found: list[Any] = [{"x": ad.full((2,), float(i)), "n": 1, "more": []} for _ in "ab"]
        assert bits(compiled(found[0])) == bits(fn(found[1]))
        assert bits(found[0]) == bits(found[1])

    with pytest.warns(UserWarning, match="it changes a list or dict that it is given"):
        compare(0)
    for i in range(3):
        compare(i)


def test_an_object_that_has_itself_stays_eager() -> None:
    def fn(x: ad.Tensor) -> Output:
        made = Output(x * 2, [])
        made.parts.append(made)
        return made

    compiled = ad.compile(fn)
    with pytest.warns(UserWarning, match="it returns a Output"):
        assert all((y := compiled(ad.ones(2))).parts[0] is y for _ in range(3))


def test_what_was_there_before_is_returned_itself() -> None:
    output = Output(ad.ones(2), [])
    compiled = ad.compile(lambda x: (x * 2, output))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*stays eager")
        assert all(compiled(ad.ones(2))[1] is output for _ in range(4))
