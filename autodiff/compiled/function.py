"""A function that is recorded once and run natively: which recording fits, and what if none."""

from __future__ import annotations

import functools
import operator
import sys
import time
import warnings
import weakref
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from types import FunctionType, MethodType
from typing import Any

from autodiff.anomaly import is_anomaly_enabled, watchers
from autodiff.changes import changes, new_lock, recorder_here
from autodiff.compiled.check import check
from autodiff.compiled.generated import MISS, Nobody, make_quick
from autodiff.compiled.guards import Names
from autodiff.compiled.live import Place, live_places, takes_out, with_live
from autodiff.compiled.noted import TOO_MUCH, TooMuchError
from autodiff.compiled.record import Recorder, UnfitError
from autodiff.compiled.recording import Recording, last
from autodiff.compiled.replayed import replayed
from autodiff.compiled.show import Stats, listing, plot, stats
from autodiff.compiled.signature import is_fixed, is_spent, key_of
from autodiff.compiled.steps import epoch, repeat
from autodiff.compiled.tree import constants, flatten, is_plain
from autodiff.native import lib
from autodiff.nn.module import Module
from autodiff.nn.utils import parametrize
from autodiff.ops.generator import Generator
from autodiff.ops.out import written_all
from autodiff.shortcuts import Called
from autodiff.tensor import Tensor, live_node
from autodiff.torch_function import is_asked, takes_part, thread

KEPT = 32  # recordings of one function
TRIES = 8  # recordings in a row of like calls that were not run once; KEPT of any calls
ARRAYS = "an argument is an array, whose elements may change unseen: give a tensor"
FITTED_ONE = (
    "its last recordings fitted one call each, as what it is given or looks at differs: a number "
    "may be a tensor, or declared live"
)
OF_CONTAINERS = "__len__", "__getitem__", "__setitem__", "__delitem__", "__iter__", "__contains__"
_tables = new_lock()  # what compiled functions know of their recordings
_alive: weakref.WeakSet[Compiled] = weakref.WeakSet()


def reset() -> None:
    """Have all compiled functions forget their recordings, and what stays eager.

    >>> ad.compiler.reset()
    """
    with _tables:
        for compiled in list(_alive):
            compiled.reset()


def slowly(owner: Callable[[], Any]) -> Callable[..., Any]:
    """How a compiled function is called before a recording was run."""
    return lambda *args, **kwargs: owner().slow(args, kwargs)


