/* kernels/reduce_type.h: the folds of one register type. kernels/reduce.h includes it once per type, with
 *   T              the element type           NAME(x)   x, marked with the type
 *   V, VEC_W       its vector and the lanes   VEC(x)    the vocabulary's x
 *   IS_NAN(a)      whether a is a nan         LOWEST, HIGHEST   what loses to anything in max and min */

enum {
    NAME(LANES) = AD_LANE_BYTES / sizeof(T),
    NAME(VECS) = NAME(LANES) / VEC_W,
    NAME(RUNS) = VEC_W > 1 ? 4 : 1, /* folded at a time, as far as registers go */
};

AD_SIMD T NAME(identity)(int fold) {
    return fold == AD_FOLD_sum ? 0 : fold == AD_FOLD_prod ? 1 : fold == AD_FOLD_max ? LOWEST : HIGHEST;
}
AD_SIMD T NAME(fold)(int fold, T a, T b) {
    switch (fold) {
    case AD_FOLD_sum: return a + b;
    case AD_FOLD_prod: return a * b;
    case AD_FOLD_max: return IS_NAN(a) || a > b ? a : b;
    default: return IS_NAN(a) || a < b ? a : b;
    }
}
AD_SIMD V NAME(fold_vec)(int fold, V a, V b) {
    switch (fold) {
    case AD_FOLD_sum: return VEC(add)(a, b);
    case AD_FOLD_prod: return VEC(mul)(a, b);
    case AD_FOLD_max: return VEC(maximum)(a, b);
    default: return VEC(minimum)(a, b);
    }
}

/* ---- rows: several at a time, to have enough independent chains of additions ---- */

/* The fewer than LANES elements at the end of a run; the identity in the other lanes changes nothing. */
AD_SIMD void NAME(fold_tail)(int fold, V *acc, const T *tail, int64_t n) {
    T lanes[NAME(LANES)];
    AD_UNROLL for (int l = 0; l < NAME(LANES); l++) lanes[l] = NAME(identity)(fold);
    memcpy(lanes, tail, (size_t)n * sizeof(T));
    AD_UNROLL for (int v = 0; v < NAME(VECS); v++) acc[v] =
        NAME(fold_vec)(fold, acc[v], VEC(load)(lanes + v * VEC_W));
}

AD_SIMD T NAME(join_lanes)(int fold, V *acc) {
    T lanes[VEC_W];
    AD_UNROLL for (int half = NAME(VECS) / 2; half > 0; half /= 2) AD_UNROLL for (int v = 0; v < half; v++)
        acc[v] = NAME(fold_vec)(fold, acc[v], acc[v + half]);
    VEC(store)(lanes, acc[0]);
    AD_UNROLL for (int half = VEC_W / 2; half > 0; half /= 2) AD_UNROLL for (int l = 0; l < half; l++)
        lanes[l] = NAME(fold)(fold, lanes[l], lanes[l + half]);
    return lanes[0];
}

#define EACH AD_UNROLL for (int r = 0; r < runs; r++) AD_UNROLL for (int v = 0; v < NAME(VECS); v++)
AD_SIMD void NAME(fold_runs)(int fold, int runs, int64_t n, const T *x, int64_t stride, T *out) {
    V acc[NAME(RUNS)][NAME(VECS)], part[NAME(RUNS)][NAME(VECS)];
    int64_t i = 0;
    EACH acc[r][v] = VEC(set1)(NAME(identity)(fold));
    for (; n - i >= AD_LANE_STEPS * NAME(LANES); i += AD_LANE_STEPS * NAME(LANES)) {
        EACH part[r][v] = VEC(load)(x + r * stride + i + v * VEC_W);
        for (int64_t j = i + NAME(LANES); j < i + AD_LANE_STEPS * NAME(LANES); j += NAME(LANES))
            EACH part[r][v] = NAME(fold_vec)(fold, part[r][v], VEC(load)(x + r * stride + j + v * VEC_W));
        EACH acc[r][v] = NAME(fold_vec)(fold, acc[r][v], part[r][v]);
    }
    if (i < n) {
        EACH part[r][v] = VEC(set1)(NAME(identity)(fold));
        for (; n - i >= NAME(LANES); i += NAME(LANES))
            EACH part[r][v] = NAME(fold_vec)(fold, part[r][v], VEC(load)(x + r * stride + i + v * VEC_W));
        if (i < n)
            AD_UNROLL for (int r = 0; r < runs; r++)
                NAME(fold_tail)(fold, part[r], x + r * stride + i, n - i);
        EACH acc[r][v] = NAME(fold_vec)(fold, acc[r][v], part[r][v]);
    }
    AD_UNROLL for (int r = 0; r < runs; r++) out[r] = NAME(join_lanes)(fold, acc[r]);
}
#undef EACH

