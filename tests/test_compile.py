"""Calls of a compiled function: arguments, results, errors, and what stays eager."""

from __future__ import annotations

import gc
import inspect
import re
import signal
import warnings
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from twins import BATCH, SIZE, Trainer, bits

import autodiff as ad
from autodiff import linalg, nn
from autodiff.compiled import CannotRecordError, MismatchError
from autodiff.nn import functional as F

NAN = float("nan")
Pair = namedtuple("Pair", "a b")


def equal_calls(fn: Callable[..., Any], *calls: tuple[Any, ...]) -> Any:
    """The compiled function, after each call gave what the function gives, three times over."""
    run = ad.compile(fn)
    for _ in range(3):
        for args in calls:
            got, want = run(*args), fn(*args)
            assert bits(got) == bits(want)
            assert type(got) is type(want)
    assert run.stats().runs >= 2 * len(calls)
    return run


def test_a_decorator_with_and_without_options() -> None:
    @ad.compile
    def double(x: ad.Tensor) -> ad.Tensor:
        """Twice x."""
        return x * 2

    @ad.compile(fullgraph=True)
    def triple(x: ad.Tensor) -> ad.Tensor:
        return x * 3

    class Scale:
        factor = 5.0

        @ad.compile
        def times(self, x: ad.Tensor) -> ad.Tensor:
            return x * self.factor

    assert double.__name__ == "double"
    assert double.__doc__ == "Twice x."
    scale = Scale()
    for _ in range(3):
        x = ad.ones(2)
        assert [double(x).tolist(), triple(x).tolist()] == [[2.0] * 2, [3.0] * 2]
        assert scale.times(x).tolist() == [5.0] * 2
    with pytest.raises(TypeError, match="expected a function or a module, got int"):
        ad.compile(3)


def test_nested_arguments_and_results() -> None:
    def fn(xs: Any, *, scale: Any) -> Any:
        a, (b, c) = xs["a"], xs["rest"]
        return Pair({"sum": a + b, "n": 3}, [(c * scale["by"],), None, "text"])

    run = ad.compile(fn)
    for _ in range(4):
        xs = {"a": ad.randn(2), "rest": (ad.randn(2), Pair(ad.randn(3), None).a)}
        scale = {"by": ad.randn(3)}
        got, want = run(xs, scale=scale), fn(xs, scale=scale)
        assert type(got) is Pair
        assert bits(list(got)) == bits(list(want))
    assert run.stats().runs == 3


def test_results_that_are_arguments_views_and_captured() -> None:
    captured = ad.randn(2, 2)

    def fn(x: ad.Tensor) -> Any:
        y = x * 2
        return x, x.t(), captured, y, y[0], captured.t()

    run = ad.compile(fn)
    for _ in range(4):
        x = ad.randn(2, 3)
        got = run(x)
        assert bits(got) == bits(fn(x))
        assert got[0] is x
        assert got[2] is captured
        assert got[1]._base is x
        x.mul_(2.0)
        got[3].fill_(7.0)
        assert bits(got[1]) == bits(x.t())
        assert got[4].tolist() == [7.0] * 3
        assert got[5].data_ptr() == captured.data_ptr()


def spent(x: ad.Tensor, w: ad.Tensor) -> ad.Tensor:
    y = x * w
    y.sum().backward()
    return y.softmax(0)


def overwritten(x: ad.Tensor, w: ad.Tensor) -> ad.Tensor:
    y = (x * w).exp()
    z = y * 2
    y.mul_(3)
    return z


@pytest.mark.parametrize("fn", [spent, overwritten])
def test_results_that_backward_would_refuse_keep_a_call_eager(fn: Any) -> None:
    w, x = ad.ones(3, requires_grad=True), ad.arange(3.0)
    step = ad.compile(lambda x: fn(x, w))
    with pytest.warns(UserWarning, match="it returns what backward would refuse"):
        assert bits(step(x)) == bits(fn(x, w))
    with pytest.raises(RuntimeError):
        step(x).sum().backward()


def test_results_never_alias_those_of_later_calls() -> None:
    run = ad.compile(lambda x: (x.exp(), x.sum(0)))
    kept: list[Any] = []
    for _ in range(6):
        x = ad.randn(3, 3)
        y = run(x)
        view = y[0][1:]
        kept.append((y[1], view, bits((y[1], view))))
        del y
    for total, view, were in kept:
        assert bits((total, view)) == were


