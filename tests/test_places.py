"""Names that programs look for in places of PyTorch's, and what they find there."""

from __future__ import annotations

import copy
import importlib
import multiprocessing
import operator
import pickle
from typing import Any

import pytest

import autodiff as ad
from autodiff import nn
from autodiff.func import functional_call


@pytest.mark.parametrize(
    ("place", "names"),
    [
        ("functional", "einsum norm split tensordot unique"),
        ("serialization", "load save"),
        ("__config__", "show"),
        ("cuda.amp.grad_scaler", "GradScaler"),
        ("cuda.amp.autocast_mode", "autocast"),
        ("nn._reduction", "get_enum legacy_get_string legacy_get_enum"),
        ("utils.dlpack", "from_dlpack to_dlpack"),
        ("utils.hooks", "RemovableHandle"),
        ("utils.checkpoint", "set_checkpoint_early_stop get_device_states set_device_states"),
        ("return_types", "max sort topk kthvalue linalg_qr linalg_slogdet"),
        ("nn.parameter", "UninitializedParameter UninitializedBuffer is_lazy"),
        ("nn.utils.stateless", "functional_call"),
        ("nn.modules.batchnorm", "_BatchNorm"),
        ("distributions.transforms", "StickBreakingTransform CatTransform _InverseTransform"),
        ("distributions.utils", "broadcast_all lazy_property vec_to_tril_matrix"),
        ("autograd.forward_ad", "dual_level make_dual unpack_dual"),
    ],
)
def test_a_place_has_its_names(place: str, names: str) -> None:
    module = importlib.import_module(f"autodiff.{place}")
    for name in names.split():
        assert hasattr(module, name), name
    found = ad
    for part in place.split("."):
        found = getattr(found, part)
    assert found is module


def test_return_types_are_the_types_of_results() -> None:
    assert type(ad.ones(2, 2).max(0)) is ad.return_types.max
    assert type(ad.linalg.qr(ad.eye(2))) is ad.return_types.linalg_qr
    with pytest.raises(AttributeError, match="no attribute 'sum'"):
        ad.return_types.sum  # noqa: B018


def test_a_block_on_a_device() -> None:
    with ad.device("cpu") as d:
        assert ad.ones(1).device == d
    with pytest.raises(AssertionError, match="not compiled with CUDA"), ad.device("cuda"):
        pass


def test_what_autocast_would_round() -> None:
    assert ad.amp.is_autocast_available("cpu")
    assert not ad.amp.is_autocast_available("cuda")

    class Double(ad.autograd.Function):
        @staticmethod
        @ad.amp.custom_fwd(device_type="cuda", cast_inputs=ad.float16)
        def forward(ctx: Any, x: ad.Tensor) -> ad.Tensor:
            return x * 2

        @staticmethod
        @ad.amp.custom_bwd(device_type="cuda")
        def backward(ctx: Any, g: ad.Tensor) -> ad.Tensor:
            return g * 2

    x = ad.ones(1, requires_grad=True)
    Double.apply(x).backward()
    assert x.grad is not None
    assert x.grad.item() == 2
    for wrong in (ad.amp.custom_fwd, ad.amp.custom_bwd):
        with pytest.raises(ValueError, match="of type `str`, got: `<class 'int'>`"):
            wrong(abs, device_type=1)
    with pytest.raises(RuntimeError, match="Expected one of cpu"):
        ad.amp.is_autocast_available("foo")


def test_ways_to_compute_attention() -> None:
    ways = nn.attention.SDPBackend
    q = ad.arange(8.0).reshape(1, 1, 4, 2)
    with nn.attention.sdpa_kernel([ways.MATH, ways.FLASH_ATTENTION], set_priority=True):
        found = nn.functional.scaled_dot_product_attention(q, q, q)
    assert found.equal(nn.functional.scaled_dot_product_attention(q, q, q))
    with (
        pytest.raises(AssertionError, match="must be an instance of SDPBackend"),
        nn.attention.sdpa_kernel("math"),
    ):
        pass


