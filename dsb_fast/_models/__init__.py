"""The registered models, by category. Importing this costs nothing; the cards are read when they are asked for."""

from __future__ import annotations

from .card import CATEGORIES, Card
from .registry import REGISTERED

__all__ = ["CATEGORIES", "REGISTERED", "Card", "by_category", "in_category"]


def in_category(category: str) -> list[str]:
    """Names of the registered models of a category of the body, those that other packages add among them."""
    return [name for name in REGISTERED if name.startswith(category + ".")]


def by_category() -> dict[str, list[str]]:
    """Every category with the names of its models, also the empty ones."""
    return {category: in_category(category) for category in CATEGORIES}
