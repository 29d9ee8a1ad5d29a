/* kernels/gemm_type.h: included by gemm.h once for each element type T. */

/* vectors' start in a tile's row: the last one ends where the row does */
#define AT(v) ((v) == vectors - 1 ? last : (v) * W)

ALWAYS_INLINE void NAME(tile)(const ad_tile *t, const int rows, const int vectors, int64_t a_row,
                              int64_t a_col, int64_t b_row, int64_t last) {
    V() acc[TILE_ROWS][AD_ROW_VECTORS];
    const T *a = t->a, *b = t->b, *bias = t->bias;
    T *c = t->c;
    const int64_t c_row = t->c_row;
    if (t->accumulate) {
        UNROLL for (int i = 0; i < rows; i++) {
            UNROLL for (int v = 0; v < vectors; v++) acc[i][v] = V(_load)(c + i * c_row + AT(v));
        }
    } else {
        UNROLL for (int i = 0; i < rows; i++) {
            UNROLL for (int v = 0; v < vectors; v++) acc[i][v] = V(_zero)();
        }
    }
    for (int64_t p = t->k; p > 0; p--) {
        V() x[AD_ROW_VECTORS];
        UNROLL for (int v = 0; v < vectors; v++) x[v] = V(_load)(b + AT(v));
        UNROLL for (int i = 0; i < rows; i++) {
            const V() s = V(_set1)(a[i * a_row]);
            UNROLL for (int v = 0; v < vectors; v++) acc[i][v] = V(_fma)(s, x[v], acc[i][v]);
        }
        a += a_col;
        b += b_row;
    }
    if (bias) {
        UNROLL for (int v = 0; v < vectors; v++) {
            const V() s = V(_load)(bias + AT(v));
            UNROLL for (int i = 0; i < rows; i++) acc[i][v] = V(_add)(acc[i][v], s);
        }
    }
    UNROLL for (int i = 0; i < rows; i++) {
        UNROLL for (int v = 0; v < vectors; v++) V(_store)(c + i * c_row + AT(v), acc[i][v]);
    }
}

static void NAME(packed)(const ad_tile *t) {
    NAME(tile)(t, TILE_ROWS, AD_TILE_VECTORS, 1, TILE_ROWS, AD_TILE_VECTORS * W, (AD_TILE_VECTORS - 1) * W);
}

#define TILE(rows, vectors)                                                                                  \
    static void NAME(tile_##rows##_##vectors)(const ad_tile *t) {                                            \
        NAME(tile)(t, rows, vectors, t->a_row, t->a_col, t->b_row, t->cols - W);                             \
    }
TILE(1, 1)
TILE(1, 2)
TILE(1, 3) TILE(1, 4) TILE(1, 5) TILE(1, 6) TILE(1, 7) TILE(1, 8) TILE(2, 1) TILE(2, 2) TILE(3, 1) TILE(3, 2)
    TILE(4, 1) TILE(4, 2)
#if TILE_ROWS >= 6
        TILE(5, 1) TILE(5, 2) TILE(6, 1) TILE(6, 2)
#endif
#if TILE_ROWS >= 12
            TILE(7, 1) TILE(7, 2) TILE(8, 1) TILE(8, 2) TILE(9, 1) TILE(9, 2) TILE(10, 1) TILE(10, 2)
                TILE(11, 1) TILE(11, 2) TILE(12, 1) TILE(12, 2)
#endif

                    ALWAYS_INLINE
    void NAME(pack_lanes)(int64_t k, const int lanes, const T *src, int64_t lane, int64_t step, T *dst) {
    for (int64_t p = 0; p < k; p++, dst += lanes, src += step) {
        UNROLL for (int l = 0; l < lanes; l++) dst[l] = src[l * lane];
    }
}

static void NAME(pack_any)(int64_t k, int lanes, int width, const T *src, int64_t lane, int64_t step,
                           T *dst) {
    for (int64_t p = 0; p < k; p++, dst += width, src += step) {
        for (int l = 0; l < lanes; l++) dst[l] = src[l * lane];
        for (int l = lanes; l < width; l++) dst[l] = 0;
    }
}

static void NAME(pack)(int64_t k, int lanes, int width, const void *src_, int64_t lane, int64_t step,
                       void *dst_) {
    const int full = AD_TILE_VECTORS * W;
    const T *src = src_;
    T *dst = dst_;
    if (width == full && lanes == full && lane == 1)
        NAME(pack_lanes)(k, full, src, 1, step, dst);
    else if (width == full && lanes == full && step == 1)
        NAME(pack_lanes)(k, full, src, lane, 1, dst);
    else if (width == TILE_ROWS && lanes == TILE_ROWS && lane == 1)
        NAME(pack_lanes)(k, TILE_ROWS, src, 1, step, dst);
    else if (width == TILE_ROWS && lanes == TILE_ROWS && step == 1)
        NAME(pack_lanes)(k, TILE_ROWS, src, lane, 1, dst);
    else
        NAME(pack_any)(k, lanes, width, src, lane, step, dst);
}

ALWAYS_INLINE T NAME(fma_one)(T a, T b, T c) {
#if VF_W == 1
    return V(_fma)(a, b, c);
#else
    return FMA(a, b, c);
#endif
}

ALWAYS_INLINE void NAME(dots_lanes)(const int lanes, int64_t k, const T *x, int64_t x_step, const T *y,
                                    int64_t row, int64_t step, T *c) {
    T acc[8];
    UNROLL for (int l = 0; l < lanes; l++) acc[l] = 0;
    for (int64_t p = 0; p < k; p++, x += x_step, y += step) {
        UNROLL for (int l = 0; l < lanes; l++) acc[l] = NAME(fma_one)(*x, y[l * row], acc[l]);
    }
    UNROLL for (int l = 0; l < lanes; l++) c[l] = acc[l];
}

/* One chain has to wait for itself; eight side by side do not. */
static void NAME(dots)(int64_t n, int64_t k, const void *x, int64_t x_step, const void *y_, int64_t row,
                       int64_t step, void *c_) {
    const T *y = y_;
    T *c = c_;
    for (; n >= 8; n -= 8, y += 8 * row, c += 8) NAME(dots_lanes)(8, k, x, x_step, y, row, step, c);
    if (n >= 4) {
        NAME(dots_lanes)(4, k, x, x_step, y, row, step, c);
        n -= 4, y += 4 * row, c += 4;
    }
    for (; n > 0; n--, y += row, c++) NAME(dots_lanes)(1, k, x, x_step, y, row, step, c);
}

#define ROW(rows) {NAME(tile_##rows##_1), NAME(tile_##rows##_2)}
static const ad_gemm_type NAME(gemm) = {
    .width = W,
    .rows = TILE_ROWS,
    .packed = NAME(packed),
    .tile =
        {
            ROW(1),
            ROW(2),
            ROW(3),
            ROW(4),
#if TILE_ROWS >= 6
            ROW(5),
            ROW(6),
#endif
#if TILE_ROWS >= 12
            ROW(7),
            ROW(8),
            ROW(9),
            ROW(10),
            ROW(11),
            ROW(12),
#endif
        },
    .row = {NAME(tile_1_1), NAME(tile_1_2), NAME(tile_1_3), NAME(tile_1_4), NAME(tile_1_5), NAME(tile_1_6),
            NAME(tile_1_7), NAME(tile_1_8)},
    .pack = NAME(pack),
    .dots = NAME(dots),
};

#undef AT
#undef TILE
#undef ROW
#undef T
#undef W
#undef V
#undef NAME
#undef FMA
