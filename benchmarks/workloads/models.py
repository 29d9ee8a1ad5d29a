"""Training steps of whole models as people write them, and predictions for one sample."""

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

from contestants import US
from models import block_with_heads, encoder, mobilenet, normed, perceptron, resnet18, training
from workload import Library, Run, Workload, same


def predicting(ad: Library, model: Any, *shape: int) -> Run:
    model.eval()
    x = ad.randn(*shape)

    def predict() -> Any:
        with ad.no_grad():
            return model(x)

    return predict


def classifying(ad: Library, model: Any, shape: tuple[int, ...], optimizer: Any) -> Run:
    """A step on one batch of ten classes."""
    x, target = ad.randn(*shape), ad.randint(0, 10, shape[:1])
    return training(lambda: ad.nn.functional.cross_entropy(model(x), target), optimizer)


def parameters(*modules: Any) -> list[Any]:
    return [p for module in modules for p in module.parameters()]


# ---- images ----


def cnn(ad: Library) -> Run:
    nn, widths = ad.nn, (3, 32, 32, 64, 64)
    ad.manual_seed(3)
    layers = []
    for i, (fan_in, fan_out) in enumerate(pairwise(widths)):
        layers += [*normed(ad, fan_in, fan_out), nn.ReLU(), *[nn.MaxPool2d(2)] * (i % 2)]
    layers += [nn.Flatten(), nn.Linear(64 * 8 * 8, 128), nn.ReLU(), nn.Linear(128, 10)]
    model = nn.Sequential(*layers)
    optimizer = ad.optim.Adam(model.parameters(), lr=1e-4)
    return classifying(ad, model, (32, 3, 32, 32), optimizer)


def resnet18_step(ad: Library) -> Run:
    model = resnet18(ad)
    optimizer = ad.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, weight_decay=5e-4)
    return classifying(ad, model, (8, 3, 32, 32), optimizer)


def mobilenet_step(ad: Library) -> Run:
    model = mobilenet(ad)
    optimizer = ad.optim.RMSprop(model.parameters(), lr=1e-5)
    return classifying(ad, model, (8, 3, 64, 64), optimizer)


def unet_step(ad: Library) -> Run:
    """Two levels of Ronneberger et al., 2015, on images of 64x64."""
    nn, fn = ad.nn, ad.nn.functional

    def twice(fan_in: int, fan_out: int) -> Any:
        first, second = (nn.Conv2d(n, fan_out, 3, padding=1) for n in (fan_in, fan_out))
        return nn.Sequential(first, nn.ReLU(), second, nn.ReLU())

    ad.manual_seed(3)
    down = [twice(1, 16), twice(16, 32), twice(32, 64)]
    up = [nn.ConvTranspose2d(64, 32, 2, 2), nn.ConvTranspose2d(32, 16, 2, 2)]
    joined = [twice(64, 32), twice(32, 16), nn.Conv2d(16, 1, 1)]
    x, target = ad.randn(4, 1, 64, 64), (ad.rand(4, 1, 64, 64) > 0.5).float()

    def loss() -> Any:
        a = down[0](x)
        b = down[1](fn.max_pool2d(a, 2))
        c = down[2](fn.max_pool2d(b, 2))
        b = joined[0](ad.cat([up[0](c), b], 1))
        a = joined[1](ad.cat([up[1](b), a], 1))
        return fn.binary_cross_entropy_with_logits(joined[2](a), target)

    return training(loss, ad.optim.Adam(parameters(*down, *up, *joined), lr=1e-4))


# ---- sequences ----


def heads_step(ad: Library) -> Run:
    """A GPT of four such blocks."""
    nn, width, tokens, letters = ad.nn, 64, 32, 65
    ad.manual_seed(3)
    tables = [nn.Embedding(letters, width), nn.Embedding(tokens, width)]
    blocks = [block_with_heads(ad, width, tokens) for _ in range(4)]
    body = nn.Sequential(*blocks, nn.LayerNorm(width), nn.Linear(width, letters))
    x, target = (ad.randint(0, letters, (16, tokens)) for _ in range(2))

    def loss() -> Any:
        logits = body(tables[0](x) + tables[1](ad.arange(tokens)))
        return nn.functional.cross_entropy(logits.view(-1, letters), target.view(-1))

    return training(loss, ad.optim.AdamW(parameters(*tables, body), lr=1e-4))


