"""Gradients checked against differences, to first and to second order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autodiff.gradcheck.compare import Comparison, GradcheckError
from autodiff.gradcheck.slopes import Tolerance
from autodiff.gradcheck.subject import Gradients, Subject, Whole

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck", "worst_error"]

Function = Callable[..., Any]


def gradcheck(
    func: Function,
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Whether the gradients of `func(*inputs)` agree with central differences.

    `func` is a function, or a module, whose parameters that require grad are checked too; it
    returns a tensor or a tuple of tensors. The inputs that require grad are checked, in any layout.
    All runs in float64: other floating-point inputs are converted, a module is checked as a copy.
    Each evaluation starts from the default generator's present state.

    A gradient passes within `atol + rtol * |numerical|` of the central difference of step `eps`;
    at a kink, anywhere between the slopes of the two sides. GradcheckError tells the first that
    does not, a gradient of another shape or dtype than its input's, an input that `func` changed,
    and outputs that differ by more than `nondet_tol` between equal calls; without `raise_exception`
    the result is then False. ValueError where nothing requires grad.

    Dtypes and gradients of single outputs are always checked, and `fast_mode` is as thorough:
    `check_grad_dtypes`, `check_undefined_grad` and `fast_mode` change nothing. Forward mode,
    batched gradients and masks are NotImplementedError.

    >>> ad.gradcheck(ad.sin, ad.randn(3, requires_grad=True))
    True
    """
    _refuse(
        check_batched_grad=check_batched_grad,
        check_batched_forward_grad=check_batched_forward_grad,
        check_forward_ad=check_forward_ad,
        masked=masked,
    )
    _require(check_backward_ad, "check_backward_ad")
    return _run(
        Whole(func, _tuple(inputs)), eps, Tolerance(atol, rtol), nondet_tol, raise_exception
    )


def gradgradcheck(
    func: Function,
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """Whether the gradients of the gradients of `func(*inputs)` agree with central differences.

    The function checked is `grad` of `func`, of the inputs, the parameters where it is a module,
    and the outputs' cotangents: `grad_outputs`, or random ones (with `gen_non_contig_grad_outputs`
    not contiguous). All else is as in `gradcheck`. At a kink of `func` its gradient jumps, and the
    check fails.

    >>> ad.gradgradcheck(ad.tanh, ad.randn(3, requires_grad=True))
    True
    """
    _refuse(
        check_batched_grad=check_batched_grad, check_fwd_over_rev=check_fwd_over_rev, masked=masked
    )
    _require(check_rev_over_rev, "check_rev_over_rev")
    gradients = Gradients(Whole(func, _tuple(inputs)), grad_outputs, gen_non_contig_grad_outputs)
    return _run(gradients, eps, Tolerance(atol, rtol), nondet_tol, raise_exception)


def worst_error(func: Function, inputs: Any, *, order: int = 1, atol: float = 1e-5) -> float:
    """The largest error of a gradient of first or second order, 1.0 being all that is tolerated.

    GradcheckError where a gradient is wrong, as `gradcheck` tells it.

    >>> from autodiff.gradcheck import worst_error
    >>> worst_error(ad.sin, ad.ones(2, requires_grad=True)) < 1
    True
    """
    whole = Whole(func, _tuple(inputs))
    subject: Subject = whole if order == 1 else Gradients(whole, None, False)
    comparison = Comparison(subject, 1e-6, Tolerance(atol, 1e-3), 0.0)
    comparison.run()
    return comparison.worst


def _run(
    subject: Subject, eps: float, tolerance: Tolerance, nondet_tol: float, raise_exception: bool
) -> bool:
    try:
        Comparison(subject, eps, tolerance, nondet_tol).run()
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _tuple(inputs: Any) -> tuple[Any, ...]:
    return tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)


def _refuse(**flags: bool | None) -> None:
    for name, wanted in flags.items():
        if wanted:
            raise NotImplementedError(
                f"gradcheck: {name}=True is not supported: gradients are of reverse mode, one "
                "cotangent at a time"
            )


def _require(wanted: bool, name: str) -> None:
    if not wanted:
        raise AssertionError(f"gradcheck: {name}=False leaves nothing to check")
