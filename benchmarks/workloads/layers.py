"""Norms, attention, a recurrent layer and a small transformer: forward, gradients, steps."""

from collections.abc import Callable
from typing import Any

from contestants import US
from models import training
from workload import Library, Make, Run, Workload, same

from workloads.compiled import compiled

GROUP = "layers"
SEQUENCES = 128, 32, 50  # width, batch, steps
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
Setup = Callable[[Library], tuple[Callable[[], Any], Any]]  # the forward, and a tensor it uses


def forward(setup: Setup) -> Make:
    """The value alone."""

    def make(lib: Library) -> Run:
        run, _ = setup(lib)

        def quietly() -> Any:
            with lib.no_grad():
                return run()

        return quietly

    return make


def gradients(setup: Setup) -> Make:
    """The value and its gradients; the gradient of one tensor is compared."""

    def make(lib: Library) -> Run:
        run, leaf = setup(lib)
        lib.manual_seed(3)
        g = lib.randn(run().shape)

        def backward() -> Any:
            leaf.grad = None
            run().backward(g)
            return leaf.grad

        return backward

    return make


def norm(name: str, *shape: int, weights: tuple[int, ...], **options: Any) -> Setup:
    """A function of an input, running moments where it takes them, and a weight."""

    def setup(lib: Library) -> tuple[Callable[[], Any], Any]:
        lib.manual_seed(1)
        x = lib.randn(*shape).requires_grad_()
        parameters = [lib.rand(weights).requires_grad_()]
        function = getattr(lib.nn.functional, name)
        given: list[Any] = []
        if name == "batch_norm":
            given = [lib.zeros(weights), lib.ones(weights)]
            parameters.append(lib.rand(weights).requires_grad_())
        elif name == "group_norm":
            given = [8]
            parameters.append(lib.rand(weights).requires_grad_())
        else:
            given = [weights]
        return lambda: function(x, *given, *parameters, **options), x

    return setup


def attention(*shape: int, dropout: float = 0.0) -> Setup:
    """Causal attention of heads; weights that are dropped are the same ones at each call."""

    def setup(lib: Library) -> tuple[Callable[[], Any], Any]:
        lib.manual_seed(1)
        q, k, v = (lib.randn(*shape).requires_grad_() for _ in range(3))
        function = lib.nn.functional.scaled_dot_product_attention

        def run() -> Any:
            if dropout:
                lib.manual_seed(2)
            return function(q, k, v, dropout_p=dropout, is_causal=True)

        return run, q

    return setup


def recurrent(name: str, width: int, batch: int, steps: int) -> Setup:
    """Two recurrent layers over whole sequences."""

    def setup(lib: Library) -> tuple[Callable[[], Any], Any]:
        lib.manual_seed(1)
        module = getattr(lib.nn, name)(width, width, 2)
        x = lib.randn(steps, batch, width).requires_grad_()
        return lambda: module(x)[0], x

    return setup


def flops(name: str) -> float | None:
    """Those of the products of two recurrent layers, of what comes in and of the state."""
    width, batch, steps = SEQUENCES
    gates = GATES.get(name.partition(" ")[0])
    return gates and 2 * 2 * 2.0 * steps * batch * width * gates * width


def lstm(lib: Library) -> Run:
    """A training step of two LSTM layers and a linear one, 32 sequences of 50 steps."""
    nn, width = lib.nn, 128
    lib.manual_seed(5)
    parts = nn.ModuleList([nn.LSTM(width, width, 2), nn.Linear(width, 10)])
    x, target = lib.randn(50, 32, width), lib.randint(0, 10, (32,))
    optimizer = lib.optim.SGD(parts.parameters(), lr=1e-3)

    def loss() -> Any:
        return nn.functional.cross_entropy(parts[1](parts[0](x)[0][-1]), target)

    return training(loss, optimizer)


