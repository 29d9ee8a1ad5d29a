"""An LSTM learns to go on with the Mackey-Glass series, which is chaotic, and forecasts it.

Writes lstm_series.png: the loss of each epoch, and a forecast beside what came.
"""

import argparse

from matplotlib.figure import Figure
from tqdm import tqdm

import autodiff as torch  # or: import torch

nn, data = torch.nn, torch.utils.data
POINTS, LENGTH, EPOCHS, BATCH, WIDTH = 3_000, 50, 40, 50, 48
AHEAD = 60  # points of the forecasts that are measured: three turns of the series and a half
WANTED, WANTED_SHORT = 0.02, 0.5  # error of the next point, as a share of the series' deviation
WANTED_AHEAD = 0.3  # the same of a forecast that sees nothing but itself


def series(count: int, apart: int = 3) -> "torch.Tensor":
    """Points of x' = 0.2 x(t - 17) / (1 + x(t - 17)**10) - 0.1 x, of mean 0, deviation 1."""
    fine, delay = 10, 170  # steps of 0.1
    x = [1.2] * (delay + 1)
    for _ in range((count + 100) * apart * fine):
        late = x[-delay - 1]
        x.append(x[-1] + (0.2 * late / (1 + late**10) - 0.1 * x[-1]) / fine)
    points = torch.tensor(x[:: apart * fine][-count:])
    return (points - points.mean()) / points.std()


class Forecaster(nn.Module):
    """The point after each of (batch, length, 1), and the state that goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, WIDTH, batch_first=True)
        self.read = nn.Linear(WIDTH, 1)

    def forward(self, x: "torch.Tensor", state: tuple | None = None) -> tuple:
        y, state = self.lstm(x, state)
        return x + self.read(y), state


def pieces(points: "torch.Tensor") -> "data.Dataset":
    """Pieces (length, 1) that overlap, and what follows each of their points."""
    starts = torch.arange(0, len(points) - LENGTH - 1, 5).unsqueeze(1)
    x = points[starts + torch.arange(LENGTH + 1)].unsqueeze(2)
    return data.TensorDataset(x[:, :-1], x[:, 1:])


def train(model: "nn.Module", training: "data.Dataset", epochs: int) -> list[float]:
    """Fits the model; the mean loss of each epoch."""
    batches = data.DataLoader(training, BATCH, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, epochs * len(batches))
    losses = []
    with tqdm(range(epochs), desc="series", unit="epoch") as progress:
        for _ in progress:
            total = 0.0
            for x, y in batches:
                optimizer.zero_grad()
                loss = nn.functional.mse_loss(model(x)[0], y)
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                total += loss.item()
            losses.append(total / len(batches))
            progress.set_postfix(loss=f"{losses[-1]:.6f}")
    return losses


def test(model: "nn.Module", points: "torch.Tensor") -> float:
    """The error of the next point throughout a series, the first few aside."""
    with torch.no_grad():
        y, _ = model(points[None, :-1, None])
    return (y[0, LENGTH:, 0] - points[LENGTH + 1 :]).square().mean().sqrt().item()


def forecast(model: "nn.Module", points: "torch.Tensor", starts: list[int], ahead: int):
    """What the model expects to come after 100 points from each start: (starts, ahead)."""
    seen = torch.stack([points[start : start + 100] for start in starts])
    with torch.no_grad():
        y, state = model(seen.unsqueeze(2))
        found = [y[:, -1:]]
        for _ in range(ahead - 1):
            y, state = model(found[-1], state)
            found.append(y)
    return torch.cat(found, 1)[:, :, 0]


def plot(losses: list[float], came: "torch.Tensor", expected: "torch.Tensor", path: str) -> None:
    """How the loss fell, and a forecast."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 2))
    left.semilogy(losses)
    left.set(title="Training", xlabel="epoch", ylabel="mean squared error")
    right.plot(came.numpy(), label="what came")
    right.plot(range(100, len(came)), expected.numpy(), "--", label="forecast")
    right.set(title="A forecast of points held out", xlabel="point")
    right.legend()
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="few epochs, which have to reach less")
    parser.add_argument("--plot", default="lstm_series.png", help="where the plot goes")
    options = parser.parse_args()
    torch.manual_seed(0)
    points = series(POINTS)
    training, unseen = points[: POINTS * 4 // 5], points[POINTS * 4 // 5 :]
    model = Forecaster()
    losses = train(model, pieces(training), 3 if options.short else EPOCHS)
    error = test(model, unseen)
    starts = list(range(0, len(unseen) - 100 - AHEAD, 20))
    came = torch.stack([unseen[s + 100 : s + 100 + AHEAD] for s in starts])
    ahead = (forecast(model, unseen, starts, AHEAD) - came).square().mean().sqrt().item()
    plot(losses, unseen[:300], forecast(model, unseen, [0], 200)[0], options.plot)
    print(f"error of the next point: {error:.4f}, of forecasts of {AHEAD} points: {ahead:.4f}")
    wanted = WANTED_SHORT if options.short else WANTED
    if error > wanted:
        raise SystemExit(f"an error of {wanted} was to be reached")
    if not options.short and ahead > WANTED_AHEAD:
        raise SystemExit(f"an error of {WANTED_AHEAD} ahead was to be reached")


if __name__ == "__main__":
    main()
