"""What scripts set before they begin. Results are deterministic and on the CPU whatever is set."""

from __future__ import annotations

import warnings
from typing import Any

from autodiff.devices import CPU, check_device, device
from autodiff.dtypes import ALL, dtype, flag, set_default_dtype

_PRECISIONS = ("highest", "high", "medium")


class _Settings:
    deterministic = False
    warn_only = False
    precision = "highest"


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Ask for results that are the same every time, as they always are here: it changes nothing.

    >>> ad.use_deterministic_algorithms(True)
    >>> ad.are_deterministic_algorithms_enabled()
    True
    >>> ad.use_deterministic_algorithms(False)
    """
    _Settings.deterministic = flag(mode, "use_deterministic_algorithms(): argument 'mode'")
    _Settings.warn_only = flag(warn_only, "use_deterministic_algorithms(): argument 'warn_only'")


_MODES = ("default", "warn", "error")


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """The same by a name or number: "default" (0), "warn" (1) or "error" (2).

    >>> ad.set_deterministic_debug_mode("warn")
    >>> ad.get_deterministic_debug_mode()
    1
    >>> ad.set_deterministic_debug_mode(0)
    """
    if not isinstance(debug_mode, (int, str)):
        raise TypeError(f"debug_mode must be str or int, but got {type(debug_mode)}")
    if debug_mode not in (*_MODES, 0, 1, 2):
        raise RuntimeError(
            "invalid value of debug_mode, expected one of `default`, `warn`, `error`, or 0, 1, 2, "
            f"but got {debug_mode}"
        )
    number = _MODES.index(debug_mode) if isinstance(debug_mode, str) else debug_mode
    use_deterministic_algorithms(number > 0, warn_only=number == 1)


def get_deterministic_debug_mode() -> int:
    """The number that `set_deterministic_debug_mode` takes for what is set: 0, 1 or 2.

    >>> ad.get_deterministic_debug_mode()
    0
    """
    return 0 if not _Settings.deterministic else 1 if _Settings.warn_only else 2


def are_deterministic_algorithms_enabled() -> bool:
    """What `use_deterministic_algorithms` was told last.

    >>> ad.are_deterministic_algorithms_enabled()
    False
    """
    return _Settings.deterministic


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """What `use_deterministic_algorithms` was told of `warn_only` last.

    >>> ad.is_deterministic_algorithms_warn_only_enabled()
    False
    """
    return _Settings.warn_only


def set_float32_matmul_precision(precision: Any) -> None:
    """Take "highest", "high" or "medium"; products are of the highest whatever is set.

    >>> ad.set_float32_matmul_precision("high")
    >>> ad.get_float32_matmul_precision()
    'high'
    >>> ad.set_float32_matmul_precision("highest")
    """
    if not isinstance(precision, str):
        kind = type(precision).__name__
        raise TypeError(f"set_float32_matmul_precision(): precision must be str, not {kind}")
    if precision in _PRECISIONS:
        _Settings.precision = precision
    else:
        warnings.warn(f"{precision} is not one of {', '.join(_PRECISIONS)}", stacklevel=2)


def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` was told last.

    >>> ad.get_float32_matmul_precision()
    'highest'
    """
    return _Settings.precision


def set_default_device(device: Any) -> None:
    """Take "cpu" or None. RuntimeError for other devices: there are none.

    >>> ad.set_default_device("cpu")
    """
    if device is None:
        return
    where = _device(device)
    check_device("set_default_device", where)


_device = device


def get_default_device() -> Any:
    """The CPU.

    >>> ad.get_default_device()
    device(type='cpu')
    """
    return CPU


def can_cast(from_: dtype, to: dtype) -> bool:
    """Whether results of one dtype may be written to another: not floats to integers, nor numbers
    to bool.

    >>> ad.can_cast(ad.float32, ad.int64), ad.can_cast(ad.int64, ad.float32)
    (False, True)
    """
    for value in (from_, to):
        if not isinstance(value, dtype):
            raise TypeError(f"can_cast(): a dtype is expected, not {type(value).__name__}")
    return from_.category <= to.category


def set_default_tensor_type(t: Any) -> None:
    """`set_default_dtype`, of a class such as FloatTensor, or its name: TypeError where it is not
    of floating-point numbers.

    >>> ad.set_default_tensor_type("torch.FloatTensor")
    """
    name = t.removeprefix("torch.") if isinstance(t, str) else getattr(t, "__name__", "")
    kinds = {f"{d.title}Tensor": d for d in ALL}
    if name not in kinds or not kinds[name].is_floating_point:
        raise TypeError(f"only floating-point types are supported as the default type, not {t!r}")
    set_default_dtype(kinds[name])


def get_num_interop_threads() -> int:
    """1: operations are run one after the other, each by `get_num_threads()` threads.

    >>> ad.get_num_interop_threads()
    1
    """
    return 1


def set_num_interop_threads(num: int) -> None:
    """Take a number above 0; operations are run one after the other whatever is set.

    >>> ad.set_num_interop_threads(2)
    """
    if not isinstance(num, int) or isinstance(num, bool):
        kind = type(num).__name__
        raise RuntimeError(f"set_num_interop_threads expects an int, but got {kind}")
    if num <= 0:
        raise RuntimeError(f"set_num_interop_threads expects a positive integer, not {num}")


def set_flush_denormal(mode: Any) -> bool:
    """False: denormal numbers are computed with, and nothing was set.

    >>> ad.set_flush_denormal(True)
    False
    """
    if not isinstance(mode, bool):
        raise RuntimeError(f"flush_denormal expects a bool, but got {type(mode).__name__}")
    return False


def compiled_with_cxx11_abi() -> bool:
    """True, as of PyTorch; there is no C++ here.

    >>> ad.compiled_with_cxx11_abi()
    True
    """
    return True
