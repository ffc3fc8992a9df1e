"""The registered models: the cards beside this module, and those that installed packages add (docs/models.md)."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from functools import cache
from types import ModuleType

from .._errors import InputError, ModelError
from .card import Card, check_name, parse

GROUP = "dsb_fast.models"  # of entry points
_FOLDER = os.path.join(os.path.dirname(__file__), "cards")
_SUFFIX = ".toml"
_log = logging.getLogger("dsb_fast")


@cache
def _own_names() -> tuple[str, ...]:
    return tuple(sorted(name[: -len(_SUFFIX)] for name in os.listdir(_FOLDER) if name.endswith(_SUFFIX)))


@cache
def _own(name: str) -> Card:
    path = os.path.join(_FOLDER, name + _SUFFIX)
    with open(path, "rb") as file:
        card = parse(file.read(), path)
    if card.name != name:
        raise InputError(f"{path}: name: {card.name!r}; it must be the file's name")
    return card


def _cards_in(found, called: bool = False) -> Iterator[Card | InputError]:
    """The cards of what an entry point gave, and an error for each that is none."""
    from importlib.resources import files
    from pathlib import Path

    if isinstance(found, Card):
        yield found
        return
    if callable(found) and not called:
        yield from _cards_in(found(), called=True)
        return
    if isinstance(found, ModuleType):
        found = files(found)
    place = Path(found) if isinstance(found, (str, os.PathLike)) else found
    if not all(hasattr(place, method) for method in ("is_dir", "iterdir", "read_bytes")):
        raise InputError(f"{type(found).__name__}; it must be a card, a card's file, a folder of them, or a function")
    if not place.is_dir():
        yield _card_of(place)
        return
    inside = sorted((entry for entry in place.iterdir() if entry.name.endswith(_SUFFIX)), key=lambda entry: entry.name)
    if not inside:
        raise InputError(f"{place}: no file in it ends with {_SUFFIX}")
    yield from map(_card_of, inside)


def _card_of(place) -> Card | InputError:
    try:
        return parse(place.read_bytes(), str(place))
    except OSError as error:
        return InputError(f"{place}: {error.strerror}")
    except InputError as error:
        return error


@cache
def _added() -> dict[str, Card]:
    """The cards of other packages. One that can't be had is reported as a warning and left out."""
    from importlib.metadata import entry_points

    added: dict[str, Card] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        try:
            found = list(_cards_in(point.load()))
        except (Exception, SystemExit) as error:  # whatever a foreign package does, the others are to work
            found = [InputError(str(error) or type(error).__name__)]
        for card in found:
            problem = str(card) if isinstance(card, InputError) else check_name(card.name)
            if not problem and (card.name in added or card.name in _own_names()):
                problem = f"the name {card.name} is taken"
            if problem:
                text = " ".join(problem.split())[:300]
                _log.warning("entry point %s = %s: %s; this model is left out", point.name, point.value, text)
            else:
                added[card.name] = card
    return added


class _Registered(Mapping):
    """The cards by name. The own ones come first, and asking for one of them looks at no other package."""

    def __getitem__(self, name: str) -> Card:
        if name in _own_names():
            return _own(name)
        if not isinstance(name, str) or check_name(name):  # such as a path: no reason to look at other packages
            raise KeyError(name)
        return _added()[name]

    def __iter__(self) -> Iterator[str]:
        yield from _own_names()
        yield from sorted(_added())

    def __len__(self) -> int:
        return len(_own_names()) + len(_added())


REGISTERED = _Registered()


def cards() -> dict[str, Card]:
    """Every registered model's card, by name."""
    return dict(REGISTERED)


def find(name: str) -> Card:
    """The card of a registered model. Raises ModelError."""
    if name not in REGISTERED:
        raise ModelError(f"model: '{name}' is not registered; there are {', '.join(REGISTERED)}")
    return REGISTERED[name]
