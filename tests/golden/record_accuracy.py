"""Records elementary functions of float64 to high precision, as accuracy.json (see recording.py).

Needs mpmath, not torch. In the file, by function, points [operands as hex, nearest float as hex,
what is missing from it in units of its last place].
"""

import json
import math
import random
import struct
from pathlib import Path

import mpmath

POINTS = 160
mpmath.mp.prec = 1400  # what sin of the largest numbers takes
FUNCTIONS = {
    "exp": mpmath.exp,
    "expm1": mpmath.expm1,
    "log": mpmath.log,
    "log1p": mpmath.log1p,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tanh": mpmath.tanh,
    "erf": mpmath.erf,
    "pow": mpmath.power,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "erfc": mpmath.erfc,
    "erfinv": mpmath.erfinv,
    "lgamma": lambda x: mpmath.log(abs(mpmath.gamma(x))),
    "digamma": mpmath.digamma,
    "trigamma": lambda x: mpmath.psi(1, x),
    "exp2": lambda x: mpmath.mpf(2) ** x,
    "igamma": lambda a, x: mpmath.gammainc(a, 0, x, regularized=True),
    "igammac": lambda a, x: mpmath.gammainc(a, x, mpmath.inf, regularized=True),
}
# Of those that are programs of instructions, which are tested at numbers that float32 has, too.
INTERVALS = {
    "erfc": ((-5, 5), (0, 9), (0.4, 0.5)),
    "erfinv": ((-1, 1), (0.45, 0.55), (0.99, 1), (-1e-9, 1e-9)),
    "lgamma": ((0, 5), (0.9, 1.1), (1.9, 2.1), (0, 120), (0, 1e-9), (-20, 0)),
    "digamma": ((0, 8), (0, 120), (0, 1e-9), (-20, 0)),
    "trigamma": ((0, 8), (0, 120), (0, 1e-9), (-20, 0)),
}
SCALES = {
    "exp": (1, 40, 700),
    "exp2": (1, 40, 1000),
    "expm1": (1e-9, 1, 40),
    "log": (2, 1e9, 1e300),
    "log1p": (1e-9, 1, 1e300),
    "sin": (1, 300, 1e9, 1e22, 1e300),
    "cos": (1, 300, 1e9, 1e22, 1e300),
    "tanh": (1e-9, 0.5, 4, 20),
    "erf": (1e-9, 0.9, 1.1, 6),
    "pow": (1, 2, 1e9),
    "sigmoid": (1e-9, 1, 40, 740),
}


def operands(name: str, rng: random.Random) -> list[float]:
    """Numbers of the function's scales; for sin and cos some next to multiples of pi/2."""
    if name in ("igamma", "igammac"):
        a = 10 ** rng.uniform(-4, 3)
        near, by = a * math.exp(rng.gauss(0, 0.5)), rng.gauss(0, 3) * math.sqrt(a)
        x = rng.choice((near, a + by, rng.uniform(0, 9)))
        return list(struct.unpack("ff", struct.pack("ff", a, abs(x))))
    if name in INTERVALS:
        low, high = rng.choice(INTERVALS[name])
        return list(struct.unpack("f", struct.pack("f", rng.uniform(low, high))))
    x = rng.uniform(-1, 1) * rng.choice(SCALES[name])
    if name in ("sin", "cos") and rng.random() < 0.4:
        x = float(mpmath.nint(2 * x / mpmath.pi) * mpmath.pi / 2)
    if (name == "log1p" and x <= -1) or name in ("log", "pow"):
        x = abs(x)
    if name in ("log", "pow") and rng.random() < 0.3:
        x = 1 + rng.uniform(-1, 1) * 2.0 ** rng.randint(-50, -1)
    if name == "pow":
        return [x, rng.uniform(-1070, 1020) / math.log2(x)]
    return [x]


def point(name: str, xs: list[float]) -> list[object]:
    value = FUNCTIONS[name](*map(mpmath.mpf, xs))
    near = float(value)
    missing = float((value - mpmath.mpf(near)) / math.ulp(near))
    return [[x.hex() for x in xs], near.hex(), round(missing, 4)]


def record() -> dict[str, list[list[object]]]:
    rng = random.Random(0)
    return {name: [point(name, operands(name, rng)) for _ in range(POINTS)] for name in FUNCTIONS}


if __name__ == "__main__":
    path = Path(__file__).with_name("accuracy.json")
    lines = [
        f'"{name}": [\n' + ",\n".join(json.dumps(p) for p in points) + "\n]"
        for name, points in record().items()
    ]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
