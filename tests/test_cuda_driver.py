"""What NVIDIA's driver is asked through ctypes, and pinned memory that is used again; without the driver."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
from references import cuda_runtime

from dsb_fast._backends import cuda_driver
from dsb_fast._backends.cuda_driver import Driver, DriverError, Gpu, PinnedCopies
from dsb_fast._backends.device_gate import Gate
from dsb_fast._bulk import workers

pytestmark = pytest.mark.variant_independent


def test_copies_are_whole_and_memory_is_used_again():
    driver = cuda_runtime.HostDriver()
    copies, source = PinnedCopies(driver, 1), np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    made = copies.taken(source.ctypes.data, (2, 3, 4), np.int16)
    assert made.dtype == np.int16 and (made == source).all() and driver.copies == [48]
    view = made[1, 1:]
    del made
    gc.collect()
    source += 1
    other = copies.taken(source.ctypes.data, (2, 3, 4), np.int16)
    assert len(driver.allocated) == 2 and (view == source[1, 1:] - 1).all()  # a view keeps its memory
    del view
    gc.collect()
    smaller = copies.taken(source.ctypes.data, (3, 4), np.int16)
    assert len(driver.allocated) == 2 and (smaller == source[0]).all() and (other == source).all()
    assert copies.taken(source.ctypes.data, (0, 4), np.int16).shape == (0, 4)


def test_pinned_memory_has_a_bound():
    copies, source = PinnedCopies(cuda_runtime.HostDriver(), 0), np.zeros(4, np.uint8)
    held = [copies.taken(source.ctypes.data, (4,), np.uint8) for _ in range(cuda_driver._MOST_BUFFERS)]
    assert all(array is not None for array in held)
    assert copies.taken(source.ctypes.data, (4,), np.uint8) is None
    held.pop()
    gc.collect()
    assert copies.taken(source.ctypes.data, (4,), np.uint8) is not None


def test_every_thread_enters_the_context():
    driver = cuda_runtime.HostDriver()
    copies, source = PinnedCopies(driver, 3), np.ones(8, np.uint8)
    threads = [threading.Thread(target=copies.taken, args=(source.ctypes.data, (8,), np.uint8)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {context for _, context in driver.entered} == {103} and len(driver.entered) >= 2


def test_no_driver_is_no_gpu(monkeypatch):
    with pytest.raises(DriverError):
        Driver("libcuda-that-is-not-there.so.1")
    monkeypatch.setattr(cuda_driver, "Driver", lambda: Driver("libcuda-that-is-not-there.so.1"))
    assert cuda_driver.gpus.__wrapped__() == ()


def test_a_library_that_is_no_driver_is_refused():
    with pytest.raises(DriverError, match="cuInit is not there"):
        Driver(None)  # this process


def test_a_driver_through_ctypes(tmp_path):
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        pytest.skip("no C compiler is here to build a driver with")
    library = tmp_path / "libcuda.so.1"
    source = Path(__file__).parent / "native/cuda_driver.c"
    subprocess.run([compiler, "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    driver = Driver(str(library))
    assert driver.gpus() == (Gpu("NVIDIA H100", "9.0", 80 << 30), Gpu("NVIDIA T4", "7.5", 16 << 30))
    source = np.arange(1000, dtype=np.uint8)
    made = PinnedCopies(driver, 1).taken(source.ctypes.data + 10, (3, 5), np.uint8)
    assert (made == source[10:25].reshape(3, 5)).all()
    with pytest.raises(DriverError, match="cuDeviceGet says 1"):
        PinnedCopies(driver, 2)


@pytest.mark.parametrize(
    ("asked", "device", "expected"),
    [
        ("cuda", "cuda", ["cuda:0", "cuda:1", "cuda:0"]), ("auto", "cuda", ["cuda:0", "cuda:1", "cuda:0"]),
        ("tensorrt", "tensorrt", ["tensorrt:0", "tensorrt:1", "tensorrt:0"]), ("cuda:1", "cuda", ["cuda:1"] * 3),
        ("auto", "cpu", ["auto"] * 3),
    ],
)  # fmt: skip
def test_workers_share_the_gpus(monkeypatch, asked, device, expected):
    monkeypatch.setattr(workers, "gpus", lambda: cuda_runtime.GPUS)
    assert workers.worker_devices(asked, device, 3) == expected
    monkeypatch.setattr(workers, "gpus", lambda: cuda_runtime.GPUS[:1])
    assert workers.worker_devices(asked, device, 3) == [asked] * 3


def test_a_capture_is_alone():
    gate, seen, started = Gate(), [], threading.Event()

    def capture():
        with gate.alone():
            seen.append("capture")
            assert seen == ["work", "capture"]
            started.set()
        started.wait()

    with gate.work(), gate.work():
        thread = threading.Thread(target=capture)
        thread.start()
        assert not started.wait(0.05)
        seen.append("work")
    thread.join(60)
    with gate.work():
        seen.append("after")
    assert seen == ["work", "capture", "after"]


def test_captures_and_work_take_turns():
    gate, inside, most = Gate(), [], []

    def work(alone):
        for _ in range(50):
            with gate.alone() if alone else gate.work():
                inside.append(alone)
                most.append(sorted(inside))
                inside.remove(alone)

    threads = [threading.Thread(target=work, args=(k == 0,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(found == [True] or True not in found for found in most) and [True] in most
