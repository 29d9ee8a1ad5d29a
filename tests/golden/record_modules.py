"""Records what PyTorch's containers say and do, as modules.json (see recording.py).

Each case is a function of the library, torch or autodiff: the test runs the same text on both.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from golden.recording import failure, write

GOLDEN = Path(__file__).with_name("modules.json")
Case = Callable[[Any], Any]


def layers(lib: Any, *sizes: int) -> list[Any]:
    """Linear layers between neighbouring sizes."""
    return [lib.nn.Linear(a, b) for a, b in pairwise(sizes)]


def custom(lib: Any, text: str, **members: Any) -> Any:
    """A module of the user's own with an extra_repr."""

    class Custom(lib.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            for name, value in members.items():
                setattr(self, name, value)

        def extra_repr(self) -> str:
            return text

    return Custom()


def block(lib: Any, n: int) -> Any:
    """A block of a network."""
    return lib.nn.Sequential(lib.nn.Linear(n, n), lib.nn.ReLU())


def _list(lib: Any, count: int = 4) -> Any:
    return lib.nn.ModuleList(layers(lib, *range(1, count + 2)))


def _dict(lib: Any) -> Any:
    return lib.nn.ModuleDict({"a": lib.nn.Linear(1, 2), "b": lib.nn.Tanh()})


# Modules by name, with their arguments.
MODULES: dict[str, tuple[str, dict[str, Any]]] = {
    f"{name}{''.join(f' {k}={v}' for k, v in options.items())}": (name, options)
    for name, options in [
        ("CELU", {}),
        ("CELU", {"alpha": 2, "inplace": True}),
        ("GLU", {}),
        ("GLU", {"dim": 1}),
        ("Hardshrink", {}),
        ("Hardshrink", {"lambd": 1}),
        ("Hardsigmoid", {}),
        ("Hardsigmoid", {"inplace": True}),
        ("Hardswish", {"inplace": True}),
        ("Hardtanh", {"min_val": -2, "max_val": 3, "inplace": True}),
        ("LogSigmoid", {}),
        ("Mish", {}),
        ("Mish", {"inplace": True}),
        ("PReLU", {}),
        ("PReLU", {"num_parameters": 3, "init": 0.1}),
        ("ReLU6", {}),
        ("ReLU6", {"inplace": True}),
        ("RReLU", {}),
        ("RReLU", {"lower": 0.1, "upper": 0.2, "inplace": True}),
        ("SELU", {}),
        ("SELU", {"inplace": True}),
        ("Softmax2d", {}),
        ("Softmin", {}),
        ("Softmin", {"dim": -1}),
        ("Softshrink", {}),
        ("Softshrink", {"lambd": 0.25}),
        ("Softsign", {}),
        ("Tanhshrink", {}),
        ("Threshold", {"threshold": 0.1, "value": 20}),
        ("Threshold", {"threshold": 1, "value": 2, "inplace": True}),
        ("Unflatten", {"dim": 1, "unflattened_size": (2, 3)}),
        ("Unflatten", {"dim": -1, "unflattened_size": [2, -1]}),
        ("Flatten", {"start_dim": 0, "end_dim": 2}),
        ("Identity", {"a": 1}),
    ]
}
PARAMETERS: dict[str, tuple[tuple[int, ...], str, bool]] = {
    f"{dtype} {shape}{'' if grad else ' frozen'}": (shape, dtype, grad)
    for shape in ((), (3,), (2, 3), (0, 2))
    for dtype, grad in (("float32", True), ("float64", True), ("float32", False), ("int64", False))
}


def module(lib: Any, name: str) -> Any:
    """A module of MODULES."""
    kind, options = MODULES[name]
    return getattr(lib.nn, kind)(**options)


def parameter(lib: Any, name: str) -> Any:
    """A parameter of PARAMETERS."""
    shape, dtype, grad = PARAMETERS[name]
    return lib.nn.Parameter(lib.ones(shape, dtype=getattr(lib, dtype)), requires_grad=grad)


REPRS: dict[str, Case] = {
    **{name: lambda lib, n=name: module(lib, n) for name in MODULES},
    **{name: lambda lib, n=name: parameter(lib, n) for name in PARAMETERS},
    "list": lambda lib: _list(lib),
    "empty list": lambda lib: lib.nn.ModuleList(),
    "list of one": lambda lib: _list(lib, 1),
    "list of alike": lambda lib: lib.nn.ModuleList([lib.nn.Tanh() for _ in range(3)]),
    "list of runs": lambda lib: lib.nn.ModuleList(layers(lib, 1, 2, 2, 2, 3, 3, 3)),
    "list of blocks": lambda lib: lib.nn.ModuleList([block(lib, 2) for _ in range(12)]),
    "list of lists": lambda lib: lib.nn.ModuleList([_list(lib, 1), _list(lib, 1), _list(lib, 2)]),
    "list of a shared module": lambda lib: lib.nn.ModuleList([lib.nn.ReLU()] * 2),
    "list with None": lambda lib: lib.nn.ModuleList([None, None, lib.nn.ReLU()]),
    "list in a row": lambda lib: lib.nn.Sequential(_list(lib, 1), lib.nn.ModuleList()),
    "dict": lambda lib: _dict(lib),
    "empty dict": lambda lib: lib.nn.ModuleDict(),
    "dict of blocks": lambda lib: lib.nn.ModuleDict({"x": block(lib, 3), "y": _list(lib, 2)}),
    "dict of dicts": lambda lib: lib.nn.ModuleDict({"x": _dict(lib), "y": lib.nn.ModuleDict()}),
    "dict from pairs": lambda lib: lib.nn.ModuleDict([("b", block(lib, 1)), ("a", lib.nn.Tanh())]),
    "dict from a dict": lambda lib: lib.nn.ModuleDict(_dict(lib)),
    "row of the same": lambda lib: lib.nn.Sequential(*[lib.nn.Tanh() for _ in range(3)]),
    "row by name": lambda lib: lib.nn.Sequential(
        OrderedDict([("in", lib.nn.Linear(1, 2)), ("out", lib.nn.Linear(2, 1))])
    ),
    "parameter list": lambda lib: _parameters(lib),
    "empty parameter list": lambda lib: lib.nn.ParameterList(),
    "parameter list of scalars": lambda lib: lib.nn.ParameterList([lib.tensor(1.0)] * 2),
    "parameter dict": lambda lib: _named(lib),
    "empty parameter dict": lambda lib: lib.nn.ParameterDict(),
    "parameter dict in a list": lambda lib: lib.nn.ModuleList([_named(lib), _named(lib)]),
    "custom with parameters": lambda lib: custom(lib, "x=1", p=_parameters(lib), d=_named(lib)),
    "custom": lambda lib: custom(lib, ""),
    "custom with a line": lambda lib: custom(lib, "size=3"),
    "custom with lines": lambda lib: custom(lib, "size=3\nother=4"),
    "custom with children": lambda lib: custom(lib, "", a=lib.nn.Tanh(), b=block(lib, 1)),
    "custom with both": lambda lib: custom(lib, "x=1", a=lib.nn.Tanh()),
    "custom with all": lambda lib: custom(lib, "x=1\ny=2", a=_list(lib, 2), b=_dict(lib)),
    "custom in a list": lambda lib: lib.nn.ModuleList([custom(lib, "x=1\ny=2") for _ in range(2)]),
    "custom with an empty place": lambda lib: _with_empty_place(lib),
}


def _parameters(lib: Any) -> Any:
    return lib.nn.ParameterList([lib.ones(2), lib.nn.Parameter(lib.ones(1, 3)), 7])


def _named(lib: Any) -> Any:
    return lib.nn.ParameterDict([("b", lib.ones(2)), ("a", lib.ones(2, 1).double()), ("x", None)])


def _with_empty_place(lib: Any) -> Any:
    module = lib.nn.Sequential(lib.nn.Tanh())
    module.add_module("gone", None)
    return module


def _without(module: Any, index: Any) -> Any:
    del module[index]
    return module


def _set(module: Any, index: Any, value: Any) -> Any:
    module[index] = value
    return module


def _done(module: Any, *_: Any) -> Any:
    """The module, whatever the call beside it returned."""
    return module


def _list_edits() -> dict[str, Case]:
    edits: dict[str, Callable[[Any, Any], Any]] = {
        "append": lambda m, lib: m.append(lib.nn.Tanh()),
        "extend": lambda m, lib: m.extend([lib.nn.Tanh(), lib.nn.ReLU()]),
        "extend by a list": lambda m, lib: m.extend(lib.nn.ModuleList([lib.nn.ReLU()])),
        "extend by itself": lambda m, lib: m.extend(list(m)),
        "insert": lambda m, lib: _done(m, m.insert(1, lib.nn.Tanh())),
        "insert first": lambda m, lib: _done(m, m.insert(0, lib.nn.Tanh())),
        "insert last": lambda m, lib: _done(m, m.insert(4, lib.nn.Tanh())),
        "add": lambda m, lib: m + (lib.nn.Tanh() for _ in range(2)),
        "add a list": lambda m, lib: m + lib.nn.ModuleList([lib.nn.ReLU()]),
        "pop": lambda m, lib: [m.pop(1), m],
        "pop last": lambda m, lib: [m.pop(-1), m],
        "pop some": lambda m, lib: [m.pop(slice(1, 3)), m],
        "delete": lambda m, lib: _without(m, 0),
        "delete last": lambda m, lib: _without(m, -1),
        "delete some": lambda m, lib: _without(m, slice(None, None, 2)),
        "set": lambda m, lib: _set(m, -2, lib.nn.Tanh()),
        "get": lambda m, lib: [m[0], m[-1], m[1:3], m[::-1], m[5:], len(m), list(m)],
        "in": lambda m, lib: [m[0] in m, lib.nn.Tanh() in m],
        "keys": lambda m, lib: list(m.state_dict()),
        "dir": lambda m, lib: [name for name in dir(m) if name.isdigit()],
    }
    return {
        f"{kind} {name}": lambda lib, make=make, edit=edit: edit(make(lib), lib)
        for kind, make in {"list": _list, "row": lambda lib: lib.nn.Sequential(*_list(lib))}.items()
        for name, edit in edits.items()
        if not (kind == "row" and name.startswith("add"))
    }


EDITS: dict[str, Case] = {
    **_list_edits(),
    "row times": lambda lib: block(lib, 2) * 2,
    "row times in place": lambda lib: block(lib, 2).__imul__(3),
    "row plus": lambda lib: block(lib, 2) + block(lib, 3),
    "row plus in place": lambda lib: block(lib, 2).__iadd__(block(lib, 3)),
    "row named slice": lambda lib: REPRS["row by name"](lib)[1:],
    "dict set": lambda lib: _set(_dict(lib), "c", lib.nn.ReLU()),
    "dict replace": lambda lib: _set(_dict(lib), "a", lib.nn.ReLU()),
    "dict delete": lambda lib: _without(_dict(lib), "a"),
    "dict pop": lambda lib: [(m := _dict(lib)).pop("a"), m],
    "dict clear": lambda lib: _done(m := _dict(lib), m.clear()),
    "dict update": lambda lib: _done(m := _dict(lib), m.update({"b": lib.nn.ReLU(), "c": m["a"]})),
    "dict update by pairs": lambda lib: _done(m := _dict(lib), m.update([["z", lib.nn.ReLU()]])),
    "dict update by dict": lambda lib: _done(m := _dict(lib), m.update(_dict(lib))),
    "dict items": lambda lib: [
        list((m := _dict(lib)).items()),
        list(m.keys()),
        list(m.values()),
        list(m),
        len(m),
        "a" in m,
        "z" in m,
        m["b"],
    ],
    **{
        f"parameters {name}": lambda lib, edit=edit: edit(_parameters(lib), lib)
        for name, edit in {
            "append": lambda m, lib: m.append(lib.zeros(2)),
            "extend": lambda m, lib: m.extend([lib.zeros(2), None]),
            "extend in place": lambda m, lib: m.__iadd__(m),
            "set": lambda m, lib: _set(m, -1, lib.zeros(3)),
            "replace": lambda m, lib: _set(m, 0, lib.zeros(3)),
            "set a number": lambda m, lib: _set(m, 2, 8.0),
            "get": lambda m, lib: [m[0], m[-1], m[1:], m[::-2], len(m), list(m)],
            "keys": lambda m, lib: [list(m.state_dict()), [n for n, _ in m.named_parameters()]],
            "dir": lambda m, lib: [name for name in dir(m) if name.isdigit()],
        }.items()
    },
    **{
        f"named {name}": lambda lib, edit=edit: edit(_named(lib), lib)
        for name, edit in {
            "set": lambda m, lib: _set(m, "c", lib.zeros(2)),
            "replace": lambda m, lib: _set(m, "b", lib.zeros(3)),
            "delete": lambda m, lib: _without(m, "a"),
            "pop": lambda m, lib: [m.pop("b"), m],
            "popitem": lambda m, lib: [m.popitem(), m],
            "clear": lambda m, lib: _done(m, m.clear()),
            "copy": lambda m, lib: [m.copy(), m.copy()["b"] is m["b"]],
            "get": lambda m, lib: [m.get("b"), m.get("z"), m.get("z", 3)],
            "setdefault": lambda m, lib: [m.setdefault("b", 3), m.setdefault("z", lib.ones(1)), m],
            "fromkeys": lambda m, lib: m.fromkeys("pq", lib.ones(1)),
            "or": lambda m, lib: m | lib.nn.ParameterDict({"z": lib.ones(1), "b": lib.ones(3)}),
            "or in place": lambda m, lib: m.__ior__(lib.nn.ParameterDict({"z": 3})),
            "update": lambda m, lib: _done(m, m.update({"z": 1, "y": lib.ones(1)})),
            "update in order": lambda m, lib: _done(m, m.update(OrderedDict(z=1, y=2))),
            "members": lambda m, lib: [
                list(m),
                list(reversed(m)),
                list(m.keys()),
                list(m.items()),
                list(m.values()),
                len(m),
                "a" in m,
                "z" in m,
                list(m.state_dict()),
            ],
        }.items()
    },
    "dict keys": lambda lib: list(lib.nn.ModuleDict({"x": _dict(lib)}).state_dict()),
}
EDITS |= {
    "set_submodule": lambda lib: _done(m := _nest(lib), m.set_submodule("0.1", lib.nn.Tanh())),
    "set_submodule new": lambda lib: _done(m := _nest(lib), m.set_submodule("0.x", lib.nn.Tanh())),
    "set_submodule here": lambda lib: _done(m := _nest(lib), m.set_submodule("0", lib.nn.Tanh())),
    "set_submodule strict": lambda lib: _done(
        m := _nest(lib), m.set_submodule("0.0", lib.nn.Tanh(), strict=True)
    ),
    "modules": lambda lib: [
        [type(x).__name__ for x in lib.nn.Sequential(*[lib.nn.Tanh()] * 2).modules(once)]
        for once in (True, False)
    ],
    "type": lambda lib: [x.dtype for x in _counted(lib).type(lib.float64).state_dict().values()],
    "type by name": lambda lib: _counted(lib).type("torch.DoubleTensor").count.dtype,
    "to_empty": lambda lib: [
        (x.dtype, x.shape) for x in _counted(lib).to_empty(device="cpu").state_dict().values()
    ],
    "to": lambda lib: [
        x.dtype for x in _counted(lib).to("cpu", lib.float64, non_blocking=True).buffers()
    ],
    "setstate": lambda lib: _restored(lib),
}


def _nest(lib: Any) -> Any:
    return lib.nn.Sequential(block(lib, 1))


def _counted(lib: Any) -> Any:
    module = lib.nn.Linear(1, 2)
    module.register_buffer("count", lib.tensor([1]))
    return module


def _restored(lib: Any) -> Any:
    module = lib.nn.Module.__new__(lib.nn.Sequential)
    module.__setstate__(block(lib, 2).__dict__)
    return module


ERRORS: dict[str, Case] = {
    "set_submodule": lambda lib: _nest(lib).set_submodule("0.0.weight", lib.nn.Tanh()),
    "set_submodule path": lambda lib: _nest(lib).set_submodule("x.y", lib.nn.Tanh()),
    "set_submodule strict": lambda lib: _nest(lib).set_submodule("0.x", lib.nn.Tanh(), strict=True),
    "set_submodule empty": lambda lib: _nest(lib).set_submodule("", lib.nn.Tanh()),
    "list index": lambda lib: _list(lib)[4],
    "list negative index": lambda lib: _list(lib)[-5],
    "list index kind": lambda lib: _list(lib)["0"],
    "list set index": lambda lib: _set(_list(lib), 4, lib.nn.Tanh()),
    "list set value": lambda lib: _set(_list(lib), 0, 3),
    "list delete": lambda lib: _without(_list(lib), 4),
    "list append": lambda lib: _list(lib).append(3),
    "list extend": lambda lib: _list(lib).extend(3),
    "list extend module": lambda lib: _list(lib).extend(lib.nn.Tanh()),
    "list of a number": lambda lib: lib.nn.ModuleList([3]),
    "list call": lambda lib: _list(lib)(3),
    "list add": lambda lib: _list(lib) + 3,
    "list pop": lambda lib: lib.nn.ModuleList().pop(0),
    "dict key": lambda lib: _dict(lib)["c"],
    "dict delete": lambda lib: _without(_dict(lib), "c"),
    "dict pop": lambda lib: _dict(lib).pop("c"),
    "dict value": lambda lib: _set(_dict(lib), "c", 3),
    "dict name": lambda lib: _set(_dict(lib), 3, lib.nn.Tanh()),
    "dict dot": lambda lib: _set(_dict(lib), "a.b", lib.nn.Tanh()),
    "dict method": lambda lib: _set(_dict(lib), "keys", lib.nn.Tanh()),
    "dict call": lambda lib: _dict(lib)(3),
    "dict update": lambda lib: _dict(lib).update(3),
    "dict update element": lambda lib: _dict(lib).update([3]),
    "dict update length": lambda lib: _dict(lib).update([("a",)]),
    "parameters index": lambda lib: _parameters(lib)[3],
    "parameters set index": lambda lib: _set(_parameters(lib), -4, 1),
    "parameters extend": lambda lib: _parameters(lib).extend(3),
    "parameters extend tensor": lambda lib: _parameters(lib).extend(lib.ones(2)),
    "parameters call": lambda lib: _parameters(lib)(),
    "named value": lambda lib: _set(_named(lib), "b", 3),
    "named key": lambda lib: _named(lib)["z"],
    "named key kind": lambda lib: _named(lib)[3],
    "named set key kind": lambda lib: _set(lib.nn.ParameterDict(), 3, 1),
    "named delete": lambda lib: _without(_named(lib), "z"),
    "named pop": lambda lib: _named(lib).pop("z"),
    "named popitem": lambda lib: lib.nn.ParameterDict().popitem(),
    "named update": lambda lib: _named(lib).update(3),
    "named update element": lambda lib: _named(lib).update([3]),
    "named update length": lambda lib: _named(lib).update([("a",)]),
    "named call": lambda lib: _named(lib)(3),
    "row add": lambda lib: block(lib, 1) + lib.nn.ModuleList(),
    "row add in place": lambda lib: block(lib, 1).__iadd__(3),
    "row times": lambda lib: block(lib, 1) * 0,
    "row times in place": lambda lib: block(lib, 1).__imul__(-1),
    "row times a float": lambda lib: block(lib, 1) * 1.5,
    "row insert": lambda lib: block(lib, 1).insert(0, 3),
}


def main() -> None:
    """Writes modules.json."""
    import torch

    write(
        GOLDEN,
        reprs={name: repr(case(torch)) for name, case in REPRS.items()},
        edits={name: repr(case(torch)) for name, case in EDITS.items()},
        errors={name: failure(case, torch) for name, case in ERRORS.items()},
    )


if __name__ == "__main__":
    main()
