"""dsb_fast.generate_dataset: the command's files, from Python."""

from __future__ import annotations

import argparse
import inspect
import json
import signal

import pytest
from references.trees import tree

import dsb_fast
from dsb_fast._cli import generate as command_generate

pytestmark = pytest.mark.variant_independent

KEEP = "weakest_range_uv < 1500 and known(heart_rate_bpm)"
SAME = {"model", "count", "output", "format_options", "keep_id", "progress"}  # said in another way on the command line
OF_COMMAND = {"help", "grid", "quality", "time_column", "no_synthetic_mark", "format_option", "stats", "quiet"}


def make(model, folder, count=12, **how):
    return dsb_fast.generate_dataset(model, count, folder, **{"seed": 3, "format": "npy", "shard_size": 4, **how})


def test_parameters_are_the_options_of_the_command():
    parser = argparse.ArgumentParser()
    command_generate.add_arguments(parser)
    options = {action.dest for action in parser._actions}
    parameters = inspect.signature(dsb_fast.generate_dataset).parameters
    of_samples = set(command_generate._OPTIONS)
    assert set(parameters) - SAME - {"options"} == options - SAME - OF_COMMAND - of_samples
    assert of_samples <= options


def test_the_files_are_those_of_the_command(generator, command, tmp_path, capfd):
    keep = {"keep": KEEP, "annotate": ["heart_rate_bpm"]}
    command("generate", "cardiovascular.ecg", "-n", 12, "-o", "c", "--seed", 3, "--format", "csv", "--shard-size", 4,
            "--device", "cpu", "--time-column", "--leads", 12, "--keep", KEEP, "--annotate", "heart_rate_bpm",
            "--start", 5, check=0)  # fmt: skip
    seen, format_options = [], {"time_column": True}
    manifest = make("cardiovascular.ecg", tmp_path / "p", device="cpu", start=5, format="csv", leads=12,
                    format_options=format_options, progress=lambda *now: seen.append(now), **keep)  # fmt: skip
    assert tree(tmp_path / "p") == tree(tmp_path / "c")
    assert manifest == json.loads((tmp_path / "p/dataset.json").read_text()) and seen[-1] == (12, 12)
    again = make(generator, f"file://{tmp_path}/p", start=5, format="csv", leads=12,
                 format_options=format_options, **keep)  # fmt: skip
    assert again == manifest and tree(tmp_path / "p") == tree(tmp_path / "c")
    assert capfd.readouterr() == ("", "")


def test_workers_parts_recipes_and_longer_ones(generator, tmp_path):
    whole = make(generator, tmp_path / "whole")
    make(generator, tmp_path / "workers", workers=2, batch_size=2)
    assert tree(tmp_path / "workers") == tree(tmp_path / "whole")
    made = [make(generator, tmp_path / "0", part="0/2"), make(generator, tmp_path / "1", shard_range="1:3")]
    assert [record for part in made for record in part["shards"]] == whole["shards"]
    recipe = make(generator, tmp_path / "recipe", recipe_only=True)
    assert not recipe["complete"] and list(tree(tmp_path / "recipe")) == ["dataset.json"]
    make(generator, tmp_path / "longer", 6)
    assert make(generator, tmp_path / "longer", extend=True) == whole
    assert tree(tmp_path / "longer") == tree(tmp_path / "whole")
    assert make(generator, tmp_path / "longer", 6, overwrite=True)["count"] == 6


def test_a_function_is_kept_by(generator, tmp_path):
    text = make(generator, tmp_path / "text", keep="beats > 11")
    called = make(generator, tmp_path / "call", keep=lambda measured: measured["beats"] > 11, keep_id="more than 11")
    assert [s["sha256"] for s in called["shards"]] == [s["sha256"] for s in text["shards"]]
    assert called["keep"]["id"] == "more than 11" and called["yield"] == text["yield"]


@pytest.mark.parametrize(
    ("how", "error", "said"),
    [
        ({"batch_size": 0}, dsb_fast.InputError, "batch_size: 0"),
        ({"workers": 5000}, dsb_fast.InputError, "workers: 5000"),
        ({"part": "0/2", "shard_range": "0:1"}, dsb_fast.InputError, "shard_range, part"),
        ({"grid": 4}, dsb_fast.InputError, "no option is called grid"),
        ({"keep": "beats >"}, dsb_fast.InputError, "keep"),
        ({"device": "cpu"}, dsb_fast.InputError, "device: the Generator has been loaded"),
        ({"count": 0}, dsb_fast.InputError, "count: 0"),
    ],
)
def test_errors_are_one_line_and_nothing_is_written(generator, tmp_path, how, error, said):
    with pytest.raises(error, match=said) as raised:
        make(generator, tmp_path / "d", **how)
    assert "\n" not in str(raised.value) and not (tmp_path / "d").exists()
    with pytest.raises(dsb_fast.ModelError, match="neither a name nor a path"):
        make(7, tmp_path / "d")


def test_an_interrupted_call_goes_on(generator, tmp_path):
    whole = make(generator, tmp_path / "whole", 40)

    def stop(done, _):
        if done >= 12:
            signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # which a background process does not have
    try:
        with pytest.raises(KeyboardInterrupt):
            make(generator, tmp_path / "d", 40, progress=stop)
    finally:
        signal.signal(signal.SIGINT, before)
    left = tree(tmp_path / "d")
    assert "dataset.journal" in left and any(name.endswith(".npy") for name in left)
    assert not any(name.startswith(".dsb") for name in left)
    assert make(generator, tmp_path / "d", 40) == whole and tree(tmp_path / "d") == tree(tmp_path / "whole")
