"""Instructions that the kernels and the formatter take on fixed inputs, against the recorded ones.

``python benchmarks/instructions`` builds, counts with valgrind's callgrind and compares; ``--record`` writes
recorded.json anew. Times can't be trusted on a machine that others use; counts repeat to the last instruction.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
RECORDED = HERE / "recorded.json"
TOLERANCE = 0.03
VARIANTS = ("scalar", "avx2")  # valgrind 3.19 does not know AVX-512


def fail(message: str):
    """One line on standard error, status 2."""
    sys.stderr.write(f"instructions: {message}\n")
    sys.exit(2)


def compiler(build: Path) -> str:
    """Name and version of what built ``build``: other compilers make other instructions."""
    found = next(build.glob("CMakeFiles/*/CMakeCXXCompiler.cmake")).read_text(encoding="utf-8")
    return " ".join(re.search(rf'^set\(CMAKE_CXX_COMPILER_{key} "(.*)"\)', found, re.M)[1] for key in ("ID", "VERSION"))


def build_program(folder: Path) -> Path:
    """The program that runs one case. Raises CalledProcessError with CMake's output."""
    steps = (
        ["cmake", "-S", HERE.parent.parent, "-B", folder, "-DCMAKE_BUILD_TYPE=Release", "-DDSB_TESTS=ON"],
        ["cmake", "--build", folder, "--target", "dsb_instructions", "--parallel", str(os.cpu_count() or 1)],
    )
    for step in steps:
        subprocess.run(step, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return folder / "dsb_instructions"


def count(program: Path, case: str, variant: str) -> int:
    """Instructions inside dsb_measured, with what it calls."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        options = ["--tool=callgrind", "--toggle-collect=dsb_measured", f"--callgrind-out-file={out}"]
        command = ["valgrind", *options, program, case]
        environment = {**os.environ, "DSB_FORCE_VARIANT": variant}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            fail(f"{case} {variant}: it could not be counted: {lines[-1] if lines else 'no message'}")
        return int(re.search(r"^(?:totals|summary): (\d+)", out.read_text(encoding="utf-8"), re.MULTILINE)[1])


def count_all(program: Path, variants: list[str]) -> dict[str, dict[str, int]]:
    """By variant and case."""
    listing = subprocess.run([program], capture_output=True, text=True, check=True)
    jobs = [(case, variant) for variant in variants for case in listing.stdout.split()]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        counts = list(pool.map(lambda job: count(program, *job), jobs))
    found: dict[str, dict[str, int]] = {variant: {} for variant in variants}
    for (case, variant), number in zip(jobs, counts, strict=True):
        found[variant][case] = number
    return found


def compare(found: dict, recorded: dict, tolerance: float = TOLERANCE) -> tuple[list[str], bool]:
    """A line a case, and whether none took more than ``tolerance`` above what is recorded, or is not recorded.

    Fewer instructions than recorded are no fault, but said, so that the record follows.
    """
    lines, good = [], True
    for variant, cases in found.items():
        for case, number in cases.items():
            before = recorded.get(variant, {}).get(case)
            if before is None:
                lines.append(f"{variant:7} {case:20} {number:12}  NOT RECORDED")
                good = False
                continue
            change = number / before - 1
            word = "MORE" if change > tolerance else "fewer: record it" if change < -tolerance else ""
            good &= change <= tolerance
            lines.append(f"{variant:7} {case:20} {number:12} {change:+8.2%}  {word}".rstrip())
    return lines, good


def main() -> int:
    """0: as recorded, or nothing to compare with here, said why; 1: more instructions; 2: it could not be counted."""
    parser = argparse.ArgumentParser(prog="instructions", description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true", help="write recorded.json")
    parser.add_argument("--build", metavar="DIR", help="a build folder that is kept (default: a temporary one)")
    args = parser.parse_args()
    if not shutil.which("valgrind"):
        print("not counted: valgrind is not installed")
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(args.build or temporary)
        try:
            program = build_program(folder)
        except subprocess.CalledProcessError as error:
            fail(f"the program can't be built: {error.stdout}")
        by = compiler(folder)
        recorded = json.loads(RECORDED.read_text(encoding="utf-8")) if RECORDED.is_file() else {}
        if not args.record and recorded.get("compiler") != by:
            print(f"not compared: recorded with {recorded.get('compiler')}, here is {by}; --record records anew")
            return 0
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
        variants = [name for name in VARIANTS if name == "scalar" or re.search(rf"\b{name}\b", flags)]
        found = count_all(program, variants)
    if args.record:
        document = {"compiler": by, "counts": found}
        RECORDED.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        print(f"written: {RECORDED}")
        return 0
    lines, good = compare(found, recorded["counts"])
    print("\n".join(lines))
    print(f"{'as recorded' if good else 'more than recorded'}, within {TOLERANCE:.0%}; {by}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
