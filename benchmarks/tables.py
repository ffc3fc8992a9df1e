"""README's table of speeds and the plots of docs/benchmarks.md, from the newest committed results of every case.

``python benchmarks/tables.py`` writes them, ``--check`` only says whether README has what the results say. A row names
its case and what is compared; a case that was measured again takes its place by itself.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from harness import spread
from report import number

ROOT = Path(__file__).resolve().parent.parent
RESULTS, README, IMAGES = ROOT / "benchmarks/results", ROOT / "README.md", ROOT / "docs/img"
BEGIN, END = "<!-- speeds: benchmarks/tables.py -->", "<!-- end of speeds -->"
OPENVINO, ONNX_RUNTIME = "OpenVINO f32, portable graph", "ONNX Runtime, portable graph"


@dataclass(frozen=True)
class Row:
    """``name``'s rate over ``over``'s, in ``case`` (and ``part``); where times are compared, its time over ``over``'s.

    ``unit`` for the rate, empty to leave it out.
    """

    what: str
    case: str
    name: str
    over: str
    against: str
    unit: str = ""
    part: str = ""


_OURS = "dsb_fast"
ROWS = (
    Row("whole process, 400 ECGs to `.asc` files, start-up included", "ecg_process", _OURS, "deepfake-ecg",
        "`deepfakeecg.generate` 1.1.2 on the CPU", "ECG/s"),
    Row("5,000 ECGs to `.asc` files, whole process, per ECG", "ecg_bulk", _OURS, "deepfake-ecg",
        "the same, 200 ECGs, its imports not counted", "ECG/s"),
    Row("noise, network, microvolts in memory, float32", "ecg_network", _OURS, "ONNX Runtime, plain export",
        "ONNX Runtime on the published graph, its best settings", "ECG/s"),
    Row("the same", "ecg_network", _OURS, OPENVINO, "OpenVINO f32 on dsb_fast's own graph, its best settings"),
    Row("the same", "ecg_network", _OURS, ONNX_RUNTIME, "ONNX Runtime on dsb_fast's own graph"),
    Row("one ECG at a time", "ecg_latency", _OURS, OPENVINO, "OpenVINO's latency mode", "ECG/s"),
    Row("noise alone, one core", "philox", _OURS, "numpy PCG64", "numpy's PCG64, float32"),
    Row("text of an ECG", "text", _OURS, "numpy.savetxt", "`numpy.savetxt`"),
    Row("GI images in memory, float32", "gi_network", _OURS, OPENVINO,
        "OpenVINO f32 on dsb_fast's own graph, its best settings", "images/s"),
    Row("the same", "gi_network", _OURS, "torch, as published", "the original in eager torch"),
    Row("GI images in bfloat16, where the checkpoint passes its test", "gi_network", "dsb_fast bf16",
        "OpenVINO bf16, portable graph", "OpenVINO bf16", "images/s"),
    Row("NVIDIA's 256 x 256 configuration, float32", "nv_network", "dsb_fast, fused graph", OPENVINO,
        "OpenVINO f32 on dsb_fast's own graph", "images/s"),
    Row("start-up to the first sample: time", "startup", "dsb_fast.load(...).sample(1)", "import numpy, onnxruntime",
        "the time of `import numpy, onnxruntime`"),
)  # fmt: skip


def newest() -> dict[str, dict]:
    """Of every case the newest result without error, with ``date``, ``machine`` and ``packages`` of its file."""
    found: dict[str, dict] = {}
    for path in sorted(RESULTS.glob("cpu_*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        if "forced" in path.stem:  # held to fewer instructions than the machine has
            continue
        for name, case in document["cases"].items():
            if "error" not in case and document["date"] > found.get(name, {}).get("date", ""):
                found[name] = {**case, **{key: document[key] for key in ("date", "machine", "packages", "variant")}}
    return found


def _alternative(case: dict, name: str) -> dict | None:
    return next((row for row in case["alternatives"] if row["name"] == name), None)


def cells(row: Row, results: dict[str, dict]) -> tuple[str, str, str, str] | None:
    """What, ratio, against, date; None if the case has not been measured so."""
    case = results.get(row.case)
    case = case and (case["parts"].get(row.part) if row.part else case)
    if not case or "alternatives" not in case:
        return None
    mine, theirs = _alternative(case, row.name), _alternative(case, row.over)
    if not mine or not theirs:
        return None
    ratio = spread([a / b for a, b in zip(mine["values"], theirs["values"], strict=True)])
    rate = f"; {mine['median']:.0f} {row.unit}" if row.unit and case["unit"] != "s" else ""
    said = f"**{number(ratio['median'])}** times ({number(ratio['min'])}..{number(ratio['max'])}{rate})"
    return row.what, said, row.against, results[row.case]["date"][:10]


def readme_table(results: dict[str, dict]) -> str:
    """The whole block between the markers."""
    rows = [found for row in ROWS if (found := cells(row, results))]
    machines = sorted({results[row.case]["machine"]["model"] for row in ROWS if row.case in results})
    lines = ["| | ratio (min..max of the rounds) | against | measured |", "| --- | --- | --- | --- |"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    memory = results.get("memory")
    if memory:
        lines.append(f"| peak memory of a run | {memory['measured']} | | {memory['date'][:10]} |")
    return "\n".join([BEGIN, f"Machine: {', '.join(machines)}.", "", *lines, END])


def with_table(text: str, table: str) -> str:
    """``text`` with what stands between the markers replaced. Raises ValueError without markers."""
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"README.md has no lines {BEGIN} and {END}")
    return before + table + after


def main() -> int:
    """0: written, or README is as it should be; 1: it is not."""
    parser = argparse.ArgumentParser(prog="tables.py", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if README is not what results say")
    args = parser.parse_args()
    results = newest()
    text = README.read_text(encoding="utf-8")
    made = with_table(text, readme_table(results))
    if args.check:
        if made != text:
            sys.stderr.write("benchmarks: README.md's speeds are not those of benchmarks/results; run tables.py\n")
        return int(made != text)
    README.write_text(made, encoding="utf-8")
    import plots

    IMAGES.mkdir(exist_ok=True)
    for path in plots.draw(results, IMAGES):
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
