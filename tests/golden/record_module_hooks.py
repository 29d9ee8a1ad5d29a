"""Records what PyTorch's module hooks see and change, as module_hooks.json (see recording.py).

Each case is a function of the library, torch or autodiff: the test runs the same text on both.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from golden.recording import plain, write

GOLDEN = Path(__file__).with_name("module_hooks.json")
Case = Callable[[Any, list[Any]], Any]


def double(lib: Any) -> Any:
    """A module of two arguments, one by keyword."""

    class Double(lib.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, x: Any, *more: Any, scale: float = 2.0) -> Any:
            if more:
                return (x * scale, *more)
            return x * scale

    return Double()


def failing(lib: Any) -> Any:
    """A module that raises."""

    class Failing(lib.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, x: Any) -> Any:
            raise ValueError("forward failed")

    return Failing()


def logger(log: list[Any], name: str, result: Any = None) -> Callable[..., Any]:
    """A hook that logs all it is given but the module, and returns what it is told to."""

    def hook(module: Any, *given: Any) -> Any:
        log.append([name, plain(given)])
        return result(*given) if callable(result) else result

    return hook


def leaf(lib: Any) -> Any:
    """A tensor that requires grad."""
    return lib.tensor([1.0, -2.0], requires_grad=True)


# ---- forward ----


def order(lib: Any, log: list[Any]) -> Any:
    """Hooks in order, some put first."""
    m = double(lib)
    for name in ("a", "b"):
        m.register_forward_pre_hook(logger(log, f"pre {name}"))
        m.register_forward_hook(logger(log, f"post {name}"))
    m.register_forward_pre_hook(logger(log, "pre first"), prepend=True)
    m.register_forward_hook(logger(log, "post first"), prepend=True)
    return m(lib.ones(1))


def changing(lib: Any, log: list[Any]) -> Any:
    """Hooks that change arguments and outputs."""
    m = double(lib)
    m.register_forward_pre_hook(logger(log, "pre", lambda args: args[0] + 1))
    m.register_forward_pre_hook(logger(log, "pre tuple", lambda args: (args[0] + 1, 5)))
    m.register_forward_hook(logger(log, "post", lambda args, out: out[0] * 10))
    m.register_forward_hook(logger(log, "post again", lambda args, out: [out, out]))
    return m(lib.ones(1))


def keywords(lib: Any, log: list[Any]) -> Any:
    """Hooks that see keyword arguments, and change them."""
    m = double(lib)
    change = logger(log, "pre", lambda args, kwargs: (args, {"scale": kwargs["scale"] + 1}))
    m.register_forward_pre_hook(change, with_kwargs=True)
    m.register_forward_pre_hook(logger(log, "without"))
    m.register_forward_hook(logger(log, "post"), with_kwargs=True)
    return m(lib.ones(1), scale=3.0)


def removed(lib: Any, log: list[Any]) -> Any:
    """Hooks removed: by hand, twice, at the end of a with, and by another hook."""
    m = double(lib)
    handle = m.register_forward_hook(logger(log, "gone"))
    handle.remove()
    handle.remove()
    with m.register_forward_pre_hook(logger(log, "within")):
        m(lib.ones(1))
    handles: list[Any] = []
    m.register_forward_hook(logger(log, "remover", lambda *_: handles[0].remove()))
    handles.append(m.register_forward_hook(logger(log, "removed")))
    m(lib.ones(1))
    return m(lib.ones(1))


def added(lib: Any, log: list[Any]) -> Any:
    """A hook that adds a hook: it is called from the next time on."""
    m = double(lib)

    def add(module: Any, args: Any, out: Any) -> None:
        log.append("adding")
        module.register_forward_hook(logger(log, "added"))

    handle = m.register_forward_hook(add)
    m(lib.ones(1))
    handle.remove()
    return m(lib.ones(1))


def always(lib: Any, log: list[Any]) -> Any:
    """Hooks called also where forward raises, some with errors of their own."""
    m = failing(lib)
    m.register_forward_hook(logger(log, "never"))
    m.register_forward_hook(logger(log, "always", 3), always_call=True)
    m.register_forward_hook(logger(log, "keywords"), always_call=True, with_kwargs=True)
    m.register_forward_hook(logger(log, "error", lambda *_: 1 / 0), always_call=True)
    m.register_forward_hook(logger(log, "after"), always_call=True)
    return m(lib.ones(1))


def always_of_hook(lib: Any, log: list[Any]) -> Any:
    """A hook raises: those behind it that are always called are, each once."""
    m = double(lib)
    m.register_forward_hook(logger(log, "first"), always_call=True)
    m.register_forward_hook(logger(log, "error", lambda *_: 1 / 0))
    m.register_forward_hook(logger(log, "last"), always_call=True)
    return m(lib.ones(1))


def wrong_pre_hook(lib: Any, log: list[Any]) -> Any:
    """A pre-hook with keywords that returns no pair."""
    m = double(lib)
    m.register_forward_pre_hook(logger(log, "pre", 3), with_kwargs=True)
    return m(lib.ones(1))


def nested(lib: Any, log: list[Any]) -> Any:
    """Hooks of a row and of what is in it."""
    row = lib.nn.Sequential(double(lib), double(lib))
    row.register_forward_hook(logger(log, "row"))
    row[1].register_forward_pre_hook(logger(log, "second"))
    return row(lib.ones(1))


def of_all(lib: Any, log: list[Any]) -> Any:
    """Hooks of all modules come before a module's own."""
    module = getattr(lib.nn, "modules", lib.nn).module
    m = lib.nn.Sequential(double(lib))
    m[0].register_forward_pre_hook(logger(log, "own pre"))
    m[0].register_forward_hook(logger(log, "own"))
    m[0].register_full_backward_hook(logger(log, "own backward"))
    handles = [
        module.register_module_forward_pre_hook(logger(log, "pre")),
        module.register_module_forward_hook(logger(log, "post"), with_kwargs=True),
        module.register_module_full_backward_pre_hook(logger(log, "backward pre")),
        module.register_module_full_backward_hook(logger(log, "backward")),
    ]
    try:
        m(leaf(lib)).sum().backward()
    finally:
        for handle in handles:
            handle.remove()
    return m(leaf(lib))


