"""The thermometer: two models learn the unit of an old instrument from eleven readings."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import autodiff as ad
from autodiff import nn, optim
from autodiff.gradcheck import gradcheck

CELSIUS = [0.5, 14.0, 15.0, 28.0, 11.0, 8.0, 3.0, -4.0, 6.0, 13.0, 21.0]
UNKNOWN = [35.7, 55.9, 58.2, 81.9, 56.3, 48.9, 33.9, 21.8, 48.4, 60.4, 68.4]
SCALE = 0.1  # brings the readings near to one, where a plain learning rate works
HELD_OUT = 0.2
REPORT_EVERY = 1000
PROGRESS_EVERY = 50

Say = Callable[[str], None]


@dataclass(frozen=True)
class Readings:
    """Scaled readings in the unknown unit and in Celsius: columns of one number a row."""

    unknown: ad.Tensor
    celsius: ad.Tensor

    def pick(self, indices: ad.Tensor) -> "Readings":
        """The rows at `indices`."""
        return Readings(self.unknown[indices], self.celsius[indices])


@dataclass(frozen=True)
class Task:
    """One model to train: how to make it, its learning rate and its number of epochs."""

    title: str
    make: Callable[[], nn.Module]
    lr: float
    epochs: int


def make_line() -> nn.Module:
    """A straight line: one weight, one bias."""
    return nn.Linear(1, 1)


def make_network() -> nn.Module:
    """A hidden layer of 13 tanh neurons."""
    return nn.Sequential(nn.Linear(1, 13), nn.Tanh(), nn.Linear(13, 1))


LINE = Task("A linear model", make_line, lr=1e-2, epochs=3000)
NETWORK = Task("A network of 13 tanh neurons", make_network, lr=1e-3, epochs=5000)


def all_readings() -> Readings:
    """The eleven readings, in order."""
    unknown = SCALE * ad.tensor(UNKNOWN).unsqueeze(1)
    return Readings(unknown, ad.tensor(CELSIUS).unsqueeze(1))


def split(readings: Readings) -> tuple[Readings, Readings]:
    """A shuffled split into readings to train on and readings held out."""
    count = readings.unknown.shape[0]
    order = ad.randperm(count)
    held_out = int(HELD_OUT * count)
    return readings.pick(order[:-held_out]), readings.pick(order[-held_out:])


def train(task: Task, training: Readings, validation: Readings, say: Say = print) -> nn.Module:
    """Make the model of `task` and train it by plain gradient descent, compiled."""
    say(task.title)
    model, loss = task.make(), nn.MSELoss()
    optimizer = optim.SGD(model.parameters(), lr=task.lr)

    @ad.compile
    def step() -> ad.Tensor:
        training_loss: ad.Tensor = loss(model(training.unknown), training.celsius)
        optimizer.zero_grad()
        training_loss.backward()
        optimizer.step()
        return training_loss

    for epoch in range(1, task.epochs + 1):
        report = epoch == 1 or epoch % REPORT_EVERY == 0
        if report:
            with ad.no_grad():
                validation_loss = loss(model(validation.unknown), validation.celsius)
        training_loss = step()
        if report:
            say(
                f"Epoch {epoch}, Training loss {training_loss.item():.4f}, "
                f"Validation loss {validation_loss.item():.4f}"
            )
        show_progress(epoch, task.epochs)
    return model


def train_all(tasks: list[Task], seed: int | None, say: Say = print) -> list[nn.Module]:
    """Train each task's model on one split; the same seed gives what PyTorch prints for it."""
    if seed is not None:
        ad.manual_seed(seed)
    training, validation = split(all_readings())
    return [train(task, training, validation, say) for task in tasks]


def show_progress(epoch: int, epochs: int) -> None:
    """A line that overwrites itself, for people only."""
    if epoch % PROGRESS_EVERY == 0 and sys.stderr.isatty():
        done = f"\r{epoch}/{epochs} " if epoch < epochs else "\r" + " " * 20 + "\r"
        print(done, end="", file=sys.stderr, flush=True)


def check_gradients(network: nn.Module) -> None:
    """Compare the gradients of the network's loss with finite differences, in double precision."""
    readings = all_readings()
    unknown, celsius = readings.unknown.double(), readings.celsius.double()

    def loss(w1: ad.Tensor, b1: ad.Tensor, w2: ad.Tensor, b2: ad.Tensor) -> ad.Tensor:
        linear = nn.functional.linear
        return nn.functional.mse_loss(linear(linear(unknown, w1, b1).tanh(), w2, b2), celsius)

    parameters = tuple(p.detach().double().requires_grad_() for p in network.parameters())
    gradcheck(loss, parameters)


def plot(network: nn.Module, path: str) -> bool:
    """Draw the network's curve over the readings; False where matplotlib is missing."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("agg")
    from matplotlib import pyplot

    readings = all_readings()
    grid = ad.arange(20.0, 90.0).unsqueeze(1)
    with ad.no_grad():
        curve, fitted = network(SCALE * grid), network(readings.unknown)
    figure, axes = pyplot.subplots(dpi=150)
    axes.set(xlabel="unknown unit", ylabel="degrees Celsius")
    axes.plot(UNKNOWN, CELSIUS, "o", label="readings")
    axes.plot(flat(grid), flat(curve), "c-", label="network")
    axes.plot(UNKNOWN, flat(fitted), "kx", label="network at the readings")
    axes.legend()
    figure.savefig(path)
    pyplot.close(figure)
    return True


def flat(column: ad.Tensor) -> list[float]:
    """The numbers of a tensor as a list."""
    return [float(number) for number in column.flatten().tolist()]


def main(tasks: list[Task], seed: int | None, output: str | None) -> None:
    """Train, check the gradients, and plot to `output` where one is given."""
    network = train_all(tasks, seed)[-1]
    print("Each step was recorded once and then replayed by one native call (autodiff.compile).")
    check_gradients(network)
    print("The network's gradients agree with finite differences.")
    if output is not None:
        drawn = plot(network, output)
        print(
            f"The fit is drawn in {output}." if drawn else "No plot: matplotlib is not installed."
        )
