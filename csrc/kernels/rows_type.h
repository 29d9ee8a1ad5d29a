/* kernels/rows_type.h: the blocks of one float type. kernels/rows.h includes it once per type, with
 *   T              the element type           NAME(x)   x, marked with the type
 *   V, VEC_W       its vector and the lanes   VEC(x)    the vocabulary's x
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
static void NAME(finish)(int program, const ad_block *s, const void *a, const void *b, const void *top,
                         const void *sum, void *y) {
    switch (program) {
    case AD_ROWS_softmax: NAME(finish_as)(AD_ROWS_softmax, s, a, b, top, sum, y); break;
    case AD_ROWS_log_softmax: NAME(finish_as)(AD_ROWS_log_softmax, s, a, b, top, sum, y); break;
    case AD_ROWS_softmax_vjp: NAME(finish_as)(AD_ROWS_softmax_vjp, s, a, b, top, sum, y); break;
    case AD_ROWS_log_softmax_vjp: NAME(finish_as)(AD_ROWS_log_softmax_vjp, s, a, b, top, sum, y); break;
    default: NAME(finish_as)(AD_ROWS_logsumexp_vjp, s, a, b, top, sum, y);
    }
}

/* ---- layer norm: a row x is normalized to ((x - mean) - rest) rstd ---- */

AD_SIMD V NAME(normal)(V x, V mean, V rest, V rstd) {
    return VEC(mul)(VEC(sub)(VEC(sub)(x, mean), rest), rstd);
}
#define NORMAL_ROW(r)                                                                                        \
    const V mean = VEC(set1)(((const T *)s->mean)[r]), rest = VEC(set1)(((const T *)s->rest)[r]),            \
            rstd = VEC(set1)(((const T *)s->rstd)[r])

/* A weight or a bias: numbers of columns, or one. */
AD_SIMD V NAME(scale)(const void *p, const ad_normal *s, int64_t c, int64_t k) {
    return s->one ? VEC(set1)(*(const T *)p) : NAME(read)(p, c, k);
}

/* y = normal(x) weight + bias; either may be NULL */
static void NAME(normalize)(int64_t rows, int64_t n, const void *x, const ad_normal *s, const void *weight,
                            const void *bias, void *y) {
    for (int64_t r = 0; r < rows; r++) {
        NORMAL_ROW(r);
        for (int64_t c = 0, k = n; c < n; c += VEC_W, k -= VEC_W) {
            V a = NAME(normal)(NAME(read)(x, r * n + c, k), mean, rest, rstd);
            if (weight) a = VEC(mul)(a, NAME(scale)(weight, s, c, k));
            if (bias) a = VEC(add)(a, NAME(scale)(bias, s, c, k));
            NAME(write)(y, r * n + c, a, k);
        }
    }
}

/* Of h = g weight: the sums of h and of h normal(x), in double, over up to a chunk of a row. */
static void NAME(norm_sums)(int64_t n, const void *g, const void *x, const void *weight, const ad_normal *s,
                            double *sums) {
    enum { LANES = AD_LANE_BYTES / sizeof(T), PARTS = VEC_W / VD_W, SUMS = LANES / VD_W };
    NORMAL_ROW(0);
    vd first[SUMS], second[SUMS];
    AD_UNROLL for (int v = 0; v < SUMS; v++) first[v] = second[v] = vd_zero();
    for (int64_t i = 0; i < n; i += LANES) AD_UNROLL for (int v = 0; v < LANES / VEC_W; v++) {
            const int64_t at = i + v * VEC_W, k = n - at;
            if (k <= 0) break;
            V h = NAME(read)(g, at, k);
            if (weight) h = VEC(mul)(h, NAME(read)(weight, at, k));
            const V hx = VEC(mul)(h, NAME(normal)(NAME(read)(x, at, k), mean, rest, rstd));
            AD_UNROLL for (int p = 0; p < PARTS; p++) {
                first[v * PARTS + p] = vd_add(first[v * PARTS + p], WIDEN(h, p));
                second[v * PARTS + p] = vd_add(second[v * PARTS + p], WIDEN(hx, p));
            }
        }
    sums[0] = join_doubles(first, SUMS);
    sums[1] = join_doubles(second, SUMS);
}

/* dx = rstd ((h - mean_h) - normal(x) mean_hx), and to the others, the cotangents of weight and bias, their
 * terms are added; each may be NULL */
static void NAME(norm_vjp)(int64_t n, const void *g, const void *x, const void *weight, const ad_normal *s,
                           const double *means, void *dx, void *dw, void *db) {
    const V mean_h = VEC(set1)((T)means[0]), mean_hx = VEC(set1)((T)means[1]);
    NORMAL_ROW(0);
    for (int64_t c = 0, k = n; c < n; c += VEC_W, k -= VEC_W) {
        const V slope = NAME(read)(g, c, k), row = NAME(normal)(NAME(read)(x, c, k), mean, rest, rstd);
        if (dx) {
            const V h = weight ? VEC(mul)(slope, NAME(scale)(weight, s, c, k)) : slope;
            const V left = VEC(sub)(VEC(sub)(h, mean_h), VEC(mul)(row, mean_hx));
            NAME(write)(dx, c, VEC(mul)(rstd, left), k);
        }
        if (dw) NAME(write)(dw, c, VEC(add)(NAME(read)(dw, c, k), VEC(mul)(slope, row)), k);
        if (db) NAME(write)(db, c, VEC(add)(NAME(read)(db, c, k), slope), k);
    }
}
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

#undef EACH_VECTOR
#undef T
#undef V
#undef VEC_W
#undef VEC
#undef NAME
#undef WIDEN
#undef NARROW
