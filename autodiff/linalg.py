"""`autodiff.linalg`: norms, factorizations, solves and determinants of batches of matrices.

Matrices are the last two dimensions of a tensor of floats; the dimensions before are a batch. What
has a derivative has one of every order.
"""

from autodiff.ops import contraction, determinants, norms, products, spectral, systems, triangular
from autodiff.ops.guard import guarded
from autodiff.ops.matrices import LinAlgError

cross = guarded(products.linalg_cross)
matmul = guarded(contraction.matmul)
multi_dot = products.multi_dot

vector_norm = guarded(norms.vector_norm)
matrix_norm = guarded(norms.matrix_norm)
norm = guarded(norms.norm)

cholesky = guarded(triangular.cholesky)
cholesky_ex = guarded(triangular.cholesky_ex)
det = guarded(determinants.det)
inv = guarded(systems.inv)
inv_ex = guarded(systems.inv_ex)
matrix_power = guarded(systems.matrix_power)
slogdet = guarded(determinants.slogdet)
solve = guarded(systems.solve)
solve_triangular = guarded(triangular.solve_triangular)

eigh = guarded(spectral.eigh)
eigvalsh = guarded(spectral.eigvalsh)
matrix_rank = guarded(spectral.matrix_rank)
pinv = guarded(spectral.pinv)
qr = guarded(spectral.qr)
svd = guarded(spectral.svd)
svdvals = guarded(spectral.svdvals)

__all__ = [
    "LinAlgError",
    "cholesky",
    "cholesky_ex",
    "cross",
    "det",
    "eigh",
    "eigvalsh",
    "inv",
    "inv_ex",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
    "svdvals",
    "vector_norm",
]
