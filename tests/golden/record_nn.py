"""Records what PyTorch's modules compute and say, as nn.json (see recording.py).

Each case is a function of the library, torch or autodiff: the test runs the same text on both.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from golden.recording import failure, write

GOLDEN = Path(__file__).with_name("nn.json")
Case = Callable[[Any], Any]
DTYPES = ("float32", "float64")

ACTIVATIONS: list[tuple[str, dict[str, Any]]] = [
    ("Tanh", {}),
    ("Sigmoid", {}),
    ("ReLU", {}),
    ("LeakyReLU", {}),
    ("LeakyReLU", {"negative_slope": 0.3}),
    ("Hardtanh", {}),
    ("Hardtanh", {"min_val": -2.0, "max_val": 0.5}),
    ("Softplus", {}),
    ("Softplus", {"beta": 2.0, "threshold": 5.0}),
    ("ELU", {}),
    ("ELU", {"alpha": 0.4}),
    ("GELU", {}),
    ("GELU", {"approximate": "tanh"}),
    ("SiLU", {}),
    ("Identity", {}),
    ("Flatten", {}),
    ("Softmax", {"dim": 1}),
    ("LogSoftmax", {"dim": 0}),
]
INITS: list[tuple[str, dict[str, Any]]] = [
    ("uniform_", {"a": -0.3, "b": 2.0}),
    ("normal_", {"mean": 1.0, "std": 0.2}),
    ("constant_", {"val": 0.3}),
    ("ones_", {}),
    ("zeros_", {}),
    ("xavier_uniform_", {"gain": 1.3}),
    ("xavier_normal_", {}),
    ("kaiming_uniform_", {"a": 0.2, "mode": "fan_out"}),
    ("kaiming_uniform_", {"nonlinearity": "relu"}),
    ("kaiming_normal_", {"nonlinearity": "tanh"}),
    ("trunc_normal_", {}),
    ("trunc_normal_", {"mean": 0.5, "std": 2.0, "a": -1.0, "b": 2.75}),
    ("trunc_normal_", {"mean": 0.5, "std": 2.0, "a": 1.0, "b": 2.0}),
    ("trunc_normal_", {"mean": 0.0, "std": 0.1, "a": 0.15, "b": 1.0}),
]


def values(*tensors: Any) -> list[Any]:
    """Tensors as nested lists."""
    return [None if x is None else x.detach().tolist() for x in tensors]


def options_name(options: dict[str, Any]) -> str:
    """A suffix of a case's name."""
    return "".join(f"-{key}={value}" for key, value in options.items())


def network(lib: Any, dtype: Any, activation: Any) -> Any:
    """A perceptron 2-3-4: an MLP where the library has it."""
    if hasattr(lib.nn, "MLP"):
        return lib.nn.MLP([2, 3, 4], activation, dtype=dtype)
    first, last = lib.nn.Linear(2, 3, dtype=dtype), lib.nn.Linear(3, 4, dtype=dtype)
    return lib.nn.Sequential(first, activation(), last)


def derivatives(lib: Any, function: Callable[..., Any], *inputs: Any) -> list[Any]:
    """The value, its first derivatives, and derivatives of those, each against fixed cotangents."""
    y = function(*inputs)
    g = lib.linspace(-1, 2, y.numel(), dtype=y.dtype).reshape(y.shape)
    first = lib.autograd.grad(y, inputs, g, create_graph=True)
    second: list[Any] = [None] * len(inputs)
    if any(x.requires_grad for x in first):
        total = sum((x * x).sum() for x in first)
        second = lib.autograd.grad(total, inputs, allow_unused=True)
    # A derivative that is zero everywhere: no gradient or zeros, as the implementation has it.
    second = [
        x.new_zeros(x.shape) + (0 if h is None else h) for x, h in zip(inputs, second, strict=True)
    ]
    return values(y, *first, *second)


# ---- initial values ----


def init_case(name: str, options: dict[str, Any], shape: tuple[int, ...], dtype: str) -> Case:
    """An init function on a tensor of zeros."""

    def run(lib: Any) -> Any:
        lib.manual_seed(3)
        x = lib.zeros(shape, dtype=getattr(lib, dtype), requires_grad=True)
        return values(getattr(lib.nn.init, name)(x, **options))

    return run


