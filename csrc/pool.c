/* pool.c: the greatest element of each window, and where it is. */
#include "channels.h"
#include "tape.h"
#include "walk.h"

/* gcc's -O2 leaves loops as they are whose counts it cannot know to be multiples of a vector's. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("vect-cost-model=dynamic")
#endif

enum { DIMS = 3, STRIP = 256, FEW = 7 };

/* Space made of three dimensions, the first of size 1 where there are fewer; strides in elements. */
typedef struct {
    int64_t count; /* of windows */
    const int64_t *first, *end;
    int64_t step, stride, place; /* place: of the next element, counted in row-major order */
} axis;

typedef struct {
    const char *x;
    char *most;
    int64_t *y; /* or NULL: nobody asks where */
    int dtype;
    ad_walk planes;
    axis axis[DIMS];
    int64_t runs[2]; /* how many windows the first runs of alike ones have */
} task;

/* The other dimensions' part of windows in a row. */
typedef struct {
    const void *x;
    int64_t d0, d1, h0, h1;
} span;

/* How many windows from number i on are as wide as that one and as far apart as it is from the next. */
static int64_t alike(const axis *w, int64_t i) {
    const int64_t taps = w->end[i] - w->first[i], most = ad_least(w->count - i, STRIP);
    const int64_t apart = most > 1 ? w->first[i + 1] - w->first[i] : 0;
    int64_t n = 1;
    while (n < most && w->end[i + n] - w->first[i + n] == taps && w->first[i + n] - w->first[i] == n * apart)
        n++;
    return n;
}

/* Windows in a row from number i on, n of them, at (d, h) of the other dimensions. Which element is the
 * greatest is nothing a CPU could guess, so there are no branches for it. Of windows that are alike (each as
 * wide as the first, `apart` from the next) tap by tap, so that no element waits for another; of few, one
 * after the other. Places are told where there is room for them. */
