/* kernels/gemm_type.h: included by gemm.h once for each element type T. */

/* ---- tiles ---- */

#include "gemm_tile.h"

static void NAME(copying)(const ad_tile *t, const void *a, const void *b) {
    NAME(tile)
    (t, a, b, TILE_ROWS, AD_TILE_VECTORS, NAME(neither), NAME(copies), 1, t->a_col, t->b_row,
     (AD_TILE_VECTORS - 1) * W);
}
static void NAME(packing)(const ad_tile *t, const void *a, const void *b) {
    NAME(tile)
    (t, a, b, TILE_ROWS, AD_TILE_VECTORS, NAME(neither), NAME(packs), t->a_row, t->a_col, t->b_row,
     t->cols - W);
}
static void NAME(looking)(const ad_tile *t, const void *a, const void *b) {
    NAME(tile)
    (t, a, b, TILE_ROWS, AD_TILE_VECTORS, NAME(neither), NAME(looks), t->a_row, t->a_col, t->b_row,
     (AD_TILE_VECTORS - 1) * W);
}

/* clang-format off */
#define TILE(rows, vectors)                                                                                  \
    static void NAME(tile_##rows##_##vectors)(const ad_tile *t, const void *a, const void *b) {                                            \
        NAME(tile)(t, a, b, rows, vectors, NAME(neither), NAME(alone), t->a_row, t->a_col, t->b_row, t->cols - W);       \
    }
#define TILES(rows) TILE(rows, 0) TILE(rows, 1) TILE(rows, 2)
TILES(1) TILE(1, 3) TILE(1, 4) TILE(1, 5) TILE(1, 6) TILE(1, 7) TILE(1, 8)
TILES(2) TILES(3) TILES(4)
#if TILE_ROWS >= 6
TILES(5) TILES(6)
#endif
#if TILE_ROWS >= 12
TILES(7) TILES(8) TILES(9) TILES(10) TILES(11) TILES(12)
#endif
    /* clang-format on */

    /* ---- packing ---- */

    /* Lanes beside each other. */
    AD_SIMD void NAME(pack_lanes)(int64_t k, const int lanes, const T *src, int64_t step, T *dst) {
    for (int64_t p = 0; p < k; p++, dst += lanes, src += step) {
        __builtin_prefetch(src + 8 * step);
        if (lanes > 64 / (int)sizeof(T)) __builtin_prefetch(src + 8 * step + lanes - 1);
        memcpy(dst, src, lanes * sizeof(T));
    }
}

/* `lanes` (at most W) that lie along memory, to as many columns of dst, whose rows are `row` long. */
AD_SIMD void NAME(pack_across)(int64_t k, const int lanes, const T *src, int64_t lane, T *dst, int64_t row) {
    int64_t p = 0;
    for (; p + W <= k; p += W, dst += W * row) {
        V() x[W];
        AD_UNROLL for (int l = 0; l < W; l++) x[l] = l < lanes ? V(_load)(src + l * lane + p) : V(_zero)();
        V(_transpose)(x);
        AD_UNROLL for (int q = 0; q < W; q++) {
            if (lanes == W)
                V(_store)(dst + q * row, x[q]);
            else
                V(_store_n)(dst + q * row, x[q], lanes);
        }
    }
    for (; p < k; p++, dst += row) {
        for (int l = 0; l < lanes; l++) dst[l] = src[l * lane + p];
    }
}

static void NAME(pack)(int64_t k, int lanes, const void *src_, int64_t lane, int64_t step, void *dst_) {
    enum { FULL = AD_TILE_VECTORS * W, REST = TILE_ROWS % W };
    const T *src = src_;
    T *dst = dst_;
    if (lanes == FULL && lane == 1) {
        NAME(pack_lanes)(k, FULL, src, step, dst);
    } else if (lanes == TILE_ROWS && lane == 1) {
        NAME(pack_lanes)(k, TILE_ROWS, src, step, dst);
    } else if (lanes == W && lane == 1) {
        NAME(pack_lanes)(k, W, src, step, dst);
    } else {
        int l = 0;
        for (; step == 1 && l + W <= lanes; l += W)
            NAME(pack_across)(k, W, src + l * lane, lane, dst + l, lanes);
        if (REST > 0 && step == 1 && lanes - l == REST) {
            NAME(pack_across)(k, REST, src + l * lane, lane, dst + l, lanes);
            l += REST;
        }
        for (; l < lanes; l++) {
            for (int64_t p = 0; p < k; p++) dst[p * lanes + l] = src[l * lane + p * step];
        }
    }
}

