"""Records PyTorch's hooks and custom functions as hooks.json (see recording.py).

Each program is one text for both libraries; what it returns, or the type it raises, is recorded.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from golden.recording import plain, write

GOLDEN = Path(__file__).parent / "hooks.json"
Library = Any
PROGRAMS: dict[str, Callable[[Library], Any]] = {}


def program(function: Callable[[Library], Any]) -> Callable[[Library], Any]:
    PROGRAMS[function.__name__] = function
    return function


def outcome(lib: Library, name: str) -> Any:
    """What a program returns, or the name of what it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return plain(PROGRAMS[name](lib))
        except Exception as failure:
            return {"raises": type(failure).__name__}


def leaf(lib: Library, *values: float) -> Any:
    return lib.tensor(values or (1.0, 2.0), requires_grad=True)


# ---- hooks of tensors ----


@program
def tensor_hooks_in_order(lib: Library) -> Any:
    x, log = leaf(lib), []
    y = x * 2
    y.register_hook(lambda g: log.append(plain(g)))
    y.register_hook(lambda g: g * 10)
    y.register_hook(lambda g: log.append(plain(g)))
    y.sum().backward()
    return log, x.grad


@program
def retained_is_after_all_hooks(lib: Library) -> Any:
    x = leaf(lib)
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda g: g * 10)
    y.sum().backward()
    return y.grad, x.grad, y.retains_grad, x.retains_grad


@program
def retained_adds_up(lib: Library) -> Any:
    y = leaf(lib) * 2
    y.retain_grad()
    (y * y).sum().backward(retain_graph=True)
    first = y.grad.clone()
    y.sum().backward()
    return first, y.grad


@program
def retained_moves_with_a_write(lib: Library) -> Any:
    y = leaf(lib) * 2
    log: list[Any] = []
    y.retain_grad()
    y.register_hook(lambda g: log.append(("old", plain(g))))
    y.mul_(3)
    y.register_hook(lambda g: log.append(("new", plain(g))))
    (y * y).sum().backward()
    return log, y.grad


@program
def retain_grad_of_a_leaf(lib: Library) -> Any:
    x = leaf(lib)
    x.retain_grad()
    x.sum().backward()
    return x.grad, x.retains_grad


@program
def leaf_hook_changes_what_accumulates(lib: Library) -> Any:
    x = leaf(lib)
    x.register_hook(lambda g: g * 5)
    (x * 2).sum().backward()
    (x * 2).sum().backward()
    return x.grad, lib.autograd.grad((x * 2).sum(), x)


@program
def hook_kept_gradient_is_not_written_to(lib: Library) -> Any:
    x, kept = leaf(lib), []
    x.register_hook(lambda g: kept.append(g))
    (x * 2).sum().backward()
    (x * 3).sum().backward()
    return kept, x.grad


@program
def removed_hook(lib: Library) -> Any:
    x = leaf(lib)
    handle = x.register_hook(lambda g: g * 5)
    with x.register_hook(lambda g: g * 7):
        (x * 2).sum().backward()
    handle.remove()
    handle.remove()
    (x * 2).sum().backward()
    return x.grad


@program
def hook_removes_itself(lib: Library) -> Any:
    x, handles = leaf(lib), []

    def hook(g: Any) -> Any:
        handles[0].remove()
        return g * 5

    handles.append(x.register_hook(hook))
    (x * 2).sum().backward()
    (x * 2).sum().backward()
    return x.grad


@program
def post_accumulate(lib: Library) -> Any:
    x, log = leaf(lib), []
    x.register_post_accumulate_grad_hook(lambda p: log.append((p is x, plain(p.grad))))
    (x * 2).sum().backward()
    (x * 2).sum().backward(inputs=[x])
    lib.autograd.grad((x * 2).sum(), x)
    return log


@program
def post_accumulate_clears_grad(lib: Library) -> Any:
    x = leaf(lib)

    def hook(p: Any) -> None:
        p.grad = None

    x.register_post_accumulate_grad_hook(hook)
    (x * 2).sum().backward()
    return x.grad is None


@program
def hook_on_captured(lib: Library) -> Any:
    y = leaf(lib) * 2
    y.register_hook(lambda g: g * 10)
    return lib.autograd.grad((y * 3).sum(), y)


@program
def hook_under_create_graph(lib: Library) -> Any:
    x = leaf(lib)
    y = x * x
    y.register_hook(lambda g: g * x)
    (g,) = lib.autograd.grad((y * y).sum(), x, create_graph=True)
    return g, lib.autograd.grad(g.sum(), x)


