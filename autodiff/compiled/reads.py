"""What the bytecode of a function asks for: names, and how it uses what they stand for."""

from __future__ import annotations

import dis
import functools
import re
import types
from collections.abc import Iterator
from typing import Any, NamedTuple

UNSEEN = ("CACHE", "EXTENDED_ARG", "NOP", "PRECALL", "PUSH_NULL")
LEADING = "PUSH_EXC_INFO", "LOAD", "BUILD_TUPLE"  # to which exceptions are caught
GROWING = ("add", "append", "appendleft", "extend", "insert", "update")
ASKING = ("asdict", "astuple", "fields", "getmembers", "vars")  # for all that an object has
FILES = None, "dataclasses", "inspect"  # where these are
CATCHING = ("CHECK_EG_MATCH", "CHECK_EXC_MATCH", "JUMP_IF_NOT_EXC_MATCH")
STORES = "store", "put global"
KINDS = {
    "BINARY_SUBSCR": "item",
    "CALL": "call",
    "CALL_FUNCTION": "call",  # of Python 3.10
    **dict.fromkeys(CATCHING, "catch"),
    "IMPORT_FROM": "attribute",
    "IMPORT_NAME": "import",
    "LOAD_ATTR": "attribute",
    "LOAD_CLOSURE": "other",
    "LOAD_CONST": "constant",
    "LOAD_GLOBAL": "global",
    "LOAD_METHOD": "attribute",
    "LOAD_NAME": "global",
    "LOAD_SMALL_INT": "constant",
    "LOAD_SUPER_ATTR": "attribute",
    "RETURN_CONST": "constant",  # of Python 3.12 and 3.13
    "STORE_ATTR": "put",
    "STORE_GLOBAL": "put global",
    "STORE_SUBSCR": "put item",
}
LETTERS = dict(
    attribute="a", call="(", constant="1", item="i", name="s", **{"global": "x", "local": "x"}
)
TOLD = r"x(a|[x1s]i)*s([1s.]|xa*)?\("  # an object, a name, and what is there without it
Step = tuple[str, str | int]  # a kind, and its name, attribute or constant


class Reads(NamedTuple):
    """What code, and code inside it, looks up."""

    globals: frozenset[str | int]  # the names of a file's, or of the language's
    attributes: frozenset[str | int]  # attributes, keys and strings
    constants: frozenset[str | int]  # strings that are no keys: `getattr(x, "scale", 1)`
    keyed: frozenset[str | int]  # names of containers that constant keys are asked of
    imports: frozenset[str | int]  # files of Python that it takes in itself
    whole: frozenset[str | int]  # names of containers that are used in other ways than growing
    operated: frozenset[str | int]  # names of what is used otherwise than by its attributes
    keys: frozenset[str | int]  # constants that are asked for as keys
    puts: frozenset[str | int]  # attributes that it sets
    sets: frozenset[str | int]  # constant keys that it sets
    stores: frozenset[str | int]  # names of a file's that it sets
    tried: frozenset[str | int]  # "x.scale", where it may catch that x has none
    computed: frozenset[str | int]  # functions by which it asks for attributes that no name tells

    def joined(self, other: Reads) -> Reads:
        """What either looks up; this one, where that is all."""
        parts = [a if a >= b else a | b for a, b in zip(self, other, strict=True)]
        return self if all(a is b for a, b in zip(self, parts, strict=True)) else Reads(*parts)


