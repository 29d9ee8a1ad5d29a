/* kernels/reduce_type.h: the folds of one register type. kernels/reduce.h includes it once per type, with
 *   T              the element type           NAME(x)   x, marked with the type
 *   V, VEC_W       its vector and the lanes   VEC(x)    the vocabulary's x, VEC_BITS(x) of its bits
 *   VEC_MASK       its mask                   MASK(x)   the vocabulary's x of masks
 *   PLACE          the integer of its width
 *   IS_NAN(a)      whether a is a nan         LOWEST, HIGHEST   what loses to anything in max and min
 *   EXACT          where any order of folding gives the same: the compiler's (no V then)
 *   EXTREMES_ALONE where there are no sums, products and places */

#ifdef EXACT
#define VEC_W 1
#define IS_NAN(a) false
#endif

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
/* ---- rows: several at a time, to have enough independent chains of additions ---- */

#ifdef EXACT
AD_SIMD void NAME(rows)(int fold, int64_t rows, int64_t n, const T *x, int64_t stride, T *out, bool alone) {
    (void)alone;
    for (int64_t r = 0; r < rows; r++, x += stride) {
        T all = NAME(identity)(fold);
        for (int64_t i = 0; i < n; i++) all = NAME(fold)(fold, all, x[i]);
        out[r] = all;
    }
}
#else
AD_SIMD V NAME(fold_vec)(int fold, V a, V b) {
    switch (fold) {
    case AD_FOLD_sum: return VEC(add)(a, b);
    case AD_FOLD_prod: return VEC(mul)(a, b);
    case AD_FOLD_max: return VEC(maximum)(a, b);
    default: return VEC(minimum)(a, b);
    }
}

/* n of the lanes of a vector, at least one. */
AD_SIMD V NAME(load_some)(const T *p, int64_t n) {
#if VEC_W > 1
    if (n < VEC_W) return VEC(load_n)(p, n);
#endif
    (void)n;
    return VEC(load)(p);
}
AD_SIMD void NAME(store_some)(T *p, V a, int64_t n) {
#if VEC_W > 1
    if (n < VEC_W) {
        VEC(store_n)(p, a, n);
        return;
    }
#endif
    (void)n;
    VEC(store)(p, a);
}