def given_tensors(call: Callable[..., Any], live: list[Place]) -> Callable[..., Any]:
    """How a recording is called with numbers in these places."""

    def called(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = with_live(live, args, kwargs)
        return call(*args, **kwargs)

    return called


def is_looked_at() -> bool:
    """Whether somebody looks at each call, as a run has none, or a block computes parts once."""
    looked = lib.ad_watching() or watchers.stack or is_asked() or thread.off
    return bool(looked) or parametrize.here.tensors is not None or is_anomaly_enabled()


@functools.cache
def container(cls: Any, *names: str) -> type[Compiled]:
    """The class of compiled modules that have these methods, as a Sequential has."""

    def of_module(name: str) -> Callable[..., Any]:
        return lambda self, *args: getattr(self.fn, name)(*args)

    methods = {name: of_module(name) for name in names}
    return type(cls.__name__, (cls,), {**methods, "plain": cls})


class Compiled(Called):
    """What `autodiff.compile` returns: called as the function, with the same results.

    >>> double = ad.compile(lambda x: 2 * x)
    >>> double(ad.ones(2)), double(ad.ones(2))
    (tensor([2., 2.]), tensor([2., 2.]))
    >>> double.stats().recordings
    1
    """

    _call: Callable[..., Any]  # which is called at once: of the recording that was run last
    recordings: OrderedDict[Any, list[Recording]]
    eager: dict[Any, str]  # calls that stay eager, and why
    tries: Counter[Any]  # since a recording was run

    def __new__(
        cls,
        fn: Callable[..., Any],
        fullgraph: bool = False,
        check: bool = False,
        reuse_outputs: bool = False,
        live: Sequence[str] = (),
    ) -> Compiled:
        found = [x for x in OF_CONTAINERS if isinstance(fn, Module) and hasattr(fn, x)]
        kind: Any = cls
        self = super().__new__(container(kind, *found) if found else cls)
        self.options = fullgraph, check, reuse_outputs, tuple(live)
        self.fullgraph = fullgraph
        self.check = check
        self.reuse_outputs = reuse_outputs
        self.live = live_places(fn, live)
        self.has_out = takes_out(fn)
        self.binds = fn.binds if type(fn) is Compiled else isinstance(fn, FunctionType)
        self.recordings = OrderedDict()
        self.eager = {}
        self.tries = Counter()
        object.__setattr__(self, "_call", slowly(weakref.ref(self)))
        functools.update_wrapper(self, fn, updated=())
        self.fn = fn
        with _tables:
            _alive.add(self)
        return self

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """A compiled module passes for the module: it can be a part of another."""
        return type(self.fn) if isinstance(self.fn, Module) else Compiled

    def __setattr__(self, name: str, value: Any) -> None:
        values = vars(self)
        if name not in values and isinstance(values.get("fn"), Module):
            setattr(self.fn, name, value)
        else:
            values[name] = value

    def __delattr__(self, name: str) -> None:
        if name in vars(self):
            del vars(self)[name]
        else:
            delattr(self.fn, name)

    def __reduce__(self) -> Any:
        """A copy or a pickle has no recordings yet. What has taken the place of its function, as by
        a decorator, is found there, as functions are.
        """
        path = str(getattr(self, "__qualname__", ""))
        found: Any = sys.modules.get(getattr(self, "__module__", ""))
        for name in path.split("."):
            found = getattr(found, name, None)
        kind = getattr(type(self), "plain", type(self))
        return path if found is self else (kind, (self.fn, *self.options))

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None or not self.binds else MethodType(self, instance)

    def __del__(self) -> None:
        if "recordings" in vars(self):
            self.reset()

    def slow(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The call where the last recording does not fit at once."""
        if self.live:
            args, kwargs = with_live(self.live, args, kwargs)
        if "out" in kwargs and not self.has_out:
            return self.into(args, **kwargs)
        if recorder := recorder_here():
            if recorder.of is self:
                raise RuntimeError(f"{self.name()}: a compiled function called itself")
            return self.fn(*args, **kwargs)  # a part of what is being recorded
        if is_looked_at():
            return self.fn(*args, **kwargs)
        tensors: list[Tensor] = []
        spec = flatten((args, kwargs), tensors)
        if any(hasattr(x, "level") or takes_part(type(x)) for x in tensors):
            return self.fn(*args, **kwargs)  # of several tensors, under vmap, or a subclass's
        key = key_of(spec, tensors)
        if key in self.eager or TOO_MUCH in self.eager or last.was_undone():
            return self.fn(*args, **kwargs)
        inputs = [x for x in tensors if not is_fixed(x)]
        for recording in self.found(key):
            quick = recording.quick
            if quick is not None:
                result = quick(*args, **kwargs)
                if result is not MISS:
                    self.use(key, recording, args, kwargs)
                    return result
                if last.was_undone():
                    return self.fn(*args, **kwargs)  # which catches what it is refused
            while recording.holds():
                if self.check:
                    result = check(recording, inputs, lambda: self.fn(*args, **kwargs))
                    if result is not MISS:
                        return result
                    break
                result = recording.run(inputs)
                if result is not MISS:
                    self.use(key, recording, args, kwargs)
                    return result
                if last.was_undone():
                    return self.fn(*args, **kwargs)
                if not last.busy:
                    break
                time.sleep(0)
        if self.tries.total() > KEPT:
            return self.fn(*args, **kwargs)  # no recording is of use twice
        try:
            return self.record(key, inputs, args, kwargs)
        except TooMuchError as why:
            self.leave_all(str(why))
        return self.fn(*args, **kwargs)

    def into(self, args: tuple[Any, ...], out: Any, **kwargs: Any) -> Any:
        """The call, its result written to `out`, which has the structure of the result."""
        found: list[Tensor] = []
        places: list[Tensor] = []
        if flatten(self(*args, **kwargs), found) != flatten(out, places):
            raise TypeError(
                f"{self.name()}(): argument 'out' must have the structure of the result"
            )
        written_all(self.name(), places, found, *found)
        return out

    def __getattr__(self, name: str) -> Any:
        """What the function or module itself has: parameters, train, state_dict..."""
        if name == "fn":
            raise AttributeError(name)
        return getattr(self.fn, name)

    def __repr__(self) -> str:
        found = self.used()
        head = f"<compiled {self.name()}: {len(found)} recordings"
        if not found:
            return f"{head}>"
        return f"{head}, the one used last:\n{listing(found[0])}\n>"

    def used(self) -> list[Recording]:
        """The recordings, the one used last first."""
        with _tables:
            return [r for key in reversed(self.recordings) for r in self.recordings[key]]

    def found(self, key: Any) -> list[Recording]:
        """The recordings of calls like this one."""
        with _tables:
            return list(self.recordings.get(key, ()))

    def stats(self) -> Stats:
        """What the recordings are made of, and what stays eager."""
        return stats(self.used(), self.eager)

    def plot(self) -> Any:
        """Draw the calls and the memory of the recording used last: a matplotlib Axes."""
        if not self.used():
            raise RuntimeError(f"{self.name()}: there is no recording yet; call it first")
        return plot(self.used()[0])

    def reset(self) -> None:
        """Forget all recordings, and what stays eager."""
        with _tables:
            for recording in self.used():
                recording.drop()
            self.recordings.clear()
            self.eager.clear()
            self.tries.clear()
            object.__setattr__(self, "_call", slowly(weakref.ref(self)))

    def steady(self, args: tuple[Any, ...]) -> list[Recording]:
        """The recordings that hold for a call now, and after each run of it again."""
        tensors: list[Tensor] = []
        key = key_of(flatten((args, {}), tensors), tensors)
        plain = all(isinstance(x, Tensor) and not takes_part(type(x)) for x in args)
        if recorder_here() is not None or not plain or is_asked():
            return []
        return [r for r in self.found(key) if r.leads_to_itself() and r.holds()]

    def repeat(self, n: int, *args: Any, progress: bool = False) -> Any:
        """What `n` calls return, made by one native call; tensors are stacked along dimension 0."""
        if self.live:
            args, _ = with_live(self.live, args, {})
        return repeat(self, n, args, progress)

    def epoch(
        self,
        tensors: Sequence[Tensor],
        batch_size: int,
        shuffle: bool | Tensor = False,
        drop_last: bool = False,
        generator: Generator | None = None,
        progress: bool = False,
    ) -> Any:
        """What the calls on mini-batches of rows of `tensors` return, made by one native call.

        The rows come as from a DataLoader with this `shuffle` and `generator`, or in the order that
        `shuffle`, a tensor, gives. Tensors returned are stacked along dimension 0.
        """
        return epoch(self, tensors, batch_size, shuffle, drop_last, generator, progress)

    def use(self, key: Any, recording: Recording, args: Any, kwargs: Any) -> None:
        """Make a recording the one that is tried first."""
        flat = not kwargs and not any(isinstance(x, (list, dict, tuple)) for x in args)
        if flat and recording.quick is None:
            inputs = [i for i, x in enumerate(args) if isinstance(x, Tensor) and not is_fixed(x)]
            make = make_quick(recording, args, inputs)
            owner = weakref.ref(self)
            recording.quick, called = make(Nobody), make(owner)
            called = replayed(recording, args, inputs, called, slowly(owner))
            recording.called = given_tensors(called, self.live) if self.live else called
        with _tables:
            self.tries.clear()
            if key in self.recordings:  # another thread may have dropped it
                self.recordings.move_to_end(key)
            object.__setattr__(self, "_call", recording.called or slowly(weakref.ref(self)))

    def record(self, key: Any, inputs: list[Tensor], args: Any, kwargs: Any) -> Any:
        """Call the function and keep the recording, if it will do."""
        others = (value for value in constants(key[0]) if not is_plain(value))
        if any(hasattr(type(value), "__array_interface__") for value in others):
            if ARRAYS not in self.eager:
                self.give_up(ARRAYS, ARRAYS, False)
            return self.fn(*args, **kwargs)
        recorder = Recorder(inputs, self.fullgraph, self)
        if changes.recorder is not None:
            return self.fn(*args, **kwargs)  # another thread records
        changes.recorder = recorder
        try:
            names = Names(self.fn, args, kwargs)
            nodes = [node for node in map(live_node, inputs) if node]
            outside = [live_node(x) for x in names.values() if isinstance(x, Tensor)]
            before = [r for r in self.found(key) if r.is_surpassed()]
            behind = [node for node in [*nodes, *outside] if node and not is_spent(node)]
            given: list[Tensor] = []
            spec = flatten((args, kwargs), given)
            result = recorder.run(lambda: self.fn(*args, **kwargs))
            now: list[Tensor] = []
            kept = flatten((args, kwargs), now) == spec and all(map(operator.is_, now, given))
            try:
                if not kept:
                    raise UnfitError("it changes a list or dict that it is given")
                if any(map(is_spent, behind)) or recorder.went_outside:
                    raise UnfitError("its backward goes beyond what it makes")
                recording = Recording(
                    recorder, names, result, not self.check, self.reuse_outputs, before
                )
            except UnfitError as unfit:
                if not recorder.was_disturbed():
                    self.give_up(key, str(unfit), unfit.retry)
                return result
            if recorder.was_disturbed():
                return result  # of the next call it may be undisturbed
            recording.settle()
        finally:
            changes.recorder = None
        with _tables:
            for old in before:
                if old in self.recordings.get(key, ()):
                    self.recordings[key].remove(old)
                    old.drop()
        self.keep(key, recording)
        return result

    def give_up(self, key: Any, why: str, retry: bool) -> None:
        """Let calls like this one be eager; after several tries, or at once."""
        self.tries[key] += 1
        if retry and self.tries[key] < TRIES and self.tries.total() <= KEPT:
            return
        if self.fullgraph:
            raise RuntimeError(f"fullgraph=True: {self.name()} cannot be recorded: {why}")
        self.eager[key] = why
        warnings.warn(f"{self.name()} stays eager: {why}", stacklevel=5)

    def leave_all(self, why: str) -> None:
        """Let all calls be eager."""
        if TOO_MUCH not in self.eager:
            self.give_up(TOO_MUCH, why, False)

    def keep(self, key: Any, recording: Recording) -> None:
        """Add a recording, dropping the least recently used beyond KEPT."""
        self.tries[key] += 1
        if self.tries[key] > TRIES or self.tries.total() > KEPT:
            self.give_up(key, FITTED_ONE, False)
        with _tables:
            self.recordings.setdefault(key, []).insert(0, recording)
            self.recordings.move_to_end(key)
            while sum(map(len, self.recordings.values())) > KEPT:
                first = next(iter(self.recordings))
                self.recordings[first].pop().drop()
                if not self.recordings[first]:
                    del self.recordings[first]

    def name(self) -> str:
        """The function's name in messages."""
        return getattr(self.fn, "__qualname__", type(self.fn).__name__)
