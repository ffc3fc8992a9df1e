"""Conditions such as ``50 <= heart_rate_bpm <= 100 and noise_uv < 20``: parsed here, never handed to Python.

A Pratt parser (Pratt, POPL 1973): every sign has a power with which it binds. Truth is that of SQL: what compares a
measurement that could not be made is neither true nor false, and only what is true is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .._errors import InputError
from .tokens import Token, tokenize

MAX_NODES, MAX_DEPTH = 200, 50
_OR, _AND, _NOT, _COMPARE, _SUM, _PRODUCT, _SIGN = range(1, 8)  # how strongly signs bind
_POWERS = {
    "or": _OR, "and": _AND, "+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT,
    **dict.fromkeys(("<", "<=", ">", ">=", "==", "!="), _COMPARE),
}  # fmt: skip
_COMPARISONS = {
    "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal, "==": np.equal, "!=": np.not_equal,
}  # fmt: skip
_ARITHMETIC = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "min": np.minimum, "max": np.maximum}
_FUNCTIONS = {"abs": (1, 1), "min": (2, 20), "max": (2, 20), "known": (1, 1)}  # how many arguments


@dataclass(frozen=True)
class Node:
    """A part of a condition: a number, a name, or a sign or function with what it is of; a chain has several signs."""

    kind: str
    value: float | str | tuple[str, ...]
    children: tuple[Node, ...] = ()

    @property
    def is_truth(self) -> bool:
        """Whether it is true or false; else it is a number."""
        return self.kind in ("compare", "logic") or (self.value == "known" and self.kind == "call")

    def __str__(self) -> str:
        return _text(self)[0]


@dataclass(frozen=True)
class Condition:
    """A parsed condition. ``str`` gives its text as the recipe has it: the same for any spaces and needless brackets.

    >>> str(Condition.parse("(heart_rate_bpm>=50.0)and(noise_uv<2e1)"))
    'heart_rate_bpm >= 50 and noise_uv < 20'
    """

    tree: Node

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Raises InputError, one line with the place, for anything that is no condition or too large a one."""
        return cls(_Parser(tokenize(text)).whole())

    def __str__(self) -> str:
        return str(self.tree)

    @cached_property
    def names(self) -> list[str]:
        """The measurements that it asks for, in alphabetical order."""
        return sorted(set(_names(self.tree)))

    def keeps(self, values: dict[str, np.ndarray]) -> np.ndarray:
        """Of ``values``, float64 [n] by name, NaN where not measurable, which of the n are kept: bool [n]."""
        with np.errstate(all="ignore"):
            return _truth(self.tree, values)[0]


