/* windows_beside.c: sums over windows of images whose channels lie side by side, and their adjoint: each in
 * the order of windows.c. */
#include "windows.h"

enum { ROW = 8192, LEAST = 32 }; /* of a task that spreads: elements of a row, which stay in L1; channels */

/* Of pairs in order, where one's elements come from and go to. */
typedef struct {
    int64_t n, *from, *to;
    char *weight; /* or NULL */
} pairs;

typedef struct {
    const task *t;
    int64_t size, channels, block, parts, rows; /* block, parts: of channels, in a task that spreads */
    const int64_t *image, *window;              /* strides */
    char *images, *windows;
    ad_window_row row, copies; /* copies: what windows hold, to a row of those of a task, divided */
    pairs spread, add;         /* from that row to one of an image, to the image */
    bool *failed;
} beside;

bool ad_windows_lie_beside(const ad_tensor *x, int64_t nd) { return nd == 2 && ad_lie_beside(x, nd); }

/* The taps of a dimension: those outside are left out, or (of a row that a table tells) count as 0. */
static int64_t *list_taps(const axis *a, int64_t stride, int64_t size, bool zeros, ad_taps *to,
                          int64_t *room) {
    int64_t *first = room, *at = first + a->n + 1, k = 0;
    char *weight = (char *)(at + a->n * a->taps);
    for (int64_t j = 0; j < a->n; j++) {
        first[j] = k;
        for (int64_t tap = 0; tap < a->taps; tap++) {
            const int64_t i = place(a, tap, j);
            if (i == a->size && !zeros) continue;
            if (a->weights) memcpy(weight + k * size, a->weights + (tap * a->n + j) * size, (size_t)size);
            at[k++] = i == a->size ? -1 : i;
        }
    }
    first[a->n] = k;
    *to = (ad_taps){.first = first, .at = at, .stride = stride, .weight = a->weights ? weight : NULL};
    return at + 2 * a->n * a->taps;
}

/* The windows of a row and its elements, tap by tap; `from` and `to` from one to the next. */
static int64_t *list_pairs(const axis *a, int64_t from, int64_t to, int64_t size, pairs *p, int64_t *room) {
    const int64_t most = a->n * a->taps;
    *p = (pairs){0, room, room + most, a->weights ? (char *)(room + 2 * most) : NULL};
    for (int64_t i = 0; i < most; i++) {
        const int64_t at = place(a, i / a->n, i % a->n);
        if (at == a->size) continue;
        if (p->weight) memcpy(p->weight + p->n * size, a->weights + i * size, (size_t)size);
        p->from[p->n] = i % a->n * from, p->to[p->n++] = at * to;
    }
    return room + 3 * most;
}

static void list_row(int64_t n, int64_t from, int64_t to, pairs *p, int64_t *room) {
    *p = (pairs){n, room, room + n, NULL};
    for (int64_t i = 0; i < n; i++) p->from[i] = i * from, p->to[i] = i * to;
}

static void set_divisor(const task *t, int64_t h, ad_window_row *r) {
    const bool padded = t->divisor == WITH_PADDING;
    r->outer = t->divisor == ONE_NUMBER ? t->number : t->divisor ? count(t->axis + 1, h, padded) : 0;
}

static void sum_row(void *context, int64_t i) {
    const beside *b = context;
    const int64_t n = i / b->rows;
    ad_window_row r = b->row;
    r.h = i % b->rows;
    set_divisor(b->t, r.h, &r);
    ad_cpu->channels->sum[b->size == 8](&r, b->images + n * b->image[0] * b->size,
                                        b->windows + (n * b->window[0] + r.h * b->window[2]) * b->size);
}

static void spread_rows(const beside *b, int64_t channels, const char *y, char *x, char *row) {
    const ad_channel_kernels *k = ad_cpu->channels;
    const axis *h = b->t->axis + 1, *w = h + 1;
    const ad_taps *tall = &b->row.axis[1];
    const int64_t size = b->size, bytes = w->size * b->block * size;
    const bool f64 = size == 8;
    ad_window_row r = b->copies;
    r.channels = channels;
    for (int64_t i = 0; i < h->size * w->size; i++)
        memset(x + (i / w->size * b->image[2] + i % w->size * b->image[3]) * size, 0,
               (size_t)(channels * size));
    for (int64_t j = 0; j < h->n; j++) {
        const char *part = y + j * b->window[2] * size;
        if (b->t->divisor) {
            set_divisor(b->t, j, &r);
            k->sum[f64](&r, part, row + bytes);
            part = row + bytes;
        }
        memset(row, 0, (size_t)bytes);
        k->spread[f64](b->spread.n, b->spread.from, b->spread.to, b->spread.weight, 1, channels, part, row);
        for (int64_t i = tall->first[j]; i < tall->first[j + 1]; i++)
            k->spread[f64](
                b->add.n, b->add.from, b->add.to, tall->weight ? (const char *)tall->weight + i * size : NULL,
                0, b->add.n > 1 ? channels : channels * w->size, row, x + tall->at[i] * tall->stride * size);
    }
}

