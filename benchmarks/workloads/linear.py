"""A linear layer with bias and activation: the value alone, and with its gradients."""

from collections.abc import Iterator

from contestants import US, Library, array_of
from workload import Make, Run, Workload, normal

SIZES = (  # batch, inputs, outputs, activation
    (64, 784, 128, "relu"),
    (256, 1024, 1024, "relu"),
    (256, 1024, 1024, "gelu"),
    (32, 64, 64, "tanh"),
)


def _make(name: str, batch: int, k: int, n: int, activation: str, backward: bool) -> Make:
    def make(library: Library) -> Run:
        functional = library.nn.functional
        act = library.tanh if activation == "tanh" else getattr(functional, activation)
        x = array_of(name, library, normal(batch, k))
        w = array_of(name, library, normal(n, k, seed=1) / 32)
        b = array_of(name, library, normal(n, seed=2))
        g = array_of(name, library, normal(batch, n, seed=3))

        def value() -> object:
            with library.no_grad():
                return act(functional.linear(x, w, b))

        def gradients() -> object:
            y = act(functional.linear(x, w, b))
            return library.autograd.grad(y, (x, w, b), g)

        if not backward:
            return value
        for leaf in (x, w, b):
            leaf.requires_grad_()
        return gradients

    return make


def _all() -> Iterator[Workload]:
    for batch, k, n, activation in SIZES:
        for backward in (False, True):
            makes = {name: _make(name, batch, k, n, activation, backward) for name in (US, "torch")}
            yield Workload(
                f"linear {batch}x{k}->{n} {activation}{', gradients' if backward else ''}",
                "linear",
                makes,
                target=1.1,
                against=("torch",),
                work=2.0 * batch * k * n * (3 if backward else 1),
                unit="flop float32",
                quick=batch == 64 and backward,
            )


WORKLOADS: list[Workload] = list(_all())