/* ---- chains of single elements ---- */

#define LINK (16 / (int)sizeof(T)) /* elements of a row that are turned at a time */
#define AT_ONE_PLACE 4096          /* bytes between rows whose elements meet in few places of the cache */

AD_SIMD T NAME(fma_one)(T a, T b, T c) {
#if VF_W == 1
    return V(_fma)(a, b, c);
#else
    return FMA(a, b, c);
#endif
}

AD_SIMD void NAME(dots_lanes)(const int lanes, int64_t k, const T *x, int64_t x_row, int64_t x_step,
                              const T *y, int64_t row, int64_t step, T *c) {
    T acc[8];
    AD_UNROLL for (int l = 0; l < lanes; l++) acc[l] = 0;
    for (int64_t p = 0; p < k; p++, x += x_step, y += step) {
        AD_UNROLL for (int l = 0; l < lanes; l++) acc[l] = NAME(fma_one)(x[l * x_row], y[l * row], acc[l]);
    }
    AD_UNROLL for (int l = 0; l < lanes; l++) c[l] = acc[l];
}

/* Chains of W rows of y go on over LINK elements: the last LINK - first of those at y. */
AD_SIMD V() NAME(link)(V() chains, const T *x, int64_t x_step, const T *y, int64_t row, int first) {
    V() columns[LINK];
    V(_columns)(y, row, columns);
    AD_UNROLL for (int q = 0; q < LINK; q++) {
        if (q >= first) chains = V(_fma)(V(_set1)(x[(q - first) * x_step]), columns[q], chains);
    }
    return chains;
}

/* Two times W rows of y, side by side: neither vector of chains has to wait for itself. */
typedef struct {
    int64_t k, x_step, row;
    const T *x, *y[2];
} NAME(links);

AD_SIMD void NAME(link_both)(const NAME(links) * r, int64_t p, int first, V() * chains) {
    const T *x = r->x + (p + first) * r->x_step;
    AD_UNROLL for (int c = 0; c < 2; c++) chains[c] =
        NAME(link)(chains[c], x, r->x_step, r->y[c] + p, r->row, first);
}

/* W rows of y, from an element on. Their addresses are few and stay in general registers, as a tile's do. */
typedef struct {
    const char *first, *half;
    int64_t row, row3, row5, row7; /* bytes */
} NAME(turning);

AD_SIMD NAME(turning) NAME(turning_at)(const T *y, int64_t row) {
    row *= (int64_t)sizeof(T);
    NAME(turning) r = {(const char *)y, (const char *)y + 8 * row, row, 3 * row, 5 * row, 7 * row};
    OPAQUE(r.half);
    OPAQUE(r.row3);
    OPAQUE(r.row5);
    OPAQUE(r.row7);
    return r;
}

AD_SIMD V() NAME(load_row)(const NAME(turning) * r, const int i) {
    const int64_t at[8] = {0, r->row, 2 * r->row, r->row3, 4 * r->row, r->row5, 2 * r->row3, r->row7};
    return V(_load)((const T *)(const void *)((i < 8 ? r->first : r->half) + at[i % 8]));
}
AD_SIMD void NAME(turn_on)(NAME(turning) * r) {
    r->first += W * sizeof(T);
    r->half += W * sizeof(T);
}

/* W elements of each, turned, and on to the next. Where a vector is a cache line, each is used up as it is
 * read, so that rows may push each other out. */
AD_SIMD void NAME(turn_rows)(NAME(turning) * r, V() * columns) {
    AD_UNROLL for (int i = 0; i < W; i++) columns[i] = NAME(load_row)(r, i);
    V(_transpose)(columns);
    NAME(turn_on)(r);
}

/* Chains of W rows go on over W elements of each. */
AD_SIMD V() NAME(dots_vector)(V() chains, const T *x, int64_t x_step, NAME(turning) * rows) {
    V() columns[W];
    NAME(turn_rows)(rows, columns);
    AD_UNROLL for (int q = 0; q < W; q++) chains = V(_fma)(V(_set1)(x[q * x_step]), columns[q], chains);
    return chains;
}

