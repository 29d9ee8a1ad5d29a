"""The one table of public functions: what `autodiff.<name>` offers besides its classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autodiff.methods import ALIASES
from autodiff.ops import (
    arithmetic,
    assign,
    contraction,
    covariance,
    create,
    dlpack,
    einsum,
    gather,
    generator,
    indexing,
    join,
    normalize,
    norms,
    products,
    random,
    reductions,
    scan,
    sorting,
    statistics,
    systems,
    views,
)
from autodiff.ops.guard import guarded

_BY_MODULE: dict[Any, str] = {
    arithmetic: "add sub rsub div pow where clamp clamp_min clamp_max addcmul addcdiv lerp equal "
    "isclose allclose result_type",
    views: "reshape permute transpose t select narrow squeeze unsqueeze flatten unbind split chunk "
    "as_strided clone",
    reductions: "sum mean prod max min amax amin argmax argmin any all",
    contraction: "matmul mm bmm mv dot",
    products: "addmm addmv addr addbmm baddbmm outer inner vdot cross kron trace tensordot "
    "chain_matmul",
    covariance: "cov corrcoef",
    norms: "cdist",
    einsum: "einsum",
    gather: "gather take_along_dim nonzero",
    indexing: "index_select index_add masked_select",
    scan: "cumsum",
    sorting: "sort argsort topk",
    assign: "masked_fill",
    join: "cat stack",
    normalize: "softmax log_softmax logsumexp",
    statistics: "var std var_mean std_mean",
    create: "tensor as_tensor from_numpy empty zeros ones full empty_like zeros_like ones_like "
    "full_like eye arange linspace",
    dlpack: "from_dlpack",
    generator: "manual_seed initial_seed seed get_rng_state set_rng_state",
    random: "rand randn rand_like randn_like randint randint_like randperm normal bernoulli "
    "poisson multinomial",
}


def _table() -> dict[str, Callable[..., Any]]:
    table = {**arithmetic.UNARY, **arithmetic.BINARY}
    for module, names in _BY_MODULE.items():
        table |= {name: guarded(getattr(module, name)) for name in names.split()}
    table |= {alias: table[name] for alias, name in ALIASES.items() if name in table}
    table |= {name: guarded(function) for name, function in systems.AT_TOP.items()}
    return table | {"broadcast_to": guarded(views.expand), "concat": table["cat"]}


FUNCTIONS = _table()
globals().update(FUNCTIONS)
__all__ = sorted(FUNCTIONS)
