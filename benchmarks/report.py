"""Results as text for people and as JSON for later."""

from __future__ import annotations

import json
from pathlib import Path


def number(value: float) -> str:
    """Three or four significant digits, never an exponent."""
    size = abs(value)
    decimals = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:.{decimals}f}"


def _span(values: dict) -> str:
    return f"{number(values['min'])}..{number(values['max'])}"


def table(rows: list[tuple[str, ...]]) -> str:
    """Columns padded to their widest cell, the first flush left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *rest in rows:
        cells = [first.ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(rest, widths[1:], strict=True))]
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines)


def head(about: dict) -> str:
    """Machine, variant, versions and commit."""
    machine = about["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in about["packages"].items())
    return (
        f"machine  {machine['model']} family {machine['family']}, {machine['cores']} cores, "
        f"{' '.join(machine['flags'])}\n"
        f"variant  {about['variant']}\n"
        f"commit   {about['commit'] or 'unknown'}\n"
        f"versions {versions}"
    )


def _timing(result: dict) -> list[str]:
    unit = result["unit"]
    rows = [("", unit, "min..max", "ratio", "min..max")]
    for row in result["alternatives"]:
        name = row["name"] + (f" ({row['setting']})" if row["setting"] else "")
        rows.append((name, number(row["median"]), _span(row), number(row["ratio"]["median"]), _span(row["ratio"])))
    lines = [table(rows)]
    sense = "time over the baseline's, less is better" if unit == "s" else "rate over the baseline's, more is better"
    lines.append(
        f"  baseline {result['baseline']}; ratio: median over {result['rounds']} rounds of the {sense}, round by round"
    )
    for pair in result["targets"]:
        ratio = (
            f"{number(pair['ratio']['median'])} times {pair['over']} ({_span(pair['ratio'])}; target {pair['target']})"
        )
        lines.append(f"  {pair['name']}: {ratio}")
    probe = result["fma_gflops"]
    lines.append(f"  FMA probe {number(probe['median'])} GFLOP/s, {_span(probe)}")
    return lines


def case(name: str, result: dict) -> str:
    """One case's part of the report."""
    lines = [f"\n{name}: {result['summary']}"]
    if "error" in result:
        return "\n".join([*lines, f"  FAILED: {result['error']}"])
    for part, values in result.get("parts", {}).items():
        lines += [f"  {part}", *_body(values)]
    return "\n".join([*lines, *([] if "parts" in result else _body(result))])


def _body(result: dict) -> list[str]:
    lines = [f"  checked: {result['checked']}"]
    lines += _timing(result) if "alternatives" in result else [f"  {result['measured']}"]
    lines += [f"  missing: {peer}: {reason}" for peer, reason in result.get("missing", {}).items()]
    if result.get("note"):
        lines.append(f"  {result['note']}")
    return lines


def write_json(path: str, document: dict) -> None:
    """Write ``document``, indented, keys in the order given."""
    Path(path).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
