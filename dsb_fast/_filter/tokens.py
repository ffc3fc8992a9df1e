"""The words of a condition: numbers, names and signs, each with its place."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .._errors import InputError

MAX_CHARACTERS = 1000
KEYWORDS = frozenset({"and", "or", "not"})
_WORD = re.compile(
    r"(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<sign><=|>=|==|!=|[-+*/<>(),])"
)
_INSTEAD = {"&": "and", "|": "or", "!": "not or !=", "=": "==", "^": "a product", "%": "a product"}


@dataclass(frozen=True)
class Token:
    """A word; ``kind`` is number, name, sign (keywords too) or end; ``place`` counts characters from 1."""

    kind: str
    text: str
    place: int


def tokenize(text: str) -> list[Token]:
    """The words of ``text``, and an end. Raises InputError for a character that begins none, or too long a text."""
    if len(text) > MAX_CHARACTERS:
        raise InputError(f"keep: {len(text)} characters; a condition has at most {MAX_CHARACTERS}")
    tokens, at = [], 0
    while True:
        while at < len(text) and text[at] in " \t\r\n":
            at += 1
        if at == len(text):
            return [*tokens, Token("end", "", at + 1)]
        found = _WORD.match(text, at)
        if found is None:
            instead = f"; write {_INSTEAD[text[at]]}" if text[at] in _INSTEAD else ""
            raise InputError(f"keep: character {at + 1}, {text[at]!r}, begins no number, name or sign{instead}")
        kind = "sign" if found[0] in KEYWORDS else found.lastgroup
        tokens.append(Token(kind, found[0], at + 1))
        at = found.end()
