/* kernels/ctc_type.h: the recursion over alignments for one element type T; included by ctc.c. */

/* The logarithm of the sum of two powers of e, of n > 0 of each; x may be a. */
static void NAME(join)(int64_t n, T *x, const T *a, const T *b) {
    T apart[BLOCK], part[BLOCK];
    int64_t j = 0;
    do {
        const T u = a[j], v = b[j];
        const bool less = u < v;
        x[j] = less ? v : u;
        apart[j] = less ? u - v : v - u;
        part[j] = apart[j] < LEAST ? LEAST : apart[j];
    } while (++j < n);
    ad_cpu->pw->instr[AD_OP_exp][TYPE](n, part, part, NULL, NULL);
    for (int64_t i = 0; i < n; i++) part[i] = apart[i] < LEAST ? 0 : part[i];
    ad_cpu->pw->instr[AD_OP_log1p][TYPE](n, part, part, NULL, NULL);
    for (int64_t i = 0; i < n; i++) x[i] += part[i];
}

/* The scores of n states of a step, from one on; false where a label is no class. */
static bool NAME(score)(const chart *k, int64_t first, int64_t n, T *scores) {
    const int64_t *row = k->row + first, classes = k->x->shape[2], step = k->x->strides[2],
                  along = k->x->strides[1], end = along * k->n;
    const T *x = (const T *)k->x->data + k->step * k->x->strides[0];
    int64_t from = first % k->n * along;
    for (int64_t j = 0; j < n; j++) {
        const int64_t at = ad_once(&row[j]);
        if ((uint64_t)at >= (uint64_t)classes) return false;
        scores[j] = x[from + at * step];
        from += along;
        if (from == end) from = 0;
    }
    return true;
}

/* A block of the states of a step. */
static void NAME(advance)(void *context, int64_t block) {
    chart *k = context;
    const int64_t first = block * BLOCK, n = ad_least(k->row_size - first, BLOCK), two = 2 * k->n;
    T *scores = (T *)k->scores + k->step * k->row_size + first;
    const T *before = (const T *)k->states + k->step * (two + k->row_size) + first, *same = before + two;
    T *to = (T *)k->states + (k->step + 1) * (two + k->row_size) + two + first, skipped[BLOCK];
    const char *skips = k->skips + first, *there = k->there + k->step * k->row_size + first;
    if (!NAME(score)(k, first, n, scores)) {
        __atomic_store_n(&k->failed, true, __ATOMIC_RELAXED);
        return;
    }
    int64_t j = 0;
    do {
        const T found = before[j];
        skipped[j] = skips[j] ? found : (T)NEVER;
    } while (++j < n);
    NAME(join)(n, to, same, before + k->n);
    NAME(join)(n, to, to, skipped);
    for (int64_t i = 0; i < n; i++) {
        const T score = scores[i], was = same[i];
        const T sum = to[i] + (score < (T)NEVER ? (T)NEVER : score);
        const T made = sum < (T)NEVER ? (T)NEVER : sum;
        to[i] = there[i] ? made : was;
    }
}

/* The losses, from the two states of each sequence that may be its last; false where there are none such. */
static bool NAME(end)(const chart *k, const int64_t *ends, T *losses) {
    const T *last = (const T *)k->states + k->step * (2 * k->n + k->row_size);
    T of[2][BLOCK];
    for (int64_t first = 0, n; first < k->n; first += n) {
        n = ad_least(k->n - first, BLOCK);
        for (int e = 0; e < 2; e++)
            for (int64_t i = 0; i < n; i++) {
                const int64_t at = ad_once(&ends[e * k->n + first + i]);
                if ((uint64_t)at >= (uint64_t)(2 + k->row_size / k->n)) return false;
                of[!e][i] = last[at * k->n + first + i];
            }
        NAME(join)(n, of[0], of[0], of[1]);
        for (int64_t i = 0; i < n; i++)
            losses[first + i] = of[0][i] < (T)(NEVER / 2) ? (T)INFINITY : -of[0][i];
    }
    return true;
}

/* What comes before the first step, and before the first state of each. */
static void NAME(begin)(const chart *k, int64_t steps) {
    const int64_t two = 2 * k->n, size = two + k->row_size;
    T *states = (T *)k->states;
    for (int64_t i = 0; i < size; i++) states[i] = (T)NEVER;
    for (int64_t t = 1; t <= steps; t++)
        for (int64_t i = 0; i < two; i++) states[t * size + i] = (T)NEVER;
    for (int64_t i = 0; i < k->n; i++) states[two + i] = 0;
}
