"""Records PyTorch's optimisers as optim.json (see recording.py).

The test takes the same steps with `run` and `resume`, so both sides read alike.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from golden.recording import failure, write

GOLDEN = Path(__file__).with_name("optim.json")
STEPS = 100
Options = dict[str, Any]


# The options of one group each, for optimisers that PyTorch has besides SGD.
OPTIONS: dict[str, list[Options]] = {
    "Adam": [
        {"lr": 0.05},
        {"lr": 0.01, "betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.1},
        {"lr": 0.05, "amsgrad": True, "maximize": True},
        {"lr": 0.005, "betas": (0.6, 0.9), "weight_decay": 0.1, "decoupled_weight_decay": True},
    ],
    "AdamW": [{"lr": 0.05}, {"lr": 0.05, "amsgrad": True, "weight_decay": 0.5, "maximize": True}],
    "RMSprop": [
        {"lr": 0.01, "alpha": 0.9},
        {"lr": 0.002, "centered": True, "alpha": 0.8, "weight_decay": 0.1},
        {"lr": 0.002, "momentum": 0.8, "maximize": True},
        {"lr": 0.002, "momentum": 0.8, "centered": True, "eps": 1e-3},
    ],
    "Adagrad": [
        {"lr": 0.1},
        {"lr": 0.1, "lr_decay": 0.05, "initial_accumulator_value": 0.3, "eps": 1e-3},
        {"lr": 0.1, "weight_decay": 0.1, "maximize": True},
    ],
    "Adadelta": [{}, {"lr": 0.5, "rho": 0.7, "eps": 1e-3, "weight_decay": 0.1, "maximize": True}],
    "Adamax": [
        {"lr": 0.02},
        {"lr": 0.005, "betas": (0.3, 0.9), "eps": 1e-2, "weight_decay": 0.1, "maximize": True},
    ],
    "ASGD": [
        {"lr": 0.02},
        {"lr": 0.02, "lambd": 0.01, "alpha": 0.6, "t0": 7, "weight_decay": 0.1, "maximize": True},
    ],
    "Rprop": [
        {"lr": 0.02},
        {"lr": 0.02, "etas": (0.4, 1.3), "step_sizes": (1e-3, 0.1), "maximize": True},
    ],
    "NAdam": [
        {"lr": 0.02},
        {"lr": 0.02, "momentum_decay": 0.1, "weight_decay": 0.1, "maximize": True},
        {"lr": 0.02, "betas": (0.4, 0.8), "weight_decay": 0.1, "decoupled_weight_decay": True},
    ],
    "RAdam": [
        {"lr": 0.05},
        {"lr": 0.005, "betas": (0.6, 0.9), "weight_decay": 0.1, "maximize": True},
        {"lr": 0.05, "betas": (0.8, 0.95), "weight_decay": 0.1, "decoupled_weight_decay": True},
    ],
}
# The same of those whose steps are made of operations, and the shapes of their parameters.
COMPOSED: dict[str, list[Options]] = {
    "Muon": [
        {"lr": 0.02},
        {"lr": 0.02, "nesterov": False, "momentum": 0.8, "weight_decay": 0.0},
        {"lr": 0.01, "adjust_lr_fn": "match_rms_adamw", "ns_steps": 3, "eps": 1e-3},
    ],
    "Adafactor": [
        {"lr": 0.02},
        {"lr": 0.01, "weight_decay": 0.1, "maximize": True, "d": 1.5},
        {"lr": 0.01, "eps": (1e-5, 1e-2), "beta2_decay": -0.5},
    ],
}
SHAPES = {"Muon": [(2, 3), (2, 1)], "Adafactor": [(4, 2, 3), (3,)]}


def cases() -> dict[str, list[Options]]:
    """The options of each group, by name: optimiser, dtype, and what tells it from others."""
    found = _sgd_cases()
    for kind, dtype in itertools.product({**OPTIONS, **COMPOSED}, ("float32", "float64")):
        for i, options in enumerate({**OPTIONS, **COMPOSED}[kind]):
            found[f"{kind}-{dtype}-{i}"] = [options]
    found["Adam-float64-groups"] = [{"lr": 0.1}, {"lr": 0.02, "amsgrad": True, "betas": (0.5, 0.6)}]
    return found


def _sgd_cases() -> dict[str, list[Options]]:
    """One group of all combinations, and two that differ."""
    found: dict[str, list[Options]] = {}
    for dtype, momentum, dampening, decay, nesterov, maximize in itertools.product(
        ("float32", "float64"), (0.0, 0.9), (0.0, 0.3), (0.0, 0.1), (False, True), (False, True)
    ):
        if (nesterov and (momentum == 0 or dampening != 0)) or (dampening and momentum == 0):
            continue
        options = {
            "lr": 0.01,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        flags = f"{'-nesterov' * nesterov}{'-maximize' * maximize}"
        found[f"SGD-{dtype}-{momentum}-{dampening}-{decay}{flags}"] = [options]
    found["SGD-float64-groups"] = [{"lr": 0.1}, {"lr": 0.02, "momentum": 0.5, "weight_decay": 0.01}]
    return found


def make(lib: Any, optim: Any, name: str, groups: list[Options]) -> tuple[list[Any], Any]:
    """Two parameters a group, in an optimiser."""
    kind, dtype = name.split("-")[:2]
    lib.manual_seed(1)
    d = getattr(lib, dtype)
    shapes = SHAPES.get(kind, [(3,), (1,)])
    params = [lib.randn(n, dtype=d).requires_grad_() for _ in groups for n in shapes]
    given = [{"params": params[2 * i : 2 * i + 2], **options} for i, options in enumerate(groups)]
    return params, getattr(optim, kind)(given)


def train(lib: Any, params: list[Any], optimizer: Any, steps: range) -> list[Any]:
    """Fits the parameters to targets; the values after some of the steps."""
    target = lib.tensor([0.5, -0.25, 1.5], dtype=params[0].dtype)
    kept = []
    for step in steps:
        optimizer.zero_grad()
        outputs = [params[i].tanh() * params[i + 1] for i in range(0, len(params), 2)]
        loss = sum(((y - target) ** 2).sum() for y in outputs)
        loss = -loss if optimizer.param_groups[0].get("maximize") else loss
        loss.backward()
        if step % 5 == 3:
            params[1].grad = None  # skipped, its state kept
        optimizer.step()
        if step % 20 == 19 or step < 3:
            kept.append([p.tolist() for p in params])
    return kept


def run(lib: Any, optim: Any, name: str, groups: list[Options], steps: int = STEPS) -> list[Any]:
    """A training from the beginning."""
    return train(lib, *make(lib, optim, name, groups), range(steps))


def plain(state: Options) -> Options:
    """A state_dict with lists for tensors."""
    numbers = {
        str(i): {key: value.tolist() for key, value in own.items()}
        for i, own in state["state"].items()
    }
    return {"state": numbers, "param_groups": state["param_groups"]}


def stopped(lib: Any, optim: Any, name: str, groups: list[Options]) -> Options:
    """A training, its state in the middle, and where it ends."""
    params, optimizer = make(lib, optim, name, groups)
    train(lib, params, optimizer, range(12))
    middle = {"params": [p.tolist() for p in params], **plain(optimizer.state_dict())}
    train(lib, params, optimizer, range(12, 20))
    return {**middle, "end": [p.tolist() for p in params]}


def _parameter(lib: Any, n: int = 2) -> Any:
    return lib.ones(n, requires_grad=True)


def _loaded(lib: Any, optim: Any, groups: list[list[int]]) -> Any:
    """An SGD of one group of one parameter, given the state of one of other groups."""
    other = optim.SGD([{"params": [_parameter(lib) for _ in group]} for group in groups])
    optim.SGD([_parameter(lib)]).load_state_dict(other.state_dict())


LBFGS: dict[str, Options] = {
    "plain": {"lr": 0.1, "max_iter": 4},
    "wolfe": {"line_search_fn": "strong_wolfe"},
    "short memory": {"line_search_fn": "strong_wolfe", "history_size": 2, "max_iter": 7},
    "few evaluations": {"line_search_fn": "strong_wolfe", "max_eval": 4},
    "one evaluation": {"line_search_fn": "strong_wolfe", "max_eval": 1},
    "tolerant": {"lr": 0.5, "tolerance_grad": 0.1, "tolerance_change": 0.01},
}


def valley(xs: list[Any]) -> Any:
    """Rosenbrock's function, less steep, and a power of the second; the third does not count."""
    x = xs[0].reshape(-1)
    return (3 * (x[1:] - x[:-1] ** 2) ** 2).sum() + ((1 - x[:-1]) ** 2).sum() + (xs[1] ** 4).sum()


