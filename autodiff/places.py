"""Where else programs look for what a package has: `nn.modules.conv` for `nn`, as in PyTorch."""

from __future__ import annotations

import sys


def also_at(package: str, names: str) -> None:
    """Let the modules of these names in a package be the package itself, where it has none."""
    itself = sys.modules[package]
    for name in names.split():
        found = sys.modules.setdefault(f"{package}.{name}", itself)
        if not hasattr(itself, name):
            setattr(itself, name, found)
