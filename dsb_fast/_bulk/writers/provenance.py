"""What the files of a format with room for words say of the samples in them."""

from __future__ import annotations

import hashlib
import json
import unicodedata

from ..._synthetic import SOFTWARE, SYNTHETIC
from .base import FormatContext

_FROM_RECIPE = ("model", "title", "licence", "citation", "seed", "weights_sha256", "options")


def provenance(context: FormatContext) -> dict:
    """That the samples are synthetic, and what made them; {} where no model is named, as of converted files."""
    about = context.about
    if "model" not in about:
        return {}
    return {"synthetic": SYNTHETIC, **{key: about[key] for key in _FROM_RECIPE if key in about}}


# What a file says of the run in words, by entries of the recipe.
_SAID = {
    "title": "Title",
    "model": "Model",
    "weights_sha256": "Weights SHA-256",
    "licence": "Licence of the weights",
    "citation": "Citation",
    "seed": "Seed",
}


def sentences(about: dict) -> list[str]:
    """The same in words for people, of ``about`` (a recipe); nothing if no model is named in it."""
    if not about.get("model"):
        return []
    said = (f"{label}: {about[key]}" for key, label in _SAID.items() if about.get(key) is not None)
    return [SYNTHETIC, *said, f"Software: {SOFTWARE}"]


def plain_ascii(text) -> str:
    """``text`` as old formats can hold it: printable ASCII; accents go, other signs become question marks."""
    plain = unicodedata.normalize("NFKD", " ".join(str(text)[:4000].split()))
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return "".join(c if c.isprintable() else "?" for c in plain.encode("ascii", "replace").decode())


def words_digest(words: dict) -> str:
    """For ``Format.encoder``: bytes depend on the recipe's words, which are not compared when a run is resumed."""
    return hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()[:16]
