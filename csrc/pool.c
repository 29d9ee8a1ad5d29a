/* pool.c: where the greatest element of each window is. */
#include "tape.h"
#include "walk.h"

enum { DIMS = 3 };

/* Space made of three dimensions, the first of size 1 where there are fewer; strides in elements. */
typedef struct {
    int64_t count; /* of windows */
    const int64_t *first, *end;
    int64_t step, stride, place; /* place: of the next element, counted in row-major order */
} axis;

typedef struct {
    const char *x;
    int64_t *y;
    int dtype;
    ad_walk planes;
    axis axis[DIMS];
} task;

/* A row of windows: those of the last dimension, at (d, h) of the others. Which element is the greatest is
 * nothing a CPU could guess, so there are no branches for it. */
#define POOL(type, bits)                                                                                     \
    static void run_row_##type(const task *t, const type *x, const int64_t *at, int64_t *y) {                \
        const axis d_axis = t->axis[0], h_axis = t->axis[1], w_axis = t->axis[2];                            \
        const int64_t d0 = d_axis.first[at[0]], d1 = d_axis.end[at[0]];                                      \
        const int64_t h0 = h_axis.first[at[1]], h1 = h_axis.end[at[1]];                                      \
        const int64_t corner = d0 * d_axis.place + h0 * h_axis.place;                                        \
        for (int64_t i = 0; i < w_axis.count; i++) {                                                         \
            const int64_t w0 = w_axis.first[i], w1 = w_axis.end[i];                                          \
            int64_t found = corner + w0;                                                                     \
            type most = -(type)__builtin_inf();                                                              \
            for (int64_t d = d0; d < d1; d += d_axis.step) {                                                 \
                for (int64_t h = h0; h < h1; h += h_axis.step) {                                             \
                    const type *row = x + d * d_axis.stride + h * h_axis.stride;                             \
                    const int64_t place = d * d_axis.place + h * h_axis.place;                               \
                    for (int64_t w = w0; w < w1; w += w_axis.step) {                                         \
                        const type value = row[w * w_axis.stride];                                           \
                        const bool more = (value > most) | (value != value);                                 \
                        bits a, b;                                                                           \
                        memcpy(&a, &most, sizeof a);                                                         \
                        memcpy(&b, &value, sizeof b);                                                        \
                        a ^= (a ^ b) & -(bits)more;                                                          \
                        memcpy(&most, &a, sizeof a);                                                         \
                        found ^= (found ^ (place + w)) & -(int64_t)more;                                     \
                    }                                                                                        \
                }                                                                                            \
            }                                                                                                \
            y[i] = found;                                                                                    \
        }                                                                                                    \
    }
POOL(float, uint32_t)
POOL(double, uint64_t)

static void run_plane(void *context, int64_t plane) {
    const task *t = context;
    const char *x = t->x + ad_walk_offset(&t->planes, plane) * ad_itemsize[t->dtype];
    int64_t *y = t->y + plane * t->axis[0].count * t->axis[1].count * t->axis[2].count, at[2];
    for (at[0] = 0; at[0] < t->axis[0].count; at[0]++) {
        for (at[1] = 0; at[1] < t->axis[1].count; at[1]++) {
            if (t->dtype == AD_float32)
                run_row_float(t, (const float *)x, at, y);
            else
                run_row_double(t, (const double *)x, at, y);
            y += t->axis[2].count;
        }
    }
}

static int run_max_pool(const ad_call *c) {
    static const int64_t one[2] = {0, 1};
    const int64_t *plan = c->numbers, *windows = plan + 1 + 2 * plan[0];
    const ad_tensor *x = ad_in(c, 0);
    const int nd = (int)plan[0], lead = x->ndim - nd;
    task t = {.x = x->data, .y = (int64_t *)ad_out(c, 0)->data, .dtype = x->dtype};
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

ad_tensor *ad_max_pool(const ad_tensor *x, int64_t n, const int64_t *plan) {
    AD_IN_FLOAT32(x, NULL, ad_max_pool(in32[0], n, plan), x)
    if (check(x, n, plan)) return NULL;
    int64_t shape[AD_MAX_DIMS];
    memcpy(shape, x->shape, sizeof shape);
    memcpy(shape + x->ndim - plan[0], plan + 1 + plan[0], sizeof(int64_t) * (size_t)plan[0]);
    ad_tensor *y = ad_make(AD_int64, x->ndim, shape);
    if (!y || !y->numel) return y;
    const ad_tensor *const operands[] = {y, x};
    return ad_done(&(ad_call){run_max_pool, "max_pool", 1, 1, .x = operands, .numbers = plan,
                              .n_bytes = sizeof *plan * (size_t)n},
                   y);
}
