"""A convolutional network reads handwritten digits of 8x8 pixels.

Writes digits_cnn.png: the loss and error rate of each epoch, what the first layer looks for, and
which digits were taken for which.
"""

import argparse

from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from tqdm import tqdm

import autodiff as torch  # or: import torch

nn, data = torch.nn, torch.utils.data
EPOCHS, BATCH = 20, 32
WANTED, WANTED_SHORT = 0.99, 0.85  # accuracy on digits held out


def load() -> tuple["data.Dataset", "data.Dataset"]:
    """Images (1, 8, 8) and their digits: four fifths to train on, one held out."""
    digits = load_digits()
    images = torch.from_numpy(digits.images).float().unsqueeze(1) / 16
    whole = data.TensorDataset(images, torch.from_numpy(digits.target).long())
    return tuple(data.random_split(whole, [0.8, 0.2]))


def network() -> "nn.Sequential":
    """Images (n, 1, 8, 8) to scores (n, 10)."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(256, 10),
    )


def test(model: "nn.Module", batches: "data.DataLoader") -> "torch.Tensor":
    """How often each digit (row) was read as each (column), of digits held out."""
    counts = torch.zeros(100)
    model.eval()
    with torch.no_grad():
        for images, truth in batches:
            counts += torch.bincount(10 * truth + model(images).argmax(1), minlength=100)
    model.train()
    return counts.reshape(10, 10)


def train(model: "nn.Module", training: "data.Dataset", held_out: "data.Dataset", epochs: int):
    """Fits the model; loss and accuracy of each epoch, and the last counts of `test`."""
    batches = data.DataLoader(training, BATCH, shuffle=True)
    unseen = data.DataLoader(held_out, 200)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, epochs * len(batches))
    measure, history, counts = nn.CrossEntropyLoss(), [], torch.zeros(10, 10)
    with tqdm(range(epochs), desc="digits", unit="epoch") as progress:
        for _ in progress:
            total = 0.0
            for images, truth in batches:
                optimizer.zero_grad()
                loss = measure(model(images), truth)
                loss.backward()
                optimizer.step()
                schedule.step()
                total += loss.item()
            counts = test(model, unseen)
            reached = (counts.diagonal().sum() / counts.sum()).item()
            history.append((total / len(batches), reached))
            progress.set_postfix(loss=f"{history[-1][0]:.4f}", accuracy=f"{reached:.3f}")
    return history, counts


def plot(model: "nn.Module", history: list, counts: "torch.Tensor", path: str) -> None:
    """How loss and accuracy went, the first layer's kernels, and what was taken for what."""
    figure = Figure(figsize=(12, 4), layout="constrained")
    left, middle, right = figure.subfigures(1, 3)
    axes = left.subplots()
    axes.semilogy([loss for loss, _ in history], label="loss")
    axes.semilogy([1 - reached for _, reached in history], label="error rate, held out")
    axes.set(title="Training", xlabel="epoch")
    axes.legend()
    for i, axes in enumerate(middle.subplots(4, 4).flat):
        axes.imshow(model[0].weight[i, 0].detach().numpy(), cmap="RdBu")
        axes.axis("off")
    middle.suptitle("Kernels of the first layer")
    axes = right.subplots()
    axes.imshow(counts.numpy(), cmap="Blues")
    axes.set(title="Digits held out", xlabel="read as", ylabel="truth")
    axes.set(xticks=range(10), yticks=range(10))
    for truth, read in torch.nonzero(counts).tolist():
        axes.text(read, truth, int(counts[truth, read]), ha="center", va="center", color="gray")
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="one epoch, which has to reach less")
    parser.add_argument("--plot", default="digits_cnn.png", help="where the plot goes")
    options = parser.parse_args()
    torch.manual_seed(0)
    training, held_out = load()
    model = network()
    history, counts = train(model, training, held_out, 1 if options.short else EPOCHS)
    plot(model, history, counts, options.plot)
    loss, reached = history[-1]
    print(f"accuracy on {len(held_out)} digits held out: {reached:.3f}; loss: {loss:.4f}")
    wanted = WANTED_SHORT if options.short else WANTED
    if reached < wanted:
        raise SystemExit(f"an accuracy of {wanted} was to be reached")


if __name__ == "__main__":
    main()
