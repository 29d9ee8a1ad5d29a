"""Records PyTorch's products and linear algebra as linalg.json (see recording.py).

Each case is a text that the test runs on both libraries: of operands, with first and second
derivatives; and of constants alone, with dtypes, shapes, and the exceptions of what is refused.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from golden.recording import write

GOLDEN = Path(__file__).with_name("linalg.json")
INF = float("inf")
OPERANDS: dict[str, Any] = {
    "a": [[1.5, -0.5, 0.25], [0.5, 2.0, -1.0], [-0.25, 0.75, 1.25]],
    "b": [[0.5, 1.0], [-1.5, 2.0], [0.75, -0.25]],
    "v": [1.0, -2.0, 0.5],
    "s": [[4.0, 1.0, 0.5], [1.0, 3.0, -1.0], [0.5, -1.0, 2.0]],
    "c": [[[1.0, 2.0], [0.5, -1.0]], [[0.0, 1.5], [2.0, 1.0]]],
    "z": [[0.0, 0.0, 3.0], [0.0, 0.0, 0.0]],
}
ON = """
einsum('ij,jk', a, b)
einsum('ii->i', a)
einsum('bij,jk->bik', c, b[:2])
einsum('...ij->...', c)
einsum('i,j,k->', v, v, b[:, 0])
einsum(a, [0, 1], v, [1], [0])
tensordot(a, b, 1)
tensordot(c, c, ([0, 2], [2, 0]))
addmm(b, a, b, beta=0.5, alpha=2)
addmm(b[0], a, b)
addmv(v, a, v, alpha=-1)
addr(a, v, v, beta=0)
baddbmm(c[0], c, c)
addbmm(c[0], c, c, beta=2)
inner(a, v)
kron(b, v)
linalg.cross(a, v.expand(3, 3))
trace(a)
linalg.multi_dot([v, a, b])
cov(a)
cov(b, correction=0)
corrcoef(a)
cdist(a, a[:2] + 1)
cdist(a, a, 3)
cdist(z, z)
cdist(a.expand(9, 3, 3).reshape(27, 3) * v, a + 1)
linalg.vector_norm(a)
linalg.vector_norm(z, 2, 1)
linalg.vector_norm(z, 1.5, 0)
linalg.vector_norm(z, 3, 1, True)
linalg.vector_norm(z, 1)
linalg.vector_norm(a, inf, 0)
linalg.vector_norm(a, -inf, 1)
linalg.vector_norm(a, 0.5)
linalg.matrix_norm(a)
linalg.matrix_norm(c, 1)
linalg.matrix_norm(a, -inf)
linalg.matrix_norm(a, 2)
linalg.matrix_norm(a, 'nuc')
linalg.norm(c)
linalg.norm(a, 1)
linalg.norm(a, 3, 1)
linalg.inv(a)
linalg.inv(c)
linalg.solve(a, b)
linalg.solve(a, v)
linalg.solve(a, b.T, left=False)
linalg.solve(c, b[:2])
linalg.solve_triangular(a, b, upper=True)
linalg.solve_triangular(a, b, upper=False, unitriangular=True)
linalg.solve_triangular(a, b.T, upper=True, left=False)
linalg.det(a)
linalg.det(c)
logdet(a)
slogdet(c)[1]
slogdet(-a)[0] + a.sum()
linalg.cholesky(s)
linalg.cholesky(s, upper=True)
linalg.matrix_power(a, 3)
linalg.matrix_power(a, -2)
linalg.matrix_power(a, 0) + a
linalg.qr(a)[1].abs()
linalg.qr(b)[0].abs()
linalg.eigvalsh(s)
linalg.eigh(s)[1].abs()
linalg.svdvals(b)
linalg.svd(b, full_matrices=False)[0].abs()
linalg.pinv(b)
nn.functional.cosine_similarity(a, v.expand(3, 3))
nn.functional.pairwise_distance(a, v)
nn.functional.normalize(z)
nn.functional.normalize(a, 1, 0)
nn.functional.bilinear(b, b, c, b[0])
""".strip().splitlines()
PLAIN = """
einsum('i,j', tensor([1, 2]), tensor([3, 4]))
einsum('ij->', ones(2, 2, dtype=bool))
einsum('i,i->i', ones(2, dtype=bool), ones(2, dtype=bool))
einsum('ij,jk', ones(2, 2, dtype=bool), ones(2, 2, dtype=bool))
einsum('bA,aB', ones(2, 3), ones(3, 4))
einsum('ij,jk', ones(2, 0), ones(0, 3))
einsum('ij,jk', ones(2, 3), ones(2, 2))
einsum('i..j', ones(2, 3))
einsum('ij->ii', ones(2, 3))
einsum('ij->k', ones(2, 3))
einsum('i', ones(2, 3))
einsum('ij', ones(2, 3), ones(2))
tensordot(ones(2, 1), ones(4, 2), 1)
tensordot(ones(2, 3), ones(4, 2), 1)
tensordot(ones(2, 3), ones(3, 2), 0)
addmm(ones(2) * nan, ones(2, 3), ones(3, 2), beta=0)
addmm(ones(2, dtype=int64), ones(2, 3, dtype=int64), ones(3, 2, dtype=int64), alpha=2)
addmm(ones(3), ones(2, 3), ones(3, 2))
addmm(ones(2), ones(3), ones(3, 2))
addmv(ones(3), ones(2, 3), ones(3))
addr(ones(2, dtype=bool), ones(2, dtype=bool), ones(2, dtype=bool))
ones(2).addmm_(ones(2, 3), ones(3, 2))
ones(2, 2).addmm_(ones(2, 3), ones(3, 2), beta=2)
mm(ones(2, 2), ones(2, 2), out=zeros(2, 2))
mm(ones(2, 2), ones(2, 2), out=zeros(2, 2, dtype=float64))
outer(ones(2), ones(2, dtype=int64))
inner(ones(()), ones(3))
kron(ones(()), ones(2))
cross(ones(2), ones(2))
cov(ones(3))
cov(ones(2, 3), fweights=tensor([1, 2, 3]), aweights=tensor([1.0, 2.0, 4.0]))
cov(ones(()))
corrcoef(ones(()))
trace(ones(2, 3, dtype=int64))
trace(ones(2))
cdist(zeros(2, 0), zeros(3, 0))
cdist(zeros(0, 3), zeros(3, 3))
cdist(ones(4, 1, 2, 3), ones(5, 2, 3), 0)
linalg.vector_norm(zeros(0), inf)
linalg.vector_norm(zeros(0))
linalg.vector_norm(ones(2), dtype=float64)
linalg.vector_norm(ones(2, dtype=int64))
linalg.norm(ones(2, 2, 2), 2)
linalg.matrix_norm(ones(2, 2), 3)
linalg.inv(zeros(0, 0))
linalg.det(zeros(0, 0))
linalg.det(zeros(3, 0, 0))
linalg.det(zeros(2, 2))
linalg.slogdet(zeros(2, 2))
logdet(-ones(1, 1))
linalg.inv(zeros(2, 2))
linalg.inv(ones(2, 3))
linalg.solve(ones(2, 2), ones(3))
linalg.solve(zeros(1, 1), ones(1))
linalg.cholesky(-ones(1, 1))
linalg.cholesky(ones(2, 2, dtype=int64))
linalg.inv_ex(zeros(2, 2))[1]
linalg.cholesky_ex(-ones(1, 1))[1]
linalg.qr(ones(2, 3), mode='r')[0]
linalg.qr(ones(3, 2), mode='complete')[0].abs()[:, :1]
linalg.matrix_rank(ones(3, 3))
linalg.pinv(ones(2, 3))
linalg.svdvals(zeros(2, 3))
linalg.matrix_power(ones(2, 2, dtype=int64), 3)
linalg.multi_dot([ones(2)])
ones(2, 2).__rmatmul__(ones(3, 2))
chain_matmul(ones(2, 3), ones(3, 4), ones(4, 1))
vdot(ones(2), ones(3))
""".strip().splitlines()
NAMES = (
    "einsum tensordot addmm addmv addr baddbmm addbmm inner kron cross trace cov corrcoef cdist "
    "linalg logdet slogdet nn zeros ones tensor int64 float64 bool mm outer chain_matmul vdot"
)


def scope(lib: Any) -> dict[str, Any]:
    """What the texts may name."""
    return {name: getattr(lib, name) for name in NAMES.split()} | {"inf": INF, "nan": INF - INF}


def derivatives(lib: Any, text: str) -> Any:
    """The result of a text, and the first and second derivative of a sum of its squares."""
    xs = {
        name: lib.tensor(values, dtype=lib.float64, requires_grad=True)
        for name, values in OPERANDS.items()
    }
    y = eval(text, scope(lib), dict(xs))
    leaves = list(xs.values())
    given = lib.autograd.grad((y * y).sum(), leaves, create_graph=True, allow_unused=True)
    first = [g for g in given if g is not None]
    lists = [[None if g is None else g.tolist() for g in given]]
    if any(g.requires_grad for g in first):
        total = sum((g * (k + 1)).sum() for k, g in enumerate(first))
        try:
            second = lib.autograd.grad(total, leaves, allow_unused=True)
        except NotImplementedError:  # PyTorch has none of cdist
            return [y.tolist(), *lists]
        lists.append([None if g is None else g.tolist() for g in second])
    return [y.tolist(), *lists]


def plain(lib: Any, text: str) -> Any:
    """Values, dtype and shape of a text's results, or its exception and the start of its words."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            y = eval(text, scope(lib))
        except Exception as failure:
            return [type(failure).__name__.lstrip("_"), str(failure)]
    ys = y if isinstance(y, tuple) else (y,)
    return [[t.tolist(), str(t.dtype), list(t.shape)] for t in ys]


def main() -> None:
    """Writes the file, a case a line."""
    import torch

    write(
        GOLDEN,
        derivatives={text: derivatives(torch, text) for text in ON},
        plain={text: plain(torch, text) for text in PLAIN},
    )


if __name__ == "__main__":
    main()