def test_modes_of_determinism() -> None:
    try:
        for number, name in enumerate(("default", "warn", "error")):
            for given in (number, name):
                ad.set_deterministic_debug_mode(given)
                assert ad.get_deterministic_debug_mode() == number
                assert ad.are_deterministic_algorithms_enabled() == (number > 0)
    finally:
        ad.set_deterministic_debug_mode(0)


def test_a_module_compiles_itself() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    twin = copy.deepcopy(net)
    net.compile()
    x = ad.arange(8.0).reshape(4, 2).cos()
    for train in (True, True, True, False, False):
        for module in (net, twin):
            module.train(train)
            module.zero_grad()
            module(x).sum().backward()
        found = [p.grad.tolist() for p in net.parameters() if p.grad is not None]
        assert found == [p.grad.tolist() for p in twin.parameters() if p.grad is not None]
    compiled = net._own_hooks().compiled
    assert compiled.stats().runs >= 1
    log: list[str] = []
    net.register_forward_hook(lambda *_: log.append("called"))
    assert net(x).tolist() == twin(x).tolist()
    assert log == ["called"]
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(twin))):
        assert other._hooks is None or other._hooks.compiled is None
        assert other(x).tolist() == twin(x).tolist()
    assert list(net.state_dict()) == list(twin.state_dict())


def test_functional_call_where_it_was() -> None:
    layer, given = nn.Linear(2, 1), {"weight": ad.ones(1, 2)}
    with pytest.warns(FutureWarning, match="is deprecated"):
        found = nn.utils.stateless.functional_call(layer, given, ad.ones(2))
    assert found.tolist() == functional_call(layer, given, ad.ones(2)).tolist()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_gradients_of_convolutions(n: int) -> None:
    """Those of autograd, which can be differentiated again."""
    options = {"stride": 2, "padding": 1, "dilation": 1, "groups": 2}
    g = ad.manual_seed(n)
    x = ad.randn(2, 4, *[6] * n, generator=g, dtype=ad.float64, requires_grad=True)
    w = ad.randn(6, 2, *[3] * n, generator=g, dtype=ad.float64, requires_grad=True)
    y = getattr(nn.functional, f"conv{n}d")(x, w, **options)
    cotangent = ad.randn(y.shape, generator=g, dtype=ad.float64)
    expected = ad.autograd.grad(y, (x, w), cotangent)
    of_input, of_weight = (getattr(nn.grad, f"conv{n}d_{of}") for of in ("input", "weight"))
    found = of_input(x.shape, w, cotangent, **options), of_weight(x, w.shape, cotangent, **options)
    for a, b in zip(found, expected, strict=True):
        assert a.tolist() == b.tolist()
        assert a.requires_grad
    assert not of_input(x.shape, w.detach(), cotangent, **options).requires_grad


def test_probabilities_and_triangles() -> None:
    utils = ad.distributions.utils
    m = ad.arange(32.0).reshape(2, 4, 4)
    for diag in (-4, -1, 0, 2, 3):
        vector = utils.tril_matrix_to_vec(m, diag)
        assert vector.shape == (2, int(ad.ones(4, 4).tril(diag).sum()))
        if diag != -4:
            assert utils.vec_to_tril_matrix(vector, diag).equal(m.tril(diag))
    for wrong in (-5, 4):
        with pytest.raises(ValueError, match="is outside"):
            utils.tril_matrix_to_vec(m, wrong)
    with pytest.raises(ValueError, match="size of last dimension is 4"):
        utils.vec_to_tril_matrix(ad.ones(4))
    p = ad.tensor([0.0, 0.25, 1.0])
    for binary in (False, True):
        again = utils.logits_to_probs(utils.probs_to_logits(p, binary), binary)
        assert ad.allclose(again, p if binary else p / p.sum(), atol=1e-6)


