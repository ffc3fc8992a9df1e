"""Equal samples: every way against float32 on the CPU, ECGs against float64, within the bounds that docs/ promises."""

from __future__ import annotations

import numpy as np

SIGNAL_BOUND = 1e-4
EQUAL_SHARE = 0.995
FAR_SHARE = 1e-6  # more than 1 apart


def compare(case, name: str, precision: str, made: np.ndarray, reference: np.ndarray) -> dict:
    """Whole numbers against those of float32: the contract's bounds for fp32, the model's acceptance for the others."""
    apart = np.abs(np.subtract(made, reference, dtype=np.int32))
    row = {
        "name": name,
        "precision": precision,
        "values": int(apart.size),
        "equal_share": float((apart == 0).mean()),
        "more_than_1_apart": int((apart > 1).sum()),
        "more_than_2_apart_share": float((apart > 2).mean()),
        "most_apart": int(apart.max()),
        "rms": float(np.sqrt(np.square(apart, dtype=np.float64).mean())),
        "unit": case.unit,
        "required": precision == "fp32",
    }
    if precision == "fp32":
        held = row["equal_share"] >= EQUAL_SHARE and row["more_than_1_apart"] <= FAR_SHARE * apart.size
        return row | {"holds": bool(held), "verdict": "holds" if held else "BROKEN"}
    why = case.model.refused.get(precision) or case.model.near(precision).refusal(made, reference)
    return row | {"holds": why is None, "verdict": "accepted" if why is None else f"refused: {why}"}


def identity(way, count: int) -> dict:
    """Whether samples are the same bits whichever others they are made with."""
    whole = way.samples(0, count)
    parts = [way.samples(first, min(3, count - first)) for first in range(0, count, 3)]
    return {"name": way.name, "same_bits_in_other_batches": whole.tobytes() == np.concatenate(parts).tobytes()}


def check(case, ways: list, found) -> list[dict]:
    """One row a way; those of what is not here are left out, and ``found.missing`` says why."""
    reference = found.attempt(f"{case.name}: reference", lambda: case.reference(case.parity))
    if reference is None:
        return []
    rows = []
    for way in ways:
        if way.samples is None:
            continue
        step = way.batches[-1]

        def made(way=way, step=step):
            firsts = range(0, case.parity, step)
            return np.concatenate([way.samples(first, min(step, case.parity - first)) for first in firsts])

        samples = found.attempt(f"{case.name}: samples of {way.name}", made)
        if samples is not None:
            row = compare(case, way.name, way.precision, samples, reference)
            few = min(case.parity, 7)
            same = found.attempt(f"{case.name}: identity of {way.name}", lambda way=way, few=few: identity(way, few))
            rows.append(row | (same or {}))
    return rows


def against_float64(case, device: str, found) -> list[dict]:
    """ECG signals of the torch backend on the device, and of the original, against float64 on the CPU."""
    from dsb_fast.export import reference

    from dsb_fast import random

    network = case.describe(case.model.key).settings["network"]
    noise = random.uniform(0, 0, case.parity, (network.leads, case.model.card.length), low=-1.0, high=1.0)
    exact = _in_blocks(lambda n: reference.signal(network, n), noise)
    rows = []
    for name, open_it in (("dsb_fast torch fp32", _signal), ("original", lambda c, d: c.original(d).signal)):
        what = f"{case.name}: signals of {name}"
        made = found.attempt(what, lambda o=open_it: _in_blocks(o(case, device), noise))
        if made is None:
            continue
        error, apart = float(np.abs(made - exact).max()), np.abs(_microvolts(made) - _microvolts(exact))
        equal, far = float((apart == 0).mean()), int((apart > 1).sum())
        # NaN compares false, so a broken network can't pass
        holds = error <= SIGNAL_BOUND and equal >= EQUAL_SHARE and far <= FAR_SHARE * apart.size
        rows.append({
            "name": name, "max_error": error, "required": name != "original", "equal_share": equal,
            "more_than_1_apart": far, "values": int(apart.size), "holds": bool(holds),
        })  # fmt: skip
    return rows


def _signal(case, device: str):
    from ways import backend

    opened = backend(case, "fp32", device, case.batches[-1])(case.model.key)
    return lambda noise: opened.run({"noise": noise})["signal"]


def _in_blocks(signal, noise: np.ndarray, block: int = 32) -> np.ndarray:
    return np.concatenate([signal(noise[k : k + block]) for k in range(0, len(noise), block)])


def _microvolts(signal: np.ndarray) -> np.ndarray:
    return np.trunc(np.asarray(signal, np.float32) * np.float32(6000)).astype(np.int64)


def rows(results: list[dict]) -> list[tuple[str, ...]]:
    """Cells of the table."""
    cells = [("", "equal", ">1 apart", "most", "rms", "other batches", "")]
    for row in results:
        same = {True: "same bits", False: "OTHER BITS", None: ""}[row.get("same_bits_in_other_batches")]
        cells.append((
            row["name"], f"{100 * row['equal_share']:.3f} %", f"{row['more_than_1_apart']} of {row['values']}",
            str(row["most_apart"]), f"{row['rms']:.2g}", same, row["verdict"][:70],
        ))  # fmt: skip
    return cells if len(cells) > 1 else [("nothing could be compared",)]


def float64_rows(results: list[dict]) -> list[tuple[str, ...]]:
    """Cells of the table of signals; the original is shown, not judged."""
    cells = [("", "max error", "int16 equal", ">1 apart", "")]
    for row in results:
        verdict = ("holds" if row["holds"] else "BROKEN") if row["required"] else "for comparison"
        far = f"{row['more_than_1_apart']} of {row['values']}"
        cells.append((row["name"], f"{row['max_error']:.1e}", f"{100 * row['equal_share']:.3f} %", far, verdict))
    return cells
