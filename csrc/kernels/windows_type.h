/* kernels/windows_type.h: sums over windows for one element type T; included by windows.c. */

/* to += from, or to = from, n elements; times weight where there is one. */
static void NAME(add)(int64_t n, T *restrict to, const T *restrict from, const T *weight, bool first) {
    const T w = weight ? *weight : 1;
    if (weight && first)
        for (int64_t i = 0; i < n; i++) to[i] = w * from[i];
    else if (weight)
        for (int64_t i = 0; i < n; i++) to[i] += w * from[i];
    else if (first)
        memcpy(to, from, (size_t)n * sizeof *to);
    else
        for (int64_t i = 0; i < n; i++) to[i] += from[i];
}

/* The sums y of the windows over a row, after which there is a 0. */
static void NAME(sums)(const axis *a, const T *restrict row, T *restrict y) {
    const int64_t n = a->n, step = a->stride, *at = a->places;
    if (step) {
        int64_t tap, end, from, to;
        taps_between(a, 0, n - 1, &tap, &end);
        memset(y, 0, (size_t)n * sizeof *y);
        for (; tap < end; tap++) {
            windows_of(a, tap, &from, &to);
            const T *x = row + (from < to ? lattice(a, tap, from) : 0);
            if (step == 1)
                for (int64_t j = from; j < to; j++) y[j] += x[j - from];
            else if (step == 2)
                for (int64_t j = from; j < to; j++) y[j] += x[2 * (j - from)];
            else
                for (int64_t j = from; j < to; j++) y[j] += x[step * (j - from)];
        }
        return;
    }
    const T *w = (const T *)(const void *)a->weights;
    for (int64_t tap = 0; tap < a->taps; tap++, at += n) {
        if (w && !tap && a->taps > 1) { /* most have two */
            for (int64_t j = 0; j < n; j++) y[j] = w[j] * row[at[j]] + w[n + j] * row[at[n + j]];
            tap++, at += n, w += n;
        } else if (w && tap) {
            for (int64_t j = 0; j < n; j++) y[j] += w[j] * row[at[j]];
        } else if (w) {
            for (int64_t j = 0; j < n; j++) y[j] = w[j] * row[at[j]];
        } else if (tap) {
            for (int64_t j = 0; j < n; j++) y[j] += row[at[j]];
        } else {
            for (int64_t j = 0; j < n; j++) y[j] = row[at[j]];
        }
        if (w) w += n;
    }
}

/* The other way: what windows hold as a row, and what is after it. */
static void NAME(spread)(const axis *a, const T *restrict y, T *restrict row) {
    const int64_t n = a->n, step = a->stride, *at = a->places;
    memset(row, 0, (size_t)(a->size + 1) * sizeof *row);
    if (step) {
        int64_t tap, end, from, to;
        taps_between(a, 0, n - 1, &tap, &end);
        for (; tap < end; tap++) {
            windows_of(a, tap, &from, &to);
            T *x = row + (from < to ? lattice(a, tap, from) : 0);
            if (step == 1)
                for (int64_t j = from; j < to; j++) x[j - from] += y[j];
            else
                for (int64_t j = from; j < to; j++) x[step * (j - from)] += y[j];
        }
        return;
    }
    const T *w = (const T *)(const void *)a->weights;
    for (int64_t tap = 0; tap < a->taps; tap++, at += n) {
        if (w)
            for (int64_t j = 0; j < n; j++) row[at[j]] += w[j] * y[j];
        else
            for (int64_t j = 0; j < n; j++) row[at[j]] += y[j];
        if (w) w += n;
    }
}

/* y = from divided by what a window's sum is divided by, in the row of windows at[0], at[1]. */
static void NAME(divide)(const task *t, const int64_t *at, T *y, const T *from) {
    const axis *w = t->axis + 2;
    const T number = (T)t->number;
    if (t->divisor == ONE_NUMBER) {
        for (int64_t j = 0; j < w->n; j++) y[j] = from[j] / number;
        return;
    }
    const bool padded = t->divisor == WITH_PADDING;
    const int64_t outer = count(t->axis, at[0], padded) * count(t->axis + 1, at[1], padded);
    for (int64_t j = 0; j < w->n; j++) y[j] = from[j] / (T)(outer * count(w, j, padded));
}

