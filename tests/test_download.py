"""Fetching weights from a server on this machine: whole or not at all, and what is said when it can't be done."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from references.file_server import Served, serving

import dsb_fast
from dsb_fast import _download, _http
from dsb_fast._models import registry
from dsb_fast._models.weights import place, present, weights_of

pytestmark = pytest.mark.variant_independent

CONTENT = bytes(range(256)) * 5000  # 1.28 MB, several blocks
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def _fetching_is_allowed(tmp_path, monkeypatch):
    """The suite forbids the network; here only this machine is asked, and nobody waits between attempts."""
    monkeypatch.delenv("DSB_OFFLINE")
    monkeypatch.setenv("DSB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    monkeypatch.setattr(_http, "WAITS_S", (0.0, 0.0, 0.0))


@pytest.fixture
def server():
    """A served file, its address, and redirects."""
    served = Served(CONTENT)
    with serving(served) as (address, redirects):
        yield served, address, redirects


def wanted(tmp_path: Path, address: str, **facts) -> _download.Wanted:
    return _download.Wanted("digestive.gitract", f"{address}/model_1000.pt", str(tmp_path / "w/model_1000.pt"), **facts)


def left(tmp_path: Path) -> set[str]:
    folder = tmp_path / "w"
    return set(os.listdir(folder)) if folder.is_dir() else set()


WHOLE = {"model_1000.pt", "model_1000.pt.sha256"}


def test_first_use_fetches_and_records_the_digest_that_later_uses_are_held_to(server, tmp_path):
    served, address, _ = server
    want, shown = wanted(tmp_path, address), []
    path = _download.fetch(want, lambda: lambda done, of: shown.append((done, of)))
    assert Path(path).read_bytes() == CONTENT and left(tmp_path) == WHOLE
    assert shown[0] == (0, len(CONTENT)) and shown[-1] == (len(CONTENT), len(CONTENT)) and shown == sorted(shown)
    check = subprocess.run(["sha256sum", "--check", "--strict", path + ".sha256"], cwd=tmp_path / "w", check=False)
    assert check.returncode == 0
    assert _download.fetch(want) == path and len(served.asked) == 1
    os.utime(path, ns=(1, 1))  # copied elsewhere and back: hashed, and found to be the same
    assert _download.fetch(want) == path and "mtime_ns 1\n" in Path(path + ".sha256").read_text()
    Path(path).write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(dsb_fast.CheckpointError, match="has changed since it was fetched") as caught:
        _download.fetch(want)
    assert "\n" not in str(caught.value) and path in str(caught.value) and len(served.asked) == 1


def test_a_file_put_there_by_hand_is_used_and_recorded(tmp_path):
    want = wanted(tmp_path, "https://example.invalid")
    Path(want.path).parent.mkdir()
    Path(want.path).write_bytes(b"by hand")
    assert _download.fetch(want) == want.path and left(tmp_path) == WHOLE
    for facts, word in (({"sha256": SHA256}, "published"), ({"size": 8}, "published"), ({"size": 7}, "")):
        if word:
            with pytest.raises(dsb_fast.CheckpointError, match=word):
                _download.fetch(want._replace(**facts))
        else:
            assert _download.fetch(want._replace(**facts)) == want.path


def test_a_broken_record_is_no_record(tmp_path):
    want = wanted(tmp_path, "https://example.invalid")
    Path(want.path).parent.mkdir()
    Path(want.path).write_bytes(b"by hand")
    Path(want.path + ".sha256").write_bytes(b"\xff\x00 nonsense")
    assert _download.fetch(want) == want.path
    assert Path(want.path + ".sha256").read_text().startswith(hashlib.sha256(b"by hand").hexdigest())


@given(st.lists(st.integers(0, len(CONTENT) - 1), max_size=3), st.booleans(), st.booleans())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_connections_that_break_end_with_the_whole_file(tmp_path_factory, breaks, ranges, etag):
    """Three breaks, of which the server goes on after none or each, named by ETag or by date."""
    folder = tmp_path_factory.mktemp("breaks")
    served = Served(CONTENT, ranges=ranges, breaks=list(breaks))
    if not etag:
        served.etag, served.last_modified = None, "Wed, 21 Oct 2015 07:28:00 GMT"
    with serving(served) as (address, _):
        path = _download.fetch(wanted(folder, address, sha256=SHA256))
    assert Path(path).read_bytes() == CONTENT and left(folder) == WHOLE
    if breaks and breaks[0]:
        assert served.asked[1]["Range"] == f"bytes={breaks[0]}-"
        assert served.asked[1]["If-Range"] == (served.etag or served.last_modified)


def test_what_one_process_left_the_next_goes_on_with(server, tmp_path):
    served, address, _ = server
    served.breaks = [1000, 0, 0, 0, 0]
    with pytest.raises(dsb_fast.DownloadError, match="1000 bytes are kept"):
        _download.fetch(wanted(tmp_path, address))
    assert {"model_1000.pt.part", "model_1000.pt.part.json"} < left(tmp_path) and not WHOLE & left(tmp_path)
    shown = []
    _download.fetch(wanted(tmp_path, address), lambda: lambda done, of: shown.append(done))
    assert left(tmp_path) == WHOLE and shown[0] == 1000
    assert served.asked[-1]["Range"] == "bytes=1000-" and Path(tmp_path / "w/model_1000.pt").read_bytes() == CONTENT


def test_killed_between_the_last_byte_and_the_final_name(server, tmp_path, monkeypatch):
    served, address, _ = server
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda old, new: (_ for _ in ()).throw(KeyboardInterrupt) if new.endswith(".pt")
                      else os.rename(old, new))  # fmt: skip
        with pytest.raises(KeyboardInterrupt):
            _download.fetch(wanted(tmp_path, address))
    assert not WHOLE & left(tmp_path)
    _download.fetch(wanted(tmp_path, address))
    assert left(tmp_path) == WHOLE and len(served.asked) == 1


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b'{"url": 1}', b'{"url": "x", "validator": "y", "size": "z"}'])
def test_a_part_of_something_unknown_is_not_built_on(server, tmp_path, note):
    served, address, _ = server
    (tmp_path / "w").mkdir()
    (tmp_path / "w/model_1000.pt.part").write_bytes(b"something else")
    (tmp_path / "w/model_1000.pt.part.json").write_bytes(note)
    assert Path(_download.fetch(wanted(tmp_path, address))).read_bytes() == CONTENT
    assert "Range" not in served.asked[0]


@pytest.mark.parametrize("if_range", [True, False])
@pytest.mark.parametrize("length", [len(CONTENT), len(CONTENT) - 7, 3])
def test_content_that_changes_between_attempts_is_never_mixed(server, tmp_path, if_range, length):
    """Also where the server ignores If-Range and sends the rest of the new file, or of a shorter one."""
    served, address, _ = server
    new = bytes(reversed(CONTENT))[:length]

    def change():
        served.content, served.etag = new, '"two"'

    served.breaks, served.after_break, served.if_range = [500_000], change, if_range
    assert Path(_download.fetch(wanted(tmp_path, address))).read_bytes() == new


def test_pieces_of_two_versions_that_look_like_one_are_fetched_again(server, tmp_path):
    """A server that says nothing of the change: the card's digest tells."""
    served, address, _ = server

    def change():
        served.content = bytes(reversed(CONTENT))

    served.breaks, served.after_break = [500_000], change
    digest = hashlib.sha256(CONTENT[::-1]).hexdigest()
    assert Path(_download.fetch(wanted(tmp_path, address, sha256=digest))).read_bytes() == CONTENT[::-1]


