"""What a second thread brings: large work on two threads of ours against one."""

from typing import Any

from contestants import ALONE, US
from workload import Library, Make, Operands, Run, Text, Workload, normal

GROUP = "two threads against one"


def on_threads(count: int, text: Text, operands: Operands) -> Make:
    """The text on so many threads; what else runs in the process keeps its own number."""

    def make(ad: Library) -> Run:
        arrays = [ad.from_numpy(x).clone() for x in operands()]
        usual = ad.get_num_threads()

        def run() -> Any:
            ad.set_num_threads(count)
            result = text(ad, *arrays)
            ad.set_num_threads(usual)
            return result

        return run

    return make


def against_one(name: str, target: float, text: Text, operands: Operands) -> Workload:
    makes = {US: on_threads(2, text, operands), ALONE: on_threads(1, text, operands)}
    return Workload(name, GROUP, makes, target, (ALONE,), threads=(0,))


WORKLOADS = [
    against_one(
        "1024^3 float32",
        1.8,
        lambda ad, a, b: a @ b,
        lambda: (normal(1024, 1024), normal(1024, 1024, seed=1)),
    ),
    against_one(
        "gelu, 10,000,000",
        1.8,
        lambda ad, x: ad.nn.functional.gelu(x),
        lambda: (normal(10_000_000),),
    ),
    against_one(
        "softmax over rows of 4096x4096",
        1.6,
        lambda ad, x: ad.softmax(x, 1),
        lambda: (normal(4096, 4096),),
    ),
]
