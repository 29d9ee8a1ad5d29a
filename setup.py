"""The native part of the build; everything else is in pyproject.toml."""

import os
import platform
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Callable
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

from setuptools import setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import PlatformError

NO_COMPILER = (
    "autodiff is compiled from C, and no C compiler was found ({command!r}): install one "
    "(Debian/Ubuntu: apt install build-essential; Fedora: dnf install gcc; "
    "macOS: xcode-select --install) and try again."
)
NO_HEADERS = (
    "autodiff is compiled from C, and Python's headers were not found in {folder}: install them "
    "(Debian/Ubuntu: apt install python3-dev; Fedora: dnf install python3-devel) and try again."
)


class BuildNative(build_ext):
    """build_ext that says in one sentence what a machine lacks."""

    for_a_wheel = False

    def run(self) -> None:
        in_tree = self.inplace or getattr(self, "editable_mode", False)  # forgotten while it builds
        sanitized = os.environ.get("AUTODIFF_SANITIZE")
        self.for_a_wheel = sys.platform == "linux" and not in_tree and not sanitized
        super().run()

    def build_extensions(self) -> None:
        command = os.environ.get("CC") or getattr(self.compiler, "compiler_so", ["cc"])[0]
        if shutil.which(shlex.split(command)[0]) is None:
            raise PlatformError(NO_COMPILER.format(command=command))
        folder = sysconfig.get_path("include")
        if not Path(folder, "Python.h").exists():
            raise PlatformError(NO_HEADERS.format(folder=folder))
        if self.for_a_wheel:
            for extension in self.extensions:
                extension.extra_link_args += smaller()
        self.compiler.compile = side_by_side(self.compiler.compile)
        super().build_extensions()


def smaller() -> list[str]:
    """What makes a library small that a tree's does without: no names, which profilers and reports
    ask for, and a twentieth less where the loader, glibc's since 2.36, reads packed relocations.
    """
    name, version = platform.libc_ver()
    packs = name == "glibc" and tuple(map(int, version.split("."))) >= (2, 36)
    return ["-Wl,-s", "-Wl,-z,pack-relative-relocs"] if packs else ["-Wl,-s"]


def side_by_side(compile_sources: Callable[..., list[str]]) -> Callable[..., list[str]]:
    """A compiler's `compile` that works on as many sources at once as there are cores."""

    def compile_each(sources: list[str], *args: Any, **kwargs: Any) -> list[str]:
        with ThreadPool(os.cpu_count() or 1) as pool:
            made = pool.map(lambda one: compile_sources([one], *args, **kwargs), sources, 1)
        return [name for names in made for name in names]

    return compile_each


def has_stable_abi() -> bool:
    """Whether one wheel serves this Python and later ones."""
    free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    return platform.python_implementation() == "CPython" and not free_threaded


setup(
    cffi_modules=["autodiff/_build.py:ffibuilder"],
    cmdclass={"build_ext": BuildNative},
    options={"bdist_wheel": {"py_limited_api": "cp310"}} if has_stable_abi() else {},
)
