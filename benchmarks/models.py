"""Models that people train on a CPU, of whichever library is given, and their step."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from contestants import Library
from workload import Run


def training(loss_of: Callable[[], Any], optimizer: Any) -> Run:
    """A step: forward, zero_grad, backward, update; its loss."""

    def step() -> Any:
        loss = loss_of()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def perceptron(ad: Library, *sizes: int, activation: str = "ReLU") -> Any:
    """Linear layers with an activation between them."""
    layers: list[Any] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [ad.nn.Linear(fan_in, fan_out), getattr(ad.nn, activation)()]
    return ad.nn.Sequential(*layers[:-1])


def normed(ad: Library, fan_in: int, fan_out: int, size: int = 3, **rest: Any) -> list[Any]:
    """A convolution without bias and its batch norm."""
    convolution = ad.nn.Conv2d(fan_in, fan_out, size, padding=size // 2, bias=False, **rest)
    return [convolution, ad.nn.BatchNorm2d(fan_out)]


def resnet18(ad: Library) -> Any:
    """He et al., 2016, for images of 32x32."""
    nn, widths = ad.nn, (64, 64, 128, 256, 512)

    class Block(nn.Module):
        def __init__(self, fan_in: int, fan_out: int, stride: int) -> None:
            super().__init__()
            self.first = nn.Sequential(*normed(ad, fan_in, fan_out, stride=stride))
            self.second = nn.Sequential(*normed(ad, fan_out, fan_out))
            turned = normed(ad, fan_in, fan_out, 1, stride=stride) if stride > 1 else []
            self.shortcut = nn.Sequential(*turned)

        def forward(self, x: Any) -> Any:
            h = self.second(self.first(x).relu())
            return (h + self.shortcut(x)).relu()

    ad.manual_seed(3)
    blocks = []
    for i, (fan_in, fan_out) in enumerate(pairwise(widths)):
        blocks += [Block(fan_in, fan_out, 1 + (i > 0)), Block(fan_out, fan_out, 1)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10)]
    return nn.Sequential(*normed(ad, 3, 64), nn.ReLU(), *blocks, *head)


def mobilenet(ad: Library) -> Any:
    """Depthwise convolutions and those of 1x1, as Howard et al., 2017."""
    nn, layers = ad.nn, []
    ad.manual_seed(3)
    layers += [*normed(ad, 3, 16, stride=2), nn.ReLU6()]
    for fan_in, fan_out, stride in (
        *((16, 32, 1), (32, 64, 2), (64, 64, 1), (64, 128, 2), (128, 128, 1)),
    ):
        layers += [*normed(ad, fan_in, fan_in, stride=stride, groups=fan_in), nn.ReLU6()]
        layers += [*normed(ad, fan_in, fan_out, 1), nn.ReLU6()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))


def block_with_heads(ad: Library, width: int, tokens: int) -> Any:
    """A transformer's block of four heads, written out as in lectures."""
    nn, heads, size = ad.nn, 4, width // 4
    tril = ad.tril(ad.ones(tokens, tokens))

    class Head(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layers = [nn.Linear(width, size, bias=False) for _ in range(3)]
            self.key, self.query, self.value = layers

        def forward(self, x: Any) -> Any:
            scores = self.query(x) @ self.key(x).transpose(-2, -1) * size**-0.5
            scores = scores.masked_fill(tril == 0, float("-inf"))
            return nn.functional.softmax(scores, dim=-1) @ self.value(x)

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.heads = nn.ModuleList([Head() for _ in range(heads)])
            self.project = nn.Linear(width, width)
            self.layers = perceptron(ad, width, 4 * width, width)
            self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(2)])

        def forward(self, x: Any) -> Any:
            h = self.norms[0](x)
            x = x + self.project(ad.cat([head(h) for head in self.heads], dim=-1))
            return x + self.layers(self.norms[1](x))

    return Block()


def encoder(ad: Library) -> Any:
    ad.manual_seed(3)
    layer = ad.nn.TransformerEncoderLayer(64, 4, 128, 0.0, batch_first=True)
    return ad.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