/* W rows alone: apart, as the registers just hold it. */
static __attribute__((noinline)) V() NAME(dots_lines)(const NAME(links) * r, const T *y) {
    V() chains = V(_zero)();
    NAME(turning) rows = NAME(turning_at)(y, r->row);
    const T *x = r->x;
    for (int64_t left = r->k; left >= W; left -= W, x += W) chains = NAME(dots_vector)(chains, x, 1, &rows);
    return chains;
}

#if W == 16
/* Rows whose elements meet in one set of L1, which has fewer lines: of every 16 rows each second one follows
 * LAG elements behind the others, so that 8 meet at a time. A vector of rows begins while the one before
 * ends; x is laid out in pairs, of what the two kinds meet. */
#define LAG 64
#define LAGGING 4096 /* the most elements of a row */

AD_SIMD V()
    NAME(dots_lagging)(V() chains, const T *pairs, const T *even, const T *odd, int64_t row, int64_t steps) {
    NAME(turning) rows = NAME(turning_at)(even, row), behind = rows;
    behind.first = (const char *)odd;
    behind.half = behind.first + 8 * rows.row;
    OPAQUE(behind.half);
    for (; steps > 0; steps -= W, pairs += 2 * W) {
        V() columns[W];
        AD_UNROLL for (int i = 0; i < W; i++) columns[i] = NAME(load_row)(i % 2 ? &behind : &rows, i);
        V(_transpose)(columns);
        AD_UNROLL for (int q = 0; q < W; q++) chains = V(_fma)(V(_set2)(pairs + 2 * q), columns[q], chains);
        NAME(turn_on)(&rows);
        NAME(turn_on)(&behind);
    }
    return chains;
}

static void NAME(dots_crowded)(int64_t n, int64_t k, const T *x, const T *y, int64_t row, T *c) {
    T pairs[2 * LAGGING];
    const mf odd = 0xaaaa;
    V() chains = V(_zero)(), even = chains;
    for (int64_t p = 0; p < LAG; p++) pairs[2 * p] = x[p], pairs[2 * p + 1] = x[p + k - LAG];
    for (int64_t p = LAG; p < k; p++) pairs[2 * p] = x[p], pairs[2 * p + 1] = x[p - LAG];
    for (int64_t i = 0, before = 0;; i += W) {
        const int64_t at = ad_least(i, n - W); /* the last vector ends where the rows do */
        chains = NAME(dots_lagging)(chains, pairs, y + at * row, y + before * row + k - LAG, row, LAG);
        if (i > 0) V(_store)(c + before, V(_select)(odd, chains, even));
        if (i >= n) break;
        chains = V(_select)(odd, V(_zero)(), chains);
        even = NAME(dots_lagging)(chains, pairs + 2 * LAG, y + at * row + LAG, y + at * row, row, k - LAG);
        chains = V(_select)(odd, even, V(_zero)());
        before = at;
    }
}
#endif

/* Both go on from p, by whole links, while what comes next of their rows is fetched, of a part of them at a
 * time: it lies in more places than the CPU's prefetchers follow. Where they end. */
AD_SIMD int64_t NAME(dots_along)(const NAME(links) * r, int64_t p, V() * sums) {
    enum { TURNS = 64 / (LINK * sizeof(T)), AHEAD = 128 / sizeof(T) };
    for (; p + LINK <= r->k; p += LINK) {
        const int64_t row = p / LINK % TURNS * (W / TURNS);
        AD_UNROLL for (int c = 0; c < 2; c++) {
            AD_UNROLL for (int i = 0; i < (int)(W / TURNS); i++)
                __builtin_prefetch(r->y[c] + (row + i) * r->row + p + AHEAD);
        }
        NAME(link_both)(r, p, 0, sums);
    }
    return p;
}

