"""Datasets made on a Ray cluster of three nodes, all on this machine: the bytes of a run without Ray, whatever dies."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from references.trees import tree

import dsb_fast
from dsb_fast._bulk import run

ray = pytest.importorskip("ray", reason="needs Ray: pip install 'dsb-fast[ray]', or run .ci/ray")

pytestmark = pytest.mark.variant_independent

COUNT, LONG = 60, 640
WEIGHTS = Path(find_spec("deepfakeecg").submodule_search_locations[0], "checkpoints/g_stat.pt")
NODE = {"num_cpus": 1, "object_store_memory": 80_000_000, "include_dashboard": False}

SLOW = """
import os, time
from dsb_fast._bulk.writers.npy import NpyFormat

class SlowFormat(NpyFormat):
    name = "slow"

    def encode(self, samples, first=0):
        time.sleep(float(os.environ.get("DSB_TEST_SLEEP_S", 0)))
        return super().encode(samples, first)
"""


@pytest.fixture(scope="module", autouse=True)
def environment(tmp_path_factory):
    """What all processes share: a format "slow", so that there is time to end some, and stores that make folders."""
    place = tmp_path_factory.mktemp("site")
    (place / "slow_format.py").write_text(SLOW)
    info = place / "slow_format-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: slow-format\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[dsb_fast.formats]\nslow = slow_format:SlowFormat\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(place), os.environ.get("PYTHONPATH")])))
        patch.setenv("FSSPEC_FILE_AUTO_MKDIR", "true")
        patch.delenv("RAY_ADDRESS", raising=False)
        yield patch


@pytest.fixture(scope="module")
def cluster(environment, expected):
    from ray.cluster_utils import Cluster

    environment.setenv("DSB_TEST_SLEEP_S", "0.25")  # from now on, so on the nodes

    cluster = Cluster(initialize_head=True, head_node_args=NODE)
    try:
        for _ in range(2):
            cluster.add_node(**NODE)
        yield cluster
    finally:
        cluster.shutdown()


def digests(folder) -> dict[str, str]:
    """Every file below ``folder``; a failed comparison of the bytes themselves would take minutes to print."""
    return {name: hashlib.sha256(data).hexdigest() for name, data in tree(folder).items()}


def command_line(folder, *more, count=COUNT, format="npy"):
    return [sys.executable, "-m", "dsb_fast", "generate", "cardiovascular.ecg", "-n", str(count), "-o", str(folder),
            "--format", format, "--shard-size", "8", "--seed", "3", "--device", "cpu", *map(str, more)]  # fmt: skip


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """Digests of runs without Ray, by count and format."""
    made = {}
    for count, format in ((COUNT, "asc"), (LONG, "slow")):
        folder = tmp_path_factory.mktemp("expected")
        words = command_line(folder / "d", count=count, format=format)
        subprocess.run(words, check=True, capture_output=True, cwd=folder)
        made[count, format] = digests(folder / "d")
    return made


def start(folder, cluster, count=LONG):
    """The command under way, in the folder above ``folder``: "python -m" from the repository runs the source tree."""
    words = command_line(folder, "--engine", "ray", "--ray-address", cluster.address, count=count, format="slow")
    return subprocess.Popen(words, cwd=folder.parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_until(true, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def raylet_of(node) -> int:
    return node.all_processes["raylet"][0].process.pid


def tasks_of(pid: int) -> list[int]:
    """Processes of the raylet ``pid`` that work on one of our tasks."""
    found = []
    for child in Path(f"/proc/{pid}/task").glob("*/children"):
        for number in child.read_text().split():
            name = Path(f"/proc/{number}/cmdline")
            if name.exists() and name.read_bytes().startswith(b"ray::make_shards"):
                found.append(int(number))
    return found


def a_task_of(raylets: list[int]) -> int:
    """One of these processes, as soon as there is one."""
    found: list[int] = []
    wait_until(lambda: found.extend(task for raylet in raylets for task in tasks_of(raylet)) or found)
    return found[0]


def under_way(folder, shards=2):
    """Whether some shards are there and not all."""
    return folder.is_dir() and len([name for name in os.listdir(folder) if name.endswith(".npy")]) >= shards


def finished(process) -> str:
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return said


def test_a_cluster_changes_no_byte(cluster, expected, tmp_path):
    words = command_line("d", "--engine", "ray", "--stats", format="asc")
    environment = {**os.environ, "RAY_ADDRESS": cluster.address}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert digests(tmp_path / "d") == expected[COUNT, "asc"]
    assert done.stdout.startswith(f"{COUNT} samples, ") and "of 3 cores" in done.stdout
    again = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert again.returncode == 0 and "finished already" in again.stderr


def test_killed_processes_and_a_node_removed(cluster, expected, tmp_path):
    extra, folder = cluster.add_node(**NODE), tmp_path / "d"
    raylets = [raylet_of(node) for node in cluster.list_all_nodes()]
    process = start(folder, cluster)
    os.kill(a_task_of([raylet_of(extra)]), signal.SIGKILL)
    os.kill(a_task_of(raylets[:-1]), signal.SIGKILL)
    wait_until(lambda: under_way(folder))
    a_task_of([raylet_of(extra)])
    assert process.poll() is None
    cluster.remove_node(extra, allow_graceful=False)
    assert process.poll() is None
    assert finished(process) == ""
    assert digests(folder) == expected[LONG, "slow"]


def test_killed_driver(cluster, expected, tmp_path):
    folder = tmp_path / "d"
    process = start(folder, cluster)
    wait_until(lambda: under_way(folder))
    process.kill()
    process.communicate()
    left = json.loads((folder / "dataset.json").read_text())
    assert not left["complete"]
    finished(start(folder, cluster))  # at once, whether or not all tasks of the first have ended
    assert digests(folder) == expected[LONG, "slow"]


_AS_IN_A_TERMINAL = """
import signal, sys
from dsb_fast._cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main())
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_and_terminated(cluster, expected, tmp_path, number, status):
    folder = tmp_path / "d"
    words = command_line(folder, "--engine", "ray", "--ray-address", cluster.address, count=50_000, format="slow")
    process = subprocess.Popen(
        [sys.executable, "-c", _AS_IN_A_TERMINAL, *words[3:]], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: under_way(folder))
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == status
    assert len(said.strip().splitlines()) == 1 and "goes on" in said
    wait_until(lambda: not any(tasks_of(raylet_of(node)) for node in cluster.list_all_nodes()))
    assert not [name for name in os.listdir(folder) if name.startswith(".dsb-tmp")]
    made = {name: digest for name, digest in digests(folder).items() if name.endswith(".npy")}
    assert made.items() <= expected[LONG, "slow"].items()


