"""Runs recorders, all or the named ones: `cd tests && python -m golden [NAME...]`.

Each has a process of its own, as some set threads, seeds or print options.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main(names: list[str]) -> None:
    """Runs the recorders of these names, or all."""
    known = sorted(path.stem.removeprefix("record_") for path in HERE.glob("record_*.py"))
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"no recorder of {', '.join(unknown)}; there are: {', '.join(known)}")
    for name in names or known:
        print(name, flush=True)
        subprocess.run([sys.executable, "-m", f"golden.record_{name}"], cwd=HERE.parent, check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
