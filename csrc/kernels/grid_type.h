/* kernels/grid_type.h: images read at any places, for one element type T; included by kernels/grid.h. */

/* A block of places. For each tap of a dimension: its pixels, or -1, their weights, and what these change by;
 * the same for each tap of all; and whether a place has taps without a pixel: negative. */
typedef struct {
    int32_t pixel[DIMS][LINE][BLOCK], all_pixels[MOST][BLOCK], leaves[BLOCK];
    T weight[DIMS][LINE][BLOCK], slope[DIMS][LINE][BLOCK], all_weights[MOST][BLOCK], sums[MOST][BLOCK];
} NAME(block);

/* Places moved to where there are pixels, from 0 to `last`. Slopes are multiplied by how much each moves. */
static void NAME(move_inside)(const ad_grid_task *t, T size, int64_t n, T *restrict x, T *restrict slope) {
    const T last = size - 1, low = t->corners ? 0 : (T)-0.5, span = t->corners ? last : size;
    if (t->padding == AD_GRID_ZEROS) return;
    if (t->padding == AD_GRID_REFLECTION) { /* at pixels' centres or at their sides; nan where span is 0 */
        T distance[BLOCK] = {0}, spans[BLOCK] = {0}, rest[BLOCK];
        for (int64_t j = 0; j < n; j++) {
            distance[j] = FN(fabs)(x[j] - low);
            spans[j] = span;
        }
        pw_kernels.instr[AD_OP_fmod][TYPE](n, rest, distance, spans, NULL);
        for (int64_t j = 0; j < n; j++) {
            const T turns = FN(floor)(distance[j] / span), turned = turns - 2 * FN(floor)(turns / 2);
            const T side = x[j] < low ? -slope[j] : slope[j];
            slope[j] = turned == 1 ? -side : side;
            x[j] = (turned == 1 ? span - rest[j] : rest[j]) + low;
        }
    }
    for (int64_t j = 0; j < n; j++) {
        const T by = x[j] > 0 ? slope[j] : 0, above = x[j] > 0 ? x[j] : 0;
        slope[j] = x[j] < last ? by : 0;
        x[j] = above < last ? above : last;
    }
}

/* The cubic kernel, of slope -0.75, and its derivative, at how far pixel number k of four lies from places.
 */
static void NAME(cubic)(int k, int64_t n, const T *away, T by, T *restrict weight, T *restrict slope) {
    const T a = (T)-0.75, side = k > 1 ? 1 : -1;
    const bool near = k == 1 || k == 2;
    /* weight = ((p x + q) x + r) x + s */
    const T p = near ? a + 2 : a, q = near ? -(a + 3) : -5 * a, r = near ? 0 : 8 * a, s = near ? 1 : -4 * a;
    for (int64_t j = 0; j < n; j++) {
        const T x = side * ((T)(k - 1) - away[j]);
        weight[j] = ((p * x + q) * x + r) * x + s;
        slope[j] = ((3 * p * x + 2 * q) * x + r) * (-side * by);
    }
}

/* Along dimension d, the pixels that make what is at the given places, from -1 to 1, and at more, to be n.
 */