static void NAME(dots_rows)(const NAME(links) * r, T *c0, T *c1) {
    V() chains[2] = {V(_zero)(), V(_zero)()};
    const int64_t bytes = r->row * (int64_t)sizeof(T);
    const bool crowded = bytes % (AT_ONE_PLACE / 2) == 0; /* twice as many rows are in too many places */
    int64_t p = 0;
    if (W * sizeof(T) == AD_LINE && r->x_step == 1 && (crowded || (ad_is_amd && sizeof(T) < 8))) {
        AD_UNROLL for (int c = 0; c < 2; c++) chains[c] = NAME(dots_lines)(r, r->y[c]);
        p = r->k / W * W;
    } else if (bytes % AT_ONE_PLACE == 0) {
        NAME(turning) rows[2] = {NAME(turning_at)(r->y[0], r->row), NAME(turning_at)(r->y[1], r->row)};
        for (; p + W <= r->k; p += W) {
            AD_UNROLL for (int c = 0; c < 2; c++) chains[c] =
                NAME(dots_vector)(chains[c], r->x + p * r->x_step, r->x_step, &rows[c]);
        }
    }
    p = NAME(dots_along)(r, p, chains);
    if (p < r->k) {
        const int64_t last = r->k - LINK;
        NAME(link_both)(r, last, (int)(p - last), chains);
    }
    V(_store)(c0, chains[0]);
    V(_store)(c1, chains[1]);
}

/* One chain has to wait for itself; several side by side do not. */
static void NAME(dots)(int64_t n, int64_t k, const void *x_, int64_t x_row, int64_t x_step, const void *y_,
                       int64_t row, int64_t step, void *c_) {
    const T *x = x_, *y = y_;
    T *c = c_;
    const bool tiny = k < 2 * W && n < 2 * W; /* to turn blocks would take longer than the chains */
#if W == 16
    if (x_row == 0 && x_step == 1 && step == 1 && row * sizeof(T) % AT_ONE_PLACE == 0 && k % W == 0 &&
        k >= 2 * LAG && k <= LAGGING && n >= W && row != 0) {
        NAME(dots_crowded)(n, k, x, y, row, c);
        return;
    }
#endif
    if (W > 1 && x_row == 0 && step == 1 && k >= LINK && n >= W && !tiny) {
        for (int64_t i = 0; i < n; i += 2 * W) { /* the last vectors end where the rows do */
            const int64_t i0 = n < 2 * W ? 0 : ad_least(i, n - 2 * W), i1 = ad_least(i0 + W, n - W);
            const NAME(links) r = {k, x_step, row, x, {y + i0 * row, y + i1 * row}};
            NAME(dots_rows)(&r, c + i0, c + i1);
        }
        return;
    }
    for (; n >= 8 && x_row == 0; n -= 8, y += 8 * row, c += 8)
        NAME(dots_lanes)(8, k, x, 0, x_step, y, row, step, c);
    for (; n >= 4; n -= 4, x += 4 * x_row, y += 4 * row, c += 4)
        NAME(dots_lanes)(4, k, x, x_row, x_step, y, row, step, c);
    for (; n > 0; n--, x += x_row, y += row, c++) NAME(dots_lanes)(1, k, x, 0, x_step, y, row, step, c);
}

/* A few rows of x times W rows of y at a time, which are turned in registers. */
AD_SIMD void NAME(dots_few)(const int rows, int64_t n, int64_t k, const void *const *x_, const void *y_,
                            int64_t row, void *const *c_) {
    for (int64_t first = 0; first < n; first += W) { /* the last vector ends where the rows do */
        const int64_t i = ad_least(first, n - W);
        const T *y = (const T *)y_ + i * row;
        V() chains[AD_FEW_ROWS], columns[W];
        NAME(turning) turned = NAME(turning_at)(y, row);
        AD_UNROLL for (int r = 0; r < rows; r++) chains[r] = V(_zero)();
        int64_t p = 0;
        for (; p + W <= k; p += W) {
            if (rows <= 4 && W > 8) {
                NAME(turn_rows)(&turned, columns);
            } else { /* where addresses of x need the registers, or rows are few enough */
                AD_UNROLL for (int l = 0; l < W; l++) columns[l] = V(_load)(y + l * row + p);
                V(_transpose)(columns);
            }
            AD_UNROLL for (int q = 0; q < W; q++) {
                AD_UNROLL for (int r = 0; r < rows; r++) chains[r] =
                    V(_fma)(V(_set1)(((const T *)x_[r])[p + q]), columns[q], chains[r]);
            }
        }
        for (; p < k; p++) {
            T column[W];
            AD_UNROLL for (int l = 0; l < W; l++) column[l] = y[l * row + p];
            AD_UNROLL for (int r = 0; r < rows; r++) chains[r] =
                V(_fma)(V(_set1)(((const T *)x_[r])[p]), V(_load)(column), chains[r]);
        }
        AD_UNROLL for (int r = 0; r < rows; r++) V(_store)((T *)c_[r] + i, chains[r]);
    }
}
static void NAME(dots_4)(int64_t n, int64_t k, const void *const *x, const void *y, int64_t row,
                         void *const *c) {
    NAME(dots_few)(4, n, k, x, y, row, c);
}
static void NAME(dots_8)(int64_t n, int64_t k, const void *const *x, const void *y, int64_t row,
                         void *const *c) {
    NAME(dots_few)(AD_FEW_ROWS, n, k, x, y, row, c);
}