def test_a_version_that_can_not_be_named_is_begun_anew(server, tmp_path):
    served, address, _ = server
    served.etag, served.breaks = 'W/"weak"', [1000]
    assert Path(_download.fetch(wanted(tmp_path, address))).read_bytes() == CONTENT
    assert all("Range" not in request for request in served.asked)


def test_a_server_that_sends_another_range_is_not_believed(server, tmp_path):
    served, address, _ = server
    served.breaks, served.shift = [1000], 1
    assert Path(_download.fetch(wanted(tmp_path, address))).read_bytes() == CONTENT


def test_busy_servers_are_asked_again(server, tmp_path):
    served, address, _ = server
    served.statuses = [503, 429, 500]
    assert Path(_download.fetch(wanted(tmp_path, address))).read_bytes() == CONTENT


def _refused(want: _download.Wanted, *words: str) -> None:
    with pytest.raises(dsb_fast.DownloadError) as caught:
        _download.fetch(want)
    text = str(caught.value)
    assert text.startswith("digestive.gitract: its weights can't be fetched (") and "\n" not in text
    assert all(word in text for word in (*words, f"download {want.url} to {want.path}, or give --checkpoint FILE"))


@pytest.mark.parametrize(
    ("headers", "statuses", "asked", "word"),
    [
        ({}, [404], 1, "404"), ({}, [403], 1, "403"), ({}, [503] * 9, 4, "503"),
        ({"Content-Type": "text/html; charset=utf-8"}, [], 1, "web page"),
        ({"Content-Length": None}, [], 1, "how long"), ({"Content-Length": "0"}, [], 1, "how long"),
        ({"Content-Length": str(5 << 30)}, [], 1, "more than"), ({"Content-Encoding": "gzip"}, [], 1, "gzip"),
        ({"Content-Length": str(len(CONTENT) + 1)}, [], 4, "416"),
    ],
)  # fmt: skip
def test_answers_that_are_not_the_file(server, tmp_path, headers, statuses, asked, word):
    served, address, _ = server
    served.headers, served.statuses = headers, statuses
    _refused(wanted(tmp_path, address), word)
    assert not WHOLE & left(tmp_path) and len(served.asked) == asked


