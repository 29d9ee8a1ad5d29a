"""Compiled training steps: one call, many in one native call, and beside our own eager ones."""

from collections.abc import Sequence
from typing import Any

from contestants import US, waiting
from models import perceptron
from workload import Library, Make, Run, Workload

from workloads.steps import CLASSES, MSE, adam, flops, momentum, sgd, step

LOOP = 1000


def compiled(make: Make) -> Make:
    """The step that `make` prepares, compiled."""
    return lambda ad: ad.compile(make(ad))


def repeated(make: Make) -> Make:
    """Many of those steps in one call; their last loss."""

    def many(ad: Library) -> Run:
        run = ad.compile(make(ad))
        return lambda: run.repeat(LOOP)[-1]

    return many


def looped(make: Make) -> Make:
    """As many steps in a loop of Python."""

    def many(ad: Library) -> Run:
        run = make(ad)

        def loop() -> Any:
            for _ in range(LOOP):
                loss = run()
            return loss

        return loop

    return many


def jitted(sizes: Sequence[int], batch: int, activation: str, loss: str, loop: int = 0) -> Make:
    """The same step by SGD in jax; by fori_loop where `loop` says how many."""

    def make(jax: Library) -> Run:
        import torch  # for the same first parameters and data

        torch.manual_seed(17)
        model = perceptron(torch, *sizes, activation=activation)
        x = torch.randn(batch, sizes[0]).numpy()
        if loss == CLASSES:
            y = torch.randint(0, sizes[-1], (batch,)).numpy()
        else:
            y = torch.randn(batch, sizes[-1]).numpy()
        x, y = jax.numpy.asarray(x), jax.numpy.asarray(y)
        state = [jax.numpy.asarray(p.detach().numpy()) for p in model.parameters()]
        act = jax.numpy.tanh if activation == "Tanh" else jax.nn.relu

        def loss_of(ps: Any) -> Any:
            h = x
            for i in range(0, len(ps), 2):
                h = h @ ps[i].T + ps[i + 1]
                h = act(h) if i + 2 < len(ps) else h
            if loss == MSE:
                return ((h - y) ** 2).mean()
            rows = jax.numpy.arange(batch)
            return -jax.nn.log_softmax(h)[rows, y].mean()

        def one(ps: Any) -> Any:
            value, gs = jax.value_and_grad(loss_of)(ps)
            return [p - 1e-3 * g for p, g in zip(ps, gs, strict=True)], value

        def many(ps: Any) -> Any:
            zero = jax.numpy.zeros((), x.dtype)
            return jax.lax.fori_loop(0, loop, lambda i, c: one(c[0]), (ps, zero))

        run = jax.jit(many if loop else one)

        def call() -> Any:
            nonlocal state
            state, value = run(state)
            return value

        return waiting(call)

    return make


def _step(name: str, target: float, jax: float, spec: Any, optimizer: Any, **rest: Any) -> Workload:
    make = step(*spec, optimizer)
    makes = {US: compiled(make), "torch": make}
    if jax:
        makes["jax"] = jitted(*spec)
        rest = {"targets": {"jax": jax}, "against": ("torch", "jax"), **rest}
    rest = {"against": ("torch",), "tolerance": 1e-3, "threads": (1,), **rest}
    rest |= {"work": flops(*spec[:2]), "unit": "flop float32"}
    return Workload(name, "compiled steps", makes, target, **rest)


def _loop(name: str, target: float, jax: float, spec: Any, optimizer: Any) -> Workload:
    make = step(*spec, optimizer)
    makes = {US: repeated(make), "torch": looped(make), "jax": jitted(*spec, loop=LOOP)}
    return Workload(
        *(name, "compiled steps", makes, target, ("torch", "jax"), {"jax": jax}),
        tolerance=1e-3,
        threads=(1,),
    )


CHAPTER = ((1, 13, 1), 9, "Tanh", MSE)
SMALL = ((32, 64, 64, 4), 1, "Tanh", MSE)
DIGITS = ((784, 128, 10), 64, "ReLU", CLASSES)
DEEP = ((784, 1024, 1024, 10), 64, "ReLU", CLASSES)
WORKLOADS = [
    _step("compiled 1-13-1, batch 9, MSE, SGD", 40.0, 8.0, CHAPTER, sgd, quick=True),
    _loop("1000 compiled steps of 1-13-1, batch 9, MSE, SGD", 80.0, 1.2, CHAPTER, sgd),
    _step("compiled 1-13-1, batch 9, MSE, Adam", 60.0, 0.0, CHAPTER, adam),
    _step("compiled 32-64-64-4, batch 1, MSE, SGD", 15.0, 2.0, SMALL, sgd),
    _step("compiled 784-128-10, batch 64, cross-entropy, SGD", 2.2, 1.0, DIGITS, sgd),
    _step("compiled 784-1024-1024-10, batch 64, cross-entropy, SGD", 2.2, 1.0, DEEP, sgd),
    _step("compiled 784-1024-1024-10, batch 64, momentum", 2.2, 0.0, DEEP, momentum),
]
