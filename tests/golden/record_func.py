"""Records PyTorch's function transforms on short programs, as func.json (see recording.py).

A program takes the library and its tensors x (3 x 4), y (3 x 4) and v (4), and returns a tree of
tensors. A wrong program is one line of Python on the same names; its exception's type is recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from golden.recording import failure, plain, write

GOLDEN = Path(__file__).with_name("func.json")
Program = Callable[[Any, Any, Any, Any], Any]
PROGRAMS: dict[str, Program] = {}


def program(function: Program) -> Program:
    PROGRAMS[function.__name__] = function
    return function


def cubes(x: Any) -> Any:
    return (x**3).sum()


def mixed(x: Any, y: Any) -> Any:
    return (x.sin() * y).sum() + (y**2).sum() / 2


@program
def vmap_dims(lib: Any, x: Any, y: Any, v: Any) -> Any:
    f = lib.func.vmap(lambda a, b: {"d": a * b, "s": (a.sum(), b)}, (1, 0), {"d": 1, "s": (0, -1)})
    return f(x, v)


@program
def vmap_tree_of_inputs(lib: Any, x: Any, y: Any, v: Any) -> Any:
    given = {"a": x, "b": [y, v]}
    return lib.func.vmap(lambda d: d["a"] @ d["b"][0] + d["b"][1], ({"a": 0, "b": [0, None]},))(
        given
    )


@program
def vmap_nested(lib: Any, x: Any, y: Any, v: Any) -> Any:
    inner = lib.func.vmap(lambda a, b: (a * b).sum(), (None, 0))
    return lib.func.vmap(inner, (0, None))(x, y), lib.func.vmap(
        lib.func.vmap(lambda a: a.exp()), 1
    )(x)


@program
def vmap_same_for_all(lib: Any, x: Any, y: Any, v: Any) -> Any:
    return lib.func.vmap(lambda a: (v * 2, a), out_dims=(None, 1))(x), lib.func.vmap(lambda a: v)(x)


@program
def vmap_in_chunks(lib: Any, x: Any, y: Any, v: Any) -> Any:
    return lib.func.vmap(lambda a, b: (a.softmax(0), a @ b), chunk_size=2)(x, y)


@program
def vmap_keywords(lib: Any, x: Any, y: Any, v: Any) -> Any:
    return lib.func.vmap(lambda a, b=None: a + b, out_dims=1)(x, b=y)


@program
def vmap_of_unusual_calls(lib: Any, x: Any, y: Any, v: Any) -> Any:
    calls = (
        lambda a: a.var(True),
        lambda a: lib.std_mean(a, False),
        lambda a: lib.fill(a, 3.0),
        lambda a: lib.fill(a, a.sum()),
        lambda a: tuple(lib.frexp(a)),
        lambda a: a.view(lib.int16),
        lambda a: a.sum().view(lib.int64),
        lambda a: a[:0].repeat(0, 2),
    )
    return [lib.func.vmap(call)(x) for call in calls]


@program
def vmap_backward(lib: Any, x: Any, y: Any, v: Any) -> Any:
    x, v = x.requires_grad_(), v.requires_grad_()
    z = lib.func.vmap(lambda a: (a * v).tanh().sum())(x)
    return lib.autograd.grad((z * z).sum(), (x, v))


@program
def vmap_writes(lib: Any, x: Any, y: Any, v: Any) -> Any:
    def f(a: Any, b: Any) -> Any:
        c = a.clone()
        c[1:3] = b[:2]
        c.mul_(b)
        return c, a.new_zeros(2) + b[0]

    return lib.func.vmap(f)(x, y)


@program
def vmap_promotes_as_samples_do(lib: Any, x: Any, y: Any, v: Any) -> Any:
    single = v.to(lib.float32)
    row = lib.ones(2, dtype=lib.float32)
    return [
        lib.func.vmap(lambda a: a * row)(v),
        lib.func.vmap(lambda a: a + 1.5)(lib.tensor([1, 2])),
        lib.func.vmap(lambda a, b: a * b)(single, v),
        lib.func.vmap(lambda a: a + v[0])(single),
        lib.func.vmap(lambda a: a + row)(lib.tensor([1, 2])),
    ]


@program
def vmap_reductions(lib: Any, x: Any, y: Any, v: Any) -> Any:
    x = x.reshape(3, 2, 2)
    return lib.func.vmap(
        lambda a: (
            a.sum(),
            a.mean(0),
            a.max(1),
            a.max(),
            a.argmax(),
            a.var(-1),
            a.cumsum(0),
            a.prod(1),
        )
    )(x)


@program
def vmap_views(lib: Any, x: Any, y: Any, v: Any) -> Any:
    x = x.reshape(3, 2, 2)
    return lib.func.vmap(
        lambda a: (
            a.t(),
            a.T,
            a.mT,
            a.reshape(-1),
            a.unsqueeze(-1),
            a[0],
            a[:, 1],
            a[..., None],
            a.flatten(),
        )
    )(x)


@program
def vmap_indexed(lib: Any, x: Any, y: Any, v: Any) -> Any:
    places = lib.tensor([[0, 1], [3, 2], [1, 1]])
    return [
        lib.func.vmap(lambda a, i: a[i])(x, places),
        lib.func.vmap(lambda i: v[i])(places),
        lib.func.vmap(lambda a: a[lib.tensor([3, 0])])(x),
        lib.func.vmap(lambda a, i: a.gather(0, i))(x, places),
        lib.func.vmap(lambda a: lib.stack([a, v]))(x),
        lib.func.vmap(lambda a: lib.where(a > 0, a, v))(x),
    ]


@program
def grad_of_grad(lib: Any, x: Any, y: Any, v: Any) -> Any:
    return lib.func.grad(lambda a: lib.func.grad(cubes)(a).sin().sum())(v)


@program
def grad_argnums_and_aux(lib: Any, x: Any, y: Any, v: Any) -> Any:
    return (
        lib.func.grad(mixed, (1, 0))(x, y),
        lib.func.grad(mixed, -1)(x, y),
        lib.func.grad(lambda a: (cubes(a), {"a": a * 2}), has_aux=True)(v),
        lib.func.grad_and_value(mixed)(x, y),
        lib.func.grad_and_value(lambda a: (cubes(a), a * 2), has_aux=True)(v),
        lib.func.grad(lambda d: mixed(d["x"], d["y"][0]))({"x": x, "y": [y]}),
    )


@program
def grad_of_one_that_is_not_used(lib: Any, x: Any, y: Any, v: Any) -> Any:
    return lib.func.grad(lambda a, b: cubes(a), (0, 1))(x, y), lib.func.grad(lambda a: v.sum())(x)


@program
def no_confusion_of_perturbations(lib: Any, x: Any, y: Any, v: Any) -> Any:
    return lib.func.grad(lambda a: a * lib.func.grad(lambda b: a + b)(v[0]))(v[1])


@program
def grad_of_vmap_of_grad(lib: Any, x: Any, y: Any, v: Any) -> Any:
    each = lib.func.vmap(lib.func.grad(mixed), (0, None))
    return lib.func.grad(lambda a: (each(x, a) ** 2).sum())(v)


@program
def gradients_of_samples(lib: Any, x: Any, y: Any, v: Any) -> Any:
    def loss(w: Any, a: Any) -> Any:
        return ((a @ w).tanh() ** 2).sum()

    return lib.func.vmap(lib.func.grad_and_value(loss), (None, 0))(y.t(), x)


@program
def grad_outside(lib: Any, x: Any, y: Any, v: Any) -> Any:
    v = v.requires_grad_()
    inner = lib.func.grad(lambda a: (a**2 * v).sum())(x[0])
    outer = lib.func.grad(cubes)(v)
    return lib.autograd.grad(inner.sum(), v), lib.autograd.grad(outer.sum(), v)


@program
def vjps(lib: Any, x: Any, y: Any, v: Any) -> Any:
    z, pull = lib.func.vjp(lambda a, b: {"p": a * b, "s": a.sum()}, x, y)
    once = pull({"p": y, "s": v[0]})
    rows = lib.func.vmap(pull)({"p": lib.stack([x, y]), "s": v[:2]})
    return z, once, rows, lib.func.vjp(lambda a: (a.sin(), v), x, has_aux=True)[2]


@program
def jvps(lib: Any, x: Any, y: Any, v: Any) -> Any:
    return (
        lib.func.jvp(lambda a, b: (a * b, a.exp().sum()), (x, y), (y, x)),
        lib.func.jvp(lambda d: d["a"] ** 3, ({"a": x},), ({"a": y},)),
        lib.func.jvp(lambda a: (a.sin(), a), (x,), (y,), has_aux=True),
        lib.func.jvp(lambda a: v, (x,), (y,)),
        lib.func.jvp(lambda a: lib.func.jvp(cubes, (a,), (v,))[1], (v,), (v,)),
        lib.func.vmap(lambda t: lib.func.jvp(lambda a: a.sin(), (v,), (t,)))(x),
    )


@program
def linearized(lib: Any, x: Any, y: Any, v: Any) -> Any:
    z, push = lib.func.linearize(lambda a, b: a.sin() * b, x, y)
    return z, push(y, x), push(x, x)


@program
def jacobians(lib: Any, x: Any, y: Any, v: Any) -> Any:
    def f(a: Any, b: Any) -> Any:
        return {"m": a @ b, "s": (b.sum(), a.t())}

    return [
        [
            make(f, argnums=(0, 1))(x, v),
            make(f, argnums=1)(x, v),
            make(lambda a: (a.exp(), a.sum()), has_aux=True)(v),
            make(lambda a: v)(x),
            make(lambda d: d["a"] ** 2)({"a": v}),
        ]
        for make in (lib.func.jacrev, lib.func.jacfwd)
    ]


@program
def jacobian_in_chunks(lib: Any, x: Any, y: Any, v: Any) -> Any:
    return [lib.func.jacrev(lambda a: a.sin() * v, chunk_size=k)(v) for k in (1, 3, 100)]


@program
def jacobian_of_samples(lib: Any, x: Any, y: Any, v: Any) -> Any:
    return [
        lib.func.vmap(make(lambda a, b: a.sin() * b), (0, None))(x, v)
        for make in (lib.func.jacrev, lib.func.jacfwd)
    ]


@program
def hessians(lib: Any, x: Any, y: Any, v: Any) -> Any:
    return (
        lib.func.hessian(cubes)(v),
        lib.func.hessian(lambda a, b: (a.sin() * b).sum(), (0, 1))(v, x[0]),
        lib.func.vmap(lib.func.hessian(cubes))(x[:, :2]),
        lib.func.jacrev(lib.func.jacfwd(cubes))(v),
        lib.func.jacfwd(lib.func.jacrev(cubes))(v),
    )


@program
def ensemble(lib: Any, x: Any, y: Any, v: Any) -> Any:
    models = [lib.nn.Linear(4, 2, dtype=lib.float64) for _ in range(3)]
    with lib.no_grad():
        for i, model in enumerate(models):
            model.weight.copy_(x[:2] + i)
            model.bias.copy_(v[:2] - i)
    parameters, buffers = lib.func.stack_module_state(models)

    def call(p: Any, b: Any, a: Any) -> Any:
        return lib.func.functional_call(models[0], (p, b), (a,))

    each = lib.func.vmap(lib.func.grad(lambda p, b, a: call(p, b, a).tanh().sum()), (0, 0, None))
    return lib.func.vmap(call, (0, 0, None))(parameters, buffers, x), each(parameters, buffers, x)


@program
def called_with_ties(lib: Any, x: Any, y: Any, v: Any) -> Any:
    model = lib.nn.Sequential(
        *[lib.nn.Linear(4, 4, bias=False, dtype=lib.float64) for _ in range(2)]
    )
    model[1].weight = model[0].weight
    square = lib.ones(4, 4, dtype=lib.float64) * v
    return (
        lib.func.functional_call(model, {"0.weight": square}, x),
        lib.func.functional_call(
            model, {"0.weight": square, "1.weight": square * 2}, x, tie_weights=False
        ),
    )


@program
def functional_products(lib: Any, x: Any, y: Any, v: Any) -> Any:
    f = lib.autograd.functional
    return (
        f.vjp(lambda a, b: (a * b, a.sum()), (x, y), (y, v[0])),
        f.vjp(cubes, v),
        f.jvp(lambda a, b: (a * b, a.sum()), (x, y), (y, x)),
        f.jvp(lambda a: a * v, v[0], None),
        f.hvp(cubes, v, x[0]),
        f.vhp(cubes, v, x[0]),
        f.hvp(mixed, (x, y), (y, x)),
        f.vhp(mixed, (x, y), (y, x)),
        f.vjp(lambda a: v, x, v),
        f.jvp(lambda a: v, x, x),
        f.hvp(lambda a: a.sum(), v, v),
    )


@program
def functional_jacobians(lib: Any, x: Any, y: Any, v: Any) -> Any:
    f = lib.autograd.functional
    return [
        [
            f.jacobian(lambda a, b: (a @ b, b.sum()), (x, v), **how),
            f.jacobian(lambda a: a.sin(), v, **how),
        ]
        for how in (
            {},
            {"strict": False, "vectorize": True},
            {"vectorize": True, "strategy": "forward-mode"},
        )
    ] + [
        [
            f.hessian(mixed, (x[0], v), **how),
            f.hessian(cubes, v, **how),
        ]
        for how in (
            {},
            {"vectorize": True},
            {"vectorize": True, "outer_jacobian_strategy": "forward-mode"},
        )
    ]


@program
def functional_graphs(lib: Any, x: Any, y: Any, v: Any) -> Any:
    f, v = lib.autograd.functional, v.requires_grad_()
    return [
        lib.autograd.grad(f.jacobian(lambda a: a**3, v, create_graph=True).sum(), v),
        lib.autograd.grad(f.jvp(lambda a: a**3, v, x[0], create_graph=True)[1].sum(), v),
        lib.autograd.grad(f.vjp(lambda a: a**3, v, x[0], create_graph=True)[1].sum(), v),
        lib.autograd.grad(f.hvp(cubes, v, x[0], create_graph=True)[1].sum(), v),
    ]


@program
def gradients_as_a_batch(lib: Any, x: Any, y: Any, v: Any) -> Any:
    x, v = x.requires_grad_(), v.requires_grad_()
    z, s = x.sin() @ v, x.sum()
    rows = lib.eye(3, dtype=lib.float64)
    first = lib.autograd.grad(
        (z, s), (x, v), (rows, rows[0]), retain_graph=True, create_graph=True, is_grads_batched=True
    )
    return first, lib.autograd.grad(first[0].sum(), (x, v), retain_graph=True)


@program
def checkpoints(lib: Any, x: Any, y: Any, v: Any) -> Any:
    checkpoint = lib.utils.checkpoint.checkpoint
    x, v = x.requires_grad_(), v.requires_grad_()
    z = checkpoint(lambda a, k=1: (a.sin() * v * k).tanh(), x, k=2, use_reentrant=False)
    z = checkpoint(lambda a: checkpoint(lambda b: b.exp(), a * a, use_reentrant=False) + a, z,
                   use_reentrant=False)  # fmt: skip
    first = lib.autograd.grad(z.sum(), (x, v), create_graph=True)
    return z, first, lib.autograd.grad(first[0].sum() + first[1].sum(), (x, v))


@program
def dual_tensors(lib: Any, x: Any, y: Any, v: Any) -> Any:
    fw = lib.autograd.forward_ad
    with fw.dual_level():
        a, b = fw.make_dual(x, y), fw.make_dual(v, v.exp())
        written = y.clone()
        written[0] *= b
        found = [fw.unpack_dual(z) for z in (a, a @ b, (a.sin() * b).sum(), a + 1, a[1] * v)]
        assert fw.unpack_dual(y * 2).tangent is None
        assert fw.unpack_dual(a.detach()).tangent is None
        return found, fw.unpack_dual(written)


@program
def dual_tensors_of_parameters(lib: Any, x: Any, y: Any, v: Any) -> Any:
    fw = lib.autograd.forward_ad
    w = v.clone().requires_grad_()
    level = fw.enter_dual_level()
    a = fw.make_dual(x, y)
    primal, tangent = fw.unpack_dual((a * w).tanh())
    b = fw.unpack_dual(fw.make_dual(w, v) ** 3)
    fw.exit_dual_level(level=level)
    found = [lib.autograd.grad(z.sum(), w, retain_graph=True)[0] for z in (primal, tangent, *b)]
    return primal, tangent, found


WRONG = """
lib.autograd.forward_ad.make_dual(x, x)
lib.autograd.forward_ad.exit_dual_level()
vmap(lambda a: a)(3)
vmap(lambda a: 3)(x)
vmap(lambda a: a.sum(), in_dims=None)(x)
vmap(lambda a: a.sum(), in_dims=2)(x)
vmap(lambda a: a.sum(), in_dims=(0, 0))(x)
vmap(lambda a, b: a.sum(), in_dims=(0, 0))(x, v)
vmap(lambda a, b: a.sum(), in_dims=[0, 0])(x, x)
vmap(lambda a: a.sum(), in_dims='a')(x)
vmap(lambda a: a.sum(), in_dims=(None,))(x)
vmap(lambda a: a.sum(), out_dims=1)(x)
vmap(lambda a: a, out_dims=(0, 1))(x)
vmap(lambda a: a, out_dims='a')(x)
vmap(lambda a: a, out_dims=None)(x)
vmap(lambda: x)()
vmap(lambda a: a.item())(v)
vmap(lambda a: a if a > 0 else -a)(v)
vmap(lambda a: a.nonzero())(x)
vmap(lambda a: a[a > 0])(x)
vmap(lambda a: a + lib.rand(4))(x)
vmap(lambda a: a, randomness='b')(x)
vmap(lambda a: a, chunk_size=0)(x)
vmap(lambda a: v.add_(a))(x)
vmap(lambda a: v.copy_(a))(x)
vmap(lambda a: a.reshape(3))(x)
vmap(lambda a: a @ x)(x)
vmap(lambda a: a.sum(1))(x)
vmap(lambda a: a + lib.ones(3))(x)
grad(lambda a: a)(x)
grad(lambda a: (a, a))(x)
grad(lambda a: 1.0)(x)
grad(lambda a: a.sum(), has_aux=True)(x)
grad(lambda a: a.sum(), argnums=1)(x)
grad(lambda a: a.sum(), argnums='a')(x)
grad(lambda a: a.sum(), argnums=(0, 0))(x)
grad(lambda a: a.sum())(lib.ones(2, dtype=lib.int64))
grad(lambda a: a.sum())(1.0)
grad(lambda d: d['a'].sum())({'a': 1.0})
vjp(lambda a: a, 1.0)
vjp(lambda a: 1.0, x)
vjp(lambda a: a * 2, x)[1](v)
vjp(lambda a: (a * 2, a), x)[1](x)
vjp(lambda a: a.sum(), x)[1]()
jvp(lambda a: a * 2, x, x)
jvp(lambda a: a * 2, (x,), x)
jvp(lambda a: a * 2, (x,), (v,))
jvp(lambda a: a * 2, (x,), (x, x))
jvp(lambda a: a * 2, (), ())
jvp(lambda a: a.sum(), (x,), (x,), has_aux=True)
jacrev(lambda a: 1.0)(x)
jacrev(lambda a: a.sum(), chunk_size=-1)(x)
functional_call(lib.nn.Linear(4, 2), {'weight': x, 'q': x}, x, strict=True)
functional_call(lib.nn.Linear(4, 2), {'weight': x}, x, strict=True)
functional_call(lib.nn.Linear(4, 2), ({'weight': x}, {'weight': x}), x)
functional_call(lib.nn.Linear(4, 2), 3, x)
stack_module_state([])
stack_module_state([lib.nn.Linear(4, 2), lib.nn.ReLU()])
stack_module_state([lib.nn.Linear(4, 2), lib.nn.Linear(4, 2).eval()])
functional.vjp(lambda a: 1.0, x)
functional.vjp(lambda a: a.sum(), 1.0)
functional.vjp(lambda a: a.sum(), [x])
functional.vjp(lambda a: a * 2, x)
functional.vjp(lambda a: a * 2, x, v)
functional.vjp(lambda a: (a * 2, a), x, x)
functional.vjp(lambda a, b: a * 2, (x, x), x, strict=True)
functional.vjp(lambda a: v, x, v, strict=True)
functional.jvp(lambda a: a * 2, x)
functional.jvp(lambda a: a * 2, (x, x), x)
functional.jvp(lambda a: v, x, x, strict=True)
functional.jvp(lambda a: a * 2, x, x, strict=True, create_graph=True)
functional.jacobian(lambda a: a * 2, x, strategy='forward-mode')
functional.jacobian(lambda a: a * 2, x, strategy='q')
functional.jacobian(lambda a: a * 2, x, strict=True, vectorize=True)
functional.jacobian(lambda a: v, x, strict=True)
functional.jacobian(lambda a, b: a * 1, (x, x), strict=True)
functional.jacobian(lambda a: a * 2, x, strict=True, create_graph=True)
functional.hessian(lambda a: a * 2, x)
functional.hessian(lambda a: (a, a), x)
functional.hessian(lambda a: a.sum(), x, strict=True)
functional.hvp(lambda a: a.sum(), x)
functional.vhp(lambda a: a, x, x)
functional.hvp(lambda a: a.sum(), x, x, strict=True)
functional.vhp(lambda a: a.sum(), x, x, strict=True)
lib.autograd.grad(w, r, lib.ones(2, 2), is_grads_batched=True)
lib.autograd.grad(w, r, v, is_grads_batched=True)
lib.autograd.grad((w, w), r, (lib.ones(2, 4), lib.ones(3, 4)), is_grads_batched=True)
""".strip().splitlines()


def leaves(lib: Any) -> tuple[Any, Any, Any]:
    """x, y and v."""
    values = [((i * 7 + 3) % 23 - 11) / 8 for i in range(28)]
    numbers = [
        lib.tensor(part, dtype=lib.float64) for part in (values[:12], values[12:24], values[24:])
    ]
    return numbers[0].reshape(3, 4), numbers[1].reshape(3, 4), numbers[2]


def run(lib: Any, function: Program) -> Any:
    """What a program returns, as plain lists."""
    return plain(_tuples(function(lib, *leaves(lib))))


def _tuples(tree: Any) -> Any:
    """Named tuples and the like as lists."""
    if isinstance(tree, dict):
        return {name: _tuples(part) for name, part in tree.items()}
    if isinstance(tree, (tuple, list)):
        return [_tuples(part) for part in tree]
    return tree.detach()


def wrong(lib: Any, line: str) -> list[str]:
    """The type and text of the exception of a line."""
    x, _, v = leaves(lib)
    r = v.clone().requires_grad_()
    names = {name: getattr(lib.func, name) for name in dir(lib.func) if name[0] != "_"}
    names |= {"lib": lib, "x": x, "v": v, "r": r, "w": r * 2, "functional": lib.autograd.functional}
    return failure(lambda: eval(line, names))


if __name__ == "__main__":
    import torch
    import torch.utils.checkpoint

    torch.set_num_threads(1)
    write(
        GOLDEN,
        programs={name: run(torch, function) for name, function in PROGRAMS.items()},
        wrong={line: wrong(torch, line) for line in WRONG},
    )