def test_a_length_shorter_than_the_content_is_the_length(server, tmp_path):
    """HTTP cuts the answer at its Content-Length; a card that knows the size or the digest is not deceived."""
    served, address, _ = server
    served.headers = {"Content-Length": "1000"}
    _refused(wanted(tmp_path, address, size=len(CONTENT)), "1000 bytes", "1280000")
    with pytest.raises(dsb_fast.CheckpointError, match="not the published weights"):
        _download.fetch(wanted(tmp_path, address, sha256=SHA256))
    assert left(tmp_path) <= {"model_1000.pt.lock"}


def test_another_file_than_the_card_says_is_not_kept(server, tmp_path):
    _, address, _ = server
    with pytest.raises(dsb_fast.CheckpointError, match="not the published weights") as caught:
        _download.fetch(wanted(tmp_path, address, sha256="0" * 64))
    assert SHA256[:16] in str(caught.value) and not WHOLE & left(tmp_path)


def test_redirects_are_followed_where_they_are_safe(server, tmp_path):
    served, address, redirects = server
    redirects["/to/model_1000.pt"] = f"{address}/elsewhere"
    served.breaks = [1000]
    assert Path(_download.fetch(wanted(tmp_path, address + "/to"))).read_bytes() == CONTENT
    assert [request.get("Range") for request in served.asked] == [None, None, "bytes=1000-", "bytes=1000-"]
    for target, word in (
        ("http://example.invalid/x", "not https"), ("ftp://127.0.0.1/x", "not https"), ("file:///etc/hosts", "302"),
    ):  # fmt: skip
        redirects["/to/model_1000.pt"] = target
        _refused(wanted(tmp_path / word, address + "/to"), word)
    _refused(wanted(tmp_path / "plain", "http://example.invalid"), "not https")


def test_without_a_network_one_line_says_what_to_do(tmp_path, monkeypatch):
    def none(*_args, **_named):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", none)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    _refused(wanted(tmp_path, "https://example.invalid"), "no network: Temporary failure in name resolution")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.undo()
        monkeypatch.delenv("DSB_OFFLINE")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        _refused(wanted(tmp_path, f"http://127.0.0.1:{unused.getsockname()[1]}"), "no network: Connection refused")


