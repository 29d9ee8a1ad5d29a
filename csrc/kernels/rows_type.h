/* kernels/rows_type.h: the blocks of one float type. kernels/rows.h includes it once per type, with
 *   T              the element type           NAME(x)   x, marked with the type
 *   V, VEC_W       its vector and the lanes   VEC(x), MASK(x)  the vocabulary's x
 *   WIDEN(a, part), NARROW(parts)             a vector as doubles, in parts, and back */

/* The k first elements at p, or a whole vector. */
AD_SIMD V NAME(read)(const void *p, int64_t at, int64_t k) {
    const T *from = (const T *)p + at;
    return k >= VEC_W ? VEC(load)(from) : VEC(load_n)(from, k);
}
AD_SIMD void NAME(write)(void *p, int64_t at, V a, int64_t k) {
    T *to = (T *)p + at;
    if (k >= VEC_W)
        VEC(store)(to, a);
    else
        VEC(store_n)(to, a, k);
}
/* The numbers of a column each, or the one of the row. */
AD_SIMD V NAME(given)(const void *p, const ad_block *s, int64_t row, int64_t c, int64_t k) {
    return s->columns ? NAME(read)(p, c, k) : VEC(set1)(((const T *)p)[row]);
}

#define EACH_VECTOR                                                                                          \
    for (int64_t r = 0; r < s->rows; r++)                                                                    \
        for (int64_t c = 0, k = s->cols; c < s->cols; c += VEC_W, k -= VEC_W)

/* y = exp(a - top); 0 where that is below what there are numbers for, without the time denormal ones take */
static void NAME(shifted_exp)(const ad_block *s, const void *a, const void *top, void *y, int64_t y_stride) {
    EACH_VECTOR {
        V x = VEC(sub)(NAME(read)(a, r * s->stride + c, k), NAME(given)(top, s, r, c, k));
        const V least = VEC(set1)(sizeof(T) == 4 ? -104 : -746);
        V e = VEC(exp)(VEC(select)(VEC(lt)(x, least), VEC(zero)(), x));
        NAME(write)(y, r * y_stride + c, VEC(select)(VEC(lt)(x, least), VEC(zero)(), e), k);
    }
}

/* What a program makes of its operands once top and sum are known. */
AD_SIMD V NAME(finish_vector)(int program, const void *a, const void *b, const void *y, int64_t at, int64_t k,
                              V top, V sum) {
    switch (program) {
    case AD_ROWS_softmax: return VEC(div)(NAME(read)(y, at, k), sum);
    case AD_ROWS_log_softmax: return VEC(sub)(VEC(sub)(NAME(read)(a, at, k), top), sum); /* its logarithm */
    case AD_ROWS_softmax_vjp: return VEC(mul)(VEC(sub)(NAME(read)(b, at, k), sum), NAME(read)(a, at, k));
    case AD_ROWS_log_softmax_vjp:
        return VEC(sub)(NAME(read)(b, at, k), VEC(mul)(VEC(exp)(NAME(read)(a, at, k)), sum));
    default: return VEC(mul)(top, VEC(div)(NAME(read)(y, at, k), sum)); /* logsumexp_vjp: top is b */
    }
}

AD_SIMD void NAME(finish_as)(int program, const ad_block *s, const void *a, const void *b, const void *top,
                             const void *sum, void *y) {
    EACH_VECTOR {
        V tops = NAME(given)(top, s, r, c, k), sums = NAME(given)(sum, s, r, c, k);
        int64_t at = r * s->stride + c;
        NAME(write)(y, at, NAME(finish_vector)(program, a, b, y, at, k, tops, sums), k);
    }
}
/* y / sum of rows, rounded as a division is, which takes longer where vectors are wide: with r = 1 / sum
 * rounded, the quotient y r is corrected twice, of which the first makes it faithful and the second right
 * (Markstein, 1990), but where it or its remainder may be no normal number. */
