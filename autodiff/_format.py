"""The text of a tensor, as PyTorch prints it. Pure functions: nothing here knows what a Tensor is.

First the values to show are fetched, as nested lists in which `...` stands for an omitted middle.
Then one number format is chosen for all of them, and the lists are laid out in lines.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import EllipsisType
from typing import Any, Protocol, TypeAlias

from autodiff.named import NamedTuple

Number: TypeAlias = bool | int | float
Shown: TypeAlias = "Number | EllipsisType | list[Shown]"


class Printable(Protocol):
    """What is asked of a tensor: its shape, and the values of parts of it."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    def tolist(self) -> Any: ...
    def __getitem__(self, index: Any, /) -> Printable: ...


# ---- options ----


class PrintOptions(NamedTuple):
    """How tensors are printed."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


PROFILES = {
    "default": PrintOptions(),
    "short": PrintOptions(precision=2, edgeitems=2),
    "full": PrintOptions(threshold=math.inf),
}


class _Current:
    options = PROFILES["default"]


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors are printed; what is not given stays, but for `sci_mode`, which is reset.

    `precision` is the number of digits after the point. A tensor of more than `threshold` elements
    shows only `edgeitems` at each end of a dimension. Lines are `linewidth` wide. `profile` is
    "default", "short" or "full" and sets all of these. `sci_mode` turns scientific notation on or
    off; None lets the values decide.

    >>> ad.set_printoptions(precision=2)
    >>> ad.tensor(1 / 3)
    tensor(0.33)
    >>> ad.set_printoptions(profile="default")
    """
    if profile is not None and profile not in PROFILES:
        raise ValueError(f"profile must be one of {', '.join(PROFILES)}, got {profile!r}")
    given = {
        "precision": precision,
        "threshold": threshold,
        "edgeitems": edgeitems,
        "linewidth": linewidth,
    }
    for name, value in given.items():
        if not isinstance(value, (int, float, type(None))):
            raise TypeError(f"{name} must be a number, got {type(value).__name__}")
        if value is not None and not value >= 0:
            raise ValueError(f"{name} must not be negative, got {value}")
    options = PROFILES[profile] if profile is not None else _Current.options
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    _Current.options = options._replace(sci_mode=sci_mode, **changes)


def get_printoptions() -> dict[str, Any]:
    """The options in force, as `set_printoptions` takes them.

    >>> ad.get_printoptions()["precision"]
    4
    """
    return _Current.options._asdict()


@contextmanager
def printoptions(**options: Any) -> Iterator[None]:
    """Set print options for the duration of a block."""
    before = _Current.options
    set_printoptions(**options)
    try:
        yield
    finally:
        _Current.options = before


# ---- the values to show ----


def _shown(x: Printable, edge: int) -> Shown:
    """The values at the ends of each dimension; only these are fetched."""
    size = x.shape[0]
    long = size > 2 * edge
    if len(x.shape) == 1:
        if not long:
            return x.tolist()  # type: ignore[no-any-return]
        return [*x[:edge].tolist(), ..., *x[size - edge :].tolist()]
    if not long:
        return [_shown(x[i], edge) for i in range(size)]
    head = [_shown(x[i], edge) for i in range(edge)]
    tail = [_shown(x[i], edge) for i in range(size - edge, size)]
    return [*head, ..., *tail]


def _numbers(shown: Shown) -> Iterator[Number]:
    """The numbers in nested lists."""
    if isinstance(shown, list):
        for part in shown:
            yield from _numbers(part)
    elif not isinstance(shown, EllipsisType):
        yield shown


# ---- the format of numbers ----


class _Format(NamedTuple):
    """How each number is written, and the width that they are padded to."""

    text: Callable[[Any], str]
    width: int

    def __call__(self, value: Number) -> str:
        return self.text(value).rjust(self.width)