def linear_case(seed: int, bias: bool, dtype: str) -> Case:
    """The initial numbers of a linear layer, and what is drawn after them."""

    def run(lib: Any) -> Any:
        lib.manual_seed(seed)
        layer = lib.nn.Linear(3, 5, bias=bias, dtype=getattr(lib, dtype))
        return values(layer.weight, layer.bias, lib.rand(2))

    return run


def init_cases() -> Iterator[tuple[str, Case]]:
    """Initial values, by name."""
    for seed, bias, dtype in itertools.product((0, 17), (True, False), DTYPES):
        yield f"linear-{seed}-{bias}-{dtype}", linear_case(seed, bias, dtype)
    for (name, options), dtype in itertools.product(INITS, DTYPES):
        for shape in ((5, 4), (4, 3, 2, 3)):
            label = f"init-{name}{options_name(options)}-{len(shape)}d-{dtype}"
            yield label, init_case(name, options, shape, dtype)
    yield "init-eye", lambda lib: values(lib.nn.init.eye_(lib.ones(2, 3)))
    for name, param in (
        ("linear", None),
        ("sigmoid", None),
        ("tanh", None),
        ("relu", None),
        ("selu", None),
        ("leaky_relu", None),
        ("leaky_relu", 0.5),
    ):
        yield (
            f"gain-{name}-{param}",
            lambda lib, n=name, p=param: lib.nn.init.calculate_gain(n, p),
        )


# ---- activations and networks ----


def activation_case(name: str, options: dict[str, Any], dtype: str) -> Case:
    """A module's value and derivatives; where it bends the first alone."""

    def run(lib: Any) -> Any:
        module, d = getattr(lib.nn, name)(**options), getattr(lib, dtype)
        smooth = [[-30.0, -2.2, -1.1, -0.6], [-0.1, 0.2, 0.4, 0.75], [1.5, 2.4, 3.0, 30.0]]
        bends = lib.tensor([[-2.0, -1.0], [0.0, 0.5], [1.0, 2.5]], dtype=d, requires_grad=True)
        (gradient,) = lib.autograd.grad(module(bends).sum(), bends)
        x = lib.tensor(smooth, dtype=d, requires_grad=True)
        return [*derivatives(lib, module, x), *values(module(bends), gradient)]

    return run


def network_case(activation: str, loss: str, dtype: str) -> Case:
    """A network's initial numbers, its output, its loss and the gradients of its parameters."""

    def run(lib: Any) -> Any:
        lib.manual_seed(11)
        d = getattr(lib, dtype)
        model = network(lib, d, getattr(lib.nn, activation))
        x = lib.randn(5, 2, dtype=d)
        classes = lib.tensor([0, 3, 1, 2, 3])
        target = classes if loss == "CrossEntropyLoss" else lib.randn(5, 4, dtype=d)
        y = model(x)
        error = getattr(lib.nn, loss)()(y, target)
        error.backward()
        parameters = list(model.parameters())
        return values(*parameters, y, error, *[p.grad for p in parameters])

    return run


def network_cases() -> Iterator[tuple[str, Case]]:
    """Activations alone and in a network, by name."""
    for (name, options), dtype in itertools.product(ACTIVATIONS, DTYPES):
        label = f"activation-{name}{options_name(options)}-{dtype}"
        yield label, activation_case(name, options, dtype)
    names = list(dict.fromkeys(name for name, options in ACTIVATIONS if not options))
    for name, dtype in itertools.product(names, DTYPES):
        yield f"network-{name}-{dtype}", network_case(name, "MSELoss", dtype)
    for loss, dtype in itertools.product(("L1Loss", "CrossEntropyLoss"), DTYPES):
        yield f"network-{loss}-{dtype}", network_case("Tanh", loss, dtype)


# ---- losses ----


def error_case(loss: str, reduction: str, dtype: str, weighted: bool) -> Case:
    """mse_loss or l1_loss and its derivatives by both arguments."""

    def run(lib: Any) -> Any:
        lib.manual_seed(5)
        d = getattr(lib, dtype)
        x = lib.randn(4, 3, dtype=d).requires_grad_()
        target = lib.randn(4, 3, dtype=d).requires_grad_()
        options = {"weight": lib.rand(4, 3, dtype=d)} if weighted else {}
        function = getattr(lib.nn.functional, loss)
        return derivatives(
            lib, lambda a, b: function(a, b, reduction=reduction, **options), x, target
        )

    return run


