"""From an expression to a native program: registers assigned, and conversions between their types.

Values are computed in a register type (float32, float64 or int64) and stored as a dtype.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

from autodiff import dtypes
from autodiff.dtypes import dtype
from autodiff.expr import PRIMITIVES, Expr, expanded, topological
from autodiff.named import NamedTuple
from autodiff.native import error, lib, numbered
from autodiff.promotion import DIMENSIONED, NO_BOOL, NUMBER, Operand, computed_in, infer

F32, F64, I64 = range(3)

_TYPE = dict.fromkeys(dtypes.ALL, I64) | dict.fromkeys(dtypes.FLOATS, F32) | {dtypes.float64: F64}
_NATIVE = (dtypes.float32, dtypes.float64, dtypes.int64)  # stored as their registers hold them
_WRAP: dict[dtype, str | int] = {  # an instruction, or by how many bits to shift up and down again
    dtypes.bool: "to_truth",
    dtypes.uint8: "wrap_uint8",
    dtypes.int8: 56,
    dtypes.int16: 48,
    dtypes.int32: "wrap_int32",
    dtypes.float16: "round_f16",
    dtypes.bfloat16: "round_bf16",
}
_CAST = ("to_f32", "to_f64", "to_i64")
_PACK = ("<f", "<d", "<q")
# Instructions that only floats have, as what they are of integers: the operand, or a constant.
_OF_INTEGERS: dict[str, int | None] = {
    **dict.fromkeys(("floor", "ceil", "trunc", "round")),
    "isnan": 0,
    "isinf": 0,
    "isfinite": 1,
}
INSTRUCTIONS = numbered(lib.ad_instr_name)
NAMES = {op: name for name, op in INSTRUCTIONS.items()}

# A register in the making: ("in", i, type), ("const", type, bits) or ("code", row).
Token = tuple[Any, ...]


class Value(NamedTuple):
    """An expression's value: what promotion sees, and the registers that hold it, by type."""

    operand: Operand
    type: int
    token: Token
    number: Any = None  # of a constant: converted exactly to whatever type asks
    narrow: bool = False  # an integer result that its dtype has yet to wrap


