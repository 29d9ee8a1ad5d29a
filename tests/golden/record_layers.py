"""Records what PyTorch's layers compute and say, as layers.json (see recording.py).

Each case is a function of the library, torch or autodiff: the test runs the same text on both.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from golden.recording import failure, write

GOLDEN = Path(__file__).with_name("layers.json")
Case = Callable[[Any], Any]
FEW = 4  # elements that are recorded one by one


def digest(lib: Any, x: Any) -> Any:
    """A tensor's shape and elements, or of many elements sums that tell them."""
    if x is None:
        return None
    if isinstance(x, (list, tuple)):
        return [digest(lib, one) for one in x]
    x = x.detach()
    flat = x.reshape(-1).to(lib.float64)
    if x.numel() <= FEW:
        return [list(x.shape), *flat.tolist()]
    line = lib.linspace(-1, 2, x.numel(), dtype=lib.float64)
    weights = line, lib.cos(line * 3 * x.numel())
    return [list(x.shape), *[float((flat * w).sum()) for w in weights]]


def tensors(lib: Any, shapes: Any, dtype: Any) -> list[Any]:
    """Random numbers of each shape, that require grad; or what a function of the library gives."""
    return [
        shape(lib) if callable(shape) else lib.randn(shape, dtype=dtype).requires_grad_()
        for shape in shapes
    ]


def first_of(y: Any) -> list[Any]:
    """The tensors of a result, in order."""
    if isinstance(y, (tuple, list)):
        return [x for one in y for x in first_of(one)]
    return [] if y is None else [y]


def passes(lib: Any, module: Any, given: Any, options: Any = None) -> list[Any]:
    """The results of a call, and the gradients of inputs and parameters for fixed cotangents."""
    ys = first_of(module(*given, **(options or {})))
    wanted = [x for x in [*given, *module.parameters()] if hasattr(x, "dim") and x.requires_grad]
    wanted = [x for one in given if isinstance(one, (tuple, list)) for x in one] + wanted
    total = sum(
        (y * lib.cos(lib.arange(y.numel(), dtype=y.dtype)).reshape(y.shape)).sum()
        for y in ys
        if y.requires_grad
    )
    found: Any = [None] * len(wanted)
    if isinstance(total, lib.Tensor):
        for x in wanted:
            x.grad = None
        total.backward()
        found = [x.grad for x in wanted]
    found = [0 * x if g is None else g for x, g in zip(wanted, found, strict=True)]
    return [digest(lib, ys), digest(lib, found)]


def layer(
    name: str, *args: Any, shapes: Any, call: Any = None, dtype: str = "float64", **options: Any
) -> tuple[str, Case]:
    """A module by its arguments, called twice in training and once in evaluation."""

    def run(lib: Any) -> Any:
        lib.manual_seed(7)
        d = getattr(lib, dtype)
        module = getattr(lib.nn, name)(*args, **options)
        module = module.to(d) if hasattr(module, "to") else module
        known = not name.startswith("Lazy")  # of which a state has no shapes yet
        state = {k: digest(lib, v) if known else None for k, v in module.state_dict().items()}
        results = []
        for _ in range(2):
            results.append(passes(lib, module, tensors(lib, shapes, d), call and call(lib)))
        module.eval()
        results.append(passes(lib, module, tensors(lib, shapes, d), call and call(lib)))
        after = [digest(lib, x) for x in module.buffers()]
        return [repr(module), list(map(list, state.items())), results, after]

    given = "".join(f" {a}" for a in args) + "".join(f" {k}={v}" for k, v in options.items())
    label = f"{name}{given} of {' '.join(str(s) for s in shapes if not callable(s))} {dtype}"
    return label, run


def norms() -> Iterator[tuple[str, Case]]:
    """Norms by channel."""
    for dims in (1, 2, 3):
        shape = (2, 3, 2, 2, 3)[: 2 + dims]
        for kind in ("BatchNorm", "InstanceNorm"):
            yield layer(f"{kind}{dims}d", 3, shapes=[shape])
        yield layer(f"InstanceNorm{dims}d", 3, shapes=[shape[1:]])
    yield layer("BatchNorm1d", 3, shapes=[(4, 3)])
    yield layer("BatchNorm2d", 3, shapes=[(2, 3, 4, 4)], dtype="float32")
    yield layer("BatchNorm2d", 3, 0.1, None, shapes=[(2, 3, 2, 2)])
    yield layer("BatchNorm1d", 3, affine=False, momentum=0.3, shapes=[(2, 3, 4)])
    yield layer("BatchNorm1d", 3, track_running_stats=False, shapes=[(2, 3, 4)])
    yield layer("BatchNorm1d", 3, bias=False, shapes=[(2, 3, 4)])
    yield layer("SyncBatchNorm", 3, shapes=[(4, 3)])
    yield layer("SyncBatchNorm", 3, affine=False, shapes=[(2, 3, 2, 2)])
    yield layer("InstanceNorm1d", 3, affine=True, track_running_stats=True, shapes=[(2, 3, 4)])
    yield layer("InstanceNorm2d", 3, affine=True, bias=False, shapes=[(2, 3, 4, 2)])
    yield layer("GroupNorm", 3, 6, shapes=[(2, 6, 4)])
    yield layer("GroupNorm", 1, 6, eps=0.1, shapes=[(2, 6, 4, 2)])
    yield layer("GroupNorm", 6, 6, affine=False, shapes=[(2, 6, 4)])
    yield layer("GroupNorm", 2, 6, bias=False, shapes=[(2, 6)])
    yield layer("GroupNorm", 2, 6, shapes=[(2, 6, 5, 5)], dtype="float32")
    yield layer("RMSNorm", 4, shapes=[(3, 4)])
    yield layer("RMSNorm", (3, 4), 0.1, shapes=[(2, 3, 4)])
    yield layer("RMSNorm", 4, elementwise_affine=False, shapes=[(2, 3, 4)], dtype="float32")
    for size in (1, 2, 3, 5):
        yield layer("LocalResponseNorm", size, 0.5, 0.7, 2.0, shapes=[(2, 4, 3)])
    # PyTorch's backward is that of its forward for even sizes and channels all within reach alone.
    yield layer("CrossMapLRN2d", 6, 0.5, 0.7, 2.0, shapes=[(2, 3, 2, 2)])
    yield layer("CrossMapLRN2d", 4, 0.5, 0.7, 2.0, shapes=[(2, 2, 2, 2)])


