// Random numbers for the C++ tests, the same in every run.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

// `count` standard normal values in a buffer without room behind them, so that a sanitizer sees what reads further.
std::vector<float> draw(std::mt19937& engine, int64_t count);
