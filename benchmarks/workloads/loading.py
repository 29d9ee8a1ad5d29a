"""Passes over a data loader: batches of samples that lie in memory, in random order."""

from typing import Any

import numpy as np
from workload import Library, Make, Run, Workload, same, uniform

ROWS, COLUMNS, BATCH = 60_000, 784, 64


def epoch(shuffle: bool, batches: int) -> Make:
    """So many batches of images and labels, and the sum of the labels of the last."""

    def make(ad: Library) -> Run:
        images = ad.from_numpy(uniform(ROWS, COLUMNS))
        labels = ad.from_numpy(np.arange(ROWS) % 10)
        dataset = ad.utils.data.TensorDataset(images, labels)

        def run() -> Any:
            loader = ad.utils.data.DataLoader(
                dataset, BATCH, shuffle, generator=ad.Generator().manual_seed(1)
            )
            for i, (_x, y) in enumerate(loader):
                if i == batches:
                    return y
            return y

        return run

    return make


WORKLOADS = [
    Workload(
        f"TensorDataset of 60,000x784, batches of 64, {order}",
        "data loading",
        same(epoch(shuffle, batches=300)),
        10.0,
        ("torch",),
    )
    for order, shuffle in (("shuffled", True), ("in order", False))
]
