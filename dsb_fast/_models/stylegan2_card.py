"""The card of a StyleGAN2 image model: its sizes, and what its makers say of it."""

from __future__ import annotations

from dataclasses import dataclass, fields

from .._errors import InputError, shown

FOREIGN = "stylegan2-pytorch"  # what a network is called that is no registered model
NETWORKS = ("ema", "plain")


@dataclass(frozen=True)
class StyleGan2Card:
    """A stylegan2-pytorch network: its sizes, what its makers said of it, and what had to be assumed.

    ``image_size`` pixels each way, ``channels`` 3 or 4 (with transparency), ``latent_dim`` numbers in a latent and in a
    style, ``blocks`` each with its style; ``truncation`` is used where nobody asks for another.
    """

    image_size: int
    channels: int
    latent_dim: int
    blocks: int
    style_depth: int
    lr_mlp: float
    attn_layers: tuple[int, ...] = ()
    no_const: bool = False
    version: str = "unknown"
    network: str = "ema"
    truncation: float = 1.0
    title: str = "stylegan2-pytorch image generator, foreign checkpoint"
    licence: str = "unknown"
    citation: str = "unknown"
    source: str = "unknown"
    assumed: tuple[str, ...] = ()


SAID = ("truncation", "title", "licence", "citation", "source")  # entries that the file itself says nothing of


def check_card(values: dict) -> StyleGan2Card:
    """The card with entries ``values``, each of its type and in range. Raises InputError that names the entry."""

    def wrong(what: str):
        return InputError(f"model card: {what}")

    known = {field.name for field in fields(StyleGan2Card)}
    if unknown := sorted(set(map(str, values)) - known):
        raise wrong(f"no entry is called {', '.join(unknown)[:80]}; there are {', '.join(SAID)}")
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    try:
        card = StyleGan2Card(**values)
    except TypeError:
        missing = sorted({"image_size", "channels", "latent_dim", "blocks", "style_depth", "lr_mlp"} - set(values))
        raise wrong(f"{', '.join(missing)} missing") from None
    for name in ("image_size", "channels", "latent_dim", "blocks", "style_depth"):
        if type(getattr(card, name)) is not int or not 0 < getattr(card, name) <= 1 << 16:
            raise wrong(f"{name} is {shown(getattr(card, name))}; it must be a whole number above 0")
    if card.blocks > 14 or card.image_size != 2 << card.blocks or card.channels not in (3, 4):
        raise wrong(f"{card.blocks} blocks make no image of {card.image_size} pixels and {card.channels} channels")
    for name in ("lr_mlp", "truncation"):
        value = getattr(card, name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e30:
            raise wrong(f"{name} is {shown(value)}; it must be a number")
    if card.network not in NETWORKS or not isinstance(card.no_const, bool):
        raise wrong(f"network must be {' or '.join(NETWORKS)}, no_const true or false")
    for name in ("title", "licence", "citation", "source", "version"):
        if not isinstance(getattr(card, name), str):
            raise wrong(f"{name} must be text")
    for name, kind in (("attn_layers", int), ("assumed", str)):
        entries = getattr(card, name)
        if not isinstance(entries, tuple) or not all(type(entry) is kind for entry in entries):
            raise wrong(f"{name} must be a list of {'numbers' if kind is int else 'names'}")
    return card
