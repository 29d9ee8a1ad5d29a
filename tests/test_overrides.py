"""Tensor subclasses, other tensors and modes: who is asked by `__torch_function__`, and of what."""

from __future__ import annotations

import copy
import operator
import pickle
import threading
import warnings
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from golden.record_every_module import LINES
from golden.record_layers import tensors
from twins import bits

import autodiff as ad
from autodiff import _stubs, distributions, nn, overrides
from autodiff.func import vmap
from autodiff.ops import arithmetic
from autodiff.testing.cases import CASES, Case
from autodiff.testing.draw import Random
from autodiff.torch_function import DisableTorchFunction, DisableTorchFunctionSubclass
from autodiff.utils import _pytree

F = nn.functional


@pytest.fixture(autouse=True)
def looking() -> None:
    overrides.install()


class Plain(ad.Tensor):
    """What propagates, and no more."""


class Logging(ad.Tensor):
    calls: ClassVar[list[tuple[str | None, tuple[Any, ...], Any, Any]]] = []

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        Logging.calls.append((overrides.resolve_name(func), types, args, kwargs))
        return super().__torch_function__(func, types, args, kwargs)


def logged(call: Callable[[], Any]) -> list[str | None]:
    Logging.calls.clear()
    call()
    return [name for name, *_ in Logging.calls]


class Diagonal:
    """No tensor: a diagonal matrix of one value."""

    table: ClassVar[dict[Any, Any]] = {}

    def __init__(self, n: int, value: float) -> None:
        self.n, self.value = n, value

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func not in cls.table:
            return NotImplemented
        return cls.table[func](*args, **(kwargs or {}))


Diagonal.table = {
    ad.mean: lambda x: x.value / x.n,
    ad.add: lambda x, y: ("add", x, y),
    ad.Tensor.add: lambda x, y: ("add", x, y),
    ad.Tensor.matmul: lambda x, y: ("matmul", x, y),
    ad.cat: lambda xs, dim=0: len(xs),
    ad.linalg.inv: lambda x: Diagonal(x.n, 1 / x.value),
    ad.special.entr: lambda x: "entr",
    F.mse_loss: lambda x, y: "mse",
}


# ---- subclasses that propagate ----


def as_plain(x: Any) -> Any:
    return x.as_subclass(Plain) if isinstance(x, ad.Tensor) else x


def of_tensors(result: Any) -> list[ad.Tensor]:
    return [x for x in _pytree.tree_leaves(result) if isinstance(x, ad.Tensor)]


PRIVATE = ("attention_of_parts_masked",)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_results_of_a_subclass_are_of_it_and_have_the_same_bits_and_gradients(case: Case) -> None:
    call = {**arithmetic.UNARY, **arithmetic.BINARY}.get(case.name, case.call)
    xs = [x.detach().requires_grad_(x.is_floating_point()) for x in case.operands(Random("5"))]
    ad.manual_seed(1)
    want = of_tensors(call(*xs))
    ad.manual_seed(1)
    mine = [as_plain(x) for x in xs]
    found = of_tensors(call(*mine))
    asked = logged(lambda: call(*[x.detach().as_subclass(Logging) for x in xs]))
    if all(str(name).endswith("__get__") for name in asked) or case.name in PRIVATE:
        return  # a part of others
    assert all(type(y) is Plain for y in found)
    assert bits([y.detach() for y in found]) == bits([y.detach() for y in want])
    if len(want) == 1 and want[0].requires_grad:
        wanted = [x for x in xs if x.requires_grad]
        grads = [ad.autograd.grad(y.sum(), wanted, allow_unused=True) for y in (*want, *found)]
        a, b = ([g.contiguous() for g in each if g is not None] for each in grads)
        assert bits(a) == bits(b)
        assert all(g is None or type(g) in (ad.Tensor, Plain) for g in grads[1])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("line", LINES, ids=lambda line: line[0])
def test_modules_pass_subclasses_on(line: Any) -> None:
    name, args, options, shapes = line
    options = dict(options)
    more = options.pop("call", lambda lib: {})(ad)
    d = getattr(ad, options.pop("dtype", "float64"))
    ad.manual_seed(3)
    module = getattr(nn, name)(*args, **options).to(d)
    given = tensors(ad, shapes, d)
    results = []
    for change in (lambda x: x, as_plain):
        again, xs = copy.deepcopy(module), _pytree.tree_map(change, given)
        ad.manual_seed(4)
        results.append(of_tensors(again(*xs, **_pytree.tree_map(change, more))))
    assert results[0]
    assert all(type(y) is Plain for y in results[1])
    assert bits([y.detach() for y in results[0]]) == bits([y.detach() for y in results[1]])