def test_written_arguments() -> None:
    def fn(x: ad.Tensor, y: ad.Tensor) -> ad.Tensor:
        x.mul_(y)
        y[0] = x.sum()
        return x + y

    run = ad.compile(fn)
    for _ in range(4):
        given = [ad.randn(3).clone(), ad.randn(3).clone()]
        same = [x.clone() for x in given]
        assert bits(run(*given)) == bits(fn(*same))
        assert bits(given) == bits(same)
        assert given[0]._version == same[0]._version
    x = ad.randn(3)
    z, twin = x.clone(), x.clone()
    assert bits(run(z, z)) == bits(fn(twin, twin))  # one tensor is both arguments
    assert bits(run(x.clone(), x.clone())) == bits(fn(x.clone(), x.clone()))


def test_writes_of_one_value_by_a_mask_are_recorded() -> None:
    def fn(x: ad.Tensor, y: ad.Tensor) -> ad.Tensor:
        z = x * 2
        z[x > 0] = y
        z[x < y] = 0.5
        return z

    equal_calls(fn, *[(ad.randn(4, 3), ad.tensor(2.0)) for _ in range(3)])
    equal_calls(fn, (ad.randn(3), ad.ones(1)))


READS: dict[str, Callable[[ad.Tensor], Any]] = {
    "item": lambda x: x.sum().item(),
    "bool": lambda x: x * 2 if x.sum() > 0 else x,
    "tolist": lambda x: x.tolist()[0],
    "numpy": lambda x: x.numpy().copy().tolist(),
    "print": lambda x: str(x),
    "float": lambda x: x * float(x.sum()),
    "nonzero": lambda x: x.nonzero(),
    "mask": lambda x: x[x > 0],
}


@pytest.mark.parametrize("name", READS)
def test_what_depends_on_values_stays_eager(name: str) -> None:
    fn = READS[name]
    run = ad.compile(fn)
    line = inspect.getsourcelines(fn)[1]
    where = rf"test_compile.py:{line}\b.*`.*{name}.*lambda x.*`"
    with pytest.warns(UserWarning, match=where) as caught:  # noqa: PT031
        for sign in (1.0, -1.0, 1.0):
            x = ad.tensor([1.0, 3.0]) * sign
            assert bits(run(x)) == bits(fn(x))
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert len(run.stats().eager) == 1
    strict = ad.compile(fn, fullgraph=True)
    for _ in range(2):
        with pytest.raises(RuntimeError, match=rf"fullgraph=True.*test_compile.py:{line}\b"):
            strict(ad.tensor([1.0, 3.0]))


def test_fullgraph_raises_where_the_value_is_looked_at() -> None:
    x, seen = ad.zeros(2), []

    @ad.compile(fullgraph=True)
    def fn(x: ad.Tensor) -> None:
        x.add_(1.0)
        seen.append(x.sum().item())
        x.add_(1.0)

    with pytest.raises(CannotRecordError, match=r"x\.sum\(\)\.item\(\)"):
        fn(x)
    assert (x.tolist(), seen) == ([1.0, 1.0], [])


def picking(step: Callable[..., Any]) -> Callable[..., Any]:
    return step


class Picker:
    """A step that fails where an index is out of bounds, after it changed something."""

    def __init__(self, wrap: Callable[..., Any]) -> None:
        ad.manual_seed(1)
        self.model = nn.Linear(3, 3)
        self.optimizer = ad.optim.SGD(self.model.parameters(), lr=0.1)
        self.step = wrap(self.train_step)

    def train_step(self, x: ad.Tensor, target: ad.Tensor) -> ad.Tensor:
        self.optimizer.zero_grad()
        first = self.model(x).sum()
        first.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        (self.model.weight * 2).sum().backward()
        loss = nn.functional.cross_entropy(self.model(x), target)
        loss.backward()
        self.optimizer.step()
        return loss

    def state(self) -> Any:
        parameters = list(self.model.parameters())
        return bits([*parameters, *[p.grad for p in parameters], [p._version for p in parameters]])