# ---- hooks of nodes ----


@program
def node_hooks(lib: Library) -> Any:
    x, log = leaf(lib), []
    y = x * 2
    y.register_hook(lambda g: log.append("tensor"))
    y.grad_fn.register_prehook(lambda gs: log.append(("before", plain(gs))))
    y.grad_fn.register_prehook(lambda gs: (gs[0] * 7,))
    y.grad_fn.register_hook(lambda inputs, outputs: log.append(("after", plain(outputs))))
    y.grad_fn.register_hook(lambda inputs, outputs: (inputs[0] * 3, None))
    y.sum().backward()
    return log, x.grad


@program
def hook_of_accumulate_grad(lib: Library) -> Any:
    x, log = leaf(lib), []
    node = (x * 1).grad_fn.next_functions[0][0]
    node.register_hook(lambda inputs, outputs: log.append(plain(x.grad)))
    (x * 2).sum().backward()
    return log, node.variable is x


@program
def next_functions(lib: Library) -> Any:
    x = leaf(lib)
    node = (x * 2).sum().grad_fn
    behind = node.next_functions[0][0]
    ends = [(None if n is None else n.name().split("::")[-1], i) for n, i in behind.next_functions]
    return node.name(), behind.name(), ends


# ---- hooks that are wrong ----


def _hooked(lib: Library, hook: Any) -> Any:
    y = leaf(lib) * 2
    y.register_hook(hook)
    y.sum().backward()


PROGRAMS["hook_returns_number"] = lambda lib: _hooked(lib, lambda g: 3)
PROGRAMS["hook_changes_shape"] = lambda lib: _hooked(lib, lambda g: lib.ones(3))
PROGRAMS["hook_changes_dtype"] = lambda lib: _hooked(lib, lambda g: g.double())
PROGRAMS["hook_without_grad"] = lambda lib: lib.ones(2).register_hook(lambda g: g)
PROGRAMS["retain_without_grad"] = lambda lib: lib.ones(2).retain_grad()


@program
def post_accumulate_of_no_leaf(lib: Library) -> Any:
    (leaf(lib) * 2).register_post_accumulate_grad_hook(lambda g: None)


@program
def prehook_returns_number(lib: Library) -> Any:
    y = leaf(lib) * 2
    y.grad_fn.register_prehook(lambda gs: 3)
    y.sum().backward()


@program
def prehook_returns_too_many(lib: Library) -> Any:
    y = leaf(lib) * 2
    y.grad_fn.register_prehook(lambda gs: (gs[0], gs[0]))
    y.sum().backward()


@program
def hook_returns_too_few(lib: Library) -> Any:
    y = leaf(lib) * 2
    y.grad_fn.register_hook(lambda inputs, outputs: (outputs[0],))
    y.sum().backward()


# ---- Function ----


def cube(lib: Library, **members: Any) -> Any:
    """A Function x -> k x^3, with what a test changes in it."""

    def forward(ctx: Any, x: Any, k: float = 1.0) -> Any:
        ctx.save_for_backward(x)
        ctx.k = k
        return x * x * x * k

    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return 3 * x * x * g * ctx.k, None

    made = {"forward": forward, "backward": backward, **members}
    return type("Cube", (lib.autograd.Function,), {k: staticmethod(f) for k, f in made.items()})


@program
def function_and_its_derivatives(lib: Library) -> Any:
    x = leaf(lib)
    y = cube(lib).apply(x, 2.0)
    (g,) = lib.autograd.grad(y.sum(), x, create_graph=True)
    return y, g, lib.autograd.grad(g.sum(), x), y.grad_fn.name(), y.grad_fn.k


@program
def function_by_keyword(lib: Library) -> Any:
    x = leaf(lib)
    cube(lib).apply(x, k=2.0).sum().backward()
    return x.grad


@program
def function_without_grad(lib: Library) -> Any:
    with lib.no_grad():
        inside = cube(lib).apply(leaf(lib), 2.0).requires_grad
    return inside, cube(lib).apply(lib.ones(2), 2.0).requires_grad


@program
def function_twice_through(lib: Library) -> Any:
    y = cube(lib).apply(leaf(lib), 2.0)
    y.sum().backward()
    y.sum().backward()


@program
def function_saved_after_backward(lib: Library) -> Any:
    y = cube(lib).apply(leaf(lib), 2.0)
    y.sum().backward()
    return y.grad_fn.saved_tensors


