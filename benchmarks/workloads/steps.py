"""Whole training steps, eager."""

from typing import Any

from workload import Library, Run, Workload, same


def chapter(ad: Library) -> Run:
    ad.manual_seed(17)
    x, target = ad.randn(9, 1), ad.randn(9, 1)
    model = ad.nn.Sequential(ad.nn.Linear(1, 13), ad.nn.Tanh(), ad.nn.Linear(13, 1))
    loss_of = ad.nn.MSELoss()
    optimizer = ad.optim.SGD(model.parameters(), lr=1e-3)

    def run() -> Any:
        loss = loss_of(model(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return run


WORKLOADS = [
    Workload("1-13-1, batch 9, MSE, SGD", "training steps", same(chapter), 4.0, quick=True),
]
