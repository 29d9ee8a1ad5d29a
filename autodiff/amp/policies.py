"""Which functions autocast has computed in which dtype: PyTorch's lists for a CPU.

While a thread is in autocast, these functions look first whether theirs is, as those of a vmap do
(`autodiff.replaced`). What a listed function calls is left alone, as its operands are what they
should be; a function that is not listed becomes what its parts make of it.
"""

from __future__ import annotations

import importlib
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from autodiff import dtypes
from autodiff.changes import recorder_here
from autodiff.named import NamedTuple
from autodiff.node import mode, unrecorded
from autodiff.ops.cast import to_dtype
from autodiff.ops.written import unwrapped
from autodiff.replaced import Layer
from autodiff.tensor import Tensor

__all__ = ["PLAIN", "State", "apart", "blocks", "eligible", "policies", "put", "state"]

Call = Callable[..., Any]
Cast = Callable[[Any], Any]


class State(NamedTuple):
    """What decides how a thread's calls are computed."""

    dtype: dtypes.dtype | None = None  # in which autocast is; None where it is off
    asked: dtypes.dtype = dtypes.bfloat16  # in which a block is that names none
    caches: bool = True  # whether leaves are rounded once in a block


class _Blocks(threading.local):
    """What a thread's autocast blocks share."""

    state = State()
    depth = 0
    uses = 0  # of other code
    outside: dtypes.dtype | None = None  # what a backward pass was called in

    def __init__(self) -> None:
        # Leaves of float32 and what they became: one cast, through which all gradients go.
        self.weights: dict[Any, tuple[Tensor, Tensor, int, Any]] = {}


blocks, PLAIN = _Blocks(), State()


def state() -> State:
    """This thread's."""
    return blocks.state._replace(dtype=mode.autocast)


def put(new: State) -> None:
    """Take another state on this thread."""
    here, was = threading.get_ident(), state()
    blocks.state, mode.autocast = new, new.dtype
    if was == PLAIN != new:
        blocks.uses += 1
        unrecorded.add(-here)
        policies.use((here, blocks.uses))
    elif was != PLAIN == new:
        blocks.uses -= 1
        if not blocks.uses:  # else this was in a pass in a block, which the block is not told of
            unrecorded.discard(-here)
        policies.leave((here, blocks.uses + 1))


@contextmanager
def apart(at: State) -> Iterator[None]:
    """A block in a state, with leaves of its own: what is done in it can be done again."""
    before, weights = state(), blocks.weights
    try:
        put(at)
        blocks.weights = {}
        blocks.depth += 1
        yield
    finally:
        blocks.depth -= 1
        put(before)
        blocks.weights = weights


def eligible(x: Any) -> bool:
    """Whether autocast may change what this is: a tensor of floats that are not double."""
    return isinstance(x, Tensor) and x._p.dtype in _ELIGIBLE


_ELIGIBLE = {dtypes.float16.code, dtypes.bfloat16.code, dtypes.float32.code}


def lowered(x: Tensor, to: dtypes.dtype) -> Tensor:
    """A tensor in 16 bits; a leaf that is asked for again, as it was made first.

    Unless it was written to since, or the call is recorded otherwise: without a graph, or for runs
    in which what was made before is no more.
    """
    leaf = x._p.dtype == dtypes.float32.code and x.requires_grad and x.is_leaf and x._base is None
    if not leaf or not blocks.state.caches:
        return to_dtype(x, to)
    key, recorder = (id(x), to, mode.grad, mode.inference), recorder_here()
    now = x._version, None if recorder is None else weakref.ref(recorder)
    known = blocks.weights.get(key)
    if known is None or known[2:] != now:
        known = blocks.weights[key] = (to_dtype(x, to), x, *now)
    return known[0]


def _changed(x: Any, change: Cast) -> Any:
    """An argument, or those of a list, changed where it may be."""
    if eligible(x):
        return change(x)
    if type(x) in (list, tuple) and any(map(eligible, x)):
        return type(x)(_changed(each, change) for each in x)
    return x