def language_step(ad: Library) -> Run:
    """A language model of one LSTM of 128, 20 texts of 35 words of 200."""
    nn = ad.nn
    ad.manual_seed(3)
    embed, lstm, head = (
        nn.Embedding(200, 64),
        nn.LSTM(64, 128, batch_first=True),
        nn.Linear(128, 200),
    )
    x, target = (ad.randint(0, 200, (20, 35)) for _ in range(2))

    def loss() -> Any:
        logits = head(lstm(embed(x))[0])
        return nn.functional.cross_entropy(logits.reshape(-1, 200), target.reshape(-1))

    return training(loss, ad.optim.SGD(parameters(embed, lstm, head), lr=1e-3))


def cell_step(ad: Library) -> Run:
    """A GRU cell called for each of 20 steps."""
    nn = ad.nn
    ad.manual_seed(3)
    cell, head = nn.GRUCell(16, 32), nn.Linear(32, 1)
    x, target = ad.randn(20, 8, 16), ad.randn(8, 1)

    def loss() -> Any:
        state = ad.zeros(8, 32)
        for t in range(20):
            state = cell(x[t], state)
        return nn.functional.mse_loss(head(state), target)

    return training(loss, ad.optim.Adam(parameters(cell, head), lr=1e-4))


# ---- others ----


def vae_step(ad: Library) -> Run:
    """784-400-20-400-784, Kingma and Welling, 2014."""
    nn, fn = ad.nn, ad.nn.functional
    ad.manual_seed(3)
    first, decoder = nn.Linear(784, 400), perceptron(ad, 20, 400, 784)
    mean, logarithm = nn.Linear(400, 20), nn.Linear(400, 20)
    x = ad.rand(128, 784)

    def loss() -> Any:
        ad.manual_seed(4)
        h = fn.relu(first(x))
        mu, logvar = mean(h), logarithm(h)
        z = mu + ad.randn_like(mu) * ad.exp(0.5 * logvar)
        apart = fn.binary_cross_entropy(ad.sigmoid(decoder(z)), x, reduction="sum")
        return apart - 0.5 * ad.sum(1 + logvar - mu.pow(2) - logvar.exp())

    return training(loss, ad.optim.Adam(parameters(first, mean, logarithm, decoder), lr=1e-5))


def policy_step(ad: Library) -> Run:
    """The clipped loss of Schulman et al., 2017, with a value and an entropy."""
    ad.manual_seed(3)
    policy = perceptron(ad, 8, 64, 64, 2, activation="Tanh")
    value = perceptron(ad, 8, 64, 1, activation="Tanh")
    scale = ad.nn.Parameter(ad.zeros(2))
    x, action = ad.randn(64, 8), ad.randn(64, 2)
    gain, returned, old = (ad.randn(64) for _ in range(3))

    def loss() -> Any:
        normal = ad.distributions.Normal(policy(x), scale.exp())
        ratio = (normal.log_prob(action).sum(-1) - old).exp()
        advantage = (gain - gain.mean()) / (gain.std() + 1e-8)
        clipped = ad.min(ratio * advantage, ad.clamp(ratio, 0.8, 1.2) * advantage)
        apart = (value(x).squeeze(-1) - returned).pow(2).mean()
        return 0.5 * apart - clipped.mean() - 0.01 * normal.entropy().mean()

    return training(loss, ad.optim.Adam([*parameters(policy, value), scale], lr=1e-5))


