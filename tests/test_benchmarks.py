"""The harness runs, checks and reports; no test looks at a timing."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from references.arrays import close
from tolerances import LUCID_IMAGE

from dsb_fast._library import has_library

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.variant_independent  # how kernels are checked and timed, not what they make
CASES = sorted(path.stem for path in (ROOT / "benchmarks" / "cases").glob("*.py"))


def run(program: str, *words, cwd) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "benchmarks" / program), *map(str, words)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["teext"], "'teext' is not known"),
        (["text", "netwrok"], "'netwrok' is not known"),
        ([], "none was named"),
        (["text", "--rounds", "0"], "--rounds: 0"),
        (["text", "--rounds", "many"], "--rounds"),
        (["text", "--json", "no/such/folder/x.json"], "does not exist"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_status_2(words, said, tmp_path):
    done = run("run.py", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr


def test_an_unknown_case_is_told_the_known_ones(tmp_path):
    done = run("run.py", "teext", cwd=tmp_path)
    assert all(name in done.stderr for name in CASES)


def test_list_names_every_case(tmp_path):
    done = run("run.py", "--list", cwd=tmp_path)
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == CASES
    assert {"ecg_network", "ecg_process", "gi_network", "gi_process", "memory", "philox", "startup", "text"} <= set(
        CASES
    )


def test_cases_are_checked_timed_and_written(tmp_path):
    done = run("run.py", "text", "philox", "--rounds", 1, "--count", 1, "--json", "out.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "out.json").read_text())
    assert {"date", "machine", "packages", "variant", "commit", "cases"} <= set(document)
    assert document["variant"] in done.stdout
    assert list(document["cases"]) == ["text", "philox"]
    for result in document["cases"].values():
        names = [row["name"] for row in result["alternatives"]]
        assert result["baseline"] in names
        assert "dsb_fast" in names
        assert result["checked"]
        assert len(result["fma_gflops"]["values"]) == result["rounds"] == 1
        for row in result["alternatives"]:
            assert row["name"] in done.stdout
            assert row["min"] <= row["median"] <= row["max"]
            assert len(row["values"]) == 1
        base = next(row for row in result["alternatives"] if row["name"] == result["baseline"])
        assert base["ratio"] == {"median": 1, "min": 1, "max": 1}


def test_scaling_and_encoders(tmp_path):
    done = run("run.py", "scaling", "encoders", "--rounds", 1, "--count", 4, "--json", "out.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    cases = json.loads((tmp_path / "out.json").read_text())["cases"]
    assert {row["axis"] for row in cases["scaling"]["rows"]} == {"threads", "batch", "workers", "samples"}
    assert all(row["min"] > 0 for row in cases["scaling"]["rows"])
    assert {"dsb_fast, png", "Pillow, png"} <= {row["name"] for row in cases["encoders"]["alternatives"]}


def run_small_images(before: str, *words, cwd) -> subprocess.CompletedProcess:
    """run.py with a small image network, after the statements ``before``."""
    code = f"""