static void NAME(line)(const ad_grid_task *t, NAME(block) * b, int d, const T *grid, int64_t given,
                       int64_t n) {
    const int64_t whole = t->size[d];
    const T size = (T)whole, last = size - 1, half = t->corners ? last / 2 : size / 2;
    const bool cubic = t->mode == AD_GRID_BICUBIC;
    T at[BLOCK] = {0}, by[BLOCK], first[BLOCK];
    grid += t->nd - 1 - d;
    if (t->nd == 2)
        for (int64_t j = 0; j < given; j++) at[j] = grid[j * 2];
    else
        for (int64_t j = 0; j < given; j++) at[j] = grid[j * DIMS];
    for (int64_t j = 0; j < n; j++) at[j] += 1;
    for (int64_t j = 0; j < n; j++) by[j] = half;
    if (t->corners)
        for (int64_t j = 0; j < n; j++) at[j] = at[j] * half;
    else
        for (int64_t j = 0; j < n; j++) at[j] = (at[j] * size - 1) * (T)0.5;
    if (!cubic) NAME(move_inside)(t, size, n, at, by);
    if (t->mode == AD_GRID_NEAREST)
        for (int64_t j = 0; j < n; j++) first[j] = FN(rint)(at[j]);
    else
        for (int64_t j = 0; j < n; j++) first[j] = FN(floor)(at[j]);
    for (int64_t j = 0; j < n; j++) at[j] -= first[j];
    for (int k = 0; k < t->line; k++) {
        T *restrict weight = b->weight[d][k], *restrict slope = b->slope[d][k], pixel[BLOCK];
        const T step = (T)(cubic ? k - 1 : k);
        if (t->mode == AD_GRID_NEAREST)
            for (int64_t j = 0; j < n; j++) weight[j] = 1, slope[j] = 0;
        else if (cubic)
            NAME(cubic)(k, n, at, half, weight, slope);
        else if (k)
            for (int64_t j = 0; j < n; j++) weight[j] = at[j], slope[j] = by[j];
        else
            for (int64_t j = 0; j < n; j++) weight[j] = 1 - at[j], slope[j] = -by[j];
        for (int64_t j = 0; j < n; j++) pixel[j] = first[j] + step;
        if (cubic) NAME(move_inside)(t, size, n, pixel, by);
        int32_t *restrict pixels = b->pixel[d][k];
        for (int64_t j = 0; j < n; j++)
            pixels[j] = (int32_t)(((pixel[j] >= 0) & (pixel[j] <= last)) ? pixel[j] : -1);
        if (whole > EXACT)
            for (int64_t j = 0; j < n; j++) pixels[j] = pixels[j] < whole ? pixels[j] : (int32_t)whole - 1;
    }
}

/* What makes the pixels of places, and of more up to whole vectors; the last dimension is the grid's first
 * number. */
static void NAME(prepare)(const ad_grid_task *t, NAME(block) * b, const T *grid, int64_t given) {
    const int64_t n = (given + WIDEST - 1) & -WIDEST;
    for (int d = 0; d < t->nd; d++) NAME(line)(t, b, d, grid, given, n);
    memset(b->leaves, 0, sizeof b->leaves);
    for (int k = 0; k < t->taps; k++) {
        const int *tap = t->tap[k];
        const int32_t *outer = b->pixel[0][tap[0]];
        const T *by = b->weight[0][tap[0]];
        for (int d = 1; d < t->nd; d++, outer = b->all_pixels[k], by = b->all_weights[k]) {
            const int32_t *inner = b->pixel[d][tap[d]], size = (int32_t)t->size[d];
            const T *weight = b->weight[d][tap[d]];
            for (int64_t j = 0; j < n; j++)
                b->all_pixels[k][j] = (outer[j] | inner[j]) < 0 ? -1 : outer[j] * size + inner[j];
            for (int64_t j = 0; j < n; j++) b->all_weights[k][j] = by[j] * weight[j];
        }
        for (int64_t j = 0; j < n; j++) b->leaves[j] |= b->all_pixels[k][j];
    }
}

/* The sums over the taps in a channel; those without a pixel count as 0. */
static inline __attribute__((always_inline)) void NAME(sums)(int taps, const NAME(block) * b, const T *image,
                                                             T *restrict y, int64_t n) {
    for (int64_t j = 0; j < n; j += W) {
        V() sum = V(_mul)(V(_load)(b->all_weights[0] + j), V(_gather)(image, b->all_pixels[0] + j));
        for (int k = 1; k < taps; k++) {
            const V() value = V(_gather)(image, b->all_pixels[k] + j);
            sum = V(_add)(sum, V(_mul)(V(_load)(b->all_weights[k] + j), value));
        }
        if (j + W <= n)
            V(_store)(y + j, sum);
        else
            V(_store_n)(y + j, sum, n - j);
    }
}

static void NAME(read)(const ad_grid_task *t, const NAME(block) * b, const T *image, T *restrict y,
                       int64_t n) {
    if (t->taps == 1)
        NAME(sums)(1, b, image, y, n);
    else if (t->taps == 4)
        NAME(sums)(4, b, image, y, n);
    else
        NAME(sums)(t->taps, b, image, y, n);
}

