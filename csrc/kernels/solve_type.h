/* kernels/solve_type.h: included by solve.h once for each element type T. */

static void NAME(negate)(int64_t rows, int64_t cols, void *dst, const void *src, int64_t row, int64_t col) {
    T *to = dst;
    const T *from = src;
    for (int64_t i = 0; i < rows; i++, from += row, to += cols) {
        if (col == 1)
            for (int64_t j = 0; j < cols; j++) to[j] = -from[j];
        else
            for (int64_t j = 0; j < cols; j++) to[j] = -from[j * col];
    }
}

static void NAME(subtract)(int64_t n, void *y, int64_t step, const void *x) {
    T *to = y;
    const T *from = x;
    for (int64_t i = 0; i < n; i++) to[i * step] -= from[i];
}

/* ---- a triangle that fits the registers ---- */

/* One vector of columns: x[i] = (b[i] - sum over p < i of t(i, p) x[p]) / t(i, i). `minus` holds -t, rows of
 * AD_TRIANGLE. */
AD_SIMD void NAME(substitute_strip)(int n, const T *minus, const T *diagonal, V() * x) {
    for (int i = 0; i < n; i++) {
        for (int p = 0; p < i; p++) x[i] = V(_fma)(V(_set1)(minus[i * AD_TRIANGLE + p]), x[p], x[i]);
        if (diagonal) x[i] = V(_div)(x[i], V(_set1)(diagonal[i]));
    }
}

/* Written for a constant n where most triangles are whole, so that x stays in registers. */
AD_SIMD void NAME(substitute_rows)(int n, const T *minus, const T *diagonal, int64_t cols, T *b,
                                   int64_t row) {
    V() x[AD_TRIANGLE];
    int64_t j = 0;
    for (; j + W <= cols; j += W) {
        AD_UNROLL for (int i = 0; i < n; i++) x[i] = V(_load)(b + i * row + j);
        NAME(substitute_strip)(n, minus, diagonal, x);
        AD_UNROLL for (int i = 0; i < n; i++) V(_store)(b + i * row + j, x[i]);
    }
    if (j == cols) return;
    for (int i = 0; i < n; i++) x[i] = V(_load_n)(b + i * row + j, cols - j);
    NAME(substitute_strip)(n, minus, diagonal, x);
    for (int i = 0; i < n; i++) V(_store_n)(b + i * row + j, x[i], cols - j);
}

static void NAME(substitute)(int n, const void *t, int64_t t_row, int64_t t_col, bool unit, int64_t cols,
                             void *b, int64_t b_row) {
    T minus[AD_TRIANGLE * AD_TRIANGLE], diagonal[AD_TRIANGLE];
    for (int i = 0; i < n; i++) {
        const T *row = (const T *)t + i * t_row;
        for (int p = 0; p < i; p++) minus[i * AD_TRIANGLE + p] = -row[p * t_col];
        diagonal[i] = unit ? 1 : row[i * t_col];
    }
    if (n == AD_TRIANGLE && unit)
        NAME(substitute_rows)(AD_TRIANGLE, minus, NULL, cols, b, b_row);
    else if (n == AD_TRIANGLE)
        NAME(substitute_rows)(AD_TRIANGLE, minus, diagonal, cols, b, b_row);
    else
        NAME(substitute_rows)(n, minus, unit ? NULL : diagonal, cols, b, b_row);
}

/* ---- a panel of few columns, each of them contiguous in `work` ---- */

/* y += s x */
static void NAME(add_scaled)(int64_t n, T *y, T s, const T *x) {
    const V() scale = V(_set1)(s);
    int64_t i = 0;
    for (; i + W <= n; i += W) V(_store)(y + i, V(_fma)(scale, V(_load)(x + i), V(_load)(y + i)));
    if (i < n) V(_store_n)(y + i, V(_fma)(scale, V(_load_n)(x + i, n - i), V(_load_n)(y + i, n - i)), n - i);
}

/* The first of the largest magnitudes; nans are passed over unless one comes first. */
static int64_t NAME(largest)(int64_t n, const T *x) {
    T lanes[W], largest = ABS(x[0]);
    if (isnan(largest)) return 0;
    V() most[4] = {V(_set1)(largest), V(_set1)(largest), V(_set1)(largest), V(_set1)(largest)};
    int64_t i = 0;
    for (; i + 4 * W <= n; i += 4 * W)
        AD_UNROLL for (int v = 0; v < 4; v++) most[v] = V(_max)(V(_abs)(V(_load)(x + i + v * W)), most[v]);
    for (; i + W <= n; i += W) most[0] = V(_max)(V(_abs)(V(_load)(x + i)), most[0]);
    if (i < n) most[0] = V(_max)(V(_abs)(V(_load_n)(x + i, n - i)), most[0]);
    V(_store)(lanes, V(_max)(V(_max)(most[0], most[1]), V(_max)(most[2], most[3])));
    for (int l = 0; l < W; l++) largest = lanes[l] > largest ? lanes[l] : largest;
    const V() wanted = V(_set1)(largest);
    for (i = 0; i + W <= n && !M(_any)(V(_eq)(V(_abs)(V(_load)(x + i)), wanted));) i += W;
    while (ABS(x[i]) != largest) i++;
    return i;
}

