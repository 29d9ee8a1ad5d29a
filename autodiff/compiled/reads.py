"""What the bytecode of a function asks for: names, and how it uses what they stand for."""

from __future__ import annotations

import dis
import functools
import re
import sys
import types
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from autodiff.named import NamedTuple

UNSEEN = ("CACHE", "EXTENDED_ARG", "NOP", "PRECALL", "PUSH_NULL")
GROWING = ("add", "append", "appendleft", "extend", "insert", "update")
CALLS_TOLD = sys.version_info >= (3, 11)  # of a global, whether it is called
ASKED = "getattr", "hasattr"  # for one of them, where that is told
ASKING = ("asdict", "astuple", "fields", "getmembers", "vars")  # for all that an object has
FILES = None, "dataclasses", "inspect"  # where these are
CATCHING = ("CHECK_EG_MATCH", "CHECK_EXC_MATCH", "JUMP_IF_NOT_EXC_MATCH")
NAMELESS = "adds", "catch", "copy", "end", "item", "put item", "raise", "show"
STORES = "store", "put outside"
LOOKING = "attribute", "global"
MAKING = "__new__", "__init__", "__post_init__", "__del__"  # of what a class that is called makes
SHOWING: set[str | int] = {"ascii", "format", "repr", "str"}
# Methods of objects that are called where code names one of these.
BY_NAMES: dict[tuple[str, ...], set[str | int]] = {
    ("__repr__", "__str__"): SHOWING,
    ("__copy__", "__deepcopy__", "__getstate__", "__reduce__", "__reduce_ex__", "__setstate__"): {
        *("copy", "deepcopy", "dumps")
    },
}
OPERANDS = "attribute", "constant", "global", "item", "local"
SETTING = {"put": 2, "put outside": 1}  # and how far behind what adds to what is set
KINDS = {
    "BINARY_SUBSCR": "item",
    "CALL": "call",
    "CALL_FUNCTION": "call",  # of Python 3.10
    "COMPARE_OP": "compare",
    "CONTAINS_OP": "compare",
    "COPY": "copy",
    **dict.fromkeys(CATCHING, "catch"),
    **dict.fromkeys(("CONVERT_VALUE", "FORMAT_SIMPLE", "FORMAT_VALUE", "FORMAT_WITH_SPEC"), "show"),
    "DUP_TOP_TWO": "copy",  # of Python 3.10
    "INPLACE_ADD": "adds",  # of Python 3.10
    "INPLACE_SUBTRACT": "adds",
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
    **dict.fromkeys(("POP_TOP", "RETURN_VALUE", "YIELD_VALUE"), "end"),
    "RAISE_VARARGS": "raise",
    "RETURN_CONST": "constant",  # of Python 3.12 and 3.13
    "STORE_ATTR": "put",
    "STORE_GLOBAL": "put outside",
    "STORE_SUBSCR": "put item",
}
LETTERS = dict(
    attribute="a", call="(", constant="1", item="i", name="s", **{"global": "x", "local": "x"}
)
TOLD = r"x(?:a|[x1s]i)*(s)([1s.]|xa*)?\("  # an object, a name, and what is there without it
Found = dict[str, set[str | int]]  # fields of `Reads`, as they are filled
Aliases = list[tuple[str | int, str | int]]
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
    stores: frozenset[str | int]  # names of a file's, or of a function around it, that it sets
    pairs: frozenset[str | int]  # "x.scale", which x may come to have
    tried: frozenset[str | int]  # "x.scale" where it may catch that x has none, ".scale" of any
    counted: frozenset[str | int]  # attributes and a file's names that it adds to, and no more
    otherwise: frozenset[str | int]  # those that it looks at or sets otherwise
    computed: frozenset[str | int]  # functions by which it asks for attributes that no name tells
    compared: frozenset[
        str | int
    ]  # names of keys, and of what it shows or compares with no constant
    methods: frozenset[str | int]  # of these, those that it has called: to show, to copy

    def joined(self, other: Reads) -> Reads:
        """What either looks up; this one, where that is all."""
        parts = [a if a >= b else a | b for a, b in zip(self, other, strict=True)]
        return self if all(a is b for a, b in zip(self, parts, strict=True)) else Reads(*parts)

    def takes_whole(self, name: Any) -> bool:
        """Whether what goes by a name, or is in a container, may be compared or shown."""
        return bool(self.compared) if name is None else name in self.compared

    def without(self, names: Iterable[str]) -> Reads:
        """The same, but for what is done with these variables of the code itself."""
        own = frozenset(names) - self.attributes
        fields = ("compared", "keyed", "operated", "whole")
        return self._replace(**{field: getattr(self, field) - own for field in fields})


