"""Plots from results, as SVG: what each way to run a network makes a second, the kernels under the machine's roofs."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

_OWN, _OTHER, _GREY = "#1b6ca8", "#b0b7bd", "#555555"
_RATES = {  # case, title, file
    "ecg_network": ("ECGs a second in memory, noise to microvolts", "ecg_network.svg"),
    "gi_network": ("GI-tract images a second in memory, 128 x 128", "gi_network.svg"),
    "nv_network": ("Images a second, NVIDIA's 256 x 256 configuration", "nv_network.svg"),
}
_MARKS = {"networks": "*", "layers": "o", "up layers": "s", "attention": "D", "upfirdn2d": "^"}
_STYLE = {"svg.hashsalt": "dsb_fast", "svg.fonttype": "none", "font.size": 9, "axes.spines.top": False,
          "axes.spines.right": False}  # fmt: skip


def _save(figure, path: Path) -> Path:
    figure.savefig(path, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    return path


def rates(case: dict, title: str, path: Path) -> Path:
    """A bar an alternative, its median, and a line from its smallest to its largest round."""
    rows = sorted(case["alternatives"], key=lambda row: row["median"])
    figure, axes = plt.subplots(figsize=(7, 0.34 * len(rows) + 0.9))
    for k, row in enumerate(rows):
        axes.barh(k, row["median"], color=_OWN if row["name"].startswith("dsb_fast") else _OTHER, height=0.7)
        axes.plot([row["min"], row["max"]], [k, k], color=_GREY, linewidth=1)
        axes.text(row["max"], k, f"  {row['median']:.0f}", va="center", color=_GREY)
    axes.set_yticks(range(len(rows)), [row["name"] for row in rows])
    axes.set_title(f"{title} ({case['machine']['cores']} cores, {case['date'][:10]})", loc="left", fontsize=9)
    return _save(figure, path)


def roofline(case: dict, path: Path) -> Path:
    """Operations a second over operations a byte that crosses the memory bus (Williams et al., CACM 52, 2009)."""
    peaks = {name: values["median"] for name, values in case["peaks"].items()}
    figure, axes = plt.subplots(figsize=(7, 4.4))
    top, lowest, highest = peaks["fma_f32_gflops"], 2.0**-3, 2.0**13
    for name, label in (("copy_gbs", "memory"), ("L3_read_gbs", "L3"), ("L2_read_gbs", "L2")):
        axes.plot([lowest, top / peaks[name], highest], [lowest * peaks[name], top, top], color=_GREY, linewidth=0.8)
        axes.text(0.14, 0.15 * peaks[name], f"{label} {peaks[name]:.0f} GB/s", color=_GREY, fontsize=7, rotation=33)
    axes.text(highest, top * 1.05, f"float32 FMA {top:.0f} GFLOP/s", color=_GREY, fontsize=7, ha="right")
    for group, mark in _MARKS.items():
        kernels = [k for k in case["kernels"] if k["group"] == group]
        x = [2 * k["products"] / k["bytes"] for k in kernels]
        y = [2e-9 * k["products"] / k["seconds"]["median"] for k in kernels]
        axes.scatter(x, y, marker=mark, s=60 if mark == "*" else 22, label=group, alpha=0.85)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_xlabel("operations a byte of memory")
    axes.set_ylabel("GFLOP/s")
    axes.set_title(f"Products of the kernels under the machine's roofs ({case['date'][:10]})", loc="left", fontsize=9)
    axes.legend(loc="lower right", fontsize=8, frameon=False)
    return _save(figure, path)


def draw(results: dict[str, dict], folder: Path) -> list[Path]:
    """Every plot that there are results for; the files."""
    with plt.rc_context(_STYLE):
        found = [
            rates(results[case], title, folder / name) for case, (title, name) in _RATES.items() if case in results
        ]
        if "limits" in results:
            found.append(roofline(results["limits"], folder / "roofline.svg"))
    return found