class Lowering:
    """One expression lowered for one combination of operands."""

    def __init__(self, operands: Sequence[Operand]) -> None:
        self.operands = operands
        self.code: list[tuple[int, int, tuple[Token, ...]]] = []
        self.rows: dict[tuple[Any, ...], Token] = {}
        self.values: dict[int, Value] = {}

    def emit(self, name: str, type_: int, *args: Token) -> Token:
        """A row of code; the same row twice is computed once."""
        if type_ != I64:
            name, args = self.in_one(name, type_, args)
        row = (INSTRUCTIONS[name], type_, args)
        if name in _COMMUTE and (swapped := (row[0], type_, args[::-1])) in self.rows:
            return self.rows[swapped]
        if row not in self.rows:
            self.rows[row] = ("code", len(self.code))
            self.code.append(row)
        return self.rows[row]

    def in_one(
        self, name: str, type_: int, args: tuple[Token, ...]
    ) -> tuple[str, tuple[Token, ...]]:
        """An instruction on floats and those it reads as one with their bits, if there is one."""
        op, of = self.row(args[0])
        if name == "minimum" and op == "maximum":
            return "limited", (*of, args[1])
        if name == "sub" and self.row(args[1]) == ("trunc", args[:1]):
            return "frac", args[:1]
        if name != "where" or op not in ("lt", "le"):
            return name, args
        zero, (_, yes, no) = self.constant(0, type_), args
        size, sized = self.row(of[0])
        if no == zero and (op, size) == ("lt", "abs"):
            return "keep_within", (*sized, of[1], yes)
        if yes == zero and (op, size) == ("le", "abs"):
            return "drop_within", (*sized, of[1], no)
        if no == zero:
            return f"keep_{op}", (*of, yes)
        if yes == zero:
            return f"drop_{op}", (*of, no)
        if op == "le" and no == of[0]:
            return "replace_le", (*of, yes)
        times, factors = self.row(no)
        if op == "lt" and of[0] == zero and times == "mul" and factors[0] == yes:
            return "sloped", (yes, of[1], factors[1])
        return name, args

    def row(self, token: Token) -> tuple[str, tuple[Token, ...]]:
        """The instruction that makes a value and what that reads, if one does."""
        if token[0] != "code":
            return "", ()
        op, _, args = self.code[token[1]]
        return NAMES[op], args

    def constant(self, number: Any, type_: int) -> Token:
        """A number in a register type."""
        value: int | float
        if type_ == I64:
            value = int(number)
            if not -(2**63) <= value < 2**63:
                raise RuntimeError("value cannot be converted to type int64_t without overflow")
        else:
            value = float(number)
        try:
            raw = struct.pack(_PACK[type_], value)
        except OverflowError:
            raw = struct.pack(_PACK[type_], float("inf") if value > 0 else float("-inf"))
        return ("const", type_, int.from_bytes(raw.ljust(8, b"\0"), "little"))

    def as_type(self, value: Value, type_: int) -> Token:
        """The register that holds a value in a type."""
        if value.number is not None:
            return self.constant(value.number, type_)
        token = value.token
        if value.narrow:
            token = self.wrapped(value.operand.dtype, value.type, token)
        if value.type == type_:
            return token
        if token[0] == "in":
            return ("in", token[1], type_)
        return self.emit(_CAST[type_], value.type, token)

    def operand(self, op: str, value: Value, type_: int, computed: dtype) -> Token:
        """The register of an operand in the type that an operation computes in.

        Before that is one of 16 bits, PyTorch converts operands to it, but for numbers and 0-d
        tensors of a few operations; and before it is a narrow integer, which tells where what is
        lost above its bits would not be lost later.
        """
        if type_ == I64 and computed in _WRAP:
            loses = dtypes.promote_types(value.operand.dtype, computed) is not computed
            if not loses or op in _MODULAR or computed is dtypes.bool:
                return self.as_type(value, type_)
            if value.number is not None:
                bits = 8 * computed.itemsize
                wrapped = value.number % 2**bits
                above = computed.is_signed and wrapped >> (bits - 1)
                return self.constant(wrapped - (2**bits if above else 0), type_)
            return self.wrapped(computed, type_, self.as_type(value, type_))
        token = self.as_type(value, type_)
        known = token[0] == "const" or value.operand.dtype in (computed, dtypes.bool)
        if known or computed not in dtypes.HALVES:
            return token
        exact = value.operand.kind != DIMENSIONED and op in ("mul", "div", "floordiv")
        return token if exact else self.wrapped(computed, type_, token)

    def wrapped(self, d: dtype, type_: int, token: Token) -> Token:
        """A value as a narrower element type would hold it."""
        how = _WRAP[d]
        if isinstance(how, str):
            return self.emit(how, type_, token)
        bits = self.constant(how, type_)
        return self.emit("shr", type_, self.emit("shl", type_, token, bits), bits)

    def visit(self, node: Expr) -> Value:
        """The value of one node, its operands having been visited."""
        if node.op == "input":
            operand = self.operands[node.value]
            type_ = _TYPE[operand.dtype]
            return Value(operand, type_, ("in", node.value, type_))
        if node.op == "missing":
            raise NotImplementedError(f"the derivative for {node.value!r} is not implemented.")
        if node.op == "const":
            d = dtypes.of_value(node.value)
            return Value(Operand(d, NUMBER), _TYPE[d], (), number=node.value)
        args = [self.values[id(arg)] for arg in node.args]
        if node.op == "operand":
            return self.converted(args[0], Expr(node.value, node.args[1:]), args[1:])
        if node.op == "by_width":
            return args[args[0].type != F32]
        operand = infer(node, [arg.operand for arg in args])
        if node.op == "cast":
            return self.cast(args[0], operand)
        computed = computed_in(node, [arg.operand for arg in args])
        if operand.kind == NUMBER and computed.is_floating_point:
            computed = dtypes.float64  # as Python computes
        type_ = _TYPE[computed]
        if node.op in _SAME_EVERYWHERE:
            return Value(operand, type_, self.constant(_SAME_EVERYWHERE[node.op], type_))
        name = node.op
        if computed is dtypes.bool and name in _LOGIC:
            return self.logic(_LOGIC[name], args, operand)
        if type_ == I64 and name in _OF_INTEGERS:
            known = _OF_INTEGERS[name]
            return args[0] if known is None else Value(operand, type_, self.constant(known, type_))
        if name == "div" and _is_exact_divisor(args[1].number):
            name, args = "mul", [args[0], args[1]._replace(number=1 / args[1].number)]
        tokens = [self.operand(node.op, arg, type_, computed) for arg in args]
        if type_ != I64 and name in _OPPOSITE:
            name, tokens = self.without_neg(name, tokens)
        token = self.known(name, type_, tokens) or self.emit(name, type_, *tokens)
        narrow = computed in _WRAP and type_ == I64 and operand.dtype is computed
        return Value(operand, type_, token, narrow=narrow and name not in _CHOICES)

    def converted(self, value: Value, of: Expr, operands: Sequence[Value]) -> Value:
        """An operand of an expression, which is written out, in the dtype that it computes in."""
        every, rule = [x.operand for x in operands], PRIMITIVES[of.op].result
        alike = rule != "float" and len({x.dtype for x in every}) == 1
        if alike or rule == "bool":
            return value
        computed = computed_in(of, every)
        known = value.operand.kind == NUMBER and (computed not in _WRAP or _TYPE[computed] != I64)
        if known or value.operand.dtype is computed:
            return value
        type_ = _TYPE[computed]
        token = self.operand(of.op, value, type_, computed)
        narrow = type_ == I64 and computed in _WRAP
        return Value(value.operand._replace(dtype=computed), type_, token, narrow=narrow)

    def logic(self, name: str, args: list[Value], operand: Operand) -> Value:
        """A truth value of truth values: as floats, which are compared to and loaded faster."""
        type_ = next((arg.type for arg in args if arg.type != I64), F32)
        token = self.emit(name, type_, *[self.as_type(arg, type_) for arg in args])
        return Value(operand, type_, token)

    def known(self, name: str, type_: int, tokens: list[Token]) -> Token | None:
        """The register that holds a product with 1 or a negated number already, if there is one."""
        if type_ != I64 and name == "mul" and (one := self.constant(1, type_)) in tokens:
            return tokens[tokens[0] == one]
        if type_ != I64 and name == "neg" and tokens[0][0] == "const":
            raw = tokens[0][2].to_bytes(8, "little")
            return self.constant(-struct.unpack_from(_PACK[type_], raw)[0], type_)
        return None

    def without_neg(self, name: str, tokens: list[Token]) -> tuple[str, list[Token]]:
        """A float sum or difference with the same bits that does not read a negation."""
        a, b = tokens
        if (negated := self.negated(b)) is not None:
            return _OPPOSITE[name], [a, negated]
        if name == "add" and (negated := self.negated(a)) is not None:
            return "sub", [b, negated]
        return name, tokens

    def negated(self, token: Token) -> Token | None:
        """What the value is the negation of, if its row is one."""
        op, args = self.row(token)
        return args[0] if op == "neg" else None

    def cast(self, value: Value, operand: Operand) -> Value:
        """A value converted to a dtype."""
        source, target = value.operand.dtype, operand.dtype
        if target is dtypes.bool and source is not dtypes.bool:
            token = self.emit("to_truth", value.type, self.as_type(value, value.type))
            return Value(operand, value.type, token)
        if target is dtypes.int32 and value.number is None and value.type != I64:
            # not through int64: what does not fit an int32 is the smallest, and does not wrap
            return Value(operand, value.type, self.as_type(value, value.type), narrow=True)
        type_ = value.type if source is dtypes.bool and target is dtypes.bool else _TYPE[target]
        token = self.as_type(value, type_)
        wider = dtypes.promote_types(source, target) is not target
        narrow = target in _WRAP and (
            wider or (target in dtypes.HALVES and not source.is_floating_point)
        )
        return Value(operand, type_, token, narrow=narrow and source is not dtypes.bool)

    def like(self, value: Value, d: dtype) -> Value:
        """A value in a dtype, which it mostly is of."""
        operand = value.operand
        return value if operand.dtype is d else self.cast(value, operand._replace(dtype=d))

    def lower(self, roots: Sequence[Expr]) -> list[Value]:
        """Lower expressions; the code and values are left here."""
        for node in topological(roots):
            self.values[id(node)] = self.visit(node)
        return [self.values[id(root)] for root in roots]


