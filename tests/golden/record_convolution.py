"""Records what PyTorch's convolutions, pools and resamplings give, as convolution.json (see
recording.py).

Each case is a function of the library, torch or autodiff: the test runs the same text on both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from golden.recording import failure, plain, write

GOLDEN = Path(__file__).with_name("convolution.json")
Shapes = Sequence[tuple[int, ...]]


def numbers(lib: Any, shape: Sequence[int], turn: int) -> Any:
    """A tensor of numbers in -1.25 to 1.25, the same for every library."""
    values = [(k * (37 + 2 * turn) % 101 - 50) / 40 for k in range(math.prod(shape))]
    return lib.tensor(values, dtype=lib.float64).reshape(shape)


def results(lib: Any, call: Callable[..., Any], shapes: Shapes) -> Any:
    """The outputs, and the first and second gradients of a function of the first of them."""
    xs = [numbers(lib, shape, turn).requires_grad_() for turn, shape in enumerate(shapes)]
    ys = call(*xs)
    outputs = list(ys) if isinstance(ys, tuple) else [ys]
    y = outputs[0]
    first = lib.autograd.grad((y * y).sum() / 2, xs, create_graph=True)
    square = sum((g * g).sum() for g in first)
    second = lib.autograd.grad(square, xs)
    return rounded(plain([[t.detach() for t in group] for group in (outputs, first, second)]))


def rounded(value: Any) -> Any:
    """Nested numbers to as many digits as are compared."""
    return list(map(rounded, value)) if isinstance(value, list) else float(f"{value:.12g}")


def _call(name: str, *args: Any, **kwargs: Any) -> Callable[[Any], Callable[..., Any]]:
    """The functional of a name, tensors first."""
    return lambda lib: lambda *xs: getattr(lib.nn.functional, name)(*xs, *args, **kwargs)


CALLS: dict[str, tuple[Callable[[Any], Callable[..., Any]], Shapes]] = {
    "conv1d": (_call("conv1d", 2, 1), [(2, 3, 7), (2, 3, 3), (2,)]),
    "conv1d unbatched": (_call("conv1d"), [(3, 7), (2, 3, 3)]),
    "conv1d same": (_call("conv1d", padding="same", dilation=2), [(1, 2, 7), (2, 2, 4), (2,)]),
    "conv2d": (_call("conv2d", (2, 1), (1, 2)), [(2, 2, 5, 4), (3, 2, 3, 2), (3,)]),
    "conv2d groups": (_call("conv2d", None, 1, 1, (1, 2), 2), [(1, 4, 4, 4), (6, 2, 2, 2)]),
    "conv2d many": (_call("conv2d", padding=1), [(1, 2, 3, 3), (17, 2, 3, 3), (17,)]),
    "conv2d many strided": (_call("conv2d", None, 2), [(2, 9, 5, 4), (9, 9, 3, 2)]),
    "conv2d 1x1": (_call("conv2d"), [(2, 3, 4, 4), (8, 3, 1, 1), (8,)]),
    "conv2d depthwise": (_call("conv2d", None, 1, 1, 1, 3), [(2, 3, 5, 5), (6, 1, 3, 3)]),
    "conv2d same": (_call("conv2d", padding="same"), [(1, 1, 4, 5), (1, 1, 2, 4)]),
    "conv3d": (_call("conv3d", 1, (1, 0, 1)), [(1, 2, 3, 3, 3), (2, 2, 2, 2, 3), (2,)]),
    "conv_transpose1d": (
        _call("conv_transpose1d", 3, 1, 2, dilation=2),
        [(1, 2, 4), (2, 3, 3), (3,)],
    ),
    "conv_transpose2d": (
        _call("conv_transpose2d", None, (2, 3), 1, (1, 0), 2),
        [(1, 4, 3, 3), (4, 2, 3, 2)],
    ),
    "conv_transpose2d many": (_call("conv_transpose2d", None, 2), [(1, 2, 3, 3), (2, 9, 3, 1)]),
    "conv_transpose3d": (_call("conv_transpose3d", stride=2), [(1, 2, 2, 2, 2), (2, 1, 2, 1, 3)]),
    "max_pool1d": (_call("max_pool1d", 3, 2, 1, 1, True, True), [(2, 2, 6)]),
    "max_pool2d": (_call("max_pool2d", (3, 2), 2, 1, (1, 2), True, True), [(2, 5, 6)]),
    "max_pool3d": (_call("max_pool3d", 2), [(1, 1, 4, 2, 5)]),
    "avg_pool1d": (_call("avg_pool1d", 3, 2, 1, True, False), [(2, 2, 6)]),
    "avg_pool2d": (_call("avg_pool2d", (3, 2), 2, 1, True), [(1, 2, 5, 6)]),
    "avg_pool2d divisor": (_call("avg_pool2d", 2, divisor_override=3), [(1, 4, 4)]),
    "avg_pool3d": (_call("avg_pool3d", 2, 1), [(1, 1, 3, 2, 4)]),
    "lp_pool1d": (_call("lp_pool1d", 2, 3, 2, True), [(1, 2, 6)]),
    "lp_pool2d": (_call("lp_pool2d", 2, (2, 3)), [(1, 2, 5, 6)]),
    "adaptive_avg_pool1d": (_call("adaptive_avg_pool1d", 3), [(1, 2, 7)]),
    "adaptive_avg_pool2d": (_call("adaptive_avg_pool2d", (None, 2)), [(2, 5, 4)]),
    "adaptive_avg_pool3d": (_call("adaptive_avg_pool3d", 2), [(1, 1, 4, 3, 5)]),
    "adaptive_max_pool1d": (_call("adaptive_max_pool1d", 3, True), [(1, 2, 7)]),
    "adaptive_max_pool2d": (_call("adaptive_max_pool2d", (2, 3), True), [(2, 5, 4)]),
    "unfold": (_call("unfold", (2, 3), 2, 1, (2, 1)), [(1, 2, 5, 6)]),
    "fold": (_call("fold", (5, 6), (2, 3), 2, 1, (2, 1)), [(1, 12, 12)]),
    "pixel_shuffle": (_call("pixel_shuffle", 2), [(1, 8, 2, 3)]),
    "pixel_unshuffle": (_call("pixel_unshuffle", 2), [(1, 2, 4, 6)]),
    "channel_shuffle": (_call("channel_shuffle", 2), [(1, 6, 2, 2)]),
    **{
        f"interpolate {mode} {' '.join(f'{k}={v}' for k, v in options.items())}": (
            _call("interpolate", mode=mode, **options),
            [(1, 2, 4, 5)[: len(shape) + 2]] if len(shape) < 3 else [(1, 1, 2, 3, 4)],
        )
        for mode, shape, options in [
            ("nearest", (0, 0), {"scale_factor": 1.7}),
            ("nearest", (0, 0), {"scale_factor": (2.2, 1.1)}),  # by sizes, twice and once
            ("nearest", (0,), {"size": 7}),
            ("nearest-exact", (0, 0), {"size": (3, 7)}),
            ("area", (0, 0), {"size": (3, 2)}),
            ("linear", (0,), {"scale_factor": 1.6, "recompute_scale_factor": True}),
            ("bilinear", (0, 0), {"scale_factor": (1.6, 0.7)}),
            ("bilinear", (0, 0), {"size": (7, 3), "align_corners": True}),
            ("bicubic", (0, 0), {"size": (7, 3)}),
            ("bicubic", (0, 0), {"scale_factor": 2, "align_corners": True}),
            ("trilinear", (0, 0, 0), {"size": (3, 2, 5)}),
        ]
    },
}

# Modules: their arguments and the shape of an input.
MODULES: dict[str, tuple[str, tuple[Any, ...], dict[str, Any], tuple[int, ...]]] = {
    f"{name}{(*args, *(f'{k}={v}' for k, v in options.items()))}": (name, args, options, shape)
    for name, args, options, shape in [
        ("Conv1d", (2, 4, 3), {"padding": "same", "dilation": 2}, (1, 2, 5)),
        ("Conv2d", (4, 2, 3), {"stride": 2, "padding": 1, "groups": 2}, (1, 4, 5, 4)),
        ("Conv2d", (1, 2, (3, 2)), {"padding": (1, 2), "bias": False}, (1, 5, 4)),
        ("Conv2d", (2, 2, 3), {"padding": (1, 2), "padding_mode": "reflect"}, (1, 2, 3, 4)),
        ("Conv2d", (2, 2, 3), {"padding": "same", "padding_mode": "replicate"}, (1, 2, 3, 4)),
        ("Conv1d", (2, 2, 3), {"padding": 2, "padding_mode": "circular"}, (1, 2, 5)),
        ("Conv3d", (1, 2, 2), {}, (1, 1, 2, 3, 3)),
        ("ConvTranspose1d", (2, 4, 3), {"stride": 2}, (1, 2, 3)),
        ("ConvTranspose2d", (2, 4, 3, 2, 1), {"output_padding": 1, "groups": 2}, (1, 2, 2, 3)),
        ("ConvTranspose3d", (1, 2, 2), {"dilation": 2, "bias": False}, (1, 1, 2, 2, 2)),
        ("MaxPool1d", (3, 2, 1), {"return_indices": True}, (1, 2, 5)),
        ("MaxPool2d", (2,), {"ceil_mode": True}, (1, 2, 5, 5)),
        ("MaxPool3d", (2, 1), {}, (1, 1, 3, 2, 2)),
        ("AvgPool1d", (2,), {}, (1, 2, 5)),
        ("AvgPool2d", (3, 2, 1), {"count_include_pad": False}, (1, 2, 5, 5)),
        ("AvgPool3d", (2,), {"divisor_override": 5}, (1, 1, 3, 2, 2)),
        ("LPPool1d", (2, 3), {"stride": 2}, (1, 2, 5)),
        ("LPPool2d", (2, 3), {}, (1, 2, 5, 5)),
        ("LPPool3d", (2, 2), {"ceil_mode": True}, (1, 1, 3, 2, 2)),
        ("AdaptiveAvgPool1d", (3,), {}, (1, 2, 5)),
        ("AdaptiveAvgPool2d", ((3, None),), {}, (1, 2, 5, 5)),
        ("AdaptiveAvgPool3d", (2,), {}, (1, 1, 3, 2, 2)),
        ("AdaptiveMaxPool1d", (3,), {"return_indices": True}, (1, 2, 5)),
        ("AdaptiveMaxPool2d", (2,), {}, (1, 2, 5, 5)),
        ("AdaptiveMaxPool3d", (2,), {}, (1, 1, 3, 2, 2)),
        ("Upsample", (), {"scale_factor": 2, "mode": "bilinear"}, (1, 2, 3, 2)),
        ("Upsample", ((3, 4),), {}, (1, 2, 3, 2)),
        ("UpsamplingNearest2d", (), {"scale_factor": 2}, (1, 2, 3, 2)),
        ("UpsamplingBilinear2d", (4,), {}, (1, 2, 3, 2)),
        ("Unfold", (2,), {"padding": 1}, (1, 2, 3, 2)),
        ("Fold", ((3, 4), 2), {}, (1, 4, 6)),
        ("PixelShuffle", (2,), {}, (1, 4, 2, 2)),
        ("PixelUnshuffle", (2,), {}, (1, 1, 4, 2)),
        ("ChannelShuffle", (2,), {}, (1, 4, 2, 2)),
    ]
}


def module(lib: Any, name: str) -> Any:
    """What a module says of itself, starts with, and gives."""
    kind, args, options, shape = MODULES[name]
    lib.manual_seed(len(name))
    made = getattr(lib.nn, kind)(*args, **options)
    state = {key: plain(value) for key, value in made.state_dict().items()}
    doubled = made.double()
    x = numbers(lib, shape, 0).requires_grad_()
    ys = doubled(x)
    outputs = list(ys) if isinstance(ys, tuple) else [ys]
    (outputs[0] * outputs[0]).sum().backward()
    grads = [x.grad, *(p.grad for p in doubled.parameters())]
    return [repr(made), state, rounded(plain([[t.detach() for t in outputs], grads]))]


ERRORS = [
    "F.conv2d(z(3), z(2, 3, 1, 1))",
    "F.conv2d(z(1, 3, 4, 4), z(2, 4, 1, 1))",
    "F.conv2d(z(1, 3, 4, 4), z(2, 3, 1, 1), groups=2)",
    "F.conv2d(z(1, 4, 4, 4), z(3, 2, 1, 1), groups=2)",
    "F.conv2d(z(1, 4, 4, 4), z(3, 2, 1, 1), groups=0)",
    "F.conv2d(z(1, 3, 4, 4), z(2, 3, 1, 1), z(3))",
    "F.conv2d(z(1, 3, 4, 4), z(2, 3, 5, 1))",
    "F.conv2d(z(1, 3, 4, 4), z(2, 3, 1, 1), stride=0)",
    "F.conv2d(z(1, 3, 4, 4), z(2, 3, 1, 1), stride=(1, 1, 1))",
    "F.conv2d(z(1, 3, 4, 4), z(2, 3, 1, 1), padding=-1)",
    "F.conv2d(z(1, 3, 4, 4), z(2, 3, 1, 1), dilation=0)",
    "F.conv2d(z(1, 3, 4, 4), z(2, 3, 1, 1), padding='same', stride=2)",
    "F.conv2d(z(1, 3, 4, 4), z(2, 3, 1, 1), padding='foo')",
    "F.conv2d(z(1, 3, 0, 4), z(2, 3, 1, 1))",
    "F.conv2d(z(1, 3, 4, 4), z(0, 3, 1, 1))",
    "F.conv2d(z(1, 3, 4, 4), z(2, 3, 1, 1), z(2).double())",
    "F.conv_transpose2d(z(1, 3, 4, 4), z(2, 4, 1, 1))",
    "F.conv_transpose2d(z(1, 3, 4, 4), z(3, 4, 1, 1), groups=2)",
    "F.conv_transpose2d(z(1, 3, 4, 4), z(3, 4, 1, 1), z(3))",
    "F.conv_transpose2d(z(1, 3, 1, 1), z(3, 4, 1, 1), padding=2)",
    "F.max_pool2d(z(1, 3, 4, 4), 5)",
    "F.max_pool2d(z(1, 3, 4, 4), 2, padding=2)",
    "F.avg_pool2d(z(1, 3, 4, 4), 5)",
    "F.avg_pool2d(z(1, 3, 4, 4), 2, padding=2)",
    "F.avg_pool2d(z(1, 3, 4, 4), 2, divisor_override=0)",
    "F.avg_pool2d(z(1, 3, 4, 4).int(), 2)",
    "F.adaptive_avg_pool2d(z(4), 2)",
    "F.adaptive_avg_pool2d(z(1, 2, 4, 4), (-1, 2))",
    "F.adaptive_avg_pool2d(z(1, 2, 4, 4), (1, 2, 3))",
    "F.adaptive_avg_pool2d(z(1, 2, 0, 4), (1, 2))",
    "F.unfold(z(1, 1, 4, 4), 5)",
    "F.fold(z(1, 5, 9), (4, 4), 2)",
    "F.fold(z(1, 4, 8), (4, 4), 2)",
    "F.interpolate(z(1, 1, 4, 4))",
    "F.interpolate(z(1, 1, 4, 4), size=2, scale_factor=2)",
    "F.interpolate(z(1, 1, 4, 4), size=2, mode='linear')",
    "F.interpolate(z(1, 1, 4, 4), size=2, align_corners=True)",
    "F.pixel_shuffle(z(1, 3, 4, 4), 2)",
    "F.pixel_shuffle(z(1, 4, 4, 4), 0)",
    "F.pixel_unshuffle(z(1, 3, 5, 4), 2)",
    "F.pixel_unshuffle(z(3, 3), 2)",
    "nn.Conv2d(3, 4, 2, groups=2)",
    "nn.Conv2d(4, 3, 2, groups=2)",
    "nn.Conv2d(4, 4, 2, groups=0)",
    "nn.Conv2d(4, 4, 2, padding='same', stride=2)",
    "nn.ConvTranspose2d(4, 4, 2, padding_mode='reflect')",
    "nn.ConvTranspose2d(4, 4, 2)(z(1, 4, 3, 3), output_size=(9, 9))",
]


def error(lib: Any, text: str) -> list[str]:
    """The exception that a call raises."""
    names = {"F": lib.nn.functional, "nn": lib.nn, "z": lib.zeros}
    return failure(lambda: eval(text, names))


def record() -> None:
    import torch

    write(
        GOLDEN,
        calls={name: results(torch, call(torch), shapes) for name, (call, shapes) in CALLS.items()},
        modules={name: module(torch, name) for name in MODULES},
        errors={text: error(torch, text) for text in ERRORS},
    )


if __name__ == "__main__":
    record()
