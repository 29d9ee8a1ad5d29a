/* kernels/conv_type.h: what convolutions need besides products; included by gemm_type.h. */

/* ---- tiles that read one operand at offsets ---- */

/* clang-format off */
#define AT_TILE(x, rows, vectors)                                                                            \
    static void NAME(x##_at_##rows##_##vectors)(const ad_tile *t, const void *a, const void *b) {                                          \
        NAME(tile)(t, a, b, rows, vectors, NAME(x), false, t->a_row, t->a_col, t->b_row, t->cols - W);             \
    }
#if VF_W == 1 /* no vector is wider than what there is */
#define AT_0(x, rows)
#define AT_ROW_0(x, rows) NULL
#else
#define AT_0(x, rows) AT_TILE(x, rows, 0)
#define AT_ROW_0(x, rows) NAME(x##_at_##rows##_0)
#endif
#if W > 8 /* where fewer channels than a vector has are many all the same */
#define A_AT(rows) AT_TILE(a, rows, 0) AT_TILE(a, rows, 1) AT_TILE(a, rows, 2)
#define A_AT_ROW(rows) {NAME(a_at_##rows##_0), NAME(a_at_##rows##_1), NAME(a_at_##rows##_2)}
#else
#define A_AT(rows) AT_TILE(a, rows, 1) AT_TILE(a, rows, 2)
#define A_AT_ROW(rows) {NULL, NAME(a_at_##rows##_1), NAME(a_at_##rows##_2)}
#endif
#define B_AT(rows) AT_0(b, rows) AT_TILE(b, rows, 1) AT_TILE(b, rows, 2)
#define B_AT_ROW(rows, ...) {AT_ROW_0(b, rows), NAME(b_at_##rows##_1), NAME(b_at_##rows##_2), ##__VA_ARGS__}
A_AT(1) A_AT(2) A_AT(4)
B_AT(1) AT_TILE(b, 1, 4) B_AT(2)
#if TILE_ROWS >= 6
A_AT(3) A_AT(6)
#endif
#if TILE_ROWS >= 6 && W == VF_W /* of doubles, fewer kernels will do */
B_AT(4) B_AT(6)
#endif
#if TILE_ROWS >= 12
A_AT(12)
#endif
    /* clang-format on */

    /* Several rows at once, so that no chain waits for itself where taps are few. */
    AD_SIMD void NAME(lines)(const ad_tile *t, const T *a, const T *b, const int rows, const int vectors) {
    const int64_t b_row = t->b_row, c_row = t->c_row, cols = t->cols, last = cols - W;
    const int across = vectors ? vectors : 1;
    V() acc[AD_LINE_ROWS][AD_B_AT_VECTORS];
    AD_UNROLL for (int i = 0; i < rows; i++) {
        AD_UNROLL for (int v = 0; v < across; v++) acc[i][v] = V(_zero)();
    }
    for (int64_t p = 0; p < t->k; p++) {
        const V() s = V(_set1)(a[p]);
        AD_UNROLL for (int i = 0; i < rows; i++) {
            V() x[AD_B_AT_VECTORS];
            NAME(get)(x, b + t->offsets[p] + i * b_row, vectors, cols, last);
            AD_UNROLL for (int v = 0; v < across; v++) acc[i][v] = V(_fma)(s, x[v], acc[i][v]);
        }
    }
    const V() bias = t->bias ? V(_set1)(*(const T *)t->bias) : V(_zero)();
    AD_UNROLL for (int i = 0; i < rows; i++) {
        if (t->bias) {
            AD_UNROLL for (int v = 0; v < across; v++) acc[i][v] = V(_add)(acc[i][v], bias);
        }
        NAME(put)((T *)t->c + i * c_row, acc[i], vectors, cols, last);
    }
}
/* clang-format off */
#define LINES(rows, vectors)                                                                                 \
    static void NAME(lines_##rows##_##vectors)(const ad_tile *t, const void *a, const void *b) { NAME(lines)(t, a, b, rows, vectors); }
LINES(2, 4) LINES(4, 2) LINES(4, 1) LINES(8, 1)
#if VF_W > 1
LINES(4, 0)
#define MASKED(rows) NAME(lines_##rows##_0)
#else
#define MASKED(rows) NULL
#endif
/* clang-format on */

#if VF_W == 1
#define LANEWISE NULL
#else
#define LANEWISE NAME(apart)
    static void NAME(apart)(const ad_tile *t, const void *a_, const void *b_) {
    enum { ROWS = AD_APART_ROWS };
    const int64_t step = t->a_row, taps = t->a_col;
    const T *b = b_;
    V() acc[ROWS], x[ROWS];
    AD_UNROLL for (int i = 0; i < ROWS; i++) acc[i] = V(_zero)();
    for (int64_t p = 0; p < t->k; p++) {
        const T *a = (const T *)a_ + t->offsets[p];
        AD_UNROLL for (int i = 1; i < ROWS; i++, a += step) x[i] = V(_load)(a);
        for (int64_t tap = 0; tap < taps; tap++, a += step, b += t->b_row) {
            const V() w = V(_load)(b);
            AD_UNROLL for (int i = 0; i < ROWS; i++) {
                x[i] = i < ROWS - 1 ? x[i + 1] : V(_load)(a);
                acc[i] = V(_fma)(w, x[i], acc[i]);
            }
        }
    }
    if (t->bias) {
        AD_UNROLL for (int i = 0; i < ROWS; i++) acc[i] = V(_add)(acc[i], V(_load)(t->bias));
    }
    AD_UNROLL for (int i = 0; i < ROWS; i++) V(_store)((T *)t->c + i * t->c_row, acc[i]);
}
#endif

/* ---- sums of products along rows ---- */

#define CORRELATE_TAPS (VF_W == 16 ? AD_CORRELATE_TAPS : 5) /* whose sums registers hold */
#if VF_W == 1                                               /* 16 lanes would be 16 times the code */
#define LANE_UNROLL
#else
#define LANE_UNROLL AD_UNROLL
#endif

        enum {
            NAME(CHAIN_LANES) = AD_LANE_BYTES / sizeof(T),
            NAME(CHAIN_VECTORS) = NAME(CHAIN_LANES) / W
        };

/* The lanes from element i on; those past n are 0. */
AD_SIMD void NAME(lanes_of)(V() * x, const T *p, int64_t n) {
    if (n >= NAME(CHAIN_LANES)) {
        LANE_UNROLL for (int v = 0; v < NAME(CHAIN_VECTORS); v++) x[v] = V(_load)(p + v * W);
        return;
    }
    LANE_UNROLL for (int v = 0; v < NAME(CHAIN_VECTORS); v++, n -= W) {
        if (n >= W)
            x[v] = V(_load)(p + v * W);
        else
            x[v] = n > 0 ? V(_load_n)(p + v * W, n) : V(_zero)();
    }
}

AD_SIMD void NAME(correlate_taps)(int64_t rows, int64_t n, const T *g, int64_t g_row, const T *x,
                                  int64_t x_row, const int taps, const int64_t *offsets, T *sums) {
    V() acc[CORRELATE_TAPS][NAME(CHAIN_VECTORS)], a[NAME(CHAIN_VECTORS)], b[NAME(CHAIN_VECTORS)];
    const T *at[CORRELATE_TAPS];
    AD_UNROLL for (int j = 0; j < taps; j++) {
        at[j] = x + offsets[j];
        NAME(lanes_of)(acc[j], sums + j * NAME(CHAIN_LANES), NAME(CHAIN_LANES));
    }
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t i = 0; i < n; i += NAME(CHAIN_LANES)) {
            NAME(lanes_of)(a, g + r * g_row + i, n - i);
            AD_UNROLL for (int j = 0; j < taps; j++) {
                NAME(lanes_of)(b, at[j] + r * x_row + i, n - i);
                LANE_UNROLL for (int v = 0; v < NAME(CHAIN_VECTORS); v++) acc[j][v] =
                    V(_fma)(a[v], b[v], acc[j][v]);
            }
        }
    }
    AD_UNROLL for (int j = 0; j < taps; j++) {
        LANE_UNROLL for (int v = 0; v < NAME(CHAIN_VECTORS); v++)
            V(_store)(sums + j * NAME(CHAIN_LANES) + v * W, acc[j][v]);
    }
}