SHAPES: dict[str, tuple[tuple[int, ...], Any]] = {
    "c": ((4,), 2),
    "nc": ((3, 4), [1, 3, 0]),
    "ncd": ((2, 3, 4), [[0, 1, 2, 0], [2, 2, 1, 0]]),
    "ncde": ((1, 3, 2, 2), [[[0, 1], [2, 1]]]),
}


def class_case(shape: str, weighted: bool, options: dict[str, Any], dtype: str) -> Case:
    """cross_entropy of class indices."""

    def run(lib: Any) -> Any:
        lib.manual_seed(5)
        sizes, target = SHAPES[shape]
        d = getattr(lib, dtype)
        x = lib.randn(*sizes, dtype=d).requires_grad_()
        classes = sizes[0] if len(sizes) == 1 else sizes[1]
        weight = lib.rand(classes, dtype=d) if weighted else None
        function = lib.nn.CrossEntropyLoss(weight, **options)
        return derivatives(lib, lambda a: function(a, lib.tensor(target)), x)

    return run


def probability_case(shape: str, weighted: bool, options: dict[str, Any], dtype: str) -> Case:
    """cross_entropy of class probabilities."""

    def run(lib: Any) -> Any:
        lib.manual_seed(5)
        sizes = SHAPES[shape][0]
        d = getattr(lib, dtype)
        x = lib.randn(*sizes, dtype=d).requires_grad_()
        target = lib.rand(*sizes, dtype=d).requires_grad_()
        classes = sizes[0] if len(sizes) == 1 else sizes[1]
        weight = lib.rand(classes, dtype=d) if weighted else None
        function = lib.nn.CrossEntropyLoss(weight, **options)
        return derivatives(lib, function, x, target)

    return run


def softmax_case(name: str, dim: int, dtype: str) -> Case:
    """softmax or log_softmax of numbers large and small."""

    def run(lib: Any) -> Any:
        rows = [[[1e3, -2.0, 0.5], [0.0, 0.0, 1e3]], [[-1e3, 1.0, 2.0], [0.3, -0.3, 4.0]]]
        x = lib.tensor(rows, dtype=getattr(lib, dtype), requires_grad=True)
        return derivatives(lib, lambda a: getattr(lib.nn.functional, name)(a, dim), x)

    return run


def loss_cases() -> Iterator[tuple[str, Case]]:
    """Losses, by name."""
    reductions = ("mean", "sum", "none")
    for loss, reduction, dtype, weighted in itertools.product(
        ("mse_loss", "l1_loss"), reductions, DTYPES, (False, True)
    ):
        label = f"{loss}-{reduction}-{dtype}{'-weighted' * weighted}"
        yield label, error_case(loss, reduction, dtype, weighted)
    for shape, weighted, reduction in itertools.product(SHAPES, (False, True), reductions):
        for extra in ({}, {"label_smoothing": 0.2}, {"ignore_index": 2}):
            options = {"reduction": reduction, **extra}
            label = f"{shape}{'-weighted' * weighted}{options_name(options)}"
            yield f"classes-{label}", class_case(shape, weighted, options, "float64")
            if "ignore_index" not in extra:
                yield (
                    f"probabilities-{label}",
                    probability_case(shape, weighted, options, "float64"),
                )
    yield "classes-float32", class_case("nc", True, {"label_smoothing": 0.1}, "float32")
    both = {"ignore_index": 0, "label_smoothing": 0.3}
    yield "classes-both", class_case("ncd", True, both, "float64")
    for name, dim, dtype in itertools.product(("softmax", "log_softmax"), (0, 1, -1), DTYPES):
        yield f"{name}-{dim}-{dtype}", softmax_case(name, dim, dtype)


# ---- texts ----

