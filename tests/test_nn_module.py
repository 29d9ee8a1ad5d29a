"""Modules: registration, members, state, conversion, copies and texts."""

from __future__ import annotations

import copy
import gc
import json
import pickle
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
from golden.record_nn import ERRORS, GOLDEN, REPRS
from golden.recording import failure
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
import autodiff.nn
from autodiff import nn

RECORD: dict[str, Any] = json.loads(GOLDEN.read_text())


class Net(nn.Module):
    """Two layers that share a weight, a buffer of each kind and an empty place."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2, 2)
        self.second = nn.Linear(2, 2, bias=False)
        self.second.weight = self.first.weight
        self.scale = nn.Parameter(ad.ones(2))
        self.register_buffer("mean", ad.zeros(2))
        self.register_buffer("scratch", ad.zeros(2), persistent=False)
        self.register_parameter("gone", None)
        self.act = nn.Tanh()
        self.again = self.act

    def forward(self, x: Any) -> Any:
        return self.second(self.act(self.first(x))) * self.scale


def names(pairs: Any) -> list[str]:
    return [name for name, _ in pairs]


@pytest.mark.parametrize("name", RECORD["reprs"])
def test_reprs_are_pytorchs(name: str) -> None:
    assert repr(REPRS[name](ad)) == RECORD["reprs"][name]


@pytest.mark.parametrize("name", RECORD["errors"])
def test_errors_are_pytorchs(name: str) -> None:
    expected = RECORD["errors"][name]
    assert failure(ERRORS[name], ad) == [expected[0], expected[1].replace("torch.nn.modules", "x")]


def test_every_text_is_recorded() -> None:
    assert list(RECORD["errors"]) == list(ERRORS)
    assert list(RECORD["reprs"]) == list(REPRS)


def test_members_in_order_and_once() -> None:
    net = Net()
    assert names(net.named_parameters()) == ["scale", "first.weight", "first.bias"]
    everything = names(net.named_parameters(remove_duplicate=False))
    assert everything == ["scale", "first.weight", "first.bias", "second.weight"]
    assert names(net.named_parameters("net", recurse=False)) == ["net.scale"]
    assert names(net.named_buffers()) == ["mean", "scratch"]
    assert names(net.named_modules()) == ["", "first", "second", "act"]
    assert names(net.named_modules(remove_duplicate=False))[-1] == "again"
    assert names(net.named_children()) == ["first", "second", "act"]
    assert len(list(net.parameters())) == 3
    assert len(list(net.buffers())) == 2
    assert list(net._parameters) == ["scale", "gone"]
    assert list(net._modules) == ["first", "second", "act", "again"]
    assert net._buffers["mean"] is net.mean


def test_dotted_names() -> None:
    net = nn.Sequential(Net())
    assert net.get_submodule("") is net
    assert net.get_submodule("0.first") is net[0].first
    assert net.get_parameter("0.first.bias") is net[0].first.bias
    assert net.get_buffer("0.mean") is net[0].mean


def test_an_attribute_is_of_one_kind_at_a_time() -> None:
    module = nn.Module()
    module.x = 1
    module.x = nn.Parameter(ad.ones(1))
    assert names(module.named_parameters()) == ["x"]
    with pytest.raises(TypeError, match="Tanh' as parameter 'x'"):
        module.x = nn.Tanh()
    del module.x
    module.x = nn.Tanh()
    assert names(module.named_parameters()) == []
    assert names(module.named_children()) == ["x"]
    module.x = None
    assert list(module.children()) == []
    assert module._modules == {"x": None}
    del module.x
    assert module._modules == {}
    assert not hasattr(module, "x")
    module.register_buffer("b", None)
    module.b = ad.ones(1)
    assert names(module.named_buffers()) == ["b"]
    assert list(module.state_dict()) == ["b"]
    del module.b
    assert list(module.state_dict()) == []
    assert "forward" in dir(module)
    assert "0" not in dir(nn.Sequential(module))


def test_a_plain_attribute_may_come_before_init() -> None:
    class Late(nn.Module):
        def __init__(self) -> None:
            self.size = 3
            super().__init__()

    assert Late().size == 3


def test_train_and_eval_reach_every_module() -> None:
    net = Net()
    assert net.training
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    assert all(module.training for module in net.train().modules())


def test_apply_visits_the_deepest_first() -> None:
    seen: list[str] = []
    nn.Sequential(nn.Sequential(nn.Tanh()), nn.ReLU()).apply(lambda m: seen.append(m._get_name()))
    assert seen == ["Tanh", "Sequential", "ReLU", "Sequential"]


def test_zero_grad_and_requires_grad() -> None:
    net = Net()
    net(ad.ones(1, 2)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert net.scale.grad.tolist() == [0.0, 0.0]
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    assert net.requires_grad_(False) is net
    assert not net(ad.ones(1, 2)).requires_grad


def test_conversion_keeps_the_parameters_and_converts_gradients_and_buffers() -> None:
    net = Net()
    net.register_buffer("count", ad.tensor(3))
    before = list(net.parameters())
    net(ad.ones(1, 2)).sum().backward()
    assert net.double() is net
    assert all(a is b for a, b in zip(before, net.parameters(), strict=True))
    assert {p.dtype for p in net.parameters()} == {p.grad.dtype for p in before} == {ad.float64}
    assert (net.mean.dtype, net.count.dtype) == (ad.float64, ad.int64)
    assert net(ad.ones(1, 2, dtype=ad.float64)).dtype is ad.float64
    assert net.to(ad.ones(1)).scale.dtype is net.to("cpu").scale.dtype is ad.float32
    assert net.to(dtype=ad.float64).float().scale.dtype is ad.float32
    with pytest.raises(AssertionError, match="only 'cpu'"):
        net.to("cuda:0")


# ---- state ----


def test_state_dict_shares_memory_and_is_detached() -> None:
    net = Net()
    state = net.state_dict(prefix="net.")
    keys = ["scale", "mean", "first.weight", "first.bias", "second.weight"]
    assert list(state) == [f"net.{key}" for key in keys]
    assert not any(x.requires_grad for x in state.values())
    assert state["net.scale"].data_ptr() == net.scale.data_ptr()
    assert net.state_dict(keep_vars=True)["scale"] is net.scale
    assert state._metadata["net.first"] == {"version": 1}


def test_load_copies_into_place_and_converts() -> None:
    net, other = Net(), Net().double()
    scale = net.scale
    result = net.load_state_dict(other.state_dict())
    assert tuple(result) == ([], [])
    assert net.scale is scale
    assert net.first.weight.dtype is ad.float32
    assert net.first.weight.tolist() == other.first.weight.float().tolist()
    assert net.first.weight.data_ptr() != other.first.weight.data_ptr()


def test_load_that_fails_names_all_and_lax_load_returns_them() -> None:
    net = Net()
    state = net.state_dict()
    del state["scale"]
    state["first.extra"] = ad.ones(1)
    result = net.load_state_dict(state, strict=False)
    assert result.missing_keys == ["scale"]
    assert result.unexpected_keys == ["first.extra"]
    with pytest.raises(RuntimeError, match=r'Missing key.*"scale"[^U]*Unexpected.*"first\.extra"'):
        net.load_state_dict(state)


def test_load_with_assign_takes_the_tensors() -> None:
    net = nn.Linear(1, 1).requires_grad_(False)
    state = nn.Linear(1, 1, dtype=ad.float64).state_dict()
    net.load_state_dict(state, assign=True)
    assert net.weight.dtype is ad.float64
    assert net.weight.data_ptr() == state["weight"].data_ptr()
    assert isinstance(net.weight, nn.Parameter)
    assert not net.weight.requires_grad


@settings(deadline=None)
@given(st.lists(st.integers(1, 4), min_size=2, max_size=5), st.booleans(), st.integers(0, 99))
def test_copies_and_pickles_compute_the_same(sizes: list[int], bias: bool, seed: int) -> None:
    ad.manual_seed(seed)
    model = nn.MLP(sizes, bias=bias)
    x = ad.randn(2, sizes[0])
    model(x).sum().backward()
    loaded = nn.MLP(sizes, bias=bias)
    loaded.load_state_dict(model.state_dict())
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), loaded):
        assert other(x).tolist() == model(x).tolist()
        assert repr(other) == repr(model)
        assert all(isinstance(p, nn.Parameter) and p.requires_grad for p in other.parameters())
        assert all(p.grad is None for p in other.parameters())
        with ad.no_grad():
            for p in other.parameters():
                p.zero_()
        assert all(p.abs().sum().item() > 0 for p in model.parameters())


def test_copies_keep_what_is_shared() -> None:
    net = Net()
    net.scale.requires_grad_(False)
    other = copy.deepcopy(net)
    assert not other.scale.requires_grad
    assert other.second.weight is other.first.weight
    assert other.again is other.act


def test_tensors_copy_and_pickle() -> None:
    x = ad.tensor([[1.0, 2.0, 3.0]], dtype=ad.float64, requires_grad=True)
    (x * x).sum().backward()
    other = copy.deepcopy([x, x])
    assert other[0] is other[1] is not x
    assert other[0].grad.tolist() == [[2.0, 4.0, 6.0]]
    with pytest.raises(RuntimeError, match="graph leaves"):
        copy.deepcopy(x * 2)
    tensors = [
        x,
        x.detach().t(),
        x * 2,
        ad.zeros(0, 3),
        ad.tensor(True),
        ad.tensor([1, 255], dtype=ad.uint8),
    ]
    for t, u in zip(tensors, pickle.loads(pickle.dumps(tensors)), strict=True):
        assert (u.tolist(), u.dtype, u.shape) == (t.tolist(), t.dtype, t.shape)
        assert u.requires_grad == t.requires_grad
        assert u.is_leaf


def test_modules_are_freed_without_the_cycle_collector() -> None:
    import weakref

    gc.disable()
    try:
        net = Net()
        net(ad.ones(1, 2)).sum().backward()
        reference = weakref.ref(net.first.weight)
        del net
        assert reference() is None
    finally:
        gc.enable()


# ---- parameters ----


def test_parameter_shares_memory_and_leaves_the_graph() -> None:
    data = ad.ones(2, requires_grad=True)
    p = nn.Parameter(data * 2)
    assert p.is_leaf
    assert p.requires_grad
    assert nn.Parameter(data).data_ptr() == data.data_ptr()
    assert not nn.Parameter(ad.tensor([1]), requires_grad=False).requires_grad
    assert type(p + 1) is ad.Tensor
    with pytest.raises(RuntimeError, match="floating point"):
        nn.Parameter(ad.tensor([1]))


# ---- containers ----


def test_sequential_from_names_and_positions() -> None:
    model = nn.Sequential(OrderedDict(a=nn.Linear(2, 3), b=nn.Tanh()))
    assert list(model.state_dict()) == ["a.weight", "a.bias"]
    assert model[1] is model.b
    assert model[-2] is model.a
    assert list(model) == [model.a, model.b]
    assert names(model[:1].named_children()) == ["a"]
    assert model(ad.ones(2)).tolist() == model.a(ad.ones(2)).tanh().tolist()
    assert nn.Sequential()(3) == 3


def test_sequential_is_edited_as_a_list() -> None:
    layers = [nn.Tanh(), nn.ReLU(), nn.Sigmoid(), nn.SiLU()]
    model = nn.Sequential(*layers[:1])
    assert model.append(layers[2]) is model
    model.insert(1, layers[1]).extend(layers[3:])
    assert list(model) == layers
    assert len(model) == 4
    assert model.pop(-1) is layers[3]
    del model[0]
    assert names(model.named_children()) == ["0", "1"]
    assert list(model) == layers[1:3]
    model[0] = layers[0]
    assert list(model) == [layers[0], layers[2]]
    both = model + nn.Sequential(layers[3])
    assert list(both) == [layers[0], layers[2], layers[3]]
    assert list(model * 2) == list(2 * model) == [layers[0], layers[2]] * 2
    model += nn.Sequential(layers[1])
    assert len(model) == 3
    del model[1:]
    assert list(model) == [layers[0]]
    for wrong in (lambda: model + 3, lambda: model * 0):
        with pytest.raises(ValueError, match=r"add operator|Non-positive"):
            wrong()


def test_a_shallow_copy_has_registers_of_its_own() -> None:
    module = Net()
    before = names(module.named_parameters())
    other = copy.copy(module)
    other.more = nn.Parameter(ad.ones(1))
    del other.first
    assert other.second.weight is module.second.weight
    assert names(module.named_parameters()) == before
    assert next(iter(module.state_dict())) in before
    assert "more" in names(other.named_parameters())


def test_parameters_and_buffers_keep_what_users_give_them() -> None:
    p = nn.Parameter(ad.ones(2))
    p.decays = False  # type: ignore[attr-defined]
    b = nn.Buffer(ad.ones(2), persistent=False)
    module = nn.Module()
    module.p, module.b = p, b
    for copied in (copy.copy, lambda x: pickle.loads(pickle.dumps(x))):
        assert copied(p).decays is False
        assert copied(b).persistent is False
    assert not hasattr(copy.deepcopy(p), "decays")  # as in PyTorch
    other = nn.Module()
    other.b = copy.deepcopy(b)
    assert names(other.named_buffers()) == ["b"]
    assert not other.state_dict()
    assert module.p.decays is False


def test_members_before_init_are_refused_by_name() -> None:
    class Early(nn.Module):
        def __init__(self) -> None:
            pass

    with pytest.raises(AttributeError, match="'Early' object has no attribute"):
        list(Early().parameters())


def test_a_state_dict_by_position_and_numbers_of_one_element() -> None:
    norm = nn.BatchNorm1d(2)
    with pytest.warns(FutureWarning, match="use kwargs"):
        assert next(iter(norm.state_dict(None, "a."))) == "a.weight"
    with pytest.raises(TypeError, match="at most 3"):
        norm.state_dict(None, "", False, 4)
    state = norm.state_dict()
    state["num_batches_tracked"] = ad.tensor([7])  # as PyTorch saved numbers before 0.4
    norm.load_state_dict(state)
    assert norm.num_batches_tracked.item() == 7
    state["num_batches_tracked"] = ad.tensor([7, 8])
    with pytest.raises(RuntimeError, match=r"size mismatch for num_batches_tracked.*\[2\]"):
        norm.load_state_dict(state)
    norm.register_load_state_dict_post_hook(lambda module, keys: 3)
    with pytest.raises(AssertionError, match="in place"):
        norm.load_state_dict(state)


def test_the_state_of_lazy_modules_stays_without_a_shape() -> None:
    for make in (lambda: nn.LazyLinear(2), nn.LazyBatchNorm1d):
        module = make()
        module.load_state_dict(make().state_dict())
        assert isinstance(module.state_dict()["weight"], nn.UninitializedParameter)
        assert module(ad.ones(3, 4)).shape[0] == 3
        with pytest.raises(RuntimeError, match="uninitialized"):
            module.load_state_dict(make().state_dict())


@pytest.mark.parametrize("kind", [nn.UninitializedParameter, nn.UninitializedBuffer])
def test_what_has_no_shape_yet_is_not_computed_with(kind: Any) -> None:
    x = kind()
    calls: dict[str, Callable[[], Any]] = {
        "add": lambda: x + 1,
        "mul": lambda: ad.ones(2) * x,
        "relu": lambda: ad.relu(x),
        "linear": lambda: nn.functional.linear(ad.ones(2, 2), x),
        "stack": lambda: ad.stack([x, x]),
        "getitem": lambda: x[0],
        "numel": x.numel,
        "detach": x.detach,
    }
    what = kind.__name__.removeprefix("Uninitialized").lower()
    for name, call in calls.items():
        with pytest.raises(ValueError, match=f"uninitialized {what} in '{name}'"):
            call()
    assert x.dtype is ad.float32
    assert x.data.tolist() == []
    assert type(copy.copy(x)) is type(copy.deepcopy(x)) is kind
    assert repr(x.double()) == "tensor([], dtype=torch.float64" + (
        ", grad_fn=<ToCopyBackward0>)" if x.requires_grad else ")"
    )
    x.materialize((2,))
    assert (x + 1).shape == (2,)


def test_lazy_norms_keep_the_dtype_they_were_given() -> None:
    norm = nn.LazyBatchNorm1d().double()
    assert isinstance(norm.running_mean, nn.UninitializedBuffer)
    norm(ad.ones(2, 3, dtype=ad.float64))
    assert {name: (x.dtype, x.tolist()) for name, x in norm.named_buffers()} == {
        "running_mean": (ad.float64, [pytest.approx(0.1)] * 3),
        "running_var": (ad.float64, [pytest.approx(0.9)] * 3),
        "num_batches_tracked": (ad.int64, 1),
    }


def test_a_prefix_is_taken_off_the_names_of_a_state() -> None:
    wrapped = nn.Module()
    wrapped.module = net = Net()
    state = wrapped.state_dict()
    nn.modules.utils.consume_prefix_in_state_dict_if_present(state, "module.")
    assert list(state) == list(net.state_dict())
    assert {**state._metadata} == net.state_dict()._metadata
    net.load_state_dict(state)


def test_a_lazy_module_of_ones_own_gets_its_shapes_at_its_first_call() -> None:
    class Scale(nn.modules.lazy.LazyModuleMixin):
        cls_to_become = None

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.UninitializedParameter()
            self.register_buffer("shift", nn.UninitializedBuffer())

        def initialize_parameters(self, x: Any, *, known: bool = True) -> None:
            if self.has_uninitialized_params() and known:
                for held in (self.weight, self.shift):
                    held.materialize(x.shape[-1:])
                    held.data.fill_(2.0)

        def forward(self, x: Any, *, known: bool = True) -> Any:
            return x * self.weight + self.shift

    module = Scale()
    with pytest.raises(RuntimeError, match="module Scale has not been fully initialized"):
        module(ad.ones(3), known=False)
    assert module(ad.ones(3)).tolist() == [4.0] * 3
    assert type(module) is Scale
    assert module(ad.zeros(3)).tolist() == [2.0] * 3
    assert nn.LazyLinear.cls_to_become is nn.Linear
    with pytest.raises(NotImplementedError, match="initialize_parameters"):
        nn.modules.lazy.LazyModuleMixin().initialize_parameters()


def test_registers_are_among_the_attributes_and_may_be_written_or_replaced() -> None:
    layer = nn.Linear(2, 2)
    known = layer.__dict__["_parameters"]
    assert list(known) == list(layer._parameters) == ["weight", "bias"]
    fast = 2 * layer.weight  # no Parameter, but part of a graph
    known["weight"] = fast
    assert layer.weight is layer._parameters["weight"] is fast
    layer._parameters = {"weight": fast, "other": None}  # type: ignore[assignment]
    assert known.copy() == {"weight": fast, "other": None}
    assert not hasattr(layer, "bias")
    net = nn.Sequential(nn.Tanh(), nn.ReLU())
    net._modules.clear()
    net.__dict__["_modules"]["a"] = layer
    assert list(net.children()) == [layer]
    assert net._modules.pop("a") is layer
    assert len(net) == 0


def test_registers_of_copies_are_their_own() -> None:
    net = nn.Sequential(nn.BatchNorm1d(2))
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net)), copy.copy(net)):
        other.__dict__["_modules"]["more"] = nn.ReLU()
        assert len(other) == 2
        assert len(net) == 1
    norm = copy.deepcopy(net[0])
    norm.__dict__["_buffers"]["running_mean"] = ad.ones(2)
    assert norm.running_mean.tolist() == [1, 1]
    assert net[0].running_mean.tolist() == [0, 0]
    gone = nn.Linear(1, 1).__dict__["_parameters"]
    assert list(nn.Linear(1, 1)._parameters) == ["weight", "bias"]
    assert list(gone) == []


def test_modules_are_freed_without_a_collection() -> None:
    layer = nn.Linear(1, 1)
    gone = weakref.ref(layer)
    del layer
    assert gone() is None


def test_compiled_steps_follow_writes_into_registers() -> None:
    layer = nn.Linear(2, 2, bias=False)
    step, x = ad.compile(layer), ad.ones(1, 2)
    for _ in range(3):
        step(x)
    assert step.stats().runs
    layer.__dict__["_parameters"]["weight"] = nn.Parameter(ad.ones(2, 2))
    assert step(x).tolist() == [[2, 2]]
    layer._parameters = {"weight": nn.Parameter(ad.zeros(2, 2)), "bias": None}  # type: ignore[assignment]
    assert step(x).tolist() == [[0, 0]]


class Stacked(nn.Module):
    """Submodules of which two have the names of what the class has."""

    def __init__(self) -> None:
        super().__init__()
        self.parameters = nn.ParameterList([nn.Parameter(ad.ones(2)), nn.Parameter(ad.ones(3))])
        self.train = nn.Linear(1, 2)
        self.mro = nn.Tanh()  # which is of the class's class


@pytest.mark.parametrize("taken", [lambda m: m, copy.copy, copy.deepcopy])
def test_what_the_class_has_comes_before_a_submodule_of_its_name(taken: Any) -> None:
    m: Any = taken(Stacked())
    assert [p.shape[0] for p in m.parameters()] == [2, 3, 2, 2]
    assert names(m.named_children()) == list(m._modules) == ["parameters", "train", "mro"]
    assert m.train(False) is m
    assert not m._modules["train"].training
    assert m.mro is m._modules["mro"]
    assert "(parameters): ParameterList(" in repr(m)
    state = m.state_dict()
    assert list(state) == ["parameters.0", "parameters.1", "train.weight", "train.bias"]
    m.load_state_dict({name: x + 1 for name, x in state.items()})
    assert m._modules["parameters"][0].tolist() == [2.0, 2.0]
    with pytest.raises(TypeError, match="cannot assign 'int' as child module 'train'"):
        m.train = 3
    m.train = None
    assert names(m.named_children()) == ["parameters", "mro"]
    m.train = nn.Linear(1, 3)
    assert [p.shape[0] for p in m.parameters()] == [2, 3, 3, 3]
    del m.train, m.parameters
    assert len(list(m.parameters())) == 0
    m.train = 3
    assert m.train == 3


def test_a_row_holds_a_module_of_a_methods_name() -> None:
    row = nn.Sequential(nn.Linear(1, 1), nn.ReLU())
    setattr(row, "append", nn.Linear(1, 4))  # noqa: B010 - no name that a type checker knows
    assert len(row) == 3
    assert row(ad.ones(1, 1)).shape == (1, 4)
    assert row[2] is list(row)[2]
    table = nn.ModuleDict()
    setattr(table, "keys", nn.Tanh())  # noqa: B010
    assert list(table.keys()) == ["keys"]
    assert table.pop("keys").__class__ is nn.Tanh