#define POOL(type, bits)                                                                                     \
    static inline bits exceeds_##type(type value, type other) {                                              \
        return -(bits)((value > other) | (value != value));                                                  \
    }                                                                                                        \
    static inline type chosen_##type(bits more, type value, type other) {                                    \
        bits a, b;                                                                                           \
        memcpy(&a, &other, sizeof a);                                                                        \
        memcpy(&b, &value, sizeof b);                                                                        \
        a ^= (a ^ b) & more;                                                                                 \
        memcpy(&other, &a, sizeof a);                                                                        \
        return other;                                                                                        \
    }                                                                                                        \
    static inline __attribute__((always_inline)) void tap_##type(int64_t n, const type *restrict from,       \
                                                                 int64_t step, int64_t place, bool first,    \
                                                                 type *restrict most, int64_t *restrict y) { \
        if (first) {                                                                                         \
            for (int64_t j = 0; j < n; j++) most[j] = from[j * step];                                        \
            for (int64_t j = 0; y && j < n; j++) y[j] = place;                                               \
            return;                                                                                          \
        }                                                                                                    \
        for (int64_t j = 0; j < n; j++) {                                                                    \
            const bits more = exceeds_##type(from[j * step], most[j]);                                       \
            most[j] = chosen_##type(more, from[j * step], most[j]);                                          \
            if (y) y[j] ^= (y[j] ^ place) & more;                                                            \
        }                                                                                                    \
    }                                                                                                        \
    static void run_alike_##type(const task *t, const span *s, int64_t i, int64_t n, type *most,             \
                                 int64_t *y) {                                                               \
        const axis d_axis = t->axis[0], h_axis = t->axis[1], w_axis = t->axis[2];                            \
        const int64_t w0 = w_axis.first[i], w1 = w_axis.end[i];                                              \
        const int64_t apart = n > 1 ? w_axis.first[i + 1] - w0 : 0, step = apart * w_axis.stride;            \
        bool first = true;                                                                                   \
        for (int64_t d = s->d0; d < s->d1; d += d_axis.step) {                                               \
            for (int64_t h = s->h0; h < s->h1; h += h_axis.step) {                                           \
                const type *row = (const type *)s->x + d * d_axis.stride + h * h_axis.stride;                \
                for (int64_t w = w0; w < w1; w += w_axis.step) {                                             \
                    const int64_t place = d * d_axis.place + h * h_axis.place + w;                           \
                    const type *from = row + w * w_axis.stride;                                              \
                    if (y)                                                                                   \
                        tap_##type(n, from, step, place, first, most, y);                                    \
                    else if (step == 1)                                                                      \
                        tap_##type(n, from, 1, 0, first, most, NULL);                                        \
                    else if (step == 2)                                                                      \
                        tap_##type(n, from, 2, 0, first, most, NULL);                                        \
                    else                                                                                     \
                        tap_##type(n, from, step, 0, first, most, NULL);                                     \
                    first = false;                                                                           \
                }                                                                                            \
            }                                                                                                \
        }                                                                                                    \
        for (int64_t j = 0; y && j < n; j++) y[j] += j * apart;                                              \
    }                                                                                                        \
    static inline __attribute__((always_inline)) void few_##type(const task *t, const span *s, int64_t i,    \
                                                                 int64_t n, type *most, int64_t *y) {        \
        const axis d_axis = t->axis[0], h_axis = t->axis[1], w_axis = t->axis[2];                            \
        for (int64_t j = 0; j < n; j++) {                                                                    \
            const int64_t w0 = w_axis.first[i + j], w1 = w_axis.end[i + j];                                  \
            type found = -(type)__builtin_inf(), nan = 0;                                                    \
            int64_t at = s->d0 * d_axis.place + s->h0 * h_axis.place + w0, nan_at = 0;                       \
            for (int64_t d = s->d0; d < s->d1; d += d_axis.step) {                                           \
                for (int64_t h = s->h0; h < s->h1; h += h_axis.step) {                                       \
                    const type *row = (const type *)s->x + d * d_axis.stride + h * h_axis.stride;            \
                    const int64_t first = d * d_axis.place + h * h_axis.place;                               \
                    for (int64_t w = w0; w < w1; w += w_axis.step) {                                         \
                        const type value = row[w * w_axis.stride];                                           \
                        if (y) at ^= (at ^ (first + w)) & -(int64_t)(value > found);                         \
                        found = value > found ? value : found;                                               \
                        if (__builtin_expect(value != value, 0)) nan = value, nan_at = first + w;            \
                    }                                                                                        \
                }                                                                                            \
            }                                                                                                \
            most[j] = nan != nan ? nan : found;                                                              \
            if (y) y[j] = nan != nan ? nan_at : at;                                                          \
        }                                                                                                    \
    }                                                                                                        \
    static void run_few_##type(const task *t, const span *s, int64_t i, int64_t n, type *most, int64_t *y) { \
        if (y)                                                                                               \
            few_##type(t, s, i, n, most, y);                                                                 \
        else                                                                                                 \
            few_##type(t, s, i, n, most, NULL);                                                              \
    }                                                                                                        \
    static void run_row_##type(const task *t, const span *s, type *most, int64_t *y) {                       \
        const axis *w = t->axis + 2;                                                                         \
        for (int64_t i = 0, n; i < w->count; i += n) {                                                       \
            n = i == 0 ? t->runs[0] : i == t->runs[0] ? t->runs[1] : alike(w, i);                            \
            (n <= FEW ? run_few_##type : run_alike_##type)(t, s, i, n, most + i, y ? y + i : NULL);          \
        }                                                                                                    \
    }

POOL(float, int32_t)
POOL(double, int64_t)

static void run_plane(void *context, int64_t plane) {
    const task *t = context;
    const axis *d = t->axis, *h = d + 1, *w = d + 2;
    const int64_t itemsize = ad_itemsize[t->dtype], first = plane * d->count * h->count * w->count;
    int64_t *y = t->y ? t->y + first : NULL;
    char *most = t->most + first * itemsize;
    span s = {.x = t->x + ad_walk_offset(&t->planes, plane) * itemsize};
    for (int64_t i = 0; i < d->count; i++) {
        s.d0 = d->first[i], s.d1 = d->end[i];
        for (int64_t j = 0; j < h->count; j++) {
            s.h0 = h->first[j], s.h1 = h->end[j];
            if (t->dtype == AD_float32)
                run_row_float(t, &s, (float *)(void *)most, y);
            else
                run_row_double(t, &s, (double *)(void *)most, y);
            y = y ? y + w->count : NULL, most += w->count * itemsize;
        }
    }
}