def test_a_failing_step_leaves_what_eager_leaves() -> None:
    x, good, bad = ad.randn(2, 3), ad.tensor([0, 2]), ad.tensor([0, 3])
    pickers = [Picker(picking), Picker(ad.compile)]
    for target in (good, good, bad, good, bad, bad, good, good):
        ends: list[Any] = []
        for each in pickers:
            try:
                ends.append(bits(each.step(x, target)))
            except Exception as e:
                ends.append(type(e))
        assert ends[0] == ends[1]
        assert (target is bad) == isinstance(ends[0], type)
        assert pickers[0].state() == pickers[1].state()
    assert pickers[1].step.stats().runs >= 3  # type: ignore[attr-defined]


def test_a_failing_recording_leaves_nothing_behind() -> None:
    fail = True

    def fn(x: ad.Tensor) -> ad.Tensor:
        y = x * 2
        if fail:
            raise KeyError("no")
        return y

    run = ad.compile(fn)
    for _ in range(2):
        with pytest.raises(KeyError):
            run(ad.ones(2))
        assert run.stats().recordings == 0
        assert (ad.ones(2) + 1).tolist() == [2.0, 2.0]
    fail = False
    for _ in range(3):
        assert run(ad.ones(2)).tolist() == [2.0, 2.0]


def test_an_interrupted_recording_leaves_nothing_behind() -> None:
    def fn(x: ad.Tensor) -> ad.Tensor:
        for _ in range(30_000 if interrupted else 0):
            x = x * 2
        return x * 2

    def interrupt(*args: Any) -> None:
        raise KeyboardInterrupt

    run, interrupted = ad.compile(fn), True
    before = signal.signal(signal.SIGALRM, interrupt)
    gc.disable()  # an interrupt in what others have in gc.callbacks would be lost
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with pytest.raises(KeyboardInterrupt):
            run(ad.ones(2))
    finally:
        gc.enable()
        signal.signal(signal.SIGALRM, before)
    interrupted = False
    for _ in range(3):
        assert run(ad.ones(2)).tolist() == [2.0, 2.0]
    assert run.stats().runs == 2


def test_recursion_raises() -> None:
    def fn(x: ad.Tensor, n: int) -> ad.Tensor:
        return x if n == 0 else run(x * 2, n - 1)  # type: ignore[no-any-return]

    run = ad.compile(fn)
    with pytest.raises(RuntimeError, match="a compiled function called itself"):
        run(ad.ones(1), 2)
    assert run(ad.ones(1), 0).tolist() == [1.0]


def test_compiled_functions_inside_compiled_functions() -> None:
    inner = ad.compile(lambda x: x.exp() * 2)

    def fn(x: ad.Tensor) -> ad.Tensor:
        return inner(x) + inner(x * 2)

    for x in (ad.randn(3), ad.randn(3)):
        inner(x)
    equal_calls(fn, (ad.randn(3),), (ad.randn(2),))


