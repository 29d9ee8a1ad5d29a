"""Sorting and the largest k, along rows and columns; forward and backward."""

from collections.abc import Iterator
from typing import Any

from workload import Library, Run, Text, Workload, array_of, calls, normal, same

SHAPES = ((64, 10), (512, 1000), (4096, 4096))
PEERS = ("torch",)
K = 5

# Of a library, an operand and a dimension: ours and PyTorch's text, and NumPy's.
TEXTS: dict[str, tuple[Any, Any]] = {
    "sort": (lambda lib, x, d: x.sort(d), lambda lib, x, d: lib.sort(x, axis=d)),
    "argsort": (
        lambda lib, x, d: x.argsort(dim=d, stable=True),
        lambda lib, x, d: lib.argsort(x, axis=d, stable=True),
    ),
    f"topk {K}": (lambda lib, x, d: x.topk(K, d), None),
    "topk tenth": (lambda lib, x, d: x.topk(x.shape[d] // 10, d), None),
}


def along(text: Any, dim: int) -> Text | None:
    return None if text is None else lambda lib, x: text(lib, x, dim)


def forward(kind: str, shape: tuple[int, int], dim: int) -> Workload:
    over = "rows" if dim else "columns"
    ours, numpys = (along(text, dim) for text in TEXTS[kind])
    return calls(
        f"{kind} {shape[0]}x{shape[1]} along {over}",
        "sorting",
        lambda: (normal(*shape),),
        torch=ours,
        numpy=numpys,
        against=PEERS,
        size=shape[0] * shape[1],
        line=f"{kind} along {over}",
        quick=kind == "sort" and shape == (512, 1000) and dim == 1,
    )


def gradient(kind: str, shape: tuple[int, int], dim: int) -> Workload:
    over = "rows" if dim else "columns"
    text = TEXTS[kind][0]

    def make(lib: Library) -> Run:
        x = array_of("", lib, normal(*shape)).requires_grad_()
        g = lib.ones_like(text(lib, x, dim)[0])

        def run() -> Any:
            x.grad = None
            text(lib, x, dim)[0].backward(g)
            return x.grad

        return run

    return Workload(
        f"{kind} {shape[0]}x{shape[1]} along {over}, with gradient",
        "sorting",
        same(make),
        against=PEERS,
        size=shape[0] * shape[1],
        line=f"{kind} along {over}, with gradient",
    )


def _all() -> Iterator[Workload]:
    for kind in TEXTS:
        for dim in (1, 0):
            yield from (forward(kind, shape, dim) for shape in SHAPES)
            if kind != "argsort":
                yield from (gradient(kind, shape, dim) for shape in SHAPES)


WORKLOADS: list[Workload] = list(_all())