REPRS: dict[str, Case] = {
    **{
        f"{name}{options_name(options)}": lambda lib, n=name, o=options: getattr(lib.nn, n)(**o)
        for name, options in ACTIVATIONS
    },
    "inplace": lambda lib: lib.nn.Sequential(
        lib.nn.ReLU(inplace=True),
        lib.nn.LeakyReLU(0.2, inplace=True),
        lib.nn.Hardtanh(0, 6, inplace=True),
        lib.nn.ELU(inplace=True),
        lib.nn.SiLU(inplace=True),
    ),
    "linear": lambda lib: lib.nn.Linear(2, 3),
    "linear without bias": lambda lib: lib.nn.Linear(2, 3, bias=False),
    "losses": lambda lib: lib.nn.Sequential(
        lib.nn.MSELoss(), lib.nn.L1Loss(), lib.nn.CrossEntropyLoss(lib.ones(2)), lib.nn.NLLLoss()
    ),
    "empty": lambda lib: lib.nn.Sequential(),
    "nested": lambda lib: lib.nn.Sequential(
        lib.nn.Linear(1, 2), lib.nn.Sequential(lib.nn.Tanh(), lib.nn.Sequential(lib.nn.Identity()))
    ),
    "slice": lambda lib: lib.nn.Sequential(*[lib.nn.Tanh() for _ in range(4)])[1:3],
    "parameter": lambda lib: lib.nn.Parameter(lib.tensor([[1.0, 2.5], [-3.0, 0.0]])),
    "frozen": lambda lib: lib.nn.Parameter(lib.ones(2), requires_grad=False),
    "no data": lambda lib: lib.nn.Parameter(),
    "all keys": lambda lib: lib.nn.Linear(1, 1).load_state_dict(lib.nn.Linear(1, 1).state_dict()),
    "some keys": lambda lib: lib.nn.Linear(1, 1).load_state_dict({"x": lib.ones(1)}, strict=False),
    "keys": lambda lib: list(
        lib.nn.Sequential(
            lib.nn.Linear(1, 2), lib.nn.Sequential(lib.nn.CrossEntropyLoss(lib.ones(2)))
        ).state_dict()
    ),
}


def _unready(lib: Any, value: Any) -> Any:
    """A module that assigns an attribute before Module.__init__."""
    module = lib.nn.Module.__new__(lib.nn.Module)
    module.x = value


def _sequential(lib: Any) -> Any:
    return lib.nn.Sequential(lib.nn.Linear(2, 3), lib.nn.Tanh())


ERRORS: dict[str, Case] = {
    "buffer name": lambda lib: lib.nn.Module().register_buffer(1, None),
    "buffer dot": lambda lib: lib.nn.Module().register_buffer("a.b", None),
    "buffer empty": lambda lib: lib.nn.Module().register_buffer("", None),
    "buffer exists": lambda lib: lib.nn.Linear(1, 1).register_buffer("weight", None),
    "buffer value": lambda lib: lib.nn.Module().register_buffer("b", 3),
    "buffer assigned": lambda lib: setattr(lib.nn.CrossEntropyLoss(lib.ones(1)), "weight", 3),
    "parameter name": lambda lib: lib.nn.Module().register_parameter(1, None),
    "parameter dot": lambda lib: lib.nn.Module().register_parameter("a.b", None),
    "parameter empty": lambda lib: lib.nn.Module().register_parameter("", None),
    "parameter exists": lambda lib: lib.nn.Module().register_parameter("forward", None),
    "parameter value": lambda lib: lib.nn.Module().register_parameter("p", 3),
    "parameter tensor": lambda lib: lib.nn.Module().register_parameter("p", lib.ones(1)),
    "parameter assigned": lambda lib: setattr(lib.nn.Linear(1, 1), "weight", lib.ones(1)),
    "module name": lambda lib: lib.nn.Module().add_module(1, None),
    "module dot": lambda lib: lib.nn.Module().add_module("a.b", None),
    "module empty": lambda lib: lib.nn.Module().add_module("", None),
    "module exists": lambda lib: lib.nn.Module().add_module("forward", None),
    "module value": lambda lib: lib.nn.Module().add_module("m", 3),
    "module assigned": lambda lib: setattr(_sequential(lib), "0", 3),
    "unready parameter": lambda lib: _unready(lib, lib.nn.Parameter(lib.ones(1))),
    "unready module": lambda lib: _unready(lib, lib.nn.Tanh()),
    "attribute": lambda lib: lib.nn.Linear(1, 1).nope,
    "delete": lambda lib: delattr(lib.nn.Linear(1, 1), "nope"),
    "submodule": lambda lib: lib.nn.Linear(1, 1).get_submodule("x.y"),
    "submodule parameter": lambda lib: lib.nn.Linear(1, 1).get_submodule("weight"),
    "get parameter": lambda lib: lib.nn.Linear(1, 1).get_parameter("in_features"),
    "get buffer": lambda lib: lib.nn.Linear(1, 1).get_buffer("weight"),
    "no attribute": lambda lib: lib.nn.Linear(1, 1).get_parameter("nope"),
    "train": lambda lib: lib.nn.Linear(1, 1).train(1),
    "to": lambda lib: lib.nn.Linear(1, 1).to(lib.int64),
    "forward": lambda lib: lib.nn.Module()(3),
    "missing": lambda lib: lib.nn.Linear(1, 1).load_state_dict({}),
    "unexpected": lambda lib: _sequential(lib).load_state_dict(
        {"0.weight": lib.ones(2), "0.bias": lib.ones(3), "x": 3, "0.y": 3, "2.z": 3, "1.weight": 3}
    ),
    "not a tensor": lambda lib: lib.nn.Linear(1, 1).load_state_dict(
        {"weight": 3, "bias": lib.ones(1)}
    ),
    "not a dict": lambda lib: lib.nn.Linear(1, 1).load_state_dict(3),
    "index": lambda lib: _sequential(lib)[5],
    "append": lambda lib: _sequential(lib).append(3),
    "insert": lambda lib: _sequential(lib).insert(5, lib.nn.Tanh()),
    "gain": lambda lib: lib.nn.init.calculate_gain("nope"),
    "slope": lambda lib: lib.nn.init.calculate_gain("leaky_relu", True),
    "fan": lambda lib: lib.nn.init.xavier_normal_(lib.ones(3)),
    "mode": lambda lib: lib.nn.init.kaiming_normal_(lib.ones(3, 3), mode="fan"),
    "eye": lambda lib: lib.nn.init.eye_(lib.ones(3)),
    "hardtanh": lambda lib: lib.nn.Hardtanh(2, 1),
    "hardtanh function": lambda lib: lib.nn.functional.hardtanh(lib.ones(2), 2, 1),
    "approximate": lambda lib: lib.nn.functional.gelu(lib.ones(2), approximate="x"),
    "no tensor": lambda lib: lib.nn.functional.relu(3),
    "reduction": lambda lib: lib.nn.functional.mse_loss(lib.ones(2), lib.ones(2), reduction="x"),
    "loss weight": lambda lib: lib.nn.functional.l1_loss(
        lib.ones(2), lib.ones(2), weight=lib.ones(3)
    ),
}


