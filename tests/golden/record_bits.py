"""Records the bits that every program of tests/programs.py gives on an instruction set with FMA.

Not PyTorch's but our own: they are the same on every such machine, and stay unless a change is
meant.
"""

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    """Runs the programs in a process of their own and writes bits.json."""
    script = HERE.parent / "programs.py"
    run = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    text = json.dumps(json.loads(run.stdout), indent=0, sort_keys=True)
    (HERE / "bits.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
