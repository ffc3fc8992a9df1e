"""The registered models, by category. One card a model; importing this costs nothing."""

from __future__ import annotations

from dataclasses import dataclass

CATEGORIES = (
    "cardiovascular", "digestive", "endocrine", "integumentary", "lymphatic", "muscular", "nervous", "urinary",
    "reproductive", "respiratory", "skeletal",
)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A registered model."""

    name: str
    title: str


REGISTERED = {
    entry.name: entry
    for entry in (
        Entry("cardiovascular.ecg", "8-lead 10-second ECG, Pulse2Pulse"),
        Entry("digestive.gitract", "Gastrointestinal tract image, StyleGAN2"),
    )
}


def by_category() -> dict[str, list[str]]:
    """Every category with the names of its models, also the empty ones."""
    return {c: [name for name in REGISTERED if name.startswith(c + ".")] for c in CATEGORIES}