def states(*shapes: tuple[int, ...]) -> Case:
    """A state of recurrent layers: a tuple of tensors, or one."""

    def make(lib: Any) -> Any:
        found = tuple(lib.randn(s, dtype=lib.float64).requires_grad_() for s in shapes)
        return found if len(found) > 1 else found[0]

    return make


def packed(name: str, lengths: list[int], *args: Any, **options: Any) -> tuple[str, Case]:
    """A recurrent layer of sequences of several lengths, packed and padded again."""

    def run(lib: Any) -> Any:
        lib.manual_seed(3)
        rnn = lib.nn.utils.rnn
        module = getattr(lib.nn, name)(*args, dtype=lib.float64, **options)
        layers = module.num_layers * (1 + module.bidirectional)
        shape = (layers, len(lengths), module.hidden_size)
        begin = tensors(lib, [shape] * (1 + (name == "LSTM")), lib.float64)
        x = lib.randn(max(lengths), len(lengths), args[0], dtype=lib.float64).requires_grad_()

        def forward(x: Any, *state: Any) -> Any:
            given = rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
            y, end = module(given, state if len(state) > 1 else state[0])
            padded, sizes = rnn.pad_packed_sequence(y, padding_value=2.0, total_length=6)
            return padded, sizes, end

        forward.parameters = module.parameters  # type: ignore[attr-defined]
        return passes(lib, forward, [x, *begin])

    return f"packed {name} {lengths} {args} {options}", run


def recurrent() -> Iterator[tuple[str, Case]]:
    """Recurrent layers and cells."""
    for name in ("RNN", "GRU", "LSTM"):
        pair = (name == "LSTM") + 1
        yield layer(name, 3, 4, shapes=[(5, 2, 3)])
        yield layer(name, 3, 4, 2, shapes=[(5, 2, 3), states(*[(2, 2, 4)] * pair)])
        yield layer(name, 3, 4, bias=False, batch_first=True, shapes=[(2, 5, 3)])
        both = {"num_layers": 2, "bidirectional": True}
        yield layer(name, 3, 2, **both, shapes=[(4, 3), states(*[(4, 2)] * pair)])
        yield layer(name, 3, 2, dropout=0.4, **both, shapes=[(4, 2, 3)])
        yield layer(name, 3, 4, shapes=[(5, 2, 3)], dtype="float32")
        yield layer(name, 3, 4, shapes=[(1, 2, 3)])
        yield packed(name, [2, 4, 1], 3, 2)
        yield packed(name, [3, 5, 5, 1], 3, 2, 2, bidirectional=True)
        for bias in (True, False):
            yield layer(f"{name}Cell", 3, 4, bias, shapes=[(2, 3), states(*[(2, 4)] * pair)])
        yield layer(f"{name}Cell", 3, 4, shapes=[(3,)])
    yield layer("RNN", 3, 4, nonlinearity="relu", shapes=[(5, 2, 3)])
    yield layer("RNNCell", 3, 4, nonlinearity="relu", shapes=[(5, 3)])
    yield layer("LSTM", 3, 4, 2, proj_size=2, bidirectional=True, shapes=[(5, 2, 3)])
    yield layer(
        "LSTM", 3, 4, proj_size=2, bias=False, shapes=[(5, 2, 3), states((1, 2, 2), (1, 2, 4))]
    )


def sequences() -> Iterator[tuple[str, Case]]:
    """What nn.utils.rnn makes of sequences."""

    def padding(lib: Any, **options: Any) -> Any:
        xs = tensors(lib, [(2, 2), (3, 2), (1, 2)], lib.float64)
        return passes(lib, Called(lambda *xs: lib.nn.utils.rnn.pad_sequence(xs, **options)), xs)

    for i, options in enumerate(
        ({}, {"batch_first": True}, {"padding_side": "left", "padding_value": 3.0})
    ):
        yield f"pad_sequence {i}", lambda lib, o=options: seeded(lib, padding, **o)
    yield (
        "unpad_sequence",
        lambda lib: digest(
            lib,
            lib.nn.utils.rnn.unpad_sequence(lib.arange(6.0).reshape(3, 2), lib.tensor([2, 3])),
        ),
    )
    yield (
        "pack_sequence",
        lambda lib: repr(
            lib.nn.utils.rnn.pack_sequence([lib.arange(2), lib.arange(3)], enforce_sorted=False)
        ),
    )
    yield (
        "unpack_sequence",
        lambda lib: digest(
            lib,
            lib.nn.utils.rnn.unpack_sequence(
                lib.nn.utils.rnn.pack_sequence([lib.arange(3), lib.arange(2)])
            ),
        ),
    )


def seeded(lib: Any, function: Any, **options: Any) -> Any:
    """A function called after a seed."""
    lib.manual_seed(5)
    return function(lib, **options)


