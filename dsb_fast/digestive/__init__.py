"""Models of the digestive system: ``gitract``, and those that other packages add (docs/models.md)."""

from .._models import in_category

__all__ = ["gitract", "models"]


def models() -> list[str]:
    """Names of the registered models of this category, as :func:`dsb_fast.load` takes them."""
    return in_category("digestive")
