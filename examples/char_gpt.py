"""A small GPT learns, character by character, to tell stories about who has how many of what.

The script writes the stories, so it knows how much in them is chance: no reader can have a lower
loss than that. Writes char_gpt.png: the loss beside that limit, and stories that the network tells.
"""

import argparse
import math
import random
import re

from matplotlib.figure import Figure
from tqdm import tqdm

import autodiff as torch  # or: import torch

nn, data = torch.nn, torch.utils.data
STORIES, EPOCHS, BATCH, TOLD = 8_000, 4, 16, 100
LENGTH = 64  # of a story, with the line ends that fill it up
WIDTH, HEADS, LAYERS = 64, 4, 2
WANTED, WANTED_SHORT = 0.02, 1.2  # nats a character more than chance makes, in stories held out
WANTED_TRUE = 0.9  # of the stories told: their subtraction is right
PEOPLE = {"anna": "she", "bob": "he", "clara": "she", "david": "he", "emma": "she", "frank": "he"}
FORM = r"(\w+) has (\d+) (\w+)\. (\w+) gives (\w+) (\d+)\. \1 has (\d+) left\."
THINGS = ["apples", "pears", "plums", "books", "pens", "keys", "cups", "coins"]


def story(chance: random.Random) -> tuple[str, float]:
    """A story, and the logarithm of how many there are that are as likely."""
    giver, taker = chance.sample(sorted(PEOPLE), 2)
    thing, have = chance.choice(THINGS), chance.randint(2, 9)
    give = chance.randint(1, have - 1)
    text = f"{giver} has {have} {thing}. {PEOPLE[giver]} gives {taker} {give}. "
    ways = len(PEOPLE) * (len(PEOPLE) - 1) * len(THINGS) * 8 * (have - 1)
    return f"{text}{giver} has {have - give} left.", math.log(ways)


def is_true(told: str) -> bool:
    """Whether a story is one that there could be: the same giver throughout, and a right result."""
    found = re.fullmatch(FORM, told)
    if not found:
        return False
    giver, have, thing, pronoun, taker, give, left = found.groups()
    known = thing in THINGS and taker in PEOPLE and PEOPLE.get(giver) == pronoun
    return known and int(have) - int(give) == int(left)


def write(count: int, chance: random.Random) -> tuple[list[str], float]:
    """Stories as lines of one length, and the least mean loss (nats a character) on them."""
    stories = [story(chance) for _ in range(count)]
    least = sum(surprise for _, surprise in stories) / (LENGTH * count)
    return [f"\n{text}".ljust(LENGTH + 1, "\n") for text, _ in stories], least


class Block(nn.Module):
    """Each character looks at those before it, then is thought about."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.project, self.join = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.think = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )

    def forward(self, x: "torch.Tensor") -> "torch.Tensor":
        batch, length, _ = x.shape
        parts = self.project(self.norm1(x)).reshape(batch, length, 3, HEADS, WIDTH // HEADS)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.join(y.transpose(1, 2).reshape(batch, length, WIDTH))
        return x + self.think(self.norm2(x))


class GPT(nn.Module):
    """Characters (batch, length) to scores (batch, length, letters) of what follows each."""

    def __init__(self, letters: int) -> None:
        super().__init__()
        self.letter, self.place = nn.Embedding(letters, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.blocks = nn.Sequential(*[Block() for _ in range(LAYERS)])
        self.norm, self.score = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, letters)

    def forward(self, x: "torch.Tensor") -> "torch.Tensor":
        x = self.letter(x) + self.place(torch.arange(x.shape[1]))
        return self.score(self.norm(self.blocks(x)))


def error(model: "nn.Module", stories: "torch.Tensor") -> "torch.Tensor":
    """The mean loss of each character after those before it."""
    scores = model(stories[:, :-1])
    return nn.functional.cross_entropy(scores.flatten(0, 1), stories[:, 1:].flatten())


def train(model: "nn.Module", stories: "torch.Tensor", epochs: int, compiled: bool) -> list[float]:
    """Fits the model; the loss of each step."""
    batches = data.DataLoader(stories, BATCH, shuffle=True, drop_last=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 5e-3, epochs * len(batches), pct_start=0.1
    )

    def step(stories: "torch.Tensor") -> "torch.Tensor":
        optimizer.zero_grad()
        loss = error(model, stories)
        loss.backward()
        optimizer.step()
        return loss.detach()

    if compiled:
        step = torch.compile(step)
    losses = []
    with tqdm(total=epochs * len(batches), desc="stories", unit="step") as progress:
        for _ in range(epochs):
            for some in batches:
                losses.append(step(some).item())
                schedule.step()
                progress.update()
                if len(losses) % 25 == 0:
                    progress.set_postfix(loss=f"{sum(losses[-25:]) / 25:.4f}")
    return losses


def tell(model: "nn.Module", letters: str, count: int) -> list[str]:
    """Stories that the model makes up."""
    told = torch.full((count, 1), letters.index("\n"))
    with torch.no_grad():
        for _ in range(LENGTH):
            chances = torch.softmax(model(told)[:, -1], 1)
            told = torch.cat([told, torch.multinomial(chances, 1)], 1)
    return ["".join(letters[i] for i in row).strip("\n") for row in told.tolist()]


def plot(losses: list[float], least: float, told: list[str], path: str) -> None:
    """How the loss fell towards what chance makes, and stories told."""
    figure = Figure(figsize=(12, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.semilogy(losses, label="loss")
    left.axhline(least, color="black", linestyle="--", label="chance in the stories")
    left.set(title="Training", xlabel="step", ylabel="nats a character")
    left.legend()
    right.text(0, 0.5, "\n".join(told[:15]), va="center", family="monospace", fontsize=8)
    right.set_title("Told by the network")
    right.axis("off")
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="few steps, which have to reach less")
    parser.add_argument("--plot", default="char_gpt.png", help="where the plot goes")
    parser.add_argument("--compile", action="store_true", help="compile the training step")
    options = parser.parse_args()
    torch.manual_seed(0)
    chance = random.Random(0)
    texts, _ = write(BATCH * 30 if options.short else STORIES, chance)
    unseen, least = write(500, chance)
    letters = "".join(sorted(set("".join(texts))))
    training, held_out = (
        torch.tensor([[letters.index(c) for c in text] for text in lines])
        for lines in (texts, unseen)
    )
    model = GPT(len(letters))
    losses = train(model, training, 1 if options.short else EPOCHS, options.compile)
    with torch.no_grad():
        reached = error(model, held_out).item()
    told = tell(model, letters, 2 if options.short else TOLD)
    right = sum(map(is_true, told)) / len(told)
    plot(losses, least, told, options.plot)
    print("\n".join(told[:5]))
    print(f"stories told that are true: {right:.2f}")
    print(f"loss on stories held out: {reached:.4f}; chance in them: {least:.4f}")
    wanted = WANTED_SHORT if options.short else WANTED
    if reached - least > wanted:
        raise SystemExit(f"a loss of {wanted} above chance was to be reached")
    if not options.short and right < WANTED_TRUE:
        raise SystemExit(f"a share of {WANTED_TRUE} true stories was to be reached")


if __name__ == "__main__":
    main()
