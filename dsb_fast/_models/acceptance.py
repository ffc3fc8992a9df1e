"""When a faster precision of an image model is close enough to float32 to be offered."""

from __future__ import annotations

import numpy as np

# Of the grey levels of COUNT images, truncation and network as the model card has them, all but 1 % may be at most
# two levels off.
COUNT, LEVELS, SHARE = 16, 2, 0.99


def differences(levels: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """How many grey levels each value is off, int16; both arrays uint8 of one shape."""
    return np.abs(levels.astype(np.int16) - reference.astype(np.int16))


def refusal(levels: np.ndarray, reference: np.ndarray) -> str | None:
    """Why images (uint8, COUNT or more) fail the acceptance test against ``reference``, or None if they pass."""
    off = differences(levels, reference)
    within = float((off <= LEVELS).mean())
    if within >= SHARE:
        return None
    return (
        f"{100 * within:.1f} % of grey levels are within {LEVELS} of float32, the furthest {off.max()} off; "
        f"{100 * SHARE:.0f} % would be accepted"
    )
