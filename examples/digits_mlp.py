"""A network with two hidden layers reads handwritten digits of 8x8 pixels.

Writes digits_mlp.png: the loss and accuracy of each epoch, and digits that were read wrongly.
"""

import argparse

from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from tqdm import tqdm

import autodiff as torch  # or: import torch

nn, data = torch.nn, torch.utils.data
EPOCHS, BATCH = 40, 32
WANTED, WANTED_SHORT = 0.97, 0.8  # accuracy on digits held out


def load() -> tuple["data.Dataset", "data.Dataset"]:
    """Images (64,) of pixels in [0, 1] and their digits: four fifths to train on, one held out."""
    digits = load_digits()
    images = torch.from_numpy(digits.data).float() / 16
    whole = data.TensorDataset(images, torch.from_numpy(digits.target).long())
    return tuple(data.random_split(whole, [0.8, 0.2]))


def test(model: "nn.Module", batches: "data.DataLoader") -> tuple[float, list]:
    """The accuracy, and some of what was read wrongly: images, what was read, and the truth."""
    right, wrong = 0, []
    model.eval()
    with torch.no_grad():
        for images, truth in batches:
            read = model(images).argmax(1)
            right += (read == truth).sum().item()
            for i in torch.nonzero(read != truth)[:, 0].tolist():
                wrong.append((images[i], read[i].item(), truth[i].item()))
    model.train()
    return right / len(batches.dataset), wrong


def train(model: "nn.Module", training: "data.Dataset", held_out: "data.Dataset", epochs: int):
    """Fits the model; loss and accuracy of each epoch, and what was read wrongly at last."""
    batches = data.DataLoader(training, BATCH, shuffle=True)
    unseen = data.DataLoader(held_out, 200)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, epochs * len(batches))
    measure, history, wrong = nn.CrossEntropyLoss(), [], []
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
            reached, wrong = test(model, unseen)
            history.append((total / len(batches), reached))
            progress.set_postfix(loss=f"{history[-1][0]:.4f}", accuracy=f"{reached:.3f}")
    return history, wrong


def plot(history: list, wrong: list, path: str) -> None:
    """How loss and accuracy went, and the first digits that were read wrongly."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    grid = figure.add_gridspec(2, 6)
    left = figure.add_subplot(grid[:, :3])
    left.semilogy([loss for loss, _ in history], label="loss")
    left.semilogy([1 - reached for _, reached in history], label="error rate, held out")
    left.set(title="Training", xlabel="epoch")
    left.legend()
    for i, (image, read, truth) in enumerate(wrong[:6]):
        axes = figure.add_subplot(grid[i // 3, 3 + i % 3])
        axes.imshow(image.reshape(8, 8).numpy(), cmap="gray_r")
        axes.set_title(f"{truth} read as {read}")
        axes.axis("off")
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="one epoch, which has to reach less")
    parser.add_argument("--plot", default="digits_mlp.png", help="where the plot goes")
    options = parser.parse_args()
    torch.manual_seed(0)
    training, held_out = load()
    model = nn.Sequential(
        nn.Linear(64, 128),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(128, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )
    history, wrong = train(model, training, held_out, 1 if options.short else EPOCHS)
    plot(history, wrong, options.plot)
    loss, reached = history[-1]
    print(f"accuracy on {len(held_out)} digits held out: {reached:.3f}; loss: {loss:.4f}")
    wanted = WANTED_SHORT if options.short else WANTED
    if reached < wanted:
        raise SystemExit(f"an accuracy of {wanted} was to be reached")


if __name__ == "__main__":
    main()
