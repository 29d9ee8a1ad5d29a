"""A case of every operation: one for each pointwise declaration, and a table for the rest.

The laws of the tests are tried on them with operands that Hypothesis draws, and
`python -m autodiff gradcheck` checks their gradients with pseudo-random ones.
"""

from __future__ import annotations

import importlib
import math
import pkgutil

import autodiff as ad
from autodiff import ops
from autodiff.expr import Primitive
from autodiff.ops.declare import FUNCTIONS, Function
from autodiff.ops.reduced import REDUCED
from autodiff.testing.case import Case as Case
from autodiff.testing.cases_composed import COMPOSED
from autodiff.testing.cases_convolution import CONVOLUTIONS
from autodiff.testing.cases_gather import INDEXING, PLACED
from autodiff.testing.cases_layers import LAYERS
from autodiff.testing.cases_linalg import LINEAR
from autodiff.testing.cases_products import PRODUCTS
from autodiff.testing.cases_reductions import REDUCTIONS, ROWWISE
from autodiff.testing.cases_shapes import REARRANGED, VIEWS
from autodiff.testing.draw import Drawer, Maker, operand_dtypes
from autodiff.testing.reference import Array, pointwise

for _module in pkgutil.iter_modules(ops.__path__):
    importlib.import_module(f"autodiff.ops.{_module.name}")  # so that every op is declared


def pointwise_case(f: Function) -> Case:
    """The case of a declared pointwise function."""
    primitive = f.primitive
    given = primitive.reference
    return Case(
        f"{f.name}",
        f.op.call,
        pointwise_operands(primitive),
        None if given is None else lambda *xs: pointwise(given, *xs),
        differentiable=primitive.result not in ("bool", "bits"),
        pointwise=f.op,
    )


def pointwise_operands(primitive: Primitive) -> Maker:
    """Operands of a pointwise primitive: broadcastable, in its domain, each in its own layout."""
    kinds = operand_dtypes(primitive)

    def operands(draw: Drawer) -> list[ad.Tensor]:
        shapes = draw.broadcastable(primitive.arity)
        each = zip(shapes, kinds, primitive.domain, strict=True)
        return [draw.tensor(shape, d, domain) for shape, d, domain in each]

    return operands


def reduced_case(name: str, kind: str) -> Case:
    """The mean or sum of a loss of elements, of tensors alike in shape; a weight multiplies it."""
    loss, weighted = REDUCED[name], name.startswith("weighted_")
    primitive = FUNCTIONS[name.removeprefix("weighted_")].primitive
    domains = primitive.domain + (((0.1, 3.0),),) * weighted
    each = primitive.reference
    assert each is not None

    def operands(draw: Drawer) -> list[ad.Tensor]:
        shape = draw.shape(max_dims=2, min_size=1)
        return [draw.tensor(shape, domain=domain) for domain in domains]

    def reference(*xs: Array) -> Array:
        terms = xs[: primitive.arity]
        values = [each(*numbers) for numbers in zip(*(x.flat() for x in terms), strict=True)]
        if weighted:
            values = [w * value for w, value in zip(xs[-1].flat(), values, strict=True)]
        total = math.fsum(values)
        return Array((), lambda _: total / len(values) if kind == "mean" else total)

    return Case(f"{name}_{kind}", lambda *xs: loss(kind, *xs), operands, reference)


POINTWISE = [pointwise_case(f) for f in FUNCTIONS.values()]
FAMILIES = {
    "pointwise": POINTWISE,
    "view": VIEWS + REARRANGED,
    "reduction": REDUCTIONS,
    "contraction": PRODUCTS,
    "linear algebra": LINEAR,
    "composed": COMPOSED,
    "convolution": CONVOLUTIONS,
    "gather": INDEXING + PLACED,
    "row-wise": ROWWISE,
    "layer": LAYERS,
    "loss": [reduced_case(name, kind) for name in REDUCED for kind in ("mean", "sum")],
}
CASES = [case for cases in FAMILIES.values() for case in cases]
OTHERS = CASES[len(POINTWISE) :]
