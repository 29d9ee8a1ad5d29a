"""Compare autodiff with its peers: python benchmarks/run.py [options] [part of a name ...].

The same text runs on autodiff and on every peer that has it, in turns, in one process. A ratio is a
peer's time over ours: above 1 means that autodiff is faster.
"""

import argparse
import sys
from pathlib import Path

import contestants


def main() -> None:
    options = parse_options()
    threads = contestants.restrict(options.threads)
    if options.profile or options.callgrind:
        from profiling import profile

        return profile(options)
    from measure import measure_all  # only now: libraries count their cores as they load

    found = measure_all(options, threads)
    if options.save:
        found.save(options.save)  # report.py ends with the failures
    elif found.failures:
        sys.exit("\n".join(map(str, found.failures)))
    return None


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="run only what has one of these in its name")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of turns, at most (7)")
    parser.add_argument("--threads", type=int, default=1, help="threads, 0 for all cores (1)")
    parser.add_argument("--group", default="", help="run only groups with this in their name")
    parser.add_argument("--peers", default=",".join(contestants.PEERS), help="peers to run")
    parser.add_argument("--quick", action="store_true", help="the short suite")
    parser.add_argument("--losing", action="store_true", help="show only rows under their target")
    parser.add_argument("--save", type=Path, help="a file for report.py")
    parser.add_argument("--profile", action="store_true", help="profile ours of the first workload")
    parser.add_argument("--callgrind", action="store_true", help="the same, and count instructions")
    return parser.parse_args()


if __name__ == "__main__":
    main()
