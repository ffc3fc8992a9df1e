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

#include <cstdio>
#include <cstring>
#include <iostream>
#include <new>
#include <utility>

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

int main(int count, char** words) {
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


def test_a_card_that_would_take_much_memory_is_none(program, tmp_path):
    (tmp_path / "x.onnx").write_bytes(sealed(one_operator("Tanh"), card={**CARD, "more": [0] * (1 << 20)}))
    assert "card is not a JSON object" in _said(program, tmp_path / "x.onnx", "stream")[0]