import sys
sys.path.insert(0, {str(ROOT / "benchmarks")!r})
import gi_model, gi_peers, harness, run
gi_peers.BATCHES = (1, 2)
import cases.gi_network
harness.interleave.__defaults__ = (0,)  # no pauses: no test looks at a timing
cases.gi_network.COMPILE = False
gi_model.OPTIONS += "--image-size 32 --capacity 4 --latent-dim 24 --style-depth 2".split()
{before}
sys.exit(run.main({[str(word) for word in words]!r}))
"""
    return subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )


def test_image_cases_are_checked_timed_and_written(tmp_path):
    done = run_small_images(
        "import cases.bulk_stages\ncases.bulk_stages._ECG_FORMATS = ('npy',)",
        "gi_network",
        "gi_process",
        "bulk_stages",
        "--rounds",
        1,
        "--count",
        3,
        "--json",
        "out.json",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    cases = json.loads((tmp_path / "out.json").read_text())["cases"]
    network, process = cases["gi_network"], cases["gi_process"]
    work = {row["name"]: row["work"] for row in network["alternatives"]}
    assert {
        "dsb_fast",
        "dsb_fast, one thread",
        "dsb_fast, portable graph",
        "ONNX Runtime, portable graph",
        network["baseline"],
    } <= set(work)
    assert work["dsb_fast"] == work[network["baseline"]] == 4  # whole batches
    for peer in ("dsb_fast bf16", "OpenVINO f32, portable graph", "OpenVINO bf16, portable graph"):
        assert peer in work or network["missing"][peer if peer in network["missing"] else "OpenVINO"]
    assert "bound 2e-05" in network["checked"]
    assert {row["name"] for row in process["alternatives"]} == {"png", "jpg", "webdataset", "dummy"}
    assert process["baseline"] == "dummy"
    stages = cases["bulk_stages"]["parts"]
    assert {"ECG, npy", "GI image, png", "GI image, stylegan-zip"} == set(stages)
    for part in stages.values():
        assert {row["name"] for row in part["alternatives"]} == {"network", "encoder", "disk", "all"}
        assert "digests are those of --format dummy" in part["checked"] and "together" in part["note"]


@pytest.mark.parametrize(
    ("case", "spoil", "said"),
    [
        ("gi_network", "gi_peers.DsbFast.image = lambda self, x: self._generator.run(**x)['image'] * 1.0001\n"
         "cases.gi_network.find_spec = lambda name: None  # without OpenVINO", "dsb_fast ("),
        ("gi_process", "cases.gi_process._FORMATS = ('jpg', 'dummy'); cases.gi_process._JPEG_TOLERANCE = 0",
         "0.jpg of dsb-fast generate is not"),
    ],
    ids=["network", "process"],
)  # fmt: skip
def test_a_wrong_image_fails_before_anything_is_timed(case, spoil, said, tmp_path):
    done = run_small_images(f"import gi_peers, cases.gi_process\n{spoil}", case, "--rounds", 1, "-n", 1, cwd=tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert f"benchmarks: {case}: wrong answer: {said}" in done.stderr
    assert "min..max" not in done.stdout


@pytest.mark.parametrize("name", ["attn64", "plain32"])
def test_the_original_image_network_is_the_packages(data, name, monkeypatch):
    """Golden images of stylegan2-pytorch 1.5.10 itself, in float64."""
    import torch
    from dsb_fast.export import lucid
    from references import images

    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from published_stylegan2 import PublishedNetwork

    golden, (found, _) = images.golden(data, name), lucid.load(images.folder(data, name))
    for network, part in (("plain", "S"), ("ema", "SE")):
        tensors = found.network(network)
        mean = golden["av_S"][0]
        exact = PublishedNetwork(tensors.mapping, tensors.generator, mean, found.lr_mlp, torch.float64)
        image = exact.image(golden["z"], golden["noise"], float(golden["trunc_psi"]))
        close(image, golden[f"img_{part}_raw"], LUCID_IMAGE)


def test_a_wrong_answer_fails_before_anything_is_timed(tmp_path):
    code = f"""
import sys
sys.path.insert(0, {str(ROOT / "benchmarks")!r})
from dsb_fast import _kernels
right = _kernels.rows_as_text
_kernels.rows_as_text = lambda *words: right(*words).replace(b"7", b"1")
import run
sys.exit(run.main(["text", "--rounds", "1", "--count", "1"]))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["benchmarks: text: wrong answer: rows_as_text differs from savetxt in sample 0"]
    assert "min..max" not in done.stdout


def test_a_missing_baseline_is_one_line(tmp_path):
    code = f"""
import sys
sys.path.insert(0, {str(ROOT / "benchmarks")!r})
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "deepfakeecg" else find(name, *rest)
import run
sys.exit(run.main(["ecg_process", "--rounds", "1"]))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "baseline missing" in done.stderr


def test_ratios_are_taken_round_by_round(tmp_path):
    """A machine that is half as fast in the second round leaves every ratio as it is."""
    code = f"""
import sys
sys.path.insert(0, {str(ROOT / "benchmarks")!r})
import harness
spent = {{"slow": iter([4.0, 8.0, 4.0]), "fast": iter([1.0, 2.0, 1.0])}}
class Fixed(harness.Alternative):
    def seconds(self):
        order.append(self.name)
        return next(spent[self.name])
