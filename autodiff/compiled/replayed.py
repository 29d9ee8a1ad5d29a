"""The same as a generated function does, natively, for recordings that do what most do."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from autodiff.amp.policies import PLAIN, blocks
from autodiff.changes import changes
from autodiff.compiled.generated import make_structure
from autodiff.compiled.places import ABSENT, attribute, covers, held, item, lacks, parts
from autodiff.compiled.reverse import CompiledNode
from autodiff.compiled.tree import TENSOR, Constant
from autodiff.hooks import hooked
from autodiff.native import Held, lib
from autodiff.node import mode, unrecorded, unsavable
from autodiff.tensor import Tensor

if TYPE_CHECKING:
    from autodiff.compiled.recording import Recording

MOST = 16  # arguments, results, gradients: as csrc/replay.h has room for
KEY, MISSING, ITEM, ATTRIBUTE, FIELD, LIST, DICT, CALL = range(8)  # looks
SAME, WITHOUT_GRAPH, LEAF, INNER = range(4)  # arguments
OBJECT, ONE, TUPLE, MADE = range(4)  # results
TABLES = dict, types.MappingProxyType
FIELDS: dict[tuple[Any, str], Any] = {  # of most looks: what finds such an attribute in the end
    (types.FunctionType, "__code__"): vars(types.FunctionType)["__code__"],
    (types.CellType, "cell_contents"): vars(types.CellType)["cell_contents"],
}
Look = tuple[int, Any, Any, Any]  # and of what, at which key, what it was
Called = Callable[..., Any]


class BeyondError(Exception):
    """There is something about a recording that only Python does."""


def replayed(
    recording: Recording, args: tuple[Any, ...], inputs: list[int], python: Called, slow: Called
) -> Called:
    """A function that runs a recording, and calls `python` where that may not hold; or `python`.

    For positional arguments like these, `inputs` being those that the tape takes. `slow` does what
    a run refused.
    """
    try:
        told = plan(recording, args, inputs, python, slow)
    except BeyondError:
        return python
    made: list[Any] = [told]
    failed = lib.ad_replay(recording.tape, len(told[8]), id(made))
    return python if failed else made[-1]


def plan(
    recording: Recording, args: tuple[Any, ...], inputs: list[int], python: Called, slow: Called
) -> tuple[Any, ...]:
    """What csrc/replay.h reads, in its order."""
    left, gradients = recording.left, recording.gradients
    apart = gradients.by_argument or recording.looks or gradients.lent or recording.after
    if apart or left.places or left.put or any(left.reads) or recording.caught:
        raise BeyondError
    reverse = recording.reverse
    several = sum(graph is not None for graph in recording.graphs) > 1
    if several or (reverse is not None and reverse.n > 1):
        raise BeyondError

    def failed(*args: Any) -> Any:
        recording.failed()  # raises, or nothing was done
        return slow(*args)

    outputs = outputs_of(recording, inputs)
    structure = structure_of(recording, [*outputs])
    leaves, n = tuple(gradients.leaves), recording.n_made
    if max(len(args), len(structure[2]), len(leaves), n) > MOST:
        raise BeyondError
    plain = recording.grad and not recording.inference and recording.autocast == PLAIN
    return (
        *(changes, recording, unrecorded if plain else None, hooked, python, failed, unsavable),
        tuple(given(recording, args, inputs)),
        (*looks(recording), *(() if plain else modes(recording))),
        *(leaves, node_of(recording, inputs), tuple(outputs.values()), structure, n),
    )


def given(recording: Recording, args: tuple[Any, ...], inputs: list[int]) -> Iterator[Any]:
    """What each argument must be."""
    graphs = dict(zip(inputs, recording.graphs, strict=True))
    for i, value in enumerate(args):
        if i in graphs:
            yield {None: WITHOUT_GRAPH, True: LEAF, False: INNER}[graphs[i]], None
        else:
            yield SAME, value


def looks(recording: Recording) -> Iterator[Look]:
    """What must be as it was."""
    for place, owner, key, value in recording.names.rows():
        if place is item and type(owner) in TABLES:
            kind = MISSING if value is ABSENT else KEY if type(owner) is dict else ITEM
            yield kind, owner, key, value
        elif place is attribute and value is not ABSENT:
            field = FIELDS.get((type(owner), key))
            yield ATTRIBUTE if field is None else FIELD, owner, field or key, value
        elif place is parts and type(owner) is list:
            yield LIST, owner, None, tuple(value)
        elif place is parts and type(owner) is dict:
            n = len(value) // 2
            pairs = zip(value[:n], value[n:], strict=True)
            yield DICT, owner, None, tuple(x for pair in pairs for x in pair)
        elif place in (covers, held, lacks):
            yield CALL, owner, place, value
        else:
            raise BeyondError
    for leaf, before in recording.gradients.needs:
        yield ATTRIBUTE, leaf, "grad", before


def modes(recording: Recording) -> Iterator[Look]:
    """What must be so of the thread."""
    state = recording.autocast
    if blocks.state._replace(dtype=state.dtype) != state:
        raise BeyondError
    yield ATTRIBUTE, mode, "grad", recording.grad
    yield ATTRIBUTE, mode, "inference", recording.inference
    yield ATTRIBUTE, mode, "autocast", state.dtype
    yield ATTRIBUTE, blocks, "state", blocks.state


def node_of(recording: Recording, inputs: list[int]) -> tuple[Any, ...] | None:
    """What the node of a run is made of, if it has one."""
    reverse = recording.reverse
    if reverse is None:
        return None
    ends, saved = tuple(inputs[i] for i in reverse.inputs), tuple(reverse.saved)
    if max(len(ends), len(saved)) > MOST or not all(type(p) is Held for p in reverse.watched):
        raise BeyondError
    return CompiledNode, reverse, reverse.leaves, ends, saved, tuple(reverse.watched)


def outputs_of(recording: Recording, inputs: list[int]) -> dict[Any, tuple[Any, ...]]:
    """Where each tensor of the result comes from, and what it has."""
    outputs: dict[Any, tuple[Any, ...]] = {}
    n = 0
    for output in recording.outputs:
        if output in outputs:
            continue
        if output.base_given is not None and type(output.base_given)._p is not Tensor._p:
            raise BeyondError
        node = True if output.live >= 0 and recording.reverse is not None else output.node
        argument = inputs[output.argument] if output.argument >= 0 else -1
        made = n if argument < 0 and output.given is None else -1
        base = inputs[output.base] if output.base >= 0 else -1
        outputs[output] = argument, output.given, made, node, base, output.base_given
        n += made >= 0
    return outputs


def structure_of(recording: Recording, outputs: list[Any]) -> tuple[int, Any, tuple[int, ...]]:
    """What is made of these tensors."""
    spec = recording.spec[2][0]
    places = tuple(map(outputs.index, recording.outputs))
    if isinstance(spec, Constant):
        return OBJECT, spec.value, ()
    if spec is TENSOR:
        return ONE, None, places
    if spec[0] is tuple and all(part is TENSOR for part in spec[2]):
        return TUPLE, None, places
    return MADE, make_structure(recording, spec, len(places)), places