/* The fewer than LANES elements at the end of a run; the identity in the other lanes changes nothing. */
AD_SIMD void NAME(fold_tail)(int fold, V *acc, const T *tail, int64_t n) {
    AD_UNROLL for (int v = 0; v < NAME(VECS); v++) {
        const int64_t k = n - v * VEC_W;
        if (k >= VEC_W) acc[v] = NAME(fold_vec)(fold, acc[v], VEC(load)(tail + v * VEC_W));
#if VEC_W > 1
        static const T lane[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
        if (k <= 0 || k >= VEC_W) continue;
        const VEC_MASK there = VEC(lt)(VEC(load)(lane), VEC(set1)((T)k));
        const V x = VEC(load_n)(tail + v * VEC_W, k);
        acc[v] = NAME(fold_vec)(fold, acc[v], VEC(select)(there, x, VEC(set1)(NAME(identity)(fold))));
#endif
    }
}

AD_SIMD T NAME(join_lanes)(int fold, V *acc) {
    T first;
    AD_UNROLL for (int half = NAME(VECS) / 2; half > 0; half /= 2) AD_UNROLL for (int v = 0; v < half; v++)
        acc[v] = NAME(fold_vec)(fold, acc[v], acc[v + half]);
    AD_UNROLL for (int half = VEC_W / 2; half > 0; half /= 2) acc[0] =
        NAME(fold_vec)(fold, acc[0], VEC(lanes_from)(acc[0], half));
    memcpy(&first, acc, sizeof first);
    return first;
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

AD_SIMD void NAME(rows)(int fold, int64_t rows, int64_t n, const T *x, int64_t stride, T *out, bool alone) {
    int64_t r = 0;
    for (; (NAME(RUNS) == 1 || !alone) && rows - r >= NAME(RUNS); r += NAME(RUNS))
        NAME(fold_runs)(fold, NAME(RUNS), n, x + r * stride, stride, out + r);
    for (; NAME(RUNS) > 1 && r < rows; r++) NAME(fold_runs)(fold, 1, n, x + r * stride, stride, out + r);
}
#endif

/* ---- columns: the lanes of all columns side by side, lanes[l * cols + c] ---- */

#ifdef EXACT
/* Row after row, as the compiler has vectors of columns then. */
AD_SIMD void NAME(fold_rows_into)(int fold, int64_t k, int64_t cols, const T *x, int64_t step, T *lane,
                                  bool fresh) {
    int64_t r = 0;
    for (int64_t c = 0; fresh && c < cols; c++) lane[c] = NAME(identity)(fold);
#ifdef EXTREMES_ALONE
    for (; r < k; r += AD_LANE_STEPS, x += AD_LANE_STEPS * step) {
        const T *row[AD_LANE_STEPS]; /* of which the first is met again where there are no more */
        AD_UNROLL for (int64_t i = 0; i < AD_LANE_STEPS; i++) row[i] = x + (r + i < k ? i : 0) * step;
        AD_INDEPENDENT for (int64_t c = 0; c < cols; c++) {
            T all = lane[c];
            AD_UNROLL for (int64_t i = 0; i < AD_LANE_STEPS; i++) all = NAME(fold)(fold, all, row[i][c]);
            lane[c] = all;
        }
    }
#else
    for (; k - r >= AD_LANE_STEPS; r += AD_LANE_STEPS, x += AD_LANE_STEPS * step)
        AD_INDEPENDENT for (int64_t c = 0; c < cols; c++) {
            T all = lane[c];
            AD_UNROLL for (int64_t i = 0; i < AD_LANE_STEPS; i++) all =
                NAME(fold)(fold, all, x[i * step + c]);
            lane[c] = all;
        }
    for (; r < k; r++, x += step)
        AD_INDEPENDENT for (int64_t c = 0; c < cols; c++) lane[c] = NAME(fold)(fold, lane[c], x[c]);
#endif
}
#else
/* Folds k rows of x, `step` apart, by fours, and those into one lane of every column. A fresh
 * lane holds the identity: it is read from `held` as the others are from the lane, so that there is one loop.
 */
AD_SIMD void NAME(fold_rows_into)(int fold, int64_t k, int64_t cols, const T *x, int64_t step, T *lane,
                                  bool fresh) {
    T identity[VEC_W];
    AD_UNROLL for (int v = 0; v < VEC_W; v++) identity[v] = NAME(identity)(fold);
    const T *held = fresh ? identity : lane;
    const int64_t along = fresh ? 0 : 1;
    int64_t c = 0;
    for (; cols - c >= VEC_W; c += VEC_W) {
        V all = VEC(load)(held + along * c);
        for (int64_t i = 0; i < k; i += AD_LANE_STEPS) {
            V a = VEC(load)(x + i * step + c);
            for (int64_t j = i + 1; j < ad_least(i + AD_LANE_STEPS, k); j++)
                a = NAME(fold_vec)(fold, a, VEC(load)(x + j * step + c));
            all = NAME(fold_vec)(fold, all, a);
        }
        VEC(store)(lane + c, all);
    }
    for (; c < cols; c++) {
        T all = fresh ? identity[0] : lane[c];
        for (int64_t i = 0; i < k; i += AD_LANE_STEPS) {
            T a = x[i * step + c];
            for (int64_t j = i + 1; j < ad_least(i + AD_LANE_STEPS, k); j++)
                a = NAME(fold)(fold, a, x[j * step + c]);
            all = NAME(fold)(fold, all, a);
        }
        lane[c] = all;
    }
}

AD_SIMD void NAME(columns)(int fold, int64_t rows, int64_t cols, const T *x, int64_t stride, T *lanes,
                           bool first) {
    enum { MOST = 2 * AD_LANE_STEPS };
    for (int64_t group = 0; group < rows; group += MOST * NAME(LANES))
        for (int64_t l = 0; l < NAME(LANES); l++) {
            int64_t left = rows - group - l, k = left <= 0 ? 0 : (left - 1) / NAME(LANES) + 1;
            const T *from = x + (group + l) * stride;
            T *lane = lanes + l * cols;
            bool fresh = first && group == 0;
            if (k >= MOST)
                NAME(fold_rows_into)(fold, MOST, cols, from, NAME(LANES) * stride, lane, fresh);
            else if (k)
                NAME(fold_rows_into)(fold, k, cols, from, NAME(LANES) * stride, lane, fresh);
            else if (fresh)
                for (int64_t c = 0; c < cols; c++) lane[c] = NAME(identity)(fold);
        }
}

/* Columns of no more rows than there are lanes: each lane has one row at most, and they are joined at once.
 */
AD_SIMD void NAME(few)(int fold, int64_t rows, int64_t cols, const T *x, int64_t stride, T *out) {
    const V identity = VEC(set1)(NAME(identity)(fold));
    int64_t half = NAME(LANES) / 2;
    while (half >= rows) half /= 2;
    for (int64_t c = 0, n; c < cols; c += n) {
        V lane[NAME(LANES)];
        n = ad_least(VEC_W, cols - c);
        for (int64_t l = 0; l < rows; l++)
            lane[l] = NAME(fold_vec)(fold, identity, NAME(load_some)(x + l * stride + c, n));
        for (int64_t l = half; half && l < rows; l++)
            lane[l - half] = NAME(fold_vec)(fold, lane[l - half], lane[l]);
        for (int64_t h = half / 2; h > 0; h /= 2)
            for (int64_t l = 0; l < h; l++) lane[l] = NAME(fold_vec)(fold, lane[l], lane[l + h]);
        NAME(store_some)(out + c, lane[0], n);
    }
}

#endif

/* ---- elementwise ---- */

#ifdef EXACT
AD_SIMD void NAME(combine)(int fold, int64_t n, T *dst, const T *a, const T *b) {
    AD_INDEPENDENT for (int64_t i = 0; i < n; i++) dst[i] = NAME(fold)(fold, a[i], b[i]);
}
#else
AD_SIMD void NAME(combine)(int fold, int64_t n, T *dst, const T *a, const T *b) {
    int64_t i = 0;
    for (; n - i >= VEC_W; i += VEC_W)
        VEC(store)(dst + i, NAME(fold_vec)(fold, VEC(load)(a + i), VEC(load)(b + i)));
    if (VEC_W == 1 || i == n) return;
    const V rest = NAME(fold_vec)(fold, NAME(load_some)(a + i, n - i), NAME(load_some)(b + i, n - i));
    NAME(store_some)(dst + i, rest, n - i);
}
#endif

/* Two by two, as the tree over chunks does. */
AD_SIMD void NAME(neighbours)(int fold, int64_t n, T *parts, T *out) {
    T rest = 0; /* what is left over of the levels below */
    bool left = false;
    for (; n > 1; n /= 2) {
        if (n & 1) rest = left ? NAME(fold)(fold, parts[n - 1], rest) : parts[n - 1];
        left = left || n & 1;
        for (int64_t i = 0; i < n / 2; i++) {
            parts[i] = NAME(fold)(fold, parts[2 * i], parts[2 * i + 1]);
            __asm__ volatile(""); /* vectors of them would be more code than they are worth */
        }
    }
    *out = left ? NAME(fold)(fold, parts[0], rest) : parts[0];
}

#ifndef EXTREMES_ALONE
/* ---- where extremes are ---- */

static int64_t NAME(find)(int64_t n, const void *data, const void *value) {
    const T *x = data, wanted = *(const T *)value;
    int64_t i = 0;
#if VEC_W > 1
    const V all = VEC(set1)(wanted);
    if (!IS_NAN(wanted))
        for (; n - i >= 4 * VEC_W; i += 4 * VEC_W) {
            const VEC_MASK a = VEC(eq)(VEC(load)(x + i), all), b = VEC(eq)(VEC(load)(x + i + VEC_W), all);
            const VEC_MASK c = VEC(eq)(VEC(load)(x + i + 2 * VEC_W), all);
            const VEC_MASK d = VEC(eq)(VEC(load)(x + i + 3 * VEC_W), all);
            if (MASK(any)(MASK(or)(MASK(or)(a, b), MASK(or)(c, d)))) break;
        }
#endif
    if (IS_NAN(wanted))
        while (i < n && !IS_NAN(x[i])) i++;
    else
        while (i < n && x[i] != wanted) i++;
    return i;
}

/* Whether a later element replaces the extreme so far: only a greater one does, and the first nan. */
AD_SIMD bool NAME(replaces)(bool max, T later, T earlier) {
    return !IS_NAN(earlier) && (IS_NAN(later) || (max ? later > earlier : later < earlier));
}

AD_SIMD void NAME(places_of)(bool max, int64_t first, int64_t rows, int64_t cols, const T *x, int64_t stride,
                             T *extremes, PLACE *places) {
#if VEC_W > 1
    int64_t c = 0;
    for (; cols - c >= VEC_W; c += VEC_W) {
        V best = VEC(load)(extremes + c), at = VEC(load)((const T *)(places + c));
        for (int64_t r = 0; r < rows; r++) {
            const V later = VEC(load)(x + r * stride + c);
            const VEC_MASK keeps = max ? VEC(le)(later, best) : VEC(le)(best, later);
            const VEC_MASK wins = MASK(and)(MASK(not )(keeps), VEC(eq)(best, best));
            best = VEC(select)(wins, later, best);
            at = VEC(select)(wins, VEC(of_bits)(VEC_BITS(set1)(first + r)), at);
        }
        VEC(store)(extremes + c, best);
        VEC(store)((T *)(places + c), at);
    }
    for (; c < cols; c++)
        for (int64_t r = 0; r < rows; r++)
            if (NAME(replaces)(max, x[r * stride + c], extremes[c])) {
                extremes[c] = x[r * stride + c];
                places[c] = (PLACE)(first + r);
            }
#else
    for (int64_t r = 0; r < rows; r++) /* of which the compiler makes vectors */
        AD_INDEPENDENT for (int64_t k = 0; k < cols; k++) {
            const bool wins = NAME(replaces)(max, x[r * stride + k], extremes[k]);
            extremes[k] = wins ? x[r * stride + k] : extremes[k];
            places[k] = wins ? (PLACE)(first + r) : places[k];
        }
#endif
}

static void NAME(places)(bool max, int64_t first, int64_t rows, int64_t cols, const void *data,
                         int64_t stride, void *extremes, void *places) {
    enum { TOGETHER = 4 }; /* rows that pass while a column's extreme is in a register */
    const T *x = data;
    if (first == 0) {
        memcpy(extremes, x, (size_t)cols * sizeof(T));
        memset(places, 0, (size_t)cols * sizeof(PLACE));
    }
    for (int64_t r = first == 0; r < rows; r += TOGETHER) {
        const int64_t n = ad_least(TOGETHER, rows - r);
        if (max && n == TOGETHER)
            NAME(places_of)(true, first + r, TOGETHER, cols, x + r * stride, stride, extremes, places);
        else if (n == TOGETHER)
            NAME(places_of)(false, first + r, TOGETHER, cols, x + r * stride, stride, extremes, places);
        else
            NAME(places_of)(max, first + r, n, cols, x + r * stride, stride, extremes, places);
    }
}

#endif

/* ---- the kernels: the above for each fold ---- */

#ifdef EXACT
#define COLUMNS(name)
#define FEW(name) NAME(lane_##name)(rows, cols, x, stride, out, true)
#else
#define FEW(name) NAME(few)(AD_FOLD_##name, rows, cols, x, stride, out)
#define COLUMNS(name)                                                                                        \
    static void NAME(columns_##name)(int64_t rows, int64_t cols, const void *x, int64_t stride, void *lanes, \
                                     bool first) {                                                           \
        NAME(columns)(AD_FOLD_##name, rows, cols, x, stride, lanes, first);                                  \
    }
#endif
#define AD_FOLD(name)                                                                                        \
    static void NAME(rows_##name)(int64_t rows, int64_t n, const void *x, int64_t stride, void *out,         \
                                  bool alone) {                                                              \
        NAME(rows)(AD_FOLD_##name, rows, n, x, stride, out, alone);                                          \
    }                                                                                                        \
    COLUMNS(name)                                                                                            \
    static void NAME(lane_##name)(int64_t rows, int64_t cols, const void *x, int64_t stride, void *lane,     \
                                  bool first) {                                                              \
        NAME(fold_rows_into)(AD_FOLD_##name, rows, cols, x, stride, lane, first);                            \
    }                                                                                                        \
    static void NAME(few_##name)(int64_t rows, int64_t cols, const void *x, int64_t stride, void *out) {     \
        FEW(name);                                                                                           \
    }                                                                                                        \
    static void NAME(combine_##name)(int64_t n, void *dst, const void *a, const void *b) {                   \
        NAME(combine)(AD_FOLD_##name, n, dst, a, b);                                                         \
    }                                                                                                        \
    static void NAME(neighbours_##name)(int64_t n, void *parts, void *out) {                                 \
        NAME(neighbours)(AD_FOLD_##name, n, parts, out);                                                     \
    }
#ifdef EXTREMES_ALONE
AD_FOLD(max) AD_FOLD(min)
#else
AD_FOLDS
#endif
#undef AD_FOLD
#undef COLUMNS
#undef FEW

#undef T
#undef PLACE
#undef VEC_MASK
#undef VEC_BITS
#undef MASK
#undef V
#undef VEC_W
#undef VEC
#undef NAME
#undef LOWEST
#undef HIGHEST
#undef IS_NAN
#undef EXACT