def graph_step(ad: Library) -> Run:
    """A graph convolutional network, Kipf and Welling, 2017, of 300 nodes."""
    fn = ad.nn.functional
    ad.manual_seed(3)
    adjacent = (ad.rand(300, 300) < 0.02).float() + ad.eye(300)
    adjacent = adjacent / adjacent.sum(1, keepdim=True)
    first, second = ad.nn.Linear(64, 32), ad.nn.Linear(32, 7)
    x, target = ad.randn(300, 64), ad.randint(0, 7, (300,))

    def loss() -> Any:
        h = adjacent @ second(fn.relu(adjacent @ first(x)))
        return fn.nll_loss(fn.log_softmax(h, dim=1), target)

    return training(loss, ad.optim.Adam(parameters(first, second), lr=1e-4, weight_decay=5e-4))


def equation_step(ad: Library) -> Run:
    """A network that solves u'' = -u, its loss of second derivatives (Raissi et al., 2019)."""
    ad.manual_seed(3)
    network = perceptron(ad, 1, 32, 32, 1, activation="Tanh")
    x = ad.linspace(0, 1, 100).view(-1, 1).requires_grad_()

    def slope(y: Any) -> Any:
        return ad.autograd.grad(y, x, ad.ones_like(y), create_graph=True)[0]

    def loss() -> Any:
        u = network(x)
        return (slope(slope(u)) + u).pow(2).mean() + (network(ad.zeros(1, 1)) - 1).pow(2).mean()

    return training(loss, ad.optim.Adam(network.parameters(), lr=1e-4))


def recommender_step(ad: Library) -> Run:
    """Two tables of vectors and a network on pairs of them."""
    ad.manual_seed(3)
    users, items = ad.nn.Embedding(1000, 32), ad.nn.Embedding(2000, 32)
    network = perceptron(ad, 64, 64, 1)
    user, item, target = ad.randint(0, 1000, (256,)), ad.randint(0, 2000, (256,)), ad.rand(256)

    def loss() -> Any:
        logits = network(ad.cat([users(user), items(item)], -1)).squeeze(-1)
        return ad.nn.functional.binary_cross_entropy_with_logits(logits, target)

    return training(loss, ad.optim.Adagrad(parameters(users, items, network), lr=1e-4))


STEPS: dict[str, Callable[[Library], Run]] = {
    "CNN with batch norm, 32x3x32x32, Adam": cnn,
    "ResNet-18, 8x3x32x32, momentum": resnet18_step,
    "MobileNet, 8x3x64x64, RMSprop": mobilenet_step,
    "U-Net, 4x1x64x64, Adam": unet_step,
    "GPT with heads written out, 16x32 tokens, AdamW": heads_step,
    "LSTM language model, 20x35 words, SGD": language_step,
    "GRU cell in a loop of 20, batch 8, Adam": cell_step,
    "VAE 784-400-20, batch 128, Adam": vae_step,
    "PPO's loss, batch 64, Adam": policy_step,
    "graph convolution, 300 nodes, Adam": graph_step,
    "second derivatives of 1-32-32-1, 100 points, Adam": equation_step,
    "recommender, batch 256, Adagrad": recommender_step,
}
PREDICTIONS: dict[str, Callable[[Library], Run]] = {
    "ResNet-18, 1x3x32x32": lambda ad: predicting(ad, resnet18(ad), 1, 3, 32, 32),
    "MobileNet, 1x3x64x64": lambda ad: predicting(ad, mobilenet(ad), 1, 3, 64, 64),
    "transformer encoder, 1x50x64": lambda ad: predicting(ad, encoder(ad), 1, 50, 64),
    "784-128-10": lambda ad: predicting(ad, perceptron(ad, 784, 128, 10), 1, 784),
}


def _models(
    makes: dict[str, Callable[[Library], Run]], what: str, compiled: bool
) -> Iterable[Workload]:
    for name, make in makes.items():
        each = same(make)
        if compiled:
            each = {**each, US: lambda ad, make=make: ad.compile(make(ad))}
        group = "compiled models" if compiled else "models"
        yield Workload(f"{what} {name}", group, each, against=("torch",), tolerance=1e-3)


WORKLOADS = [
    workload
    for makes, what in ((STEPS, "step of"), (PREDICTIONS, "prediction by"))
    for compiled in (False, True)
    for workload in _models(makes, what, compiled)
]
