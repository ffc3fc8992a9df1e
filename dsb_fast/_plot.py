"""ECG paper as a cardiologist expects it: 1 mm and 5 mm boxes, true size, speed and gain printed on the sheet."""

from __future__ import annotations

import math
import os
import textwrap

import numpy as np

from ._errors import InputError, MissingDependencyError
from ._files import write_atomically
from ._signal_file import Recording
from .leads import LEADS_8, LEADS_12, derive_12

# Rows of leads in the order in which the standard formats show them.
LAYOUTS = {
    "3x4": (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6")),
    "6x2": (("I", "V1"), ("II", "V2"), ("III", "V3"), ("aVR", "V4"), ("aVL", "V5"), ("aVF", "V6")),
    "12x1": tuple((lead,) for lead in LEADS_12),
}
_ROW_MM, _MARGIN_MM, _HEAD_MM, _FOOT_MM, _PULSE_MM = 30.0, 10.0, 20.0, 20.0, 10.0
_MINOR, _MAJOR, _TRACE = "#f6c9c9", "#e58f8f", "#101010"
_FORMATS = (".png", ".svg", ".pdf")


def _leads_of(recording: Recording, sample: int) -> dict[str, np.ndarray]:
    count = len(recording.signal_uv)
    if not 0 <= sample < count:
        raise InputError(f"--sample: {sample}; the file has samples 0 to {count - 1}")
    signal = recording.signal_uv[sample]
    names = recording.lead_names
    if names == LEADS_8:
        signal, names = derive_12(signal), LEADS_12
    return dict(zip(names, signal, strict=True))


def draw(
    recording: Recording,
    path: str,
    *,
    sample: int = 0,
    layout: str = "3x4",
    rhythm: str | None = "II",
    speed_mm_s: float = 25.0,
    gain_mm_mv: float = 10.0,
    dpi: int = 150,
    title: str = "",
) -> None:
    """One ECG on a sheet of ECG paper, written to ``path`` (.png, .svg or .pdf) at true size.

    8 leads are completed to 12. ``layout`` "3x4" (2.5 s a lead, with a rhythm strip below), "6x2" or "12x1". Raises
    InputError, or MissingDependencyError without matplotlib.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in _FORMATS:
        raise InputError(f"{path}: pictures are made as .png, .svg or .pdf")
    if layout not in LAYOUTS:
        raise InputError(f"layout: '{layout}' is not known; there are {', '.join(LAYOUTS)}")
    if not 10 <= dpi <= 2400:  # below, letters have no pixels
        raise InputError(f"dpi: {dpi}; it must be from 10 to 2400")
    for name, value in (("speed", speed_mm_s), ("gain", gain_mm_mv)):
        if not (math.isfinite(value) and 0 < value <= 2400):
            raise InputError(f"{name}: {value}; it must be above 0 and at most 2400")
    leads = _leads_of(recording, sample)
    rows = LAYOUTS[layout]
    missing = [lead for row in rows for lead in row if lead not in leads]
    if missing:
        raise InputError(f"layout {layout}: needs the standard 12 leads; the file lacks {', '.join(missing)}")
    if rhythm is not None and rhythm not in leads:
        raise InputError(f"rhythm: '{rhythm}' is no lead of this ECG; there are {', '.join(leads)}")
    length, columns = len(next(iter(leads.values()))), len(rows[0])
    if length < columns:
        raise InputError(f"layout {layout}: has {columns} leads side by side; the ECG has {length} points")
    if rhythm is not None and layout != "12x1":
        rows = (*rows, (rhythm,))
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingDependencyError("plot needs matplotlib; pip install 'dsb-fast[plot]'") from None

    duration_s = length / recording.sampling_rate_hz
    width = 2 * _MARGIN_MM + _PULSE_MM + duration_s * speed_mm_s
    height = _HEAD_MM + _FOOT_MM + _ROW_MM * len(rows)
    if max(width, height) / 25.4 * dpi > 32000:
        raise InputError(f"{path}: the sheet would be {width:.4g} mm wide; a lower --speed or --dpi makes it smaller")
    figure = Figure(figsize=(width / 25.4, height / 25.4), dpi=dpi, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    _draw_grid(axes, width, height)
    for k, row in enumerate(rows):
        baseline = height - _HEAD_MM - _ROW_MM * (k + 0.5)
        _draw_row(axes, row, leads, baseline, recording.sampling_rate_hz, speed_mm_s, gain_mm_mv)
    _draw_text(axes, recording, width, height, title, f"{speed_mm_s:g} mm/s   {gain_mm_mv:g} mm/mV   {duration_s:g} s")
    _save(figure, path, suffix, dpi, recording)


def _grid_lines(first: float, last: float, step: float) -> np.ndarray:
    return np.arange(math.ceil(first / step), math.floor(last / step) + 1) * step


def _draw_grid(axes, width: float, height: float) -> None:
    left, right, bottom, top = _MARGIN_MM / 2, width - _MARGIN_MM / 2, _FOOT_MM - 5, height - _HEAD_MM + 10
    for step, colour, line in ((1.0, _MINOR, 0.3), (5.0, _MAJOR, 0.6)):
        axes.vlines(_grid_lines(left, right, step), bottom, top, colors=colour, linewidth=line, zorder=1)
        axes.hlines(_grid_lines(bottom, top, step), left, right, colors=colour, linewidth=line, zorder=1)


def _draw_row(axes, row, leads, baseline, rate, speed, gain) -> None:
    """A calibration pulse (1 mV, 0.2 s), then the row's leads one after the other in time."""
    x = _MARGIN_MM
    pulse = min(0.2 * speed, _PULSE_MM - 2)
    axes.plot(
        [x, x + 1, x + 1, x + 1 + pulse, x + 1 + pulse, x + 2 + pulse],
        [baseline, baseline, baseline + gain, baseline + gain, baseline, baseline],
        color=_TRACE, linewidth=0.8, zorder=3,
    )  # fmt: skip
    begin = x + _PULSE_MM
    length = len(leads[row[0]])
    for k, name in enumerate(row):
        first, last = length * k // len(row), length * (k + 1) // len(row)
        time_mm = begin + np.arange(first, last) / rate * speed
        axes.plot(time_mm, baseline + leads[name][first:last] / 1000.0 * gain, color=_TRACE, linewidth=0.8, zorder=3)
        if k:
            axes.vlines(time_mm[0], baseline - 4, baseline + 4, colors=_TRACE, linewidth=0.6, zorder=3)
        axes.text(time_mm[0] + 1, baseline + 9, name, fontsize=9, fontweight="bold", va="bottom", zorder=4)


def _provenance(recording: Recording) -> str:
    about = recording.about
    if not about.get("synthetic"):
        return ""
    weights = str(about.get("weights_sha256", ""))[:16]
    return f"SYNTHETIC ECG, model {about.get('model')}, weights {weights}. Cite: {about.get('citation')}"


def _draw_text(axes, recording: Recording, width: float, height: float, title: str, scale: str) -> None:
    axes.text(_MARGIN_MM, height - 5, title, fontsize=10, va="center")
    axes.text(width - _MARGIN_MM, height - 5, scale, fontsize=10, va="center", ha="right")
    lines = textwrap.wrap(_provenance(recording), max(40, int(width / 1.4)))
    axes.text(_MARGIN_MM, _FOOT_MM - 8, "\n".join(lines[:3]), fontsize=6.5, va="top")


def _save(figure, path: str, suffix: str, dpi: int, recording: Recording) -> None:
    import io

    import matplotlib

    provenance = _provenance(recording)
    metadata = {
        ".png": {"Software": "dsb_fast", "Description": provenance},
        ".svg": {"Creator": "dsb_fast", "Description": provenance, "Date": None},
        ".pdf": {"Creator": "dsb_fast", "Subject": provenance, "CreationDate": None},
    }[suffix]
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "dsb_fast", "path.simplify": False}):
        figure.savefig(buffer, format=suffix[1:], dpi=dpi, metadata=metadata)
    write_atomically(path, buffer.getvalue())
