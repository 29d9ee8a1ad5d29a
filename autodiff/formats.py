"""How elements lie in memory, by PyTorch's names: `layout`, and `memory_format`."""

from __future__ import annotations


class layout:  # noqa: N801 - PyTorch's name
    """How a tensor is stored: `strided` is all there is.

    >>> ad.strided
    torch.strided
    """

    __slots__ = ("name",)
    name: str

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str:
        return self.name  # copies and pickles are the object itself: it is compared by identity


class memory_format(layout):  # noqa: N801
    """The order of a tensor's dimensions in memory.

    >>> x = ad.zeros(2, 3, 4, 5).contiguous(memory_format=ad.channels_last)
    >>> x.shape, x.stride()
    (torch.Size([2, 3, 4, 5]), (60, 1, 15, 3))
    """

    __slots__ = ("order",)
    order: list[int] | None  # of dimensions, outermost first; None where they are as they come

    def __init__(self, name: str, ndim: int | None = None) -> None:
        super().__init__(name)
        self.order = None if ndim is None else [0, *range(2, ndim), 1]

    def order_of(self, ndim: int) -> list[int] | None:
        """`order`, for tensors of so many dimensions. RuntimeError where there is none."""
        if self.order is not None and len(self.order) != ndim:
            raise RuntimeError(f"required rank {len(self.order)} tensor to use {self.name} format")
        return self.order


strided = layout("strided")
contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last", 4)
channels_last_3d = memory_format("channels_last_3d", 5)
