"""What a user's editor and `mypy --strict` know of a program; `make lint` checks it.

Never run: `assert_type` names the type that each expression must have.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typing_extensions import assert_type

import autodiff as ad
from autodiff import Tensor, data, func, linalg, nn, optim
from autodiff.nn import functional as F


def tensors(x: Tensor, n: int) -> Tensor:
    """Making, attributes, arithmetic, methods and indexing."""
    assert_type(ad.tensor([1.0, 2.0], dtype=ad.float64, requires_grad=True), Tensor)
    assert_type(ad.zeros(2, n), Tensor)
    assert_type(ad.zeros((2, n), dtype=ad.int64), Tensor)
    assert_type(ad.randn(n, generator=ad.Generator()), Tensor)
    assert_type(x.shape, ad.Size)
    assert_type(x.shape[0], int)
    assert_type(x.dtype, ad.dtype)
    assert_type(x.ndim, int)
    assert_type(x.requires_grad, bool)
    assert_type(x.grad, Tensor | None)
    for result in (x + 1, 1 + x, x - x, 2 - x, x * x, 2 * x, x / 3, 3 / x, x // 2, x % 2):
        assert_type(result, Tensor)
    for result in (x**2, 2**x, x @ x, -x, +x, abs(x), x > 0, x == x, x != 1, ~(x > 0)):
        assert_type(result, Tensor)
    x += 1
    x *= 2
    assert_type(x, Tensor)
    for result in (x[0], x[:, None, ..., -1], x[x > 0], x[[0, 1]], x.T, x.mT):
        assert_type(result, Tensor)
    x[0, 1:] = 2.0
    for result in (x.sum(), x.mean(0), x.exp(), x.add(1), x.pow(2), x.clamp(min=0), x.relu_()):
        assert_type(result, Tensor)
    for result in (x.reshape(2, -1), x.view(-1), x.permute(1, 0), x.to(ad.float32), x.float()):
        assert_type(result, Tensor)
    for result in (ad.add(x, 1), ad.exp(x), ad.pow(x, 2), ad.clamp(x, 0, 1), ad.lerp(x, x, 0.5)):
        assert_type(result, Tensor)
    assert_type(ad.cat([x, x], dim=1), Tensor)
    assert_type(x.split(2), tuple[Tensor, ...])
    assert_type(ad.einsum("ij,jk->ik", x, x), Tensor)
    assert_type(ad.allclose(x, x), bool)
    assert_type(x.sort(dim=-1).values, Tensor)
    assert_type(x.max(), Tensor)
    assert_type(x.max(dim=1).indices, Tensor)
    assert_type(ad.where(x > 0, x, 0.0), Tensor)
    assert_type(x.nonzero(as_tuple=True), tuple[Tensor, ...])
    assert_type(x.topk(2).indices, Tensor)
    return 2 * x**2 + x @ x


class Net(nn.Module):
    """A module of one's own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, 1))
        self.scale = nn.Parameter(ad.ones(1))
        self.register_buffer("mean", ad.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return self.scale * F.softplus(out)


def modules(net: Net) -> Iterator[nn.Parameter]:
    """What a module tells of itself."""
    assert_type(net.train(), Net)
    assert_type(net.to(ad.float64), Net)
    assert_type(net.training, bool)
    assert_type(net.scale, nn.Parameter)
    assert_type(dict(net.named_parameters()), dict[str, nn.Parameter])
    assert_type(nn.utils.clip_grad_norm_(net.parameters(), 1.0), Tensor)
    assert_type(nn.init.zeros_(net.scale), Tensor)
    return net.parameters()


def training(net: Net, x: Tensor, y: Tensor) -> float:
    """A loop over a loader, with an optimiser and a schedule."""
    optimizer = optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.1)
    schedule = optim.lr_scheduler.StepLR(optimizer, step_size=10)
    loader = data.DataLoader(data.TensorDataset(x, y), batch_size=8, shuffle=True)
    total = 0.0
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = F.mse_loss(net(inputs), targets)
        assert_type(loss, Tensor)
        loss.backward()
        optimizer.step()
        total += loss.item()
    schedule.step()
    assert_type(schedule.get_last_lr(), list[Any])
    with ad.no_grad():
        total += float(F.cross_entropy(net(x), y, reduction="sum"))
    return total


@ad.no_grad()
def evaluate(net: Net, x: Tensor) -> Tensor:
    """A decorated function keeps its type."""
    out: Tensor = net(x)
    return out


@ad.inference_mode
def served(net: Net, x: Tensor) -> Tensor:
    """So it is without parentheses, but for its type."""
    out: Tensor = net(x)
    return out


def gradients(x: Tensor) -> None:
    """Derivatives as functions, and linear algebra."""
    assert_type(evaluate(Net(2), x), Tensor)
    assert_type(served(Net(2), x), Any)
    assert_type(ad.autograd.grad(x.sum(), x), Any)
    assert_type(ad.autograd.functional.jacobian(ad.exp, x), Any)
    assert_type(func.grad(lambda t: t.sum())(x), Any)
    assert_type(linalg.solve(x, x), Tensor)
    assert_type(linalg.qr(x).Q, Tensor)
    assert_type(ad.gradcheck(ad.exp, x), bool)
    ad.save({"x": x}, "x.safetensors")


class Double(ad.autograd.Function):
    """An operation of one's own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return 2 * x

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return 2 * g


def compiled(net: Net, optimizer: optim.Optimizer, x: Tensor) -> Tensor:
    """A compiled step."""

    @ad.compile
    def step(x: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss: Tensor = net(x).sum()
        loss.backward()
        optimizer.step()
        return loss

    loss: Tensor = step(x)
    return loss
