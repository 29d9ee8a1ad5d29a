"""The package as users get it: its contents, its imports, its words without a compiler."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from autodiff.info import text
from autodiff.native import lib

ROOT = Path(__file__).parents[1]
SIZE_LIMIT = 2_000_000
NOT_SOURCES = shutil.ignore_patterns(
    ".git", ".venv*", "build", "dist", "*.so", "*.egg-info", ".*_cache"
)


def run_python(
    *args: str, cwd: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    env = os.environ | environment
    return subprocess.run(
        [sys.executable, *args], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )


def another_compiler() -> dict[str, str]:
    """What chooses a compiler that the extension here was not built with, where there is one."""
    ours = text(lib.ad_compiler()).partition(" ")[0]
    others = [name for name in ("clang", "gcc") if name != ours and shutil.which(name)]
    return {"CC": others[0]} if others else {}


def build(kind: str, tree: Path, into: Path) -> Path:
    """Run the PEP 517 hook for `kind` in `tree`, as pip and build do."""
    code = f"from setuptools import build_meta as b; b.build_{kind}({str(into)!r})"
    result = run_python("-c", code, cwd=tree, **another_compiler())
    assert result.returncode == 0, result.stdout + result.stderr
    (made,) = into.iterdir()
    return made


@pytest.mark.slow
def test_sdist_builds_a_small_wheel_without_c(tmp_path: Path) -> None:
    """By the other compiler, if both are here: so both compile every file with the same flags."""
    tree, sdists, wheels = tmp_path / "tree", tmp_path / "sdists", tmp_path / "wheels"
    shutil.copytree(ROOT, tree, ignore=NOT_SOURCES)
    sdists.mkdir()
    wheels.mkdir()

    sdist = build("sdist", tree, sdists)
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    unpacked = tmp_path / sdist.name.removesuffix(".tar.gz")
    for folder in ("csrc", "tests", "autodiff"):
        assert names_in(unpacked / folder) == names_in(tree / folder)

    wheel = build("wheel", unpacked, wheels)
    assert wheel.stat().st_size < SIZE_LIMIT
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = next(name for name in names if name.endswith("/METADATA"))
        assert "License-Expression: MIT" in archive.read(metadata).decode()
    modules = {f"autodiff/{name}" for name in names_in(tree / "autodiff")}
    extensions = {name for name in names if name.endswith(".so")}
    assert {name for name in names if ".dist-info/" not in name} == modules | extensions
    assert len(extensions) == 1
    if sys.implementation.name == "cpython":
        assert "-cp310-abi3-" in wheel.name
        assert extensions == {"autodiff/_native.abi3.so"}


def names_in(folder: Path) -> set[str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)) for path in files if "__pycache__" not in path.parts}


@pytest.mark.parametrize(
    ("environment", "command"),
    [({"CC": "/nonexistent/cc"}, "/nonexistent/cc"), ({"PATH": "/nonexistent", "CC": ""}, "")],
)
def test_without_a_compiler_one_sentence_says_what_to_install(
    environment: dict[str, str], command: str, tmp_path: Path
) -> None:
    folders = ["--build-temp", str(tmp_path), "--build-lib", str(tmp_path)]
    result = run_python("setup.py", "build_ext", *folders, **environment)
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    (sentence,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert "no C compiler was found" in sentence
    assert command in sentence
    for advice in ("apt install build-essential", "dnf install gcc", "xcode-select --install"):
        assert advice in sentence


def test_import_loads_nothing_it_does_not_need() -> None:
    result = run_python("-c", "import autodiff, json, sys; print(json.dumps(list(sys.modules)))")
    assert result.returncode == 0, result.stderr
    loaded = {name.partition(".")[0] for name in json.loads(result.stdout)}
    assert "autodiff" in loaded
    assert not loaded & {"numpy", "matplotlib", "pytest", "hypothesis", "pycparser", "cffi"}
    assert not loaded & {"dataclasses", "inspect", "ctypes", "typing_extensions"}, "slow to import"


def test_import_is_quick(tmp_path: Path) -> None:
    """Some 40 ms of a processor, whatever else it has to do."""
    code = "import time; t = time.process_time(); import autodiff; print(time.process_time() - t)"
    cache = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path)}
    times = [float(run_python("-c", code, **cache).stdout) for _ in range(6)]
    assert min(times[1:]) < 0.2
