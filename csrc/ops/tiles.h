// How the tiles of a batch of images are cut into what is computed together: bits never depend on it.
#pragma once

#include <algorithm>
#include <vector>

#include "ops/work.h"

namespace dsb {

// A rectangle of a sample's tiles; `tile` is the place of its first in the panel.
struct Piece {
  int64_t sample, row, column, rows, columns, tile;
};
struct Panel {
  std::vector<Piece> pieces;
  int64_t tiles = 0;
};

// All tiles of the samples, `rows` x `columns` each, at most `most` a panel.
inline std::vector<Panel> cut(int64_t samples, int64_t rows, int64_t columns, int64_t most) {
  std::vector<Panel> panels(1);
  const auto add = [&](Piece piece) {
    const int64_t tiles = piece.rows * piece.columns;
    if (panels.back().tiles && panels.back().tiles + tiles > most) panels.emplace_back();
    piece.tile = panels.back().tiles;
    panels.back().pieces.push_back(piece);
    panels.back().tiles += tiles;
  };
  const int64_t wide = divide_up(columns, divide_up(columns, most));
  const int64_t high = divide_up(rows, divide_up(rows, std::max<int64_t>(1, most / wide)));
  for (int64_t n = 0; n < samples; ++n)
    for (int64_t row = 0; row < rows; row += high)
      for (int64_t column = 0; column < columns; column += wide)
        add({n, row, column, std::min(high, rows - row), std::min(wide, columns - column), 0});
  return panels;
}

}  // namespace dsb