/* ---- images whose channels lie side by side ---- */

typedef struct {
    const task *t;
    ad_window_row row;
    int64_t image, next[3]; /* from an image to the next; and of the result, to that of a window */
} beside;

static bool lie_beside(const ad_tensor *x, int64_t nd) {
    int64_t places = 1;
    for (int d = 2; d < x->ndim; d++) places *= x->shape[d];
    return ad_lie_beside(x, nd) && places < UINT32_MAX;
}

static void run_window_row(void *context, int64_t i) {
    const beside *b = context;
    const task *t = b->t;
    const int64_t depth = t->axis[0].count, height = t->axis[1].count, n = i / (depth * height);
    ad_window_row r = b->row;
    r.d = i / height % depth, r.h = i % height;
    const int64_t size = ad_itemsize[t->dtype], at = n * b->next[0] + r.d * b->next[1] + r.h * b->next[2];
    ad_cpu->channels->greatest[t->dtype == AD_float64](&r, t->x + n * b->image * size, t->most + at * size,
                                                       t->y ? t->y + at : NULL);
}

static int run_beside(const task *t, const ad_tensor *x, const ad_tensor *y, int64_t cost) {
    const int lead = DIMS - (x->ndim - 2);
    beside b = {.t = t, .image = x->strides[0], .next = {y->strides[0]}};
    b.row = (ad_window_row){.n = t->axis[2].count, .channels = x->shape[1], .step = y->strides[y->ndim - 1]};
    int64_t elements = 0, rows = x->shape[0];
    for (int d = 0; d < DIMS; d++) {
        const axis *a = t->axis + d;
        for (int64_t j = 0; j < a->count; j++) elements += a->end[j] - a->first[j];
        elements += a->count + 1;
        if (d < 2) b.next[d + 1] = d < lead ? 0 : y->strides[d - lead + 2], rows *= a->count;
    }
    int64_t *const lists = ad_alloc((size_t)elements * sizeof *lists), *room = lists;
    if (!lists) return AD_NO_MEMORY;
    for (int d = 0; d < DIMS; d++) {
        const axis *a = t->axis + d;
        int64_t *first = room, *at = first + a->count + 1, k = 0;
        for (int64_t j = 0; j < a->count; j++) {
            first[j] = k;
            for (int64_t i = a->first[j]; i < a->end[j]; i += a->step) at[k++] = i;
        }
        first[a->count] = k;
        b.row.axis[d] = (ad_taps){first, at, a->stride, a->place, NULL};
        room = at + k;
    }
    ad_parallel_for(rows, cost, run_window_row, &b);
    ad_dealloc(lists);
    return AD_OK;
}

