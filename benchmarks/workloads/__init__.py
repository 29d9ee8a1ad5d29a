"""What is measured: a module a group, each with its list WORKLOADS."""

import importlib
import pkgutil

from workload import Workload


def all_workloads() -> list[Workload]:
    """Every workload, in the order of the modules' names."""
    found: list[Workload] = []
    for module in sorted(m.name for m in pkgutil.iter_modules(__path__)):
        found += importlib.import_module(f"workloads.{module}").WORKLOADS
    return found
