"""Optimiser updates alone: of many small parameters, and of a few large ones."""

from collections.abc import Callable, Sequence
from typing import Any

from contestants import US
from workload import Library, Make, Run, Workload, normal

Shapes = Sequence[tuple[int, ...]]

# 100 parameters of 32 elements to 4,096
SMALL: Shapes = [((32,), (64,), (8, 32), (32, 32), (64, 64))[i % 5] for i in range(100)]
LARGE: Shapes = [(1024, 1024)] * 4


def update(shapes: Shapes, make_optimizer: Callable[[Library, Any], Any]) -> Make:
    """Steps by gradients that stay."""

    def make(ad: Library) -> Run:
        parameters = []
        for i, shape in enumerate(shapes):
            x = ad.from_numpy(normal(*shape, seed=i)).clone().requires_grad_()
            x.grad = ad.from_numpy(normal(*shape, seed=i + 1000)).clone()
            parameters.append(x)
        optimizer = make_optimizer(ad, parameters)

        def run() -> Any:
            optimizer.step()
            return parameters[0]

        return run

    return make


OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "SGD with momentum": lambda ad, xs, **k: ad.optim.SGD(xs, lr=1e-5, momentum=0.9, **k),
    "AdamW": lambda ad, xs, **k: ad.optim.AdamW(xs, lr=1e-5, **k),
}


def _row(name: str, optimizer: Callable[..., Any], shapes: Shapes, target: float) -> list[Workload]:
    """Against PyTorch's own choice of implementation, and against its fused one."""
    ours = update(shapes, optimizer)
    fused = update(shapes, lambda ad, xs: optimizer(ad, xs, fused=True))
    return [
        Workload(
            f"{name}{suffix}",
            "optimiser updates",
            {US: ours, "torch": theirs},
            target,
            ("torch",),
            tolerance=1e-3,
        )
        for suffix, theirs in (("", ours), (", fused=True", fused))
    ]


WORKLOADS = [
    row
    for name, optimizer in OPTIMIZERS.items()
    for what, shapes, target in (("100 small", SMALL, 2.0), ("4 of 1024x1024", LARGE, 1.0))
    for row in _row(f"{name}, {what}", optimizer, shapes, target)
]