/* One row of windows, of an image or added to it. */
static void NAME(line)(const task *t, const int64_t *at, T *image, T *y, T *row) {
    const axis *d = t->axis, *h = d + 1, *w = d + 2;
    const T *dw = (const T *)(const void *)d->weights, *hw = (const T *)(const void *)h->weights;
    int64_t a, a_end, b0, b_end;
    bool first = true;
    taps_between(d, at[0], at[0], &a, &a_end);
    taps_between(h, at[1], at[1], &b0, &b_end);
    for (; a < a_end; a++) {
        for (int64_t b = b0; b < b_end; b++) {
            const int64_t i = place(d, a, at[0]), j = place(h, b, at[1]);
            if (i == d->size || j == h->size) continue;
            const T weight = hw ? (dw ? dw[a * d->n + at[0]] : 1) * hw[b * h->n + at[1]] : 1;
            T *x = image + (i * h->size + j) * w->size;
            if (t->back)
                NAME(add)(w->size, x, row, hw ? &weight : NULL, false);
            else
                NAME(add)(w->size, row, x, hw ? &weight : NULL, first);
            first = false;
        }
    }
    if (t->back) return;
    if (first) memset(row, 0, (size_t)w->size * sizeof *row);
    row[w->size] = 0;
    NAME(sums)(w, row, y);
    if (t->divisor) NAME(divide)(t, at, y, y);
}

/* The sum of columns `from` to `to`, of h elements `across` apart in each of d panels. */
static inline T NAME(window)(const T *x, int64_t from, int64_t to, int64_t across, int64_t h, int64_t d,
                             int64_t panel) {
    T sum = 0;
    for (int64_t i = from; i < to; i++) {
        T column = x[i];
        for (int64_t b = 1; b < h; b++) column += x[b * across + i];
        for (int64_t a = 1; a < d; a++)
            for (int64_t b = 0; b < h; b++) column += x[a * panel + b * across + i];
        sum += column;
    }
    return sum;
}

/* Windows of an image that has few in a row, one after the other: `line` and `sums` add in the same order. */
static void NAME(few)(const task *t, const T *image, T *y) {
    const axis *d = t->axis, *h = d + 1, w = d[2];
    const int64_t across = w.size, panel = h->size * across;
    const T number = t->divisor == ONE_NUMBER ? (T)t->number : 1;
    const bool pairs = w.taps == 2 && !w.padding && (w.n - 1) * w.stride + 2 <= w.size;
    int64_t at[2], from[DIMS], to[DIMS];
    for (at[0] = 0; at[0] < d->n; at[0]++) {
        ends(d, at[0], &from[0], &to[0]);
        for (at[1] = 0; at[1] < h->n; at[1]++, y += w.n) {
            ends(h, at[1], &from[1], &to[1]);
            const T *x = image + from[0] * panel + from[1] * across;
            const int64_t tall = to[1] - from[1], deep = to[0] - from[0];
            const bool square = pairs && tall == 2 && deep == 1; /* what most are */
            for (int64_t j = 0; square && j < w.n; j++) {
                const T *a = x + j * w.stride;
                y[j] = ((T)0 + (a[0] + a[across]) + (a[1] + a[across + 1])) / number;
            }
            for (int64_t j = 0; !square && j < w.n; j++) {
                ends(&w, j, &from[2], &to[2]);
                if (tall < 1 || deep < 1) to[2] = from[2];
                y[j] = NAME(window)(x, from[2], to[2], across, tall, deep, panel);
                y[j] /= number;
            }
            if (t->divisor > ONE_NUMBER) NAME(divide)(t, at, y, y);
        }
    }
}

static void NAME(run)(const task *t, int64_t plane) {
    const axis *d = t->axis, *h = d + 1, *w = d + 2;
    const int64_t rows = d->n * h->n, size = d->size * h->size * w->size, n = w->size + 1 + w->n;
    T *image = (T *)(void *)t->images + plane * size, *y = (T *)(void *)t->windows + plane * rows * w->n;
    if (t->few) {
        NAME(few)(t, image, y);
        return;
    }
    T room[ROOM / sizeof(T)],
        *row = n <= (int64_t)(ROOM / sizeof(T)) ? room : ad_alloc((size_t)n * sizeof(T));
    if (!row) {
        __atomic_store_n(t->failed, true, __ATOMIC_RELAXED);
        return;
    }
    if (t->back) memset(image, 0, (size_t)size * sizeof *image);
    for (int64_t j = 0; j < rows; j++, y += w->n) {
        const int64_t at[2] = {j / h->n, j % h->n};
        if (t->back) {
            T *part = row + w->size + 1;
            if (t->divisor) NAME(divide)(t, at, part, y);
            NAME(spread)(w, t->divisor ? part : y, row);
        }
        NAME(line)(t, at, image, y, row);
    }
    if (row != room) ad_dealloc(row);
}
