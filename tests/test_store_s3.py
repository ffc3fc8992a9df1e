"""S3 as its users have it: s3fs against moto's server, from which boto3 reads back."""

from __future__ import annotations

import importlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import fsspec
import pytest
from references.signal_generator import SignalGenerator
from references.trees import tree

import dsb_fast
from dsb_fast._bulk import part, retry, run, verify
from dsb_fast._bulk import store as store_module
from dsb_fast._bulk.merge import merge
from dsb_fast._bulk.store import Store


def _needed(name):
    """A module, without which these tests are skipped, but for the stage of the checks that is there for them."""
    if os.environ.get("DSB_REQUIRE_S3") == "1":
        return importlib.import_module(name)
    return pytest.importorskip(name, reason=f"needs {name}: pip install '.[test-s3]', or run .ci/s3")


_needed("s3fs")
boto3, moto_server = _needed("boto3"), _needed("moto.server")

pytestmark = pytest.mark.variant_independent


class Failing:
    """moto's server, but every ``one_in``-th request that writes gets no help."""

    one_in = 0
    answers = ("503 Slow Down", "500 Internal Server Error")

    def __init__(self, application):
        self._application, self.failed, self._count = application, 0, 0

    def __call__(self, environ, start_response):
        if self.one_in and environ["REQUEST_METHOD"] in ("PUT", "POST"):
            self._count += 1
            if self._count % self.one_in == 0:
                self.failed += 1
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                status = self.answers[self.failed % 2]
                start_response(status, [("Content-Type", "application/xml")])
                code = status[4:].replace(" ", "")
                return [f"<Error><Code>{code}</Code><Message>Please try again</Message></Error>".encode()]
        return self._application(environ, start_response)


@pytest.fixture(scope="module")
def server():
    """A server on this machine, which this process and those that it starts use for S3."""
    from werkzeug.serving import make_server

    application = Failing(moto_server.DomainDispatcherApplication(moto_server.create_backend_app))
    made = make_server("127.0.0.1", 0, application, threaded=True)
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    settings = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{made.server_port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        yield application
    made.shutdown()
    made.server_close()


@pytest.fixture
def bucket(server, request):
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


def test_what_s3_refuses_is_said_in_a_line(server, monkeypatch):
    monkeypatch.setattr(retry, "sleep", lambda *_: None)
    with pytest.raises(dsb_fast.GenerationError, match=r"^s3://there-is-no-such-bucket/d.*bucket") as caught:
        make("s3://there-is-no-such-bucket/d", "npy")
    assert "\n" not in str(caught.value)


def test_a_server_that_fails_one_write_in_four(bucket, server, tmp_path, monkeypatch):
    """The packages below try nothing again here, so that it is this one that does."""
    waited = []
    kind = fsspec.get_filesystem_class("s3")
    make(tmp_path / "d", "wfdb", count=7)
    with monkeypatch.context() as patch:
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        patch.setattr(kind, "retries", 1)
        patch.setattr(kind, "cachable", False)
        patch.setattr(retry, "sleep", lambda seconds, _: waited.append(seconds))
        patch.setattr(server, "one_in", 4)
        make(f"s3://{bucket}/d", "wfdb", count=7)
    assert 4 < server.failed == len(waited)
    assert objects(bucket) == tree(tmp_path)


def test_a_server_that_nobody_answers_for_ends_the_run_in_time(server, monkeypatch):
    """An address that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("DSB_STORE_TIMEOUT_S", "1")
        monkeypatch.setenv("DSB_STORE_ATTEMPTS", "2")
        monkeypatch.setattr(fsspec.get_filesystem_class("s3"), "cachable", False)
        with pytest.raises(dsb_fast.GenerationError, match=r"^s3://silent/d.*no answer in 1 s \(tried 2 times\)"):
            make("s3://silent/d", "npy")


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