@functools.lru_cache(1024)
def reads_of(code: types.CodeType) -> Reads:
    """What code looks up."""
    globals_: set[str | int] = set()
    attributes: set[str | int] = set()
    constants: set[str | int] = set()
    keyed: set[str | int] = set()
    imports: set[str | int] = set()
    whole: set[str | int] = set()
    operated: set[str | int] = set()
    keys: set[str | int] = set()
    puts: set[str | int] = set()
    sets: set[str | int] = set()
    stores: set[str | int] = set()
    tried: set[str | int] = set()
    computed: set[str | int] = set()
    aliases: list[tuple[str | int, str | int]] = []
    steps = [*steps_of(code), ("other", ""), ("other", ""), ("other", "")]
    catching = any(kind == "catch" for kind, _ in steps)
    for i, (kind, name) in enumerate(steps[:-3]):
        after = i + 1
        if kind == "constant" and steps[after][0] == "item":
            after += 1  # what is found there goes by the name of its key
            keys.add(name)
        elif kind == "constant":
            if steps[after][0] == "put item":
                sets.add(name)
            elif isinstance(name, str):
                attributes.add(name)
                constants.add(name)
            continue
        elif kind == "import":
            imports.add(name)
            continue
        elif kind == "put global":
            stores.add(name)
            continue
        elif kind == "put":
            puts.add(name)
            continue
        elif kind not in ("global", "local", "attribute"):
            continue
        if kind == "global":
            globals_.add(name)
            if name in ("getattr", "hasattr") and not is_told(steps[after : after + 16]):
                computed.add(name)
        elif kind != "local":
            attributes.add(name)
        if name in ASKING and (steps[i - 1][1] if kind == "attribute" else None) in FILES:
            computed.add(name)
        (use, used), (then, _) = steps[after : after + 2]
        if use == "attribute" and catching:
            tried.add(f"{name}.{used}")
        if use not in ("attribute", "put", *STORES) and then != "put item":
            operated.add(name)
        if use == "constant" and then == "item":
            keyed.add(name)
        elif use in STORES:
            aliases.append((name, used))
        elif not (use == "put" or then == "put item" or (use == "attribute" and used in GROWING)):
            whole.add(name)
    for name, other in reversed(aliases):
        for found in (keyed, whole, operated):
            if other in found:
                found.add(name)
    parts = [globals_, attributes, constants, keyed, imports, whole, operated, keys, puts]
    parts += [sets, stores, tried, computed]
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            for part, inner in zip(parts, reads_of(constant), strict=True):
                part |= inner
    return Reads(*map(frozenset, parts))


@functools.lru_cache(4096)
def catches(code: types.CodeType, at: int) -> bool:
    """Whether code may go on where what it calls at an instruction raises."""
    if "suppress" in code.co_names:
        return True
    steps = [*dis.get_instructions(code)]
    entries = getattr(dis.Bytecode(code), "exception_entries", None)
    if entries is None:  # Python 3.10: a block ends where its handler is, or before
        tried = [
            s.argval for s in steps if s.opname == "SETUP_FINALLY" and s.offset < at < s.argval
        ]
        return any(s.offset in tried and s.opname in ("DUP_TOP", "POP_TOP") for s in steps)
    for entry in entries:
        if entry.start <= at < entry.end:
            handler = [step.opname for step in steps if step.offset >= entry.target]
            while handler and (handler[0].startswith(LEADING) or handler[0] in UNSEEN):
                handler.pop(0)
            if handler and handler[0] in (*CATCHING, "POP_TOP"):  # the latter where it catches all
                return True
    return False


def is_told(steps: list[Step]) -> bool:
    """Whether `getattr` is given a constant name, by these instructions that follow it."""
    kinds = [
        kind if type(name) is not str or kind != "constant" else "name" for kind, name in steps
    ]
    return re.match(TOLD, "".join([LETTERS.get(kind, ".") for kind in kinds])) is not None


def steps_of(code: types.CodeType) -> Iterator[Step]:
    """The instructions of code, two in one apart."""
    before: Any = ()
    for step in dis.get_instructions(code):
        name, value = step.opname, step.argval
        if name in UNSEEN:
            continue
        if name == "MATCH_CLASS":  # by attributes of the names that came before
            yield from (("attribute", name) for name in before)
        before = value
        kind = "item" if step.argrepr == "[]" else KINDS.get(name)  # as of Python 3.14
        values = value if isinstance(value, tuple) and name != "LOAD_CONST" else (value,)
        halves = [half for half in name.split("_FAST") if half] if len(values) == 2 else [name]
        for value, half in zip(values, halves, strict=False):
            cell = value in code.co_freevars and "DEREF" not in name  # as of 3.13 LOAD_CLOSURE's
            load, store = "LOAD" in half and not cell, "STORE_" in half or half.endswith("STORE")
            found = kind or ("local" if load else "store" if store else "other")
            known = isinstance(value, (str, int)) or found in ("item", "put item", "catch")
            yield (found, value) if known else ("other", "")
