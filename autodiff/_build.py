"""The cffi build of `autodiff._native`: what setup.py compiles.

Everything is derived: the declarations from csrc/autodiff.h and its parts, the sources from the
folder.
"""

import os
from pathlib import Path

import cffi

CSRC = Path(__file__).parent.parent / "csrc"
_CALLS = "quick", "direct", "lists", "stored", "plan", "look", "replay"
FLAGS = [
    "-std=gnu11",
    "-O2",
    "-ftree-vectorize",  # -O3 besides unrolls and splits: a third more code, no faster
    "-fno-unroll-loops",  # of clang, what no pragma asks for: a quarter more code, no faster
    "-fno-align-functions",  # loops are aligned; the rest of it only makes more code
    "-g0",  # Python's own flags often ask for debug information
    "-fwrapv",
    "-ffp-contract=off",  # an FMA is where the source says so, and nowhere else
    "-fvisibility=hidden",
    "-fno-asynchronous-unwind-tables",  # nothing is thrown through C
    "-pthread",
    "-Wall",
    "-Wextra",
]


def header(name: str = "autodiff.h") -> list[str]:
    """The lines of the native API: those of the header and of its parts, but the preprocessor's."""
    lines = []
    for line in (CSRC / name).read_text().splitlines():
        if line.startswith('#include "api/'):
            lines += header(line.split('"')[1])
        elif not line.startswith("#"):
            lines.append(line)
    return lines


def declarations() -> str:
    """What cffi reads: the native API and our callbacks."""
    ours = [
        'extern "Python" void ad_release_owner(void *);',
        'extern "Python" void ad_tape_notice(int);',
        "int ad_held_start(intptr_t list);",
        "int ad_slots_start(intptr_t list);",
        "int ad_nodes_start(intptr_t list);",
        "int ad_direct(intptr_t f, const char *form, int n_bound, const int64_t *bound, int dims, "
        "int flags, intptr_t list);",
        "int ad_quick(ad_op *op, int flags, intptr_t list);",
        "int ad_lists_start(intptr_t list);",
        "int ad_stored(intptr_t list);",
        "int ad_counts_start(intptr_t list);",
        "int ad_called_start(intptr_t list);",
        "int ad_replay(ad_tape *tape, int n_looks, intptr_t list);",
        "int ad_capsule_append(intptr_t list, void *made, int with_version);",
        "ad_tensor *ad_capsule_take(intptr_t object);",
    ]
    return "\n".join([*header(), *ours])


def flags() -> tuple[list[str], list[str]]:
    """Compiler and linker flags, with what the environment adds.

    AUTODIFF_WERROR=1 turns warnings into errors; AUTODIFF_SANITIZE is a list for -fsanitize.
    """
    compile_args, link_args = list(FLAGS), ["-pthread"]
    if os.environ.get("AUTODIFF_WERROR") == "1":
        compile_args.append("-Werror")
    if sanitizers := os.environ.get("AUTODIFF_SANITIZE"):
        compile_args += [f"-fsanitize={sanitizers}", "-fno-sanitize-recover=undefined"]
        compile_args.append("-fno-sanitize=object-size")  # slow; the address sanitizer sees as much
        compile_args += ["-g1", "-O1", "-fno-omit-frame-pointer"]
        compile_args.append(f'-DAD_SANITIZE=" -fsanitize={sanitizers}"')
        link_args.append(f"-fsanitize={sanitizers}")
    return compile_args, link_args


def files(*patterns: str) -> list[str]:
    """The files of csrc that match, in an order that does not depend on the file system."""
    return sorted(str(path) for pattern in patterns for path in CSRC.glob(pattern))


def make_builder() -> cffi.FFI:
    """The FFI object cffi's setuptools hook asks for."""
    compile_args, link_args = flags()
    builder = cffi.FFI()
    builder.cdef(declarations())
    builder.set_source(
        "autodiff._native",
        "\n".join(
            f'#include "{name}.h"'
            for name in ("autodiff", "held", "slots", "nodes", *_CALLS, "gil", "capsule")
        ),
        sources=files("variants/*.c") + files("*.c"),  # what takes longest first
        depends=files("**/*.h", "*.def"),
        include_dirs=[str(CSRC)],
        libraries=["m"],
        extra_compile_args=compile_args,
        extra_link_args=link_args,
    )
    return builder


ffibuilder = make_builder()
