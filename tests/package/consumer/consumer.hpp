// What the three files of the consumer give each other: a row of eight, normalized.
#pragma once
#include <array>

using Row = std::array<float, 8>;
Row normalized_elsewhere(Row x);    // other.cpp, by the functors
Row normalized_by_pointers(Row x);  // pointers.cpp
