"""`python -m autodiff info`, `demo` and `gradcheck`."""

import argparse
import sys
from dataclasses import replace

from autodiff.version import __version__


def positive(text: str) -> int:
    """A number of epochs or examples."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m autodiff", description="Automatic differentiation with PyTorch's interface."
    )
    parser.add_argument("--version", action="version", version=f"autodiff {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("info", help="how this copy was built and what it runs on")
    demo = commands.add_parser("demo", help="learn the unit of a thermometer, and plot the fit")
    add = demo.add_argument
    add("--seed", type=int, metavar="N", help="print what PyTorch prints for this seed")
    add("--line-epochs", type=positive, metavar="N", help="epochs of the linear model (3000)")
    add("--network-epochs", type=positive, metavar="N", help="epochs of the network (5000)")
    add("--output", metavar="PATH", default="thermometer.png", help="where to draw the fit")
    add("--no-plot", action="store_true", help="do not draw it")
    check = commands.add_parser("gradcheck", help="check the gradients of every operation here")
    add = check.add_argument
    add("pattern", nargs="?", metavar="PATTERN", help="a part of an operation's name, or a glob")
    add("--seed", type=int, default=0, metavar="N", help="of the operands (0)")
    add("--examples", type=positive, default=3, metavar="N", help="of each operation (3)")
    add("--list", action="store_true", help="print the names of the operations")
    return parser


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = make_parser().parse_args()
    if arguments.command == "info":
        from autodiff import info

        print(info.describe())
    elif arguments.command == "demo":
        run_demo(arguments)
    else:
        from autodiff.testing import sweep

        given = arguments.pattern, arguments.seed, arguments.examples
        return sweep.main(*given, names_only=arguments.list)
    return 0


def run_demo(arguments: argparse.Namespace) -> None:
    """Run the demo as the options ask."""
    from autodiff import demo

    line = replace(demo.LINE, epochs=arguments.line_epochs or demo.LINE.epochs)
    network = replace(demo.NETWORK, epochs=arguments.network_epochs or demo.NETWORK.epochs)
    demo.main([line, network], arguments.seed, None if arguments.no_plot else arguments.output)


if __name__ == "__main__":
    sys.exit(main())
