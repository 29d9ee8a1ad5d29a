"""`autodiff.compile`: a step is recorded once and replayed by one native call."""

from autodiff.compiled.function import Compiled

__all__ = ["Compiled", "compile"]


def compile(fn=None, *, fullgraph=False):
    if fn is None:
        return lambda fn: compile(fn, fullgraph=fullgraph)
    return Compiled(fn, fullgraph)
