"""The C interface refuses: a status and one line for each wrong file, pointer, size and runtime; no crash, no leak."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
from ctypes import byref, c_void_p
from random import Random

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from references import c_interface
from references.c_interface import ARGUMENT, DEVICE, FILE, MEMORY, RUNTIME, UNSUPPORTED, Failed, Layout, Request
from references.embedding import (
    CARD,
    ONNXRUNTIME,
    in_another_process,
    library,
    needs_library,
    one_operator,
    open_model,
    sealed,
)

pytestmark = [needs_library, pytest.mark.variant_independent]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The smallest file that opens: signal = tanh(noise)."""
    path = tmp_path_factory.mktemp("tiny") / "tiny.onnx"
    path.write_bytes(sealed(one_operator("Tanh")))
    return path


@pytest.fixture
def model(tiny):
    with open_model(tiny) as opened:
        yield opened


def _refused(data: bytes, tmp_path, status: int, word: str | None = None):
    (tmp_path / "x.onnx").write_bytes(data)
    with pytest.raises(Failed, match=word) as raised:
        open_model(tmp_path / "x.onnx")
    assert raised.value.status == status
    assert "x.onnx" in str(raised.value)


def test_the_tiny_model_is_pythons(model, tiny):
    import dsb_fast

    assert np.array_equal(model.generate(9, seed=5), dsb_fast.load(tiny, device="cpu").sample(9, seed=5))


@pytest.mark.parametrize(
    ("path", "word"),
    [("nowhere.onnx", "No such file"), ("some.model", "dsb-fast export some.model --cached"),
     (".", "no regular file"), ("", "No such")],
)  # fmt: skip
def test_paths_that_are_no_files(tmp_path, monkeypatch, path, word):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Failed, match=word) as raised:
        open_model(path)
    assert raised.value.status == FILE


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Failed, match="no regular file"):
        open_model(tmp_path / "pipe")


@pytest.mark.parametrize("size", [0, 1, 2, 50, 200])
def test_cut_files(tiny, tmp_path, size):
    _refused(tiny.read_bytes()[:size], tmp_path, FILE)


def test_other_bytes(tmp_path):
    _refused(b"\x80" * 1000, tmp_path, FILE, "no valid ONNX")
    _refused(b"PK\x03\x04" + bytes(1000), tmp_path, FILE)
    _refused(b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x01", tmp_path, FILE, "no valid ONNX")


def _with(change, **properties) -> bytes:
    model = one_operator("Tanh")
    change(model)
    return sealed(model, **properties)


def _external(model) -> None:
    weight = numpy_helper.from_array(np.ones(3, np.float32), "w")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="/etc/passwd")
    model.graph.initializer.append(weight)


def _constant(model) -> None:
    value = numpy_helper.from_array(np.ones(1, np.float32))
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=value))


def _branch(model) -> None:
    branch = helper.make_graph([], "branch", [], [])
    model.graph.node.append(helper.make_node("If", ["c"], ["d"], then_branch=branch, else_branch=branch))


def _many_nodes(model) -> None:
    for k in range(10_000):
        model.graph.node.add(op_type="Tanh", input=["noise"], output=[str(k)])


def _function(model) -> None:
    model.functions.append(helper.make_function("d", "f", ["x"], ["y"], [], [helper.make_opsetid("", 17)]))


@pytest.mark.parametrize(
    ("change", "word"),
    [(_external, "another file"), (_constant, "graph or a tensor"), (_branch, "graph or a tensor"),
     (_function, "functions"), (_many_nodes, "too many nodes")],
)  # fmt: skip
def test_what_dsb_fast_never_exports(tmp_path, change, word):
    _refused(_with(change), tmp_path, FILE, word)


