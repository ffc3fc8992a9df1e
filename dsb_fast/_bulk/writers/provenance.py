"""What the files of a format with room for words say of the samples in them."""

from __future__ import annotations

import hashlib
import json

from ..._synthetic import SYNTHETIC
from .base import FormatContext

_FROM_RECIPE = ("model", "title", "licence", "citation", "seed", "weights_sha256", "options")


def provenance(context: FormatContext) -> dict:
    """That the samples are synthetic, and what made them; {} where no model is named, as of converted files."""
    about = context.about
    if "model" not in about:
        return {}
    return {"synthetic": SYNTHETIC, **{key: about[key] for key in _FROM_RECIPE if key in about}}


def words_digest(words: dict) -> str:
    """For ``Format.encoder``: bytes depend on the recipe's words, which are not compared when a run is resumed."""
    return hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()[:16]
