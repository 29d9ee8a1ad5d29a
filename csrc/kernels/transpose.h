/* kernels/transpose.h: transposes in vectors; included by pointwise.h. A tile that is not one block of
 * vectors, or goes past the caches, passes through a local one, so that each cache line of either side is
 * touched once, whole, whatever the strides. */

/* Columns that lie far apart are found by no prefetcher of the CPU's: those of a tile that comes so many
 * later are fetched, to L2, as they may push each other out of L1. */
enum { SOON = 3 * AD_TILE / 2 };
AD_SIMD void fetch_columns(const void *at, int64_t step, int64_t size) {
    AD_UNROLL for (int k = 0; k < AD_TILE; k++) for (int64_t l = 0; l < AD_TILE * size; l += AD_LINE)
        __builtin_prefetch((const char *)at + k * step + l, 0, 2);
}

#define TRANSPOSE(T, V, v, W)                                                                                \
    AD_SIMD void gather_tile_##T(T(*tile)[AD_TILE], const T *s, int64_t col) {                               \
        for (int c = 0; c < AD_TILE; c += (W))                                                               \
            for (int r = 0; r < AD_TILE; r += (W)) {                                                         \
                V x[W];                                                                                      \
                AD_UNROLL for (int k = 0; k < (W); k++) x[k] = v##_load(s + (c + k) * col + r);              \
                v##_transpose(x);                                                                            \
                AD_UNROLL for (int k = 0; k < (W); k++) v##_store(&tile[r + k][c], x[k]);                    \
            }                                                                                                \
    }                                                                                                        \
    AD_SIMD void transpose_block_##T(T *to, int64_t row, const T *from, int64_t col) {                       \
        V x[W];                                                                                              \
        AD_UNROLL for (int k = 0; k < (W); k++) x[k] = v##_load(from + k * col);                             \
        v##_transpose(x);                                                                                    \
        AD_UNROLL for (int k = 0; k < (W); k++) v##_store(to + k * row, x[k]);                               \
    }                                                                                                        \
    /* of less than a tile: by whole blocks, of which the last overlap those before, if there are such */    \
    static void transpose_part_##T(int64_t rows, int64_t cols, T *d, int64_t row, const T *s, int64_t col) { \
        for (int64_t r = 0; r < rows; r += (W))                                                              \
            for (int64_t c = 0; c < cols; c += (W)) {                                                        \
                if (rows >= (W) && cols >= (W)) {                                                            \
                    const int64_t i = ad_least(r, rows - (W)), j = ad_least(c, cols - (W));                  \
                    transpose_block_##T(d + i * row + j, row, s + i + j * col, col);                         \
                    continue;                                                                                \
                }                                                                                            \
                const int64_t down = ad_least(rows - r, W), along = ad_least(cols - c, W);                   \
                const T *from = s + r + c * col;                                                             \
                T *to = d + r * row + c;                                                                     \
                V x[W];                                                                                      \
                for (int64_t k = 0; k < (W); k++)                                                            \
                    x[k] = k >= along    ? v##_zero()                                                        \
                           : down == (W) ? v##_load(from + k * col)                                          \
                                         : v##_load_n(from + k * col, down);                                 \
                v##_transpose(x);                                                                            \
                for (int64_t k = 0; k < down; k++)                                                           \
                    if (along == (W))                                                                        \
                        v##_store(to + k * row, x[k]);                                                       \
                    else                                                                                     \
                        v##_store_n(to + k * row, x[k], along);                                              \
            }                                                                                                \
    }                                                                                                        \
    /* of so few rows that a block would mostly do again what others did */                                  \
    AD_SIMD void transpose_few_##T(int64_t rows, int64_t cols, T *d, int64_t row, const T *s, int64_t col) { \
        for (int64_t r = 0; r < rows; r++, d += row, s++)                                                    \
            for (int64_t c = 0; c < cols; c++) d[c] = s[c * col];                                            \
    }                                                                                                        \
    static void transpose_##T(int64_t rows, int64_t cols, void *dst, int64_t dst_row, const void *src,       \
                              int64_t src_col, bool past) {                                                  \
        _Alignas(64) T tile[AD_TILE][AD_TILE];                                                               \
        const int64_t least_rows = ad_least(rows, W), least_cols = ad_least(cols, W);                        \
        const bool apart = src_col * (int64_t)sizeof(T) >= AD_PAGE / 4;                                      \
        const int64_t over = rows % AD_TILE, few = rows > AD_TILE && over <= (W) / 8 ? over : 0;             \
        rows -= few;                                                                                         \
        transpose_few_##T(few, cols, (T *)dst + rows * dst_row, dst_row, (const T *)src + rows, src_col);    \
        for (int64_t i = 0; i < rows; i += AD_TILE)                                                          \
            for (int64_t j = 0; j < cols; j += AD_TILE) {                                                    \
                const int64_t r = ad_least(i, rows - least_rows), c = ad_least(j, cols - least_cols);        \
                const int64_t down = ad_least(rows - r, AD_TILE), along = ad_least(cols - c, AD_TILE);       \
                const T *s = (const T *)src + r + c * src_col;                                               \
                T *d = (T *)dst + r * dst_row + c;                                                           \
                if (apart) fetch_columns(s + SOON * src_col, src_col * (int64_t)sizeof(T), sizeof(T));       \
                if (down < AD_TILE || along < AD_TILE || c < j || ((W) == AD_TILE && !past)) {               \
                    transpose_part_##T(down, along, d, dst_row, s, src_col);                                 \
                    continue;                                                                                \
                }                                                                                            \
                gather_tile_##T(tile, s, src_col);                                                           \
                for (int k = 0; k < AD_TILE; k++)                                                            \
                    for (int l = 0; l < AD_TILE; l += (W))                                                   \
                        if (past)                                                                            \
                            v##_stream(d + k * dst_row + l, v##_load(&tile[k][l]));                          \
                        else                                                                                 \
                            v##_store(d + k * dst_row + l, v##_load(&tile[k][l]));                           \
            }                                                                                                \
        if (past) ad_end_streams(); /* of many panels, they would wait for one another */                    \
    }
TRANSPOSE(float, vf, vf, VF_W)
TRANSPOSE(double, vd, vd, VD_W)