AD_SIMD void NAME(rows)(int fold, int64_t rows, int64_t n, const T *x, int64_t stride, T *out) {
    int64_t r = 0;
    for (; rows - r >= NAME(RUNS); r += NAME(RUNS))
        NAME(fold_runs)(fold, NAME(RUNS), n, x + r * stride, stride, out + r);
    for (; r < rows; r++) NAME(fold_runs)(fold, 1, n, x + r * stride, stride, out + r);
}

/* ---- columns: the lanes of all columns side by side, lanes[l * cols + c] ---- */

/* Folds k rows of x, `step` apart, and those into one lane of every column; a fresh lane holds the identity.
 */
AD_SIMD void NAME(fold_rows_into)(int fold, int64_t k, int64_t cols, const T *x, int64_t step, T *lane,
                                  bool fresh) {
    T identity = NAME(identity)(fold);
    int64_t c = 0;
    for (; cols - c >= VEC_W; c += VEC_W) {
        V a = k ? VEC(load)(x + c) : VEC(set1)(identity);
        AD_UNROLL for (int j = 1; j < AD_LANE_STEPS; j++) if (j < k) a =
            NAME(fold_vec)(fold, a, VEC(load)(x + j * step + c));
        VEC(store)(lane + c, NAME(fold_vec)(fold, fresh ? VEC(set1)(identity) : VEC(load)(lane + c), a));
    }
    for (; c < cols; c++) {
        T a = k ? x[c] : identity;
        AD_UNROLL for (int j = 1; j < AD_LANE_STEPS; j++) if (j < k) a = NAME(fold)(fold, a, x[j * step + c]);
        lane[c] = NAME(fold)(fold, fresh ? identity : lane[c], a);
    }
}

AD_SIMD void NAME(columns)(int fold, int64_t rows, int64_t cols, const T *x, int64_t stride, T *lanes,
                           bool first) {
    int64_t step = NAME(LANES) * stride;
    for (int64_t group = 0; group < rows; group += AD_LANE_STEPS * NAME(LANES))
        for (int64_t l = 0; l < NAME(LANES); l++) {
            int64_t left = rows - group - l, k = left <= 0 ? 0 : (left - 1) / NAME(LANES) + 1;
            const T *from = x + (group + l) * stride;
            T *lane = lanes + l * cols;
            bool fresh = first && group == 0;
            if (k >= AD_LANE_STEPS)
                NAME(fold_rows_into)(fold, AD_LANE_STEPS, cols, from, step, lane, fresh);
            else if (k > 1)
                NAME(fold_rows_into)(fold, k, cols, from, step, lane, fresh);
            else if (k == 1)
                NAME(fold_rows_into)(fold, 1, cols, from, step, lane, fresh);
            else if (fresh)
                NAME(fold_rows_into)(fold, 0, cols, x, step, lane, true);
        }
}

/* ---- elementwise ---- */

AD_SIMD void NAME(combine)(int fold, int64_t n, T *dst, const T *a, const T *b) {
    int64_t i = 0;
    for (; n - i >= VEC_W; i += VEC_W)
        VEC(store)(dst + i, NAME(fold_vec)(fold, VEC(load)(a + i), VEC(load)(b + i)));
    for (; i < n; i++) dst[i] = NAME(fold)(fold, a[i], b[i]);
}

/* ---- the kernels: the above for each fold ---- */

#define AD_FOLD(name)                                                                                        \
    static void NAME(rows_##name)(int64_t rows, int64_t n, const void *x, int64_t stride, void *out) {       \
        NAME(rows)(AD_FOLD_##name, rows, n, x, stride, out);                                                 \
    }                                                                                                        \
    static void NAME(columns_##name)(int64_t rows, int64_t cols, const void *x, int64_t stride, void *lanes, \
                                     bool first) {                                                           \
        NAME(columns)(AD_FOLD_##name, rows, cols, x, stride, lanes, first);                                  \
    }                                                                                                        \
    static void NAME(combine_##name)(int64_t n, void *dst, const void *a, const void *b) {                   \
        NAME(combine)(AD_FOLD_##name, n, dst, a, b);                                                         \
    }
AD_FOLDS
#undef AD_FOLD

#undef T
#undef V
#undef VEC_W
#undef VEC
#undef NAME
#undef LOWEST
#undef HIGHEST
#undef IS_NAN
