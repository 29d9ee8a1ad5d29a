"""Modules whose first values do not count."""

from __future__ import annotations

from typing import Any

from autodiff.nn.module import Module
from autodiff.ops.generator import get_rng_state, set_rng_state


def skip_init(module_cls: type[Module], *args: Any, **kwargs: Any) -> Any:
    """The module `module_cls(*args, **kwargs)`, of whose first values nothing is promised; the
    generator is left as it was. RuntimeError where the class is no Module's, or takes no `device`.

    >>> nn.utils.skip_init(nn.Linear, 5, 1).weight.shape
    torch.Size([1, 5])
    """
    if not (isinstance(module_cls, type) and issubclass(module_cls, Module)):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    code: Any = module_cls.__init__
    if "device" not in code.__code__.co_varnames[: code.__code__.co_argcount]:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    state = get_rng_state()
    try:
        return module_cls(*args, **kwargs)
    finally:
        set_rng_state(state)