static int run_max_pool(const ad_call *c) {
    static const int64_t one[2] = {0, 1};
    const int64_t *plan = c->numbers, *windows = plan + 1 + 2 * plan[0];
    const ad_tensor *x = ad_in(c, 0);
    const int nd = (int)plan[0], lead = x->ndim - nd;
    task t = {.x = x->data,
              .most = ad_out(c, 0)->data,
              .y = c->n_out > 1 ? (int64_t *)(void *)ad_out(c, 1)->data : NULL,
              .dtype = x->dtype};
    int64_t planes = 1, taps = 1, place = 1;
    for (int d = 0; d < lead; d++) {
        ad_walk_add(&t.planes, x->shape[d], x->strides[d]);
        planes *= x->shape[d];
    }
    ad_walk_finish(&t.planes);
    for (int i = 0; i < DIMS; i++) {
        const int d = i - (DIMS - nd);
        if (d < 0) {
            t.axis[i] = (axis){.count = 1, .first = one, .end = one + 1, .step = 1};
            continue;
        }
        const int64_t count = plan[1 + nd + d];
        t.axis[i] = (axis){.count = count,
                           .first = windows,
                           .end = windows + count,
                           .step = plan[1 + d],
                           .stride = x->strides[lead + d]};
        windows += 2 * count;
        taps *= (t.axis[i].end[0] - t.axis[i].first[0]) / t.axis[i].step + 1;
    }
    for (int i = DIMS - 1; i >= DIMS - nd; i--) {
        t.axis[i].place = place;
        place *= x->shape[lead + i - (DIMS - nd)];
    }
    const int64_t cost = ad_least(ad_out(c, 0)->numel * (taps + 4), (int64_t)1 << 60);
    if (lie_beside(x, nd) && lie_beside(ad_out(c, 0), nd) && (!t.y || lie_beside(ad_out(c, 1), nd)))
        return run_beside(&t, x, ad_out(c, 0), cost / 8);
    const axis *w = &t.axis[DIMS - 1];
    t.runs[0] = w->count <= FEW ? w->count : alike(w, 0);
    t.runs[1] = t.runs[0] < w->count ? alike(w, t.runs[0]) : 0;
    ad_parallel_for(planes, cost, run_plane, &t);
    return AD_OK;
}

/* Windows that leave x, or have no element. */
static int check(const ad_tensor *x, int64_t n, const int64_t *plan) {
    if (n < 1 || plan[0] < 1 || plan[0] > DIMS || n < 1 + 2 * plan[0]) return ad_fail(AD_BAD_ARG, n, 0, 0);
    if (!ad_is_float(x->dtype)) return ad_fail(AD_BAD_DTYPE, x->dtype, 0, 0);
    const int nd = (int)plan[0];
    if (x->ndim < nd) return ad_fail(AD_BAD_DIM, nd, x->ndim, 0);
    int64_t at = 1 + 2 * nd;
    for (int d = 0; d < nd; d++) {
        const int64_t count = plan[1 + nd + d], size = x->shape[x->ndim - nd + d];
        if (plan[1 + d] < 1 || plan[1 + d] > (int64_t)1 << 40 || count < 0 || count > (n - at) / 2)
            return ad_fail(AD_BAD_ARG, d, count, 0);
        for (int64_t i = at; i < at + count; i++) {
            if (plan[i] < 0 || plan[i] >= plan[i + count] || plan[i + count] > size)
                return ad_fail(AD_BAD_SHAPE, plan[i], plan[i + count], 0);
        }
        at += 2 * count;
    }
    return at == n ? AD_OK : ad_fail(AD_BAD_ARG, n, at, 0);
}

ad_tensor *ad_max_pool(const ad_tensor *x, int64_t n, const int64_t *plan, ad_tensor **places) {
    if (places) *places = NULL;
    AD_IN_FLOAT32(x, places, ad_max_pool(in32[0], n, plan, places), x)
    if (check(x, n, plan)) return NULL;
    int64_t shape[AD_MAX_DIMS];
    memcpy(shape, x->shape, sizeof shape);
    memcpy(shape + x->ndim - plan[0], plan + 1 + plan[0], sizeof(int64_t) * (size_t)plan[0]);
    const bool last = ad_is_channels_last(x);
    ad_tensor *(*const make)(int, int, const int64_t *) =
        last && lie_beside(x, plan[0]) ? ad_make_last : ad_make;
    ad_tensor *y = make(x->dtype, x->ndim, shape), *at = NULL;
    if (y && places && !(*places = at = make(AD_int64, x->ndim, shape))) {
        ad_free(y);
        return NULL;
    }
    if (!y || !y->numel) return y;
    const ad_tensor *const operands[] = {y, at ? at : x, x};
    const ad_call c = {run_max_pool,
                       "max_pool",
                       places ? 2 : 1,
                       1,
                       .x = operands,
                       .numbers = plan,
                       .n_bytes = sizeof *plan * (size_t)n};
    y = ad_channels_last(ad_done(&c, y), last && make == ad_make);
    if (y || !places) return y;
    *places = NULL;
    ad_free(at);
    return NULL;
}
