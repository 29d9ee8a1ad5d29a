"""What `python -m autodiff info` prints."""

import platform

from autodiff.native import available_isas, ffi, get_num_threads, lib
from autodiff.version import __version__

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def describe() -> str:
    """How the library was built, what it runs on, and the memory it holds."""
    rows = {
        "autodiff": __version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "compiler": text(lib.ad_compiler()),
        "instructions": f"{text(lib.ad_isa())} (available: {', '.join(available_isas())})",
        "threads": str(get_num_threads()),
        "memory": memory(),
    }
    width = max(map(len, rows)) + 2
    return "\n".join(f"{name:{width}}{value}" for name, value in rows.items())


def memory() -> str:
    """The pool's statistics in words."""
    stats = ffi.new("int64_t[4]")
    lib.ad_memory_stats(stats)
    in_use, cached, peak, blocks = stats
    return f"{size(in_use)} in use in {blocks} blocks, {size(cached)} cached, {size(peak)} at peak"


def size(nbytes: float) -> str:
    """A number of bytes with three digits and a unit."""
    for unit in UNITS[:-1]:
        if nbytes < 1024:
            return f"{nbytes:.3g} {unit}"
        nbytes /= 1024
    return f"{nbytes:.3g} {UNITS[-1]}"


def text(string: object) -> str:
    """A C string, as text."""
    raw: bytes = ffi.string(string)
    return raw.decode()
