"""`check=True`: calls run eagerly beside their recording; the first differing bit is an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from autodiff.anomaly import place
from autodiff.changes import changes
from autodiff.compiled.generated import MISS
from autodiff.compiled.record import Recorder
from autodiff.compiled.show import call_name
from autodiff.native import ffi, lib, take_failure
from autodiff.tensor import Tensor

if TYPE_CHECKING:
    from autodiff.compiled.recording import Recording


class MismatchError(RuntimeError):
    """A recording does not do what the function does: something changed that it cannot see."""


def check(recording: Recording, inputs: list[Tensor], call: Callable[[], Any]) -> Any:
    """The function's result, after a run of the recording that is undone and compared with it.

    MISS where the arguments do not fit. A backward that the caller makes is the function's own.
    """
    rest = recording.lent_to(inputs)
    recorder = Recorder(inputs, False)
    if changes.recorder is not None or rest is None or not recording.alike(inputs):
        return MISS  # or another thread records
    changes.recorder = recorder
    try:
        result = checked(recording, [x._p for x in [*inputs, *rest]], call, recorder)
    finally:
        changes.recorder = None
    return result


def checked(
    recording: Recording, ps: list[Any], call: Callable[[], Any], recorder: Recorder
) -> Any:
    """The same, of a run with these arguments, with the recorder of the call."""
    if lib.ad_tape_save(recording.tape, len(ps), ps):
        return recording.failed()
    states = recording.states()
    grads = [(leaf, leaf.grad) for leaf, _ in recording.gradients.leaves]
    outs = ffi.new("ad_tensor *[]", recording.n_made + 1)
    failed = lib.ad_tape_run_hashed(recording.tape, len(ps), ps, outs) and take_failure()[0]
    for p in outs[0 : recording.n_made]:
        lib.ad_free(p)
    mine = hashes(recording.tape)
    lib.ad_tape_restore(recording.tape)
    for generator, state in states:
        generator.set_state(state)
    for leaf, grad in grads:
        leaf.grad = grad
    result = recorder.run(call, hashing=True)
    if failed == lib.AD_UNDONE:
        return result
    if failed:
        raise MismatchError("the recording fails where the function does not")
    compare(recording, mine, recorder)
    return result


def compare(recording: Recording, mine: list[int], recorder: Recorder) -> None:
    """Raise MismatchError at the first call that differs."""
    theirs = hashes(recorder.tape)
    names = {
        lib.ad_tape_source(recording.tape, i): call_name(recording.tape, i)
        for i in steps(recording.tape)
    }
    for i, (a, b) in enumerate(zip(mine, theirs)):  # noqa: B905 - the shorter one ends it
        name = call_name(recorder.tape, i)
        if names.get(i, name) != name or (a and a != b):
            raise MismatchError(
                f"call {i}, {name}, at {place(*recorder.places[i])}: the recording of it has other "
                "bits. Something that the function depends on changed and is out of sight: see "
                "docs/compile.md."
            )
    if len(mine) != len(theirs):
        raise MismatchError(
            f"the function makes {len(theirs)} native calls, its recording {len(mine)}"
        )


def steps(tape: Any) -> range:
    """The calls that a tape has."""
    return range(lib.ad_tape_length(tape))


def hashes(tape: Any) -> list[int]:
    """What each recorded call wrote, hashed; 0 for those that are not made."""
    n = lib.ad_tape_hashes(tape, 0, ffi.NULL)
    found = ffi.new("uint64_t[]", n + 1)
    lib.ad_tape_hashes(tape, n, found)
    return list(found[0:n])