@program
def function_saved_is_input(lib: Library) -> Any:
    x = leaf(lib)
    return cube(lib).apply(x, 2.0).grad_fn.saved_tensors[0] is x


@program
def function_saved_written_to(lib: Library) -> Any:
    z = leaf(lib) * 1
    y = cube(lib).apply(z, 2.0)
    z.add_(1)
    y.sum().backward()


@program
def function_saves_its_output(lib: Library) -> Any:
    def forward(ctx: Any, x: Any) -> Any:
        y = x.exp()
        ctx.save_for_backward(y, None)
        return y

    def backward(ctx: Any, g: Any) -> Any:
        y, nothing = ctx.saved_tensors
        assert nothing is None
        return g * y

    x = leaf(lib, 0.5, -1.0)
    y = cube(lib, forward=forward, backward=backward).apply(x)
    (g,) = lib.autograd.grad(y.sum(), x, create_graph=True)
    return g, lib.autograd.grad(g.sum(), x)


@program
def function_context_set_up_apart(lib: Library) -> Any:
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        x, ctx.k = inputs
        ctx.save_for_backward(x, output)

    def backward(ctx: Any, g: Any) -> Any:
        x, y = ctx.saved_tensors
        return g * ctx.k * y / x, None

    x = leaf(lib)
    function = cube(lib, forward=lambda x, k: x * k, setup_context=setup_context, backward=backward)
    y = function.apply(x, 3.0)
    y.sum().backward()
    return y, x.grad


def pair(lib: Library, materialize: bool = True, **members: Any) -> Any:
    """A Function of two inputs with four outputs, two of them tensors."""

    def forward(ctx: Any, a: Any, b: Any) -> Any:
        ctx.set_materialize_grads(materialize)
        ctx.needs = ctx.needs_input_grad
        return a * 2, b * 3, "text", None

    def backward(ctx: Any, *gs: Any) -> Any:
        pair.seen = [plain(g) for g in gs]  # type: ignore[attr-defined]
        return None if gs[0] is None else gs[0] * 2, None if gs[1] is None else gs[1] * 3

    return cube(lib, **{"forward": forward, "backward": backward, **members})


@program
def several_outputs(lib: Library) -> Any:
    a, b = leaf(lib), leaf(lib, 1, 2, 3)
    y, z, text, nothing = pair(lib).apply(a, b)
    same = y.grad_fn is z.grad_fn
    (y.sum() * 5 + (z * z).sum() + y.sum()).backward()
    return same, text, nothing, a.grad, b.grad, pair.seen  # type: ignore[attr-defined]


@program
def one_of_several_outputs(lib: Library) -> Any:
    a, b = leaf(lib), leaf(lib, 1, 2, 3)
    pair(lib).apply(a, b)[0].sum().backward()
    return a.grad, b.grad, pair.seen  # type: ignore[attr-defined]


@program
def zeros_not_materialized(lib: Library) -> Any:
    a, b = leaf(lib), leaf(lib, 1, 2, 3)
    pair(lib, materialize=False).apply(a, b)[0].sum().backward()
    return a.grad, b.grad is None, pair.seen  # type: ignore[attr-defined]


@program
def outputs_of_inputs_without_grad(lib: Library) -> Any:
    y, z, *_ = pair(lib).apply(leaf(lib), lib.ones(3))
    return y.requires_grad, z.requires_grad, y.grad_fn.needs


@program
def edges_of_several_outputs(lib: Library) -> Any:
    y, z, *_ = pair(lib).apply(leaf(lib), leaf(lib, 1, 2, 3))
    node = (z * 2).grad_fn.next_functions[0]
    return node[0] is y.grad_fn, node[1], (y + y).grad_fn.next_functions[1][1]


@program
def captured_outputs(lib: Library) -> Any:
    a, b = leaf(lib), leaf(lib, 1, 2, 3)
    y, z, *_ = pair(lib).apply(a, b)
    total = (y * y).sum() + (z * z).sum()
    return lib.autograd.grad(total, [y, z, a, b])


@program
def hooks_of_several_outputs(lib: Library) -> Any:
    a, b, log = leaf(lib), leaf(lib, 1, 2, 3), []
    y, z, *_ = pair(lib).apply(a, b)
    z.register_hook(lambda g: g * 10)
    y.grad_fn.register_prehook(lambda gs: log.append(plain(gs)))
    y.grad_fn.register_hook(lambda inputs, outputs: log.append(plain(inputs)))
    (y.sum() + z.sum()).backward()
    return log, a.grad, b.grad