static void NAME(divide)(const ad_block *s, const void *sum, void *y) {
    const V tiny = VEC(set1)((T)0x1p-60);
    for (int64_t r = 0; r < s->rows; r++) {
        const V total = VEC(set1)(((const T *)sum)[r]), inverse = VEC(div)(VEC(set1)(1), total);
        const bool usual = ((const T *)sum)[r] < (T)0x1p40;
        for (int64_t c = 0, k = s->cols; c < s->cols; c += VEC_W, k -= VEC_W) {
            const V a = NAME(read)(y, r * s->stride + c, k);
            V q = VEC(mul)(a, inverse);
            q = VEC(fma)(VEC(fma)(VEC(neg)(q), total, a), inverse, q);
            q = VEC(fma)(VEC(fma)(VEC(neg)(q), total, a), inverse, q);
            if (!usual || MASK(any)(MASK(and)(VEC(lt)(VEC(zero)(), a), VEC(lt)(a, tiny))))
                q = VEC(div)(a, total);
            NAME(write)(y, r * s->stride + c, q, k);
        }
    }
}
static void NAME(finish)(int program, const ad_block *s, const void *a, const void *b, const void *top,
                         const void *sum, void *y) {
    if (VF_W == 16 && program == AD_ROWS_softmax && !s->columns && s->cols >= 4 * VEC_W) {
        NAME(divide)(s, sum, y);
        return;
    }
    switch (program) {
    case AD_ROWS_softmax: NAME(finish_as)(AD_ROWS_softmax, s, a, b, top, sum, y); break;
    case AD_ROWS_log_softmax: NAME(finish_as)(AD_ROWS_log_softmax, s, a, b, top, sum, y); break;
    case AD_ROWS_softmax_vjp: NAME(finish_as)(AD_ROWS_softmax_vjp, s, a, b, top, sum, y); break;
    case AD_ROWS_log_softmax_vjp: NAME(finish_as)(AD_ROWS_log_softmax_vjp, s, a, b, top, sum, y); break;
    default: NAME(finish_as)(AD_ROWS_logsumexp_vjp, s, a, b, top, sum, y);
    }
}

/* ---- layer norm: a row x is normalized to ((x - mean) - rest) rstd ---- */

AD_SIMD V NAME(normal)(V x, V mean, V rstd, V moved) { return VEC(fma)(VEC(sub)(x, mean), rstd, moved); }
#define NORMAL_ROW(r)                                                                                        \
    const V mean = VEC(set1)(((const T *)s->mean)[r]), rstd = VEC(set1)(((const T *)s->rstd)[r]),            \
            moved = VEC(set1)(-((const T *)s->rest)[r] * ((const T *)s->rstd)[r])

/* A weight or a bias: numbers of columns, or one. */
AD_SIMD V NAME(scale)(bool one, const T *p, int64_t c, int64_t k) {
    return one ? VEC(set1)(*p) : NAME(read)(p, c, k);
}

/* What is done with the vector at c, of which there are k numbers. */
#define WHOLE_THEN_LAST(n, ...)                                                                              \
    {                                                                                                        \
        int64_t c = 0, k = VEC_W;                                                                            \
        for (; (n) - c >= VEC_W; c += VEC_W) __VA_ARGS__                                                     \
        k = (n) - c;                                                                                         \
        if (k) __VA_ARGS__                                                                                   \
    }

