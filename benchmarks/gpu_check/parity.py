"""Equal signals: the device against the CPU and both against float64, within the bounds that docs/ promises."""

from __future__ import annotations

import numpy as np

SIGNAL_BOUND = 1e-4
EQUAL_SHARE = 0.995
FAR_SHARE = 1e-6  # more than 1 microvolt apart


def _microvolts(signal: np.ndarray) -> np.ndarray:
    return np.trunc(np.asarray(signal, np.float32) * np.float32(6000)).astype(np.int64)


def compare(name: str, signal: np.ndarray, reference: np.ndarray, required: bool) -> dict:
    """Difference of two signals, and of the microvolts that they are cut to."""
    apart = np.abs(_microvolts(signal) - _microvolts(reference))
    error = float(np.abs(np.asarray(signal, np.float64) - reference).max())
    equal, far = float((apart == 0).mean()), int((apart > 1).sum())
    return {
        "name": name,
        "required": required,
        "values": int(apart.size),
        "max_error": error,
        "equal_share": equal,
        "more_than_1_apart": far,
        "max_apart_uv": int(apart.max()),
        # NaN compares false, so a broken network can't pass
        "holds": bool(error <= SIGNAL_BOUND and equal >= EQUAL_SHARE and far <= FAR_SHARE * apart.size),
    }


def _in_blocks(signal, noise: np.ndarray, block: int = 32) -> np.ndarray:
    return np.concatenate([signal(noise[k : k + block]) for k in range(0, len(noise), block)])


def _signal_of(generator):
    return lambda noise: generator.run(noise=noise)["signal"]


def _noise(samples: int) -> np.ndarray:
    from dsb_fast import random

    return random.uniform(0, 0, samples, (8, 5000), low=-1.0, high=1.0)


def check(found, samples: int) -> list[dict]:
    """One row a comparison; those of pieces that are not here are left out, and ``found.missing`` says why."""
    noise = found.attempt("noise", lambda: _noise(samples))
    if noise is None:
        return []
    signals = {}
    for name, generator in (("cpu", found.cpu), (found.device_name, found.device)):
        if generator is None:
            continue
        made = found.attempt(f"signals on {name}", lambda g=generator: _in_blocks(_signal_of(g), noise))
        if made is not None:
            signals[name] = made
    rows = []
    if "cpu" in signals and found.device_name in signals:
        rows.append(compare(f"{found.device_name} against cpu", signals[found.device_name], signals["cpu"], True))
    reference = found.attempt("float64 torch reference", lambda: _reference(found, noise))
    if reference is not None:
        rows += [compare(f"{name} against float64 torch", signal, reference, True) for name, signal in signals.items()]
        if found.torch_network is not None:
            original = found.attempt("signals of the original", lambda: _in_blocks(found.torch_network.signal, noise))
            if original is not None:
                rows.append(compare("original in torch against float64 torch", original, reference, False))
    return rows


def _reference(found, noise):
    from dsb_fast.export import reference

    if found.network is None:
        raise ValueError("no weights; give --checkpoint")
    return _in_blocks(lambda n: reference.signal(found.network, n), noise)


def rows(results: list[dict]) -> list[tuple[str, ...]]:
    """Cells of the table; the original is shown, not judged."""
    cells = [("", "max error", "int16 equal", ">1 apart", "of", "")]
    for row in results:
        verdict = ("holds" if row["holds"] else "BROKEN") if row["required"] else "for comparison"
        cells.append(
            (
                row["name"],
                f"{row['max_error']:.1e}",
                f"{100 * row['equal_share']:.3f} %",
                str(row["more_than_1_apart"]),
                str(row["values"]),
                verdict,
            )
        )
    return cells if len(cells) > 1 else [("nothing could be compared",)]