def test_a_parameter_of_a_subclass_is_of_it() -> None:
    data = ad.ones(1, 2).as_subclass(Plain)
    layer = nn.Linear(2, 1)
    layer.weight = nn.Parameter(data)
    assert type(layer.weight) is Plain
    assert isinstance(layer.weight, nn.Parameter)
    assert not isinstance(data, nn.Parameter)
    assert not issubclass(Plain, nn.Parameter)
    assert not isinstance(layer.weight + 1, nn.Parameter)
    assert repr(layer.weight) == "Parameter(Plain([[1., 1.]], requires_grad=True))"
    for each in (layer, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), layer.double()):
        weight = dict(each.named_parameters())["weight"]
        assert type(weight) is Plain
        assert isinstance(weight, nn.Parameter)
        assert type(each(ad.ones(2, dtype=weight.dtype))) is Plain
    layer(ad.ones(2, dtype=ad.float64)).sum().backward()
    ad.optim.SGD(layer.parameters(), 0.5).step()
    assert data.tolist() == [[1, 1]], "double() gave it other memory"
    assert layer.weight.tolist() == [[0.5, 0.5]]
    assert type(nn.Parameter(nn.Buffer(ad.ones(1)))) is nn.Parameter


def test_a_subclass_keeps_attributes_as_pytorch_does() -> None:
    x = ad.ones(2).as_subclass(Plain)
    x.tag = [1]
    assert not hasattr(x + 1, "tag")
    assert type(copy.copy(x)) is type(copy.deepcopy(x)) is type(pickle.loads(pickle.dumps(x)))
    assert copy.deepcopy(x).tag == pickle.loads(pickle.dumps(x)).tag == [1]
    assert repr(x) == "Plain([1., 1.])"
    assert [type(y) for y in x] == [Plain, Plain]
    assert type(x.data) is Plain
    assert type(x.shape) is ad.Size


def test_what_is_made_of_pointwise_programs_passes_subclasses_on() -> None:
    x = ad.tensor([0.5, 1.0]).as_subclass(Plain)
    d = distributions.Normal(x, 1.0)
    assert [type(y) for y in (d.log_prob(x), d.rsample())] == [Plain] * 2
    assert type(ad.pointwise(lambda x: 2 * x + 1)(x)) is Plain


def test_gradients_of_a_subclass() -> None:
    x = ad.tensor([1.0, 2.0]).as_subclass(Plain).requires_grad_()
    y = (x * x).sum()
    assert type(y) is Plain
    assert y.grad_fn is not None
    y.backward()
    assert x.grad is not None
    assert type(x.grad) is ad.Tensor
    assert x.grad.tolist() == [2.0, 4.0]
    assert type(x.add(1).add_(2)) is Plain


def test_parameters_and_what_is_turned_off_give_plain_tensors() -> None:
    class Own(nn.Parameter):
        pass

    x = ad.ones(2).as_subclass(Plain)
    assert type(nn.Parameter(ad.ones(2)) + 1) is type(Own(ad.ones(2)) * 2) is ad.Tensor
    assert type(nn.Parameter(ad.ones(2)) + x) is Plain
    with DisableTorchFunctionSubclass():
        assert type(x + 1) is ad.Tensor
    assert type(x + 1) is Plain


def test_of_two_classes_the_subclass_is_asked_first_and_strangers_have_no_answer() -> None:
    class Below(Plain):
        pass

    class Other(ad.Tensor):
        pass

    x, y = ad.ones(2).as_subclass(Plain), ad.ones(2).as_subclass(Below)
    assert type(x + y) is type(y + x) is type(ad.stack([x, y])) is Below
    with pytest.raises(TypeError, match=r"Multiple dispatch failed for 'torch.Tensor.add'"):
        x + ad.ones(2).as_subclass(Other)


def test_metadata_of_a_subclass_goes_with_results() -> None:
    class Named(ad.Tensor):
        @classmethod
        def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None):
            result = super().__torch_function__(func, types, args, kwargs)
            names = [x.name for x in args if isinstance(x, cls) and hasattr(x, "name")]
            if isinstance(result, cls) and names:
                result.name = names[0]
            return result

    x = ad.ones(2, 2).as_subclass(Named)
    x.name = "x"
    assert nn.Linear(2, 3)((x + 1).tanh()).softmax(-1)[0].name == "x"