def test_a_changed_graph_and_missing_properties(tmp_path, tiny):
    model = onnx.load(tiny)
    model.graph.node[0].op_type = "Sin"
    _refused(model.SerializeToString(), tmp_path, FILE, "graph_sha256")
    for key in ("card", "model", "graph_sha256"):
        model = onnx.load(tiny)
        kept = [entry for entry in model.metadata_props if entry.key != key]
        del model.metadata_props[:]
        model.metadata_props.extend(kept)
        _refused(model.SerializeToString(), tmp_path, FILE, f"no metadata property {key}")
    _refused(_with(lambda m: None, format_version="9"), tmp_path, FILE, "format version")
    _refused(sealed(one_operator("Tanh"), "melted"), tmp_path, FILE, "flavour")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"length": 5000}, "fit"), ({"length": 2501}, "2500"), ({"length": -2500}, "length"),
        ({"length": 1e300}, "2500"), ({"leads": ["I"]}, "fit"), ({"leads": "I"}, "list"),
        ({"leads": ["I"] * 8}, "different"), ({"leads": [3]}, "list"),
        ({"scale": 1e9}, "int16"), ({"scale": "1"}, "scale"), ({"scale": -1}, "scale"), ({"unit": "V"}, "unit"),
        ({"unit": None}, "unit"), ({"sampling_rate_hz": 0}, "sampling_rate_hz"),
    ],
)  # fmt: skip
def test_cards_that_lie(tmp_path, change, word):
    _refused(sealed(one_operator("Tanh"), card=json.dumps({**CARD, **change})), tmp_path, FILE, word)


@pytest.mark.parametrize(
    "card", ["", "[]", "{", "[" * 100000, '{"a": 1} x', '{"a": "\\ud800"}', "null", '{"a": .}', '"x"']
)
def test_cards_that_are_no_objects(tmp_path, card):
    _refused(sealed(one_operator("Tanh"), card=card), tmp_path, FILE, "JSON")


def test_ports_that_are_others(tmp_path):
    _refused(sealed(one_operator("Tanh", 8, 5000)), tmp_path, FILE, "fit")
    wrong = one_operator("Tanh")
    wrong.graph.input[0].name = wrong.graph.node[0].input[0] = "hum"
    _refused(sealed(wrong), tmp_path, FILE, "fit")


def test_operators_that_onnxruntime_does_not_know(tmp_path):
    _refused(sealed(one_operator("Sing")), tmp_path, DEVICE, "refused the graph")
    fused = one_operator("Pulse2Pulse")
    fused.graph.node[0].domain = "dsb_fast"
    fused.opset_import.append(helper.make_opsetid("dsb_fast", 1))
    _refused(sealed(fused, "fused"), tmp_path, DEVICE, "refused the graph")


def test_parts_of_image_networks(tmp_path):
    for card in ({"part": "mapping"}, {"part": 7}, {}, {"part": "whole"}, {"part": "whole", "image_size": 0.5}):
        status = FILE if card.get("part") == "whole" else UNSUPPORTED
        _refused(sealed(one_operator("Tanh"), card=json.dumps(card)), tmp_path, status)


def test_random_damage_is_refused_or_harmless(tiny, tmp_path):
    whole, rng, opened = tiny.read_bytes(), Random(1), 0
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        (tmp_path / "x.onnx").write_bytes(data)
        try:
            with open_model(tmp_path / "x.onnx") as model:
                model.generate(1)
                opened += 1
        except Failed:
            pass
    assert opened < 400  # a damaged title hurts nobody


@pytest.mark.parametrize(
    ("options", "status", "word"),
    [
        ({"provider": "tpu"}, ARGUMENT, "tpu"), ({"provider": "cuda:"}, ARGUMENT, "cuda"),
        ({"provider": "cuda:x"}, ARGUMENT, "cuda"), ({"provider": "cuda:9999999"}, ARGUMENT, "cuda"),
        ({"precision": "fp8"}, UNSUPPORTED, "fp8"), ({"threads": -1}, ARGUMENT, "threads"),
        ({"threads": 1 << 30}, ARGUMENT, "threads"), ({"reserved": 1}, ARGUMENT, "reserved"),
        ({"onnxruntime_library": "/nowhere/libonnxruntime.so"}, RUNTIME, "onnxruntime_library"),
        ({"onnxruntime_library": "/"}, RUNTIME, "no libonnxruntime"),
    ],
)  # fmt: skip
def test_options_out_of_range(tiny, options, status, word):
    open_model(tiny).__exit__()  # ONNX Runtime is loaded
    with pytest.raises(Failed, match=word) as raised:
        open_model(tiny, **options)
    assert raised.value.status == status


