"""Convolutions: each map alone, pooling, and the networks they make."""

from collections.abc import Iterator
from typing import Any

from contestants import US, Library, array_of
from models import training
from workload import Make, Run, Workload, normal, same

from workloads.compiled import compiled
from workloads.steps import sgd

# Name: images (n, c, h, w), weights (m, c / groups, kh, kw), options.
LAYERS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, int]]] = {
    "5x5, 32x6x14x14 to 16": ((32, 6, 14, 14), (16, 6, 5, 5), {}),
    "3x3, 16x64x32x32 to 64": ((16, 64, 32, 32), (64, 64, 3, 3), {"padding": 1}),
    "3x3 stride 2, 16x64x32x32 to 128": (
        (16, 64, 32, 32),
        (128, 64, 3, 3),
        {"padding": 1, "stride": 2},
    ),
    "1x1, 16x64x32x32 to 64": ((16, 64, 32, 32), (64, 64, 1, 1), {}),
    "depthwise 3x3, 16x64x32x32": (
        (16, 64, 32, 32),
        (64, 1, 3, 3),
        {"padding": 1, "groups": 64},
    ),
}


def _layer(name: str, key: str, part: str) -> Make:
    images, weights, options = LAYERS[key]

    def make(library: Library) -> Run:
        x = array_of(name, library, normal(*images))
        w = array_of(name, library, normal(*weights, seed=1) / 24)
        leaf = {"input": x, "weight": w}.get(part)
        if leaf is None:
            return lambda: library.nn.functional.conv2d(x, w, None, **options)
        leaf.requires_grad_()
        y = library.nn.functional.conv2d(x, w, None, **options)
        g = library.ones_like(y)
        return lambda: library.autograd.grad(y, leaf, g, retain_graph=True)[0]

    return make


def _layers() -> Iterator[Workload]:
    for key, (images, weights, options) in LAYERS.items():
        step = options.get("stride", 1)
        work = 2.0 * images[0] * images[2] * images[3] / step**2 * weights[0] * weights[1]
        for part in ("", "input", "weight"):
            yield Workload(
                f"conv {key}{', gradient of ' * bool(part)}{part}",
                "convolution",
                {name: _layer(name, key, part) for name in (US, "torch")},
                against=("torch",),
                work=work * weights[2] * weights[3],
                unit="flop float32",
                tolerance=1e-3,
                quick=key.startswith("1x1") and not part,
            )


def lenet(lib: Library) -> Any:
    """Two convolutions with pooling, three linear layers."""
    nn = lib.nn
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )


def _lenet(train: bool) -> Make:
    def make(lib: Library) -> Run:
        lib.manual_seed(17)
        model = lenet(lib)
        x, target = lib.randn(32, 1, 28, 28), lib.randint(0, 10, (32,))
        loss_of, optimizer = lib.nn.CrossEntropyLoss(), sgd(lib, model.parameters())

        def forward() -> Any:
            with lib.no_grad():
                return model(x)

        return training(lambda: loss_of(model(x), target), optimizer) if train else forward

    return make


def _block(train: bool) -> Make:
    """Two 3x3 convolutions and the way around them."""

    def make(lib: Library) -> Run:
        lib.manual_seed(17)
        first, second = (lib.nn.Conv2d(64, 64, 3, padding=1, bias=False) for _ in range(2))
        x = lib.randn(16, 64, 32, 32)

        def forward() -> Any:
            with lib.no_grad():
                return (second(first(x).relu()) + x).relu()

        def gradients() -> Any:
            y = (second(first(x).relu()) + x).relu()
            return lib.autograd.grad(y.sum(), (x, first.weight, second.weight))

        if train:
            x.requires_grad_()
        return gradients if train else forward

    return make


def _pool(kind: str, train: bool) -> Make:
    def make(lib: Library) -> Run:
        lib.manual_seed(17)
        x = lib.randn(32, 16, 28, 28)
        pool = getattr(lib.nn.functional, kind)
        if not train:
            return lambda: pool(x, 2)
        x.requires_grad_()
        return lambda: lib.autograd.grad(pool(x, 2).sum(), x)[0]

    return make


def _whole(name: str, make: Make, **rest: Any) -> Workload:
    rest = {"against": ("torch",), "tolerance": 1e-3, **rest}
    return Workload(name, "convolution", same(make), **rest)


WORKLOADS = [
    *_layers(),
    _whole("LeNet, 32x1x28x28, forward", _lenet(False)),
    _whole("LeNet, 32x1x28x28, training step", _lenet(True)),
    Workload(
        "compiled LeNet, 32x1x28x28, training step",
        "convolution",
        {US: compiled(_lenet(True)), "torch": _lenet(True)},
        target=1.3,
        against=("torch",),
        tolerance=1e-3,
        threads=(1,),
    ),
    _whole("ResNet block, 16x64x32x32, forward", _block(False)),
    _whole("ResNet block, 16x64x32x32, gradients", _block(True), tolerance=1e-2),
    *(
        _whole(f"{kind} 2x2, 32x16x28x28{', gradient' * train}", _pool(kind, train))
        for kind in ("max_pool2d", "avg_pool2d")
        for train in (False, True)
    ),
]