/* What goes to the pixels of a channel, place by place. */
static inline __attribute__((always_inline)) void NAME(spread)(int taps, const NAME(block) * b, const T *g,
                                                               T *image, int64_t n) {
    for (int64_t j = 0; j < n; j++) {
        const T by = g[j];
        if (b->leaves[j] < 0 || taps < LINE) {
            for (int k = 0; k < taps; k++)
                if (b->all_pixels[k][j] >= 0) image[b->all_pixels[k][j]] += b->all_weights[k][j] * by;
        } else {
            for (int first = 0; first < taps; first += LINE) {
                AD_UNROLL
                for (int k = first; k < first + LINE; k++)
                    image[b->all_pixels[k][j]] += b->all_weights[k][j] * by;
            }
        }
    }
}

static void NAME(write)(const ad_grid_task *t, const NAME(block) * b, const T *g, T *image, int64_t n) {
    if (t->taps == 1)
        NAME(spread)(1, b, g, image, n);
    else if (t->taps == LINE)
        NAME(spread)(LINE, b, g, image, n);
    else
        NAME(spread)(t->taps, b, g, image, n);
}

/* What goes to the weights, of a channel: added up, from the first one on. */
static void NAME(weigh)(const ad_grid_task *t, NAME(block) * b, const T *g, const T *image, int64_t n,
                        bool first) {
    if (first) memset(b->sums, 0, (size_t)t->taps * sizeof *b->sums);
    for (int64_t j = 0; j < n; j += W) {
        const V() by = j + W <= n ? V(_load)(g + j) : V(_load_n)(g + j, n - j);
        for (int k = 0; k < t->taps; k++) {
            const V() value = V(_gather)(image, b->all_pixels[k] + j);
            V(_store)(b->sums[k] + j, V(_add)(V(_load)(b->sums[k] + j), V(_mul)(by, value)));
        }
    }
}

/* From there, what goes to the places. */
static void NAME(move)(const ad_grid_task *t, const NAME(block) * b, T *grid, int64_t given) {
    const int64_t n = (given + WIDEST - 1) & -WIDEST;
    for (int e = 0; e < t->nd; e++) {
        T total[BLOCK] = {0}, part[BLOCK];
        for (int k = 0; k < t->taps; k++) {
            const int32_t *pixels = b->all_pixels[k];
            for (int64_t j = 0; j < n; j++) part[j] = pixels[j] < 0 ? 0 : b->sums[k][j];
            for (int d = 0; d < t->nd; d++) {
                const T *by = (d == e ? b->slope : b->weight)[d][t->tap[k][d]];
                for (int64_t j = 0; j < n; j++) part[j] *= by[j];
            }
            for (int64_t j = 0; j < n; j++) total[j] += part[j];
        }
        if (t->nd == 2)
            for (int64_t j = 0; j < given; j++) grid[j * 2 + 1 - e] = total[j];
        else
            for (int64_t j = 0; j < given; j++) grid[j * DIMS + DIMS - 1 - e] = total[j];
    }
}

/* Places [start, end) of an image of the batch, channels [c, c_end). */
static void NAME(run)(const ad_grid_task *t, int64_t image, int64_t start, int64_t end, int64_t c,
                      int64_t c_end) {
    NAME(block) b;
    const T *x = (const T *)t->x + image * t->channels * t->pixels;
    const T *grid = (const T *)t->grid + image * t->places * t->nd;
    const int64_t planes = image * t->channels;
    T *dx = (T *)t->dx, *dgrid = (T *)t->dgrid;
    for (; start < end; start += BLOCK) {
        const int64_t n = ad_least(end - start, BLOCK);
        NAME(prepare)(t, &b, grid + start * t->nd, n);
        for (int64_t i = c; i < c_end; i++) {
            const T *g = (const T *)t->g + (planes + i) * t->places + start;
            if (t->y) NAME(read)(t, &b, x + i * t->pixels, (T *)t->y + (planes + i) * t->places + start, n);
            if (dx) NAME(write)(t, &b, g, dx + (planes + i) * t->pixels, n);
            if (dgrid) NAME(weigh)(t, &b, g, x + i * t->pixels, n, i == c);
        }
        if (dgrid) NAME(move)(t, &b, dgrid + (image * t->places + start) * t->nd, n);
    }
}

#undef T
#undef W
#undef V
#undef TYPE
#undef EXACT
#undef NAME
#undef FN
