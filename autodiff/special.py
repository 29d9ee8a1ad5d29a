"""`autodiff.special`: the special functions under SciPy's names.

Most are those at the top. What is here alone takes `out`, too, and broadcasts and promotes as
other pointwise functions do.
"""

from autodiff import functions
from autodiff.functions import (
    digamma,
    erf,
    erfc,
    erfinv,
    exp2,
    expm1,
    i0,
    log1p,
    log_softmax,
    logit,
    logsumexp,
    polygamma,
    round,
    sinc,
    softmax,
    xlogy,
)
from autodiff.ops import tails as _declared  # noqa: F401
from autodiff.ops.calling import binary, unary
from autodiff.ops.declare import FUNCTIONS

expit, gammaln, psi = functions.sigmoid, functions.lgamma, functions.digamma
multigammaln, gammainc, gammaincc = functions.mvlgamma, functions.igamma, functions.igammac
_UNARY = "entr", "erfcx", "i0e", "i1", "i1e", "log_ndtr", "ndtr", "ndtri"
entr, erfcx, i0e, i1, i1e, log_ndtr, ndtr, ndtri = (
    unary(FUNCTIONS[name].op, FUNCTIONS[name].primitive.doc) for name in _UNARY
)
xlog1py, zeta = (
    binary(FUNCTIONS[name].op, FUNCTIONS[name].primitive.doc) for name in ("xlog1py", "zeta")
)

__all__ = [
    "digamma", "entr", "erf", "erfc", "erfcx", "erfinv", "exp2", "expit", "expm1", "gammainc",
    "gammaincc", "gammaln", "i0", "i0e", "i1", "i1e", "log1p", "log_ndtr", "log_softmax", "logit",
    "logsumexp", "multigammaln", "ndtr", "ndtri", "polygamma", "psi", "round", "sinc", "softmax",
    "xlog1py", "xlogy", "zeta",
]  # fmt: skip