/* y = normal(x) weight + bias; either may be NULL */
AD_SIMD void NAME(normalize_as)(bool one, bool scaled, bool shifted, int64_t rows, int64_t n, const T *x,
                                const ad_normal *s, const T *weight, const T *bias, T *y) {
    for (int64_t r = 0; r < rows; r++, x += n, y += n) {
        NORMAL_ROW(r);
        WHOLE_THEN_LAST(n, {
            V a = NAME(normal)(NAME(read)(x, c, k), mean, rstd, moved);
            if (scaled && shifted)
                a = VEC(fma)(a, NAME(scale)(one, weight, c, k), NAME(scale)(one, bias, c, k));
            else if (scaled)
                a = VEC(mul)(a, NAME(scale)(one, weight, c, k));
            NAME(write)(y, c, a, k);
        })
    }
}
static void NAME(normalize)(int64_t rows, int64_t n, const void *x, const ad_normal *s, const void *weight,
                            const void *bias, void *y) {
    if (s->one)
        NAME(normalize_as)(true, true, true, rows, n, x, s, weight, bias, y);
    else if (weight && bias)
        NAME(normalize_as)(false, true, true, rows, n, x, s, weight, bias, y);
    else
        NAME(normalize_as)(false, weight, bias, rows, n, x, s, weight, bias, y);
}

/* Of h = g weight: the sums of h and of h normal(x) over up to a chunk of a row. A lane adds up four in its
 * own type, then in double. */
