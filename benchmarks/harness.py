"""What a case hands over, and the loop that times it: interleaved, order rotated, a machine probe in every round."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

PAUSE_S = 0.25  # thread pools spin for a while after a call and would take a core from the next alternative


class Missing(Exception):
    """A peer that is not installed here; the message says what would bring it."""


class WrongAnswer(Exception):
    """An alternative's result is not the reference's; nothing is timed then."""


def nothing() -> None:
    """Default of the steps around a run."""


@dataclass
class Alternative:
    """One way to do the work. ``run`` is timed; ``before`` and ``after`` are not.

    ``work`` counts the case's units in one run; it may differ between alternatives, since rates are compared.
    """

    name: str
    run: Callable[[], object]
    work: float = 1.0
    before: Callable[[], object] = nothing
    after: Callable[[], object] = nothing
    setting: str = ""

    def seconds(self) -> float:
        """Wall time of one run."""
        self.before()
        begin = time.perf_counter()
        self.run()
        elapsed = time.perf_counter() - begin
        self.after()
        return elapsed


@dataclass
class Comparison:
    """Alternatives whose answers have been checked, ready to be timed against ``baseline``, the name of one of them.

    ``unit`` is a rate such as "ECG/s", or "s", where the time a unit of work is compared and less is better.
    ``missing`` maps peers that are not here to the reason. ``targets`` are pairs of names and how many times the
    second's rate the first's should be; pairs that are not all here are left out.
    """

    unit: str
    baseline: str
    alternatives: list[Alternative]
    checked: str
    missing: dict[str, str] = field(default_factory=dict)
    warm: bool = False
    note: str = ""
    release: Callable[[], object] = nothing
    targets: tuple[tuple[str, str, float], ...] = ()

    def value(self, alternative: Alternative, seconds: float) -> float:
        """What one run is reported as, in ``unit``."""
        return seconds / alternative.work if self.unit == "s" else alternative.work / seconds


def fastest(peers: list, count: int):
    """The peer whose ``run(count)`` takes least in a short, interleaved trial."""
    trials = [Alternative(peer.setting, lambda peer=peer: peer.run(count)) for peer in peers]
    for trial in trials:
        trial.seconds()
    least = [min(seconds) for seconds in zip(*([t.seconds() for t in trials] for _ in range(3)), strict=True)]
    return peers[least.index(min(least))]


def spread(values: list[float]) -> dict[str, float]:
    """Median, smallest and largest."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def _ratio(values: list[float], base: list[float]) -> dict[str, float]:
    return spread([value / other for value, other in zip(values, base, strict=True)])


def interleave(comparison: Comparison, rounds: int, probe: Callable[[], float], pause: float = PAUSE_S) -> dict:
    """Time every alternative once a round, beginning each round with another one; the ratios are taken round by round.

    A ratio is the alternative's value over the baseline's value of the same round, so that a machine whose speed drifts
    from round to round changes both alike.
    """
    alternatives = comparison.alternatives
    if not comparison.warm:
        for alternative in alternatives:
            alternative.seconds()
    values: dict[str, list[float]] = {alternative.name: [] for alternative in alternatives}
    probed = []
    for round_ in range(rounds):
        time.sleep(pause)
        probed.append(probe())
        first = round_ % len(alternatives)
        for alternative in alternatives[first:] + alternatives[:first]:
            time.sleep(pause)
            values[alternative.name].append(comparison.value(alternative, alternative.seconds()))
    rows = []
    for alternative in alternatives:
        mine = values[alternative.name]
        rows.append(
            {
                "name": alternative.name,
                "setting": alternative.setting,
                "work": alternative.work,
                "values": mine,
                **spread(mine),
                "ratio": _ratio(mine, values[comparison.baseline]),
            }
        )
    return {
        "unit": comparison.unit,
        "baseline": comparison.baseline,
        "checked": comparison.checked,
        "rounds": rounds,
        "alternatives": rows,
        "targets": [
            {"name": name, "over": over, "target": target, "ratio": _ratio(values[name], values[over])}
            for name, over, target in comparison.targets
            if name in values and over in values
        ],
        "missing": comparison.missing,
        "fma_gflops": {"values": probed, **spread(probed)},
        "note": comparison.note,
    }