def test_blocks_of_checkpoints_change_nothing() -> None:
    checkpoint = ad.utils.checkpoint
    for block in (checkpoint.set_checkpoint_early_stop, checkpoint.set_checkpoint_debug_enabled):
        x = ad.ones(2, requires_grad=True)
        with block(True):
            checkpoint.checkpoint(ad.exp, x).sum().backward()
        assert x.grad is not None
        assert x.grad.equal(x.exp())


def test_scripts_for_torchscript_run_as_they_are() -> None:
    class Gate(ad.jit.ScriptModule):
        size: ad.jit.Final[int]

        @ad.jit.script_method
        def forward(self, x: ad.Tensor) -> ad.Tensor:
            return (
                x
                if ad.jit.is_scripting() or ad.jit.is_tracing()
                else ad.jit.annotate(ad.Tensor, 2 * x)
            )

        @ad.jit.ignore(drop=True)
        def told(self) -> int:
            return 1

    gate = ad.jit.script(Gate())
    assert gate(ad.ones(1)).item() == ad.jit.trace(gate, ad.ones(1))(ad.ones(1)).item() == 2.0
    assert gate.told() == ad.jit.ignore(gate.told)() == ad.jit.unused(gate.told)() == 1


def test_there_is_no_group_of_processes() -> None:
    from autodiff.distributed import ReduceOp, all_reduce, get_rank

    assert not ad.distributed.is_available()
    assert not ad.distributed.is_initialized()
    model = nn.Linear(1, 1)
    assert not isinstance(model, nn.parallel.DistributedDataParallel)
    for call in (
        get_rank,
        lambda: all_reduce(ad.ones(1), ReduceOp.SUM),
        lambda: nn.parallel.DistributedDataParallel(model),
    ):
        with pytest.raises(ValueError, match="Default process group has not been initialized"):
            call()
    with pytest.raises(RuntimeError, match="a program runs as one"):
        ad.distributed.init_process_group("gloo")
    assert ad.multiprocessing.Process is multiprocessing.Process


def test_trees() -> None:
    from autodiff.utils import _pytree as trees

    tree = {"a": [1, (2, None)], "b": 3}
    leaves, spec = trees.tree_flatten(tree)
    assert leaves == trees.tree_leaves(tree) == list(trees.tree_iter(tree)) == [1, 2, None, 3]
    assert trees.tree_unflatten(leaves, spec) == tree
    assert spec == trees.tree_structure({"a": [0, (0, 0)], "b": 0})
    assert spec != trees.tree_structure({"a": [0, [0, 0]], "b": 0})
    assert (spec.num_leaves, spec.type, trees.LeafSpec().is_leaf()) == (4, dict, True)
    assert spec.flatten_up_to({"b": [5], "a": ["x", ((), 0)]}) == ["x", (), 0, [5]]
    other = {"b": 30, "a": [10, (20, 0)]}
    added = trees.tree_map(lambda x, y: (x or 0) + y, tree, other)
    assert added == {"a": [11, (22, 0)], "b": 33}
    lists = trees.tree_map(len, {"a": [1, 2]}, is_leaf=lambda x: isinstance(x, list))
    assert lists == {"a": 2}
    assert trees.tree_map_only(int, str, tree) == {"a": ["1", ("2", None)], "b": "3"}
    assert trees.tree_any_only(int, lambda x: x > 2, tree)
    assert not trees.tree_all_only(int, lambda x: x > 2, tree)
    assert not trees.tree_all(bool, tree)
    assert trees.tree_any(bool, tree)
    for call in (
        lambda: trees.tree_unflatten([1], spec),
        lambda: trees.tree_map(max, [1, 2], [1]),
        lambda: trees.tree_map(max, {"a": 1}, {"b": 1}),
        lambda: trees.tree_map(max, [1], (1,)),
    ):
        with pytest.raises(ValueError, match=r"has length 1 but|Node type mismatch"):
            call()


