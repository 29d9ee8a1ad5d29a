"""Records what PyTorch's CPU autocast gives, as amp.json (see recording.py).

Of functions the dtypes and values of results and gradients, of models those of their parameters.

The test runs the same functions and models on autodiff.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from golden.recording import write

GOLDEN = Path(__file__).with_name("amp.json")
LOWER = ("bfloat16", "float16")
Function = Callable[..., Any]


def ramp(t: Any, *shape: int) -> Any:
    """Values that fill the range from -1 to 1 in no order, each time the same."""
    n = 1
    for size in shape:
        n *= size
    return ((t.arange(float(n)) * 0.61803).remainder(1.0) * 2 - 1).reshape(shape)


def matrix(t: Any, x: Any) -> Any:
    """A positive definite matrix near one given."""
    return x * 0.125 + x.t() * 0.125 + 2 * t.eye(x.shape[0], dtype=x.dtype)


def _plainly(x: Any) -> Any:
    return x.detach().float().clone()


def _f(name: str, *shapes: Any, **options: Any) -> tuple[Any, Function]:
    return shapes, lambda t, *xs: getattr(t.nn.functional, name)(*xs, **options)


def _t(name: str, *shapes: Any, **options: Any) -> tuple[Any, Function]:
    return shapes, lambda t, *xs: getattr(t, name)(*xs, **options)


def _l(name: str, *shapes: Any, **options: Any) -> tuple[Any, Function]:
    return shapes, lambda t, x, *xs: getattr(t.linalg, name)(matrix(t, x.float()), *xs, **options)


M, V, H, J, K = (3, 4), (4,), (2, 4, 6), (2, 4, 6, 6), (1, 2, 4, 4, 4)
# By name: the shapes of operands, and what is computed of them.
FUNCTIONS: dict[str, tuple[Any, Function]] = {
    # in 16 bits
    "mm": _t("mm", M, (4, 2)),
    "mm of columns": (((3, 4), (2, 4)), lambda t, x, y: t.mm(x, y.t())),
    "matmul": _t("matmul", (2, 3, 4), (4, 2)),
    "matmul of vectors": _t("matmul", V, V),
    "matmul of a vector": _t("matmul", M, V),
    "operator": ((M, (4, 2)), lambda t, x, y: x @ y),
    "method": ((M, (4, 2)), lambda t, x, y: x.matmul(y)),
    "bmm": _t("bmm", (2, 3, 4), (2, 4, 2)),
    "addmm": _t("addmm", (2,), M, (4, 2), beta=0.5, alpha=2),
    "addmm plain": _t("addmm", (2,), M, (4, 2)),
    "baddbmm": _t("baddbmm", (2, 3, 2), (2, 3, 4), (2, 4, 2)),
    "addbmm": _t("addbmm", (3, 2), (2, 3, 4), (2, 4, 2)),
    "linear": _f("linear", M, (5, 4), (5,)),
    "linear alone": _f("linear", M, (5, 4)),
    "vecdot": ((M, M), lambda t, x, y: t.linalg.vecdot(x, y)),
    "conv1d": _f("conv1d", H, (3, 4, 3), (3,)),
    "conv2d": _f("conv2d", J, (3, 4, 3, 3), (3,), padding=1),
    "conv2d same": _f("conv2d", J, (4, 1, 3, 3), groups=4, padding="same"),
    "conv3d": _f("conv3d", K, (3, 2, 2, 2, 2)),
    "conv_transpose1d": _f("conv_transpose1d", H, (4, 3, 3), (3,)),
    "conv_transpose2d": _f("conv_transpose2d", J, (4, 3, 3, 3)),
    "conv_transpose3d": _f("conv_transpose3d", K, (2, 3, 2, 2, 2)),
    "prelu": _f("prelu", M, (4,)),
    "attention": _f("scaled_dot_product_attention", *[(2, 3, 5, 4)] * 3),
    "attention masked": _f("scaled_dot_product_attention", *[(2, 3, 5, 4)] * 3, (5, 5)),
    # made of those
    "einsum": ((M, (4, 2)), lambda t, x, y: t.einsum("ij,jk->ik", x, y)),
    "einsum of three": ((M, M, M), lambda t, *xs: t.einsum("ij,kj,lj->ikl", *xs)),
    "einsum outer": ((V, V), lambda t, x, y: t.einsum("i,j->ij", x, y)),
    "tensordot": _t("tensordot", M, (4, 3), dims=1),
    "inner": _t("inner", M, M),
    "chain_matmul": _t("chain_matmul", M, (4, 2), (2, 5)),
    "multi_dot": ((M, (4, 2), (2, 5)), lambda t, *xs: t.linalg.multi_dot(xs)),
    "matrix_power": ((M,), lambda t, x: t.linalg.matrix_power(x @ x.t(), 3)),
    "matrix_power 1": ((((3, 3)),), lambda t, x: t.linalg.matrix_power(x, 1)),
    "matrix_power -2": _l("matrix_power", (3, 3), n=-2),
    "bilinear": _f("bilinear", M, (3, 2), (5, 4, 2)),
    "cov": _t("cov", M),
    "corrcoef": _t("corrcoef", M),
    "affine_grid": (
        ((2, 2, 3),),
        lambda t, x: t.nn.functional.affine_grid(x, (2, 1, 3, 4), align_corners=False),
    ),
    "pinv": (((3, 2),), lambda t, x: t.linalg.pinv(x.float())),
    "pinverse": (((3, 2),), lambda t, x: t.pinverse(x.float())),
    "svd_lowrank": (((6, 5),), lambda t, x: t.svd_lowrank(x.float(), q=2)[1]),
    # of vectors, and others that are not listed
    "mv": _t("mv", M, V),
    "dot": _t("dot", V, V),
    "vdot": _t("vdot", V, V),
    "addmv": _t("addmv", (3,), M, V),
    "addr": _t("addr", M, (3,), V),
    "outer": _t("outer", (3,), V),
    "ger": _t("ger", (3,), V),
    "kron": _t("kron", M, M),
    "cross": _t("cross", (3, 3), (3, 3)),
    "add": _t("add", M, M),
    "exp": _t("exp", M),
    "pow": ((M,), lambda t, x: x**2),
    "sum": _t("sum", M),
    "mean": _t("mean", M),
    "norm": _t("norm", M),
    "vector_norm": ((M,), lambda t, x: t.linalg.vector_norm(x)),
    "cumsum": _t("cumsum", M, dim=0),
    "softmax": _f("softmax", M, dim=1),
    "log_softmax": _f("log_softmax", M, dim=1),
    "layer_norm": _f("layer_norm", M, normalized_shape=(4,)),
    "gelu": _f("gelu", M),
    "relu": _f("relu", M),
    "cosine_similarity": _f("cosine_similarity", M, M),
    "pairwise_distance": _f("pairwise_distance", M, M),
    "max_pool2d": _f("max_pool2d", J, kernel_size=2),
    "avg_pool2d": _f("avg_pool2d", J, kernel_size=2),
    "adaptive_avg_pool2d": _f("adaptive_avg_pool2d", J, output_size=2),
    "interpolate": _f("interpolate", J, scale_factor=2),
    "pad": _f("pad", M, pad=(1, 1)),
    "pad circular": _f("pad", (2, 3, 4), pad=(1, 1), mode="circular"),
    "gaussian_nll_loss": (
        (M, M, M),
        lambda t, x, y, v: t.nn.functional.gaussian_nll_loss(x, y, v.abs() + 0.5),
    ),
    # in float32
    "prod": _t("prod", M),
    "prod of rows": _t("prod", M, dim=1),
    "quantile": _t("quantile", M, q=0.3),
    "nanquantile": _t("nanquantile", M, q=0.3),
    "cdist": _t("cdist", M, M),
    "trace": _t("trace", M),
    "fake_quantize": (
        (M,),
        lambda t, x: t.fake_quantize_per_tensor_affine(x, 0.1, 0, -128, 127),
    ),
    "avg_pool3d": _f("avg_pool3d", K, kernel_size=2),
    "max_pool3d": _f("max_pool3d", K, kernel_size=2),
    "adaptive_avg_pool3d": _f("adaptive_avg_pool3d", K, output_size=2),
    "adaptive_max_pool3d": _f("adaptive_max_pool3d", K, output_size=2),
    "max_unpool2d": (
        (J,),
        lambda t, x: t.nn.functional.max_unpool2d(
            *t.nn.functional.max_pool2d(x, 2, return_indices=True), 2
        ),
    ),
    "grid_sample": (
        (J, (2, 3, 3, 2)),
        lambda t, x, g: t.nn.functional.grid_sample(x, g, align_corners=False),
    ),
    "reflect 1": _f("pad", (2, 3, 4), pad=(1, 1), mode="reflect"),
    "reflect 2": _f("pad", J, pad=(1, 1, 1, 1), mode="reflect"),
    "reflect 3": _f("pad", K, pad=(1, 1, 1, 1, 1, 1), mode="reflect"),
    "replicate 1": _f("pad", (2, 3, 4), pad=(1, 1), mode="replicate"),
    "replicate 2": _f("pad", J, pad=(1, 1, 1, 1), mode="replicate"),
    "replicate 3": _f("pad", K, pad=(1, 1, 1, 1, 1, 1), mode="replicate"),
    "mse_loss": _f("mse_loss", M, M),
    "l1_loss": _f("l1_loss", M, M),
    "smooth_l1_loss": _f("smooth_l1_loss", M, M),
    "huber_loss": _f("huber_loss", M, M),
    "soft_margin_loss": _f("soft_margin_loss", M, M),
    "hinge_embedding_loss": _f("hinge_embedding_loss", M, M),
    "poisson_nll_loss": _f("poisson_nll_loss", M, M),
    "margin_ranking_loss": _f("margin_ranking_loss", V, V, V),
    "triplet_margin_loss": _f("triplet_margin_loss", M, M, M),
    "cosine_embedding_loss": (
        (M, M),
        lambda t, x, y: t.nn.functional.cosine_embedding_loss(x, y, t.tensor([1, -1, 1])),
    ),
    "binary_cross_entropy": (
        (M, M),
        lambda t, x, y: t.nn.functional.binary_cross_entropy(x.sigmoid(), y.sigmoid()),
    ),
    "binary_cross_entropy_with_logits": (
        (M, M),
        lambda t, x, y: t.nn.functional.binary_cross_entropy_with_logits(x, y.abs()),
    ),
    "kl_div": ((M, M), lambda t, x, y: t.nn.functional.kl_div(x, y.abs(), reduction="batchmean")),
    "nll_loss": ((M,), lambda t, x: t.nn.functional.nll_loss(x, t.tensor([1, 0, 3]))),
    "cross_entropy": ((M,), lambda t, x: t.nn.functional.cross_entropy(x, t.tensor([1, 0, 3]))),
    "multi_margin_loss": (
        (M,),
        lambda t, x: t.nn.functional.multi_margin_loss(x, t.tensor([1, 0, 3])),
    ),
    "multilabel_margin_loss": (
        (M,),
        lambda t, x: t.nn.functional.multilabel_margin_loss(x, t.tensor([[1, 0, -1, 2]] * 3)),
    ),
    "multilabel_soft_margin_loss": _f("multilabel_soft_margin_loss", M, M),
    "ctc_loss": (
        ((5, 2, 4),),
        lambda t, x: t.nn.functional.ctc_loss(
            x.log_softmax(2), t.tensor([[1, 2], [3, 1]]), (5, 4), (2, 1)
        ),
    ),
    **{
        name: (((3, 3),), lambda t, x, name=name: getattr(t.linalg, name)(matrix(t, x)))
        for name in ("cholesky", "inv", "eigvalsh", "svdvals", "cond", "matrix_rank")
    },
    "cholesky_ex": (((3, 3),), lambda t, x: t.linalg.cholesky_ex(matrix(t, x))[0]),
    "inv_ex": (((3, 3),), lambda t, x: t.linalg.inv_ex(matrix(t, x))[0]),
    "inverse": (((3, 3),), lambda t, x: matrix(t, x).inverse()),
    "eigh": (((3, 3),), lambda t, x: t.linalg.eigh(matrix(t, x))[0]),
    "svd": (((3, 3),), lambda t, x: t.linalg.svd(matrix(t, x))[1]),
    "qr": (((3, 3),), lambda t, x: t.linalg.qr(matrix(t, x))[1]),
    "solve": (((3, 3), (3, 2)), lambda t, x, y: t.linalg.solve(matrix(t, x), y)),
    "lstsq": (((3, 3), (3, 2)), lambda t, x, y: t.linalg.lstsq(matrix(t, x), y)[0]),
    "lu_solve": (
        ((3, 3), (3, 2)),
        lambda t, x, y: t.linalg.lu_solve(*t.linalg.lu_factor(matrix(t, x).float()), y),
    ),
    "cholesky_solve": (
        ((3, 2), (3, 3)),
        lambda t, y, x: t.cholesky_solve(y, matrix(t, x).tril()),
    ),
    "cholesky_inverse": (((3, 3),), lambda t, x: t.cholesky_inverse(matrix(t, x).tril())),
    "tensorinv": (((4, 4),), lambda t, x: t.linalg.tensorinv(matrix(t, x).reshape(4, 2, 2), 1)),
    "tensorsolve": (
        ((4, 4), (4,)),
        lambda t, x, y: t.linalg.tensorsolve(matrix(t, x).reshape(4, 2, 2), y),
    ),
    "det": _l("det", (3, 3)),
    "logdet": (((3, 3),), lambda t, x: t.logdet(matrix(t, x.float()))),
    "matrix_exp": _l("matrix_exp", (3, 3)),
    # the widest
    "cat": ((M, M), lambda t, x, y: t.cat([x, y])),
    "cat of two widths": ((M, M), lambda t, x, y: t.cat([x.float(), y])),
    "cat of doubles": ((M, M), lambda t, x, y: t.cat([x.double(), y])),
    "stack": ((M, M), lambda t, x, y: t.stack([x, y])),
    "stack of two widths": ((M, M), lambda t, x, y: t.stack([x, y.float()])),
    "vstack": ((M, M), lambda t, x, y: t.vstack([x.float(), y])),
    "index_copy": (
        (M, (1, 4)),
        lambda t, x, y: t.index_copy(x, 0, t.tensor([1]), y.float()),
    ),
    # doubles, integers, and what is written
    "doubles": ((M, (4, 2)), lambda t, x, y: t.mm(x.double(), y.double())),
    "integers": (((),), lambda t, x: t.ones(2, 2, dtype=t.int64) @ t.ones(2, 2, dtype=t.int64)),
    "out": (
        (M, (4, 2)),
        lambda t, x, y: t.mm(_plainly(x), _plainly(y), out=t.zeros(3, 2)),
    ),
    "addmm_": (
        ((3, 2), M, (4, 2)),
        lambda t, x, a, b: (
            x.detach().float().clone().addmm_(a.detach().float(), b.detach().float())
        ),
    ),
}


def name_of(dtype: Any) -> str:
    """A dtype as JSON has it."""
    return str(dtype).removeprefix("torch.")


def plain(x: Any) -> list[Any]:
    """The dtype, and some of the values in few digits."""
    flat = x.detach().double().reshape(-1)
    return [name_of(x.dtype), [float(f"{v:.4g}") for v in flat[:: 1 + x.numel() // 12].tolist()]]


def computed(t: Any, name: str, given: str, lower: str) -> list[Any]:
    """What a function gives in autocast of operands of a dtype; its gradients, taken outside."""
    shapes, function = FUNCTIONS[name]
    d = getattr(t, given)
    xs = [(ramp(t, *shape) + i / 8).to(d).requires_grad_() for i, shape in enumerate(shapes)]
    t.manual_seed(3)
    try:
        with t.autocast("cpu", getattr(t, lower)):
            y = function(t, *xs)
    except (RuntimeError, NotImplementedError):
        return []
    found = [plain(y)]
    if y.requires_grad:
        try:
            y.backward(ramp(t, *y.shape).to(y.dtype))
        except RuntimeError:  # PyTorch's own rule meets two dtypes
            return found
        found += [None if x.grad is None else plain(x.grad) for x in xs]
    return found


# ---- models ----

Build = Callable[[Any], Any]


def _mlp(t: Any) -> Any:
    nn = t.nn
    return nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.LayerNorm(8), nn.Linear(8, 3))


def _cnn(t: Any) -> Any:
    nn = t.nn
    return nn.Sequential(
        *(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(4, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)),
    )


def _packed(t: Any, layer: Any, lengths: list[int]) -> Any:
    """A layer that packs its input, and gives rows and states."""

    class Packed(t.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Any) -> Any:
            y, state = self.layer(t.nn.utils.rnn.pack_padded_sequence(x, lengths))
            return y.data, state

    return Packed()


X = (5, 2, 4)
# By name: the model, the shapes of its inputs, options of the layer.
MODELS: dict[str, tuple[Build, list[Any]]] = {
    "MLP": (_mlp, [(5, 4)]),
    "CNN": (_cnn, [(2, 2, 8, 8)]),
    "RNN": (lambda t: t.nn.RNN(4, 3, num_layers=2), [X]),
    "RNN relu": (lambda t: t.nn.RNN(4, 3, nonlinearity="relu"), [X, (1, 2, 3)]),
    "LSTM": (lambda t: t.nn.LSTM(4, 3, num_layers=2, bidirectional=True), [X]),
    "LSTM batch first": (lambda t: t.nn.LSTM(4, 3, batch_first=True), [X]),
    "LSTM without bias": (lambda t: t.nn.LSTM(4, 3, bias=False), [X]),
    "LSTM from a state": (lambda t: t.nn.LSTM(4, 3), [X, ((1, 2, 3), (1, 2, 3))]),
    "LSTM projected": (lambda t: t.nn.LSTM(4, 3, proj_size=2), [X]),
    "LSTM packed": (lambda t: _packed(t, t.nn.LSTM(4, 3), [5, 3]), [X]),
    "GRU packed": (lambda t: _packed(t, t.nn.GRU(4, 3), [5, 3]), [X]),
    "GRU": (lambda t: t.nn.GRU(4, 3, num_layers=2, bidirectional=True), [X]),
    "GRU from a state": (lambda t: t.nn.GRU(4, 3), [X, (1, 2, 3)]),
    "RNNCell": (lambda t: t.nn.RNNCell(4, 3), [(2, 4), (2, 3)]),
    "LSTMCell": (lambda t: t.nn.LSTMCell(4, 3), [(2, 4), ((2, 3), (2, 3))]),
    "GRUCell": (lambda t: t.nn.GRUCell(4, 3), [(2, 4)]),
    "attention": (lambda t: t.nn.MultiheadAttention(4, 2), [X, X, X]),
    "encoder": (lambda t: t.nn.TransformerEncoderLayer(4, 2, 8, 0.0), [X]),
    "encoder first": (lambda t: t.nn.TransformerEncoderLayer(4, 2, 8, 0.0, norm_first=True), [X]),
    "decoder": (lambda t: t.nn.TransformerDecoderLayer(4, 2, 8, 0.0), [X, (3, 2, 4)]),
    "transformer": (lambda t: t.nn.Transformer(4, 2, 1, 1, 8, 0.0), [(3, 2, 4), X]),
}


def tensors(value: Any) -> list[Any]:
    """Those in tuples, in order."""
    return [x for each in value for x in tensors(each)] if isinstance(value, tuple) else [value]


def _made(t: Any, shape: Any, d: Any) -> Any:
    if shape and isinstance(shape[0], tuple):
        return tuple(_made(t, each, d) for each in shape)
    return ramp(t, *shape).to(d)


def trained(t: Any, name: str, given: str, lower: str) -> list[Any]:
    """What a model gives in autocast of inputs of a dtype, and the gradients of its parameters."""
    build, shapes = MODELS[name]
    model = build(t)
    with t.no_grad():
        for i, p in enumerate(model.parameters()):
            p.copy_(ramp(t, *p.shape) / 2 + (i % 3) / 16)
    try:
        with t.autocast("cpu", getattr(t, lower)):
            ys = tensors(model(*[_made(t, shape, getattr(t, given)) for shape in shapes]))
    except RuntimeError:
        return []
    sum((y.float() ** 2).sum() for y in ys).backward()
    return [*map(plain, ys), *[plain(p.grad) for p in model.parameters()]]


def cases(names: Any) -> list[tuple[str, str, str]]:
    """The names, the dtypes of operands, and those of autocast."""
    return [
        (name, given, lower)
        for name, given, lower in itertools.product(names, ("float32", *LOWER), LOWER)
        if given in ("float32", lower)
    ]


def main() -> None:
    """Writes amp.json."""
    import torch

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    write(
        GOLDEN,
        functions={" ".join(case): computed(torch, *case) for case in cases(FUNCTIONS)},
        models={" ".join(case): trained(torch, *case) for case in cases(MODELS)},
    )


if __name__ == "__main__":
    main()
