"""Where a registered model's weights are: a file that the user names, an installed package, or fetched on first use."""

from __future__ import annotations

import os
from importlib.util import find_spec

from .. import _cache
from .._errors import ModelError
from .card import Card


def place(card: Card, checkpoint_dir: str | os.PathLike | None = None) -> str:
    """Where a fetched file lies, or would: in ``checkpoint_dir``, else in the cache."""
    folder = checkpoint_dir or os.path.join(_cache.folder(), "weights", card.name)
    return os.path.join(folder, os.path.basename(card.weights.file))


def present(card: Card) -> str | None:
    """The weights if they are on this machine. No package is imported, nothing is fetched."""
    if card.weights.url is not None:
        path = place(card)
        return path if os.path.isfile(path) else None
    spec = find_spec(card.weights.package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = os.path.join(folder, *card.weights.file.split("/"))
        if os.path.isfile(path):
            return path
    return None


def weights_of(
    card: Card,
    checkpoint: str | os.PathLike | None = None,
    checkpoint_dir: str | os.PathLike | None = None,
    quiet: bool = False,
) -> str:
    """Path of the weights: ``checkpoint``, else the card's file in ``checkpoint_dir``, a package's, or a fetched one.

    A file that has to be fetched comes to ``checkpoint_dir`` where one is given, else into the cache, with a progress
    bar if standard error is a terminal and not ``quiet``. Raises ModelError for a package that is not installed or
    without a network that may be used, DownloadError if fetching fails, CheckpointError for a fetched file that is not
    what was published or that has changed since.
    """
    if checkpoint is not None:
        return os.fspath(checkpoint)
    if card.weights.url is None:
        path = None if checkpoint_dir is None else place(card, checkpoint_dir)
        return path if path is not None and os.path.isfile(path) else _of_package(card)
    from .. import _download
    from .._cli.common import progress_bar

    path = place(card, checkpoint_dir)
    if checkpoint_dir is not None and os.path.isfile(path):
        _download.check_recorded(path)  # the user's own file, unless a digest lies beside it
        return path
    if not os.path.isfile(path) and (cached := present(card)):
        path = cached
    wanted = _download.Wanted(card.name, card.weights.url, path, card.weights.size, card.weights.sha256)
    return _download.fetch(wanted, lambda: progress_bar(quiet, "B"))


def _of_package(card: Card) -> str:
    if path := present(card):
        return path
    brings = card.weights.install or f"installing the package {card.weights.package}"
    raise ModelError(f"{card.name}: its weights are not here; {brings} brings them, or give --checkpoint")