def test_a_checkpoint_of_the_users_own_is_sent(cluster, tmp_path, monkeypatch):
    """In Python, on a connection that is there already; what a node loads is a copy with the same digest."""
    monkeypatch.chdir(tmp_path)  # Ray has nodes import from the current folder first
    generator = dsb_fast.load(WEIGHTS, device="cpu", card={"scale": 3.0, "unit": "mV", "licence": "mine"})
    recipe, options, format_ = run.make_recipe(generator, 20, seed=3, format="npy", shard_size=3)
    seen = []
    ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
    try:
        for name, how in (("one", {}), ("two", {"engine": "ray", "workers": 2})):
            run.generate_dataset(generator, str(tmp_path / name), recipe, options, format_,
                                 progress=lambda done, of: seen.append((done, of)), **how)  # fmt: skip
        with pytest.raises(dsb_fast.InputError, match="already"):
            run.generate_dataset(generator, str(tmp_path / "three"), recipe, options, format_, engine="ray",
                                 ray_address="auto")  # fmt: skip
        assert ray.is_initialized()
    finally:
        ray.shutdown()
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert seen[-1] == (20, 20) and seen[seen.index((0, 20), 1) :] == sorted(seen[seen.index((0, 20), 1) :])
    (sent,) = Path(os.environ["DSB_CACHE_DIR"], "sent").glob("*/g_stat.pt")
    assert sent.read_bytes() == WEIGHTS.read_bytes()


def test_a_store(cluster, expected, command, tmp_path):
    """A URL that is no folder of this machine to dsb_fast: every task uploads its own shards."""
    words = command_line(f"dir::file://{tmp_path}/d", "--engine", "ray", "--ray-address", cluster.address, format="asc")
    assert command(*words[3:], check=0).stderr == ""
    (manifest,) = tmp_path.rglob("dataset.json")  # fsspec's "dir" puts the path below the path
    assert digests(manifest.parent) == expected[COUNT, "asc"]


def test_an_error_on_a_node_is_one_line_and_not_tried_again(cluster, command, one_line, tmp_path):
    (tmp_path / "000000000.npy").mkdir()
    (tmp_path / "dataset.json").write_text("{}")
    words = ["cardiovascular.ecg", "-n", "9", "--shard-size", "8", "--format", "npy", "--device", "cpu", "-o", "."]
    done = command("generate", *words, "--overwrite", "--engine", "ray", "--ray-address", cluster.address)
    message = one_line(done, 1)
    assert message.startswith("dsb-fast: node ") and "000000000.npy" in message


def test_a_cluster_started_for_the_run(expected, tmp_path):
    begun = {name for name in os.listdir("/tmp") if name.startswith("dsb-ray-")}
    words = command_line("d", "--engine", "ray", "--workers", "2", format="asc")
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert digests(tmp_path / "d") == expected[COUNT, "asc"]
    assert {name for name in os.listdir("/tmp") if name.startswith("dsb-ray-")} <= begun


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:1", "ray://127.0.0.1:1"])
def test_no_cluster_is_one_line(command, one_line, address):
    done = command("generate", "cardiovascular.ecg", "-n", 1, "-o", "d", "--engine", "ray", "--ray-address", address)
    assert one_line(done, 2).startswith(f"dsb-fast: ray: no cluster at {address} ")
