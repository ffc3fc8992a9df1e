"""S3 as its users have it: s3fs against moto's server, from which boto3 reads back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from references.signal_generator import SignalGenerator
from references.trees import tree

import dsb_fast
from dsb_fast._bulk import part, retry, run, verify
from dsb_fast._bulk import store as store_module
from dsb_fast._bulk.merge import merge
from dsb_fast._bulk.store import Store

_WHY = "needs moto's S3 server: pip install '.[test-s3]'"
pytest.importorskip("s3fs", reason=_WHY)
boto3 = pytest.importorskip("boto3", reason=_WHY)
moto_server = pytest.importorskip("moto.server", reason=_WHY)

pytestmark = pytest.mark.variant_independent


@pytest.fixture(scope="module")
def endpoint():
    """The address of a server; this process and those that it starts use it for S3."""
    server = moto_server.ThreadedMotoServer(port=0)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    settings = {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        yield address
    server.stop()


@pytest.fixture
def bucket(endpoint, request):
    """A new bucket."""
    name = request.node.name.replace("_", "-")[:60].strip("-")
    boto3.client("s3").create_bucket(Bucket=name)
    return name


def objects(bucket):
    """Every object as boto3 sees it."""
    client = boto3.client("s3")
    found = client.list_objects_v2(Bucket=bucket).get("Contents", [])
    return {item["Key"]: client.get_object(Bucket=bucket, Key=item["Key"])["Body"].read() for item in found}


def make(place, name, count=5, shard_size=2, **how):
    recipe, options, format_ = run.make_recipe(SignalGenerator(), count, 3, format=name, shard_size=shard_size)
    return run.generate_dataset(SignalGenerator(), str(place), recipe, options, format_, **how)


def test_objects_are_the_files_of_a_local_run(bucket, tmp_path):
    for name in ("npy", "wfdb"):
        make(tmp_path / name, name)
        assert make(f"s3://{bucket}/{name}", name)
        assert not make(f"s3://{bucket}/{name}", name)
        assert verify.verify_dataset(f"s3://{bucket}/{name}")["samples"] == 5
    assert objects(bucket) == tree(tmp_path)


def test_a_large_shard_goes_in_parts_and_is_proved_by_its_checksum(bucket, tmp_path, monkeypatch):
    """23 MB in parts of 8 MiB; nothing is read back, as the store's checksum is that of the file."""
    count = 24_000
    make(tmp_path / "d", "npy", count, count)
    with monkeypatch.context() as patch:
        patch.setattr(store_module, "_same", lambda *_: pytest.fail("read back"))
        make(f"s3://{bucket}/d", "npy", count, count)
    head = boto3.client("s3").head_object(Bucket=bucket, Key="d/000000000.npy")
    assert head["ETag"].endswith('-3"') and head["ContentLength"] > 20 << 20
    assert objects(bucket) == tree(tmp_path)
    with monkeypatch.context() as patch:  # where it is none, the bytes are compared
        patch.setattr(store_module, "_checksum_proves", lambda *_: False)
        make(f"s3://{bucket}/d", "npy", count, count, overwrite=True)
    assert objects(bucket) == tree(tmp_path)
    assert not boto3.client("s3").list_multipart_uploads(Bucket=bucket).get("Uploads")


def test_parts_are_joined_in_a_bucket(bucket, tmp_path):
    make(tmp_path / "whole", "npy")
    for k, shards in enumerate([(0, 1), (1, 3)]):
        recipe, options, format_ = run.make_recipe(SignalGenerator(), 5, 3, format="npy", shard_size=2)
        recipe = part.part_recipe(recipe, *shards)
        run.generate_dataset(SignalGenerator(), f"s3://{bucket}/parts/{k}", recipe, options, format_)
    merge([f"s3://{bucket}/parts/1", f"s3://{bucket}/parts/0"], f"s3://{bucket}/whole")
    assert {k: v for k, v in objects(bucket).items() if k.startswith("whole")} == tree(tmp_path)


def test_what_s3_refuses_is_said_in_a_line(endpoint, monkeypatch):
    monkeypatch.setattr(retry, "sleep", lambda _: None)
    with pytest.raises(dsb_fast.GenerationError, match=r"^s3://there-is-no-such-bucket/d.*bucket") as caught:
        make("s3://there-is-no-such-bucket/d", "npy")
    assert "\n" not in str(caught.value)


def test_processes_and_a_kill(bucket, generator, command, tmp_path):
    """Worker processes upload by themselves; killed, the command ends with the bytes of one never killed."""
    url = f"s3://{bucket}/whole"
    recipe, options, format_ = run.make_recipe(generator, 8, format="asc", shard_size=2)
    run.generate_dataset(generator, str(tmp_path / "whole"), recipe, options, format_)
    arguments = ["generate", "cardiovascular.ecg", "-n", "8", "--shard-size", "2", "--device", "cpu", "-o", url]
    killed = [sys.executable, "-m", "dsb_fast", *arguments, "--workers", "2"]
    process = subprocess.Popen(killed, cwd=tmp_path, start_new_session=True, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while _noted(url) < 1 and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    command(*arguments, "--quiet", check=0)
    assert objects(bucket) == tree(tmp_path)
    assert not run.generate_dataset(generator, url, recipe, options, format_)
    assert verify.verify_dataset(url, sample=2)["made_again"] == 2


def _noted(url):
    """How many shards the journal has."""
    return sum(Path(name).stem.isdigit() for name in Store(url).sizes("dataset.journal"))