class Called:
    """A function as a module without parameters."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def parameters(self) -> list[Any]:
        return []

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self.function(*args, **options)


def embeddings() -> Iterator[tuple[str, Case]]:
    """Embeddings of indices."""

    def indices(lib: Any) -> Any:
        return lib.tensor([[1, 3, 0], [3, 3, 1]])

    for options in (
        {},
        {"padding_idx": -1},
        {"scale_grad_by_freq": True},
        {"max_norm": 0.7},
        {"max_norm": 0.7, "norm_type": 1.0, "padding_idx": 1},
    ):
        yield layer("Embedding", 4, 3, shapes=[indices], **options)

    def pretrained(lib: Any) -> Any:
        rows = lib.arange(6.0).reshape(3, 2)
        module = lib.nn.Embedding.from_pretrained(rows)
        return [repr(module), module.weight.requires_grad, digest(lib, module(lib.tensor([2, 0])))]

    yield "Embedding from_pretrained", pretrained


def parametrized() -> Iterator[tuple[str, Case]]:
    """Modules whose weights are computed when they are read."""

    def run(lib: Any, name: str, make: Any, **options: Any) -> Any:
        lib.manual_seed(9)
        module = make(lib).to(lib.float64)
        function = getattr(lib.nn.utils.parametrizations, name)
        assert function(module, **options) is module
        x = lambda: tensors(lib, [(2, module.in_features)], lib.float64)  # noqa: E731
        results = [passes(lib, module, x()), passes(lib, module, x())]
        state = [[k, digest(lib, v)] for k, v in module.state_dict().items()]
        module.eval()
        results.append(passes(lib, module, x()))
        texts = [repr(module), lib.nn.utils.parametrize.is_parametrized(module, "weight")]
        lib.nn.utils.parametrize.remove_parametrizations(module, "weight")
        return [texts, results, state, repr(module), list(module.state_dict())]

    def linear(lib: Any) -> Any:
        return lib.nn.Linear(3, 4)

    for name, options in (
        ("weight_norm", {}),
        ("weight_norm", {"dim": 1}),
        ("weight_norm", {"dim": None}),
        ("spectral_norm", {}),
        ("spectral_norm", {"n_power_iterations": 3, "dim": 1}),
        ("orthogonal", {}),
        ("orthogonal", {"orthogonal_map": "cayley"}),
        ("orthogonal", {"orthogonal_map": "matrix_exp"}),
        ("orthogonal", {"orthogonal_map": "householder", "use_trivialization": False}),
    ):
        yield (
            f"{name} {options}",
            lambda lib, n=name, o=options: run(lib, n, linear, **o),
        )

    def orthogonal(lib: Any, sizes: tuple[int, int], **options: Any) -> Any:
        lib.manual_seed(3)
        module = lib.nn.Linear(*sizes, dtype=lib.float64)
        lib.nn.utils.parametrizations.orthogonal(module, **options)
        weights = module.parametrizations.weight
        with lib.no_grad():
            weights.original[0, 0] = 1.0
            weights.original += lib.eye(3, 3)[: sizes[1], : sizes[0]].roll(1, 0).double() / 4
        result = passes(lib, module, tensors(lib, [(2, sizes[0])], lib.float64))
        if options.get("use_trivialization", True) or "householder" in options.values():
            module.weight = lib.eye(3, 3)[: sizes[1], : sizes[0]].roll(1, 1).double() * 2
        return [result, digest(lib, weights.original), digest(lib, module.weight)]

    for kind in ("matrix_exp", "cayley", "householder"):
        for sizes in ((3, 3), (3, 2), (2, 3)):
            yield (
                f"orthogonal {kind} {sizes}",
                lambda lib, k=kind, s=sizes: orthogonal(lib, s, orthogonal_map=k),
            )
    householder = {"orthogonal_map": "householder", "use_trivialization": False}
    yield "orthogonal reflections", lambda lib: orthogonal(lib, (2, 3), **householder)

    def custom(lib: Any) -> Any:
        class Symmetric(lib.nn.Module):  # type: ignore[misc, name-defined]
            def forward(self, x: Any) -> Any:
                return x + x.t()

        class Double(lib.nn.Module):  # type: ignore[misc, name-defined]
            def forward(self, x: Any) -> Any:
                return 2 * x

            def right_inverse(self, x: Any) -> Any:
                return x / 2

        lib.manual_seed(2)
        parametrize = lib.nn.utils.parametrize
        module = lib.nn.Linear(3, 3, dtype=lib.float64)
        parametrize.register_parametrization(module, "weight", Double())
        parametrize.register_parametrization(module, "weight", Symmetric())
        with parametrize.cached():
            same = module.weight is module.weight
        result = passes(lib, module, tensors(lib, [(2, 3)], lib.float64))
        module.parametrizations.weight[1].x = 1
        other = lib.nn.Linear(2, 2, dtype=lib.float64)
        parametrize.register_parametrization(other, "weight", Double())
        other.weight = lib.ones(2, 2).double()
        values = digest(lib, [other.weight, other.parametrizations.weight.original])
        parametrize.remove_parametrizations(other, "weight", leave_parametrized=False)
        return [repr(module), same, result, values, digest(lib, other.weight), repr(other)]

    yield "parametrize", custom


def lazy() -> Iterator[tuple[str, Case]]:
    """Modules that learn their input's size."""

    def run(lib: Any) -> Any:
        lib.manual_seed(4)
        nn = lib.nn
        module = nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d(), nn.LazyLinear(2, bias=False))
        before = [repr(module), repr(list(module.parameters())), list(module.state_dict())]
        module.double()
        result = passes(lib, module, tensors(lib, [(4, 5)], lib.float64))
        other = nn.LazyLinear(3)
        other.load_state_dict(module[0].state_dict())
        kinds = [type(m).__name__ for m in (*module, module[0].weight)]
        return [before, result, kinds, repr(module), digest(lib, other(lib.ones(2, 5)))]

    yield "lazy", run
    for d in (1, 2, 3):
        name, shape = f"LazyInstanceNorm{d}d", (2, 3, 2, 2, 3)[: 2 + d]
        yield name, lambda lib, n=name, s=shape: _fed_lazily(lib, n, s)


def _fed_lazily(lib: Any, name: str, shape: tuple[int, ...]) -> Any:
    module = getattr(lib.nn, name)(dtype=lib.float64)
    lib.manual_seed(6)
    x = tensors(lib, [shape], lib.float64)
    return [digest(lib, module(*x)), repr(module), [digest(lib, b) for b in module.buffers()]]