def test_a_gpu_that_is_not_there_or_not_for_fused_graphs(tiny, tmp_path):
    with pytest.raises(Failed) as raised:
        open_model(tiny, provider="cuda:77")
    assert raised.value.status == DEVICE
    (tmp_path / "fused.onnx").write_bytes(sealed(one_operator("Tanh"), "fused"))
    with pytest.raises(Failed, match="portable") as raised:
        open_model(tmp_path / "fused.onnx", provider="cuda")
    assert raised.value.status == DEVICE


def test_null_pointers(model):
    c, one, layout, info = model.library.c, byref(Request(count=1)), byref(Layout()), byref(c_interface.Info())
    buffer = np.empty(8 * 2500, np.int16)
    data, size = buffer.ctypes.data, buffer.nbytes
    callback, none, handle = c_interface.CALLBACK(lambda *_: 0), c_interface.CALLBACK(), model.handle
    for function, arguments, name in [
        (c.dsb_model_open, (None, None, byref(c_void_p())), "path"), (c.dsb_model_open, (b"x", None, None), "model"),
        (c.dsb_model_info, (None, info), "model"), (c.dsb_model_info, (handle, None), "info"),
        (c.dsb_model_property, (None, b"x", None), "model"), (c.dsb_model_property, (handle, None, None), "name"),
        (c.dsb_model_property, (handle, b"model", None), "value"), (c.dsb_model_lead, (None, 0, 0, None), "model"),
        (c.dsb_model_lead, (handle, 0, 0, None), "name"), (c.dsb_model_layout, (None, one, layout), "model"),
        (c.dsb_model_layout, (handle, None, layout), "request"), (c.dsb_model_layout, (handle, one, None), "layout"),
        (c.dsb_model_generate, (None, one, data, size), "model"),
        (c.dsb_model_generate, (handle, None, data, size), "request"),
        (c.dsb_model_generate, (handle, one, None, size), "buffer"),
        (c.dsb_model_stream, (None, one, callback, None), "model"),
        (c.dsb_model_stream, (handle, one, none, None), "callback"),
        (c.dsb_cancellation_create, (None,), "cancellation"),
    ]:  # fmt: skip
        assert function(*arguments) == ARGUMENT, name
        assert c.dsb_last_error().decode() == f"{name}: it is null"
        if arguments[0] is handle:
            assert c.dsb_model_error(handle).decode() == f"{name}: it is null"
    c.dsb_model_close(None)
    c.dsb_cancellation_cancel(None)
    c.dsb_cancellation_destroy(None)
    assert c.dsb_model_error(None)


@pytest.mark.parametrize(("more", "shift"), [(-1, 0), (1, 0), (-40000, 0), (0, 1)])
def test_buffers_of_another_size_or_alignment(model, more, shift):
    request, room = Request(count=2), np.empty(200_000, np.uint8)
    status = model.library.c.dsb_model_generate(model.handle, byref(request), room.ctypes.data + shift, 80_000 + more)
    assert status == ARGUMENT and b"buffer: " in model.library.c.dsb_last_error()


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        ({"start": (1 << 64) - 1, "count": 2}, "2^64"), ({"batch_size": -1}, "batch_size"),
        ({"count": (1 << 64) - 1}, "buffer"),
        ({"count": 1 << 62}, "buffer"),
    ],
)  # fmt: skip
def test_ranges(model, request_, word):
    given = Request(**{"count": 1, **request_})
    assert model.library.c.dsb_model_generate(model.handle, byref(given), 8, 80_000) == ARGUMENT
    assert word in model.library.c.dsb_last_error().decode()


def test_memory_that_is_not_there(model):
    with pytest.raises(Failed, match="memory") as raised:
        model.stream(1 << 40, batch_size=(1 << 31) - 1)
    assert raised.value.status == MEMORY


class _Longer(Request):
    _fields_ = (("new", ctypes.c_int64),)


def test_structs_of_other_versions(model):
    c, layout = model.library.c, Layout()

    def ask(request):
        return c.dsb_model_layout(model.handle, ctypes.cast(byref(request), ctypes.POINTER(Request)), byref(layout))

    assert ask(_Longer(count=1)) == 0
    assert ask(_Longer(count=1, new=1)) == ARGUMENT and b"its size is" in c.dsb_last_error()
    for size in (0, 8, ctypes.sizeof(Request) - 1, 1 << 40):
        short = Request(count=1)
        short.size = size
        assert ask(short) == ARGUMENT, size


