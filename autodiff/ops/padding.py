"""Padding: more elements before and after those of a dimension, or, where negative, fewer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from autodiff.native import NULL, error, ffi, lib
from autodiff.ops.base import Op
from autodiff.ops.create import full
from autodiff.tensor import Tensor

_HOW = {
    "constant": lib.AD_PAD_CONSTANT,
    "reflect": lib.AD_PAD_REFLECT,
    "replicate": lib.AD_PAD_REPLICATE,
    "circular": lib.AD_PAD_CIRCULAR,
}
_CONSTANT = _HOW["constant"]
_NAMES = {
    lib.AD_PAD_REFLECT: "ReflectionPad{}DBackward0",
    lib.AD_PAD_REPLICATE: "ReplicationPad{}DBackward0",
    lib.AD_PAD_CIRCULAR: "CopySlices",
}

_constant: Op = Op("constant_pad_nd",
        lambda p, flat, value: lib.ad_pad(p, len(flat), flat, _CONSTANT, value),
        lambda node, g: (_constant(g, [-n for n in node.args[0]], NULL),),
        shaped=False)  # fmt: skip


_place: Op = Op("place_pad", lambda p, flat, how: lib.ad_pad(p, len(flat), flat, how, NULL),
        lambda node, g: (_gathered(g, *node.args, node.shape),),
        grad_name=lambda node: _NAMES[node.args[1]].format(len(node.args[0]) // 2))  # fmt: skip


_gathered: Op = Op("pad_vjp",
        lambda p, flat, how, shape: lib.ad_pad_vjp(p, len(flat), flat, how, shape),
        lambda node, g: (_place(g, *node.args[:2]),), shaped=False)  # fmt: skip
"""The adjoint of padding with elements of a shape: what each was copied to, added up."""


# As the kernel takes them: to convert pads takes as long as to pad.
_native_pads = lru_cache(lambda pads: ffi.new("int64_t[]", pads))


def padded(x: Tensor, pads: tuple[int, ...], mode: str, value: float | None) -> Tensor:
    """`nn.functional.pad` of pairs of plain ints, the last dimension's first."""
    flat = _native_pads(pads)
    how = _HOW.get(mode, -1)
    op, fill = _place, NULL
    if how == _CONSTANT:
        op, fill = _constant, NULL if value is None else full((), value, dtype=x.dtype)._p
    elif value:
        _check(x, pads, mode, value)
    y = lib.ad_pad(x._p, len(pads), flat, how, fill)
    if y:
        return op.result(x, y, (flat, how if op is _place else fill))
    failure = error("pad", x._p)
    _check(x, pads, mode, value)
    raise failure


# ---- what is wrong with pads ----


def _check(x: Tensor, pads: Sequence[int], mode: str, value: float | None) -> None:
    """RuntimeError, NotImplementedError or ValueError for what cannot be padded so."""
    flat, given = list(pads), len(pads) // 2
    if len(flat) % 2:
        raise RuntimeError(f"Padding length must be divisible by 2, got {flat}")
    if given > x.ndim:
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension but got "
            f"padding length {len(flat)} and input of dimension {x.ndim}"
        )
    pairs = list(zip(flat[::2], flat[1::2], strict=True))
    sides = [(0, 0)] * (x.ndim - given) + pairs[::-1]
    for d, (size, (low, high)) in enumerate(zip(x.shape, sides, strict=True)):
        if min(size, size + low, size + high, size + low + high) < 0:
            narrowed = "narrow(): length must be non-negative. " if max(flat) <= 0 else ""
            raise RuntimeError(
                f"{narrowed}The input size {size}, plus negative padding {low} and {high}, "
                f"resulted in a negative output size at dimension {d}: pad {flat} of "
                f"{list(x.shape)}"
            )
    if mode == "constant":
        return
    if mode not in _HOW:
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    if value is not None and value != 0:
        raise ValueError(f"Padding mode {mode!r} doesn't take in value argument, got {value}")
    if x.ndim not in (given + 1, given + 2) or not 1 <= given <= 3:
        raise NotImplementedError(
            f"Padding size {2 * given} is not supported for {x.ndim}D input tensor.\n"
            "Supported combinations for non-constant padding:\n"
            "  - 2D or 3D input: padding size = 2 (pads last dimension)\n"
            "  - 3D or 4D input: padding size = 4 (pads last 2 dimensions)\n"
            "  - 4D or 5D input: padding size = 6 (pads last 3 dimensions)"
        )
    for d, (size, pair) in enumerate(zip(x.shape, sides, strict=True)):
        if pair != (0, 0):
            _check_room(x, d, size, pair, mode)


def _check_room(x: Tensor, d: int, size: int, pair: tuple[int, int], mode: str) -> None:
    """RuntimeError where there is too little to take the elements around from."""
    if mode == "reflect" and max(pair) >= max(size, 1):
        raise RuntimeError(
            "Argument #4: Padding size should be less than the corresponding input dimension, "
            f"but got: padding {pair} at dimension {d} of input {list(x.shape)}"
        )
    if mode == "circular" and max(pair) > size:
        raise RuntimeError(
            "Padding value causes wrapping around more than once. It is "
            f"{pair} at dimension {d} of input {list(x.shape)}"
        )
    if size == 0:
        raise RuntimeError(f"Expected non-zero sizes for padding, but got input {list(x.shape)}")