#include "conv_type.h"

/* clang-format off */
#define ROW(rows) {NAME(tile_##rows##_0), NAME(tile_##rows##_1), NAME(tile_##rows##_2)}
enum { NAME(deepest) = VF_W == 16 ? 2048 / sizeof(T) : 320 };
_Static_assert(TILE_ROWS * NAME(deepest) * sizeof(T) <= AD_PANEL_BYTES, "what a tile copies of A has room");

static const ad_gemm_type NAME(gemm) = {
    .log2_width = __builtin_ctz(W),
    .rows = TILE_ROWS,
    .depth = NAME(deepest),
    .copying = NAME(copying),
    .packing = NAME(packing),
    .looking = NAME(looking),
    .tile = {
        ROW(1), ROW(2), ROW(3), ROW(4),
#if TILE_ROWS >= 6
        ROW(5), ROW(6),
#endif
#if TILE_ROWS >= 12
        ROW(7), ROW(8), ROW(9), ROW(10), ROW(11), ROW(12),
#endif
    },
#if VF_W == 16
    .half = {[4] = NAME(tile_5_half), NAME(tile_6_half), NAME(tile_7_half), NAME(tile_8_half),
             NAME(tile_9_half), NAME(tile_10_half), NAME(tile_11_half), NAME(tile_12_half)},
#endif
    .row = {NAME(tile_1_0), NAME(tile_1_1), NAME(tile_1_2), NAME(tile_1_3), NAME(tile_1_4),
            NAME(tile_1_5), NAME(tile_1_6), NAME(tile_1_7), NAME(tile_1_8)},
    .pack = NAME(pack),
    .dots = NAME(dots),
    .few = {NAME(dots_4), NAME(dots_8)},
    .a_at = {
        A_AT_ROW(1), A_AT_ROW(2), [3] = A_AT_ROW(4),
#if TILE_ROWS >= 6
        [2] = A_AT_ROW(3), [5] = A_AT_ROW(6),
#endif
#if TILE_ROWS >= 12
        [11] = A_AT_ROW(12),
#endif
    },
    .b_at = {
        B_AT_ROW(1, NULL, NAME(b_at_1_4)), B_AT_ROW(2),
#if TILE_ROWS >= 6 && W == VF_W
        [3] = B_AT_ROW(4), [5] = B_AT_ROW(6),
#endif
    },
    .lines = {
        {NULL, NULL, NULL, NULL, NAME(lines_2_4)}, {MASKED(4), NAME(lines_4_1), NAME(lines_4_2)},
        [3] = {NULL, NAME(lines_8_1)},
    },
    .apart = LANEWISE,
    .correlate = NAME(correlate),
    .correlate_apart = CORRELATE_APART,
    .correlate_taps = CORRELATE_TAPS,
};
/* clang-format on */

#undef OPAQUE
#undef LINK
#undef LAG
#undef LAGGING
#undef AT_ONE_PLACE
#undef TILE
#undef TILES
#undef ROW
#undef A_AT_ROW
#undef MASKED
#undef LANEWISE
#undef CORRELATE_APART
#undef CORRELATE_TAPS
#undef B_AT_ROW
#undef AT_ROW_0
#undef T
#undef W
#undef V
#undef NAME
#undef FMA
