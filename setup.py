"""The native part of the build; everything else is in pyproject.toml."""

import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
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
PACKED = "-Wl,-z,pack-relative-relocs"  # the kernels' tables are pointers: 1 kB about them, not 67
STABLE = "cp310", "0x030a0000"  # the oldest Python whose interface the extension keeps to
UNPADDED = "-fno-align-jumps"  # as _build.FLAGS has it of functions; clang never pads jumps


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
        for extension in self.extensions:
            if has_stable_abi():
                extension.define_macros.append(("Py_LIMITED_API", STABLE[1]))
            if takes(self.compiler.compiler_so, UNPADDED, "-Werror", "-c"):
                extension.extra_compile_args.append(UNPADDED)
            if loads_packed() and takes(self.compiler.linker_so, PACKED):
                extension.extra_link_args.append(PACKED)
        if self.for_a_wheel:  # a tree keeps the names, for profilers and reports
            for extension in self.extensions:
                extension.extra_link_args.append("-Wl,-s")
        self.compiler.compile = side_by_side(self.compiler.compile)
        super().build_extensions()


def takes(command: list[str], *flags: str) -> bool:
    """Whether this compiler or linker knows these flags."""
    with tempfile.TemporaryDirectory() as folder:
        source_and_result = ["-x", "c", os.devnull, "-o", os.path.join(folder, "probe")]
        probe = [*command, *flags, *source_and_result]
        return subprocess.run(probe, capture_output=True).returncode == 0


def loads_packed() -> bool:
    """Whether this system's loader can read packed relocations."""
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return False
    glibc = (os.confstr("CS_GNU_LIBC_VERSION") or "glibc 0.0").split()[1]
    return tuple(map(int, glibc.split(".")[:2])) >= (2, 36)


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
    options={"bdist_wheel": {"py_limited_api": STABLE[0]}} if has_stable_abi() else {},
)
