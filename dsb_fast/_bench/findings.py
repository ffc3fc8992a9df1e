"""From numbers to what a user wants to know: which device, how long a million takes, what limits it."""

from __future__ import annotations

from .._bulk.stats import STAGES, Stats
from .measure import IN_MEMORY, Way

MILLION = 1_000_000
_FULL = 0.8  # of a stage's threads' time: it has no room left
_NAMES = {
    "generate": "the network",
    "encode": "the encoder",
    "digest": "SHA-256",
    "write": "writing",
    "publish": "the disk",
}
_SAME = 1.05  # rates nearer than this are not told apart


def limit(stats: Stats, cores: int) -> str:
    """What a run was waiting for, in a few words.

    A stage on one thread that is busy all the time is the limit, whatever the others do; else, with the processor busy,
    the stage that takes most of it; else the device that the network's threads wait for.
    """
    busy, machine = stats.busy(), stats.machine(cores)
    narrow = [stage for stage in ("digest", "write", "publish") if busy[stage] >= _FULL]
    if narrow:
        stage = max(narrow, key=busy.__getitem__)
        return f"{_NAMES[stage]} (its thread is busy {busy[stage]:.0%} of the time)"
    if busy.get("device", 0.0) >= _FULL:
        return f"the device (busy {busy['device']:.0%} of the time)"
    if busy["generate"] >= _FULL and machine["generate"] < 0.5 * busy["generate"]:
        waiting = 1 - machine["generate"] / busy["generate"]
        return f"the device (the threads that feed it wait {waiting:.0%} of the time)"
    stage = max(STAGES, key=machine.__getitem__)
    return f"{_NAMES[stage]} ({machine[stage]:.0%} of the processor)"


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"


def size(nbytes: float) -> str:
    """Bytes with a decimal prefix."""
    for unit in ("B", "kB", "MB", "GB"):
        if nbytes < 1000:
            return f"{nbytes:.3g} {unit}"
        nbytes /= 1000
    return f"{nbytes:.3g} TB"


def advice(ways: list[Way], auto: str, cores: int, unit: str) -> list[str]:
    """Sentences. ``auto`` is the device that ``device="auto"`` takes; ``unit`` "ECGs" or "images"."""
    memory = [way for way in ways if way.format == IN_MEMORY]
    files = [way for way in ways if way.format != IN_MEMORY]
    fp32 = [way for way in memory if way.generator.precision == "fp32"]
    best = max(fp32, key=lambda way: way.rate)
    taken = next(way for way in fp32 if way.device == auto)
    lines = []
    if best is taken or best.rate < _SAME * taken.rate:
        others = [way for way in fp32 if way is not taken]
        than = "".join(f"; {taken.rate / way.rate:.1f} times {way.device}" for way in others)
        lines.append(f"use --device {auto}, which auto takes{than}")
    else:
        lines.append(f"use --device {best.device}: {best.rate / taken.rate:.1f} times {auto}, which auto takes")
    for way in memory:
        if way.generator.precision != "fp32" and way.rate > _SAME * best.rate:
            lines.append(
                f"--device {way.device} --precision {way.generator.precision} is {way.rate / best.rate:.1f} times "
                f"that, within what the model card allows, and other samples than fp32's by a little"
            )
    for way in files:
        lines.append(
            f"a million {unit} as {way.format}: {duration(MILLION / way.rate)}, {size(MILLION * way.bytes_a_sample)}; "
            f"limited by {limit(way.stats, cores)}"
        )
    slowest = min(files, key=lambda way: way.rate, default=None)
    quickest = max(files, key=lambda way: way.rate, default=None)
    if slowest is not quickest and quickest.rate > 1.2 * slowest.rate:
        lines.append(f"{quickest.format} is {quickest.rate / slowest.rate:.1f} times as fast as {slowest.format}")
    return lines