def test_statuses_have_names():
    c = library().c
    assert [c.dsb_status_name(k) for k in (0, 1, 10, 11, -1)] == [
        b"DSB_OK", b"DSB_ERROR_ARGUMENT", b"DSB_STOPPED", b"unknown", b"unknown",
    ]  # fmt: skip
    assert c.dsb_abi_version() == 1


_OPEN = """
try:
    library.open(sys.argv[1], **({"onnxruntime_library": sys.argv[2]} if sys.argv[2:] else {})).info()
    print("opened")
except c_interface.Failed as failed:
    print(failed.status, failed)
"""


def test_a_missing_onnxruntime_is_one_clear_error(tiny):
    for done in (
        in_another_process(_OPEN, tiny, DSB_ONNXRUNTIME_LIBRARY="/nowhere/libonnxruntime.so"),
        in_another_process(_OPEN, tiny, "/nowhere/libonnxruntime.so"),
        in_another_process(_OPEN, tiny, "libm.so.6"),
    ):
        assert done.stdout.startswith(f"{RUNTIME} ") and len(done.stdout.splitlines()) == 1, done.stdout + done.stderr
        assert "ONNX Runtime" in done.stdout


def test_onnxruntime_is_named_by_option_or_variable_as_file_or_folder(tiny):
    file = sorted(ONNXRUNTIME.glob("libonnxruntime.so*"))[-1]
    for place in (file, ONNXRUNTIME):
        assert in_another_process(_OPEN, tiny, place).stdout == "opened\n"
        assert in_another_process(_OPEN, tiny, DSB_ONNXRUNTIME_LIBRARY=str(place)).stdout == "opened\n"
    found = in_another_process(_OPEN, tiny, LD_LIBRARY_PATH=str(ONNXRUNTIME))
    assert found.stdout == "opened\n" or not (ONNXRUNTIME / "libonnxruntime.so.1").exists()


@pytest.fixture
def old_onnxruntime(tmp_path):
    """A library that looks like ONNX Runtime 1.10."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        pytest.skip("no C compiler is here to build an ONNX Runtime that is too old")
    code = """
static const void* api(unsigned version) { (void)version; return 0; }
static const char* version(void) { return "1.10.0"; }
static struct { const void* (*api)(unsigned); const char* (*version)(void); } base = {api, version};
void* OrtGetApiBase(void) { return &base; }
"""
    (tmp_path / "old.c").write_text(code)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", "libonnxruntime.so.1", "old.c"], cwd=tmp_path, check=True)
    return tmp_path / "libonnxruntime.so.1"


def test_an_old_onnxruntime_is_named(tiny, old_onnxruntime):
    done = in_another_process(_OPEN, tiny, DSB_ONNXRUNTIME_LIBRARY=str(old_onnxruntime))
    assert done.stdout.startswith(f"{RUNTIME} ") and "1.10.0" in done.stdout and "1.17" in done.stdout


def test_a_second_onnxruntime_is_refused(tiny, old_onnxruntime):
    open_model(tiny).__exit__()
    with pytest.raises(Failed, match="one ONNX Runtime") as raised:
        open_model(tiny, onnxruntime_library=str(old_onnxruntime))
    assert raised.value.status == RUNTIME


def test_a_variant_that_is_not_there(tiny):
    done = in_another_process(_OPEN, tiny, DSB_FORCE_VARIANT="mmx", DSB_ONNXRUNTIME_LIBRARY=str(ONNXRUNTIME))
    assert done.stdout.startswith(f"{ARGUMENT} DSB_FORCE_VARIANT") and "mmx" in done.stdout


_CYCLES = """
import resource
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
def cycle(count):
    for _ in range(count):
        with library.open(sys.argv[1], threads=1) as model:
            model.generate(1)
cycle(2000)
before = resident()
cycle(10_000)
print(resident() - before)
"""
MAX_GROWTH = 4 << 20  # bytes over 10,000 cycles, 420 each: a session that stayed would be a hundred times that


def test_nothing_is_lost_over_ten_thousand_cycles(tiny):
    done = in_another_process(_CYCLES, tiny, DSB_ONNXRUNTIME_LIBRARY=str(ONNXRUNTIME))
    assert done.returncode == 0, done.stderr
    print(f"resident memory grew by {int(done.stdout)} bytes over 10,000 open-close cycles")
    assert int(done.stdout) < MAX_GROWTH
