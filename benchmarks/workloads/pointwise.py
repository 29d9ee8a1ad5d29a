"""Pointwise functions of one to ten million elements, casts, broadcasts and transposes."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module

from workload import Operands, Text, Workload, calls, normal, uniform

SIZES = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000)
LARGEST = SIZES[-1]


def of_jax(path: str) -> Text:
    """A function of jax, by its path: jitted like the rest."""
    module, _, name = path.rpartition(".")
    return lambda _, *xs: getattr(import_module(module), name)(*xs)


@dataclass(frozen=True)
class Function:
    """A function of arrays of one size. `torch` is our text too, `jax` is NumPy's if None."""

    name: str
    torch: Text
    numpy: Text | None
    jax: Text | None = None
    inputs: str = "n"  # a letter each: normal, positive, integers, bools, doubles
    nbytes: int = 8  # an element's, read and written
    transcendental: bool = False
    memory_bound: bool = False


def operands(kinds: str, n: int) -> Operands:
    def make(kind: str, seed: int) -> object:
        x = normal(n, seed=seed)
        if kind == "p":
            return uniform(n, low=0.1, high=4.0)
        return {"n": x, "i": (x * 100).astype("int64"), "b": x > 0, "d": x.astype("float64")}[kind]

    return lambda: [make(kind, seed) for seed, kind in enumerate(kinds)]


def everywhere(name: str, text: Text, **rest: object) -> Function:
    return Function(name, text, text, **rest)  # type: ignore[arg-type]


def transcendental(name: str, inputs: str = "n") -> Function:
    def text(lib: object, x: object) -> object:
        return getattr(lib, name)(x)

    return Function(name, text, text, inputs=inputs, transcendental=True)


FUNCTIONS = (
    everywhere("add", lambda lib, x, y: x + y, inputs="nn", nbytes=12, memory_bound=True),
    everywhere("mul", lambda lib, x, y: x * y, inputs="nn", nbytes=12, memory_bound=True),
    transcendental("exp"),
    transcendental("log", inputs="p"),
    transcendental("tanh"),
    transcendental("sin"),
    Function(
        "sigmoid",
        lambda lib, x: lib.sigmoid(x),
        lambda np, x: 1 / (1 + np.exp(-x)),
        of_jax("jax.nn.sigmoid"),
        transcendental=True,
    ),
    Function(
        "erf", lambda lib, x: lib.erf(x), None, of_jax("jax.scipy.special.erf"), transcendental=True
    ),
    everywhere("sqrt", lambda lib, x: lib.sqrt(x), inputs="p", memory_bound=True),
    Function(
        "relu",
        lambda lib, x: lib.relu(x),
        lambda np, x: np.maximum(x, 0),
        of_jax("jax.nn.relu"),
        memory_bound=True,
    ),
    Function(
        "gelu",
        lambda lib, x: lib.nn.functional.gelu(x),
        None,
        lambda np, x: import_module("jax").nn.gelu(x, approximate=False),
        transcendental=True,
    ),
    everywhere("pow", lambda lib, x, y: x**y, inputs="pn", nbytes=12, transcendental=True),
    everywhere("square by **", lambda lib, x: x**2, memory_bound=True),
    everywhere("where", lambda lib, c, x, y: lib.where(c, x, y), inputs="bnn", nbytes=13),
    everywhere("x < y", lambda lib, x, y: x < y, inputs="nn", nbytes=9),
    everywhere("x == y", lambda lib, x, y: x == y, inputs="nn", nbytes=9),
    everywhere("x > 0", lambda lib, x: x > 0, nbytes=5),
)

CASTS = (
    ("float32", "float64", "n", 12),
    ("float32", "int64", "n", 12),
    ("float32", "bool", "n", 5),
    ("int64", "float32", "i", 12),
    ("float64", "float32", "d", 12),
)


def casts() -> Iterator[Function]:
    for source, target, kind, nbytes in CASTS:
        yield Function(
            f"{source} to {target}",
            lambda lib, x, target=target: x.to(getattr(lib, target)),
            lambda np, x, target=target: x.astype(
                getattr(np, target if target != "bool" else "bool_")
            ),
            inputs=kind,
            nbytes=nbytes,
        )


def sized(f: Function, n: int) -> Workload:
    return calls(
        f"{f.name}, {n:,}",
        "pointwise",
        operands(f.inputs, n),
        torch=f.torch,
        numpy=f.numpy,
        jax=f.jax,
        targets={"torch": 4.0} if f.transcendental and 1_000 <= n <= 100_000 else {},
        size=n,
        line=f.name,
        work=f.nbytes * n,
        unit="byte",
        limit=0.9 if f.memory_bound and n == LARGEST else None,
        quick=f.name in ("add", "exp", "gelu") and n in (1, 1_000, LARGEST),
    )


# ---- broadcast and transposed operands ----

BROADCASTS: tuple[tuple[str, Text], ...] = (
    ("matrix + row", lambda lib, x, row, column: x + row),
    ("matrix + column", lambda lib, x, row, column: x + column),
    ("matrix + number", lambda lib, x, row, column: x + 1.5),
    ("matrix * number", lambda lib, x, row, column: x * 1.5),
    ("row + column", lambda lib, x, row, column: row + column),
)
TRANSPOSES: tuple[tuple[str, Text, int], ...] = (
    ("x.T + y.T", lambda lib, x, y, z: x.T + y.T, 12),
    ("x.T + y", lambda lib, x, y, z: x.T + z, 12),
)
SHAPES = ((64, 10), (512, 1000), (4096, 4096))


def broadcast(n: int) -> Iterator[Workload]:
    for name, text in BROADCASTS:
        yield calls(
            f"{name}, {n}x{n}",
            "pointwise, broadcast",
            lambda: (normal(n, n), normal(n, seed=1), normal(n, 1, seed=2)),
            everywhere=text,
            work=8.0 * n * n if name.startswith("matrix") else 4.0 * n * n,
            unit="byte",
        )


def transposed(rows: int, cols: int) -> Iterator[Workload]:
    def arrays() -> tuple[object, ...]:
        return (normal(rows, cols), normal(rows, cols, seed=1), normal(cols, rows, seed=2))

    for name, text, nbytes in TRANSPOSES:
        yield calls(
            f"{name}, {rows}x{cols}",
            "pointwise, broadcast",
            arrays,
            everywhere=text,
            work=float(nbytes) * rows * cols,
            unit="byte",
        )
    yield calls(
        f"transpose copy, {rows}x{cols}",
        "pointwise, broadcast",
        lambda: arrays()[:1],
        torch=lambda lib, x: x.T.contiguous(),
        numpy=lambda np, x: np.ascontiguousarray(x.T),
        jax=lambda np, x: x.T,
        work=8.0 * rows * cols,
        unit="byte",
    )


WORKLOADS = [
    *(sized(f, n) for f in (*FUNCTIONS, *casts()) for n in SIZES),
    *broadcast(1000),
    *broadcast(3000),
    *(w for shape in SHAPES for w in transposed(*shape)),
]
