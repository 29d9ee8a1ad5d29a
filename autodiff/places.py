"""What a package has of its own, and where else it is looked for: `nn.modules.conv` in `nn`."""

from __future__ import annotations

import sys
from typing import Any


def also_at(package: str, names: str) -> None:
    """Let the modules of these names in a package be the package itself, where it has none."""
    itself = sys.modules[package]
    for name in names.split():
        found = sys.modules.setdefault(f"{package}.{name}", itself)
        if not hasattr(itself, name):
            setattr(itself, name, found)


def own_names(package: dict[str, Any]) -> list[str]:
    """The names in a package's `globals()` of what its modules define."""
    home = package["__name__"]
    return [name for name, x in package.items() if getattr(x, "__module__", "").startswith(home)]