def of_all_nodes(lib: Any, log: list[Any]) -> Any:
    """The older kind of all modules, beside others of a module's own; not beside those of all.

    PyTorch remembers the kind when the hooks are gone.
    """
    module = getattr(lib.nn, "modules", lib.nn).module
    module._global_is_full_backward_hook = None
    m = lib.nn.Sequential(lib.nn.Linear(1, 1, bias=False), double(lib))
    lib.nn.init.ones_(m[0].weight)
    m[1].register_full_backward_hook(logger(log, "own backward"))
    handle = module.register_module_backward_hook(logger(log, "of the node"))
    try:
        m(leaf(lib).reshape(-1, 1)).sum().backward()
        try:
            module.register_module_full_backward_hook(logger(log, "never"))
        except RuntimeError:
            log.append("refused")
    finally:
        handle.remove()
        module._global_is_full_backward_hook = None
    return m(leaf(lib).reshape(-1, 1)).shape[0]


# ---- backward ----


def backward(lib: Any, log: list[Any]) -> Any:
    """Gradients of inputs and outputs, in the order of backward."""
    row = lib.nn.Sequential(lib.nn.Tanh(), lib.nn.Sigmoid())
    for name, m in (("row", row), ("tanh", row[0]), ("sigmoid", row[1])):
        m.register_full_backward_hook(logger(log, name))
        m.register_full_backward_pre_hook(logger(log, f"{name} pre"))
    x = leaf(lib)
    y = row(x)
    log.append([y.grad_fn.name(), y.grad_fn.next_functions[0][0].name()])
    y.sum().backward()
    return x.grad


def backward_order(lib: Any, log: list[Any]) -> Any:
    """Several hooks of a kind, some put first, some removed."""
    m = lib.nn.Tanh()
    for name in ("a", "b"):
        m.register_full_backward_hook(logger(log, name))
        m.register_full_backward_pre_hook(logger(log, f"pre {name}"))
    m.register_full_backward_hook(logger(log, "first"), prepend=True)
    m.register_full_backward_pre_hook(logger(log, "pre first"), prepend=True)
    m.register_full_backward_hook(logger(log, "gone")).remove()
    m(leaf(lib)).sum().backward()


def backward_changing(lib: Any, log: list[Any]) -> Any:
    """Hooks that change gradients."""
    m = double(lib)
    m.register_full_backward_pre_hook(logger(log, "pre", lambda g: (g[0] * 10,)))
    m.register_full_backward_hook(logger(log, "post", lambda gi, go: (gi[0] + go[0],)))
    m.register_full_backward_hook(logger(log, "again", lambda gi, go: (gi[0] * 2,)))
    x = leaf(lib)
    m(x).sum().backward()
    return x.grad


def backward_several(lib: Any, log: list[Any]) -> Any:
    """Inputs and outputs of which some are no tensors, or need no gradient, or are not used."""
    m = double(lib)
    m.register_full_backward_hook(logger(log, "post"))
    m.register_full_backward_pre_hook(logger(log, "pre"))
    x, other = leaf(lib), leaf(lib)
    m(x, 3, lib.ones(2), other)[0].sum().backward()
    y = m(x, 3, other)
    (y[0] * y[2]).sum().backward()
    return [x.grad, other.grad]


def backward_from_parameters(lib: Any, log: list[Any]) -> Any:
    """No input needs a gradient: the hooks are called when those of the outputs are known."""
    m = lib.nn.Linear(2, 1)
    m.register_full_backward_hook(logger(log, "post"))
    m(lib.ones(2)).sum().backward()
    return m.bias.grad