def minimise(lib: Any, optim: Any, options: Options, stop: int = 0) -> list[Any]:
    """Steps of L-BFGS: the loss, the parameters, and the counts; from `stop` on by a second one.

    In float64: a search that branches on each value spreads the roundings of float32.
    """
    d = lib.float64
    values = [[[-1.2, 1.0], [0.5, 2.0]], [0.7], [3.0]]
    params = [lib.tensor(x, dtype=d, requires_grad=True) for x in values]
    optimizer = optim.LBFGS(params, **options)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = valley(params)
        loss.backward()
        return loss

    kept = []
    for step in range(8):
        if stop and step == stop:
            state = optimizer.state_dict()
            optimizer = optim.LBFGS(params)
            optimizer.load_state_dict(state)
        loss = optimizer.step(closure).item()
        state = optimizer.state[params[0]]
        kept.append(
            [loss, *[x.tolist() for x in params], float(state["n_iter"]), state["func_evals"] + 0.0]
        )
    return kept


# Optimizers whose steps gradients go through: the options.
RECORDED: dict[str, Options] = {
    "SGD": {"weight_decay": 0.1},
    "SGD nesterov": {"momentum": 0.9, "nesterov": True},
    "SGD dampening": {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "maximize": True},
    "Adam": {"weight_decay": 0.1},
    "Adam amsgrad": {"amsgrad": True, "betas": (0.5, 0.9), "maximize": True},
    "AdamW": {"lr": 0.1, "weight_decay": 0.1},
    "Adamax": {"lr": 0.1, "weight_decay": 0.1},
    "NAdam": {"weight_decay": 0.1},
    "NAdam decoupled": {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True},
    "RAdam": {"weight_decay": 0.1},
    "RAdam rectified": {"betas": (0.5, 0.9)},
    "Adagrad": {"lr": 0.1, "lr_decay": 0.1, "maximize": True},
    "Adadelta": {"lr": 0.1, "rho": 0.5, "weight_decay": 0.1},
    "RMSprop": {"lr": 0.1, "momentum": 0.5, "weight_decay": 0.1},
    "RMSprop centered": {"lr": 0.1, "centered": True},
    "Rprop": {"lr": 0.1},
    "ASGD": {"t0": 1, "lambd": 0.1, "weight_decay": 0.1},
}
ONCE = ("Adam amsgrad", "Adamax", "NAdam", "RMSprop centered", "Rprop")


