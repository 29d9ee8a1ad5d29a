/* move.c: elements of one size moved as they are: runs of bytes, and rows that become columns. */
#include "move.h"

/* ---- runs ---- */

/* What the C library and the processor have for a long run is slow where source and target lie at different
 * places of a cache line, and slower where the target is a little further in its page. */
void ad_move_bytes(char *dst, const char *src, int64_t n) {
    if (n < AD_LINE || ((intptr_t)dst - (intptr_t)src) % AD_LINE == 0)
        memcpy(dst, src, (size_t)n);
    else
        ad_cpu->pw->move(1, n, dst, 0, src, 0);
}

void ad_move_past(char *dst, const char *src, int64_t n, int n_ahead, const char *const *ahead,
                  const int64_t *step) {
    const int64_t head = ad_least(-(intptr_t)dst & (AD_LINE - 1), n), lines = (n - head) / AD_LINE;
    const int64_t end = head + lines * AD_LINE;
    memcpy(dst, src, (size_t)head);
    ad_cpu->pw->stream(lines, dst + head, src + head, n_ahead, ahead, step);
    memcpy(dst + end, src + end, (size_t)(n - end));
}

/* ---- transposes ---- */

/* At most a tile of elements that have no vectors. */
#define TRANSPOSE_SMALL(T)                                                                                   \
    static void transpose_##T(const ad_crossing *x, void *dst, const void *src) {                            \
        T *d = dst, tile[AD_TILE][AD_TILE];                                                                  \
        const T *s = src;                                                                                    \
        for (int64_t j = 0; j < x->cols; j++)                                                                \
            memcpy(tile[j], s + j * x->src_col, (size_t)x->rows * sizeof(T));                                \
        for (int64_t i = 0; i < x->rows; i++)                                                                \
            for (int64_t j = 0; j < x->cols; j++) d[i * x->dst_row + j] = tile[j][i];                        \
    }
TRANSPOSE_SMALL(u8)
TRANSPOSE_SMALL(u16)

void ad_copy_across(const ad_crossing *x, int itemsize, char *dst, const char *src, bool past) {
    if (itemsize >= 4) {
        const bool aligned = (((intptr_t)dst | x->dst_row * itemsize) & 63) == 0;
        ad_cpu->pw->transpose[itemsize / 8](x->rows, x->cols, dst, x->dst_row, src, x->src_col,
                                            past && aligned);
        return;
    }
    void (*const small)(const ad_crossing *, void *, const void *) =
        itemsize == 1 ? transpose_u8 : transpose_u16;
    for (int64_t r = 0; r < x->rows; r += AD_TILE)
        for (int64_t c = 0; c < x->cols; c += AD_TILE) {
            const ad_crossing tile = {ad_least(x->rows - r, AD_TILE), ad_least(x->cols - c, AD_TILE),
                                      x->dst_row, x->src_col};
            small(&tile, dst + (r * x->dst_row + c) * itemsize, src + (r + c * x->src_col) * itemsize);
        }
}