@functools.lru_cache(1024)
def computing(reads: Reads, names: frozenset[str | int]) -> Reads:
    """The same, and as by functions of these names."""
    return reads._replace(computed=reads.computed | names)


@functools.lru_cache(1024)
def by_name(pairs: frozenset[str | int]) -> dict[str, frozenset[str]]:
    """What is asked of each name: of "x.scale" x's scale."""
    found: dict[str, set[str]] = {}
    for pair in map(str, pairs):
        name, _, asked = pair.rpartition(".")
        found.setdefault(name, set()).add(asked)
    return {name: frozenset(asked) for name, asked in found.items()}


def asked_in(pairs: frozenset[str | int], name: Any) -> frozenset[str]:
    """What such pairs ask of a name."""
    return by_name(pairs).get(str(name), frozenset())


def at_key(key: str | int) -> str:
    """The name of what is found at a key: no variable's, which may be another thing."""
    return f"[{key!r}]"


@functools.lru_cache(1024)
def reads_of(code: types.CodeType) -> Reads:
    """What code looks up."""
    found: Found = {field: set() for field in Reads._fields}
    aliases: Aliases = []
    steps = [*steps_of(code), ("other", ""), ("other", ""), ("other", "")]
    catching = any(kind == "catch" for kind, _ in steps)
    asked: set[str | int] = set()
    for i, (kind, _) in enumerate(steps[:-3]):
        if kind == "show" and not is_raised(steps[i + 1 :]):
            asked.add("format")
        add_step(found, aliases, steps, i, catching)
    for name, other in reversed(aliases):
        for field in ("compared", "keyed", "whole", "operated"):
            if other in found[field]:
                found[field].add(name)
    add_counted(found, steps, code)
    add_unnamed(found, asked)
    if code.co_name in MAKING:
        found["attributes"] -= {*MAKING}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            for field, inner in reads_of(constant)._asdict().items():
                found[field] |= inner
    return Reads(**{field: frozenset(names) for field, names in found.items()})


def add_step(found: Found, aliases: Aliases, steps: list[Step], i: int, catching: bool) -> None:
    """Add what a step names, and how the ones after it use that."""
    (kind, name), after = steps[i], i + 1
    if kind in _NAMED:
        found[_NAMED[kind]].add(name)
    elif kind == "constant" and (at := asks_at(steps, i)):
        if at > after:
            found["sets"].add(name)  # as in `x[name] += 1`
        found["keys"].add(name)
        found["attributes"].add(name)
        add_use(found, aliases, steps, i, at + 1, at_key(name), catching)
    elif kind == "constant" and steps[after][0] == "put item":
        found["sets"].add(name)
    elif kind == "constant" and isinstance(name, str):
        found["attributes"].add(name)
        found["constants"].add(name)
    elif kind in ("global", "local", "attribute"):
        add_use(found, aliases, steps, i, after, name, catching)


_NAMED = {"import": "imports", "put outside": "stores", "put": "puts"}


def add_counted(found: Found, steps: list[Step], code: types.CodeType) -> None:
    """Add what is counted, and what is read otherwise."""
    own = {("local", name) for name in code.co_varnames[:1] if code.co_name in MAKING}
    names = {
        name
        for (kind, name), before in zip(steps, [("", ""), *steps], strict=False)
        if kind in LOOKING or (kind in SETTING and before not in own)
    }
    counted, keys = counted_of(steps), counted_keys(steps)
    known = found["constants"] | found["keys"]
    otherwise = (names - counted) | known | {at_key(key) for key in known | found["sets"]}
    found["otherwise"] = otherwise - keys
    found["counted"] = counted | keys


def add_use(
    found: Found, aliases: Aliases, steps: list[Step], i: int, after: int, name: Any, catching: bool
) -> None:
    """Add what a step looks up, or what is found there, and how the steps `after` use it."""
    kind = steps[i][0]
    if compares(steps[i : i + 5]) or (steps[after][0] == "call" and steps[i - 1][1] in SHOWING):
        found["compared"].add(name)
    if kind == "global":
        found["globals"].add(name)
        if name in ASKED:
            told = told_by(steps[after : after + 16])
            found["computed" if told is None else "tried"].add(name if told is None else told)
    elif kind == "attribute":
        found["attributes"].add(name)
    if name in ASKING and (steps[i - 1][1] if kind == "attribute" else None) in FILES:
        found["computed"].add(name)
    (use, used), (then, _) = steps[after : after + 2]
    if use == "attribute":
        found["pairs"].add(f"{name}.{used}")
        found["tried"].update([f"{name}.{used}"] if catching else ())
    if use not in ("attribute", "put", *STORES) and then != "put item":
        found["operated"].add(name)
    if use == "constant" and asks_at(steps, after):
        found["keyed"].add(name)
    elif use in STORES:
        aliases.append((name, used))
    elif not (use == "put" or then == "put item" or (use == "attribute" and used in GROWING)):
        found["whole"].add(name)


