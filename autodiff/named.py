"""typing.NamedTuple at half its cost: that compiles each field's annotation, which is a tenth of
what this package's import takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:
    from collections import namedtuple

    class _Kind(type):
        def __new__(kind, name: str, bases: tuple[type, ...], scope: dict[str, Any]) -> type:
            fields = scope.get("__annotations__", {})
            defaults = [scope.pop(field) for field in fields if field in scope]
            made = namedtuple(name, fields, defaults=defaults, module=scope["__module__"])
            made.__new__.__annotations__ = fields  # for who looks at the signature
            for key, value in scope.items():
                if key not in ("__module__", "__qualname__"):
                    setattr(made, key, value)
            return made

    NamedTuple = type.__new__(_Kind, "NamedTuple", (), {})
