"""Models of the cardiovascular system: ``ecg``, and those that other packages add (docs/models.md).

``deepfakeecg`` is ``ecg`` under the argument names of package deepfake-ecg.
"""

from .._models import in_category

__all__ = ["deepfakeecg", "ecg", "models"]


def models() -> list[str]:
    """Names of the registered models of this category, as :func:`dsb_fast.load` takes them."""
    return in_category("cardiovascular")
