"""Where tensors are: on the CPU. Others have a name, by which a program may ask for them."""

from __future__ import annotations

from typing import Any

_TYPES = ("cpu", "cuda", "mps", "xpu", "meta")


class device(str):  # noqa: N801 - PyTorch's name
    """A device's name: a type, and an index where one is given. It is equal to its text.

    `ad.cuda.is_available()` is False. RuntimeError for types that PyTorch has not; what makes
    tensors takes "cpu" alone.

    >>> d = ad.device("cuda" if ad.cuda.is_available() else "cpu")
    >>> d
    device(type='cpu')
    >>> ad.ones(2, device=d).device == d
    True
    """

    __slots__ = ()

    def __new__(cls, type: Any, index: int | None = None) -> device:
        if not isinstance(type, str):
            kind = type.__class__.__name__
            raise TypeError(f"device(): argument 'type' (position 1) must be str, not {kind}")
        name, _, number = type.partition(":")
        if name not in _TYPES:
            raise RuntimeError(
                f"Expected one of {', '.join(_TYPES)} device type at start of device string: {type}"
            )
        if (number or ":" in type) and not number.isdecimal():
            raise RuntimeError(f"Invalid device string: {type!r}")
        if index is not None and (number or not isinstance(index, int)):
            raise RuntimeError(
                f"type (string) must not include an index, an int: {type!r}, {index!r}"
            )
        return str.__new__(cls, type if index is None else f"{type}:{index}")

    @property
    def type(self) -> str:
        """The type: "cpu", "cuda".

        >>> ad.device("cuda:1").type
        'cuda'
        """
        return str(self).partition(":")[0]

    @property
    def index(self) -> int | None:  # type: ignore[override]
        """Which of its type; None where none was given.

        >>> ad.device("cuda:1").index
        1
        """
        number = str(self).partition(":")[2]
        return int(number) if number else None

    def __enter__(self) -> device:
        """A block whose tensors are made there: on the CPU, as all are.

        >>> with ad.device("cpu"):
        ...     ad.ones(1)
        tensor([1.])
        """
        check_device("device", self)
        return self

    def __exit__(self, *failure: object) -> None:
        pass

    def __repr__(self) -> str:
        which = "" if self.index is None else f", index={self.index}"
        return f"device(type={self.type!r}{which})"


CPU = device("cpu")


def check_device(who: str, device: Any) -> None:
    """Refuse what is not the CPU: AssertionError for a GPU, as PyTorch without one says."""
    if device is None or device == "cpu":
        return
    if not isinstance(device, (str, int)):
        kind = type(device).__name__
        raise TypeError(f"{who}(): argument 'device' must be a device, not {kind}")
    kind = str(device).partition(":")[0]
    if kind == "cpu":
        return
    text = f"{who}(): device {device!r} is not supported; only 'cpu' is"
    if kind in ("cuda", "xpu") or isinstance(device, int):
        raise AssertionError(f"Torch not compiled with {kind.upper()} enabled. {text}")
    raise RuntimeError(text)
