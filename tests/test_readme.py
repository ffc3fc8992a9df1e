"""The README's commands are the ones that CI runs, and its examples work."""

from __future__ import annotations

import argparse
import doctest
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import dsb_fast
from dsb_fast import _api, _generator, leads, random

ROOT = Path(__file__).parent.parent
OPS = [import_module(f"dsb_fast.ops.{name}") for name in ("bias_act", "modulated_conv2d", "setup_filter", "upfirdn2d")]
pytestmark = pytest.mark.variant_independent


def _set_up_commands() -> list[str]:
    text = (ROOT / "README.md").read_text()
    return [line for line in text.splitlines() if line.startswith("python3 -m venv")]


def test_two_commands_do_all_the_set_up():
    generate, test = _set_up_commands()
    assert "'.[cpu,plot]'" in generate and "-n 100" in generate and "plot" in generate
    assert test in {line.strip() for line in (ROOT / ".ci/run").read_text().splitlines()}


def test_python_examples_of_the_readme_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})  # our own file


@pytest.mark.parametrize("module", [_api, _generator, leads, random, *OPS])
def test_docstring_examples(module):
    names = {"np": __import__("numpy"), "load": dsb_fast.load, "uniform": random.uniform, "derive_12": leads.derive_12}
    assert doctest.testmod(module, extraglobs=names).failed == 0


def test_nothing_names_a_particular_machine():
    here = str(ROOT)
    for name in ("README.md", "pyproject.toml", "setup.py", "CMakeLists.txt", ".ci/run"):
        assert here not in (ROOT / name).read_text()


def test_every_command_is_documented():
    from dsb_fast._cli import COMMANDS

    text = (ROOT / "docs/command-line.md").read_text()
    for name in COMMANDS:
        assert f"dsb-fast {name}" in text


def test_every_option_is_documented():
    from dsb_fast._cli import COMMANDS

    text = (ROOT / "docs/command-line.md").read_text()
    for name in COMMANDS:
        parser = argparse.ArgumentParser()
        import_module(f"dsb_fast._cli.{name}").add_arguments(parser)
        options = {option for action in parser._actions for option in action.option_strings}
        missing = [option for option in options if option.startswith("--") and option not in text]
        assert missing in ([], ["--help"]), name


def test_no_command_of_the_readme_is_in_the_way_of_another():
    """Copied one after the other, each makes files of its own, or says that it goes on with another's."""
    text = (ROOT / "README.md").read_text()
    made: dict[str, str] = {}
    for block in re.findall(r"```sh\n(.*?)```", text, re.S):
        for command in re.findall(r"dsb-fast (?:generate|regenerate) [^\n&#]*", block):
            folder = re.search(r" -o (\S+)", command)[1]
            assert folder not in made or "--extend" in command, (made[folder], command)
            made[folder] = command


def test_examples_run(tmp_path):
    for path in sorted((ROOT / "examples").glob("*.py")):
        done = subprocess.run([sys.executable, path], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout
