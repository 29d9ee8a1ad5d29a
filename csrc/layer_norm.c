/* layer_norm.c: rows less their mean, over their deviation, times a weight plus a bias; and the vjp.
 *
 * Of a layer norm, weight and bias are those of each column; a root mean square norm takes no mean off. Of
 * the norms by channel, a row is cut into runs of a channel, which has one weight and one bias: in a group
 * norm they are the group's channels, in a batch norm those of one channel in each element of the batch.
 * Short runs of a batch norm are copied first, to follow one another.
 *
 * The vjp adds the cotangents of weight and bias of a layer norm over blocks of 32 rows in order, then over
 * blocks as fold.c adds; by channel, over each run, then over the batch. */
#include "rows.h"
#include "tape.h"
#include <math.h>

enum { ROWS = 32, SHORT = 64 };

typedef struct {
    ad_moments_source s; /* of forward */
    int type;
    int64_t m, n, size;
    int64_t channels, weights; /* of a norm by channel, else 0: of x, and of a row */
    int64_t run, hop, pitch;   /* numbers of a run, and from one to the next of the row; from row to row */
    bool flipped;              /* the channels were brought to the front */
    bool centred;              /* the mean is taken off */
    const char *x, *w, *b, *g;
    char *stats; /* of the rows: the means, their rests, 1 / deviation, variances; NULL: 0, 0, 1 */
    double eps;
    char *y, *dw, *db; /* y is dx of the vjp; dw and db have a row for each block */
} task;

static ad_normal normal_of(const task *t, int64_t row) {
    static const double zero = 0, one = 1;
    static const float one32 = 1;
    const void *rstd = t->type == AD_f32 ? (const void *)&one32 : &one;
    if (!t->stats) return (ad_normal){&zero, &zero, rstd, t->channels > 0};
    const char *at = t->stats + row * t->size;
    return (ad_normal){at, at + t->m * t->size, at + 2 * t->m * t->size, t->channels > 0};
}

/* A number of a row's first run, of one a channel. */
static const char *of_channel(const task *t, const char *numbers, int64_t row) {
    return numbers + row % (t->channels / t->weights) * t->weights * t->size;
}
/* How many runs there are for each weight. */
static int64_t runs_of_weight(const task *t) { return t->n / t->run / t->weights; }

/* A mean is kept as two numbers of the type: as near as one can be, and what is left. */
static void keep(const task *t, int64_t row, double mean, double rest, double var) {
    const bool narrow = t->type == AD_f32;
    const double near = narrow ? (double)(float)(mean + rest) : mean + rest, moved = near - mean;
    const double left = narrow ? mean + rest - near : (mean - (near - moved)) + (rest - moved);
    ad_rows_put(t->type, t->stats, row, near);
    ad_rows_put(t->type, t->stats, row + t->m, isfinite(near) ? left : 0);
    ad_rows_put(t->type, t->stats, row + 2 * t->m, 1 / sqrt(var + t->eps));
    ad_rows_put(t->type, t->stats, row + 3 * t->m, var);
}

/* The sums over n numbers of a row, chunks joined as by the tree of fold.c; w: weights of columns or NULL.
 */
static void sums_of(const task *t, const char *weights, int64_t at, int64_t c, int64_t n, const ad_normal *s,
                    double *sums) {
    if (n <= AD_BLOCK) {
        const char *w = weights ? weights + c * t->size : NULL;
        ad_cpu->rows->norm_sums[t->type](n, t->g + (at + c) * t->size, t->x + (at + c) * t->size, w, s, sums);
        return;
    }
    double later[2];
    int64_t half = AD_BLOCK;
    while (half < n - half) half *= 2;
    sums_of(t, weights, at, c, half, s, sums);
    sums_of(t, weights, at, c + half, n - half, s, later);
    sums[0] += later[0], sums[1] += later[1];
}

/* The moments of the rows of an item; without a mean, those of squares. */
static void measure(const task *t, const ad_rows_item *item, ad_moments *m) {
    if (t->centred) {
        ad_moments_of(&t->s, item, m);
        return;
    }
    const task plain = {.type = t->type, .size = t->size, .g = t->s.x, .x = t->s.x};
    const ad_normal s = normal_of(&plain, 0);
    for (int64_t l = 0; l < item->lines; l++) {
        double sums[2];
        sums_of(&plain, NULL, item->each + l * t->n, 0, t->n, &s, sums);
        m->mean[l] = m->rest[l] = 0, m->squares[l] = sums[1];
    }
}

static void forward_item(void *context, int64_t i) {
    const task *t = context;
    const ad_rows_item item = ad_rows_item_at(&t->s.plan, i);
    ad_moments m;
    measure(t, &item, &m);
    for (int64_t l = 0; l < item.lines; l++)
        keep(t, item.first + l, m.mean[l], m.rest[l], m.squares[l] / (double)t->n);
    const ad_normal s = normal_of(t, item.first);
    const int64_t at = item.each * t->size;
    if (!t->channels) {
        ad_cpu->rows->normalize[t->type](item.lines, t->n, t->s.x + at, &s, t->w, t->b, t->y + at);
        return;
    }
    for (int64_t row = item.first; row < item.first + item.lines; row++) {
        const ad_normal one = normal_of(t, row);
        const char *w = of_channel(t, t->w, row), *b = of_channel(t, t->b, row);
        for (int64_t k = 0; k < t->n / t->run; k++) {
            const int64_t from = (row * t->pitch + k * t->hop) * t->size, c = k / runs_of_weight(t) * t->size;
            ad_cpu->rows->normalize[t->type](1, t->run, t->s.x + from, &one, w + c, b + c, t->y + from);
        }
    }
}

static void vjp_block(void *context, int64_t i) {
    const task *t = context;
    char *dw = t->dw ? t->dw + i * t->n * t->size : NULL, *db = t->db ? t->db + i * t->n * t->size : NULL;
    if (dw) memset(dw, 0, (size_t)(t->n * t->size));
    if (db) memset(db, 0, (size_t)(t->n * t->size));
    for (int64_t row = i * ROWS; row < ad_least((i + 1) * ROWS, t->m); row++) {
        const ad_normal s = normal_of(t, row);
        const int64_t at = row * t->n;
        double means[2] = {0, 0};
        if (t->y) sums_of(t, t->w, at, 0, t->n, &s, means);
        means[0] = t->centred ? means[0] / (double)t->n : 0, means[1] /= (double)t->n;
        ad_cpu->rows->norm_vjp[t->type](t->n, t->g + at * t->size, t->x + at * t->size, t->w, &s, means,
                                        t->y ? t->y + at * t->size : NULL, dw, db);
    }
}

/* dx of one run of a row. */
static void vjp_run(const task *t, int64_t at, const char *w, const ad_normal *s, const double *means) {
    at *= t->size;
    if (t->y)
        ad_cpu->rows->norm_vjp[t->type](t->run, t->g + at, t->x + at, w, s, means, t->y + at, NULL, NULL);
}

/* A row of a norm by channel: the cotangents of weights and biases, and from them those of x. */
static void vjp_channels(void *context, int64_t row) {
    const task *t = context;
    const ad_normal s = normal_of(t, row);
    const int64_t runs = t->n / t->run, shared = runs_of_weight(t), at = row * t->pitch;
    const char *w = of_channel(t, t->w, row);
    double means[2] = {0, 0}, total[2] = {0, 0}, sums[2];
    for (int64_t k = 0; k < runs; k++) {
        if (t->hop > t->run) {
            ad_rows_fetch(t->g + (at + (k + 1) * t->hop) * t->size);
            ad_rows_fetch(t->x + (at + (k + 1) * t->hop) * t->size);
        }
        sums_of(t, NULL, at + k * t->hop, 0, t->run, &s, sums);
        total[0] += sums[0], total[1] += sums[1];
        if (!t->stats) vjp_run(t, at + k * t->hop, w + k / shared * t->size, &s, NULL);
        if ((k + 1) % shared) continue;
        const int64_t to = row * t->weights + k / shared;
        const double weight = ad_rows_number(t->type, w, k / shared);
        for (int i = 0; i < 2; i++) means[i] += weight * total[i] / (double)t->n;
        if (t->dw) ad_rows_put(t->type, t->dw, to, total[1]);
        if (t->db) ad_rows_put(t->type, t->db, to, total[0]);
        total[0] = total[1] = 0;
    }
    for (int64_t k = 0; t->stats && k < runs; k++)
        vjp_run(t, at + k * t->hop, w + k / shared * t->size, &s, means);
}

/* ---- operands ---- */

static ad_tensor *channels_first(const ad_tensor *x) {
    int64_t order[AD_MAX_DIMS] = {1, 0};
    for (int d = 2; d < x->ndim; d++) order[d] = d;
    return ad_permute(x, x->ndim, order);
}

/* x as rows want it, or a copy, which is also in `made`; NULL where x is, and where memory failed. */
static const ad_tensor *dense(const task *t, const ad_tensor *x, ad_tensor **made) {
    const bool flips = x && t->flipped && x->ndim > 1;
    *made = NULL;
    if (!x || (x->contiguous && !flips)) return x;
    ad_tensor *view = flips ? channels_first(x) : NULL;
    if (view || !flips) *made = ad_contiguous(flips ? view : x, x->dtype);
    ad_free(view);
    return *made;
}

/* Whether the last dimensions of x are these. */
static bool ends_in(const ad_tensor *x, int ndim, const int64_t *shape) {
    return !memcmp(x->shape + x->ndim - ndim, shape, sizeof(int64_t) * (size_t)ndim);
}

/* The last ndim dimensions, or where that is 0, the channels by themselves or, over the batch, all alike. */
typedef struct {
    int ndim;
    int64_t groups; /* 0: over the batch */
    double eps;
    bool centred;
} norm_numbers;

static void lay_rows(task *t, const ad_tensor *x, const norm_numbers *n) {
    t->type = ad_dtype_type[x->dtype];
    t->size = ad_itemsize[x->dtype];
    t->eps = n->eps;
    t->centred = n->centred;
    t->m = t->n = t->run = 1;
    for (int d = 0; d < x->ndim; d++) {
        *(d < x->ndim - n->ndim ? &t->m : &t->n) *= x->shape[d];
        if (d > 1) t->run *= x->shape[d];
    }
    t->flipped = false;
    t->channels = t->weights = 0;
    if (n->ndim) return;
    t->channels = x->shape[1];
    t->m = n->groups ? x->shape[0] * n->groups : t->channels;
    t->weights = n->groups ? t->channels / n->groups : 1;
    t->n = n->groups ? t->weights * t->run : x->shape[0] * t->run;
    t->flipped = !n->groups && x->shape[0] > 1 && t->run < SHORT;
    if (t->flipped) t->run = t->n;
    const bool together = n->groups || t->flipped;
    t->hop = together ? t->run : t->channels * t->run;
    t->pitch = together ? t->n : t->run;
}

static int check(task *t, const ad_tensor *x, const norm_numbers *n, const ad_tensor *w, const ad_tensor *b) {
    if (!ad_is_float(x->dtype)) return ad_fail(AD_BAD_DTYPE, x->dtype, 0, 0);
    if (n->ndim < 0 || n->ndim > x->ndim || (!n->ndim && x->ndim < 2))
        return ad_fail(AD_BAD_DIM, n->ndim, x->ndim, 0);
    if (n->groups < 0 || (n->groups && x->shape[1] % n->groups))
        return ad_fail(AD_BAD_ARG, n->groups, x->shape[1], 0);
    for (int i = 0; i < 2; i++) {
        const ad_tensor *one = i ? b : w;
        if (one && one->dtype != x->dtype) return ad_fail(AD_BAD_DTYPE, one->dtype, 0, 0);
        const bool fits = one && (n->ndim ? one->ndim == n->ndim && ends_in(x, n->ndim, one->shape)
                                          : one->ndim == 1 && one->shape[0] == x->shape[1]);
        if (one && !fits) return ad_fail(AD_BAD_SHAPE, one->numel, x->numel, 0);
    }
    lay_rows(t, x, n);
    return AD_OK;
}

/* Where a result like x is computed: in y itself, or in memory to be brought back to it. */
static char *result_of(const task *t, const ad_tensor *y, ad_tensor **made) {
    *made = NULL;
    if (!y || !t->flipped) return y ? y->data : NULL;
    *made = ad_make(y->dtype, 1, &y->numel);
    return *made ? (*made)->data : NULL;
}

/* Frees `made`, once it is where it belongs. */
static int bring_back(const ad_tensor *y, ad_tensor *made, int status) {
    ad_tensor *to = made && !status ? channels_first(y) : NULL;
    ad_tensor *from = to ? ad_view(made, to->ndim, to->shape) : NULL;
    if (from) ad_copy_into(to, from);
    if (made && !status && !from) status = AD_NO_MEMORY;
    ad_free(from);
    ad_free(to);
    ad_free(made);
    return status;
}

/* ---- entry points ---- */

static int run_forward(const ad_call *c) {
    ad_tensor *copies[4];
    const ad_tensor *w = ad_in(c, 1), *b = ad_in(c, 2);
    task t = {.stats = ad_out(c, 1)->data};
    int status = check(&t, ad_in(c, 0), c->numbers, w, b);
    if (status) return status;
    const ad_tensor *x = dense(&t, ad_in(c, 0), &copies[0]);
    const ad_tensor *cw = dense(&t, w, &copies[1]), *cb = dense(&t, b, &copies[2]);
    t.y = result_of(&t, ad_out(c, 0), &copies[3]);
    status = !x || !t.y || !cw != !w || !cb != !b ? AD_NO_MEMORY : AD_OK;
    if (!status) {
        const bool cut = t.channels && t.pitch < t.n;
        t.w = cw ? cw->data : NULL;
        t.b = cb ? cb->data : NULL;
        t.s.x = x->data;
        t.s.parts = NULL;
        if (t.centred)
            status = ad_moments_begin(&t.s, x, &(ad_rows_shape){t.m, t.n, 1}, cut ? t.run : 0, t.hop);
        else
            ad_rows_cut(&t.s.plan, &(ad_rows_shape){t.m, t.n, 1}, t.size);
    }
    if (!status) {
        ad_parallel_for(t.s.plan.items, x->numel / 2, forward_item, &t);
        ad_dealloc(t.s.parts);
    }
    for (int i = 0; i < 3; i++) ad_free(copies[i]);
    return bring_back(ad_out(c, 0), copies[3], status);
}

static ad_tensor *forward(const ad_tensor *x, const norm_numbers *n, const ad_tensor *w, const ad_tensor *b,
                          ad_tensor **stats) {
    task t;
    if (check(&t, x, n, w, b)) return NULL;
    ad_tensor *y = ad_make(x->dtype, x->ndim, x->shape);
    ad_tensor *kept = y ? ad_make(x->dtype, 2, (int64_t[2]){4, t.m}) : NULL;
    const ad_tensor *const operands[] = {y, kept, x, w, b};
    const ad_call c = {run_forward, "layer_norm", 2, 3, .x = operands, .numbers = n, .n_bytes = sizeof *n};
    if (kept && (!x->numel || !ad_do(&c))) {
        *stats = kept;
        return y;
    }
    ad_free(y);
    ad_free(kept);
    return NULL;
}

ad_tensor *ad_layer_norm(const ad_tensor *x, int ndim, const int64_t *shape, const ad_tensor *w,
                         const ad_tensor *b, double eps, int centred, ad_tensor **stats) {
    *stats = NULL;
    AD_IN_FLOAT32(x, stats, ad_layer_norm(in32[0], ndim, shape, in32[1], in32[2], eps, centred, stats), x, w,
                  b)
    if (ndim < 1) return ad_fail_null(AD_BAD_DIM, ndim, x->ndim, 0);
    if (ndim <= x->ndim && !ends_in(x, ndim, shape))
        return ad_fail_null(AD_BAD_SHAPE, shape[0], x->shape[x->ndim - ndim], 0);
    return forward(x, &(norm_numbers){ndim, 0, eps, centred}, w, b, stats);
}

ad_tensor *ad_channel_norm(const ad_tensor *x, int64_t groups, const ad_tensor *w, const ad_tensor *b,
                           double eps, ad_tensor **stats) {
    *stats = NULL;
    if (!w || !b) return ad_fail_null(AD_BAD_ARG, groups, 0, 0);
    return ad_channels_last(forward(x, &(norm_numbers){0, groups, eps, true}, w, b, stats),
                            ad_is_channels_last(x));
}

/* The rows of `parts` added up, in the shape that w has; frees parts. */
static ad_tensor *add_parts(ad_tensor *parts, const ad_tensor *x, int ndim) {
    ad_tensor *sum = ad_reduce(AD_RED_sum, parts, 1, 0, parts->dtype);
    ad_tensor *y = sum && ndim > 1 ? ad_view(sum, ndim, x->shape + x->ndim - ndim) : sum;
    if (y != sum) ad_free(sum);
    ad_free(parts);
    return y;
}

