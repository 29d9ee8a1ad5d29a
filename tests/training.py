"""A training run that meets every layer and loss of `nn`, for tests that hold its bits."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from large import numbers

import autodiff as ad
from autodiff import nn

Step = Callable[[], ad.Tensor]
WIDTH = 96
CONTAINERS = {
    *("Module", "Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict"),
    "RNNCellBase",
    *("DataParallel", "MLP", "Neuron"),  # made of others
}
# What takes more than one tensor, gives another width, or is a loss that has parameters.
SEVERAL = {
    *("Bilinear", "CosineSimilarity", "PairwiseDistance", "MultiheadAttention"),
    *("Embedding", "EmbeddingBag", "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d"),
    *("RNN", "LSTM", "GRU", "RNNBase", "RNNCell", "LSTMCell", "GRUCell", "CTCLoss"),
    "AdaptiveLogSoftmaxWithLoss",
    *("Transformer", "TransformerEncoder", "TransformerDecoder", "TransformerDecoderLayer"),
    "LinearCrossEntropyLoss",
}
# What the constructors want that have no defaults, but for those that take the width.
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "Linear": (WIDTH, WIDTH),
    "Threshold": (0.1, 0.2),
    "Unflatten": (1, (8, WIDTH // 8)),
    "Softmax": (1,),
    "LogSoftmax": (1,),
    "Softmin": (1,),
    "GroupNorm": (8, WIDTH),
    "BatchNorm2d": (8,),
    "BatchNorm3d": (8,),
    "InstanceNorm1d": (8,),
    "InstanceNorm2d": (8,),
    "InstanceNorm3d": (8,),
    **dict.fromkeys(("LocalResponseNorm", "CrossMapLRN2d"), (2,)),
    "TransformerEncoderLayer": (WIDTH, 4, 32),
    "KLDivLoss": (None, None, "batchmean"),
    **{f"{kind}{n}d": (8, 8, 3, 1, 1) for kind in ("Conv", "ConvTranspose") for n in (1, 2, 3)},
    **{f"{kind}Pool{n}d": (3, 1, 1) for kind in ("Max", "Avg") for n in (1, 2, 3)},
    # half the elements
    **{f"LPPool{n}d": (2, (2, *(1,) * (n - 1))) for n in (1, 2, 3)},
    **{
        f"Adaptive{kind}Pool{n}d": ((WIDTH // 16, (2, WIDTH // 32), (1, 2, WIDTH // 32))[n - 1],)
        for kind in ("Avg", "Max")
        for n in (1, 2, 3)
    },
    "FractionalMaxPool2d": (1, (4, WIDTH // 32)),
    "FractionalMaxPool3d": (1, (2, 2, WIDTH // 32)),
    "Upsample": (WIDTH // 8,),
    "UpsamplingNearest2d": ((4, WIDTH // 32),),
    "UpsamplingBilinear2d": ((4, WIDTH // 32),),
    "Unfold": (1,),
    "Fold": ((4, WIDTH // 32), 1),
    **dict.fromkeys(("PixelShuffle", "PixelUnshuffle", "ChannelShuffle"), (2,)),
}
# Images of one to three dimensions.
SPACES = ((-1, 8, WIDTH // 8), (-1, 8, 4, WIDTH // 32), (-1, 8, 2, 2, WIDTH // 32))
# Layers that want no matrix.
SHAPES: dict[str, tuple[int, ...]] = {
    "Softmax2d": SPACES[1],
    **{f"Dropout{n}d": SPACES[n - 1] for n in (1, 2, 3)},
    "FeatureAlphaDropout": SPACES[0],
    "TransformerEncoderLayer": (16, -1, WIDTH),
    **dict.fromkeys(("BatchNorm2d", "InstanceNorm2d", "CrossMapLRN2d"), SPACES[1]),
    **dict.fromkeys(("BatchNorm3d", "InstanceNorm3d"), SPACES[2]),
    **dict.fromkeys(("InstanceNorm1d", "LocalResponseNorm"), SPACES[0]),
    **{
        f"{kind}{n}d": SPACES[n - 1]
        for kind in (
            *("Conv", "ConvTranspose", "MaxPool", "AvgPool", "LPPool"),
            *("AdaptiveAvgPool", "AdaptiveMaxPool"),
        )
        for n in (1, 2, 3)
    },
    "FractionalMaxPool2d": SPACES[1],
    "FractionalMaxPool3d": SPACES[2],
    "Upsample": SPACES[0],
    "Fold": (-1, 8, WIDTH // 8),
    **dict.fromkeys(
        (
            *("UpsamplingNearest2d", "UpsamplingBilinear2d", "Unfold"),
            *("PixelShuffle", "ChannelShuffle"),
        ),
        SPACES[1],
    ),
    "PixelUnshuffle": (-1, 1, 8, WIDTH // 8),
}


def classes(losses: bool) -> list[type[nn.Module]]:
    """The public layers, or the public losses."""
    apart = CONTAINERS | SEVERAL
    found = [getattr(nn, name) for name in sorted(nn.__all__) if name not in apart]
    found = [c for c in found if "Pad" not in c.__name__ and "Lazy" not in c.__name__]
    return [
        c
        for c in found
        if inspect.isclass(c) and issubclass(c, nn.Module) and c.__name__.endswith("Loss") == losses
    ]


def make(layer: type[nn.Module]) -> nn.Module:
    """A layer with its defaults, or for a width of WIDTH."""
    needed = [
        p
        for p in inspect.signature(layer.__init__).parameters.values()
        if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "self"
    ]
    return layer(*ARGUMENTS.get(layer.__name__, (WIDTH,) * len(needed)))


class Everything(nn.Module):
    """Between two linear layers the sum of what every layer makes of the same activations."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(WIDTH, WIDTH)
        self.layers = nn.ModuleList([make(layer) for layer in classes(False)])
        self.last = nn.MLP([WIDTH, 64, 8])

    def forward(self, x: ad.Tensor) -> ad.Tensor:
        h = self.first(x)
        total = h
        for i, layer in enumerate(self.layers):
            given = (h * (1 + i / 64)).reshape(SHAPES.get(type(layer).__name__, (-1, WIDTH)))
            y = layer(given).reshape(len(x), -1)
            total = total + (y if y.shape[1] == WIDTH else ad.cat([y, y], 1))  # glu's are half
        return self.last(total / len(self.layers))