def paddings() -> Iterator[tuple[str, Case]]:
    """Padding of the last dimensions."""
    for d in (1, 2, 3):
        shape = (2, 3, 3, 4, 3)[: 2 + d]
        for kind in ("Zero", "Reflection", "Replication", "Circular"):
            sides = tuple((1, 2, 0, 1, 2, 2)[: 2 * d])
            yield layer(f"{kind}Pad{d}d", 1, shapes=[shape])
            yield layer(f"{kind}Pad{d}d", sides, shapes=[shape[1:]])
        yield layer(f"ConstantPad{d}d", 2, 3.5, shapes=[shape])
        yield layer(f"ConstantPad{d}d", (-1, 2) * d, 1.5, shapes=[shape])
    yield layer("ReplicationPad2d", -1, shapes=[(1, 4, 4)])
    yield layer("ReflectionPad1d", (-1, 1), shapes=[(1, 1, 4)])
    yield layer("CircularPad2d", (1, -1, 1, 1), shapes=[(1, 1, 3, 3)])


def attended(
    *shapes: tuple[int, ...], mask: Case | None = None, dtype: str = "float64", **options: Any
) -> Case:
    """scaled_dot_product_attention of random numbers."""

    def run(lib: Any) -> Any:
        lib.manual_seed(11)
        xs = tensors(lib, shapes, getattr(lib, dtype))
        given = {} if mask is None else {"attn_mask": mask(lib)}
        call = Called(lib.nn.functional.scaled_dot_product_attention)
        return passes(lib, call, xs, {**given, **options})

    return run


def bools(*shape: int) -> Case:
    """A random mask, a row of which may be empty."""
    return lambda lib: lib.rand(shape) < 0.5


def floats(*shape: int) -> Case:
    """A random mask to add, which has a gradient."""
    return lambda lib: lib.randn(shape, dtype=lib.float64)


def attentions() -> Iterator[tuple[str, Case]]:
    """Attention as a function and as a module, and transformers."""
    plain = ((2, 3, 4), (2, 5, 4), (2, 5, 3))
    yield "attention", attended(*plain)
    yield "attention float32", attended(*plain, dtype="float32")
    yield "attention scale", attended(*plain, scale=0.3)
    yield "attention causal", attended(*plain, is_causal=True)
    yield "attention causal tall", attended((7, 4), (5, 4), (5, 3), is_causal=True)
    yield "attention mask", attended(*plain, mask=bools(3, 5))
    yield "attention batch of masks", attended(*plain, mask=bools(2, 1, 5))
    yield "attention float mask", attended(*plain, mask=floats(3, 5))
    yield "attention dropout", attended(*plain, dropout_p=0.4)
    yield "attention broadcast", attended((2, 3, 4), (1, 5, 4), (5, 2))
    yield (
        "attention groups",
        attended((2, 6, 3, 4), (2, 2, 5, 4), (2, 2, 5, 3), enable_gqa=True, is_causal=True),
    )
    yield "attention of nothing", attended((2, 3, 4), (2, 0, 4), (2, 0, 3))
    heads = [(3, 2, 6), (5, 2, 6), (5, 2, 6)]
    none = {"need_weights": False}
    for i, (options, shapes, given) in enumerate(
        [
            ({}, heads, None),
            ({"bias": False, "add_bias_kv": True}, heads, {"average_attn_weights": False}),
            ({"add_zero_attn": True}, heads, none),
            ({"kdim": 3, "vdim": 4}, [(3, 2, 6), (5, 2, 3), (5, 2, 4)], None),
            ({"batch_first": True}, [(2, 3, 6), (2, 5, 6), (2, 5, 6)], None),
            ({"dropout": 0.3}, heads, None),
            ({"dropout": 0.3}, heads, none),
            ({}, [(3, 6), (5, 6), (5, 6)], None),
        ]
    ):
        label, case = layer(
            "MultiheadAttention", 6, 2, shapes=shapes, call=lambda lib, g=given: g, **options
        )
        yield f"{label} {i}", case
    masks: list[Case] = [
        lambda lib: {"attn_mask": lib.arange(3).reshape(3, 1) < lib.arange(5)},
        lambda lib: {"attn_mask": lib.linspace(-1, 1, 60, dtype=lib.float64).reshape(4, 3, 5)},
        lambda lib: {"key_padding_mask": lib.tensor([[False] * 5, [False] * 3 + [True] * 2])},
        lambda lib: {
            "key_padding_mask": lib.tensor([[False] * 5, [False] * 3 + [True] * 2]),
            "attn_mask": lib.arange(3).reshape(3, 1) + 2 < lib.arange(5),
            "need_weights": False,
        },
    ]
    for i, one in enumerate(masks):
        label, case = layer("MultiheadAttention", 6, 2, shapes=heads, call=one)
        yield f"{label} mask {i}", case
        extra = {"add_bias_kv": True, "add_zero_attn": True}
        label, case = layer("MultiheadAttention", 6, 2, shapes=heads, call=one, **extra)
        yield f"{label} mask {i}", case


def transformers() -> Iterator[tuple[str, Case]]:
    """Encoders, decoders and both."""
    sizes = (4, 2, 6)
    for options in (
        {},
        {"norm_first": True, "activation": "gelu", "dropout": 0.0},
        {"batch_first": True, "bias": False},
    ):
        yield layer("TransformerEncoderLayer", *sizes, shapes=[(3, 2, 4)], **options)
        yield layer("TransformerDecoderLayer", *sizes, shapes=[(3, 2, 4)] * 2, **options)
    label, case = layer(
        "TransformerEncoderLayer", *sizes, shapes=[(3, 2, 4)],
        call=lambda lib: {
            "src_mask": lib.nn.Transformer.generate_square_subsequent_mask(3, dtype=lib.float64),
            "is_causal": True,
        },
    )  # fmt: skip
    yield f"{label} causal", case

    def stacked(lib: Any, kind: str, norm: bool, **options: Any) -> Any:
        lib.manual_seed(5)
        made = getattr(lib.nn, f"Transformer{kind}Layer")(4, 2, 6, dtype=lib.float64, **options)
        last = lib.nn.LayerNorm(4, dtype=lib.float64) if norm else None
        extra = {"enable_nested_tensor": False} if kind == "Encoder" else {}
        module = getattr(lib.nn, f"Transformer{kind}")(made, 2, last, **extra)
        xs = tensors(lib, [(3, 2, 4)] * (1 + (kind == "Decoder")), lib.float64)
        mask = lib.nn.Transformer.generate_square_subsequent_mask(3, dtype=lib.float64)
        given = {"mask" if kind == "Encoder" else "tgt_mask": mask}
        return [repr(module), list(module.state_dict()), passes(lib, module, xs, given)]

    for kind in ("Encoder", "Decoder"):
        for norm in (True, False):
            yield (
                f"stack {kind} {norm}",
                lambda lib, k=kind, n=norm: stacked(lib, k, n, norm_first=n),
            )
    yield layer("Transformer", 4, 2, 1, 2, 6, shapes=[(3, 2, 4), (2, 2, 4)])
    yield layer("Transformer", 4, 2, 1, 1, 6, batch_first=True, shapes=[(2, 3, 4), (2, 2, 4)])


