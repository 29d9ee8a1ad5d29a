/* windows.c: sums over windows of images, weighted or not, and their adjoint: pooling by means, resampling.
 */
#include "channels.h"
#include "tape.h"

/* gcc's -O2 leaves loops as they are whose counts it cannot know to be multiples of a vector's; short ones
 * take half as long again across a line of code. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("vect-cost-model=dynamic", "align-loops=32")
#endif
#include "windows.h" /* compiled the same way, or gcc would not inline what it has */

enum { PER_DIM = 6, ROOM = 4096, FEW = 8 };

static int64_t quotient_up(int64_t a, int64_t b) { return a <= 0 ? 0 : b == 1 ? a : (a + b - 1) / b; }

/* The taps that any of the windows first to last can have. */
static void taps_between(const axis *a, int64_t first, int64_t last, int64_t *from, int64_t *to) {
    *from = 0, *to = a->taps;
    if (!a->stride) return;
    *from = quotient_up(-lattice(a, 0, last), a->dilation);
    if (lattice(a, a->taps - 1, first) >= a->size)
        *to = quotient_up(a->size - lattice(a, 0, first), a->dilation);
}

/* The windows of a lattice that have this tap. */
static void windows_of(const axis *a, int64_t tap, int64_t *from, int64_t *to) {
    const int64_t at = lattice(a, tap, 0);
    *from = quotient_up(-at, a->stride), *to = a->n;
    if (lattice(a, tap, a->n - 1) >= a->size) *to = quotient_up(a->size - at, a->stride);
}

/* Windows of a lattice without gaps, and which elements they are of. */
static bool is_solid(const axis *a) { return a->stride && a->dilation == 1; }

static void ends(const axis *a, int64_t j, int64_t *from, int64_t *to) {
    const int64_t start = lattice(a, 0, j);
    *from = start > 0 ? start : 0, *to = ad_least(start + a->taps, a->size);
}

#define T float
#define NAME(name) name##_f32
#include "kernels/windows_type.h"
#undef T
#undef NAME
#define T double
#define NAME(name) name##_f64
#include "kernels/windows_type.h"
#undef T
#undef NAME

static void run_plane(void *context, int64_t i) {
    const task *t = context;
    if (t->dtype == AD_float32)
        run_f32(t, i);
    else
        run_f64(t, i);
}

/* What a plan tells of the dimensions, the first of size 1 where there are fewer than three. */
static void read_plan(const int64_t *plan, const ad_tensor *weights, axis *axes) {
    const int nd = (int)plan[0];
    const int64_t *places = plan + 3 + PER_DIM * nd;
    const char *w = weights ? weights->data : NULL;
    for (int i = 0; i < DIMS; i++) {
        const int d = i - (DIMS - nd);
        const int64_t *p = plan + 3 + PER_DIM * d;
        axes[i] = d < 0 ? (axis){.size = 1, .n = 1, .taps = 1, .stride = 1, .dilation = 1}
                        : (axis){p[0], p[1], p[2], p[3], p[4], p[5], places, w};
        if (d < 0 || p[3]) continue;
        places += p[1] * p[2];
        if (w) w += p[1] * p[2] * ad_itemsize[weights->dtype];
    }
}

static int run(const ad_call *c, bool back) {
    const int64_t *plan = c->numbers;
    const ad_tensor *x = ad_in(c, 0), *y = ad_out(c, 0);
    bool failed = false;
    task t = {.images = (back ? y : x)->data,
              .windows = (back ? x : y)->data,
              .dtype = x->dtype,
              .failed = &failed,
              .divisor = plan[1],
              .number = plan[2],
              .back = back};
    int64_t planes = 1;
    for (int d = 0; d < x->ndim - plan[0]; d++) planes *= x->shape[d];
    read_plan(plan, ad_in(c, 1), t.axis);
    const axis *d = t.axis, *h = d + 1, *w = d + 2;
    if (ad_windows_lie_beside(x, plan[0]) && ad_windows_lie_beside(y, plan[0]))
        return ad_windows_beside(&t, back ? y : x, back ? x : y);
    t.few = !back && w->n <= FEW && is_solid(d) && is_solid(h) && is_solid(w);
    const double cost = (double)planes * (double)(d->n * h->n) *
                        ((double)w->n * (double)w->taps + (double)w->size * (double)(d->taps * h->taps) / 4);
    ad_parallel_for(planes, cost < 1e15 ? (int64_t)cost : (int64_t)1e15, run_plane, &t);
    return failed ? ad_fail(AD_NO_MEMORY, (w->size + w->n) * ad_itemsize[x->dtype], 0, 0) : AD_OK;
}

