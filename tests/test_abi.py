"""The binary interface is the recorded one: exported symbols, sizes and places of struct fields, constants.

tests/data/abi.txt is the record. A line that goes, or changes, breaks programs that were built before: DSB_ABI_VERSION
must then be raised. Lines may be added.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from references.c_interface import Info, Layout, OpenOptions, Request
from references.embedding import PREFIX, needs_library

import dsb_fast

pytestmark = [needs_library, pytest.mark.variant_independent]
RECORD = Path(__file__).parent / "data" / "abi.txt"
STRUCTS = {"dsb_open_options": OpenOptions, "dsb_request": Request, "dsb_layout": Layout, "dsb_info": Info}


def _header() -> str:
    text = (PREFIX / "include/dsb_fast/dsb_fast.h").read_text()
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def _fields() -> list[tuple[str, str]]:
    """Struct and field, in the header's order."""
    out = []
    for body, name in re.findall(r"typedef struct \w+ \{(.*?)\} (\w+);", _header(), flags=re.S):
        out += [(name, field) for field in re.findall(r"(\w+)(?:\[\d+\])?;", body)]
    return out


def _constants() -> list[str]:
    return [*re.findall(r"\b(DSB_\w+) = \d+", _header()), "DSB_ABI_VERSION"]


def _symbols() -> list[str]:
    listing = subprocess.check_output(["nm", "-D", "--defined-only", dsb_fast.get_library()], text=True)
    return sorted(line.split()[-1] for line in listing.splitlines() if line.split()[1] != "A")


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> list[str]:
    """The record as it would be written now: the header's part from a C11 program that a compiler makes of it."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        pytest.skip("no C compiler is here, which tells the places of fields")
    folder, lines = tmp_path_factory.mktemp("abi"), []
    for name in dict.fromkeys(struct for struct, _ in _fields()):
        lines.append(f'printf("struct {name} %zu\\n", sizeof({name}));')
    for struct, field in _fields():
        size = f"sizeof((({struct}*)0)->{field})"
        lines.append(f'printf("field {struct}.{field} %zu %zu\\n", offsetof({struct}, {field}), {size});')
    lines += [f'printf("constant {name} %d\\n", (int){name});' for name in _constants()]
    source = (
        "#include <dsb_fast/dsb_fast.h>\n#include <stdio.h>\nint main(void) {\n" + "\n".join(lines) + "\nreturn 0; }\n"
    )
    (folder / "abi.c").write_text(source)
    command = [
        compiler,
        "-std=c11",
        "-Wall",
        "-Wextra",
        "-Wpedantic",
        "-Werror",
        f"-I{dsb_fast.get_include()}",
        "abi.c",
    ]
    subprocess.run([*command, "-o", "abi"], cwd=folder, check=True)
    printed = subprocess.check_output([folder / "abi"], text=True).splitlines()
    return [f"symbol {name}" for name in _symbols()] + printed


def test_the_interface_is_the_recorded_one(found):
    recorded = RECORD.read_text().splitlines()
    gone = [line for line in recorded if line not in found]
    assert not gone, f"programs that were built before need these: {gone}"
    added = [line for line in found if line not in recorded]
    assert not added, f"add to {RECORD.name}: {added}"


def test_only_names_of_ours_are_exported():
    assert all(symbol.split("@")[0].startswith("dsb_") for symbol in _symbols())
    declared = set(re.findall(r"\b(dsb_\w+)\(", _header()))
    assert {symbol.split("@")[0] for symbol in _symbols()} == declared


def test_the_library_links_to_nothing_but_the_runtime_of_the_language():
    listing = subprocess.check_output(["readelf", "-d", dsb_fast.get_library()], text=True)
    needed = set(re.findall(r"NEEDED.*\[(.*?)\.so", listing))
    assert needed <= {"libstdc++", "libm", "libgcc_s", "libc", "libdl", "libpthread", "ld-linux-x86-64"}, needed
    assert "libdsb_fast.so.1" in listing


def test_the_bindings_of_the_tests_are_the_headers():
    for name, struct in STRUCTS.items():
        assert [field for field, *_ in struct._fields_] == [field for owner, field in _fields() if owner == name]


def test_both_headers_compile_by_themselves_in_c_and_cpp(tmp_path):
    found = [shutil.which(name) for name in ("cc", "c++")]
    if not all(found):
        pytest.skip("no C and C++ compiler is here")
    strict = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wold-style-cast", "-Werror", "-fsyntax-only"]
    for name, compiler, standard in (("h", found[0], "c11"), ("h", found[1], "c++17"), ("hpp", found[1], "c++17"),
                                     ("hpp", found[1], "c++20")):  # fmt: skip
        source = tmp_path / f"only.{'c' if standard == 'c11' else 'cc'}"
        source.write_text(f"#include <dsb_fast/dsb_fast.{name}>\n")
        flags = [flag for flag in strict if standard != "c11" or flag != "-Wold-style-cast"]
        subprocess.run([compiler, f"-std={standard}", *flags, f"-I{dsb_fast.get_include()}", source], check=True)