def _returning(lib: Library, *found: Any) -> Any:
    function = cube(
        lib, forward=lambda ctx, a, b: a * 1.0, backward=lambda ctx, g: found if found else g
    )
    a = leaf(lib)
    function.apply(a, 2.0 if len(found) < 3 else lib.ones(2)).sum().backward()
    return a.grad


@program
def one_gradient_for_two_inputs(lib: Library) -> Any:
    return _returning(lib)


@program
def too_many_gradients(lib: Library) -> Any:
    return _returning(lib, lib.ones(2), lib.ones(2), lib.ones(2))


@program
def gradients_none_beyond_the_inputs(lib: Library) -> Any:
    return _returning(lib, lib.ones(2), None, None)


@program
def gradient_of_wrong_shape(lib: Library) -> Any:
    return _returning(lib, lib.ones(5), None)


@program
def gradient_that_broadcasts(lib: Library) -> Any:
    return _returning(lib, lib.ones(4, 2), None)


@program
def gradient_of_another_dtype(lib: Library) -> Any:
    return _returning(lib, lib.ones(2).double(), None)


@program
def gradient_that_is_a_number(lib: Library) -> Any:
    return _returning(lib, 3, None)


@program
def gradient_for_no_tensor(lib: Library) -> Any:
    return _returning(lib, lib.ones(2), lib.ones(2))


@program
def nothing_saved_but_numbers(lib: Library) -> Any:
    def forward(ctx: Any, x: Any, k: float) -> Any:
        ctx.save_for_backward(3)
        return x * k

    return cube(lib, forward=forward).apply(leaf(lib), 2.0)