def through(lib: Any, optim: Any, name: str) -> list[Any]:
    """Steps on what a leaf became; the gradients of the result for leaf, rate and target.

    PyTorch can go back through one step alone of those in ONCE.
    """
    d = lib.float64
    leaf = lib.tensor([0.7, -1.2, 0.3], dtype=d, requires_grad=True)
    rate = lib.tensor(0.1, dtype=d, requires_grad=True)
    target = lib.tensor([0.5, -0.25, 1.5], dtype=d, requires_grad=True)
    x = leaf.clone()
    kind, options = getattr(optim, name.split()[0]), RECORDED[name]
    optimizer = kind([x], **{"lr": rate, **options}, differentiable=True)
    for _ in range(1 if name in ONCE else 3):
        loss = ((x.tanh() - target) ** 2).sum() * (-1 if options.get("maximize") else 1)
        (x.grad,) = lib.autograd.grad(loss, x, create_graph=True)
        optimizer.step()
    (x**2).sum().backward()
    found = (x.detach(), leaf.grad, rate.grad, target.grad)
    return [None if y is None else y.tolist() for y in found]


Case = Callable[[Any, Any], Any]
NAN = float("nan")
BAD_OPTIONS: dict[str, list[Options]] = {
    "SGD": [{"lr": -1}, {"momentum": -1}, {"weight_decay": -1}, {"nesterov": True}],
    "Adam": [
        {"betas": (1.0, 0.9)},
        {"betas": (0.9, -0.1)},
        {"betas": (0.9, NAN)},
        {"betas": (0, 0.9)},
        {"eps": -1},
    ],
    "AdamW": [{"weight_decay": -1}],
    "RMSprop": [{"alpha": -1}, {"momentum": NAN}, {"eps": NAN}],
    "Adagrad": [{"lr_decay": -1}, {"initial_accumulator_value": -1}, {"eps": -1}],
    "Adadelta": [{"rho": 1.5}, {"rho": NAN}],
    "Adamax": [{"betas": (1.0, 0.9)}],
    "NAdam": [{"momentum_decay": -1}],
    "RAdam": [{"betas": (0.9, 1.0)}],
    "ASGD": [{"lr": -1}],
    "Rprop": [{"etas": (0.5, 1.0)}, {"etas": (0.0, 1.5)}, {"etas": (NAN, 1.5)}],
    "LBFGS": [{"lr": -1}],
    "Muon": [{"momentum": -1}, {"adjust_lr_fn": "none"}, {}],
    "Adafactor": [{"beta2_decay": 0.5}, {"eps": (-1, 1)}, {"eps": (None, NAN)}, {"d": 0.5}],
}


