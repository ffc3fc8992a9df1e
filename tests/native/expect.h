// The one assertion of the C++ tests: it counts, prints and goes on.
#pragma once

#include <string>

void expect(bool good, const std::string& what);
