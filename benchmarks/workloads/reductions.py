"""Sums, means, extremes and running sums over rows, columns and all; forward and backward."""

from collections.abc import Iterator
from typing import Any

from contestants import Array, Library, array_of
from workload import Run, Text, Workload, calls, normal, same

SHAPES = ((64, 10), (512, 1000), (4096, 4096))
DIMS = {"rows": 1, "columns": 0, "all": None}
PEERS = ("torch",)  # what a reduction is held against
READ = {"sum", "mean", "amax", "argmax", "max"}  # one pass over the operand

# Of a library, an operand and a dimension: ours and PyTorch's text, and NumPy's.
TEXTS: dict[str, tuple[Any, Any]] = {
    "sum": (lambda lib, x, d: x.sum(d), lambda lib, x, d: x.sum(axis=d)),
    "mean": (lambda lib, x, d: x.mean(d), lambda lib, x, d: x.mean(axis=d)),
    "amax": (
        lambda lib, x, d: x.max() if d is None else x.amax(d),
        lambda lib, x, d: x.max(axis=d),
    ),
    "argmax": (lambda lib, x, d: x.argmax(d), lambda lib, x, d: x.argmax(axis=d)),
    "max": (lambda lib, x, d: x.max(d), None),
    "cumsum": (lambda lib, x, d: x.cumsum(d), lambda lib, x, d: x.cumsum(axis=d)),
}


def along(text: Any, dim: int | None) -> Text | None:
    return None if text is None else lambda lib, x: text(lib, x, dim)


def forward(kind: str, shape: tuple[int, int], over: str) -> Workload:
    ours, numpys = (along(text, DIMS[over]) for text in TEXTS[kind])
    nbytes = 4 * shape[0] * shape[1]
    return calls(
        f"{kind} {shape[0]}x{shape[1]} over {over}",
        "reductions",
        lambda: (normal(*shape),),
        torch=ours,
        numpy=numpys,
        against=PEERS,
        size=shape[0] * shape[1],
        line=f"{kind} over {over}",
        work=nbytes if kind in READ else 2 * nbytes,
        unit="byte",
        quick=shape == (512, 1000) and kind in ("sum", "argmax") and over == "rows",
    )


def gradient(kind: str, shape: tuple[int, int], over: str) -> Workload:
    """The value and the gradient of the operand."""
    dim = DIMS[over]

    def make(lib: Library) -> Run:
        values: Array = normal(*shape)
        x = array_of("", lib, values).requires_grad_()
        first = TEXTS[kind][0](lib, x, dim)
        g = lib.ones_like(first[0] if kind == "max" else first)

        def run() -> Any:
            y = TEXTS[kind][0](lib, x, dim)
            x.grad = None
            (y[0] if kind == "max" else y).backward(g)
            return x.grad

        return run

    return Workload(
        f"{kind} {shape[0]}x{shape[1]} over {over}, with gradient",
        "reductions",
        same(make),
        against=PEERS,
        size=shape[0] * shape[1],
        line=f"{kind} over {over}, with gradient",
    )


def _all() -> Iterator[Workload]:
    for kind in TEXTS:
        dims = [over for over in DIMS if over != "all" or kind not in ("max", "cumsum")]
        for over in dims:
            yield from (forward(kind, shape, over) for shape in SHAPES)
        if kind != "argmax":
            for over in dims:
                yield from (gradient(kind, shape, over) for shape in SHAPES)


WORKLOADS: list[Workload] = list(_all())