# ---- the policies: what operands become where autocast is in a dtype ----


def _lower(d: dtypes.dtype, given: Iterable[Any]) -> Cast:
    return lambda x: lowered(x, d)


def _float32(d: dtypes.dtype, given: Iterable[Any]) -> Cast:
    return lambda x: to_dtype(x, dtypes.float32)


def _widest(d: dtypes.dtype, given: Iterable[Any]) -> Cast:
    kinds = {x.dtype for xs in given for x in (xs if isinstance(xs, (list, tuple)) else [xs])
             if eligible(x)}  # fmt: skip
    for kind in kinds - {d, dtypes.float32}:
        raise RuntimeError(
            f"Unexpected floating ScalarType in at::autocast::prioritize: {kind!r}, where autocast "
            f"is in {d!r}: convert it to that, or to torch.float32"
        )
    return lambda x: to_dtype(x, dtypes.float32 if dtypes.float32 in kinds else d)


def _as_given(d: dtypes.dtype, given: Iterable[Any]) -> Cast:
    return lambda x: x


POLICIES: dict[Callable[[Any, Any], Cast], dict[str, str]] = {
    _lower: {
        "ops.contraction": "_multiply bmm linear matmul mm",
        "ops.blended": "addbmm addmm baddbmm",
        "ops.equations": "vecdot",
        "nn.functional.convolution": "conv1d conv2d conv3d conv_transpose1d conv_transpose2d "
        "conv_transpose3d",
        "nn.functional.activation": "prelu",
        "nn.functional.attention": "scaled_dot_product_attention",
    },
    _float32: {
        "ops.reductions": "prod",
        "ops.ranks": "nanquantile quantile",
        "ops.distances": "cdist",
        "ops.products": "trace",
        "ops.quantize": "fake_quantize_per_tensor_affine",
        "ops.triangular": "cholesky cholesky_ex",
        "ops.equations": "cholesky_inverse cholesky_solve cond householder_product lstsq tensorinv "
        "tensorsolve",
        "ops.systems": "inv inv_ex solve",
        "ops.matrix_names": "old_pinverse",
        "ops.spectral": "eigh eigvalsh matrix_rank qr svd svdvals",
        "nn.functional.pooling": "adaptive_avg_pool3d adaptive_max_pool3d avg_pool3d max_pool3d",
        "nn.functional.unpooling": "max_unpool2d max_unpool3d",
        "nn.functional.fractional": "fractional_max_pool2d fractional_max_pool3d",
        "nn.functional.sampling": "grid_sample",
        "nn.functional.regression_loss": "huber_loss l1_loss mse_loss smooth_l1_loss",
        "nn.functional.probability_loss": "binary_cross_entropy binary_cross_entropy_with_logits "
        "kl_div poisson_nll_loss",
        "nn.functional.class_loss": "cross_entropy nll_loss",
        "nn.functional.alignment_loss": "ctc_loss",
        "nn.functional.margin_loss": "hinge_embedding_loss margin_ranking_loss soft_margin_loss",
        "nn.functional.distance_loss": "cosine_embedding_loss triplet_margin_loss",
        "nn.functional.label_loss": "multi_margin_loss multilabel_margin_loss",
    },
    _widest: {"ops.join": "cat stack", "ops.placing": "index_copy"},
    # What PyTorch has a kernel of its own for, and is made of products here.
    _as_given: {
        "ops.contraction": "dot mv",
        "ops.blended": "_over addmv",
        "ops.lu": "lu_solve",
        "nn.functional.distance": "bilinear",
    },
}