static void NAME(correlate)(int64_t rows, int64_t n, const void *g, int64_t g_row, const void *x,
                            int64_t x_row, int taps, const int64_t *offsets, void *acc) {
    if (taps == AD_CORRELATE_FEW)
        NAME(correlate_taps)(rows, n, g, g_row, x, x_row, AD_CORRELATE_FEW, offsets, acc);
    else
        NAME(correlate_taps)(rows, n, g, g_row, x, x_row, CORRELATE_TAPS, offsets, acc);
}

#if VF_W == 1
#define CORRELATE_APART NULL
#else
#define CORRELATE_APART NAME(correlate_apart)
static void NAME(correlate_apart)(int64_t rows, int64_t n, const void *g, const void *x, int64_t x_row,
                                  int64_t x_step, int64_t taps, const int64_t *offsets, void *acc) {
    enum { TAPS = AD_CORRELATE_TAPS, LANES = NAME(CHAIN_LANES) };
    for (int64_t l = 0; l < n && l < LANES; l++) {
        for (int64_t t = 0; t < taps; t += TAPS) {
            T *const to = (T *)acc + (l * taps + t) * W;
            const T *at[TAPS];
            V() sum[TAPS];
            AD_UNROLL for (int j = 0; j < TAPS; j++) {
                sum[j] = V(_load)(to + j * W);
                at[j] = (const T *)x + offsets[t + j];
            }
            for (int64_t r = 0; r < rows; r++) {
                for (int64_t i = l; i < n; i += LANES) {
                    const V() a = V(_load)((const T *)g + (r * n + i) * W);
                    const int64_t here = r * x_row + i * x_step;
                    AD_UNROLL for (int j = 0; j < TAPS; j++) sum[j] =
                        V(_fma)(a, V(_load)(at[j] + here), sum[j]);
                }
            }
            AD_UNROLL for (int j = 0; j < TAPS; j++) V(_store)(to + j * W, sum[j]);
        }
    }
}
#endif

#undef LANE_UNROLL
#undef LINES
#undef AT_TILE
#undef AT_0
#undef A_AT
#undef B_AT