static int NAME(panel)(int64_t m, int n, void *a, int64_t row, int64_t *pivots, void *work) {
    T *columns = work;
    int first = n;
    TURNED(n, m, columns, m, a, row, false);
    for (int k = 0; k < n; k++) {
        T *column = columns + k * m;
        const int64_t at = k + NAME(largest)(m - k, column + k);
        pivots[k] = at;
        for (int j = 0; at != k && j < n; j++) {
            const T kept = columns[j * m + k];
            columns[j * m + k] = columns[j * m + at];
            columns[j * m + at] = kept;
        }
        const T pivot = column[k];
        if (pivot == 0) {
            first = first < k ? first : k;
            continue;
        }
        for (int64_t i = k + 1; i < m; i++) column[i] /= pivot;
        for (int j = k + 1; j < n; j++)
            NAME(add_scaled)(m - k - 1, columns + j * m + k + 1, -columns[j * m + k], column + k + 1);
    }
    TURNED(m, n, a, row, columns, m, false);
    return first;
}

static int NAME(root)(int n, void *a, int64_t row) {
    T *u = a;
    for (int i = 0; i < n; i++) {
        T *pivot = u + i * row;
        if (!(pivot[i] > 0)) return i;
        const T root = ROOT(pivot[i]);
        pivot[i] = root;
        for (int j = i + 1; j < n; j++) pivot[j] /= root;
        for (int p = i + 1; p < n; p++) { /* whole vectors: what is below the diagonal is nobody's */
            const int from = p - p % W;
            NAME(add_scaled)(n - from, u + p * row + from, -pivot[p], pivot + from);
        }
    }
    return n;
}

/* ---- reflections ---- */

/* Of the column of m elements, `step` apart: v, but for its first element, over all others, which tau makes
 * zero, and the new first element. In double and scaled, so that nothing overflows. */
static T NAME(reflector)(int64_t m, T *x, int64_t step) {
    const double head = (double)x[0];
    double most = 0, squares = 0;
    for (int64_t i = 1; i < m; i++) {
        const double size = fabs((double)x[i * step]); /* no fmax: gcc 12 for AArch64 fails to compile it */
        if (size > most) most = size;
    }
    if (most == 0) return 0;
    const double scale = fmax(most, fabs(head));
    for (int64_t i = 1; i < m; i++) {
        const double part = (double)x[i * step] / scale;
        squares += part * part;
    }
    const double norm = scale * sqrt(squares + head / scale * (head / scale)), end = head > 0 ? -norm : norm;
    for (int64_t i = 1; i < m; i++) x[i * step] = (T)((double)x[i * step] / (head - end));
    x[0] = (T)end;
    return (T)((end - head) / end);
}

/* Rows of AD_PANEL elements. What makes the largest of each column about 1, a power of two; whether one is
 * not 1 anyway. */
static bool NAME(column_scales)(int64_t m, int n, const T *x, T *scales) {
    T most[AD_PANEL] = {0};
    bool any = false;
    for (int64_t i = 0; i < m; i++)
        for (int c = 0; c < AD_PANEL; c++) {
            const T size = ABS(x[i * AD_PANEL + c]);
            most[c] = size > most[c] ? size : most[c];
        }
    for (int c = 0; c < AD_PANEL; c++) {
        const double size = c < n ? (double)most[c] : 1, far = 0x1p20;
        const bool scaled = size > 0 && size < INFINITY && (size > far || size < 1 / far);
        scales[c] = scaled ? (T)ldexp(1, -(int)fmax(ilogb(size), 2 - EXPONENT)) : 1;
        any = any || scaled;
    }
    return any;
}

/* The row takes away v w, where v is its element j but for `scale`, which becomes it; sums, its products with
 * the element after that. */
