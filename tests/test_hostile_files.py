"""Files that are damaged or made to hurt: one line and status 2, no more memory than they are large, no waiting."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shutil
import warnings
import zipfile
import zlib

import numpy as np
import pytest

from dsb_fast import _images, _json_text, _npy_file
from dsb_fast._bulk.manifest_file import parse_manifest
from dsb_fast._cli import main
from dsb_fast._errors import DatasetError, InputError
from dsb_fast._signal_file import read

pytestmark = pytest.mark.variant_independent
_ECG = np.arange(2 * 8 * 10, dtype=np.int16).reshape(2, 8, 10)


def _npy(array) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _headed(text: str, version: int = 1, data: bytes = bytes(320)) -> bytes:
    header = text.encode() + b"\n"
    length = len(header).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + data


def _described(shape: str, descr: str = "'<i2'") -> bytes:
    return _headed(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}")


@pytest.mark.parametrize(
    "array",
    [_ECG, np.asfortranarray(_ECG), _ECG.astype(">i4"), _ECG.astype("f8"), _ECG.astype("u2"), _ECG[0], _ECG[0, 0, 0],
     _ECG[:0], _ECG.astype("f2"), _ECG > 3],
    ids=lambda array: f"{array.dtype}{list(array.shape)}",
)  # fmt: skip
def test_npy_files_are_read_as_numpy_reads_them(array):
    for version in ((1, 0), (2, 0), (3, 0)):
        file = io.BytesIO()
        np.lib.format.write_array(file, np.asanyarray(array), version)
        found = _npy_file.parse(file.getvalue())
        assert np.array_equal(found, array) and found.dtype == array.dtype and found.shape == array.shape


NPY = {
    "a zip": b"PK\x05\x06" + bytes(18),
    "more values than there are": _described("(1, 8, 1000000000000)"),
    "a number that overflows": _described("(4611686018427387904, 8, 2)"),
    "more dimensions than an array has": _described("(" + "1, " * 70 + ")"),
    "a negative size": _described("(-1, 8, 2)"),
    "a size that is no number": _described("(True, 8, 2)"),
    "nesting": _described("(" + "-" * 9000 + "1, 8, 2)"),
    "brackets": _described("(" * 9000),
    "a string that does not end": _headed("{'descr': '<i2', 'fortran_order': False, 'shape': (2, 8, 10), 'x"),
    "a header that is not there": b"\x93NUMPY\x02\x00\xff\xff\xff\x7f{",
    "objects": _described("(1, 8, 2)", "'|O'"),
    "records": _described("(1, 8, 2)", "[('a', '<i2')]"),
    "values of no bytes": _described("(1, 8, 100000000000)", "'|V0'"),
    "text": _described("(1, 8, 2)", "'<U2'"),
    "an unknown type": _described("(1, 8, 2)", "'<y2'"),
    "blanks": _described(" " * 9000),
}


@pytest.mark.parametrize("name", sorted(NPY))
def test_npy_files_that_lie_are_refused(name, tmp_path):
    (tmp_path / "x.npy").write_bytes(NPY[name])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match=r"x\.npy"):
            read(str(tmp_path / "x.npy"))


def test_damaged_ecg_files_are_read_or_refused(tmp_path):
    """A hundred of each kind, drawn from a seed; what is read is whole microvolts."""
    draw = random.Random(5)
    rows = "\n".join(" ".join(map(str, row)) for row in _ECG[0].T)
    header = "r 2 500 10\nr.dat 16 200(0)/mV 16 0 0 0 0 I\nr.dat 16 200(0)/mV 16 0 0 0 0 II\n"
    (tmp_path / "r.dat").write_bytes(bytes(40))
    files = {"x.npy": _npy(_ECG), "x.asc": rows.encode(), "x.csv": b"I,II\n1,2\n3,4\n", "x.hea": header.encode()}
    pieces = (
        b"",
        b"\0",
        b"\xff" * 8,
        b"nan",
        b"1e999",
        b"-",
        b"9" * 400,
        "٣".encode(),
        b"\xef\xbb\xbf",
        b"(" * 50,
        b"'",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, raw in files.items():
            for _ in range(100):
                out = bytearray(raw)
                for _ in range(draw.choice((1, 2, 4))):
                    at = draw.randrange(len(raw))
                    out[at : at + draw.choice((0, 1, 8))] = draw.choice(pieces)
                (tmp_path / name).write_bytes(out)
                try:
                    assert read(str(tmp_path / name)).signal_uv.dtype == np.int16
                except InputError as error:
                    assert name in str(error) and "\n" not in str(error)


@pytest.mark.parametrize(
    "text",
    ["NaN", "[Infinity]", "1e999", '{"a": ' + "9" * 400 + "}", "9" * 5000, "[" * 100_000, '"\\ud800"', "x", "",
     '{"\\udc00": 1}'],
    ids=lambda text: text[:12],
)  # fmt: skip
def test_json_that_could_not_be_used_is_refused(text):
    for given in (text, text.encode(), text.encode("utf-16")):
        with pytest.raises(ValueError):
            _json_text.parse(given)


@pytest.mark.parametrize("value", [{"a": [1.5, None, True, "é\U0001f600"]}, 2**64 - 1, -1e308, []])
def test_json_that_can_be_used_is_read(value):
    for ascii_only in (True, False):
        text = json.dumps(value, ensure_ascii=ascii_only)
        assert _json_text.parse(text) == _json_text.parse(text.encode()) == value


def test_half_a_letter_is_no_text():
    with pytest.raises(ValueError):
        _json_text.parse(b'"\xed\xa0\x80"')


@pytest.mark.parametrize(
    ("key", "value"), [("sampling_rate_hz", "9" * 400), ("sample_shape", "[NaN]"), ("title", '"\\ud800"')]
)
def test_a_manifest_with_such_values_is_refused(key, value):
    with pytest.raises(DatasetError, match="not JSON"):
        parse_manifest("dataset.json", f'{{"{key}": {value}}}'.encode())


@pytest.fixture(scope="module")
def asc(tmp_path_factory):
    folder = tmp_path_factory.mktemp("asc") / "d"
    assert main(["generate", "cardiovascular.ecg", "-n", "1", "-o", str(folder), "--quiet"]) == 0
    return folder


def _forged(folder, data: bytes | None = None, **entries) -> None:
    """Another file of sample 0 with the checksum that fits, and other entries of the manifest."""
    manifest = json.loads((folder / "dataset.json").read_bytes())
    if data is not None:
        (folder / "0.asc").write_bytes(data)
        manifest["shards"][0].update(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    (folder / "dataset.json").write_text(json.dumps({**manifest, **entries}))


@pytest.mark.parametrize(
    ("change", "word"),
    [(lambda raw: b"99999" + raw.partition(b" ")[1] + raw.partition(b" ")[2], "int16"),
     (lambda raw: b"9" * 400 + b" " + raw.partition(b" ")[2], "int16"),
     (lambda raw: raw + b" " * 400_000, "longer"), (lambda raw: raw[: raw.rindex(b" ")], "39999 numbers")],
)  # fmt: skip
def test_numbers_that_no_writer_wrote_are_named(asc, tmp_path, capsys, change, word):
    folder = shutil.copytree(asc, tmp_path / "d")
    _forged(folder, change((folder / "0.asc").read_bytes()))
    assert main(["verify", str(folder)]) == 1
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1 and word in said


@pytest.mark.parametrize(
    "entries",
    [{"sample_dtype": "V8"}, {"sample_dtype": "O"}, {"sample_shape": [8, 1 << 40]}, {"sample_shape": [65536] * 3},
     {"sample_shape": [0, 5000]}, {"sampling_rate_hz": 0}, {"sampling_rate_hz": -1.0}, {"sampling_rate_hz": "nan"},
     {"format": "csv", "format_options": {"time_column": True}, "sampling_rate_hz": None},
     {"format": "csv", "format_options": {"time_column": True}, "sampling_rate_hz": 1e-300}],
    ids=str,
)  # fmt: skip
def test_manifests_of_samples_that_can_not_be_are_refused(asc, tmp_path, capsys, entries):
    folder = shutil.copytree(asc, tmp_path / "d")
    _forged(folder, **entries)
    assert main(["verify", str(folder)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def _tree(folder) -> dict:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset") / "d"
    assert main(["generate", "cardiovascular.ecg", "-n", "3", "-o", str(folder), "--format", "npy", "--quiet"]) == 0
    return folder


@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize("name", ["dataset.json", "dataset.journal", "000000000.npy"])
def test_a_pipe_or_a_device_in_a_dataset_is_no_file(dataset, tmp_path, capsys, name, kind):
    """The one would be waited for, and the other, a link in an archive of a stranger's, never ends."""
    folder = shutil.copytree(dataset, tmp_path / "d")
    if name == "dataset.journal":
        manifest = json.loads((folder / "dataset.json").read_bytes())
        (folder / "dataset.json").write_text(json.dumps({**manifest, "complete": False, "shards": []}))
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name) if kind == "pipe" else (folder / name).symlink_to("/dev/zero")
    assert main(["verify", str(folder)]) == (2 if name == "dataset.json" else 1)
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1 and "d" in said
    again = main(["generate", "cardiovascular.ecg", "-n", "3", "-o", str(folder), "--format", "npy", "--quiet"])
    assert again == (2 if name == "dataset.json" else 0)
    if name != "dataset.json":
        assert _tree(folder) == _tree(dataset)


