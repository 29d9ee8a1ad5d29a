"""Einsum, solves, factorizations and distances."""

from collections.abc import Iterator

import numpy as np
from workload import Array, Text, Workload, calls, normal

GROUP = "linear algebra"


def _positive(n: int, dtype: str) -> Array:
    """Of determinant 1, so that it overflows nowhere."""
    x = normal(n, n, dtype="float64")
    square = x @ x.T / n + np.eye(n)
    return (square / np.exp(np.linalg.slogdet(square)[1] / n)).astype(dtype)


def _einsums() -> Iterator[Workload]:
    shapes: dict[str, tuple[tuple[int, ...], ...]] = {
        "bhqd,bhkd->bhqk": ((4, 8, 128, 32), (4, 8, 128, 32)),
        "bhqk,bhkd->bqhd": ((4, 8, 128, 128), (4, 8, 128, 32)),
        "bi,ij,bj->b": ((256, 64), (64, 64), (256, 64)),
        "ij,jk->ik": ((64, 64), (64, 64)),
        "ii->": ((256, 256),),
    }
    for equation, given in shapes.items():
        yield calls(
            f"einsum {equation}",
            GROUP,
            lambda given=given: [normal(*shape, seed=k) for k, shape in enumerate(given)],
            everywhere=lambda lib, *xs, equation=equation: lib.einsum(equation, *xs),
            against=("torch",),
        )


def _factorizations() -> Iterator[Workload]:
    texts: dict[str, Text] = {
        "solve": lambda lib, a, b: lib.linalg.solve(a, b),
        "inv": lambda lib, a, b: lib.linalg.inv(a),
        "cholesky": lambda lib, a, b: lib.linalg.cholesky(a),
        "det": lambda lib, a, b: lib.linalg.det(a),
    }
    for name, text in texts.items():
        for n in (64, 512):
            for dtype in ("float32", "float64"):
                yield calls(
                    f"{name} {n} {dtype}",
                    GROUP,
                    lambda n=n, dtype=dtype: (_positive(n, dtype), normal(n, 8, dtype=dtype)),
                    torch=text,
                    numpy=text,
                    jax=text,
                    against=("torch",),
                    tolerance=1e-2 if dtype == "float32" else 1e-8,
                    quick=n == 64 and name == "solve" and dtype == "float32",
                )


def _orthogonal() -> Iterator[Workload]:
    """Vectors are made and, as their signs are anybody's, not compared."""
    texts: dict[str, Text] = {
        "qr": lambda lib, a, b: abs(lib.linalg.qr(a)[1]),
        "eigh": lambda lib, a, b: lib.linalg.eigh(a)[0],
        "svd": lambda lib, a, b: lib.linalg.svd(a)[1],
        "lstsq": lambda lib, a, b: lib.linalg.lstsq(a[:, :32], b)[0],
    }
    for name, text in texts.items():
        for dtype in ("float32", "float64"):
            yield calls(
                f"{name} 128 {dtype}",
                GROUP,
                lambda dtype=dtype: (_positive(128, dtype), normal(128, 8, dtype=dtype)),
                torch=text,
                numpy=text,
                jax=text,
                against=("torch",),
                tolerance=1e-2 if dtype == "float32" else 1e-8,
            )


def _distances() -> Iterator[Workload]:
    yield calls(
        "cdist 512x512x64",
        GROUP,
        lambda: (normal(512, 64), normal(512, 64, seed=1)),
        torch=lambda lib, x, y: lib.cdist(x, y),
        against=("torch",),
    )


WORKLOADS: list[Workload] = [*_einsums(), *_factorizations(), *_orthogonal(), *_distances()]
