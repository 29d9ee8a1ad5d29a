"""Records PyTorch's nn.utils as nn_utils.json (see recording.py)."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from golden.recording import failure, write

GOLDEN = Path(__file__).with_name("nn_utils.json")
NAN, INF = math.nan, math.inf
ORDERS = [2.0, 1.0, INF, -INF, 0.0, 0.5, 3.0, -1.0]
GRADIENTS: dict[str, list[tuple[str, list[float]]]] = {
    "floats": [("float32", [0.25, -1.5, 3.0]), ("float32", [2.0])],
    "doubles": [("float64", [0.1, -0.2]), ("float64", [0.7, 0.0, -0.3])],
    "mixed": [("float32", [0.25, -1.5]), ("float64", [0.1])],
    "zeros": [("float32", [0.0, 0.0]), ("float32", [0.0])],
    "infinite": [("float32", [0.25, -INF])],
    "nan": [("float64", [NAN, 1.0])],
    "none": [],
}


def parameters(lib: Any, given: list[tuple[str, list[float]]]) -> list[Any]:
    """Parameters with these gradients, and one without."""
    found = [lib.ones(2, requires_grad=True)]
    for dtype, values in given:
        d = getattr(lib, dtype)
        found.append(lib.ones(len(values), dtype=d, requires_grad=True))
        found[-1].grad = lib.tensor(values, dtype=d)
    return found


def result(total: Any, params: list[Any]) -> list[Any]:
    """The norm and its dtype, and the gradients, as text that tells nan and inf."""
    grads = [p.grad.tolist() for p in params if p.grad is not None]
    return [str(total.dtype), total.item(), grads]


def clip_norm(lib: Any, utils: Any, given: Any, *args: Any, **kwargs: Any) -> list[Any]:
    """Clips by norm."""
    params = parameters(lib, given)
    return result(utils.clip_grad_norm_(params, *args, **kwargs), params)


def clip_value(lib: Any, utils: Any, given: Any, bound: float) -> list[Any]:
    """Clips by value."""
    params = parameters(lib, given)
    utils.clip_grad_value_(params, bound)
    return [p.grad.tolist() for p in params if p.grad is not None]


Case = Callable[[Any, Any], Any]


def cases() -> dict[str, Case]:
    """Every kind of gradients with every order, and more."""
    found: dict[str, Case] = {}
    for name, given in GRADIENTS.items():
        for order in ORDERS:
            found[f"{name} {order}"] = lambda lib, utils, given=given, order=order: clip_norm(
                lib, utils, given, 1.0, order
            )
        if given:
            found[f"{name} value"] = lambda lib, utils, given=given: clip_value(
                lib, utils, given, 0.2
            )
    for limit in (100.0, 0.0, -1.0, INF, NAN):
        found[f"limit {limit}"] = lambda lib, utils, limit=limit: clip_norm(
            lib, utils, GRADIENTS["floats"], limit
        )
    found["order as text"] = lambda lib, utils: clip_norm(
        lib, utils, GRADIENTS["floats"], 1.0, "inf"
    )
    found["negative value"] = lambda lib, utils: clip_value(lib, utils, GRADIENTS["floats"], -2)
    return found


def x_of(lib: Any, *values: float) -> Any:
    """A leaf whose gradient has these values."""
    return parameters(lib, [("float32", list(values))])[1]


ERRORS: dict[str, Case] = {
    "nan": lambda lib, u: u.clip_grad_norm_(x_of(lib, NAN), 1.0, error_if_nonfinite=True),
    "inf": lambda lib, u: u.get_total_norm(lib.tensor([INF]), 1.0, error_if_nonfinite=True),
    "order": lambda lib, u: u.clip_grad_norm_(x_of(lib, 1.0), 1.0, "two"),
    "value": lambda lib, u: u.clip_grad_value_(x_of(lib, 1.0), "two"),
    "no vector": lambda lib, u: u.vector_to_parameters([1.0], [x_of(lib, 1.0)]),
    "short vector": lambda lib, u: u.vector_to_parameters(lib.ones(1), [x_of(lib, 1.0, 2.0)]),
}


def main() -> None:
    """Writes nn_utils.json."""
    import torch

    utils = torch.nn.utils
    write(
        GOLDEN,
        results={name: case(torch, utils) for name, case in cases().items()},
        errors={name: failure(case, torch, utils) for name, case in ERRORS.items()},
    )


if __name__ == "__main__":
    main()
