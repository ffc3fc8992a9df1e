// The numbers of tiles that a product takes at once, each of them code of its own: sums stay in registers.
#pragma once

// CASE(T) for every number of tiles from 1 to 12.
#define DSB_TILE_CASES(CASE) \
  CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
