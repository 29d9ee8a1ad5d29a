"""Views with any strides, and a view as positions in its base: what writes through views need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autodiff.descriptor import fresh
from autodiff.dtypes import int64
from autodiff.native import error, lib
from autodiff.node import Node
from autodiff.ops import history
from autodiff.ops.base import Op
from autodiff.ops.clamping import CLAMP_MIN
from autodiff.ops.elementwise import div
from autodiff.ops.numbers import number
from autodiff.ops.views import zeros_p
from autodiff.shapes import Size, sizes_of
from autodiff.tensor import Tensor, wrap
from autodiff.tensor import late as tensor_late


def _span(shape: Sequence[int], strides: Sequence[int]) -> int:
    if 0 in shape:
        return 0
    return 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))


def _may_overlap(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether two elements of such a layout may be one place."""
    span = 1
    for stride, size in sorted(zip(strides, shape, strict=True)):
        if size > 1 and stride < span:
            return True
        span += (size - 1) * stride
    return False


class _Region:
    """A view's elements as positions in a buffer laid out as its base.

    Where elements of the base share a place, as those of an expanded tensor do, its cotangent is
    divided among them.
    """

    def __init__(
        self,
        base_shape: Sequence[int],
        base_strides: Sequence[int],
        shape: Sequence[int],
        strides: Sequence[int],
        offset: Sequence[int],
    ) -> None:
        self.base_at = max(0, -offset[0])
        self.at = max(0, offset[0])
        self.base = (list(base_shape), list(base_strides))
        self.part = (list(shape), list(strides))
        self.size = max(self.base_at + _span(*self.base), self.at + _span(*self.part))

    def buffer(self, dtype: int, content: Any = None) -> tuple[Any, Any, Any]:
        """Zeros (with `content` in the base's place), the base in it and the part in it."""
        flat = zeros_p(dtype, [self.size])
        base = self._at(flat, self.base, self.base_at)
        if content is not None and _may_overlap(*self.base):
            self.add(flat, self.base, self.base_at, content)
            self.share(flat)
        elif content is not None and lib.ad_copy(base, content):
            raise error("as_strided", base, content)
        return flat, base, self._at(flat, self.part, self.at)

    def add(self, flat: Any, layout: tuple[list[int], list[int]], at: int, content: Any) -> None:
        """Add elements at the places of such a layout in the buffer."""
        every = fresh(lib.ad_arange_i64(int64.code, self.size, 0, 1), "as_strided")
        if lib.ad_index_put(flat, 0, 1, [self._at(every, layout, at)], content, 1):
            raise error("as_strided", content)

    def share(self, flat: Any) -> None:
        """Divide what is in the buffer by the number of the base's elements at each place."""
        if not _may_overlap(*self.base):
            return
        count = zeros_p(flat.dtype, [self.size])
        one = fresh(lib.ad_full_i64(flat.dtype, 0, [], 1), "as_strided")
        self.add(count, self.base, self.base_at, one)
        div.into(wrap(flat), (wrap(flat), CLAMP_MIN.call(wrap(count), number(1))))

    @staticmethod
    def _at(flat: Any, layout: tuple[list[int], list[int]], offset: int) -> Any:
        shape, strides = layout
        return fresh(
            lib.ad_as_strided(flat, len(shape), shape, strides, offset), "as_strided", flat
        )


def _region_get_forward(g: Any, *geometry: Any) -> Any:
    return lib.ad_contiguous(_Region(*geometry).buffer(g.dtype, g)[2], g.dtype)


def _region_put_forward(g: Any, *geometry: Any) -> Any:
    region = _Region(*geometry)
    flat, base, _ = region.buffer(g.dtype)
    region.add(flat, region.part, region.at, g)
    region.share(flat)
    return lib.ad_alias(base)


def _region_clear_forward(g: Any, *geometry: Any) -> Any:
    _, base, part = _Region(*geometry).buffer(g.dtype, g)
    if lib.ad_copy(part, zeros_p(g.dtype, [])):
        raise error("as_strided", part)
    return lib.ad_alias(base)


_region_get: Op = Op(
    "region_get", _region_get_forward, lambda node, g: (_region_put(g, *node.args),)
)
_region_put: Op = Op(
    "region_put", _region_put_forward, lambda node, g: (_region_get(g, *node.args),)
)
_region_clear: Op = Op(
    "region_clear", _region_clear_forward, lambda node, g: (_region_clear(g, *node.args),)
)


def _as_strided_forward(p: Any, shape: list[int], strides: list[int], offset: int, _: Any) -> Any:
    return lib.ad_as_strided(p, len(shape), shape, strides, offset)


_as_strided: Op = Op(
    "as_strided", _as_strided_forward, lambda node, g: (_region_put(g, *node.args[3]),), view=True
)


def as_strided(input: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """A view of the storage with any sizes, strides and offset (in elements) that lie inside it.

    RuntimeError for what reaches outside.

    >>> ad.arange(6).as_strided((2, 2), (3, 1), 1)
    tensor([[1, 2],
            [4, 5]])
    """
    shape, strides = sizes_of((size,), "as_strided"), sizes_of((stride,), "as_strided")
    if len(shape) != len(strides):
        raise RuntimeError(
            f"mismatch in length of strides and shape: {len(strides)} strides, {len(shape)} sizes"
        )
    start = input.storage_offset()
    offset = start if storage_offset is None else storage_offset
    geometry = (input.shape, input.stride(), Size(shape), tuple(strides), (offset - start,))
    try:
        return _as_strided(input, shape, strides, offset, geometry)
    except RuntimeError as failure:
        if "do not fit" not in str(failure):
            raise
        raise RuntimeError(
            f"as_strided(): sizes {shape}, strides {strides} and storage offset {offset} reach out "
            f"of the storage of the tensor of size {list(input.shape)}, or are negative"
        ) from None


def _split_region(g: Tensor, *geometry: Any) -> tuple[Tensor, Tensor]:
    return _region_clear(g, *geometry), _region_get(g, *geometry)


def _view_node(x: Tensor, base: Tensor) -> Node:
    """The node of a view whose base has a new history."""
    where = history.geometry(x, base)
    args = (list(x.shape), list(x.stride()), x.storage_offset(), where)
    return _as_strided.record((base,), (base._node,), args, x._p)


def _renew_view(x: Tensor, base: Tensor) -> None:
    if history.left(x, base):
        return
    if x._node is not None and x._node.custom:
        raise RuntimeError(
            f"Output {x._node.output_nr} of {x._node.name()} is a view and its base or another "
            "view of its base has been modified inplace. This view was created inside a custom "
            "Function (or because an input was returned as-is), and the write would override its "
            "backward. Return a clone() of it."
        )
    x._base_node = base._node
    if base._node is not None and base._node is not base._acc:
        old, x._node = x._node, _view_node(x, base)
        if x._acc is not None and old is x._acc:
            x._acc.stopped = True
        history.move_retained(x, old)


history.late.split_region = _split_region
history.late.view_node = _view_node
tensor_late.renew_view = _renew_view