static void spread_part(void *context, int64_t i) {
    const beside *b = context;
    const int64_t n = i / b->parts, c = i % b->parts * b->block;
    const axis *w = b->t->axis + 2;
    char *row = ad_alloc((size_t)((w->size + w->n) * b->block * b->size));
    if (row)
        spread_rows(b, ad_least(b->block, b->channels - c), b->windows + (n * b->window[0] + c) * b->size,
                    b->images + (n * b->image[0] + c) * b->size, row);
    else
        __atomic_store_n(b->failed, true, __ATOMIC_RELAXED);
    ad_dealloc(row);
}

/* All lists, in one block, which is returned. */
static int64_t *list_all(beside *b, const axis *a) {
    const axis *h = a + 1, *w = a + 2;
    if ((double)h->n * (double)h->taps + (double)w->n * (double)w->taps > 1e12) return NULL;
    const int64_t size = b->size, taps = 2 * h->n * h->taps + 5 * w->n * w->taps;
    int64_t *memory = ad_alloc((size_t)(taps + h->n + 4 * w->n + 2 * w->size + 4) * sizeof *memory);
    if (!memory) return NULL;
    static const int64_t one[2] = {0, 1};
    ad_taps *of = b->row.axis, *copied = b->copies.axis;
    of[0] = copied[0] = copied[1] = (ad_taps){.first = one, .at = one};
    int64_t *room = list_taps(h, b->image[2], size, false, of + 1, memory);
    room = list_taps(w, b->image[3], size, !w->stride, of + 2, room);
    int64_t *first = room, *at = first + w->n + 1, *counts = at + w->n;
    for (int64_t j = 0; j < w->n; j++) {
        first[j] = at[j] = j;
        if (b->t->divisor > ONE_NUMBER) counts[j] = count(w, j, b->t->divisor == WITH_PADDING);
    }
    first[w->n] = w->n;
    copied[2] = (ad_taps){.first = first, .at = at, .stride = b->window[3]};
    b->row.counts = b->copies.counts = b->t->divisor > ONE_NUMBER ? counts : NULL;
    room = list_pairs(w, b->t->divisor ? b->block : b->window[3], b->block, size, &b->spread, counts + w->n);
    const bool dense = b->parts == 1 && b->image[3] == b->block;
    list_row(dense ? 1 : w->size, b->block, b->image[3], &b->add, room);
    return memory;
}

int ad_windows_beside(const task *t, const ad_tensor *images, const ad_tensor *windows) {
    const axis *h = t->axis + 1, *w = h + 1;
    bool failed = false;
    beside b = {.t = t,
                .size = ad_itemsize[images->dtype],
                .channels = images->shape[1],
                .rows = h->n,
                .image = images->strides,
                .window = windows->strides,
                .images = images->data,
                .windows = windows->data,
                .failed = &failed};
    const int64_t fit = ROW / w->size / LEAST * LEAST;
    b.block = ad_least(b.channels, fit ? fit : LEAST);
    b.parts = (b.channels + b.block - 1) / b.block;
    b.row =
        (ad_window_row){.n = w->n, .channels = b.channels, .step = b.window[3], .zero = w->stride ? 0 : -0.0};
    b.copies = (ad_window_row){.n = w->n, .step = b.block, .zero = -0.0};
    int64_t *lists = list_all(&b, t->axis);
    if (!lists) return ad_fail(AD_NO_MEMORY, h->n * h->taps, w->n * w->taps, 0);
    const double positions = (double)(t->back ? h->size * w->size : h->n * w->n);
    const double cost =
        (double)images->shape[0] * (double)b.channels * positions * (double)(h->taps * w->taps) / 8;
    const int64_t nanoseconds = cost < 1e15 ? (int64_t)cost : (int64_t)1e15;
    if (t->back)
        ad_parallel_for(images->shape[0] * b.parts, nanoseconds, spread_part, &b);
    else
        ad_parallel_for(images->shape[0] * b.rows, nanoseconds, sum_row, &b);
    ad_dealloc(lists);
    return failed ? ad_fail(AD_NO_MEMORY, (w->size + w->n) * b.block * b.size, 0, 0) : AD_OK;
}