def test_an_error_is_one_line_of_printable_text(tmp_path, capsys):
    (tmp_path / "x.csv").write_text(",".join(f"\x1b[31m{k}a" for k in range(9000)) + "\n" + ",".join(["1"] * 9000))
    assert main(["convert", str(tmp_path / "x.csv"), "-o", str(tmp_path / "o")]) == 2
    said = capsys.readouterr().err
    assert len(said) < 2500 and said.rstrip("\n").isprintable() and said.endswith("can't be made\n")


def test_a_zip_called_npy_is_named(tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / "x.npy", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", _npy(_ECG))
    assert main(["convert", str(tmp_path / "x.npy"), "-o", str(tmp_path / "o")]) == 2
    assert "is no .npy file" in capsys.readouterr().err


def test_images_that_lie_about_their_size_are_refused_in_words():
    raw = _images.encode(np.zeros((8, 8, 3), np.uint8), "png", None)
    ihdr = b"IHDR" + (12_000).to_bytes(4, "big") * 2 + raw[24:29]
    large = raw[:12] + ihdr + zlib.crc32(ihdr).to_bytes(4, "big") + raw[33:]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for data, said in (
            (large, "is 12000 x 12000 pixels"),
            (b"GIF89a" + raw, "is no png image"),
            (b"", "is no png"),
        ):
            with pytest.raises(ValueError, match=said):
                _images.decode(data, "png", (8, 8, 3))


@pytest.mark.parametrize("rate", ["0", "-1", "nan", "inf", "1e-300", "1e300"])
def test_a_sampling_rate_that_is_none_is_refused(rate, tmp_path, capsys):
    (tmp_path / "x.csv").write_text("I,II\n1,2\n")
    for command in (["convert", "-o", str(tmp_path / "o")], ["plot", "-o", str(tmp_path / "x.png")]):
        assert main([*command, str(tmp_path / "x.csv"), f"--sampling-rate={rate}"]) == 2
        assert capsys.readouterr().err.startswith("dsb-fast: sampling rate: ")
    if rate != "0":  # which is none
        (tmp_path / "x.hea").write_text(f"x 1 {rate} 1\nx.dat 16 200(0)/mV 16 0 0 0 0 I\n")
        (tmp_path / "x.dat").write_bytes(bytes(2))
        with pytest.raises(InputError, match=r"x\.hea"):
            read(str(tmp_path / "x.hea"))
