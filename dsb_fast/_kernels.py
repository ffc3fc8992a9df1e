"""The compiled kernels, or the same bits from numba where the extension is not built or ``DSB_NATIVE=0`` is set."""

from __future__ import annotations

import os

import numpy as np

from ._errors import MissingDependencyError, VariantError

native = None
if os.environ.get("DSB_NATIVE", "1") != "0":
    try:
        from . import _native as native
    except ImportError:
        native = None


def variants() -> list[tuple[str, bool]]:
    """Every kernel variant built in, best last, and whether this CPU can run it; empty without the extension."""
    return native.variants() if native else []


def active_variant() -> str:
    """Name of the variant that runs: scalar, avx2, avx512, avx512_bf16; ``numba`` without the extension."""
    if native is None:
        if forced := os.environ.get("DSB_FORCE_VARIANT"):
            raise VariantError(f"DSB_FORCE_VARIANT: '{forced}' needs the compiled extension, which is not built")
        return "numba"
    try:
        return native.active_variant()
    except ValueError as error:
        raise VariantError(str(error)) from None


ARITHMETIC = "4"  # version of the compiled kernels' order of operations; see docs/identity.md


def arithmetic() -> str:
    """What the bits of the compiled kernels depend on; without fused multiply-add they have a version of their own."""
    return f"{ARITHMETIC} unfused" if active_variant() == "scalar" else ARITHMETIC


def _fallback():
    try:
        from . import _fallback
    except ImportError:
        raise MissingDependencyError(
            "dsb_fast: neither the compiled extension nor numba is there; pip install 'dsb-fast[fallback]' brings numba"
        ) from None
    return _fallback


def random_uniform(out: np.ndarray, seed: int, start: int, stream: int, low: float, span: float, threads: int) -> None:
    """Fill ``out``, float32 [count, elements]."""
    (native or _fallback()).random_uniform(out, seed, start, stream, low, span, threads)


def random_normal(out: np.ndarray, seed: int, start: int, stream: int, threads: int) -> None:
    """Fill ``out``, float32 [count, elements]."""
    (native or _fallback()).random_normal(out, seed, start, stream, threads)


def microvolt(signal: np.ndarray, scale: float, out: np.ndarray) -> bool:
    """``out = trunc(signal * scale)``, int16, saturated; False if a value is not a number."""
    return (native or _fallback()).microvolt(signal, scale, out)


def grey_levels(image: np.ndarray, scale: float, offset: float) -> np.ndarray | None:
    """``image * scale + offset``, held to 0..255 and cut down: float32 [N, C, H, W] to uint8 [N, H, W, C].

    Product and sum are rounded one after the other, on the calling thread. None if a value is not a number.
    """
    if native is None:
        return _fallback().grey_levels(image, scale, offset)
    return native.grey_levels(image, scale, offset, 1)


def derive_12(samples: np.ndarray, out: np.ndarray) -> bool:
    """[N, 8, time] to [N, 12, time], int16; False if a value does not fit."""
    return (native or _fallback()).derive_12(samples, out)


def rows_as_text(
    sample: np.ndarray, separator: str, header: bytes = b"", prefixes: bytes = b"", width: int = 0
) -> bytes:
    """``header``, then a line of integers a time step of ``sample``, int16 [leads, time]."""
    return (native or _fallback()).rows_as_text(sample, separator, header, prefixes, width)