static int run_windows(const ad_call *c) { return run(c, false); }
static int run_windows_vjp(const ad_call *c) { return run(c, true); }

/* A plan that no n numbers hold, or that does not fit x, the images or the windows. */
static int check(const ad_tensor *x, const ad_tensor *weights, bool back, int64_t n, const int64_t *plan) {
    if (n < 3 || plan[0] < 1 || plan[0] > DIMS || n < 3 + PER_DIM * plan[0])
        return ad_fail(AD_BAD_ARG, n, 0, 0);
    const int nd = (int)plan[0];
    int64_t at = 3 + PER_DIM * nd;
    if (plan[1] < 0 || plan[1] > WITH_PADDING) return ad_fail(AD_BAD_ARG, plan[1], 0, 0);
    if (!ad_is_float(x->dtype)) return ad_fail(AD_BAD_DTYPE, x->dtype, 0, 0);
    if (x->ndim < nd) return ad_fail(AD_BAD_DIM, nd, x->ndim, 0);
    for (int d = 0; d < nd; d++) {
        const int64_t *p = plan + 3 + PER_DIM * d, size = x->shape[x->ndim - nd + d];
        for (int i = 0; i < PER_DIM; i++) {
            if (p[i] < 0 || p[i] > ((int64_t)1 << (i < 2 ? 31 : 30))) return ad_fail(AD_BAD_ARG, d, p[i], 0);
        }
        if (p[back] != size) return ad_fail(AD_BAD_SHAPE, p[back], size, 0);
        if (p[2] < 1 || (p[3] && (!p[5] || weights))) return ad_fail(AD_BAD_ARG, d, p[2], 0);
        if (p[3]) continue;
        if (p[1] > (n - at) / p[2]) return ad_fail(AD_BAD_ARG, n, at, 0);
        for (const int64_t end = at + p[1] * p[2]; at < end; at++) {
            if (plan[at] < 0 || plan[at] > p[0]) return ad_fail(AD_BAD_INDEX, plan[at], d, p[0]);
        }
    }
    if (at != n) return ad_fail(AD_BAD_ARG, n, at, 0);
    if (weights &&
        (weights->dtype != x->dtype || !weights->contiguous || weights->numel != n - 3 - PER_DIM * nd))
        return ad_fail(AD_BAD_SHAPE, weights->numel, n, 0);
    return AD_OK;
}

static ad_tensor *windows(const ad_tensor *x, const ad_tensor *weights, bool back, int64_t n,
                          const int64_t *plan) {
    AD_IN_FLOAT32(x, NULL, windows(in32[0], weights, back, n, plan), x)
    if (check(x, weights, back, n, plan)) return NULL;
    const int nd = (int)plan[0];
    int64_t shape[AD_MAX_DIMS];
    memcpy(shape, x->shape, sizeof shape);
    for (int d = 0; d < nd; d++) shape[x->ndim - nd + d] = plan[3 + PER_DIM * d + !back];
    const bool last = x->ndim == 4 && ad_is_channels_last(x); /* as PyTorch: not of volumes */
    const bool beside = last && ad_windows_lie_beside(x, nd);
    ad_tensor *y = (beside ? ad_make_last : ad_make)(x->dtype, x->ndim, shape), *dense = NULL;
    if (!y || !y->numel) return ad_channels_last(y, last);
    if (!beside && !x->contiguous && !(x = dense = ad_contiguous(x, x->dtype))) {
        ad_free(y);
        return NULL;
    }
    const ad_tensor *const operands[] = {y, x, weights};
    const ad_call c = {back ? run_windows_vjp : run_windows, "windows", 1, 2, .x = operands, .numbers = plan,
                       .n_bytes = sizeof *plan * (size_t)n};
    y = ad_done(&c, y);
    ad_free(dense);
    return ad_channels_last(y, last && !beside);
}

ad_tensor *ad_windows(const ad_tensor *x, const ad_tensor *weights, int64_t n, const int64_t *plan) {
    return windows(x, weights, false, n, plan);
}

ad_tensor *ad_windows_vjp(const ad_tensor *g, const ad_tensor *weights, int64_t n, const int64_t *plan) {
    return windows(g, weights, true, n, plan);
}
