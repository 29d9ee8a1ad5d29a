"""A small network learns which of two interleaved half circles a point is from.

Writes two_moons.png: the points, and the network's decision boundary between them.
"""

import argparse
import math

from matplotlib.figure import Figure
from tqdm import tqdm

import autodiff as torch  # or: import torch

nn, data = torch.nn, torch.utils.data
POINTS, NOISE, EPOCHS, BATCH = 1_000, 0.15, 100, 50
WANTED, WANTED_SHORT = 0.98, 0.85  # accuracy on points held out


def moons(count: int, noise: float) -> tuple["torch.Tensor", "torch.Tensor"]:
    """Points (count, 2) on two half circles, and which one each is on."""
    angle = math.pi * torch.rand(count)
    which = (torch.arange(count) % 2).float()
    sign = 1 - 2 * which  # the second is upside down, and moved into the first
    x = sign * torch.cos(angle) + which
    y = sign * torch.sin(angle) + 0.5 * which
    return torch.stack([x, y], 1) + noise * torch.randn(count, 2), which


def train(model: "nn.Module", training: "data.Dataset", epochs: int) -> list[float]:
    """Fits the model; the mean loss of each epoch."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    losses = []
    with tqdm(range(epochs), desc="two moons", unit="epoch") as progress:
        for _ in progress:
            total, batches = 0.0, data.DataLoader(training, BATCH, shuffle=True)
            for points, which in batches:
                optimizer.zero_grad()
                loss = nn.functional.binary_cross_entropy_with_logits(model(points)[:, 0], which)
                loss.backward()
                optimizer.step()
                total += loss.item()
            schedule.step()
            losses.append(total / len(batches))
            progress.set_postfix(loss=f"{losses[-1]:.4f}")
    return losses


def accuracy(model: "nn.Module", points: "torch.Tensor", which: "torch.Tensor") -> float:
    """The share of points that the model assigns rightly."""
    with torch.no_grad():
        return ((model(points)[:, 0] > 0) == (which > 0)).float().mean().item()


def plot(
    model: "nn.Module",
    points: "torch.Tensor",
    which: "torch.Tensor",
    losses: list[float],
    path: str,
) -> None:
    """The boundary among the points, and how the loss fell."""
    side = 200
    x, y = torch.linspace(-1.7, 2.7, side), torch.linspace(-1.2, 1.7, side)
    square = x.expand(side, side), y.unsqueeze(1).expand(side, side)
    grid = torch.stack([axis.reshape(-1) for axis in square], 1)
    with torch.no_grad():
        chance = torch.sigmoid(model(grid)).reshape(side, side)
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2, 1))
    left.contourf(x.numpy(), y.numpy(), chance.numpy(), 20, cmap="RdBu", alpha=0.6)
    left.contour(x.numpy(), y.numpy(), chance.numpy(), [0.5], colors="black")
    for kind, colour in ((0, "darkred"), (1, "navy")):
        chosen = points[which == kind]
        left.scatter(chosen[:, 0].numpy(), chosen[:, 1].numpy(), s=8, color=colour)
    left.set_title("Decision boundary, points held out")
    right.semilogy(losses)
    right.set(title="Training", xlabel="epoch", ylabel="loss")
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--short", action="store_true", help="three epochs, which have to reach less"
    )
    parser.add_argument("--plot", default="two_moons.png", help="where the plot goes")
    options = parser.parse_args()
    torch.manual_seed(0)
    points, which = moons(POINTS, NOISE)
    unseen, truth = moons(POINTS, NOISE)
    model = nn.Sequential(
        nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1)
    )
    losses = train(model, data.TensorDataset(points, which), 3 if options.short else EPOCHS)
    reached = accuracy(model, unseen, truth)
    plot(model, unseen, truth, losses, options.plot)
    print(f"accuracy on {POINTS} points held out: {reached:.3f}; loss: {losses[-1]:.4f}")
    wanted = WANTED_SHORT if options.short else WANTED
    if reached < wanted:
        raise SystemExit(f"an accuracy of {wanted} was to be reached")


if __name__ == "__main__":
    main()