def test_offline_asks_nobody(server, tmp_path, monkeypatch):
    served, address, _ = server
    monkeypatch.setenv("DSB_OFFLINE", "1")
    with pytest.raises(dsb_fast.ModelError, match="DSB_OFFLINE") as caught:
        _download.fetch(wanted(tmp_path, address))
    assert address in str(caught.value) and not served.asked and not left(tmp_path)
    monkeypatch.setenv("DSB_OFFLINE", "0")
    path = _download.fetch(wanted(tmp_path, address))
    monkeypatch.setenv("DSB_OFFLINE", "yes")
    assert _download.fetch(wanted(tmp_path, address)) == path


def test_a_folder_that_can_not_be_written_and_a_full_disk(server, tmp_path):
    _, address, _ = server
    (tmp_path / "w").write_text("a file")
    _refused(wanted(tmp_path, address), str(tmp_path / "w"), "DSB_CACHE_DIR")
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "from dsb_fast import _download\n"
        "_download.fetch(_download.Wanted('m.n', sys.argv[1], sys.argv[2]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, address + "/x", tmp_path / "full"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "DownloadError" in done.stderr and "too large" in done.stderr and not (tmp_path / "full").exists()


def test_two_processes_fetch_once(server, tmp_path):
    served, address, _ = server
    served.pause_s = 0.5
    code = "import sys\nfrom dsb_fast import _download\n_download.fetch(_download.Wanted('m.n', *sys.argv[1:]))"
    both = [subprocess.Popen([sys.executable, "-c", code, address + "/x", "x"], cwd=tmp_path) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert len(served.asked) == 1 and (tmp_path / "x").read_bytes() == CONTENT
    assert sorted(os.listdir(tmp_path)) == ["x", "x.sha256"]


@pytest.fixture
def gitract(server):
    """The GI-tract card with the server in the place of the release."""
    card = registry.find("digestive.gitract")
    return replace(card, weights=replace(card.weights, url=f"{server[1]}/model_1000.pt"))


def test_where_weights_come_from(gitract, server, tmp_path):
    served = server[0]
    assert weights_of(gitract, tmp_path / "mine.pt", tmp_path) == str(tmp_path / "mine.pt") and not served.asked
    (tmp_path / "own").mkdir()
    (tmp_path / "own/model_1000.pt").write_bytes(b"own")
    assert weights_of(gitract, None, tmp_path / "own") == str(tmp_path / "own/model_1000.pt") and not served.asked
    assert os.listdir(tmp_path / "own") == ["model_1000.pt"]
    assert present(gitract) is None
    fetched = weights_of(gitract, checkpoint_dir=tmp_path / "there")  # as the originals: the folder is where it goes
    assert fetched == str(tmp_path / "there/model_1000.pt") and Path(fetched).read_bytes() == CONTENT
    assert weights_of(gitract, checkpoint_dir=tmp_path / "there") == fetched and len(served.asked) == 1
    in_cache = weights_of(gitract)
    assert in_cache == place(gitract) == str(tmp_path / "cache/weights/digestive.gitract/model_1000.pt")
    assert present(gitract) == in_cache and len(served.asked) == 2
    assert weights_of(gitract, checkpoint_dir=tmp_path / "empty") == in_cache and len(served.asked) == 2
    Path(fetched).write_bytes(b"changed")
    with pytest.raises(dsb_fast.CheckpointError, match="has changed"):
        weights_of(gitract, checkpoint_dir=tmp_path / "there")


def test_the_release_is_the_originals_one():
    weights = registry.find("digestive.gitract").weights
    release = "https://github.com/vlbthambawita/deepsynth-gitract/releases/download/checkpoints-v1.0/"
    assert (weights.url, weights.file) == (release + "model_1000.pt", "model_1000.pt")


def test_a_package_that_is_not_installed():
    card = registry.find("cardiovascular.ecg")
    missing = replace(card, weights=replace(card.weights, package="no_such_package_here"))
    with pytest.raises(
        dsb_fast.ModelError, match=r"pip install deepfake-ecg==1\.1\.2 brings them, or give --checkpoint"
    ):
        weights_of(missing)
    assert present(missing) is None and weights_of(card) == present(card)