def _bad(kind: str, options: Options) -> Case:
    return lambda lib, optim: getattr(optim, kind)([_parameter(lib)], **options)


def _errors() -> dict[str, Case]:
    found = dict(_ERRORS)
    for kind, bad in BAD_OPTIONS.items():
        shared = [{"lr": NAN}, {"lr": -0.5}] if kind != "SGD" else []
        shared += [] if kind in ("SGD", "Rprop", "LBFGS") else [{"weight_decay": NAN}]
        for options in bad + shared:
            found[f"{kind} {options}"] = _bad(kind, options)
        found[f"{kind} lr tensor"] = lambda lib, optim, kind=kind: getattr(optim, kind)(
            [_parameter(lib)], lr=lib.ones(2)
        )
    for kind in ("SGD", "Adam", "AdamW", "Adagrad"):
        found[f"{kind} both"] = _bad(kind, {"foreach": True, "fused": True})
    for kind in ("Adam", "Adagrad"):
        found[f"{kind} fused"] = _bad(kind, {"differentiable": True, "fused": True})
    return found


_ERRORS: dict[str, Case] = {
    "tensor": lambda lib, optim: optim.SGD(_parameter(lib)),
    "empty": lambda lib, optim: optim.SGD([]),
    "number": lambda lib, optim: optim.SGD([3]),
    "not iterable": lambda lib, optim: optim.SGD(3),
    "no leaf": lambda lib, optim: optim.SGD([_parameter(lib) * 2]),
    "set": lambda lib, optim: optim.SGD([{"params": {_parameter(lib)}}]),
    "no params": lambda lib, optim: optim.SGD([{"lr": 3}]),
    "mixed": lambda lib, optim: optim.SGD([{"params": [_parameter(lib)]}, 3]),
    "names": lambda lib, optim: optim.SGD([("a", _parameter(lib)), _parameter(lib)]),
    "fewer groups": lambda lib, optim: _loaded(lib, optim, [[0], [1]]),
    "other sizes": lambda lib, optim: _loaded(lib, optim, [[0, 1]]),
    "foreach lr": lambda lib, optim: optim.Adam([_parameter(lib)], lib.tensor(1.0), foreach=True),
    "foreach beta": lambda lib, optim: optim.Adam(
        [_parameter(lib)], betas=(lib.tensor(0.5), lib.tensor(0.5)), foreach=True
    ),
    "beta tensor": lambda lib, optim: optim.Adam([_parameter(lib)], betas=(lib.ones(2), 0.5)),
    "one beta tensor": lambda lib, optim: optim.Adam(
        [_parameter(lib)], betas=(lib.tensor(0.5), 0.5)
    ),
}
_ERRORS["LBFGS groups"] = lambda lib, optim: optim.LBFGS(
    [{"params": [_parameter(lib)]}, {"params": [_parameter(lib)]}]
)
_ERRORS["LBFGS search"] = lambda lib, optim: minimise(lib, optim, {"line_search_fn": "armijo"})
ERRORS = _errors()
REPRS: dict[str, Case] = {
    "one": lambda lib, optim: optim.SGD([_parameter(lib)], lr=0.1),
    "two": lambda lib, optim: optim.SGD(
        [{"params": [_parameter(lib)]}, {"params": _parameter(lib), "momentum": 0.5}], 0.2
    ),
    "named": lambda lib, optim: optim.SGD([("a", _parameter(lib))]),
    "state": lambda lib, optim: optim.SGD([_parameter(lib)], momentum=0.5).state_dict(),
    "groups": lambda lib, optim: optim.SGD([_parameter(lib), _parameter(lib)]).param_groups,
    "LBFGS": lambda lib, optim: optim.LBFGS([_parameter(lib)]),
    "LBFGS state": lambda lib, optim: _types(_searched(lib, optim).state_dict()["state"]),
    "lr tensor": lambda lib, optim: optim.Adam([_parameter(lib)], lr=lib.tensor(0.5)),
    "beta tensors": lambda lib, optim: optim.Adam(
        [_parameter(lib)], betas=(lib.tensor(0.5), lib.tensor(0.25))
    ),
    **{
        kind: lambda lib, optim, kind=kind: getattr(optim, kind)([_parameter(lib)])
        for kind in OPTIONS
    },
    **{
        f"{kind} state": lambda lib, optim, kind=kind: _stepped(lib, optim, kind).state_dict()
        for kind in [*OPTIONS, "Adafactor"]
    },
    "Adafactor": lambda lib, optim: optim.Adafactor([_parameter(lib)]),
    "Muon": lambda lib, optim: optim.Muon([lib.ones(2, 2, requires_grad=True)]),
    "Adafactor of a matrix": lambda lib, optim: _types(
        _run_once(lib, optim, "Adafactor").state_dict()["state"]
    ),
    "Muon state": lambda lib, optim: _types(_run_once(lib, optim, "Muon").state_dict()["state"]),
}