def test_a_class_below_autograd_is_refused() -> None:
    with pytest.raises(NotImplementedError, match="Lower: there is no dispatch below autograd"):

        class Lower(ad.Tensor):
            @classmethod
            def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None):
                return func(*args)


# ---- what is told ----

TOLD = {
    "torch.Tensor.add": [lambda x: x + 1, lambda x: 1 + x, lambda x: x.add(1)],
    "torch.Tensor.sub": [lambda x: x - 1],
    "torch.Tensor.__rsub__": [lambda x: 1 - x],
    "torch.Tensor.div": [lambda x: x / 2],
    "torch.Tensor.matmul": [lambda x: x @ x],
    "torch.Tensor.__eq__": [lambda x: x == x],
    "torch.lt": [lambda x: x < 1],  # which is the method, too
    "torch.Tensor.add_": [lambda x: operator.iadd(x, 1)],
    "torch.Tensor.__getitem__": [lambda x: x[0], lambda x: ad.ones(3)[x]],
    "torch.Tensor.__setitem__": [lambda x: operator.setitem(x, 0, 1)],
    "torch.Tensor.__len__": [len],
    "torch.Tensor.dim torch.unbind": [iter],
    "torch.Tensor.shape.__get__": [lambda x: x.shape],
    "torch.Tensor.data.__set__": [lambda x: setattr(x, "data", ad.zeros(2))],
    "torch.Tensor.mT.__get__": [lambda x: x.mT],
    "torch.Tensor.sum": [lambda x: x.sum(0)],
    "torch.sum": [lambda x: ad.sum(x, dim=0)],
    "torch.cat": [lambda x: ad.cat([ad.zeros(2).long(), x])],
    "torch.where": [lambda x: ad.where(ad.ones(2).bool(), x, 0)],
    "torch.nn.functional.one_hot": [lambda x: F.one_hot(x)],
    "torch.linalg.vector_norm": [lambda x: ad.linalg.vector_norm(x)],
    "torch.special.entr": [lambda x: ad.special.entr(x)],
    "torch.Tensor.backward": [lambda x: x.backward()],
    "torch.nn.functional.embedding": [lambda x: nn.Embedding(3, 2)(x)],
    "torch.Tensor.__repr__": [repr, str],
    "torch.Tensor.numpy": [lambda x: x.numpy()],
    "torch.Tensor.__deepcopy__": [copy.deepcopy],
    "torch.Tensor.requires_grad_": [lambda x: x.requires_grad_(False)],
}


@pytest.mark.parametrize(
    ("name", "call"), [(name, call) for name, calls in TOLD.items() for call in calls]
)
def test_each_public_call_is_told_once_by_its_name(name: str, call: Any) -> None:
    x = ad.tensor([0, 1]).as_subclass(Logging)

    def run() -> None:
        try:
            call(x)
        except (RuntimeError, TypeError):  # of integers
            return

    assert logged(run) == name.split()
    _, types, args, _ = Logging.calls[-1]
    assert types == (Logging,)
    assert any(y is x for y in _pytree.tree_leaves(args))


def test_what_makes_tensors_of_others_does_not_ask_them() -> None:
    x = ad.ones(2).as_subclass(Logging)
    assert logged(lambda: (ad.tensor([1.0]), ad.as_tensor(x), x.as_subclass(Plain))) == []
    assert type(ad.as_tensor(x)) is Logging
    assert logged(lambda: (hash(x), isinstance(x, ad.Tensor), ad.is_tensor(x))) == []


def test_names_of_functions() -> None:
    assert overrides.resolve_name(ad.Tensor.sum) == "torch.Tensor.sum"
    assert overrides.resolve_name(F.cross_entropy) == "torch.nn.functional.cross_entropy"
    assert overrides.resolve_name(ad.Tensor.grad.__get__) == "torch.Tensor.grad.__get__"
    assert overrides.resolve_name(len) is None
    assert ad.Tensor.__getitem__.__name__ == "__getitem__"
    for functions in overrides.get_overridable_functions().values():
        assert all(overrides.resolve_name(f) for f in functions)


# ---- other tensors ----


