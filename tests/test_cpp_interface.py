"""dsb_fast.hpp in a program: owners that are moved, what is thrown, and calls where there is little memory."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from pathlib import Path

import pytest
from references.embedding import CARD, ONNXRUNTIME, needs_library, one_operator, sealed

import dsb_fast

CXX = shutil.which("c++")
pytestmark = [
    needs_library,
    pytest.mark.variant_independent,
    pytest.mark.skipif(not CXX, reason="no C++ compiler is here to build a program with"),
]
STRICT = "-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wold-style-cast -Werror"

_PROGRAM = r"""
#include <dsb_fast/dsb_fast.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <new>
#include <utility>

std::atomic<long> allocations_left{-1};  // until one fails, on whichever thread; -1: none does

void* operator new(std::size_t size) {
  if (allocations_left.load() >= 0 && allocations_left.fetch_sub(1) == 0) throw std::bad_alloc();
  void* const memory = std::malloc(size ? size : 1);
  if (!memory) throw std::bad_alloc();
  return memory;
}
void* operator new[](std::size_t size) { return operator new(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

template <class Body>
void tell(const char* what, Body body) {
  try {
    body();
    std::cout << what << ": nothing\n";
  } catch (const dsb_fast::Error& error) {
    std::cout << what << ": " << dsb_status_name(error.status()) << " " << error.what() << "\n";
  } catch (const std::bad_alloc&) {
    std::cout << what << ": bad_alloc\n";
  } catch (int number) {
    std::cout << what << ": " << number << "\n";
  }
}

// Each of the first allocations of a call fails once; counts statuses.
void starve(const char* path) {
  dsb_open_options options = DSB_OPEN_OPTIONS_INIT;
  options.threads = 4;
  dsb_model* model = nullptr;
  if (dsb_model_open(path, &options, &model) != DSB_OK) throw dsb_fast::Error(DSB_ERROR_FILE, dsb_last_error());
  int done = 0, starved = 0, other = 0;
  dsb_request request = DSB_REQUEST_INIT;
  request.count = 8;
  request.batch_size = 1;
  dsb_layout layout = DSB_LAYOUT_INIT;
  dsb_model_layout(model, &request, &layout);
  std::vector<char> room(8 * layout.bytes);
  const auto pass = [](void*, std::uint64_t, std::uint64_t, const void*, std::size_t) -> std::int32_t { return 0; };
  for (long number = 0; number < 40; ++number)
    for (const bool streams : {false, true}) {
      allocations_left = number;
      const dsb_status status = streams ? dsb_model_stream(model, &request, pass, nullptr)
                                        : dsb_model_generate(model, &request, room.data(), room.size());
      allocations_left = -1;
      ++(status == DSB_OK ? done : status == DSB_ERROR_MEMORY ? starved : other);
    }
  const dsb_status after = dsb_model_generate(model, &request, room.data(), room.size());
  dsb_model_close(model);
  std::cout << done + starved << " " << (starved > 0) << " " << other << " " << dsb_status_name(after) << "\n";
}

int main(int count, char** words) {
  if (count == 3 && std::strcmp(words[2], "starve") == 0) {
    starve(words[1]);
    return 0;
  }
  if (count == 3 && std::strcmp(words[2], "stream") == 0) {
    tell("stream", [&] {
      dsb_fast::Request request;
      request.count = 500;
      dsb_fast::Model(words[1]).stream<std::int16_t>(request, [](std::uint64_t, auto) {});
    });
    return 0;
  }
  dsb_fast::Request request;
  for (const std::uint64_t samples : {~std::uint64_t{0}, ~std::uint64_t{0} / 20000 + 2})
    tell("count", [&] {
      request.count = samples;
      dsb_fast::Model(words[1]).generate<std::int16_t>(request);
    });
  request.count = 2;
  tell("moved", [&] {
    dsb_fast::Model first(words[1]);
    const auto made = first.generate<std::int16_t>(request);
    dsb_fast::Model second(std::move(first));
    dsb_fast::Model& same = second;
    second = std::move(same);
    if (second.generate<std::int16_t>(request) != made) throw 1;
    first = std::move(second);
    if (first.generate<std::int16_t>(request) != made) throw 2;
    second.info();
  });
  tell("callback", [&] {
    dsb_fast::Model(words[1]).stream<std::int16_t>(request, [](std::uint64_t, auto) { throw 42; });
  });
}
"""


@pytest.fixture(scope="module", params=["c++17", "c++20"])
def program(request, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cpp")
    (folder / "main.cc").write_text(_PROGRAM)
    shared = Path(dsb_fast.get_library())
    words = [CXX, f"-std={request.param}", *STRICT.split(), f"-I{dsb_fast.get_include()}", "main.cc", str(shared),
             f"-Wl,-rpath,{shared.parent}", "-o", "main"]  # fmt: skip
    subprocess.run(words, cwd=folder, check=True, timeout=120)
    return folder / "main"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("tiny") / "tiny.onnx"
    path.write_bytes(sealed(one_operator("Tanh")))
    return path


def _said(program: Path, *words, **how) -> list[str]:
    environment = {**os.environ, "DSB_ONNXRUNTIME_LIBRARY": str(ONNXRUNTIME)}
    done = subprocess.run(
        [program, *words], env=environment, capture_output=True, text=True, timeout=60, check=False, **how
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_what_is_thrown(program, tiny):
    assert _said(program, tiny) == [
        "count: DSB_ERROR_ARGUMENT count: 18446744073709551615 samples fit into no memory",
        "count: DSB_ERROR_ARGUMENT count: 922337203685479 samples fit into no memory",
        "moved: DSB_ERROR_ARGUMENT model: it is null",
        "callback: 42",
    ]


@pytest.mark.parametrize("megabytes", [60, 80, 100, 120, 150, 400])
def test_too_little_memory_is_a_status(program, tiny, megabytes):
    """Whatever is the first that can't be had: never the end of the process."""
    limit = megabytes << 20
    (line,) = _said(program, tiny, "stream", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
    assert line == "stream: nothing" or line.split()[1] in ("DSB_ERROR_MEMORY", "DSB_ERROR_RUNTIME", "bad_alloc"), line


def test_no_allocation_that_fails_ends_the_process(program, data, tmp_path):
    """Of a fused ECG network, which runs without ONNX Runtime: that ends the process itself in a place or two."""
    dsb_fast.load(data / "ecgen/bare_new_names.pt", device="cpu", card={"length": 2500}).model.export(
        tmp_path / "ecg.onnx", "fused"
    )
    for _ in range(3):  # which thread it hits differs
        assert _said(program, tmp_path / "ecg.onnx", "starve") == ["80 1 0 DSB_OK"]


def test_a_card_that_would_take_much_memory_is_none(program, tmp_path):
    (tmp_path / "x.onnx").write_bytes(sealed(one_operator("Tanh"), card={**CARD, "more": [0] * (1 << 20)}))
    assert "card is not a JSON object" in _said(program, tmp_path / "x.onnx", "stream")[0]
