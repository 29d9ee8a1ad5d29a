"""Records what every module of PyTorch that we have gives, as every_module.json (see recording.py).

A module is a line: its arguments and its inputs. Recorded are its text, the names, shapes and first
numbers of its state, results and gradients of two calls in training and one in evaluation, and its
buffers after that. The tests run the same lines here, plainly and compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

from golden.record_layers import Called, digest, layer, passes, states, tensors
from golden.recording import failure, write

GOLDEN = Path(__file__).with_name("every_module.json")
Case = Callable[[Any], Any]
Line = tuple[str, tuple[Any, ...], dict[str, Any], list[Any]]


def whole(*values: Any) -> Case:
    """An input of integers."""
    return lambda lib: lib.tensor(list(values))


def chances(*shape: int) -> Case:
    """An input of random numbers in (0, 1)."""
    return lambda lib: lib.rand(shape, dtype=lib.float64).requires_grad_()


def logs(lib: Any) -> Any:
    """An input of logarithms of distributions."""
    return lib.randn(6, 2, 4, dtype=lib.float64).log_softmax(2)


def signs(lib: Any) -> Any:
    """An input of 1 and -1."""
    return lib.tensor([1, -1, -1]).double()


def pooled(nd: int, place: int) -> Case:
    """What max pooling finds, or where it finds it, in windows that overlap."""

    def make(lib: Any) -> Any:
        pool = getattr(lib.nn.functional, f"max_pool{nd}d")
        line = lib.cos(lib.arange(2.0 * 5**nd, dtype=lib.float64)).reshape(1, 2, *[5] * nd)
        found = pool(line, 2, 3, return_indices=True)[place]
        return found.requires_grad_() if place == 0 else found

    return make


def lines(*names: str, args: Any = (), shapes: Any = ((3, 4),), **options: Any) -> list[Line]:
    """A line for each of some modules that are alike."""
    return [(name, tuple(args), options, list(shapes)) for name in names]


IMAGES = ((2, 4, 5), (2, 4, 5, 4), (1, 4, 5, 4, 5))
BAGS: list[tuple[dict[str, Any], list[Any]]] = [
    ({}, [whole([1, 3, 0], [3, 3, 1])]),
    ({"mode": "sum"}, [whole(1, 3, 0, 3), whole(0, 1)]),
    ({"mode": "max"}, [whole(1, 3, 0, 3, 1), whole(0, 2, 2)]),
    ({"padding_idx": -1}, [whole([1, 3, 0], [3, 3, 1])]),
    ({"mode": "max", "padding_idx": 1}, [whole([1, 3, 0], [3, 3, 1])]),
    # indices that are all as frequent, as PyTorch divides by other ones' frequency else
    ({"scale_grad_by_freq": True}, [whole([1, 3], [3, 1])]),
    ({"max_norm": 0.7, "norm_type": 1.0}, [whole([1, 3, 0], [3, 3, 1])]),
    ({"include_last_offset": True}, [whole(1, 3, 0, 3, 1), whole(0, 2, 5)]),
    ({"mode": "sum"}, [whole([1, 3, 0], [3, 3, 1]), lambda lib: None, chances(2, 3)]),
]
LINES: list[Line] = [
    # activations
    *lines("CELU", "ELU", "GELU", "SELU", "Hardshrink", "Hardswish", "Hardtanh"),
    *lines("Hardsigmoid", dtype="float32"),  # whose slope PyTorch takes from float32
    *lines("LeakyReLU", "LogSigmoid", "Mish", "PReLU", "ReLU", "ReLU6", "RReLU", "Sigmoid"),
    *lines("SiLU", "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink", "GLU", "Identity"),
    *lines("Threshold", args=(0.1, 0.2)),
    *lines("Softmax", "LogSoftmax", "Softmin", args=(-1,)),
    *lines("Softmax2d", shapes=[(2, 3, 2, 2)]),
    # maps, tables, shapes
    *lines("Linear", args=(4, 3)),
    *lines("Bilinear", args=(4, 2, 3), shapes=[(3, 4), (3, 2)]),
    *lines("Embedding", args=(4, 3), shapes=[whole([1, 3], [0, 3])]),
    *[line for o, xs in BAGS for line in lines("EmbeddingBag", args=(4, 3), shapes=xs, **o)],
    *lines("Flatten", shapes=[(2, 3, 2)]),
    *lines("Unflatten", args=(1, (2, 2))),
    *lines("PixelShuffle", "PixelUnshuffle", "ChannelShuffle", args=(2,), shapes=[(1, 8, 4, 2)]),
    *lines("Fold", args=((4, 5), (2, 3)), shapes=[(1, 12, 9)]),
    *lines("Unfold", args=((2, 3),), shapes=[(1, 2, 4, 5)]),
    *lines(
        "Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d", args=(7,), shapes=IMAGES[1:2]
    ),
    # noise
    *lines("Dropout", "AlphaDropout"),
    *[
        line
        for nd in (1, 2, 3)
        for line in lines(f"Dropout{nd}d", args=(0.4,), shapes=[IMAGES[nd - 1]])
    ],
    *lines("FeatureAlphaDropout", shapes=[(2, 4, 5)]),
    # norms
    *lines("LayerNorm", "RMSNorm", args=(4,)),
    *lines("GroupNorm", args=(2, 4), shapes=[(2, 4, 3)]),
    *lines("SyncBatchNorm", args=(4,), shapes=[(2, 4, 3)]),
    *lines("LocalResponseNorm", args=(2,), shapes=[(2, 4, 3)]),
    *lines("CrossMapLRN2d", args=(8,), shapes=[(2, 4, 3, 2)]),
    # of one to three dimensions
    *[
        line
        for nd, shape in enumerate(IMAGES, 1)
        for line in [
            *lines(f"BatchNorm{nd}d", f"InstanceNorm{nd}d", args=(4,), shapes=[shape]),
            *lines(f"LazyBatchNorm{nd}d", f"LazyInstanceNorm{nd}d", shapes=[shape]),
            *lines(f"Conv{nd}d", args=(4, 2, 2), padding=1, groups=2, shapes=[shape]),
            *lines(f"ConvTranspose{nd}d", args=(4, 2, 2), stride=2, shapes=[shape]),
            *lines(f"LazyConv{nd}d", args=(2, 3), stride=2, padding=1, shapes=[shape]),
            *lines(f"LazyConv{nd}d", args=(4, 2), groups=2, bias=False, shapes=[shape[1:]]),
            *lines(
                f"LazyConvTranspose{nd}d",
                args=(2, 3),
                output_padding=1,
                stride=2,
                groups=2,
                shapes=[shape],
            ),
            *lines(f"MaxPool{nd}d", f"AvgPool{nd}d", args=(2,), shapes=[shape]),
            *lines(f"LPPool{nd}d", args=(2, 2), shapes=[shape]),
            *[
                line
                for line in lines(f"FractionalMaxPool{nd}d", args=(2, 2), shapes=[shape])
                if nd > 1
            ],
            *lines(f"AdaptiveMaxPool{nd}d", f"AdaptiveAvgPool{nd}d", args=(2,), shapes=[shape]),
            *lines(f"MaxUnpool{nd}d", args=(2, 3), shapes=[pooled(nd, 0), pooled(nd, 1)]),
            *lines(
                f"MaxUnpool{nd}d",
                args=(2, 3),
                shapes=[pooled(nd, 0), pooled(nd, 1)],
                call=lambda lib, n=nd: {"output_size": (6,) * n},
            ),
            *lines(f"ConstantPad{nd}d", args=(1, 0.5), shapes=[shape]),
            *lines(
                f"ZeroPad{nd}d",
                f"ReflectionPad{nd}d",
                f"ReplicationPad{nd}d",
                f"CircularPad{nd}d",
                args=(1,),
                shapes=[shape],
            ),
        ]
    ],
    *lines("LazyLinear", args=(3,)),
    # recurrent modules and transformers
    *lines("RNN", "GRU", "LSTM", args=(3, 4, 2), shapes=[(5, 2, 3)]),
    *lines("RNNCell", "GRUCell", args=(3, 4), shapes=[(2, 3), states((2, 4))]),
    *lines("LSTMCell", args=(3, 4), shapes=[(2, 3), states((2, 4), (2, 4))]),
    *lines("MultiheadAttention", args=(4, 2), dropout=0.3, shapes=[(3, 2, 4)] * 3),
    *lines("TransformerEncoderLayer", args=(4, 2, 6), shapes=[(3, 2, 4)]),
    *lines("TransformerDecoderLayer", args=(4, 2, 6), shapes=[(3, 2, 4)] * 2),
    *lines("Transformer", args=(4, 2, 1, 1, 6), shapes=[(3, 2, 4)] * 2),
    # losses
    *lines("MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss", "KLDivLoss", shapes=[(3, 4)] * 2),
    *lines("SoftMarginLoss", "HingeEmbeddingLoss", shapes=[(2, 3), signs]),
    *lines("MultiLabelSoftMarginLoss", "BCEWithLogitsLoss", shapes=[(3, 4), chances(3, 4)]),
    *lines("BCELoss", shapes=[chances(3, 4), chances(3, 4)]),
    *lines("CrossEntropyLoss", "NLLLoss", "MultiMarginLoss", shapes=[(3, 4), whole(3, 0, 2)]),
    *lines("LinearCrossEntropyLoss", args=(4, 3), bias=True, shapes=[(3, 4), whole(2, 0, 1)]),
    *lines(
        "AdaptiveLogSoftmaxWithLoss",
        args=(4, 9, [2, 5]),
        div_value=2.0,
        shapes=[(3, 4), whole(0, 7, 4)],
    ),
    *lines("MultiLabelMarginLoss", shapes=[(2, 4), whole([3, 0, -1, 1], [-1, 2, 1, 0])]),
    *lines("MarginRankingLoss", shapes=[(3,), (3,), signs]),
    *lines("CosineEmbeddingLoss", shapes=[(3, 4), (3, 4), signs]),
    *lines("TripletMarginLoss", "TripletMarginWithDistanceLoss", shapes=[(3, 4)] * 3),
    *lines("PoissonNLLLoss", shapes=[(3, 4), chances(3, 4)]),
    *lines("GaussianNLLLoss", shapes=[(3, 4), (3, 4), chances(3, 4)]),
    *lines(
        "CTCLoss",
        shapes=[logs, whole([1, 2, 2], [1, 1, 0])],
        call=lambda lib: {"input_lengths": (6, 5), "target_lengths": (3, 2)},
    ),
    *lines("CosineSimilarity", "PairwiseDistance", shapes=[(3, 4)] * 2),
]
EVERY: dict[str, Case] = {}
for _name, _args, _options, _shapes in LINES:
    _label, _case = layer(_name, *_args, shapes=_shapes, **_options)
    EVERY[f"{_label} {sum(k.startswith(_label) for k in EVERY)}"] = _case


def normed(name: str, make: Case, shape: tuple[int, ...], **options: Any) -> Case:
    """A module whose weight a hook computes: before and after that is taken off again."""

    def run(lib: Any) -> Any:
        lib.manual_seed(9)
        module = make(lib).to(lib.float64)
        assert getattr(lib.nn.utils, name)(module, **options) is module
        results = [passes(lib, module, tensors(lib, [shape], lib.float64)) for _ in range(2)]
        state = [[k, digest(lib, v)] for k, v in module.state_dict().items()]
        module.eval()
        results.append(passes(lib, module, tensors(lib, [shape], lib.float64)))
        learned = [n for n, _ in module.named_parameters()]
        getattr(lib.nn.utils, f"remove_{name}")(module)
        results.append(passes(lib, module, tensors(lib, [shape], lib.float64)))
        value = digest(lib, module.weight)
        return [repr(module), learned, results, state, list(module.state_dict()), value]

    return run


def linear(lib: Any) -> Any:
    """A linear map."""
    return lib.nn.Linear(3, 4)


def turned(lib: Any) -> Any:
    """A transposed convolution, whose rows are along another dimension."""
    return lib.nn.ConvTranspose1d(3, 2, 3)


def resized(mode: str, dtype: str = "float64", **options: Any) -> Case:
    """An image at another size, all that a pixel covers being counted."""

    def run(lib: Any) -> Any:
        lib.manual_seed(4)
        image = tensors(lib, [(1, 2, 7, 9)], getattr(lib, dtype))
        resize = Called(lib.nn.functional.interpolate)
        return passes(lib, resize, image, {"mode": mode, "antialias": True, **options})

    return run


def sampled(**options: Any) -> Case:
    """Classes drawn, nearly or fully."""

    def run(lib: Any) -> Any:
        lib.manual_seed(6)
        logits = tensors(lib, [(3, 4)], lib.float64)
        return passes(lib, Called(lib.nn.functional.gumbel_softmax), logits, options)

    return run


def read(nd: int, mode: str, outside: str, corners: bool) -> Case:
    """Images read where maps say, and beyond their borders."""

    def run(lib: Any) -> Any:
        lib.manual_seed(8)
        functional = lib.nn.functional
        size = (2, 2, 3, 4, 2)[: nd + 2]
        x, theta = tensors(lib, [(2, 2, 4, 3, 5)[: nd + 2], (2, nd, nd + 1)], lib.float64)

        def call(x: Any, theta: Any) -> Any:
            grid = functional.affine_grid(theta, size, corners)
            return functional.grid_sample(x, grid, mode, outside, corners)

        return passes(lib, Called(call), [x, theta])

    return run


def fused(lib: Any) -> Any:
    """Layers joined with the batch norms after them."""
    lib.manual_seed(8)
    nn, found = lib.nn, []
    for make, turned in (
        (lambda: nn.Conv2d(4, 4, 2, groups=2), [False]),
        (lambda: nn.ConvTranspose1d(3, 4, 2, bias=False), [True]),
        (lambda: nn.Linear(3, 4), []),
    ):
        layer, bn = make().double(), nn.BatchNorm1d(4).double()
        for x in (*bn.parameters(), bn.running_mean, bn.running_var):
            x.data.uniform_(0.5, 2.0)
        kind = "conv" if turned else "linear"
        made = getattr(nn.utils, f"fuse_{kind}_bn_eval")(layer.eval(), bn.eval(), *turned)
        found.append([repr(made), [[p.requires_grad, digest(lib, p)] for p in made.parameters()]])
    return found


def pretrained(lib: Any) -> Any:
    """Bags of given rows."""
    rows = lib.arange(6.0).reshape(3, 2)
    module = lib.nn.EmbeddingBag.from_pretrained(rows, mode="sum", padding_idx=0)
    free = lib.nn.EmbeddingBag.from_pretrained(rows, freeze=False)
    wanted = [m.weight.requires_grad for m in (module, free)]
    return [repr(module), wanted, digest(lib, module(lib.tensor([[2, 0]])))]


def lazily(lib: Any) -> Any:
    """What lazy convolutions are before and after a call, and a state taken before one."""
    lib.manual_seed(4)
    nn = lib.nn
    module = nn.Sequential(nn.LazyConv2d(4, 2), nn.ReLU(), nn.LazyConvTranspose2d(2, 2, groups=2))
    before = [repr(module), list(module.state_dict())]
    y = module(lib.ones(1, 3, 4, 4))
    other = nn.LazyConv2d(4, 2)
    other.load_state_dict(module[0].state_dict())
    kinds = [type(m).__name__ for m in module]
    return [before, digest(lib, y), repr(module), kinds, digest(lib, other(lib.ones(3, 4, 4)))]


MORE: dict[str, Case] = {
    "weight_norm": normed("weight_norm", linear, (2, 3)),
    "weight_norm dim": normed("weight_norm", linear, (2, 3), dim=1),
    "weight_norm whole": normed("weight_norm", linear, (2, 3), dim=None),
    "weight_norm turned": normed("weight_norm", turned, (2, 3, 4)),
    "spectral_norm": normed("spectral_norm", linear, (2, 3)),
    "spectral_norm many": normed("spectral_norm", linear, (2, 3), n_power_iterations=3, dim=1),
    "spectral_norm turned": normed("spectral_norm", turned, (2, 3, 4)),
    "antialias": resized("bilinear", size=(3, 4)),
    "antialias float32": resized("bilinear", "float32", size=(3, 4)),
    "antialias corners": resized("bilinear", size=(3, 12), align_corners=True),
    "antialias factor": resized("bilinear", scale_factor=(0.3, 0.7)),
    "antialias cubic": resized("bicubic", size=(2, 4)),
    "antialias cubic corners": resized("bicubic", size=(1, 12), align_corners=True),
    "antialias cubic factor": resized("bicubic", scale_factor=0.4),
    "gumbel_softmax": sampled(),
    "gumbel_softmax hard": sampled(tau=0.5, hard=True, dim=0),
    **{
        f"grid_sample {' '.join(map(str, given))}": read(*given)
        for given in [
            *product((2,), ("bilinear", "nearest", "bicubic"), ("zeros", "reflection"), (True,)),
            *product((2, 3), ("bilinear",), ("zeros", "border", "reflection"), (False,)),
        ]
    },
    "fused": fused,
    "EmbeddingBag from_pretrained": pretrained,
    "lazy convolutions float32": lazily,
    "FractionalMaxPool3d of more samples float32": lambda lib: digest(
        lib,
        lib.nn.FractionalMaxPool3d(
            2, output_size=3, _random_samples=lib.linspace(0, 0.9, 24).reshape(2, 4, 3)
        )(lib.arange(500.0).sin().reshape(4, 5, 5, 5)),
    ),
    "GaussianNLL of a row of variances": lambda lib: digest(
        lib, lib.nn.GaussianNLLLoss()(lib.ones(3, 2), lib.zeros(3, 2), lib.tensor([[1.0, 2.0]]))
    ),
}


def unpooled(shape: tuple[int, ...], indices: Any, *args: Any, **options: Any) -> Case:
    """max_unpool of ones, at given places."""
    nd = max(len(shape) - 2, 1)
    return lambda lib: getattr(lib.nn.functional, f"max_unpool{nd}d")(
        lib.ones(shape), lib.tensor(indices).reshape(shape), *args, **options
    )


def twice(name: str) -> Case:
    """A weight normed two times."""
    return lambda lib: [getattr(lib.nn.utils, name)(m) for m in [lib.nn.Linear(2, 3)] * 2]


ERRORS: dict[str, Case] = {
    "place": unpooled((1, 1, 2), [0, 9], 2),
    "place 2d": unpooled((1, 1, 1, 2), [0, 99], 2),
    "place 3d": unpooled((1, 1, 1, 1, 2), [77, 0], 2),
    "places": unpooled((1, 1, 2), [0.0, 1.0], 2),
    "size": unpooled((1, 1, 2), [0, 1], 2, output_size=(9,)),
    "sizes": unpooled((1, 1, 2, 2), [0] * 4, 2, output_size=(9,)),
    "shapes": lambda lib: lib.nn.functional.max_unpool2d(
        lib.ones(1, 1, 2, 2), lib.zeros(1, 1, 1, 2).long(), 2
    ),
    "weight_norm twice": twice("weight_norm"),
    "spectral_norm twice": twice("spectral_norm"),
    "spectral_norm steps": lambda lib: lib.nn.utils.spectral_norm(linear(lib), "weight", 0),
    "weight_norm name": lambda lib: lib.nn.utils.weight_norm(linear(lib), "x"),
    "spectral_norm name": lambda lib: lib.nn.utils.spectral_norm(linear(lib), "x"),
    "no weight_norm": lambda lib: lib.nn.utils.remove_weight_norm(linear(lib)),
    "no spectral_norm": lambda lib: lib.nn.utils.remove_spectral_norm(linear(lib)),
    "lazy groups": lambda lib: lib.nn.LazyConv1d(4, 2, groups=4)(lib.ones(6, 4)),
    "fuse training": lambda lib: lib.nn.utils.fuse_conv_bn_eval(linear(lib), linear(lib)),
    "fuse sizes": lambda lib: lib.nn.utils.fuse_linear_bn_eval(
        linear(lib).eval(), lib.nn.BatchNorm1d(3).eval()
    ),
    "grid mode": lambda lib: lib.nn.functional.grid_sample(
        lib.ones(1, 1, 2, 2), lib.ones(1, 2, 2, 2), "x", align_corners=False
    ),
    "grid sizes": lambda lib: lib.nn.functional.grid_sample(
        lib.ones(1, 1, 2, 2), lib.ones(1, 2, 2, 3), align_corners=False
    ),
    "RNN bias": lambda lib: lib.nn.RNN(2, 3, bias=1),
    "GRU batch_first": lambda lib: lib.nn.GRU(2, 3, batch_first=None),
    "LSTM input_size": lambda lib: lib.nn.LSTM(2.0, 3),
    "RNNCell state": lambda lib: lib.nn.RNNCell(2, 3)(lib.ones(4, 2), lib.ones(1, 1, 4, 3)),
    "LSTMCell state": lambda lib: lib.nn.LSTMCell(2, 3)(
        lib.ones(4, 2), (lib.ones(4, 3), lib.ones(1, 4, 3))
    ),
    "BatchNorm eps": lambda lib: lib.nn.BatchNorm1d(3, eps=0.0)(lib.ones(4, 3)),
    "BatchNorm negative eps": lambda lib: lib.nn.BatchNorm2d(3, eps=-1.0).eval()(
        lib.ones(4, 3, 2, 2)
    ),
    "GaussianNLL var": lambda lib: lib.nn.GaussianNLLLoss()(
        lib.ones(3, 5), lib.ones(3, 5), lib.ones(1, 1)
    ),
    "FractionalMaxPool samples": lambda lib: lib.nn.FractionalMaxPool3d(
        2, output_size=3, _random_samples=lib.ones(1, 2, 3).double() * 0.5
    )(lib.ones(1, 2, 6, 6, 6)),
    "EmbeddingBag padding": lambda lib: lib.nn.EmbeddingBag(4, 3, padding_idx=7),
    "EmbeddingBag mode": lambda lib: lib.nn.EmbeddingBag(4, 3, mode="x")(lib.tensor([[1]])),
    "EmbeddingBag offsets": lambda lib: lib.nn.EmbeddingBag(4, 3)(
        lib.tensor([1, 2]), lib.tensor([0.0])
    ),
    "EmbeddingBag weights": lambda lib: lib.nn.functional.embedding_bag(
        lib.tensor([[1, 2]]),
        lib.ones(4, 3),
        mode="sum",
        per_sample_weights=lib.ones(1, 2, dtype=lib.float64),
    ),
    "EmbeddingBag frequency": lambda lib: lib.nn.functional.embedding_bag(
        lib.tensor([[1, 2]]), lib.ones(4, 3), mode="max", scale_grad_by_freq=True
    ),
    "EmbeddingBag numbers": lambda lib: lib.nn.EmbeddingBag(4, 3)(lib.ones(1, 2)),
    "EmbeddingBag weight": lambda lib: lib.nn.EmbeddingBag(4, 3, _weight=lib.ones(3, 4)),
}


def main() -> None:
    """Writes every_module.json."""
    import warnings

    import torch

    warnings.simplefilter("ignore")
    write(
        GOLDEN,
        every={name: case(torch) for name, case in EVERY.items()},
        more={name: case(torch) for name, case in MORE.items()},
        errors={name: failure(case, torch) for name, case in ERRORS.items()},
    )


if __name__ == "__main__":
    main()