@pytest.mark.parametrize("noticed_before", [True, False])
@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda d: ad.mean(d), 0.4),
        (lambda d: ad.add(d, 1)[0], "add"),
        (lambda d: ad.add(ad.ones(2), d)[0], "add"),
        (lambda d: (ad.ones(2) + d)[0], "add"),
        (lambda d: (ad.ones(2) @ d)[0], "matmul"),
        (lambda d: ad.cat([ad.ones(2), d]), 2),
        (lambda d: ad.linalg.inv(d).value, 0.5),
        (lambda d: ad.special.entr(d), "entr"),
    ],
)
def test_what_is_no_tensor_is_asked(noticed_before: bool, call: Any, expected: Any) -> None:
    if not noticed_before:
        overrides.uninstall()
    assert call(Diagonal(5, 2.0)) == expected


def test_functions_of_nn_ask_once_somebody_was_noticed() -> None:
    assert F.mse_loss(Diagonal(5, 2.0), ad.ones(2)) == "mse"
    overrides.uninstall()
    with pytest.raises(TypeError, match=r"before autodiff\.overrides\.install"):
        F.mse_loss(Diagonal(5, 2.0), ad.ones(2))


def test_what_has_no_answer_is_an_error() -> None:
    with pytest.raises(TypeError, match=r"'torch.exp'; all __torch_function__ handlers returned"):
        ad.exp(Diagonal(5, 2.0))
    with pytest.raises(TypeError, match="must be Tensor, not object"):
        ad.exp(object())


def test_a_users_function_may_ask() -> None:
    def double(x: Any) -> Any:
        if overrides.has_torch_function((x,)):
            return overrides.handle_torch_function(double, (x,), x)
        return 2 * x

    Diagonal.table[double] = lambda x: "double"
    overrides.uninstall()
    assert double(Diagonal(5, 2.0)) == "double"
    assert double(ad.ones(1)).item() == 2
    wrapped = overrides.wrap_torch_function(lambda x: (x,))(lambda x: 3 * x)
    assert wrapped(ad.ones(1)).item() == 3
    assert type(wrapped(ad.ones(1).as_subclass(Plain))) is Plain
    assert overrides.is_tensor_like(Diagonal(1, 1.0))
    assert not overrides.is_tensor_like(3)


# ---- modes ----


class Counting(overrides.TorchFunctionMode):
    def __init__(self) -> None:
        self.names: list[str | None] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(overrides.resolve_name(func))
        return func(*args, **(kwargs or {}))


def test_a_mode_is_asked_of_all_calls_in_it_the_innermost_first() -> None:
    outer, inner = Counting(), Counting()
    with outer:
        x = ad.ones(2)
        with inner:
            (x + 1).sum()
            with DisableTorchFunction():
                x.exp()
            with DisableTorchFunctionSubclass():
                x.tanh()
    x + 1
    assert inner.names == ["torch.Tensor.add", "torch.Tensor.sum", "torch.tanh"]
    assert outer.names == ["torch.ones", *inner.names]


def test_a_mode_is_of_its_thread_and_ends_with_an_error() -> None:
    mode = Counting()

    def run() -> None:
        with mode:
            thread = threading.Thread(target=lambda: ad.ones(2) + 1)
            thread.start()
            thread.join()
            ad.ones(2) @ ad.ones(3)

    with pytest.raises(RuntimeError):
        run()
    ad.ones(2)
    assert mode.names == ["torch.ones", "torch.ones", "torch.Tensor.matmul"]


def test_a_mode_does_not_see_what_backward_computes() -> None:
    x = ad.ones(2, requires_grad=True)
    y = x * x
    mode = Counting()
    with mode:
        ad.autograd.grad(y.sum(), x, create_graph=True)
        y.sum().backward()
        ad.autograd.backward([(x * x).sum()])
    found = [name for name in mode.names if name not in ("torch.Tensor.sum", "torch.mul")]
    assert found == ["torch.autograd.grad", "torch.Tensor.backward", "torch.autograd.backward"]


def test_a_mode_may_give_another_result_or_have_no_answer() -> None:
    class Zeros(overrides.TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None):
            if func is ad.ones:
                return ad.zeros(*args, **(kwargs or {}))
            return NotImplemented

    with Zeros():
        x = ad.ones(2)
        with pytest.raises(TypeError, match="mode object"):
            ad.exp(x)
    assert x.tolist() == [0, 0]


# ---- with other parts ----


