"""Models of the muscular system: none of our own yet, only those that other packages add (docs/models.md)."""

from .._models import in_category

__all__ = ["models"]


def models() -> list[str]:
    """Names of the registered models of this category, as :func:`dsb_fast.load` takes them."""
    return in_category("muscular")