def _by(policy: Callable[[Any, Any], Cast]) -> Callable[[Call], Call]:
    """What has a function called on operands that a policy makes."""

    def wrap(raw: Call) -> Call:
        def call(*args: Any, **kwargs: Any) -> Any:
            d = mode.autocast
            if d is None:
                return raw(*args, **kwargs)
            mode.autocast = None
            try:
                if kwargs.get("out") is not None:
                    return raw(*args, **kwargs)
                change = policy(d, [*args, *kwargs.values()])
                named = {name: _changed(x, change) for name, x in kwargs.items()}
                return raw(*[_changed(x, change) for x in args], **named)
            finally:
                mode.autocast = d

        return call

    return wrap


# ---- what no policy tells ----


def _product_of_float32(raw: Call) -> Call:
    """A product of factors that are found in float32."""
    wide = _by(_float32)(raw)

    def call(*args: Any, **kwargs: Any) -> Any:
        y = wide(*args, **kwargs)
        return y if mode.autocast is None else _changed(y, _lower(mode.autocast, ()))

    return call


def _padded(raw: Call) -> Call:
    """Pads of elements: in float32, but for reflections of volumes."""
    wide = _by(_float32)(raw)

    def call(input: Any, pad: Any, mode: Any = "constant", *value: Any) -> Any:
        listed = mode == "replicate" or (mode == "reflect" and len(pad) < 6)
        return (wide if listed else raw)(input, pad, mode, *value)

    return call


def _scanned(raw: Call) -> Call:
    """A recurrent layer: a step computes in 16 bits, and states keep what width they had.

    Those of RNN, and those of LSTM that PyTorch computes by one call, have none of their own.
    """

    def call(gates: Any, steps: Any, w: Any, *rest: Any) -> Any:
        d = mode.autocast
        if d is None:
            return raw(gates, steps, w, *rest)
        mode.autocast = None
        try:
            n = 2 if steps.kind == "LSTM" else 1
            whole = steps.kind.startswith("RNN") or (n == 2 and steps.native)
            kinds = [d if whole else dtypes.promote_types(x.dtype, d) for x in rest[:n]]
            rounded = [x if kind is not d else _changed(x, _lower(d, ()))
                       for x, kind in zip(rest, kinds, strict=False)]  # fmt: skip
            rounded += [_changed(x, _lower(d, ())) for x in (*rest[n:], gates, w)]
            *more, gates, w = (_changed(x, _float32(d, ())) for x in rounded)
            made = raw(gates, steps, w, *more)
            kinds[0] = d if steps.projected else kinds[0]
            return tuple(map(to_dtype, made, [kinds[0], *kinds]))
        finally:
            mode.autocast = d

    return call


def _walking(raw: Call) -> Call:
    """A backward pass: it computes in the dtypes that were recorded."""

    def call(*args: Any) -> Any:
        before, outside = mode.autocast, blocks.outside
        blocks.outside, mode.autocast = before, None
        try:
            return raw(*args)
        finally:
            blocks.outside, mode.autocast = outside, before

    return call


def _outside(raw: Call) -> Call:
    """A step of it that users wrote: they find what the pass was called in."""

    def call(*args: Any) -> Any:
        before = mode.autocast
        mode.autocast = blocks.outside
        try:
            return raw(*args)
        finally:
            mode.autocast = before

    return call


OTHERS: dict[Callable[[Call], Call], dict[str, str]] = {
    _product_of_float32: {"ops.spectral": "pinv"},
    _padded: {"ops.padding": "padded"},
    _scanned: {"ops.recurrent": "scan"},
    _walking: {"walk": "walk_from"},
    _outside: {"autograd.function_node": "FunctionNode.vjp"},
}


class _Policies(Layer):
    def find(self) -> None:
        tables = {_by(policy): table for policy, table in POLICIES.items()} | OTHERS
        for wrap, table in () if self.wraps else tables.items():
            for module, names in table.items():
                for name in names.split():
                    found: Any = importlib.import_module(f"autodiff.{module}")
                    for part in name.split("."):
                        found = getattr(found, part)
                    self.wraps[unwrapped(found)] = wrap


policies = _Policies(depth=0)