def loss(
    name: str, *shapes: Any, targets: Any = None, **options: Any
) -> Iterator[tuple[str, Case]]:
    """A loss of random numbers of each shape, and of targets, reduced in each way."""
    for reduction in ("mean", "sum", "none"):

        def run(lib: Any, reduction: str = reduction) -> Any:
            lib.manual_seed(13)
            module = getattr(lib.nn, name)(
                reduction=reduction, **{k: v(lib) if callable(v) else v for k, v in options.items()}
            )
            xs = tensors(lib, shapes, lib.float64)
            more = [] if targets is None else targets(lib)
            return [repr(module), passes(lib, module, [*xs, *more])]

        shown = {k: v for k, v in options.items() if not callable(v)}
        yield f"{name} {shapes} {shown} {reduction}", run


def losses() -> Iterator[tuple[str, Case]]:
    """Losses of labels, distances, distributions and alignments."""
    yield layer("Bilinear", 2, 3, 4, shapes=[(5, 2), (5, 3)])
    yield layer("Bilinear", 2, 3, 4, bias=False, shapes=[(2, 5, 2), (2, 5, 3)])
    yield layer("Bilinear", 2, 3, 1, shapes=[(2,), (3,)])
    pair = ((3, 4), (3, 4))
    zero = lambda lib: lib.zeros(3, 4).double().requires_grad_()  # noqa: E731
    yield layer("CosineSimilarity", shapes=pair)
    yield layer("CosineSimilarity", -2, 2.0, shapes=[(2, 3, 4), (3, 4)])
    yield layer("CosineSimilarity", shapes=[(3, 4), zero])
    for p in (1, 2, 3.5, float("inf")):
        yield layer("PairwiseDistance", p, keepdim=p == 1, shapes=pair)
    yield layer("PairwiseDistance", eps=0.0, shapes=[zero, zero])
    signs = lambda lib: [lib.tensor([1, -1, -1])]  # noqa: E731
    yield from loss("CosineEmbeddingLoss", *pair, targets=signs)
    yield from loss("CosineEmbeddingLoss", *pair, targets=signs, margin=-0.5)
    yield from loss("CosineEmbeddingLoss", (4,), (4,), targets=lambda lib: [lib.tensor(-1)])
    spread = lambda lib: [lib.rand(3, 4, dtype=lib.float64).requires_grad_()]  # noqa: E731
    yield from loss("GaussianNLLLoss", *pair, targets=spread)
    yield from loss("GaussianNLLLoss", *pair, targets=spread, full=True, eps=0.5)
    one = lambda lib: [lib.rand(3, 1, dtype=lib.float64)]  # noqa: E731
    yield from loss("GaussianNLLLoss", *pair, targets=one)
    counts = lambda lib: [lib.tensor([[0.0, 1, 2], [5, 1, 0]], dtype=lib.float64)]  # noqa: E731
    yield from loss("PoissonNLLLoss", (2, 3), targets=counts)
    yield from loss("PoissonNLLLoss", (2, 3), targets=counts, full=True)
    rates = lambda lib: [lib.rand(2, 3, dtype=lib.float64).requires_grad_(), *counts(lib)]  # noqa: E731
    yield from loss("PoissonNLLLoss", targets=rates, log_input=False, eps=0.1)
    labels = lambda lib: [lib.tensor([[3, 0, -1, 1], [-1, 2, 1, 0], [0, 1, 2, 3]])]  # noqa: E731
    yield from loss("MultiLabelMarginLoss", (3, 4), targets=labels)
    yield from loss("MultiLabelMarginLoss", (4,), targets=lambda lib: [lib.tensor([3, 3, -1, 1])])
    both = lambda lib: [(lib.rand(3, 4) < 0.5).double()]  # noqa: E731
    yield from loss("MultiLabelSoftMarginLoss", (3, 4), targets=both)
    weight = lambda lib: lib.tensor([1.0, 2.0, 0.5, 1.5]).double()  # noqa: E731
    yield from loss("MultiLabelSoftMarginLoss", (3, 4), targets=both, weight=weight)
    classes = lambda lib: [lib.tensor([3, 0, 2])]  # noqa: E731
    yield from loss("MultiMarginLoss", (3, 4), targets=classes)
    yield from loss("MultiMarginLoss", (3, 4), targets=classes, p=2, margin=0.3, weight=weight)
    yield from loss("MultiMarginLoss", (4,), targets=lambda lib: [lib.tensor(1)])
    three = ((3, 4),) * 3
    yield from loss("TripletMarginLoss", *three)
    yield from loss("TripletMarginLoss", *three, margin=0.3, p=1.0, swap=True)
    yield from loss("TripletMarginLoss", (4,), (4,), (4,), p=3.0)
    yield from loss("TripletMarginWithDistanceLoss", *three, margin=2.0, swap=True)
    for i, (target, times, sizes, options) in enumerate(
        [
            ([[1, 2, 2], [1, 1, 0]], [6, 5], [3, 2], {}),
            ([[1, 2], [1, 3]], [6, 3], [2, 0], {}),
            ([1, 2, 3], [4, 6], [1, 2], {"blank": 0}),
            ([[0, 2], [1, 0]], [6, 6], [2, 2], {"blank": 3}),
            ([[1, 1, 2], [2, 2, 2]], [6, 4], [3, 3], {"zero_infinity": True}),
            ([[1, 1, 2], [2, 2, 2]], [6, 4], [3, 3], {}),
        ]
    ):
        for reduction in ("mean", "sum", "none"):

            def run(
                lib: Any, t: Any = target, n: Any = times, m: Any = sizes, o: Any = options,
                r: str = reduction,
            ) -> Any:  # fmt: skip
                lib.manual_seed(1)
                function = lib.nn.CTCLoss(reduction=r, **o)
                call = Called(lambda x: function(x.log_softmax(2), lib.tensor(t), n, m))
                return passes(lib, call, tensors(lib, [(6, 2, 4)], lib.float64))

            yield f"CTCLoss {i} {reduction}", run

    def alone(lib: Any) -> Any:
        lib.manual_seed(1)
        function = lib.nn.CTCLoss()
        call = Called(
            lambda x: function(x.log_softmax(1), lib.tensor([1, 2]), lib.tensor(6), lib.tensor(2))
        )
        return passes(lib, call, tensors(lib, [(6, 4)], lib.float64))

    yield "CTCLoss alone", alone
    yield (
        "CTCLoss impossible",
        lambda lib: digest(
            lib,
            lib.nn.functional.ctc_loss(
                lib.zeros(2, 2, 3), lib.tensor([[1, 2], [1, 1]]), (2, 2), (2, 2), reduction="none"
            ),
        ),
    )