def test_types_of_users_are_taken_apart() -> None:
    from autodiff.utils import _pytree as trees

    class Pair:
        def __init__(self, x: Any, y: Any, note: str) -> None:
            self.x, self.y, self.note = x, y, note

    register = trees.register_pytree_node
    register(Pair, lambda p: ((p.x, p.y), p.note), lambda xs, note: Pair(*xs, note))
    with pytest.raises(ValueError, match="already registered"):
        register(Pair, lambda p: ((), None), lambda xs, note: xs)
    doubled = trees.tree_map(lambda x: 2 * x, [Pair(1, 2, "n")])[0]
    assert (doubled.x, doubled.y, doubled.note) == (2, 4, "n")
    slope = ad.func.grad(lambda p: (p.x * p.y).sum())(Pair(ad.ones(1), 3 * ad.ones(1), "n"))
    assert (slope.x.item(), slope.y.item(), slope.note) == (3.0, 1.0, "n")


class Named(ad.Tensor):
    pass


def test_subclasses_are_made_and_shown_as_pytorch_does() -> None:
    x = ad.ones(2)
    y = ad.Tensor._make_subclass(Named, x, True)
    assert (type(y), y.requires_grad, y.is_leaf, y.data_ptr()) == (Named, True, True, x.data_ptr())
    assert repr(y) == "Named([1., 1.], requires_grad=True)"


def test_layers_as_subclasses_ask_for_them() -> None:
    class Standardized(nn.Conv2d):
        def forward(self, input: ad.Tensor) -> ad.Tensor:
            return self._conv_forward(input, 2 * self.weight, None)

    layer = Standardized(1, 1, 2, padding=1, padding_mode="reflect")
    x = ad.randn(1, 1, 3, 3)
    assert layer.bias is not None
    with ad.no_grad():
        layer.bias.zero_()
    assert ad.equal(layer(x), nn.Conv2d.forward(layer, x) * 2)
    assert isinstance(nn.ConvTranspose1d(1, 1, 1), nn.modules.conv._ConvNd)
    assert nn.init._calculate_fan_in_and_fan_out(ad.ones(2, 3, 5)) == (15, 10)
    assert nn.init._calculate_correct_fan(ad.ones(2, 3, 5), "FAN_OUT") == 10
    assert isinstance(ad.autograd.function.FunctionCtx, type)
    assert ad.distributions.utils._standard_normal((2,), ad.float64, None).dtype is ad.float64


def test_batch_norms_of_all_processes_share_what_those_they_replace_have() -> None:
    net = nn.Sequential(
        nn.Linear(2, 3), nn.Sequential(nn.BatchNorm1d(3, affine=False)), nn.BatchNorm1d(3)
    )
    net[2].eval()
    keys, parameters = list(net.state_dict()), list(net.parameters())
    x = ad.randn(5, 2)
    other = copy.deepcopy(net)
    made = nn.SyncBatchNorm.convert_sync_batchnorm(net)
    assert made is net
    assert [type(m).__name__ for m in made.modules()].count("SyncBatchNorm") == 2
    assert [m.training for m in made.modules()] == [m.training for m in other.modules()]
    assert list(made.state_dict()) == keys
    assert all(map(operator.is_, made.parameters(), parameters))
    assert ad.equal(made(x), other(x))
    assert ad.equal(made[1][0].running_mean, other[1][0].running_mean)
    one = nn.BatchNorm2d(3)
    assert nn.SyncBatchNorm.convert_sync_batchnorm(one).running_var is one.running_var


def test_reductions_have_numbers() -> None:
    reduction = importlib.import_module("autodiff.nn._reduction")
    assert [reduction.get_enum(name) for name in ("none", "mean", "sum")] == [0, 1, 2]
    with pytest.raises(ValueError, match="median is not a valid value for reduction"):
        reduction.get_enum("median")
    for size_average, reduce, number in (
        (None, None, 1),
        (True, None, 1),
        (False, None, 2),
        (None, False, 0),
    ):
        with pytest.warns(UserWarning, match="will be deprecated"):
            assert reduction.legacy_get_enum(size_average, reduce) == number
