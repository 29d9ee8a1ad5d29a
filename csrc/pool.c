/* pool.c: the greatest element of each window, and where it is. */
#include "tape.h"
#include "walk.h"

enum { DIMS = 3, STRIP = 256 };

/* Space made of three dimensions, the first of size 1 where there are fewer; strides in elements. */
typedef struct {
    int64_t count; /* of windows */
    const int64_t *first, *end;
    int64_t step, stride, place; /* place: of the next element, counted in row-major order */
} axis;

typedef struct {
    const char *x;
    char *most;
    int64_t *y;
    int dtype;
    ad_walk planes;
    axis axis[DIMS];
} task;

/* Windows in a row that are alike (n of them, from number i on; each as wide as the first, `apart` from the
 * next), at (d, h) of the other dimensions: tap by tap, so that no element waits for another. Which is the
 * greatest is nothing a CPU could guess, so there are no branches for it. */
#define POOL(type, bits)                                                                                     \
    static void run_alike_##type(const task *t, const type *x, const int64_t *at, int64_t i, int64_t n,      \
                                 type *restrict most, int64_t *restrict y) {                                 \
        const axis d_axis = t->axis[0], h_axis = t->axis[1], w_axis = t->axis[2];                            \
        const int64_t d0 = d_axis.first[at[0]], d1 = d_axis.end[at[0]];                                      \
        const int64_t h0 = h_axis.first[at[1]], h1 = h_axis.end[at[1]];                                      \
        const int64_t w0 = w_axis.first[i], w1 = w_axis.end[i];                                              \
        const int64_t apart = n > 1 ? w_axis.first[i + 1] - w0 : 0, step = apart * w_axis.stride;            \
        for (int64_t j = 0; j < n; j++) {                                                                    \
            most[j] = -(type)__builtin_inf();                                                                \
            y[j] = d0 * d_axis.place + h0 * h_axis.place + w0;                                               \
        }                                                                                                    \
        for (int64_t d = d0; d < d1; d += d_axis.step) {                                                     \
            for (int64_t h = h0; h < h1; h += h_axis.step) {                                                 \
                const type *row = x + d * d_axis.stride + h * h_axis.stride;                                 \
                for (int64_t w = w0; w < w1; w += w_axis.step) {                                             \
                    const int64_t place = d * d_axis.place + h * h_axis.place + w;                           \
                    const type *from = row + w * w_axis.stride;                                              \
                    for (int64_t j = 0; j < n; j++) {                                                        \
                        const type value = from[j * step], other = most[j];                                  \
                        const bits more = -(bits)((value > other) | (value != value));                       \
                        bits a, b;                                                                           \
                        memcpy(&a, &other, sizeof a);                                                        \
                        memcpy(&b, &value, sizeof b);                                                        \
                        a ^= (a ^ b) & more;                                                                 \
                        memcpy(&most[j], &a, sizeof a);                                                      \
                        y[j] ^= (y[j] ^ place) & more;                                                       \
                    }                                                                                        \
                }                                                                                            \
            }                                                                                                \
        }                                                                                                    \
        for (int64_t j = 0; j < n; j++) y[j] += j * apart;                                                   \
    }
POOL(float, int32_t)
POOL(double, int64_t)

/* How many windows from number i on are as wide as that one and as far apart as it is from the next. */
static int64_t alike(const axis *w, int64_t i) {
    const int64_t taps = w->end[i] - w->first[i], most = ad_least(w->count - i, STRIP);
    const int64_t apart = most > 1 ? w->first[i + 1] - w->first[i] : 0;
    int64_t n = 1;
    while (n < most && w->end[i + n] - w->first[i + n] == taps && w->first[i + n] - w->first[i] == n * apart)
        n++;
    return n;
}

static void run_plane(void *context, int64_t plane) {
    const task *t = context;
    const char *x = t->x + ad_walk_offset(&t->planes, plane) * ad_itemsize[t->dtype];
    const int64_t first = plane * t->axis[0].count * t->axis[1].count * t->axis[2].count;
    int64_t *y = t->y + first, at[2];
    char *most = t->most + first * ad_itemsize[t->dtype];
    for (at[0] = 0; at[0] < t->axis[0].count; at[0]++) {
        for (at[1] = 0; at[1] < t->axis[1].count; at[1]++) {
            for (int64_t i = 0, n; i < t->axis[2].count; i += n) {
                n = alike(&t->axis[2], i);
                if (t->dtype == AD_float32)
                    run_alike_float(t, (const float *)x, at, i, n, (float *)most + i, y + i);
                else
                    run_alike_double(t, (const double *)x, at, i, n, (double *)most + i, y + i);
            }
            y += t->axis[2].count, most += t->axis[2].count * ad_itemsize[t->dtype];
        }
    }
}

static int run_max_pool(const ad_call *c) {
    static const int64_t one[2] = {0, 1};
    const int64_t *plan = c->numbers, *windows = plan + 1 + 2 * plan[0];
    const ad_tensor *x = ad_in(c, 0);
    const int nd = (int)plan[0], lead = x->ndim - nd;
    task t = {.x = x->data,
              .most = ad_out(c, 0)->data,
              .y = (int64_t *)(void *)ad_out(c, 1)->data,
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
    ad_parallel_for(planes, ad_least(ad_out(c, 0)->numel * (taps + 4), (int64_t)1 << 60), run_plane, &t);
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
    *places = NULL;
    AD_IN_FLOAT32(x, places, ad_max_pool(in32[0], n, plan, places), x)
    if (check(x, n, plan)) return NULL;
    int64_t shape[AD_MAX_DIMS];
    memcpy(shape, x->shape, sizeof shape);
    memcpy(shape + x->ndim - plan[0], plan + 1 + plan[0], sizeof(int64_t) * (size_t)plan[0]);
    ad_tensor *y = ad_make(x->dtype, x->ndim, shape), *at = y ? ad_make(AD_int64, x->ndim, shape) : NULL;
    const ad_tensor *const operands[] = {y, at, x};
    const ad_call c = {
        run_max_pool, "max_pool", 2, 1, .x = operands, .numbers = plan, .n_bytes = sizeof *plan * (size_t)n};
    if (at && (!y->numel || !ad_do(&c))) {
        *places = at;
        return ad_channels_last(y, ad_is_channels_last(x));
    }
    ad_free(y);
    ad_free(at);
    return NULL;
}