def backward_by_keyword(lib: Any, log: list[Any]) -> Any:
    """Inputs by keyword are not among those that hooks see."""
    m = double(lib)
    m.register_full_backward_hook(logger(log, "post"))
    x = leaf(lib)
    m(x=x).sum().backward()
    return x.grad


def backward_of_dict(lib: Any, log: list[Any]) -> Any:
    """An output that is no tensor: a warning, and no call."""
    m = lib.nn.Identity()
    m.register_forward_hook(lambda module, args, out: {"y": out * 2})
    m.register_full_backward_hook(logger(log, "post"))
    x = leaf(lib)
    m(x)["y"].sum().backward()
    return x.grad


def backward_twice(lib: Any, log: list[Any]) -> Any:
    """Double backward: cotangents that come past the outputs call no hook."""
    m = lib.nn.Tanh()
    m.register_full_backward_hook(logger(log, "post"))
    x = leaf(lib)
    (g,) = lib.autograd.grad(m(x).sum(), x, create_graph=True)
    (h,) = lib.autograd.grad(g.sum(), x)
    return [g, h]


def backward_unrecorded(lib: Any, log: list[Any]) -> Any:
    """Without grad mode, there is no trace of the hooks."""
    m = lib.nn.Tanh()
    m.register_full_backward_hook(logger(log, "post"))
    with lib.no_grad():
        return m(leaf(lib)).requires_grad


def of_node(lib: Any, log: list[Any]) -> Any:
    """The older hooks: of the node of a module's output."""
    relu, m, x = lib.nn.ReLU(), double(lib), leaf(lib)
    relu.register_backward_hook(logger(log, "relu"))
    handle = m.register_backward_hook(logger(log, "first", lambda got, _: (got[0] * 3, got[1])))
    m.register_backward_hook(logger(log, "second"))
    relu(m(x, scale=x.detach())).sum().backward()
    handle.remove()
    m(x, lib.ones(1), scale=x.detach())[0].sum().backward()
    m(x.detach())
    return x.grad


def of_nodes(lib: Any, log: list[Any]) -> Any:
    """The same where a module is several operations: a warning."""
    m, x = lib.nn.Sequential(lib.nn.Tanh(), lib.nn.ReLU()), leaf(lib)
    m.register_backward_hook(logger(log, "net"))
    m(x).sum().backward()
    return x.grad


def of_node_and_module(lib: Any, log: list[Any]) -> Any:
    """Both kinds at one module."""
    m = double(lib)
    m.register_full_backward_hook(logger(log, "full"))
    m.register_backward_hook(logger(log, "older"))


def _backward_error(kind: str, result: Any, grad: bool = True) -> Case:
    def run(lib: Any, log: list[Any]) -> Any:
        m = lib.nn.Linear(2, 2)
        getattr(m, f"register_full_backward_{kind}")(logger(log, kind, result))
        m(leaf(lib).requires_grad_(grad)).sum().backward()

    return run


def _written_after(lib: Any, log: list[Any]) -> Any:
    m = lib.nn.Tanh()
    m.register_full_backward_hook(logger(log, "post"))
    try:
        m(leaf(lib)).add_(1)
    except RuntimeError as error:
        log.append("is a view and is being modified inplace" in str(error))


CASES: dict[str, Case] = {
    function.__name__: function
    for function in (
        order,
        changing,
        keywords,
        removed,
        added,
        always,
        always_of_hook,
        wrong_pre_hook,
        nested,
        of_all,
        of_all_nodes,
        backward,
        backward_order,
        backward_changing,
        backward_several,
        backward_from_parameters,
        backward_by_keyword,
        backward_of_dict,
        backward_twice,
        backward_unrecorded,
        of_node,
        of_nodes,
        of_node_and_module,
    )
}
CASES |= {
    "too many inputs": _backward_error("hook", lambda gi, go: (None, None)),
    "too many outputs": _backward_error("pre_hook", lambda go: (None, None)),
    "something for nothing": _backward_error("hook", lambda gi, go: (go[0],), grad=False),
    "nothing for nothing": _backward_error("hook", lambda gi, go: (None,), grad=False),
    "written after": _written_after,
}


def run(case: Case, lib: Any) -> dict[str, Any]:
    """What a case logs, warns of, and returns or raises."""
    log: list[Any] = []
    lib.manual_seed(0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = plain(case(lib, log))
        except Exception as error:
            result = [type(error).__name__, str(error)]
    texts = [str(w.message).split(" See ")[0] for w in caught]
    return {"result": result, "log": plain(log), "warnings": texts}


def main() -> None:
    """Writes module_hooks.json."""
    import torch

    write(GOLDEN, cases={name: run(case, torch) for name, case in CASES.items()})


if __name__ == "__main__":
    main()