class _Parser:
    def __init__(self, tokens: list[Token]):
        self._tokens, self._at, self._depth, self._nodes = tokens, 0, 0, 0

    def whole(self) -> Node:
        tree = self._expression(0)
        if self._next.kind != "end":
            raise _wrong(self._next, "an operator, or the end")
        if not tree.is_truth:
            raise InputError(f"keep: '{_short(str(tree))}' is a number; compare it, as in 'heart_rate_bpm >= 50'")
        if next(_names(tree), None) is None:
            raise InputError(f"keep: '{_short(str(tree))}' asks for no measurement; name one")
        return tree

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._next
        self._at += token.kind != "end"
        return token

    def _node(self, kind: str, value, *children: Node) -> Node:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise InputError(f"keep: a condition has at most {MAX_NODES} numbers, names and operators")
        return Node(kind, value, children)

    def _expression(self, power: int) -> Node:
        """What follows, up to a sign that binds no stronger than ``power``."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise InputError(f"keep: character {self._next.place}: brackets and signs nest more than {MAX_DEPTH} deep")
        left = self._prefix(power)
        while self._next.kind == "sign" and _POWERS.get(self._next.text, 0) > power:
            left = self._infix(left)
        self._depth -= 1
        return left

    def _prefix(self, power: int) -> Node:
        token = self._take()
        if token.kind == "number":
            return self._node("number", _number(token))
        if token.kind == "name":
            return self._call(token) if self._next.text == "(" else self._node("name", token.text)
        if token.text == "(":
            inner = self._expression(0)
            self._expect(")")
            return inner
        if token.text == "-":
            return self._node("sign", "-", _as_number(self._expression(_SIGN), token))
        if token.text == "not" and power < _NOT:
            return self._node("logic", "not", _as_truth(self._expression(_NOT - 1), token))
        raise _wrong(token, "a number, a name or a bracket")

    def _call(self, name: Token) -> Node:
        if name.text not in _FUNCTIONS:
            raise InputError(f"keep: '{_short(name.text)}' is no function; there are {', '.join(_FUNCTIONS)}")
        self._expect("(")
        arguments = [_as_number(self._expression(0), name)]
        while self._next.text == ",":
            self._take()
            arguments.append(_as_number(self._expression(0), name))
        self._expect(")")
        least, most = _FUNCTIONS[name.text]
        if not least <= len(arguments) <= most:
            wanted = str(least) if least == most else f"{least} to {most}"
            raise InputError(f"keep: {name.text}() at character {name.place} has {len(arguments)} values, not {wanted}")
        return self._node("call", name.text, *arguments)

    def _infix(self, left: Node) -> Node:
        token = self._take()
        power = _POWERS[token.text]
        if power == _COMPARE:
            return self._chain(left, token)
        check = _as_truth if power in (_OR, _AND) else _as_number
        right = self._expression(power)
        kind = "logic" if power in (_OR, _AND) else "arithmetic"
        return self._node(kind, token.text, check(left, token), check(right, token))

    def _chain(self, left: Node, token: Token) -> Node:
        """``a < b <= c`` is one node: b is between a and c."""
        signs, of = [token.text], [_as_number(left, token), _as_number(self._expression(_COMPARE), token)]
        while self._next.text in _COMPARISONS:
            token = self._take()
            signs.append(token.text)
            of.append(_as_number(self._expression(_COMPARE), token))
        return self._node("compare", tuple(signs), *of)

    def _expect(self, sign: str) -> None:
        if self._next.text != sign:
            raise _wrong(self._next, f"'{sign}'")
        self._take()


def _number(token: Token) -> float:
    value = float(token.text)
    if value == float("inf"):
        raise InputError(f"keep: {_short(token.text)} at character {token.place} is too large a number")
    return value


def _wrong(token: Token, wanted: str) -> InputError:
    if token.kind == "end":
        return InputError(f"keep: ends where {wanted} should be (character {token.place})")
    return InputError(f"keep: '{_short(token.text)}' at character {token.place}, where {wanted} should be")


def _as_number(node: Node, at: Token) -> Node:
    if node.is_truth:
        raise InputError(f"keep: '{at.text}' at character {at.place} is for numbers, '{_short(str(node))}' is none")
    return node


def _as_truth(node: Node, at: Token) -> Node:
    if not node.is_truth:
        raise InputError(
            f"keep: '{at.text}' at character {at.place} is for conditions, '{_short(str(node))}' is a number"
        )
    return node


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


def _names(node: Node):
    if node.kind == "name":
        yield node.value
    for child in node.children:
        yield from _names(child)


def _text(node: Node) -> tuple[str, int]:
    """A node's text, and how strongly its outermost sign binds."""
    if not node.children:
        return repr(node.value).removesuffix(".0") if node.kind == "number" else node.value, _SIGN + 1
    if node.kind == "call":
        return f"{node.value}({', '.join(map(str, node.children))})", _SIGN + 1
    if node.kind == "sign":
        return f"-{_bracketed(node.children[0], _SIGN)}", _SIGN
    if node.kind == "compare":
        first, *others = (_bracketed(child, _COMPARE + 1) for child in node.children)
        return first + "".join(f" {s} {t}" for s, t in zip(node.value, others, strict=True)), _COMPARE
    if node.value == "not":
        return f"not {_bracketed(node.children[0], _NOT)}", _NOT
    power = _POWERS[node.value]
    left, right = _bracketed(node.children[0], power), _bracketed(node.children[1], power + 1)
    return f"{left} {node.value} {right}", power


def _bracketed(node: Node, power: int) -> str:
    """A node's text, in brackets if its signs bind less than ``power``."""
    text, own = _text(node)
    return text if own >= power else f"({text})"


def _value(node: Node, values: dict[str, np.ndarray]) -> np.ndarray:
    """Of a node that is a number: float64 [n] or one; NaN where it is not known, which what is not finite is not."""
    if node.kind == "number":
        return np.float64(node.value)
    if node.kind == "name":
        found = np.asarray(values[node.value], np.float64)
        return np.where(np.isfinite(found), found, np.nan)
    first, *others = (_value(child, values) for child in node.children)
    if node.kind == "sign":
        return -first
    if node.value == "abs":
        return np.abs(first)
    for other in others:
        first = _ARITHMETIC[node.value](first, other)
        first = np.where(np.isfinite(first), first, np.nan)
    return first


def _truth(node: Node, values: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Of a node that is true or false: where it is true, and where it is false; neither where it is not known."""
    if node.kind == "call":
        known = ~np.isnan(_value(node.children[0], values))
        return known, ~known
    if node.kind == "compare":
        return _compared(node, [_value(child, values) for child in node.children])
    true, false = _truth(node.children[0], values)
    if node.value == "not":
        return false, true
    other_true, other_false = _truth(node.children[1], values)
    if node.value == "and":
        return true & other_true, false | other_false
    return true | other_true, false & other_false


def _compared(node: Node, of: list) -> tuple[np.ndarray, np.ndarray]:
    """A chain is true if all its comparisons are, and false if one is."""
    true, false = np.bool_(True), np.bool_(False)
    for sign, left, right in zip(node.value, of, of[1:], strict=False):
        known, holds = ~(np.isnan(left) | np.isnan(right)), _COMPARISONS[sign](left, right)
        true, false = true & known & holds, false | known & ~holds
    return true, false