def test_a_compiled_step_is_never_stale() -> None:
    step = ad.compile(lambda x: (2 * x).sum())
    x = ad.ones(3)
    for _ in range(3):
        step(x)
    assert step.stats().runs
    assert type(step(x.as_subclass(Plain))) is Plain
    assert logged(lambda: step(x.as_subclass(Logging))) == ["torch.mul", "torch.Tensor.sum"]
    mode = Counting()
    with mode:
        step(x)
    assert mode.names == ["torch.mul", "torch.Tensor.sum"]
    runs = step.stats().runs
    step(x)
    assert step.stats().runs == runs + 1
    assert type(step(x)) is ad.Tensor


def test_a_compiled_step_that_meets_a_subclass_stays_eager_and_says_why() -> None:
    y = ad.ones(3).as_subclass(Logging)
    step = ad.compile(lambda x: x + y)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for _ in range(3):
            assert logged(lambda: step(ad.ones(3))) == ["torch.Tensor.add"]
    assert any("__torch_function__" in str(one.message) for one in seen)
    with pytest.raises(RuntimeError, match="__torch_function__"):
        ad.compile(lambda x: x + y, fullgraph=True)(ad.ones(3))


def test_what_is_compiled_while_nobody_is_asked_is_not_what_runs_afterwards() -> None:
    y = ad.ones(3).as_subclass(Plain)
    step = ad.compile(lambda x: x + y)
    with DisableTorchFunctionSubclass():
        assert [type(step(ad.ones(3))) for _ in range(3)] == [ad.Tensor] * 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert [type(step(ad.ones(3))) for _ in range(3)] == [Plain] * 3
    mode, double = Counting(), ad.compile(lambda x: 2 * x)
    double(ad.ones(2))
    double.repeat(2, ad.ones(2))
    with mode:
        double.repeat(2, ad.ones(2))
    assert mode.names.count("torch.mul") == 2


def test_vmap_of_functions_that_look() -> None:
    x = ad.arange(6.0).reshape(2, 3)

    def f(x: ad.Tensor) -> ad.Tensor:
        return F.softmax(x, 0) * ad.cat([x[:1], x[1:]]).sum()

    want = vmap(f)(x)

    def install_inside(x: ad.Tensor) -> ad.Tensor:
        overrides.install()
        return f(x)

    overrides.uninstall()
    assert ad.equal(vmap(f)(x), want)
    assert ad.equal(vmap(install_inside)(x), want)
    assert ad.equal(vmap(f)(x), want)
    overrides.uninstall()
    assert ad.equal(vmap(f)(x), want)


def test_functions_are_themselves_again() -> None:
    overrides.uninstall()
    before = [f.__code__ for f in (ad.cat, ad.Tensor.__add__, F.relu, ad.Tensor.shape.fget)]
    overrides.install()
    now = [f.__code__ for f in (ad.cat, ad.Tensor.__add__, F.relu, ad.Tensor.shape.fget)]
    assert all(a is not b for a, b in zip(before, now, strict=True))
    told = _stubs.functions_text()
    overrides.uninstall()
    assert told == _stubs.functions_text()  # signatures and annotations
    again = [f.__code__ for f in (ad.cat, ad.Tensor.__add__, F.relu, ad.Tensor.shape.fget)]
    assert all(a is b for a, b in zip(before, again, strict=True))
    assert ad.Tensor.__getitem__.__name__ == "getitem"


class Foreign:
    """Stands for a tensor of PyTorch, whose functions ask, and whose default calls what asks it."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


Foreign.__torch_function__.__func__.__module__ = "torch._tensor"


def of_another_library(x: Any) -> Any:
    """As functions of PyTorch do with an argument that is none of its own tensors."""
    found = type(x).__torch_function__(of_another_library, (type(x),), (x,), {})
    if found is NotImplemented:
        raise TypeError("no implementation found")
    return found


def test_another_librarys_tensors_and_functions_are_refused() -> None:
    """Each side once asked the other, without end."""
    x: Any = ad.ones(2)
    for call in (lambda: x + Foreign(), lambda: Foreign() * x, lambda: ad.exp(Foreign())):
        with pytest.raises(TypeError, match="Foreign"):
            call()
    with pytest.raises(TypeError, match="no implementation found"):
        of_another_library(x)
    assert ad.Tensor.__torch_function__(ad.exp, (ad.Tensor,), (x,)).tolist() == x.exp().tolist()