AD_SIMD void NAME(norm_sums_as)(bool scaled, int64_t n, const T *g, const T *x, const T *weight,
                                const ad_normal *s, double *sums) {
    enum { LANES = AD_LANE_BYTES / sizeof(T), PARTS = VEC_W / VD_W, SUMS = LANES / VD_W };
    NORMAL_ROW(0);
    vd first[SUMS], second[SUMS];
    AD_UNROLL for (int v = 0; v < SUMS; v++) first[v] = second[v] = vd_zero();
#define TERM(at, k)                                                                                          \
    V h = NAME(read)(g, at, k);                                                                              \
    if (scaled) h = VEC(mul)(h, NAME(read)(weight, at, k));                                                  \
    const V row = NAME(normal)(NAME(read)(x, at, k), mean, rstd, moved);
#define ADD_UP(v)                                                                                            \
    AD_UNROLL for (int p = 0; p < PARTS; p++) {                                                              \
        first[(v) * PARTS + p] = vd_add(first[(v) * PARTS + p], WIDEN(a, p));                                \
        second[(v) * PARTS + p] = vd_add(second[(v) * PARTS + p], WIDEN(b, p));                              \
    }
    static const T lane[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    int64_t i = 0;
    for (; n - i >= AD_LANE_STEPS * LANES; i += AD_LANE_STEPS * LANES)
        AD_UNROLL for (int v = 0; v < LANES / VEC_W; v++) {
            V a = VEC(zero)(), b = a;
            AD_UNROLL for (int j = 0; j < AD_LANE_STEPS; j++) {
                TERM(i + j * LANES + v * VEC_W, VEC_W)
                a = VEC(add)(a, h);
                b = VEC(fma)(h, row, b);
            }
            ADD_UP(v)
        }
    for (int v = 0; v < LANES / VEC_W; v++) {
        V a = VEC(zero)(), b = a;
        for (int64_t at = i + v * VEC_W; at < n; at += LANES) {
            TERM(at, n - at)
            a = VEC(add)(a, h); /* lanes past the end have nothing: 0 may be far from the mean */
            b = VEC(fma)(h, VEC(select)(VEC(lt)(VEC(load)(lane), VEC(set1)((T)(n - at))), row, VEC(zero)()),
                         b);
        }
        ADD_UP(v)
    }
#undef TERM
#undef ADD_UP
    sums[0] = join_doubles(first, SUMS);
    sums[1] = join_doubles(second, SUMS);
}
static void NAME(norm_sums)(int64_t n, const void *g, const void *x, const void *weight, const ad_normal *s,
                            double *sums) {
    if (weight)
        NAME(norm_sums_as)(true, n, g, x, weight, s, sums);
    else
        NAME(norm_sums_as)(false, n, g, x, NULL, s, sums);
}

/* dx = rstd ((h - mean_h) - normal(x) mean_hx), or rstd h where means is NULL; and to the others, the
 * cotangents of weight and bias, their terms are added; each may be NULL */
AD_SIMD void NAME(norm_vjp_as)(bool one, bool scaled, int64_t n, const T *g, const T *x, const T *weight,
                               const ad_normal *s, const double *means, T *dx, T *dw, T *db) {
    const V mean_h = VEC(set1)(means ? (T)means[0] : 0), back = VEC(set1)(means ? -(T)means[1] : 0);
    NORMAL_ROW(0);
    WHOLE_THEN_LAST(n, {
        const V slope = NAME(read)(g, c, k), row = NAME(normal)(NAME(read)(x, c, k), mean, rstd, moved);
        if (dx) {
            const V h = scaled ? VEC(mul)(slope, NAME(scale)(one, weight, c, k)) : slope;
            const V left = means ? VEC(fma)(row, back, VEC(sub)(h, mean_h)) : h;
            NAME(write)(dx, c, VEC(mul)(rstd, left), k);
        }
        if (dw) NAME(write)(dw, c, VEC(add)(NAME(read)(dw, c, k), VEC(mul)(slope, row)), k);
        if (db) NAME(write)(db, c, VEC(add)(NAME(read)(db, c, k), slope), k);
    })
}
static void NAME(norm_vjp)(int64_t n, const void *g, const void *x, const void *weight, const ad_normal *s,
                           const double *means, void *dx, void *dw, void *db) {
    if (s->one && !means)
        NAME(norm_vjp_as)(true, true, n, g, x, weight, s, NULL, dx, NULL, NULL);
    else if (s->one)
        NAME(norm_vjp_as)(true, true, n, g, x, weight, s, means, dx, NULL, NULL);
    else
        NAME(norm_vjp_as)(false, weight, n, g, x, weight, s, means, dx, dw, db);
}
#undef WHOLE_THEN_LAST
#undef NORMAL_ROW

/* y = factor ((a - mean) - rest), the differences in double */
static void NAME(deviations)(const ad_block *s, const void *a, const double *mean, const double *rest,
                             const void *factor, void *y) {
    EACH_VECTOR {
        V x = NAME(read)(a, r * s->stride + c, k);
        vd parts[VEC_W / VD_W];
        AD_UNROLL for (int p = 0; p < VEC_W / VD_W; p++) {
            int64_t at = c + p * VD_W, left = k - p * VD_W;
            left = left < 0 ? 0 : left;
            parts[p] = vd_sub(WIDEN(x, p), given_f64(mean, s, r, at, left));
            parts[p] = vd_sub(parts[p], given_f64(rest, s, r, at, left));
        }
        NAME(write)(y, r * s->stride + c, VEC(mul)(NAME(given)(factor, s, r, c, k), NARROW(parts)), k);
    }
}

/* ---- distances of rows ----
 * Columns of a panel are rows of the other matrix. Terms are added in order, a chunk at a time, so that an
 * element's bits depend on its two rows alone. */
enum {
    NAME(PANEL) = AD_LANE_BYTES / sizeof(T),
    NAME(PANEL_VECS) = NAME(PANEL) / VEC_W,
    NAME(TOGETHER) = NAME(PANEL_VECS) < 8 ? 8 / NAME(PANEL_VECS) : 1, /* rows, as far as registers go */
    NAME(CHUNK) = 256
};
AD_SIMD V NAME(farther)(int order, V held, V d) {
    switch (order) {
    case AD_DISTANCE_1: return VEC(add)(held, VEC(abs)(d));
    case AD_DISTANCE_2: return VEC(fma)(d, d, held);
    default: return VEC(maximum)(held, VEC(abs)(d));
    }
}
#define EACH                                                                                                 \
    AD_UNROLL for (int r = 0; r < NAME(TOGETHER); r++) AD_UNROLL for (int v = 0; v < NAME(PANEL_VECS); v++)
/* Rows there are too few of are the last again, and `out` has room for them. */
AD_SIMD void NAME(distances_as)(int order, int64_t rows, int64_t k, const T *x, const T *panel, T *out) {
    V total[NAME(TOGETHER)][NAME(PANEL_VECS)], part[NAME(TOGETHER)][NAME(PANEL_VECS)];
    const T *row[NAME(TOGETHER)];
    for (int64_t first = 0; first < rows; first += NAME(TOGETHER), out += NAME(TOGETHER) * NAME(PANEL)) {
        for (int r = 0; r < NAME(TOGETHER); r++) row[r] = x + ad_least(first + r, rows - 1) * k;
        EACH total[r][v] = VEC(zero)();
        for (int64_t i = 0, end; i < k; i = end) {
            end = ad_least(i + NAME(CHUNK), k);
            EACH part[r][v] = VEC(zero)();
            for (int64_t j = i; j < end; j++)
                EACH part[r][v] = NAME(farther)(
                    order, part[r][v],
                    VEC(sub)(VEC(set1)(row[r][j]), VEC(load)(panel + j * NAME(PANEL) + v * VEC_W)));
            EACH total[r][v] = order == AD_DISTANCE_inf ? VEC(maximum)(total[r][v], part[r][v])
                                                        : VEC(add)(total[r][v], part[r][v]);
        }
        EACH VEC(store)(out + r * NAME(PANEL) + v * VEC_W,
                        order == AD_DISTANCE_2 ? VEC(sqrt)(total[r][v]) : total[r][v]);
    }
}
#undef EACH
static void NAME(distances)(int order, int64_t rows, int64_t k, const void *x, const void *panel, void *out) {
    switch (order) {
    case AD_DISTANCE_1: NAME(distances_as)(AD_DISTANCE_1, rows, k, x, panel, out); break;
    case AD_DISTANCE_2: NAME(distances_as)(AD_DISTANCE_2, rows, k, x, panel, out); break;
    default: NAME(distances_as)(AD_DISTANCE_inf, rows, k, x, panel, out);
    }
}

/* The sums of the squares of rows of k. */
static void NAME(squares)(int64_t rows, int64_t k, const void *x, void *sums) {
    enum { LANES = AD_LANE_BYTES / sizeof(T), VECTORS = LANES / VEC_W };
    for (int64_t r = 0; r < rows; r++) {
        V made[VECTORS];
        T lanes[LANES];
        AD_UNROLL for (int v = 0; v < VECTORS; v++) made[v] = VEC(zero)();
        for (int64_t i = 0; i < k; i += LANES) AD_UNROLL for (int v = 0; v < VECTORS; v++) {
                const int64_t at = i + v * VEC_W;
                if (at >= k) break;
                const V a = NAME(read)(x, r * k + at, k - at);
                made[v] = VEC(fma)(a, a, made[v]);
            }
        AD_UNROLL for (int v = 0; v < VECTORS; v++) VEC(store)(lanes + v * VEC_W, made[v]);
        for (int half = LANES / 2; half; half /= 2)
            for (int l = 0; l < half; l++) lanes[l] += lanes[l + half];
        ((T *)sums)[r] = lanes[0];
    }
}

/* From a row's sum, those of the others and its products c with them. */
static void NAME(by_squares)(int64_t n, const void *own, const void *others, void *c) {
    const V sum = VEC(set1)(*(const T *)own), twice = VEC(set1)(-2);
    for (int64_t j = 0, k = n; j < n; j += VEC_W, k -= VEC_W) {
        const V square = VEC(fma)(twice, NAME(read)(c, j, k), VEC(add)(sum, NAME(read)(others, j, k)));
        NAME(write)(c, j, VEC(sqrt)(VEC(max)(VEC(zero)(), square)), k);
    }
}

#undef EACH_VECTOR
#undef T
#undef V
#undef VEC_W
#undef VEC
#undef MASK
#undef NAME
#undef WIDEN
#undef NARROW