def gpt(lib: Library) -> Run:
    """A training step of a transformer of 2 layers, 64 wide, on 8 texts of 64 tokens."""
    nn, width, tokens, batch, letters = lib.nn, 64, 64, 8, 65
    lib.manual_seed(5)
    layers = [
        nn.TransformerEncoderLayer(
            width, 4, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True
        )
        for _ in range(2)
    ]
    parts = nn.ModuleList(
        [nn.Embedding(letters, width), nn.Embedding(tokens, width), *layers]
    )  # fmt: skip
    parts.extend([nn.LayerNorm(width), nn.Linear(width, letters)])
    mask = nn.Transformer.generate_square_subsequent_mask(tokens)
    x, target = (lib.randint(0, letters, (batch, tokens)) for _ in range(2))
    places = lib.arange(tokens)
    optimizer = lib.optim.AdamW(parts.parameters(), lr=1e-4)

    def loss() -> Any:
        h = parts[0](x) + parts[1](places)
        for layer in layers:
            h = layer(h, src_mask=mask, is_causal=True)
        logits = parts[5](parts[4](h))
        return nn.functional.cross_entropy(logits.reshape(-1, letters), target.reshape(-1))

    return training(loss, optimizer)


def encoder(lib: Library) -> Run:
    """A training step of a transformer layer as it is by default, weights being dropped."""
    lib.manual_seed(5)
    layer = lib.nn.TransformerEncoderLayer(64, 4, 256, 0.1, batch_first=True)
    x, target = lib.randn(8, 64, 64), lib.randn(8, 64, 64)
    optimizer = lib.optim.SGD(layer.parameters(), lr=1e-3)
    return training(lambda: lib.nn.functional.mse_loss(layer(x), target), optimizer)


IMAGES = (16, 64, 32, 32)
SETUPS: list[tuple[str, float, Setup]] = [
    ("batch_norm 16x64x32x32", 1.0, norm("batch_norm", *IMAGES, weights=(64,), training=True)),
    ("batch_norm, evaluation", 1.0, norm("batch_norm", *IMAGES, weights=(64,))),
    ("group_norm 16x64x32x32", 1.0, norm("group_norm", *IMAGES, weights=(64,))),
    ("rms_norm 512x1000", 1.0, norm("rms_norm", 512, 1000, weights=(1000,))),
    ("causal attention 8x4x64x16", 1.0, attention(8, 4, 64, 16)),
    ("causal attention 4x8x512x64", 1.0, attention(4, 8, 512, 64)),
    ("causal attention 8x4x64x16, dropout", 1.0, attention(8, 4, 64, 16, dropout=0.1)),
    ("LSTM 2x128 on 32x50", 1.5, recurrent("LSTM", *SEQUENCES)),
    ("GRU 2x128 on 32x50", 1.0, recurrent("GRU", *SEQUENCES)),
    ("RNN 2x128 on 32x50", 1.0, recurrent("RNN", *SEQUENCES)),
]
WORKLOADS = [
    Workload(
        *(f"{name}{suffix}", GROUP, same(make(setup)), target, ("torch",)),
        tolerance=1e-3,
        work=work and passes * work,
        unit="flop float32" if work else "",
    )
    for name, target, setup in SETUPS
    for work in (flops(name),)
    for suffix, make, passes in (("", forward, 1), (", backward", gradients, 3))
] + [
    Workload(name, GROUP, makes, target, ("torch",), tolerance=1e-3, quick=quick)
    for name, makes, target, quick in (
        ("GPT 2x64 on 8x64, AdamW", same(gpt), 1.3, True),
        ("compiled GPT 2x64 on 8x64, AdamW", {US: compiled(gpt), "torch": gpt}, 2.0, False),
        ("compiled LSTM 2x128 on 32x50, SGD", {US: compiled(lstm), "torch": lstm}, 1.5, False),
        ("encoder layer 8x64x64, SGD", same(encoder), 1.3, False),
        (
            "compiled encoder layer 8x64x64, SGD",
            {US: compiled(encoder), "torch": encoder},
            1.5,
            False,
        ),
    )
]