static int run_vjp(const ad_call *c) {
    ad_tensor *copies[4];
    const ad_tensor *w = ad_in(c, 2), *stats = ad_in(c, 3);
    task t = {.stats = stats ? stats->data : NULL};
    int status = check(&t, ad_in(c, 1), c->numbers, w, NULL);
    if (status) return status;
    const ad_tensor *g = dense(&t, ad_in(c, 0), &copies[0]), *x = dense(&t, ad_in(c, 1), &copies[1]);
    const ad_tensor *cw = dense(&t, w, &copies[2]);
    t.y = result_of(&t, ad_out(c, 0), &copies[3]);
    status = !g || !x || !cw != !w || !t.y != !ad_out(c, 0) ? AD_NO_MEMORY : AD_OK;
    if (!status) {
        t.g = g->data;
        t.x = x->data;
        t.w = cw ? cw->data : NULL;
        t.dw = ad_out(c, 1) ? ad_out(c, 1)->data : NULL;
        t.db = ad_out(c, 2) ? ad_out(c, 2)->data : NULL;
        if (t.channels)
            ad_parallel_for(t.m, x->numel, vjp_channels, &t);
        else
            ad_parallel_for((t.m - 1) / ROWS + 1, x->numel, vjp_block, &t);
    }
    for (int i = 0; i < 3; i++) ad_free(copies[i]);
    return bring_back(ad_out(c, 0), copies[3], status);
}

static int vjp(const ad_tensor *g, const ad_tensor *x, const norm_numbers *n, const ad_tensor *w,
               const ad_tensor *stats, int wanted, ad_tensor **out) {
    task t;
    int status = AD_OK;
    out[0] = out[1] = out[2] = NULL;
    if (check(&t, x, n, w, NULL)) return ad_error(NULL);
    if (g->dtype != x->dtype || (stats && stats->dtype != x->dtype))
        return ad_fail(AD_BAD_DTYPE, g->dtype, 0, 0);
    if (n->ndim ? g->numel != x->numel : !ad_same_shape(g, x))
        return ad_fail(AD_BAD_SHAPE, g->numel, x->numel, 0);
    if (stats && (stats->numel != 4 * t.m || !stats->contiguous)) return ad_fail(AD_BAD_ARG, 0, 0, 0);
    int64_t parts[2] = {x->numel ? (t.m - 1) / ROWS + 1 : 0, t.n};
    if (t.channels) parts[0] = x->numel ? t.m * t.weights / t.channels : 0, parts[1] = t.channels;
    for (int i = 0; i < 3 && !status; i++)
        if (wanted >> i & 1) {
            out[i] = i ? ad_make(x->dtype, 2, parts) : ad_make(x->dtype, x->ndim, x->shape);
            if (!out[i]) status = AD_NO_MEMORY;
        }
    const ad_tensor *const operands[] = {out[0], out[1], out[2], g, x, w, stats};
    const ad_call c = {run_vjp, "layer_norm_vjp", 3, 4, .x = operands, .numbers = n, .n_bytes = sizeof *n};
    if (!status && x->numel) status = ad_do(&c);
    for (int i = 1; i < 3 && !status; i++)
        if (out[i] && !(out[i] = add_parts(out[i], x, n->ndim))) status = AD_NO_MEMORY;
    for (int i = 0; i < 3 && status; i++) {
        ad_free(out[i]);
        out[i] = NULL;
    }
    return status;
}

int ad_layer_norm_vjp(const ad_tensor *g, const ad_tensor *x, int ndim, const ad_tensor *w,
                      const ad_tensor *stats, int centred, int wanted, ad_tensor **out) {
    out[0] = out[1] = out[2] = NULL;
    AD_ALL_IN_FLOAT32(
        x, 3, out, ad_layer_norm_vjp(in32[0], in32[1], ndim, in32[2], stats, centred, wanted, out), g, x, w)
    if (ndim < 1) return ad_fail(AD_BAD_DIM, ndim, x->ndim, 0);
    return vjp(g, x, &(norm_numbers){.ndim = ndim, .centred = centred}, w, stats, wanted, out);
}

int ad_channel_norm_vjp(const ad_tensor *g, const ad_tensor *x, int64_t groups, const ad_tensor *w,
                        const ad_tensor *stats, int wanted, ad_tensor **out) {
    out[0] = out[1] = out[2] = NULL;
    if (!w) return ad_fail(AD_BAD_ARG, groups, 0, 0);
    return vjp(g, x, &(norm_numbers){.groups = groups, .centred = true}, w, stats, wanted, out);
}