order = []
both = [Fixed("slow", None, 8), Fixed("fast", None, 8)]
targets = (("fast", "slow", 3.0), ("fast", "absent", 2.0))
compared = harness.Comparison("x/s", "slow", both, "", warm=True, targets=targets)
result = harness.interleave(compared, 3, lambda: 1.0, pause=0)
assert order == ["slow", "fast", "fast", "slow", "slow", "fast"], order
slow, fast = result["alternatives"]
assert slow["values"] == [2.0, 1.0, 2.0] and fast["values"] == [8.0, 4.0, 8.0]
assert fast["ratio"] == {{"median": 4.0, "min": 4.0, "max": 4.0}}, fast
assert result["targets"] == [{{"name": "fast", "over": "slow", "target": 3.0, "ratio": fast["ratio"]}}]
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def dry_run(tmp_path_factory):
    """What gpu_check prints and writes with the CPU in the GPU's place."""
    folder = tmp_path_factory.mktemp("gpu")
    done = run("gpu_check", "--dry-run", "--samples", 2, "--json", "gpu.json", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, json.loads((folder / "gpu.json").read_text())


def test_gpu_check_dry_run(dry_run):
    printed, document = dry_run
    assert document["dry_run"] and document["missing"] == {}
    assert set(document["cases"]) == {"ecg", "gi", "nv"} and set(document["peaks"]) == {"copy", "fp32", "fp16", "bf16"}
    for name, case in document["cases"].items():
        assert case["weights"] == "published" or "random" in case["weights"]
        assert all(row["holds"] for row in case["parity"] if row["required"])
        assert all(row["same_bits_in_other_batches"] for row in case["parity"])
        names = [row["name"] for row in case["speed"]["alternatives"]]
        assert {"original, eager", *(f"dsb_fast torch {p}" for p in ("fp32", "fp16", "bf16"))} <= set(names)
        assert all(made in printed for made in names)
        assert {row["precision"] for row in case["alone"]} == {"fp32", "fp16", "bf16"}, name
    verdicts = {row["name"]: row["verdict"] for row in document["cases"]["ecg"]["parity"]}
    assert verdicts["dsb_fast torch fp32"] == "holds" and verdicts["dsb_fast torch bf16"].startswith("refused: ")
    assert all(row["holds"] for row in document["cases"]["ecg"]["float64"] if row["required"])
    kernels = {(row["name"], row["precision"]): row for row in document["kernels"]}
    assert all(row["holds"] and row["seconds"] > 0 for row in kernels.values())
    assert ("upfirdn2d", "fp16") in kernels and ("philox", "fp32") in kernels


def test_gpu_check_names_what_is_missing(tmp_path):
    """Without a GPU every part says so, and the others go on."""
    done = run(
        "gpu_check", "--only", "kernels,ecg", "--samples", 2, "--device", "cuda:7", "--json", "g.json", cwd=tmp_path
    )
    assert done.returncode == 1, done.stdout + done.stderr
    missing = json.loads((tmp_path / "g.json").read_text())["missing"]
    assert {"peaks", "kernel philox fp32", "ecg: samples of dsb_fast torch fp32"} <= set(missing)
    assert all(f"missing: {what}: " in done.stdout for what in missing) and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words, message",
    [
        (("--only", "ecg,heart"), "--only: there is no part heart; there are build, kernels, ecg, gi, nv, compiled"),
        (("--minutes", 0), "--samples and --rounds must be at least 1, --minutes above 0"),
    ],
)
def test_gpu_check_refuses_what_it_does_not_know(tmp_path, words, message):
    done = run("gpu_check", *words, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, f"gpu_check: {message}\n")


def test_floors_are_what_torch_counts(tmp_path):
    """torch counts the products of the networks that run: the same, but for zeros among phases and NVIDIA's filters."""
    code = f"""
import sys
sys.path[:0] = [{str(ROOT / "benchmarks")!r}, {str(ROOT / "benchmarks/gpu_check")!r}]
import device_floors as floors, torch
from dsb_fast import _networks, load
from torch.utils.flop_counter import FlopCounterMode

def counted(description, inputs):
    network = _networks.network(description, torch.device("cpu"), torch.float32)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network.run(inputs)
    return counter.get_total_flops()

ecg = load({str(ROOT / "tests/data/ecgen/bare_new_names.pt")!r}, device="cpu", card={{"length": 2500}}).model.source
flop = floors.total(floors.ecg(ecg.network, 2500), 1, 4)["flop"]
assert 1 < counted(ecg.description(2500), {{"noise": torch.rand(1, 8, 2500)}}) / flop < 1.25
lucid = load({str(ROOT / "tests/data/lucid/models/attn64")!r}, device="cpu").model.source
network = lucid.lucid.network("ema")
flop = floors.total(floors.lucid(network.generator, network.mapping), 1, 4)["flop"]
inputs = {{"z": torch.randn(1, 56), "noise": torch.rand(1, 64, 64), "truncation_psi": torch.tensor(0.5)}}
share = counted(lucid.description("whole"), inputs) / flop
assert 1 < share < 1.05, share
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_gpu_check_refuses_a_file_that_is_not_there(tmp_path):
    done = run("gpu_check", "--checkpoint", "absent.pt", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "gpu_check: absent.pt: no such file\n")


@pytest.mark.skipif(
    not has_library(),
    reason="libdsb_fast_ort.so is not built: ONNX Runtime's C headers were not there (.ci/ort fetches them)",
)
def test_nvidias_network_is_checked_and_timed(tmp_path):
    """A small one."""
    code = f"""
import sys
sys.path.insert(0, {str(ROOT / "benchmarks")!r})
import nv_model, run
nv_model.SIZE, nv_model.LATENT, nv_model.CHANNEL_MAX = 16, 24, 8
sys.exit(run.main(["nv_network", "--rounds", "1", "--count", "3", "--json", "out.json"]))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    if find_spec("openvino") is None:
        assert "baseline missing" in done.stderr and done.returncode == 1
    else:
        assert done.returncode == 0, done.stderr
        result = json.loads((tmp_path / "out.json").read_text())["cases"]["nv_network"]
        work = {row["name"]: row["work"] for row in result["alternatives"]}
        assert {"dsb_fast, fused graph", "ONNX Runtime, portable graph", result["baseline"]} <= set(work)
        assert set(work.values()) == {8} and "bound 2e-05" in result["checked"]