def _cross_entropy_errors() -> Iterator[tuple[str, Case]]:
    """Targets and weights that do not fit: (input shape, target, options)."""
    wrong: list[tuple[tuple[int, ...], Any, dict[str, Any]]] = [
        ((2, 3), [0, 3], {}),
        ((2, 3), [0, -1], {}),
        ((2, 3), [0.0, 1.0], {}),
        ((2, 3), [0, 1, 1], {}),
        ((2, 3), [[0, 1]], {}),
        ((2, 3), [[0, 1], [1, 0]], {}),
        ((2, 3), 1, {}),
        ((3,), [1, 2], {}),
        ((2, 3), [[0, 0, 1], [0, 0, 1]], {}),
        ((2, 3, 4), [[0] * 5] * 2, {}),
        ((2, 3, 4), [0, 1], {}),
        ((2, 3), [0, 1], {"label_smoothing": 1.5}),
        ((2, 3), [[0.0] * 3] * 2, {"ignore_index": 1}),
    ]
    for i, (shape, target, options) in enumerate(wrong):
        yield (
            f"cross_entropy {i}",
            lambda lib, s=shape, t=target, o=options: lib.nn.functional.cross_entropy(
                lib.ones(s), lib.tensor(t), **o
            ),
        )
    yield (
        "cross_entropy weight",
        lambda lib: lib.nn.functional.cross_entropy(
            lib.ones(2, 3), lib.tensor([0, 1]), lib.ones(2)
        ),
    )
    yield (
        "cross_entropy weight dtype",
        lambda lib: lib.nn.functional.cross_entropy(
            lib.ones(2, 3), lib.tensor([0, 1]), lib.ones(3, dtype=lib.float64)
        ),
    )


ERRORS.update(_cross_entropy_errors())
NUMBERS: dict[str, Case] = dict([*init_cases(), *network_cases(), *loss_cases()])


def main() -> None:
    """Writes nn.json."""
    import torch

    warnings.simplefilter("ignore")
    write(
        GOLDEN,
        numbers={name: case(torch) for name, case in NUMBERS.items()},
        reprs={name: repr(case(torch)) for name, case in REPRS.items()},
        errors={name: failure(case, torch) for name, case in ERRORS.items()},
    )


if __name__ == "__main__":
    main()
