"""Numbers with three digits and a unit."""

PREFIXES = {"T": 1e12, "G": 1e9, "M": 1e6, "k": 1e3, "": 1.0, "m": 1e-3, "µ": 1e-6, "n": 1e-9}


def duration(seconds: float) -> str:
    return with_unit(seconds, "s")


def with_unit(value: float, unit: str) -> str:
    """`1.23 Gflop/s`; a unit that has a prefix already, as MB, keeps it."""
    if unit not in ("s", "B", "flop/s", "byte/s"):
        return f"{value:.3g} {unit}"
    prefix = next((p for p, factor in PREFIXES.items() if value >= factor), "n")
    scaled = value / PREFIXES[prefix]
    return f"{scaled:.3g} {prefix}{unit}" if scaled < 999.5 else f"{scaled:.0f} {prefix}{unit}"
