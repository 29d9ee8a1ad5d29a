"""Whether results are close: what tests assert."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from autodiff import dtypes
from autodiff.ops.convert import as_tensor
from autodiff.ops.embedded import unravel_index
from autodiff.ops.foreign import has_memory
from autodiff.tensor import Tensor

_EXACT = (0.0, 0.0)
_TOLERANCES = {  # relative and absolute
    dtypes.float16: (1e-3, 1e-5),
    dtypes.bfloat16: (1.6e-2, 1e-5),
    dtypes.float32: (1.3e-6, 1e-5),
    dtypes.float64: (1e-7, 1e-7),
}


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """AssertionError unless |actual - expected| <= atol + rtol * |expected|, and shapes and dtypes
    are the same.

    For tensors, arrays, numbers, None, and sequences and mappings of them. Without tolerances those
    of the dtype: 1.3e-6 and 1e-5 of float32, 1e-7 of float64, none of integers. TypeError for
    other objects, ValueError where one tolerance is given alone.

    >>> ad.testing.assert_close(ad.tensor([1.0, 2.0]), ad.tensor([1.0, 2.0 + 1e-6]))
    """
    if (rtol is None) != (atol is None):
        missing = "rtol" if rtol is None else "atol"
        raise ValueError(
            f"Both 'rtol' and 'atol' must be either specified or omitted, but got no {missing}."
        )
    given = None if rtol is None or atol is None else (rtol, atol)
    wrong = _difference(
        actual, expected, allow_subclasses, given, equal_nan, check_dtype, check_stride, ""
    )
    if wrong is not None:
        raise AssertionError(wrong if msg is None else msg if isinstance(msg, str) else msg(wrong))


def _difference(
    a: Any, b: Any, subclasses: bool, given: Any, nan: bool, dtype: bool, stride: bool, at: str
) -> str | None:
    """What tells them apart, if anything does."""
    here = f"\n\nThe failure occurred for item {at}" if at else ""
    more = (subclasses, given, nan, dtype, stride)
    if a is None and b is None:
        return None
    if _is_several(a) and _is_several(b):
        if len(a) != len(b):
            return f"The length of the sequences mismatch: {len(a)} != {len(b)}{here}"
        pairs = [(i, x, y) for i, (x, y) in enumerate(zip(a, b, strict=True))]
    elif isinstance(a, Mapping) and isinstance(b, Mapping):
        if a.keys() != b.keys():
            return (
                "The keys of the mappings do not match:\nMissing keys in the actual mapping: "
                f"{sorted(b.keys() - a.keys(), key=str)}\nAdditional keys in the actual mapping: "
                f"{sorted(a.keys() - b.keys(), key=str)}{here}"
            )
        pairs = [(key, a[key], b[key]) for key in a]
    else:
        found = _leaves_differ(a, b, *more)
        return found and found + here
    each = (_difference(x, y, *more, f"{at}[{key!r}]") for key, x, y in pairs)
    return next((found for found in each if found is not None), None)


def _is_several(x: Any) -> bool:
    return isinstance(x, Sequence) and not isinstance(x, str)


def _leaves_differ(
    a: Any, b: Any, subclasses: bool, given: Any, nan: bool, dtype: bool, stride: bool
) -> str | None:
    numbers = isinstance(a, (int, float)) and isinstance(b, (int, float))
    alike = numbers or all(isinstance(x, Tensor) or has_memory(x) for x in (a, b))
    if not alike or not (subclasses or type(a) is type(b)):
        raise TypeError(
            f"No comparison pair was able to handle inputs of type {type(a)} and {type(b)}."
        )
    if numbers and bool in (type(a), type(b)):
        return None if a == b else f"Booleans mismatch: {a} is not {b}"
    if numbers and type(a) is not type(b) and dtype:
        return f"The (d)types do not match: {type(a)} != {type(b)}."
    if numbers:
        kind = dtypes.int64 if isinstance(a, int) and isinstance(b, int) else dtypes.float64
        x, y = as_tensor(a, kind), as_tensor(b, kind)
    else:
        x, y = as_tensor(a).detach(), as_tensor(b).detach()
        told = {"shape": True, "dtype": dtype, "stride()": stride}
        for name in [name for name, wanted in told.items() if wanted]:
            ours, theirs = (getattr(z, name.rstrip("()")) for z in (x, y))
            ours, theirs = (z() if callable(z) else z for z in (ours, theirs))
            if ours != theirs:
                return f"The values for attribute '{name}' do not match: {ours} != {theirs}."
    return _values_differ(x, y, given, nan)


def _values_differ(x: Tensor, y: Tensor, given: Any, nan: bool) -> str | None:
    """Of two tensors of one shape."""
    both = [_TOLERANCES.get(z.dtype, _EXACT) for z in (x, y)]
    rtol, atol = given or (max(both[0][0], both[1][0]), max(both[0][1], both[1][1]))
    d = dtypes.promote_types(x.dtype, y.dtype)
    x, y = x.to(d), y.to(d)
    near = x.isclose(y, rtol=rtol, atol=atol, equal_nan=nan)
    if near.all():
        return None
    wide = d if d.is_floating_point else dtypes.int64
    apart = (x.to(wide) - y.to(wide)).abs().masked_fill(near, 0)
    relative = (apart / y.to(wide).abs()).masked_fill(near, 0)
    same = "equal" if rtol == atol == 0 else "close"
    allowed = ["", ""] if same == "equal" else [f" (up to {t} allowed)" for t in (atol, rtol)]
    if not x.ndim:
        return (
            f"Scalars are not {same}!\n\nExpected {y.item()} but got {x.item()}.\n"
            f"Absolute difference: {apart.item()}{allowed[0]}\n"
            f"Relative difference: {relative.item()}{allowed[1]}"
        )
    wrong = int((~near).sum())
    lines = [f"Mismatched elements: {wrong} / {x.numel()} ({100 * wrong / x.numel():.1f}%)"]
    for name, difference, most in (
        ("absolute", apart, allowed[0]),
        ("relative", relative, allowed[1]),
    ):
        place = tuple(int(i) for i in unravel_index(difference.argmax(), x.shape))
        value = difference[place].item()
        lines.append(f"Greatest {name} difference: {value} at index {place}{most}")
    return f"Tensor-likes are not {same}!\n\n" + "\n".join(lines)
