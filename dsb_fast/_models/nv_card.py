"""The card of a StyleGAN2 of NVIDIA's or rosinality's: its sizes, and what its makers say of it."""

from __future__ import annotations

from dataclasses import dataclass, fields

from .._errors import InputError
from .stylegan2_card import NETWORKS, SAID

# What a network is called that is no registered model, by its family.
FAMILIES = {"nvlabs": "nvidia-stylegan2", "rosinality": "rosinality-stylegan2"}
EXPORTED = ("input", "const", "none")  # what an exported graph has for noise
MODES = ("random", "const", "none")  # of the option noise
NV_SAID = (*SAID, "truncation_cutoff", "noise")  # entries that the file itself says nothing of
ARCHITECTURES = ("skip", "resnet", "orig")
_TITLES = {
    "nvlabs": "NVIDIA StyleGAN2 image generator, foreign checkpoint",
    "rosinality": "rosinality StyleGAN2 image generator, foreign checkpoint",
}
_SIZES = ("image_size", "channels", "latent_dim", "style_dim", "num_ws")


@dataclass(frozen=True)
class NvCard:
    """One generator: its sizes, what its makers said of it.

    ``image_size`` pixels each way; ``latent_dim`` numbers in z, ``style_dim`` in each of the ``num_ws`` rows of w;
    ``labels`` is the length of a label, 0 of a network that is not conditional. ``noise_sizes`` are the sides of the
    noise planes in forward order, () without noise; ``stored_noise`` says whether the file has planes of its own, and
    ``mean_estimated`` that it has no mean of w. ``truncation``, ``truncation_cutoff`` and ``noise`` are used where
    nobody asks for others; None is all rows, and the stored maps where there are some.
    """

    family: str
    image_size: int
    channels: int
    latent_dim: int
    style_dim: int
    num_ws: int
    labels: int
    architecture: str
    noise_sizes: tuple[int, ...]
    stored_noise: bool
    mean_estimated: bool
    network: str = "ema"
    truncation: float = 1.0
    truncation_cutoff: int | None = None
    noise: str | None = None
    title: str = ""
    licence: str = "unknown"
    citation: str = "unknown"
    source: str = "unknown"
    assumed: tuple[str, ...] = ()

    @property
    def blocks(self) -> int:
        """Resolutions, 4 x 4 first."""
        return self.num_ws // 2

    @property
    def planes(self) -> dict[str, list]:
        """The noise inputs of a graph, with their shapes."""
        return {f"noise_{k}": ["N", 1, side, side] for k, side in enumerate(self.noise_sizes)}


def check_nv_card(values: dict) -> NvCard:
    """The card with entries ``values``, each of its type and in range. Raises InputError that names the entry."""

    def wrong(what: str):
        return InputError(f"model card: {what}")

    known = {field.name for field in fields(NvCard)}
    if unknown := sorted(set(map(str, values)) - known):
        raise wrong(f"no entry is called {', '.join(unknown)[:80]}; there are {', '.join(NV_SAID)}")
    family = values.get("family")
    if not isinstance(family, str) or family not in FAMILIES:
        raise wrong(f"family is {_short(family)}; there are {', '.join(FAMILIES)}")
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    try:
        card = NvCard(**{"title": _TITLES[family], **values})
    except TypeError:
        needed = {field.name for field in fields(NvCard)} - {"network", "assumed", *NV_SAID}
        raise wrong(f"{', '.join(sorted(needed - set(values)))} missing") from None
    _check_sizes(card, wrong)
    if card.architecture not in ARCHITECTURES or card.network not in NETWORKS:
        raise wrong(f"architecture must be {', '.join(ARCHITECTURES)}, network {' or '.join(NETWORKS)}")
    if not isinstance(card.stored_noise, bool) or not isinstance(card.mean_estimated, bool):
        raise wrong("stored_noise and mean_estimated must be true or false")
    if type(card.truncation) not in (int, float) or not abs(card.truncation) < 1e30:
        raise wrong(f"truncation is {_short(card.truncation)}; it must be a number")
    cutoff, noise = card.truncation_cutoff, card.noise
    if cutoff is not None and (type(cutoff) is not int or not 0 <= cutoff <= card.num_ws):
        raise wrong(f"truncation_cutoff is {_short(cutoff)}; it must be a whole number from 0 to {card.num_ws}")
    if noise is not None and (not isinstance(noise, str) or noise not in MODES):
        raise wrong(f"noise is {_short(noise)}; it must be {' or '.join(MODES)}")
    for name in ("title", "licence", "citation", "source"):
        if not isinstance(getattr(card, name), str):
            raise wrong(f"{name} must be text")
    if card.assumed != ():
        raise wrong("assumed must be empty; such files say all that is needed")
    return card


def _check_sizes(card: NvCard, wrong) -> None:
    for name in _SIZES:
        if type(getattr(card, name)) is not int or not 0 < getattr(card, name) <= 1 << 16:
            raise wrong(f"{name} is {_short(getattr(card, name))}; it must be a whole number above 0")
    if type(card.labels) is not int or not 0 <= card.labels <= 1 << 16:
        raise wrong(f"labels is {_short(card.labels)}; it must be a whole number, 0 without labels")
    if card.num_ws > 28 or card.num_ws % 2 or card.image_size != 2 << card.blocks or card.channels > 64:
        raise wrong(f"{card.num_ws} rows of w make no image of {card.image_size} pixels and {card.channels} channels")
    layers = tuple(4 << (k + 1) // 2 for k in range(card.num_ws - 1))
    sides = card.noise_sizes
    if sides not in ((), layers) or not all(type(side) is int for side in sides) or (card.stored_noise and not sides):
        raise wrong(f"noise_sizes is {_short(card.noise_sizes)}; it must be {list(layers)} or empty")


def _short(value) -> str:
    return repr(value)[:40]