def _wants_exponent(sizes: list[float], integral: bool) -> bool:
    """Whether nonzero finite magnitudes are too large, too small or too different for a point."""
    smallest, largest = min(sizes), max(sizes)
    return largest / smallest > 1000 or largest > 1e8 or (not integral and smallest < 1e-4)


def _float_format(values: list[float], options: PrintOptions) -> _Format:
    """Zeros, nan and infinities have no say in the format, not even in the width."""
    finite = [v for v in values if math.isfinite(v) and v != 0]
    integral = all(v.is_integer() for v in finite)
    exponent = bool(finite) and _wants_exponent([abs(v) for v in finite], integral)
    if options.sci_mode is not None and finite:
        exponent = options.sci_mode
    spec = f".{options.precision}{'e' if exponent else 'f'}"

    def text(value: float) -> str:
        if integral and not exponent:
            return f"{value:.0f}." if math.isfinite(value) else str(value)
        return format(value, spec)

    return _Format(text, max((len(text(v)) for v in finite), default=1))


def _format(values: list[Any], floating: bool, options: PrintOptions) -> _Format:
    if floating:
        return _float_format(values, options)
    return _Format(str, max((len(str(v)) for v in values), default=1))


# ---- lines ----


def _row(row: list[Any], indent: int, form: _Format, linewidth: int) -> str:
    """One innermost dimension, broken into lines of as many items as fit."""
    items = [" ..." if v is ... else form(v) for v in row]
    per_line = max(1, (linewidth - indent) // (form.width + 2))
    lines = [", ".join(items[i : i + per_line]) for i in range(0, len(items), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _block(shown: Any, ndim: int, indent: int, form: _Format, linewidth: int) -> str:
    """The text of nested lists of `ndim` levels."""
    if ndim == 0:
        return form(shown)
    if ndim == 1:
        return _row(shown, indent, form, linewidth)
    parts = ["..." if p is ... else _block(p, ndim - 1, indent + 1, form, linewidth) for p in shown]
    return "[" + ("," + "\n" * (ndim - 1) + " " * (indent + 1)).join(parts) + "]"


def _add_suffixes(text: str, suffixes: list[str], indent: int, linewidth: int) -> str:
    """Appends to the last line what fits there, and begins a new line for what does not."""
    column = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if column + len(suffix) + 2 > linewidth:
            text += ",\n" + " " * indent + suffix
            column = indent + len(suffix)
        else:
            text += ", " + suffix
            column += len(suffix) + 2
    return text + ")"


# ---- the whole ----


def _body(x: Printable, floating: bool, options: PrintOptions, indent: int) -> str:
    """The values."""
    shape = x.shape
    numel = math.prod(shape)
    if numel == 0:
        return "[]"
    summarized = bool(shape) and numel > options.threshold
    if summarized and options.edgeitems == 0:
        return "[...]"
    shown = _shown(x, options.edgeitems) if summarized else x.tolist()
    form = _format(list(_numbers(shown)), floating, options)
    return _block(shown, len(shape), indent, form, options.linewidth)


def tensor_text(
    x: Printable,
    dtype: str,
    *,
    default_dtype: str = "float32",
    requires_grad: bool = False,
    grad_fn: str | None = None,
    kind: str = "tensor",
) -> str:
    """The text of a tensor; `dtype` and `default_dtype` are names, `grad_fn` that of its node."""
    options = _Current.options
    shape = tuple(x.shape)
    empty = 0 in shape
    suffixes = []
    if (empty and len(shape) != 1) or (not empty and options.edgeitems == 0):
        suffixes.append(f"size={shape}")
    if dtype != default_dtype and (empty or dtype not in ("int64", "bool")):
        suffixes.append(f"dtype=torch.{dtype}")
    if grad_fn is not None:
        suffixes.append(f"grad_fn=<{grad_fn}>")
    elif requires_grad:
        suffixes.append("requires_grad=True")
    start = f"{kind}("
    text = start + _body(x, "float" in dtype, options, len(start))
    return _add_suffixes(text, suffixes, len(start), options.linewidth)
