/* kernels/gemm_half.h: tiles of at most half a vector; included by gemm.h for each element type T. A CPU
 * whose vectors are two halves to it takes half the time; but for few rows, whose chains wait for themselves.
 */
#include "gemm_tile.h"

#define TILE(rows)                                                                                           \
    static void NAME(tile_##rows)(const ad_tile *t, const void *a, const void *b) {                          \
        NAME(tile)(t, a, b, rows, 0, NAME(neither), NAME(alone), t->a_row, t->a_col, t->b_row, 0);           \
    }
/* clang-format off */
TILE(5) TILE(6) TILE(7) TILE(8) TILE(9) TILE(10) TILE(11) TILE(12)
/* clang-format on */

#undef OPAQUE
#undef TILE
#undef T
#undef W
#undef V
#undef NAME
