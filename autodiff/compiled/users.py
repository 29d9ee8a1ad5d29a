"""What of Python's objects is the user's, and what a look at one may find."""

from __future__ import annotations

import functools
import io
import os
import pickle
import random
import sys
import sysconfig
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from autodiff.compiled.places import attribute
from autodiff.compiled.reads import MAKING

HOMES = ("stdlib", "platstdlib", "purelib", "platlib")
PACKAGES = [*map(sysconfig.get_path, HOMES), str(Path(__file__).parents[1])]
INSTALLED = (*[str(Path(home)) + os.sep for home in PACKAGES], "<frozen")
ADDED = ("site-packages", "dist-packages")
QUEUES = "_queue", "multiprocessing.queues", "multiprocessing.connection"
OPEN = "argparse", "types"  # whose objects have what anybody puts there


def is_data(part: Any) -> bool:
    """Whether a class's attribute goes before those of its objects: a property, a slot."""
    return hasattr(type(part), "__set__")


def is_followed(part: Any) -> bool:
    """Whether a descriptor is of a class of the user's, whose `__get__` is looked into."""
    return is_users(type(part)) and hasattr(type(part), "__get__")


def is_file(value: Any) -> bool:
    """Whether a value is an installed file of Python, which no script replaces."""
    return isinstance(value, types.ModuleType) and is_installed(value)


def is_special(kind: type, name: str, part: Any) -> bool:
    """Whether a class's method is called though nobody names it, as by operators; but not those
    that dataclasses make.
    """
    if name[:2] != "__" or name[-2:] != "__" or name in MAKING:
        return False
    if not isinstance(part, types.FunctionType) or is_installed(part):
        return False
    return part.__code__.co_filename != "<string>" or not hasattr(kind, "__dataclass_fields__")


def has_fields(kind: type) -> bool:
    """Whether objects of a class are compared, and shown, by all that they have."""
    return hasattr(kind, "__dataclass_fields__") or home_of(kind) in OPEN


def home_of(kind: type) -> str:
    """The module of a class; some have there what finds that of their objects, as Cython's have."""
    return str(kind.__module__)


def is_drawn(value: Any) -> bool:
    """Whether each look at an object finds another thing: an iterator, a generator of numbers."""
    if isinstance(value, random.Random) or home_of(type(value)).startswith("numpy.random"):
        return True
    if home_of(type(value)) in QUEUES:
        return True
    if isinstance(value, io.IOBase):
        return not value.closed and value.readable()
    if not isinstance(value, Iterator):
        return False
    step = attribute(type(value), "__next__")  # of the user's, it is looked into
    return not isinstance(step, types.FunctionType) or is_installed(step)


def position(value: Any) -> Any:
    """What such an object gives next, as far as that can be told; else another at each look."""
    try:
        if isinstance(value, io.IOBase):
            return value.tell()
        if not isinstance(value, Iterator):
            return pickle.dumps(value)
        if type(value).__module__ == "builtins":
            return value.__length_hint__()  # type: ignore[attr-defined]
    except Exception:  # numbers of the system, a class that cannot be pickled, a generator
        pass
    return object()


def of_language(thing: Any) -> bool:
    """Whether a class or function is one of Python's, in a file of its own."""
    home = home_of(thing).split(".")[0]
    return home in sys.stdlib_module_names and home not in OPEN


def is_ours(kind: type) -> bool:
    """Whether a class is one of this library's or of the language's own."""
    return home_of(kind).split(".")[0] in ("autodiff", "builtins")


@functools.lru_cache(4096)
def is_installed_file(name: str) -> bool:
    """Whether a file is the language's, this library's, or of an installed package."""
    return name.startswith(INSTALLED) or any(home in name for home in ADDED)


def is_users(kind: type) -> bool:
    """Whether a class is of a file of the user's."""
    file = sys.modules.get(home_of(kind))
    return file is None or not is_installed(file)


def is_installed(thing: Any) -> bool:
    """Whether a function, class or file of Python is no user's."""
    if isinstance(thing, types.FunctionType):
        return is_installed_file(thing.__code__.co_filename)
    if isinstance(thing, type):
        return is_ours(thing)
    file = attribute(thing, "__file__")
    return thing.__name__ in sys.builtin_module_names or (
        isinstance(file, str) and is_installed_file(file)
    )