def loss(y: ad.Tensor, truth: ad.Tensor) -> ad.Tensor:
    """The sum of every loss there is, of predictions (rows, 8) and values in (0, 1)."""
    chance, logs = ad.sigmoid(y), nn.functional.log_softmax(y, 1)
    sign = (truth > 0.5) * 2 - 1.0
    index = (truth[:, 0] * 8).to(ad.int64)
    given: dict[str, tuple[ad.Tensor, ...]] = {
        "BCELoss": (chance, truth),
        "BCEWithLogitsLoss": (y, truth),
        "CrossEntropyLoss": (y, index),
        "HingeEmbeddingLoss": (y, sign),
        "KLDivLoss": (logs, truth / 8),
        "MarginRankingLoss": (y, chance, sign),
        "NLLLoss": (logs, index),
        "SoftMarginLoss": (y, sign),
        "CosineEmbeddingLoss": (y, chance, sign[:, 0]),
        "GaussianNLLLoss": (y, truth, chance),
        "MultiLabelMarginLoss": (y, (truth * 8).to(ad.int64)),
        "MultiMarginLoss": (y, index),
        "TripletMarginLoss": (y, chance, logs),
        "TripletMarginWithDistanceLoss": (y, chance, logs),
    }
    kinds = classes(True)
    terms = [make(kind)(*given.get(kind.__name__, (y, truth))) for kind in kinds]
    total: ad.Tensor = sum(terms[1:], terms[0])
    return total


def regression(net: nn.Module, optimizer: Any) -> Callable[[ad.Tensor, ad.Tensor], ad.Tensor]:
    """A step towards the truth y of x: the mean squared error before it."""

    def step(x: ad.Tensor, y: ad.Tensor) -> ad.Tensor:
        optimizer.zero_grad()
        error = (net(x) - y).square().mean()
        error.backward()
        optimizer.step()
        return error

    return step


def train(
    d: ad.dtype,
    rows: int = 512,
    steps: int = 4,
    wrap: Callable[[Step], Step] = lambda step: step,
) -> Iterator[ad.Tensor]:
    """Each step's loss and the last one's gradients, then all parameters; `wrap` may compile."""
    ad.manual_seed(3)
    net = Everything().to(d)
    x = numbers((rows, WIDTH), 3, d)
    truth = numbers((rows, 8), 4, d, ((0.05, 0.95),))
    optimizer = ad.optim.Adam(net.parameters(), lr=0.01)

    def step() -> ad.Tensor:
        optimizer.zero_grad()
        value = loss(net(x), truth)
        value.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        return value.detach()

    run = wrap(step)
    yield from (run() for _ in range(steps))
    yield from (p.grad for p in net.parameters() if p.grad is not None)
    yield from (p.detach() for p in net.parameters())


RUNS: dict[str, Callable[[], Iterator[ad.Tensor]]] = {
    "training float32": lambda: train(ad.float32),
    "training float64": lambda: train(ad.float64),
}