@program
def function_without_backward(lib: Library) -> Any:
    class Half(lib.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

    Half.apply(leaf(lib)).sum().backward()


@program
def function_without_forward(lib: Library) -> Any:
    return type("Empty", (lib.autograd.Function,), {}).apply(leaf(lib))


@program
def function_as_instance(lib: Library) -> Any:
    return cube(lib)()(leaf(lib))


@program
def differentiable_once(lib: Library) -> Any:
    once = lib.autograd.function.once_differentiable
    members = {"backward": once(cube(lib).backward)}
    x = leaf(lib)
    cube(lib, **members).apply(x, 2.0).sum().backward()
    (g,) = lib.autograd.grad((cube(lib, **members).apply(x, 2.0) ** 2).sum(), x, create_graph=True)
    first = x.grad.tolist()
    try:
        g.sum().backward()
    except RuntimeError as failure:
        return first, g, g.requires_grad, "once_differentiable" in str(failure)
    return None


# ---- Function: writes and views ----


def dirty(lib: Library, returned: Callable[[Any], Any] = lambda x: x) -> Any:
    """A Function that doubles its input in place."""

    def forward(ctx: Any, x: Any) -> Any:
        x.mul_(2)
        ctx.mark_dirty(x)
        return returned(x)

    return cube(lib, forward=forward, backward=lambda ctx, g: g * 2)


@program
def written_input(lib: Library) -> Any:
    a = leaf(lib)
    z = a * 3
    y = dirty(lib).apply(z)
    (z * z).sum().backward()
    return y is z, y, a.grad


@program
def written_view(lib: Library) -> Any:
    a = leaf(lib)
    z = a * 3
    part = z[:1]
    dirty(lib).apply(part)
    (z * z).sum().backward()
    return z, a.grad


@program
def written_leaf(lib: Library) -> Any:
    return dirty(lib).apply(leaf(lib))


@program
def written_and_not_returned(lib: Library) -> Any:
    return dirty(lib, lambda x: x.clone()).apply(leaf(lib) * 1)


def viewing(lib: Library, forward: Callable[[Any], Any]) -> Any:
    return cube(
        lib,
        forward=lambda ctx, x: forward(x),
        backward=lambda ctx, g: g.reshape(2) * 5,
    )


@program
def input_returned_as_it_came(lib: Library) -> Any:
    a = leaf(lib)
    y = viewing(lib, lambda x: x).apply(a)
    y.sum().backward()
    return y is a, y.data_ptr() == a.data_ptr(), a.grad, y.grad_fn.name()


@program
def write_to_returned_input(lib: Library) -> Any:
    viewing(lib, lambda x: x).apply(leaf(lib) * 1).mul_(2)


@program
def view_returned(lib: Library) -> Any:
    a = leaf(lib)
    y = viewing(lib, lambda x: x.view(1, 2)).apply(a)
    y.sum().backward()
    return y, a.grad


@program
def write_to_returned_view(lib: Library) -> Any:
    viewing(lib, lambda x: x.view(1, 2)).apply(leaf(lib) * 1).mul_(2)


@program
def write_to_base_of_returned_view(lib: Library) -> Any:
    z = leaf(lib) * 1
    y = viewing(lib, lambda x: x.view(1, 2)).apply(z)
    z.mul_(2)
    return y.sum()


@program
def outputs_without_derivative(lib: Library) -> Any:
    seen: list[Any] = []

    def forward(ctx: Any, x: Any) -> Any:
        m = x * 2
        ctx.mark_non_differentiable(m)
        return x * 3, m, x > 1

    def backward(ctx: Any, *gs: Any) -> Any:
        seen.extend(map(plain, gs))
        return gs[0] * 3

    a = leaf(lib)
    ys = cube(lib, forward=forward, backward=backward).apply(a)
    ys[0].sum().backward()
    return [y.requires_grad for y in ys], ys, seen, a.grad


@program
def graph_inside_forward(lib: Library) -> Any:
    def forward(ctx: Any, x: Any) -> Any:
        with lib.enable_grad():
            inner = x.detach().requires_grad_()
            y = inner**2
            (g,) = lib.autograd.grad(y.sum(), inner)
        ctx.save_for_backward(g)
        return y

    a = leaf(lib)
    backward = lambda ctx, g: g * ctx.saved_tensors[0]  # noqa: E731
    y = cube(lib, forward=forward, backward=backward).apply(a)
    y.sum().backward()
    return y, a.grad, y.grad_fn.name()


# ---- inference mode ----


@program
def inference_flags(lib: Library) -> Any:
    a = leaf(lib)
    with lib.inference_mode():
        t = lib.ones(2)
        found = [t.is_inference(), a.view(-1).is_inference(), (a * 2).is_inference()]
        found += [lib.is_grad_enabled(), lib.is_inference_mode_enabled(), (a * 2).requires_grad]
        with lib.enable_grad():
            found.append((a * 2).requires_grad)
        with lib.inference_mode(False):
            found += [(a * 2).requires_grad, lib.ones(2).is_inference()]
        t.add_(1)
        found.append(a.detach().is_inference())
    found += [lib.is_grad_enabled(), lib.is_inference_mode_enabled()]
    found += [t.view(1, 2).is_inference(), t.clone().is_inference(), t.detach().is_inference()]
    return found, t


@program
def inference_decorators(lib: Library) -> Any:
    a = leaf(lib)
    functions = [lib.inference_mode(), lib.inference_mode, lib.inference_mode(False)]
    return [wrap(lambda x: x * 2)(a).is_inference() for wrap in functions]


def _made_in_inference(lib: Library) -> Any:
    with lib.inference_mode():
        return lib.ones(2)


@program
def inference_tensor_added(lib: Library) -> Any:
    a = leaf(lib)
    (_made_in_inference(lib) + a).sum().backward()
    return a.grad


PROGRAMS["inference_saved"] = lambda lib: _made_in_inference(lib) * leaf(lib)
PROGRAMS["inference_written"] = lambda lib: _made_in_inference(lib).add_(1)
PROGRAMS["inference_filled"] = lambda lib: _made_in_inference(lib).zero_()
PROGRAMS["inference_item_set"] = lambda lib: _made_in_inference(lib).__setitem__(0, 1)
PROGRAMS["inference_random"] = lambda lib: _made_in_inference(lib).uniform_()
PROGRAMS["inference_requires_grad"] = lambda lib: _made_in_inference(lib).requires_grad_()
PROGRAMS["inference_version"] = lambda lib: _made_in_inference(lib)._version
PROGRAMS["inference_read"] = lambda lib: lib.zeros(2).copy_(_made_in_inference(lib))


@program
def inference_numbers_stay_usable(lib: Library) -> Any:
    with lib.inference_mode():
        lib.ones(2) * 1234.5
    a = leaf(lib)
    (a * 1234.5).sum().backward()
    return a.grad


@program
def inference_saved_by_function(lib: Library) -> Any:
    def forward(ctx: Any, x: Any, k: Any) -> Any:
        ctx.save_for_backward(k)
        return x * 2

    return cube(lib, forward=forward).apply(leaf(lib), _made_in_inference(lib))


def main() -> None:
    """Writes hooks.json."""
    import torch

    write(GOLDEN, programs={name: outcome(torch, name) for name in PROGRAMS})


if __name__ == "__main__":
    main()
