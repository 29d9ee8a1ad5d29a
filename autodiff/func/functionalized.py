"""`autodiff.func.functionalize`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


def functionalize(func: Callable[..., Any], *, remove: str = "mutations") -> Callable[..., Any]:
    """`func` as it is: PyTorch's transform replaces writes by copies, for tracers that need that.

    What a call returns, writes to its arguments and has for gradients is the same with it as
    without, there and here. RuntimeError for a `remove` other than "mutations" or
    "mutations_and_views".

    >>> def double(x):
    ...     return x.clone().mul_(2)
    >>> ad.func.functionalize(double)(ad.ones(2))
    tensor([2., 2.])
    """
    if remove not in ("mutations", "mutations_and_views"):
        raise RuntimeError(
            f'functionalize: remove must be "mutations" or "mutations_and_views", not {remove!r}'
        )

    @functools.wraps(func)
    def call(*args: Any, **kwargs: Any) -> Any:
        return func(*args, **kwargs)

    return call