class Counting(nn.Module):
    """A layer that has statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(SIZE, SIZE)
        self.register_buffer("mean", ad.zeros(SIZE))

    def forward(self, x: ad.Tensor) -> ad.Tensor:
        if self.training:
            self.mean.mul_(0.9).add_(x.mean(0), alpha=0.1)
        return self.linear(x) - self.mean


def test_modules_keep_their_attributes() -> None:
    model, twin = Counting(), Counting()
    twin.load_state_dict(model.state_dict())
    run = ad.compile(model)
    assert list(run.parameters()) == list(model.parameters())
    assert run.eval() is model
    with pytest.raises(AttributeError):
        run.missing  # noqa: B018
    model.train()
    for _ in range(4):  # buffers are updated as in eager
        x = ad.randn(BATCH, SIZE)
        assert bits(run(x)) == bits(twin(x))
        assert bits(list(model.buffers())) == bits(list(twin.buffers()))
    assert run.stats().runs == 3


def test_modules_made_by_the_step_are_of_that_step_alone() -> None:
    model, kept = nn.Linear(3, 3), []

    def step(x: ad.Tensor, y: ad.Tensor) -> ad.Tensor:
        return nn.Sequential(nn.Tanh(), model)(x) + nn.MSELoss(reduction="sum")(x, y)

    def keeping(x: ad.Tensor) -> ad.Tensor:
        kept.append(nn.Softmax(0))
        return kept[-1](x)  # type: ignore[no-any-return]

    equal_calls(step, (ad.randn(2, 3), ad.randn(2, 3)))
    run = ad.compile(keeping)
    for _ in range(3):
        run(ad.ones(2))
    assert (run.stats().recordings, len(kept)) == (0, 3)


def test_random_draws_go_on_as_in_eager() -> None:
    generator = ad.Generator()

    def fn(x: ad.Tensor) -> Any:
        noise = ad.rand(3) + ad.randn(3, generator=generator)
        ad.rand(2)  # a draw that nobody wants still counts
        return nn.functional.dropout(x, 0.4) + noise, ad.randperm(5)

    run, found = ad.compile(fn), []
    for call in (fn, run):
        ad.manual_seed(1)
        generator.manual_seed(2)
        found.append([bits(call(ad.ones(3))) for _ in range(4)])
        found[-1] += [ad.get_rng_state().tolist(), generator.get_state().tolist()]
    assert found[0] == found[1]
    assert run.stats().runs == 3


@pytest.mark.parametrize("view", [ad.t, lambda x: x[:, ::2], lambda x: x.t()[1:]])
def test_put_on_any_layout_is_recorded(view: Any) -> None:
    def fn(at: ad.Tensor, value: ad.Tensor) -> ad.Tensor:
        x = ad.zeros(4, 6)
        view(x).put_(at, value, accumulate=True)
        return x

    run, value = ad.compile(fn, fullgraph=True), ad.tensor([1.5, 2.5, 4.0])
    for last in (0, 5, 7, -1, -8):
        at = ad.tensor([1, -1, last])
        assert bits(run(at, value)) == bits(fn(at, value))
    for bad in (99, -99):
        with pytest.raises(IndexError, match=f"index {bad} is out of bounds"):
            run(ad.tensor([1, 2, bad]), value)


def test_check_finds_a_number_out_of_sight() -> None:
    hidden = np.full(999, 2.0)  # more than is compared

    def fn(x: ad.Tensor) -> ad.Tensor:
        y = x.exp()
        return y * hidden[0]  # here

    stale, checked = ad.compile(fn), ad.compile(fn, check=True)
    x = ad.ones(2)
    for run in (stale, checked):
        for _ in range(3):
            assert bits(run(x)) == bits(fn(x))
    hidden[0] = 3.0
    assert bits(stale(x)) != bits(fn(x))  # as documented
    line = next(i for i, text in enumerate(inspect.getsource(fn).split("\n")) if "# here" in text)
    line += inspect.getsourcelines(fn)[1]
    with pytest.raises(MismatchError, match=rf"mul, at .*test_compile.py:{line}\b"):
        checked(x)


def test_check_passes_steps_and_leaves_them_eager_results() -> None:
    plain = Trainer(wrap=picking)
    checked = Trainer(wrap=lambda step: ad.compile(step, check=True))
    x, y = ad.randn(BATCH, SIZE), ad.randn(BATCH, 2)
    found: list[Any] = []
    for trainer in (plain, checked):
        ad.manual_seed(9)
        found.append([(bits(trainer.step(x, y)), trainer.state()) for _ in range(5)])
    assert found[0] == found[1]


def test_stats_print_and_plot() -> None:
    trainer = Trainer()
    with pytest.raises(RuntimeError, match="no recording yet"):
        trainer.step.plot()
    assert "0 recordings" in repr(trainer.step)
    for _ in range(4):
        trainer.step(ad.randn(BATCH, SIZE), ad.randn(BATCH, 2))
    stats = trainer.step.stats()
    assert (stats.recordings, stats.runs, stats.eager) == (1, 2, ())
    assert 0 < stats.calls < stats.recorded_calls
    assert 0 < stats.arena_bytes <= stats.eager_peak_bytes
    assert 0 < stats.seconds_to_record < 5
    lines = repr(trainer.step).splitlines()
    assert len(lines) == stats.calls + 2
    assert any("matmul(argument 0" in line and "Float[3, 4]" in line for line in lines)
    assert any("twins.py:" in line for line in lines)
    pytest.importorskip("matplotlib").use("Agg")
    axes = trainer.step.plot()
    assert len(axes.get_xticklabels()) == stats.calls
    axes.figure.clear()
    trainer.step.reset()
    assert trainer.step.stats().recordings == 0


def test_no_warning_where_nothing_stays_eager() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        equal_calls(lambda x: x.reshape(-1)[2:].sort().values, (ad.randn(2, 3),), (ad.randn(8),))


def test_pointwise_calls_that_follow_one_another_are_one() -> None:
    def chain(x: ad.Tensor, y: ad.Tensor) -> tuple[ad.Tensor, ad.Tensor]:
        kept = (x * y).tanh()
        return kept, ((kept + x) * 2.0 - y).exp().sum()

    run = ad.compile(chain)
    for shape in ((4, 3), (700, 3), (3,)):
        for _ in range(3):
            x, y = ad.randn(shape), ad.randn(3)
            assert bits(list(run(x, y))) == bits(list(chain(x, y)))
        stats = run.stats()
        assert stats.recorded_calls == 7
        assert stats.calls == 2  # the chain, and the sum


def ctc(p: ad.Tensor, labels: ad.Tensor, lengths: Any) -> ad.Tensor:
    """The loss of four equal steps over two classes."""
    return F.ctc_loss(p.log_softmax(0).expand(4, 1, 2), labels.long(), (4,), lengths)


@pytest.mark.parametrize(
    ("loss", "good", "bad"),
    [
        (lambda p, y: F.binary_cross_entropy(p, y), [0.0, 1.0], [0.0, 2.0]),
        (lambda p, y: F.gaussian_nll_loss(p, p * 2, y), [1.0, 2.0], [1.0, -2.0]),
        (lambda p, y: F.multi_margin_loss(p.reshape(1, 2), y.long()[:1]), [1.0, 0.0], [2.0, 0.0]),
        (lambda p, y: F.multilabel_margin_loss(p, y.long()), [1.0, -1.0], [1.0, 2.0]),
        (lambda p, y: linalg.solve(y.diag(), p).sum(), [1.0, 2.0], [1.0, 0.0]),
        (lambda p, y: (linalg.inv(y.reshape(2, 1, 1)) * p).sum(), [1.0, 2.0], [1.0, 0.0]),
        (lambda p, y: (linalg.cholesky(y.diag()) @ p).sum(), [1.0, 2.0], [1.0, -2.0]),
        (lambda p, y: F.embedding_bag(y.long(), p.diag(), y.long()).sum(), [0.0, 1.0], [1.0, 0.0]),
        (lambda p, y: ad.cov(p.outer(p), aweights=y).sum(), [1.0, 2.0], [1.0, -1.0]),
        (lambda p, y: p.quantile(y).sum(), [0.0, 1.0], [0.0, 1.5]),
        (lambda p, y: p[ad.searchsorted(p, y, sorter=y.long())].sum(), [0.0, 0.0], [0.0, 2.0]),
        (lambda p, y: p * nn.utils.get_total_norm([y], 2.0, True) @ p, [0.0, 1.0], [0.0, NAN]),
        (lambda p, y: ctc(p, y[:1], y.long()[1:]), [1.0, 1.0], [4.0, 1.0]),
        (lambda p, y: ctc(p, ad.ones(1), y.long()[1:]), [0.0, 1.0], [0.0, 2.0]),
        (lambda p, y: ctc(p, y, (2,)), [1.0, 1.0], [1.0, 2.0]),
    ],
)
def test_what_a_function_refuses_its_recording_refuses(loss: Any, good: Any, bad: Any) -> None:
    p = nn.Parameter(ad.tensor([0.25, 0.5]))

    def step(y: ad.Tensor) -> ad.Tensor:
        p.grad = None
        result = loss(p, y)
        result.backward()
        return result  # type: ignore[no-any-return]

    run = ad.compile(step)
    want = bits(step(ad.tensor(good))), bits(p.grad)
    for _ in range(4):
        assert (bits(run(ad.tensor(good))), bits(p.grad)) == want
    with pytest.raises((RuntimeError, ValueError)) as eager:
        step(ad.tensor(bad))
    before = run.stats().runs
    with pytest.raises(eager.type, match=re.escape(str(eager.value))):
        run(ad.tensor(bad))
    assert p.grad is None
    assert (bits(run(ad.tensor(good))), bits(p.grad)) == want
    assert run.stats().runs == before + 1 > 2


@pytest.mark.parametrize(
    ("call", "good", "bad"),
    [
        (lambda x: F.nll_loss(ad.ones(2, 3), x), [1, 2], [1, 3]),
        (lambda x: F.cross_entropy(ad.ones(2, 3), x), [1, -100], [1, -1]),
        (lambda x: F.embedding(x, ad.ones(2, 3)), [1, 0], [1, 2]),
        (lambda x: F.one_hot(x, 3), [1, 0], [1, 3]),
        (lambda x: ad.ones(3)[x], [1, -3], [1, 3]),
        (lambda x: ad.ones(3).gather(0, x), [1, 0], [1, 3]),
        (lambda x: ad.ones(3).scatter(0, x, 2.0), [1, 0], [-1, 3]),
        (lambda x: ad.ones(3).index_add(0, x, ad.ones(2)), [1, 0], [1, 3]),
        (lambda x: 3 // x, [1, 2], [1, 0]),
        (lambda x: (x + 1) % (x * 2), [1, 2], [1, 0]),
        (lambda x: ad.bernoulli(x / 2), [1, 2], [1, 3]),
        (lambda x: ad.multinomial(x / 2, 1), [1, 2], [1, -1]),
    ],
)
def test_what_nobody_uses_is_refused_too(call: Any, good: list[int], bad: list[int]) -> None:
    def step(x: ad.Tensor) -> ad.Tensor:
        call(x)
        return x + 1

    run = ad.compile(step)
    for _ in range(3):
        assert run(ad.tensor(good)).tolist() == [good[0] + 1, good[1] + 1]
    with pytest.raises((RuntimeError, IndexError)) as eager:
        step(ad.tensor(bad))
    with pytest.raises(eager.type) as compiled:
        run(ad.tensor(bad))
    assert compiled.type is eager.type
    assert "internal error" not in str(compiled.value)
    assert run(ad.tensor(good)).tolist() == [good[0] + 1, good[1] + 1]
    assert run.stats().runs == 3


def test_what_nobody_uses_and_nothing_refuses_is_not_made() -> None:
    places = ad.tensor([0, 1])

    def step(x: ad.Tensor, i: ad.Tensor) -> ad.Tensor:
        x[[0, 2]], x[ad.arange(2)], i // 2, i % 3
        return x + 1

    run = ad.compile(step)
    run(ad.ones(3), places)
    assert run.stats().calls == 1


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: x.sum(),
        lambda x: x + x.detach(),
        lambda x: [x[1:], x.cumsum(0)],
        lambda x: (x.flip(0), (x * x).sum()),
    ],
)
def test_gradients_flow_through_what_saved_nothing(fn: Any) -> None:
    """To the arguments of this call, not to those of the recorded one."""
    compiled = ad.compile(fn)
    for i in range(3):
        x = ad.tensor([1.0 + i, 2.0, 3.0], requires_grad=True)
        totals = [
            sum((part * part).sum() for part in ([y] if isinstance(y, ad.Tensor) else y))
            for y in (fn(x), compiled(x))
        ]
        eager, ours = (ad.autograd.grad(total, x, allow_unused=True)[0] for total in totals)
        assert ours is not None
        assert ours.tolist() == pytest.approx(eager.tolist())
    assert compiled.stats().runs == 2


@pytest.mark.parametrize("before", [lambda x: x + 1, lambda x: x[...], lambda x: x.exp()])
def test_a_backward_beyond_an_argument_goes_to_what_is_behind_that_argument(before: Any) -> None:
    a, b = (ad.tensor([value, 1.0], requires_grad=True) for value in (0.5, 2.0))

    @ad.compile
    def step(x: ad.Tensor) -> None:
        (x * x).sum().backward()

    with pytest.warns(UserWarning, match="beyond what it makes"):
        step(before(a))
    for leaf in (a, a, b):
        a.grad = b.grad = None
        step(before(leaf))
    y = before(b)
    (expected,) = ad.autograd.grad((y * y).sum(), b)
    assert a.grad is None
    assert b.grad is not None
    assert b.grad.tolist() == expected.tolist()