def _searched(lib: Any, optim: Any) -> Any:
    x = _parameter(lib)
    optimizer = optim.LBFGS([x], history_size=3)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = ((x - lib.tensor([0.5, 3.0])) ** 4).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return optimizer


def _types(value: Any) -> Any:
    """The types of what a state holds, by its names in order."""
    if isinstance(value, dict):
        return {key: _types(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_types(item) for item in value]
    return f"{value.dtype}{list(value.shape)}" if hasattr(value, "dtype") else type(value).__name__


def _run_once(lib: Any, optim: Any, kind: str) -> Any:
    params, optimizer = make(lib, optim, f"{kind}-float32", [{}])
    train(lib, params, optimizer, range(1))
    return optimizer


def _stepped(lib: Any, optim: Any, kind: str) -> Any:
    x = _parameter(lib)
    x.grad = lib.tensor([0.5, -0.25])
    optimizer = getattr(optim, kind)([x])
    optimizer.step()
    return optimizer


def main() -> None:
    """Writes optim.json."""
    import torch

    torch.set_num_threads(1)
    optim = torch.optim
    write(
        GOLDEN,
        trajectories={n: run(torch, optim, n, groups) for n, groups in cases().items()},
        stopped={n: stopped(torch, optim, n, groups) for n, groups in cases().items()},
        lbfgs={n: minimise(torch, optim, options) for n, options in LBFGS.items()},
        through={n: through(torch, optim, n) for n in RECORDED},
        errors={n: failure(case, torch, optim) for n, case in ERRORS.items()},
        reprs={n: repr(case(torch, optim)) for n, case in REPRS.items()},
    )


if __name__ == "__main__":
    main()
