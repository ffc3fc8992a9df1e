"""A dataset made again from its manifest, and compared with it shard by shard."""

from __future__ import annotations

import os
from dataclasses import dataclass

from .._errors import DatasetError, InputError, VerificationError
from .._filter.selection import ANNOTATE, KEEP
from .kept import yield_in_words
from .manifest_file import MANIFEST, describe_difference, differing, read_manifest, read_manifest_file
from .places import is_url, resolve
from .plan import SHARD_RANGE, Plan
from .recipe import load_again, make_recipe, same_footing
from .run import generate_dataset

# What may differ from machine to machine: whether samples are then equal is what the comparison tells.
_FOOTING = {"graph_sha256", "grade", "depends_on", "backend", "flavour", "encoder"}


@dataclass(frozen=True)
class Regenerated:
    """How the dataset that was made compares with the one that the manifest describes."""

    samples: int
    shards: int
    same_bytes: int  # shards with the manifest's checksum
    same_samples: int  # shards with its digest of the samples
    compared: bool  # whether the manifest has checksums; a recipe has none
    other_footing: str  # what differs here from where the manifest was made; '' if nothing does
    kept: str = ""  # how many samples were kept, in words, where some were rejected

    def sentence(self) -> str:
        """The result in words."""
        text = f"{self.samples} samples in {self.shards} shards"
        if not self.compared:
            text += ", from a recipe that has no checksums to compare"
        elif self.same_bytes == self.shards:
            text += ", all with the manifest's bytes"
        else:
            text += f", {self.same_bytes} with the manifest's bytes, {self.same_samples} with its samples"
        return (
            text
            + (f"; {self.kept}" if self.kept else "")
            + (f"; here {self.other_footing}" if self.other_footing else "")
        )


def regenerate(path: str, folder: str, device: str | None = None, checkpoint: str | None = None, **how) -> Regenerated:
    """Make in ``folder`` the dataset that the manifest ``path`` (a file, or a folder with one) describes.

    ``how`` goes to :func:`generate_dataset`. Raises DatasetError if ``path`` is no manifest or asks for what this
    version can't make, VerificationError if the weights are others, or if samples differ although model, weights and
    arithmetic are the manifest's own.
    """
    path, folder = resolve(path), resolve(folder)
    manifest = _read(path)
    generator = load_again(manifest, path, device, checkpoint)
    try:
        recipe, options, format_ = make_recipe(
            generator,
            manifest["count"],
            manifest["seed"],
            manifest["start"],
            manifest["format"],
            manifest["shard_size"],
            manifest.get("format_options"),
            keep=_keep(path, manifest),
            annotate=manifest.get(ANNOTATE),
            **manifest["options"],
        )
    except InputError as error:
        raise DatasetError(f"{path}: {error}") from None
    except (TypeError, ValueError):
        raise DatasetError(f"{path}: has entries of another type; it is damaged") from None
    if SHARD_RANGE in manifest:
        recipe[SHARD_RANGE] = manifest[SHARD_RANGE]
    others = set(differing(manifest, recipe)) - _FOOTING
    if others:
        said = "; ".join(d for d in describe_difference(manifest, recipe) if d.split(" ", 1)[0] in others)
        raise DatasetError(f"{path}: asks for what this model does not make ({said})")
    if how.get("overwrite") and _same_place(os.path.join(folder, MANIFEST), _file(path)):
        raise DatasetError(f"{folder}: --overwrite would remove the manifest itself; name another folder")
    generate_dataset(generator, folder, recipe, options, format_, **how)
    return _compare(path, manifest, read_manifest(folder), same_footing(generator, manifest))


def _keep(path: str, manifest: dict) -> str | None:
    """The condition of a manifest. Raises DatasetError if it is a function, which no manifest can hold."""
    keep = manifest.get(KEEP)
    if isinstance(keep, dict):
        raise DatasetError(
            f"{path}: filtered by a function of Python, {keep.get('function')}, which only its owner has"
        )
    return keep


def _same_place(one: str, other: str) -> bool:
    return one == other if is_url(one) or is_url(other) else os.path.realpath(one) == os.path.realpath(other)


def _file(path: str) -> str:
    is_folder = not path.endswith(".json") if is_url(path) else os.path.isdir(path)
    return os.path.join(path, MANIFEST) if is_folder else path


def _read(path: str) -> dict:
    try:
        return read_manifest_file(_file(path))
    except (FileNotFoundError, NotADirectoryError):
        raise DatasetError(f"{path}: not there; name a dataset.json, or the folder of a dataset") from None
    except DatasetError:
        if is_url(path) or not os.path.isfile(path) or path.endswith(".json"):
            raise
        raise DatasetError(f"{path}: no manifest; name a dataset.json, or the folder of a dataset") from None


def _compare(path: str, manifest: dict, made: dict, same: bool) -> Regenerated:
    pairs = list(zip(manifest["shards"], made["shards"], strict=False))
    other = [old["name"] for old, new in pairs if old["samples_sha256"] != new["samples_sha256"]]
    if other and same:
        raise VerificationError(
            f"{path}: shard {other[0]} has other samples than were made of its recipe; dsb-fast verify tells more"
        )
    return Regenerated(
        Plan.of(made).count,
        len(made["shards"]),
        sum(old["sha256"] == new["sha256"] for old, new in pairs),
        len(pairs) - len(other),
        bool(pairs),
        "; ".join(describe_difference(manifest, made)),
        yield_in_words(made),
    )
