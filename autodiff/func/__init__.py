"""`autodiff.func`: functions from functions to their derivatives, and to batches of samples."""

from autodiff.func.batching import vmap
from autodiff.func.jacobians import hessian, jacfwd, jacrev
from autodiff.func.stateful import (
    functional_call,
    replace_all_batch_norm_modules_,
    stack_module_state,
)
from autodiff.func.transforms import (
    functionalize,
    grad,
    grad_and_value,
    jvp,
    linearize,
    value_and_grad,
    vjp,
)

__all__ = [
    "functional_call", "functionalize", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev",
    "jvp", "linearize", "replace_all_batch_norm_modules_", "stack_module_state", "value_and_grad",
    "vjp", "vmap",
]  # fmt: skip