NUMBERS: dict[str, Case] = dict(
    [
        *losses(),
        *norms(),
        *embeddings(),
        *parametrized(),
        *paddings(),
        *lazy(),
        *recurrent(),
        *sequences(),
        *attentions(),
        *transformers(),
    ]
)


def call(name: str, *shapes: Any, **options: Any) -> Case:
    """A function of ones."""
    return lambda lib: getattr(lib.nn.functional, name)(
        *[None if s is None else lib.ones(s) for s in shapes], **options
    )


def fed(name: str, *args: Any, shape: Any, **options: Any) -> Case:
    """A module on ones."""
    return lambda lib: getattr(lib.nn, name)(*args, **options)(lib.ones(shape))


ERRORS: dict[str, Case] = {
    "batch of one": call("batch_norm", (1, 3), 3, 3, training=True),
    "no running mean": call("batch_norm", (2, 3), None, None),
    "one running moment": call("batch_norm", (2, 3), 3, None, training=True),
    "running mean": call("batch_norm", (2, 3, 4), 2, 3),
    "running var": call("batch_norm", (2, 3, 4), 3, 2),
    "batch weight": call("batch_norm", (2, 3), None, None, 2, training=True),
    "batch bias": call("batch_norm", (2, 3), None, None, None, 2, training=True),
    "batch dims": call("batch_norm", (3,), None, None, training=True),
    "batch integers": lambda lib: lib.nn.functional.batch_norm(
        lib.ones(2, 3).long(), None, None, training=True
    ),
    "batch no tensor": lambda lib: lib.nn.functional.batch_norm(3, None, None),
    "batch dtype": lambda lib: lib.nn.functional.batch_norm(
        lib.ones(2, 3).double(), None, None, lib.ones(3), training=True
    ),
    "batch 1d": fed("BatchNorm1d", 3, shape=2),
    "batch of processes": fed("SyncBatchNorm", 3, shape=3),
    "batch 2d": fed("BatchNorm2d", 3, shape=(2, 3, 4)),
    "batch 3d": fed("BatchNorm3d", 3, shape=(2, 3, 4)),
    "groups": call("group_norm", (2, 3, 4), num_groups=2),
    "group of one": call("group_norm", (1, 2), num_groups=2),
    "group weight": lambda lib: lib.nn.functional.group_norm(lib.ones(2, 4), 2, lib.ones(3)),
    "group dims": call("group_norm", (4,), num_groups=2),
    "negative groups": call("group_norm", (2, 4), num_groups=-1),
    "no groups": call("group_norm", (2, 4), num_groups=0),
    "group module": lambda lib: lib.nn.GroupNorm(2, 3),
    "instance of one": call("instance_norm", (2, 3, 1)),
    "instance dims": call("instance_norm", (2, 3)),
    "instance moments": call("instance_norm", (2, 3, 4), use_input_stats=False),
    "instance features": fed("InstanceNorm1d", 3, affine=True, shape=(2, 4, 5)),
    "instance features unbatched": fed("InstanceNorm1d", 3, affine=True, shape=(2, 4)),
    "instance 1d": fed("InstanceNorm1d", 3, shape=2),
    "instance 2d": fed("InstanceNorm2d", 3, shape=(2, 3)),
    "instance 3d": fed("InstanceNorm3d", 3, shape=(2, 3)),
    "rms empty": call("rms_norm", (2, 3), normalized_shape=()),
    "rms weight": lambda lib: lib.nn.functional.rms_norm(lib.ones(2, 4), (4,), lib.ones(3)),
    "rms shape": call("rms_norm", (2, 3), normalized_shape=3),
    "rms integers": lambda lib: lib.nn.functional.rms_norm(lib.ones(2, 3).long(), (3,)),
    "response dims": call("local_response_norm", (2, 3), size=2),
    **{
        f"{name} {i}": lambda lib, n=name, a=args, s=shapes: getattr(lib.nn, n)(*a)(
            *[lib.ones(x) if isinstance(x, tuple) else tuple(map(lib.ones, x)) for x in s]
        )
        for i, (name, args, shapes) in enumerate(
            [
                ("LSTM", (3, 4), [(2, 3, 5)]),
                ("LSTM", (3, 4), [(2,)]),
                ("LSTM", (3, 4), [(5, 2, 3), [(1, 2, 4), (1, 2, 5)]]),
                ("LSTM", (3, 4), [(5, 2, 3), [(1, 2, 5), (1, 2, 4)]]),
                ("LSTM", (3, 4), [(5, 2, 3), [(2, 4), (2, 4)]]),
                ("LSTM", (3, 4), [(5, 3), [(1, 1, 4), (1, 1, 4)]]),
                ("LSTM", (3, 4), [(0, 2, 3)]),
                ("LSTM", (3, 4, 0), []),
                ("LSTM", (3, 0), []),
                ("LSTM", (3, 4.0), []),
                ("LSTM", (0, 4), []),
                ("GRU", (3, 4), [(5, 2, 3), (2, 4)]),
                ("GRU", (3, 4), [(5, 3), (1, 1, 4)]),
                ("GRU", (3, 4), [(5, 2, 3), (1, 3, 4)]),
                ("GRU", (3, 4), [(5, 2, 4)]),
                ("LSTMCell", (3, 4), [(2, 2, 3)]),
                ("LSTMCell", (3, 4), [(2, 4)]),
                ("LSTMCell", (3, 4), [(2, 3), [(2, 3), (2, 4)]]),
                ("GRUCell", (3, 4), [(2, 3), (3, 4)]),
                ("RNNCell", (3, 4, True, "q"), [(2, 3)]),
            ]
        )
    },
    "rnn dtype": lambda lib: lib.nn.RNN(3, 4)(lib.ones(5, 2, 3).double()),
    "proj_size": lambda lib: lib.nn.LSTM(3, 4, proj_size=4),
    "negative proj_size": lambda lib: lib.nn.LSTM(3, 4, proj_size=-1),
    "proj_size of gru": lambda lib: lib.nn.GRU(3, 4, proj_size=1),
    "dropout of rnn": lambda lib: lib.nn.RNN(3, 4, dropout=2),
    "nonlinearity": lambda lib: lib.nn.RNN(3, 4, nonlinearity="x"),
    "unsorted": lambda lib: lib.nn.utils.rnn.pack_padded_sequence(lib.ones(3, 2, 1), [2, 3]),
    "no length": lambda lib: lib.nn.utils.rnn.pack_padded_sequence(lib.ones(3, 2, 1), [3, 0]),
    "lengths": lambda lib: lib.nn.utils.rnn.pack_padded_sequence(lib.ones(3, 2, 1), [3]),
    "total_length": lambda lib: lib.nn.utils.rnn.pad_packed_sequence(
        lib.nn.utils.rnn.pack_padded_sequence(lib.ones(3, 2, 1), [3, 2]), total_length=2
    ),
    "padding side": lambda lib: lib.nn.utils.rnn.pad_sequence([lib.ones(2)], padding_side="x"),
    "no sequences": lambda lib: lib.nn.utils.rnn.pad_sequence([]),
    "sequence of ints": lambda lib: lib.nn.utils.rnn.pad_sequence(3),
    **{
        f"attention {i}": lambda lib, s=shapes, o=options: (
            lib.nn.functional.scaled_dot_product_attention(
                *map(lib.ones, s), **{k: v(lib) if callable(v) else v for k, v in o.items()}
            )
        )
        for i, (shapes, options) in enumerate(
            [
                (((3,), (3,), (3,)), {}),
                (
                    ((2, 3), (4, 3), (4, 5)),
                    {"attn_mask": lambda lib: lib.ones(2, 4), "is_causal": True},
                ),
                (((2, 3), (4, 3), (4, 5)), {"attn_mask": lambda lib: lib.ones(2, 4).long()}),
                (((2, 3), (4, 3), (4, 5)), {"attn_mask": lambda lib: lib.ones(2, 4).double()}),
                (((2, 3), (4, 3), (4, 5)), {"attn_mask": lambda lib: lib.ones(2, 4).half()}),
                (((2, 3), (4, 3), (4, 5)), {"attn_mask": lambda lib: lib.ones(2, 4).char()}),
                (((2, 3), (4, 3), (4, 5)), {"attn_mask": lambda lib: lib.ones(2, 4).short()}),
            ]
        )
    },
    **{
        f"heads {i}": lambda lib, s=shapes, o=options: lib.nn.MultiheadAttention(6, 2)(
            *map(lib.ones, s), **{k: v(lib) if callable(v) else v for k, v in o.items()}
        )
        for i, (shapes, options) in enumerate(
            [
                (((2, 2, 2, 6), (2, 6), (2, 6)), {}),
                (((2, 2, 6), (2, 6), (2, 6)), {}),
                (((2, 6), (2, 2, 6), (2, 6)), {}),
                (((3, 2, 5), (3, 2, 5), (3, 2, 5)), {}),
                (((3, 2, 6), (4, 2, 6), (5, 2, 6)), {}),
                (((3, 2, 6), (4, 2, 6), (4, 2, 6)), {"is_causal": True}),
                (((3, 2, 6), (4, 2, 6), (4, 2, 6)), {"attn_mask": lambda lib: lib.ones(3, 3)}),
                (((3, 2, 6), (4, 2, 6), (4, 2, 6)), {"attn_mask": lambda lib: lib.ones(3, 3, 4)}),
                (((3, 2, 6), (4, 2, 6), (4, 2, 6)), {"attn_mask": lambda lib: lib.ones(4)}),
                (
                    ((3, 2, 6), (4, 2, 6), (4, 2, 6)),
                    {"attn_mask": lambda lib: lib.ones(3, 4).long()},
                ),
                (
                    ((3, 2, 6), (4, 2, 6), (4, 2, 6)),
                    {"key_padding_mask": lambda lib: lib.ones(2, 3).bool()},
                ),
                (
                    ((3, 6), (4, 6), (4, 6)),
                    {"key_padding_mask": lambda lib: lib.ones(2, 4).bool()},
                ),
            ]
        )
    },
    "heads of nothing": lambda lib: lib.nn.MultiheadAttention(6, 0),
    "heads that do not divide": lambda lib: lib.nn.MultiheadAttention(6, 4),
    "transformer activation": lambda lib: lib.nn.TransformerEncoderLayer(6, 2, activation="x"),
    "transformer batch": lambda lib: lib.nn.Transformer(4, 2, 1, 1, 8)(
        lib.ones(3, 2, 4), lib.ones(3, 3, 4)
    ),
    "transformer features": lambda lib: lib.nn.Transformer(4, 2, 1, 1, 8)(
        lib.ones(3, 2, 5), lib.ones(3, 2, 5)
    ),
    **{
        f"{name} {i}": lambda lib, n=name, s=shapes, o=options: getattr(lib.nn.functional, n)(
            *[lib.tensor(x) if isinstance(x, list) else lib.ones(x) for x in s],
            **{k: v(lib) if callable(v) else v for k, v in o.items()},
        )
        for i, (name, shapes, options) in enumerate(
            [
                ("cosine_embedding_loss", ((2, 3, 4), (2, 3, 4), (2,)), {}),
                ("cosine_embedding_loss", ((3,), (3,), (1,)), {}),
                ("gaussian_nll_loss", ((2, 3), (2, 3), (4,)), {}),
                ("gaussian_nll_loss", ((2, 3), (2, 3)), {"var": -1.0}),
                ("gaussian_nll_loss", ((2, 3), (2, 3), (2, 3)), {"reduction": "x"}),
                ("multilabel_margin_loss", ((2, 3), [[0, 1, 3], [2, -1, 0]]), {}),
                ("multilabel_margin_loss", ((2, 3), (2, 3)), {}),
                ("multilabel_margin_loss", ((2, 3), [0, 1]), {}),
                ("multilabel_margin_loss", ((2, 3, 4), [0, 1]), {}),
                ("multi_margin_loss", ((2, 3), [0, 3]), {}),
                ("multi_margin_loss", ((2, 3), [0, 1]), {"p": 3}),
                ("multi_margin_loss", ((2, 3), [0, 1]), {"weight": lambda lib: lib.ones(2)}),
                ("multi_margin_loss", ((2, 3), [0, 1, 2]), {}),
                ("multi_margin_loss", ((2, 3), (2,)), {}),
                ("multi_margin_loss", ((2, 3, 4), [0, 1]), {}),
                ("poisson_nll_loss", ((2,), (2,)), {"reduction": "x"}),
                ("triplet_margin_loss", ((2, 3), (2, 3), (3,)), {}),
                ("triplet_margin_loss", ((2, 3), (2, 3), (2, 3)), {"margin": -1}),
                ("triplet_margin_with_distance_loss", ((2, 3), (2, 3), (2, 3)), {"margin": -1}),
                ("ctc_loss", ((4, 2, 3), [[1, 2], [1, 1]], [5, 4], [2, 2]), {}),
                ("ctc_loss", ((4, 2, 3), [[1, 2], [1, 1]], [4, 4], [3, 2]), {}),
                ("ctc_loss", ((4, 2, 3), [[1, 2], [1, 1]], [4], [2, 2]), {}),
                ("ctc_loss", ((4, 2, 3), [[1, 2], [1, 1]], [4, 4], [2]), {}),
                ("ctc_loss", ((4, 2, 3), [[1, 2], [1, 1]], [4, 4], [2, 2]), {"blank": 3}),
                ("ctc_loss", ((4, 2, 3), [1, 2], [4, 4], [2, 2]), {}),
                ("ctc_loss", ((0, 2, 3), [1, 2], [0, 0], [1, 1]), {}),
                ("bilinear", ((5, 2), (5, 4), (4, 2, 3)), {}),
                ("bilinear", ((5, 2), (6, 3), (4, 2, 3)), {}),
                ("bilinear", ((5, 2), (5, 3), (4, 2, 3), (3,)), {}),
                ("bilinear", ((2, 5, 2), (5, 3), (4, 2, 3)), {}),
            ]
        )
    },
    "embedding index": lambda lib: lib.nn.Embedding(4, 3)(lib.tensor([4])),
    "embedding of floats": lambda lib: lib.nn.Embedding(4, 3)(lib.ones(2)),
    "embedding padding": lambda lib: lib.nn.Embedding(4, 3, padding_idx=5),
    "embedding weight": lambda lib: lib.nn.Embedding(2, 2, _weight=lib.ones(3, 2)),
    "embedding pretrained": lambda lib: lib.nn.Embedding.from_pretrained(lib.ones(2)),
    "reflection": fed("ReflectionPad1d", 3, shape=(1, 2, 3)),
    "reflection dims": fed("ReflectionPad2d", 1, shape=(3, 3)),
    "replication dims": fed("ReplicationPad1d", 1, shape=(3,)),
    "circular twice": fed("CircularPad1d", 4, shape=(1, 2, 3)),
    "circular dims": fed("CircularPad1d", 1, shape=(3,)),
    "constant less": fed("ConstantPad1d", -3, 1.0, shape=(1, 1, 4)),
    "constant dims": fed("ConstantPad2d", 1, 1.0, shape=(4,)),
    "odd padding": fed("ConstantPad1d", (1, 2, 3), 1.0, shape=(1, 2, 3)),
    "lazy shape": lambda lib: lib.nn.LazyLinear(3).weight.shape,
    "Bilinear of nothing": lambda lib: lib.nn.Bilinear(0, 3, 4),
    "MultiMarginLoss p": lambda lib: lib.nn.MultiMarginLoss(p=3),
    "MultiMarginLoss weight": lambda lib: lib.nn.MultiMarginLoss(weight=lib.ones(2, 2)),
    "TripletMarginLoss margin": lambda lib: lib.nn.TripletMarginLoss(margin=-1),
    "TripletMarginWithDistanceLoss margin": lambda lib: lib.nn.TripletMarginWithDistanceLoss(
        margin=-1
    ),
    "response size": call("local_response_norm", (2, 3, 4), size=0),
}


def main() -> None:
    """Writes layers.json."""
    import torch

    warnings.simplefilter("ignore")
    write(
        GOLDEN,
        numbers={name: case(torch) for name, case in NUMBERS.items()},
        errors={name: failure(case, torch) for name, case in ERRORS.items()},
    )


if __name__ == "__main__":
    main()
