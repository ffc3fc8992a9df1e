"""The command: exit statuses, one-line errors, output where it belongs."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch
from references.make_checkpoint import state_dict
from tolerances import ECG_EQUAL_SHARE

import dsb_fast
from dsb_fast._cli import COMMANDS
from dsb_fast._library import has_library


def test_generate_verify_and_again(process, tmp_path, generator):
    done = process("generate", "cardiovascular.ecg", "-n", 5, "-o", "d", "--seed", 9, check=0)
    assert done.stdout == "" and done.stderr == ""
    assert sorted(os.listdir(tmp_path / "d")) == ["0.asc", "1.asc", "2.asc", "3.asc", "4.asc", "dataset.json"]
    assert (generator.sample(1, seed=9, start=3)[0] == np.loadtxt(tmp_path / "d/3.asc", dtype=int).T).all()
    done = process("verify", "d", "--sample", 2, check=0)
    assert "5 samples" in done.stdout and done.stderr == ""
    done = process("generate", "cardiovascular.ecg", "-n", 5, "-o", "d", "--seed", 9, check=0)
    assert "finished already" in done.stderr and done.stdout == ""
    assert process("generate", "cardiovascular.ecg", "-n", 5, "-o", "d", "--seed", 9, "--quiet", check=0).stderr == ""


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["-n", 0], "-n"), (["-n", -4], "-n"), (["-n", "many"], "many"), (["-n", 2, "--seed", -1], "seed"),
        (["-n", 2, "--seed", 2**64], "seed"), (["-n", 2, "--start", -1], "start"),
        (["-n", 2, "--start", 2**64 - 1], "count"), (["-n", 2, "--format", "mp3"], "mp3"),
        (["-n", 2, "--device", "abacus"], "abacus"), (["-n", 2, "--device", "cuda:99"], "cuda"),
        (["-n", 2, "--leads", 7], "leads"), (["-n", 2, "--batch-size", 0], "batch-size"),
        (["-n", 2, "--workers", 0], "workers"), (["-n", 2, "--shard-size", 0], "shard_size"),
        (["-n", 2, "--precision", "bf16"], "bf16"), (["-n", 2, "--checkpoint", "none.pt"], "none.pt"),
        (["-n", 2, "--colour"], "colour"), (["-n", 2, "--card", "scale=red"], "red"), ([], "-n"),
        (["-n", 2, "--format", "asc", "--time-column"], "time_column"),
    ],
)  # fmt: skip
def test_wrong_command_lines_leave_nothing(command, one_line, tmp_path, arguments, word):
    line = one_line(command("generate", "cardiovascular.ecg", "-o", "d", *arguments), 2)
    assert line.startswith("dsb-fast: ") and word in line
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("model", ["cardiovascular.eeg", "digestive.gitract", "no/such/file.pt"])
def test_unknown_model(command, one_line, model):
    assert model in one_line(command("generate", model, "-n", 1, "-o", "d"), 2)


@pytest.mark.parametrize(
    "arguments", [["fly"], ["generate"], ["verify"], ["verify", "nowhere"], ["plot", "nowhere.asc"]]
)
def test_other_wrong_commands(process, one_line, arguments):
    one_line(process(*arguments), 2)


def test_foreign_folder_is_refused_and_kept(command, one_line, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d/thesis.txt").write_text("mine")
    assert "thesis.txt" in one_line(command("generate", "cardiovascular.ecg", "-n", 1, "-o", "d"), 2)
    assert os.listdir(tmp_path / "d") == ["thesis.txt"]
    command("generate", "cardiovascular.ecg", "-n", 1, "-o", "d", "--overwrite", check=0)
    assert (tmp_path / "d/thesis.txt").read_text() == "mine" and (tmp_path / "d/0.asc").exists()


def test_output_that_is_a_file_or_below_one(command, one_line, tmp_path):
    (tmp_path / "f").write_text("mine")
    one_line(command("generate", "cardiovascular.ecg", "-n", 1, "-o", "f"), 2)
    one_line(command("generate", "cardiovascular.ecg", "-n", 1, "-o", "f/d"), 2)
    assert (tmp_path / "f").read_text() == "mine"


def test_output_that_can_not_be_written(command, one_line):
    assert "/proc/nowhere" in one_line(command("generate", "cardiovascular.ecg", "-n", 1, "-o", "/proc/nowhere"), 1)


def test_full_disk(tmp_path):
    """Files of the process may not grow beyond 100 kB: the write fails as on a full disk."""
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "from dsb_fast._cli import main\n"
        "sys.exit(main(['generate', 'cardiovascular.ecg', '-n', '4', '-o', 'd', '--quiet']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1 and "too large" in done.stderr
    assert sorted(os.listdir(tmp_path / "d")) == ["dataset.journal", "dataset.json"]
    done = subprocess.run(
        [sys.executable, "-m", "dsb_fast", "generate", "cardiovascular.ecg", "-n", "4", "-o", "d"],
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0 and (tmp_path / "d/3.asc").exists()


@pytest.mark.variant_independent
def test_help_names_every_command(command, process):
    text = process("--help", check=0).stdout
    assert all(name in text for name in COMMANDS)
    for name in COMMANDS:
        assert "usage: dsb-fast" in command(name, "--help", check=0).stdout
    assert process("--version", check=0).stdout.strip() == f"dsb-fast {dsb_fast.__version__}"
    assert process().returncode == 2


@pytest.mark.variant_independent
def test_list(command):
    text = command("list", check=0).stdout
    assert "cardiovascular.ecg" in text and "skeletal (none yet)" in text
    assert json.loads(command("list", "--json", check=0).stdout) == dsb_fast.models()


def test_devices(process):
    text = process("devices", check=0).stdout
    assert "cpu" in text and "runs" in text
    found = json.loads(process("devices", "--json", check=0).stdout)
    assert found["active_variant"] and [r["device"] for r in found["devices"]] == [
        r["device"] for r in dsb_fast.devices()
    ]


def test_info(command, generator):
    assert "Scientific Reports" in command("info", "cardiovascular.ecg", check=0).stdout
    assert (
        json.loads(command("info", "cardiovascular.ecg", "--json", "--device", "cpu", check=0).stdout) == generator.info
    )


def test_export(command, one_line, tmp_path, generator):
    command("export", "cardiovascular.ecg", "-o", "ecg.onnx", check=0)
    onnx.checker.check_model(str(tmp_path / "ecg.onnx"))
    command("generate", "ecg.onnx", "-n", 2, "-o", "d", check=0)
    difference = np.abs(generator.sample(1, start=1)[0] - np.loadtxt(tmp_path / "d/1.asc", dtype=int).T)
    assert (difference == 0).mean() >= ECG_EQUAL_SHARE and difference.max() <= 1
    command("export", "cardiovascular.ecg", "-o", "fused.onnx", "--flavour", "fused", check=0)
    done = command("generate", "fused.onnx", "-n", 2, "-o", "e")
    if has_library():
        assert done.returncode == 0
        assert (generator.sample(1, start=1)[0] == np.loadtxt(tmp_path / "e/1.asc", dtype=int).T).all()
    else:
        assert "portable" in one_line(done, 2)
    one_line(command("export", "cardiovascular.ecg", "-o", "no/such/folder/ecg.onnx"), 1)
    assert "fancy" in one_line(command("export", "cardiovascular.ecg", "-o", "x.onnx", "--flavour", "fancy"), 2)


def test_foreign_checkpoint_says_what_it_assumes(command, tmp_path):
    torch.save(state_dict(6), tmp_path / "net.pt")
    done = command("generate", "net.pt", "-n", 2, "-o", "d", "--card", "length=2500", check=0)
    assert "assumed" in done.stderr and "scale" in done.stderr and "length" not in done.stderr
    manifest = json.loads((tmp_path / "d/dataset.json").read_text())
    assert manifest["licence"] == "unknown" and manifest["sample_shape"] == [8, 2500]
    command("verify", "d", "--sample", 2, "--checkpoint", "net.pt", check=0)
    assert command("verify", "d", "--sample", 2).returncode == 1
    (tmp_path / "card.json").write_text('{"length": 2500, "scale": 3.0, "unit": "mV", "sampling_rate_hz": 250}')
    assert command("generate", "net.pt", "-n", 2, "-o", "e", "--card", "card.json", check=0).stderr == ""


def test_debug_shows_the_traceback(process):
    done = process("generate", "cardiovascular.eeg", "-n", 1, "-o", "d", "--debug")
    assert done.returncode != 0 and "Traceback" in done.stderr


def test_memory_does_not_grow_with_the_count(tmp_path):
    """Peak below 400 MB at a small count; benchmarks/ shows 20,000. (ru_maxrss would include the parent's peak.)"""
    code = (
        "import sys\n"
        "from dsb_fast._cli import main\n"
        "main(['generate', 'cardiovascular.ecg', '-n', sys.argv[1], '-o', sys.argv[2], '--format', 'dummy'])\n"
        "print(next(int(line.split()[1]) // 1024 for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    few, many = (
        int(subprocess.check_output([sys.executable, "-c", code, n, f"d{n}"], cwd=tmp_path, text=True))
        for n in ("100", "1500")
    )
    print(f"peak {few} MB for 100 ECGs, {many} MB for 1500")
    assert many < 400 and many < few + 60