_SAME_EVERYWHERE = {"zeros_like": 0, "ones_like": 1}
_GATES = ("and", "or", "xor", "not")
_LOGIC = {f"{kind}_{name}": f"logical_{name}" for kind in ("bitwise", "logical") for name in _GATES}
_COMMUTE = ("add", "mul")
_CHOICES = ("minimum", "maximum", "where")  # whose result is one of the operands
_MODULAR = ("add", "sub", "mul", "neg", "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not")
_OPPOSITE = {"add": "sub", "sub": "add"}


def _is_exact_divisor(number: Any) -> bool:
    """Whether a division by this is a multiplication by its inverse, to the bit."""
    if number is None or not 2.0**-64 <= abs(number) <= 2.0**64:
        return False
    return abs(math.frexp(number)[0]) == 0.5


def _live(code: Sequence[tuple[int, int, tuple[Token, ...]]], outs: Sequence[Token]) -> list[int]:
    """The rows of code that the outputs need, in order."""
    needed: set[int] = set()
    stack = [token for token in outs if token[0] == "code"]
    while stack:
        row = stack.pop()[1]
        if row not in needed:
            needed.add(row)
            stack.extend(token for token in code[row][2] if token[0] == "code")
    return sorted(needed)


def compile_program(
    roots: Sequence[Expr], operands: Sequence[Operand], as_first: bool = False
) -> Any:
    """A native program that computes the expressions for operands of these dtypes and kinds, with
    results of the first operand's dtype if that is wanted.
    """
    for root in roots:
        if root.op in ("sub", "sub_scaled") and any(_is_bool(arg, operands) for arg in root.args):
            raise RuntimeError(NO_BOOL["sub"])
    lowering = Lowering(operands)
    values = lowering.lower(expanded(roots))
    if as_first:
        values = [lowering.like(value, operands[0].dtype) for value in values]
    outs = [
        lowering.as_type(value, value.type) if not value.token else value.token for value in values
    ]
    outs = [_stored(lowering, value, out) for value, out in zip(values, outs, strict=True)]
    rows = _live(lowering.code, outs)
    used = [token for row in rows for token in lowering.code[row][2]] + outs
    in_types = [_TYPE[operand.dtype] for operand in operands]
    for i in range(len(operands)):
        wanted = {token[2] for token in used if token[0] == "in" and token[1] == i}
        if len(wanted) == 1:
            in_types[i] = wanted.pop()
    return _assemble(lowering, rows, used, in_types, outs, [v.operand.dtype for v in values])