def add_unnamed(found: Found, asked: set[str | int]) -> None:
    """Add methods that are called where code names what calls them, or strings format."""
    asked = asked | found["globals"] | found["attributes"]
    if any("%" in x for x in found["constants"] if isinstance(x, str)):
        asked.add("format")
    if any(re.search(r"{[^}]*[.\[]", x) for x in found["constants"] if isinstance(x, str)):
        found["computed"].add("format")
    for methods, names in BY_NAMES.items():
        found["methods"].update(() if names.isdisjoint(asked) else methods)


def counted_of(steps: list[Step]) -> set[str | int]:
    """Names that are looked at and set in `x.n += 1` and `n += 1` alone."""
    looks = Counter(name for kind, name in steps if kind in LOOKING)
    sets = Counter(name for kind, name in steps if kind in SETTING)
    adds = Counter(
        name
        for i, (kind, name) in enumerate(steps)
        if kind in SETTING and steps[i - SETTING[kind]][0] == "adds"
    )
    return {name for name, n in adds.items() if looks[name] == n == sets[name]}


def asks_at(steps: list[Step], i: int) -> int:
    """Where a constant is asked for as a key, to be set as well where copies come before; or 0."""
    i += 1
    while steps[i][0] == "copy":
        i += 1
    return i if steps[i][0] == "item" else 0


def counted_keys(steps: list[Step]) -> set[str | int]:
    """What is at keys that code names in `x[key] += 1` alone."""
    kinds = [kind for kind, _ in steps]
    named = Counter(name for kind, name in steps if kind == "constant")
    adds: Counter[str | int] = Counter()
    for i, (kind, name) in enumerate(steps[:-3]):
        if kind == "constant" and asks_at(steps, i) > i + 1:
            put = kinds.index("put item", i)
            adds[name] += "adds" in kinds[put - 3 : put]
    return {at_key(name) for name, n in adds.items() if named[name] == n}


@functools.lru_cache(4096)
def catches(code: types.CodeType, at: int) -> bool:
    """Whether code may do anything where what it calls at an instruction raises."""
    suppresses = "suppress" in code.co_names
    entries = getattr(dis.Bytecode(code), "exception_entries", None)
    steps = [(step.opname, step.offset) for step in dis.get_instructions(code)]
    names = [name for name, _ in steps if name not in UNSEEN]
    if entries is None:  # Python 3.10, which tells of no places
        return "SETUP_FINALLY" in names or (suppresses and "SETUP_WITH" in names)
    steps = [step for step in steps if step[0] not in UNSEEN]
    begins = {offset: i for i, (_, offset) in enumerate(steps)}
    for entry in entries:
        i = begins.get(entry.target, len(steps))
        catching = names[i : i + 1] == ["PUSH_EXC_INFO"] and entry.start <= at < entry.end
        if catching and (suppresses or names[i + 1] != "WITH_EXCEPT_START"):
            return True
    return False


def compares(steps: list[Step]) -> bool:
    """Whether what the first of these gives is a key, shown, or compared and with no constant."""
    kinds = [kind for kind, _ in steps]
    n = kinds.index("compare") if "compare" in kinds else 0
    compared = n > 0 and kinds[n - 1] != "constant" and all(kind in OPERANDS for kind in kinds[:n])
    return compared or kinds[1] in ("item", "show")


def is_raised(steps: list[Step]) -> bool:
    """Whether what is shown here goes into what is raised."""
    ends = (kind for kind, _ in steps if kind in ("end", "raise", "put", "put item", *STORES))
    return next(ends, "") == "raise"


def told_by(steps: list[Step]) -> str | None:
    """The constant name that `getattr` is given by these instructions that follow it, if any."""
    kinds = [
        kind if type(name) is not str or kind != "constant" else "name" for kind, name in steps
    ]
    found = re.match(TOLD, "".join([LETTERS.get(kind, ".") for kind in kinds]))
    name = str(steps[found.start(1)][1]) if found else ""
    return f".{name}" if name.isidentifier() else None


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
            if "JUMP" in name and kind is None:
                found = "end"
            if step.argrepr in ("+=", "-="):
                found = "adds"
            if name == "STORE_DEREF" and value in code.co_freevars:
                found = "put outside"
            known = isinstance(value, (str, int)) or found in NAMELESS
            yield (found, value) if known else ("other", "")
            if (
                value in ASKED
                and name == "LOAD_GLOBAL"
                and "NULL" not in step.argrepr
                and CALLS_TOLD
            ):
                yield "other", ""  # which is given to others, and not called with what follows
