"""dsb_fast.h as ctypes sees it: the structs, and a model that is opened through the C interface."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, byref, c_char_p, c_double, c_int32, c_int64, c_size_t, c_uint64, c_void_p

import numpy as np

OK, ARGUMENT, FILE, RUNTIME, DEVICE, UNSUPPORTED, GENERATION, MEMORY, INTERNAL, CANCELLED, STOPPED = range(11)
NATIVE, INT16, UINT8, FLOAT32 = range(4)  # formats
_DTYPES = {1: np.int16, 2: np.uint8, 3: np.float32}


class _Sized(ctypes.Structure):
    """A struct whose first field is its size."""

    def __init__(self, **values):
        super().__init__(size=ctypes.sizeof(type(self)), **values)


class OpenOptions(_Sized):
    """dsb_open_options."""

    _fields_ = (
        ("size", c_size_t),
        ("provider", c_char_p),
        ("precision", c_char_p),
        ("onnxruntime_library", c_char_p),
        ("threads", c_int32),
        ("reserved", c_int32),
    )


class Request(_Sized):
    """dsb_request."""

    _fields_ = (
        ("size", c_size_t),
        ("seed", c_uint64),
        ("start", c_uint64),
        ("count", c_uint64),
        ("truncation", c_double),
        ("label", c_int64),
        ("has_truncation", c_int32),
        ("has_label", c_int32),
        ("format", c_int32),
        ("leads", c_int32),
        ("noise", c_int32),
        ("batch_size", c_int32),
        ("cancellation", c_void_p),
    )


class Layout(_Sized):
    """dsb_layout."""

    _fields_ = (
        ("size", c_size_t),
        ("shape", c_int64 * 4),
        ("elements", c_size_t),
        ("bytes", c_size_t),
        ("batch_size", c_uint64),
        ("rank", c_int32),
        ("type", c_int32),
    )


_TEXTS = ("model", "title", "flavour", "licence", "citation", "synthetic", "unit", "weights_sha256", "graph_sha256",
          "card", "backend", "grade", "variant", "onnxruntime_version", "onnxruntime_library")  # fmt: skip
_NUMBERS = (("sampling_rate_hz", c_double), ("truncation", c_double), ("labels", c_int64), ("kind", c_int32),
            ("leads", c_int32), ("threads", c_int32), ("noise", c_int32))  # fmt: skip


class Info(_Sized):
    """dsb_info."""

    _fields_ = (("size", c_size_t), *((name, c_char_p) for name in _TEXTS), *_NUMBERS)


CALLBACK = ctypes.CFUNCTYPE(c_int32, c_void_p, c_uint64, c_uint64, c_void_p, c_size_t)


class Failed(Exception):
    """A status that is not OK, and its text."""

    def __init__(self, status: int, text: str):
        super().__init__(text)
        self.status = status


class Library:
    """libdsb_fast.so."""

    def __init__(self, path: str):
        self.c = ctypes.CDLL(path)
        self.c.dsb_version.restype = self.c.dsb_status_name.restype = c_char_p
        self.c.dsb_last_error.restype = self.c.dsb_model_error.restype = c_char_p
        self.c.dsb_model_open.argtypes = (c_char_p, POINTER(OpenOptions), POINTER(c_void_p))
        self.c.dsb_model_close.argtypes = self.c.dsb_model_error.argtypes = (c_void_p,)
        self.c.dsb_model_close.restype = self.c.dsb_cancellation_destroy.restype = None
        self.c.dsb_cancellation_cancel.restype = None
        self.c.dsb_model_info.argtypes = (c_void_p, POINTER(Info))
        self.c.dsb_model_property.argtypes = (c_void_p, c_char_p, POINTER(c_char_p))
        self.c.dsb_model_lead.argtypes = (c_void_p, c_int32, c_int32, POINTER(c_char_p))
        self.c.dsb_model_layout.argtypes = (c_void_p, POINTER(Request), POINTER(Layout))
        self.c.dsb_model_generate.argtypes = (c_void_p, POINTER(Request), c_void_p, c_size_t)
        self.c.dsb_model_stream.argtypes = (c_void_p, POINTER(Request), CALLBACK, c_void_p)
        self.c.dsb_cancellation_create.argtypes = (POINTER(c_void_p),)
        self.c.dsb_cancellation_cancel.argtypes = self.c.dsb_cancellation_destroy.argtypes = (c_void_p,)

    def check(self, status: int, model=None) -> None:
        """Raise Failed unless ``status`` is OK; the texts of thread and model must be one line, and the same."""
        if status == OK:
            return
        text = self.c.dsb_last_error().decode()
        assert text and "\n" not in text and self.c.dsb_model_error(model).decode() == text
        raise Failed(status, text)

    def open(self, path, **options) -> Model:
        """dsb_model_open."""
        made = c_void_p()
        given = {name: value.encode() if isinstance(value, str) else value for name, value in options.items()}
        self.check(self.c.dsb_model_open(str(path).encode(), byref(OpenOptions(**given)), byref(made)))
        return Model(self, made)


class Model:
    """An opened model; closed at the end of a with block."""

    def __init__(self, library: Library, handle: c_void_p):
        self.library, self.handle = library, handle

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *_):
        self.library.c.dsb_model_close(self.handle)
        self.handle = None

    def _call(self, name: str, *arguments) -> None:
        self.library.check(getattr(self.library.c, name)(self.handle, *arguments), self.handle)

    def info(self) -> dict:
        """dsb_model_info, texts decoded."""
        info = Info()
        self._call("dsb_model_info", byref(info))
        values = {name: getattr(info, name) for name, _ in Info._fields_}
        return {name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()}

    def text(self, function: str, *arguments) -> str:
        """What dsb_model_property or dsb_model_lead gives."""
        value = c_char_p()
        self._call(function, *arguments, byref(value))
        return value.value.decode()

    def layout(self, **request) -> Layout:
        """dsb_model_layout."""
        layout = Layout()
        self._call("dsb_model_layout", byref(Request(**request)), byref(layout))
        return layout

    def _shape(self, layout: Layout, count: int) -> tuple:
        return (count, *layout.shape[: layout.rank])

    def generate(self, count: int, **request) -> np.ndarray:
        """dsb_model_generate into a new array."""
        layout = self.layout(count=count, **request)
        out = np.empty(self._shape(layout, count), _DTYPES[layout.type])
        self._call("dsb_model_generate", byref(Request(count=count, **request)), out.ctypes.data, out.nbytes)
        return out

    def stream(self, count: int, callback=None, **request) -> np.ndarray:
        """dsb_model_stream, its batches put together. ``callback(first, count)`` may return what ends it."""
        layout, batches, expected = self.layout(count=count, **request), [], request.get("start", 0)

        def take(_, first, samples, data, size):
            nonlocal expected
            assert first == expected and size == samples * layout.bytes
            expected += samples
            array = np.frombuffer(ctypes.string_at(data, size), _DTYPES[layout.type])
            batches.append(array.reshape(self._shape(layout, samples)))
            return callback(first, samples) if callback else 0

        self._call("dsb_model_stream", byref(Request(count=count, **request)), CALLBACK(take), None)
        return np.concatenate(batches)