AD_SIMD void NAME(pass_row)(T *row, int j, T scale, const V() * w, V() * sums) {
    const T v = j < 0 ? 0 : row[j] * scale;
    const V() minus = V(_set1)(-v);
    V() made[AD_PANEL / W];
    AD_UNROLL for (int k = 0; k < AD_PANEL / W; k++) {
        made[k] = V(_fma)(minus, w[k], V(_load)(row + k * W));
        V(_store)(row + k * W, made[k]);
    }
    if (j >= 0) row[j] = v;
    const V() next = V(_set1)(row[(j + 1) % AD_PANEL]);
    AD_UNROLL for (int k = 0; k < AD_PANEL / W; k++) sums[k] = V(_fma)(next, made[k], sums[k]);
}

/* The same of rows `first` to m, that one without sums; these are of two chains. */
static void NAME(pass)(int64_t first, int64_t m, T *x, int j, T scale, T *sums) {
    V() w[AD_PANEL / W], none[AD_PANEL / W], even[AD_PANEL / W], odd[AD_PANEL / W];
    AD_UNROLL for (int k = 0; k < AD_PANEL / W; k++) {
        w[k] = V(_load)(sums + k * W);
        none[k] = even[k] = odd[k] = V(_zero)();
    }
    NAME(pass_row)(x + first * AD_PANEL, j, scale, w, none);
    int64_t i = first + 1;
    for (; i + 2 <= m; i += 2) {
        NAME(pass_row)(x + i * AD_PANEL, j, scale, w, even);
        NAME(pass_row)(x + (i + 1) * AD_PANEL, j, scale, w, odd);
    }
    if (i < m) NAME(pass_row)(x + i * AD_PANEL, j, scale, w, even);
    AD_UNROLL for (int k = 0; k < AD_PANEL / W; k++) V(_store)(sums + k * W, V(_add)(even[k], odd[k]));
}

/* Of column j, tau and the scale of its v; sums become tau v^T X. */
static T NAME(reflection)(int64_t m, int j, T *x, T *sums, T *scale) {
    T *top = x + j * AD_PANEL, tau;
    const double head = (double)top[j], rest = (double)sums[j], far = ldexp(1, EXPONENT - 28);
    if (rest > 1 / far && rest < far && head * head < far) {
        const double norm = sqrt(head * head + rest), end = head > 0 ? -norm : norm;
        tau = (T)((end - head) / end);
        *scale = (T)(1 / (head - end));
        top[j] = (T)end;
    } else { /* nothing, or next to nothing, or too much */
        tau = NAME(reflector)(m - j, top + j, AD_PANEL);
        *scale = 1;
        for (int c = 0; c < AD_PANEL; c++) sums[c] = 0;
        for (int64_t i = j + 1; i < m; i++)
            for (int c = j + 1; c < AD_PANEL; c++) sums[c] += x[i * AD_PANEL + j] * x[i * AD_PANEL + c];
    }
    for (int c = 0; c < AD_PANEL; c++) sums[c] = c > j ? tau * (top[c] + *scale * sums[c]) : 0;
    for (int c = j + 1; c < AD_PANEL; c++) top[c] -= sums[c];
    return tau;
}

static void NAME(reflect)(int64_t m, int n, void *panel, void *tau) {
    T *x = panel, *taus = tau, scales[AD_PANEL], sums[AD_PANEL] = {0}, scale = 1;
    const bool scaled = NAME(column_scales)(m, n, x, scales);
    for (int64_t i = 0; scaled && i < m; i++)
        for (int c = 0; c < AD_PANEL; c++) x[i * AD_PANEL + c] *= scales[c];
    for (int j = 0; j < n; j++) {
        NAME(pass)(j, m, x, j - 1, scale, sums);
        taus[j] = NAME(reflection)(m, j, x, sums, &scale);
    }
    if (n < m) NAME(pass)(n, m, x, n - 1, scale, sums);
    for (int i = 0; scaled && i < n; i++)
        for (int c = i; c < n; c++) x[i * AD_PANEL + c] /= scales[c];
}

static void NAME(compact)(int n, const void *gram, const void *tau, void *t) {
    const T *g = gram, *taus = tau;
    T *x = t;
    for (int j = 0; j < n; j++) {
        for (int i = 0; i < n; i++) x[i * n + j] = 0;
        x[j * n + j] = taus[j];
        for (int i = 0; i < j; i++) {
            T sum = 0;
            for (int p = i; p < j; p++) sum += x[i * n + p] * g[p * n + j];
            x[i * n + j] = -taus[j] * sum;
        }
    }
}

static const ad_solve_type NAME(solve) = {
    .negate = NAME(negate),
    .subtract = NAME(subtract),
    .substitute = NAME(substitute),
    .panel = NAME(panel),
    .root = NAME(root),
    .reflect = NAME(reflect),
    .compact = NAME(compact),
};

#undef T
#undef W
#undef V
#undef M
#undef TURNED
#undef NAME
#undef ABS
#undef ROOT
#undef EXPONENT