def _stored(lowering: Lowering, value: Value, token: Token) -> Token:
    """The register an output is stored from: a conversion that storing does anyway is left out."""
    if value.operand.dtype is dtypes.bool and token[0] == "code":
        op, type_, args = lowering.code[token[1]]
        if op == INSTRUCTIONS["to_truth"]:  # of floats, a comparison goes to bytes directly
            zero = lowering.constant(0, type_)
            token = lowering.emit("ne", type_, args[0], zero) if type_ == F32 else args[0]
    if token[0] == "in" and lowering.operands[token[1]].dtype in _NATIVE:
        return ("in", token[1], _TYPE[lowering.operands[token[1]].dtype])
    return token


def _is_bool(arg: Expr, operands: Sequence[Operand]) -> bool:
    return arg.op == "input" and operands[arg.value].dtype is dtypes.bool


def _assemble(
    lowering: Lowering,
    rows: Sequence[int],
    used: Sequence[Token],
    in_types: Sequence[int],
    outs: Sequence[Token],
    out_dtypes: Sequence[dtype],
) -> Any:
    """Number the registers and hand the program to the native library."""
    consts = list(dict.fromkeys(token for token in used if token[0] == "const"))
    register: dict[Token, int] = {("in", i, t): i for i, t in enumerate(in_types)}
    for token in consts:
        register[token] = len(register)
    code: list[int] = []

    def place(token: Token, op: int, type_: int, args: Sequence[int]) -> None:
        padded = [*args, *[args[0]] * (3 - len(args))]
        register[token] = len(register)
        code.extend([op, type_, register[token], *padded])

    for token in dict.fromkeys(used):
        if token[0] == "in" and token not in register:
            i, type_ = token[1], token[2]
            place(token, INSTRUCTIONS[_CAST[type_]], in_types[i], [i])
    for row in rows:
        op, type_, args = lowering.code[row]
        place(("code", row), op, type_, [register[arg] for arg in args])
    program = lib.ad_program_new(
        len(in_types),
        bytes(in_types),
        len(consts),
        bytes(token[1] for token in consts),
        [token[2] for token in consts],
        len(code) // 6,
        code,
        len(outs),
        [register[token] for token in outs],
        bytes(d.code for d in out_dtypes),
    )
    if not program:
        raise error("pointwise")
    return program
