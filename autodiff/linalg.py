"""`autodiff.linalg`: norms, factorizations, solves and determinants of batches of matrices.

Matrices are the last two dimensions of a tensor of floats; the dimensions before are a batch. What
has a derivative has one of every order.
"""

from autodiff.functions import matmul
from autodiff.ops import (
    chains,
    determinants,
    equations,
    norms,
    products,
    spectral,
    systems,
    triangular,
)
from autodiff.ops import lu as _lu
from autodiff.ops.guard import guarded
from autodiff.ops.keywords import with_outs
from autodiff.ops.matrices import LinAlgError

cross = guarded(products.linalg_cross)
multi_dot = chains.multi_dot

vector_norm = guarded(norms.vector_norm)
matrix_norm = guarded(norms.matrix_norm)
norm = guarded(norms.norm)

cholesky = guarded(triangular.cholesky)
cholesky_ex = with_outs(triangular.cholesky_ex)
det = guarded(determinants.det)
inv = guarded(systems.inv)
inv_ex = with_outs(systems.inv_ex)
matrix_power = guarded(systems.matrix_power)
slogdet = guarded(determinants.slogdet)
solve = guarded(systems.solve)
solve_triangular = guarded(triangular.solve_triangular)

lu = guarded(_lu.lu)
lu_factor = guarded(_lu.lu_factor)
lu_factor_ex = guarded(_lu.lu_factor_ex)
lu_solve = guarded(_lu.lu_solve)

cond = guarded(equations.cond)
diagonal = guarded(equations.diagonal)
householder_product = guarded(equations.householder_product)
lstsq = with_outs(equations.lstsq, converts=True)
matrix_exp = guarded(equations.matrix_exp)
solve_ex = with_outs(equations.solve_ex)
tensorinv = guarded(equations.tensorinv)
tensorsolve = guarded(equations.tensorsolve)
vander = guarded(equations.vander)
vecdot = guarded(equations.vecdot)

eigh = guarded(spectral.eigh)
eigvalsh = guarded(spectral.eigvalsh)
matrix_rank = guarded(spectral.matrix_rank)
pinv = guarded(spectral.pinv)
qr = guarded(spectral.qr)
svd = guarded(spectral.svd)
svdvals = guarded(spectral.svdvals)

__all__ = [
    "LinAlgError", "cholesky", "cholesky_ex", "cond", "cross", "det", "diagonal", "eigh",
    "eigvalsh", "householder_product", "inv", "inv_ex", "lstsq", "lu", "lu_factor", "lu_factor_ex",
    "lu_solve", "matmul", "matrix_exp", "matrix_norm", "matrix_power", "matrix_rank", "multi_dot",
    "norm", "pinv", "qr", "slogdet", "solve", "solve_ex", "solve_triangular", "svd", "svdvals",
    "tensorinv", "tensorsolve", "vander", "vecdot", "vector_norm",
]  # fmt: skip
