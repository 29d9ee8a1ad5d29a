/* layer_norm.c: rows less their mean, over their deviation, times a weight plus a bias; and the vjp.
 *
 * Weight and bias are those of each column. In a group norm rows are groups of channels, each a run of
 * columns with a weight of its own; its vjp adds over each run, then over the batch.
 *
 * The vjp adds the cotangents of weight and bias over blocks of 32 rows in order, then over blocks as
 * reduce.c adds. */
#include "rows.h"
#include "tape.h"
#include <math.h>

enum { ROWS = 32 };

typedef struct {
    ad_moments_source s; /* of forward */
    int type;
    int64_t m, n, size;
    int64_t groups,
        run; /* of a group norm, else 0: groups of an element of the batch, columns of a channel */
    const char *x, *w, *b, *g;
    char *stats; /* of the rows: the means, their rests, 1 / deviation */
    double eps;
    char *y, *dw, *db; /* y is dx of the vjp; dw and db have a row for each block */
} task;

static ad_normal normal_of(const task *t, int64_t row) {
    const char *at = t->stats + row * t->size;
    return (ad_normal){at, at + t->m * t->size, at + 2 * t->m * t->size, t->groups > 0};
}

/* A number of a row's first channel, of one a channel. */
static const char *of_group(const task *t, const char *numbers, int64_t row) {
    return numbers + row % t->groups * (t->n / t->run) * t->size;
}

/* A mean of float32 is kept as two of them, so that it is taken off as exactly as one of double. */
static void keep(const task *t, int64_t row, double mean, double rest, double rstd) {
    if (t->type == AD_f32) {
        float *to = (float *)(void *)t->stats + row, near = (float)(mean + rest);
        to[0] = near;
        to[t->m] = isfinite(near) ? (float)(mean + rest - (double)near) : 0;
        to[2 * t->m] = (float)rstd;
    } else {
        double *to = (double *)(void *)t->stats + row;
        to[0] = mean;
        to[t->m] = rest;
        to[2 * t->m] = rstd;
    }
}

static void forward_item(void *context, int64_t i) {
    const task *t = context;
    const ad_rows_item item = ad_rows_item_at(&t->s.plan, i);
    ad_moments m;
    ad_moments_of(&t->s, &item, &m);
    for (int64_t l = 0; l < item.lines; l++)
        keep(t, item.first + l, m.mean[l], m.rest[l], 1 / sqrt(m.squares[l] / (double)t->n + t->eps));
    const ad_normal s = normal_of(t, item.first);
    const int64_t at = item.each * t->size;
    if (!t->groups) {
        ad_cpu->rows->normalize[t->type](item.lines, t->n, t->s.x + at, &s, t->w, t->b, t->y + at);
        return;
    }
    for (int64_t row = item.first; row < item.first + item.lines; row++) {
        const ad_normal one = normal_of(t, row);
        const char *w = of_group(t, t->w, row), *b = of_group(t, t->b, row);
        for (int64_t c = 0; c < t->n; c += t->run, w += t->size, b += t->size) {
            const int64_t from = (row * t->n + c) * t->size;
            ad_cpu->rows->normalize[t->type](1, t->run, t->s.x + from, &one, w, b, t->y + from);
        }
    }
}

/* The sums over n numbers of a row, chunks joined as by the tree of reduce.c; w: weights of columns or NULL.
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
        means[0] /= (double)t->n, means[1] /= (double)t->n;
        ad_cpu->rows->norm_vjp[t->type](t->n, t->g + at * t->size, t->x + at * t->size, t->w, &s, means,
                                        t->y ? t->y + at * t->size : NULL, dw, db);
    }
}

static double number_at(const task *t, const char *p) {
    return t->type == AD_f32 ? (double)*(const float *)(const void *)p : *(const double *)(const void *)p;
}
static void set_number(const task *t, char *p, double value) {
    if (t->type == AD_f32)
        *(float *)(void *)p = (float)value;
    else
        *(double *)(void *)p = value;
}

/* A row of a group norm: its channels' cotangents of weight and bias, and from them those of x. */
static void vjp_group(void *context, int64_t row) {
    const task *t = context;
    const ad_normal s = normal_of(t, row);
    const int64_t channels = t->n / t->run, at = row * t->n;
    const char *w = of_group(t, t->w, row);
    double means[2] = {0, 0};
    for (int64_t c = 0; c < channels; c++) {
        const int64_t to = (row * channels + c) * t->size;
        double sums[2];
        sums_of(t, NULL, at, c * t->run, t->run, &s, sums);
        for (int i = 0; i < 2; i++) means[i] += number_at(t, w + c * t->size) * sums[i] / (double)t->n;
        if (t->dw) set_number(t, t->dw + to, sums[1]);
        if (t->db) set_number(t, t->db + to, sums[0]);
    }
    for (int64_t c = 0; t->y && c < channels; c++) {
        const int64_t from = (at + c * t->run) * t->size;
        ad_cpu->rows->norm_vjp[t->type](t->run, t->g + from, t->x + from, w + c * t->size, &s, means,
                                        t->y + from, NULL, NULL);
    }
}

/* ---- entry points ---- */

/* x, or a contiguous copy, which is also in `made`; NULL where x is, and where memory failed. */
static const ad_tensor *dense(const ad_tensor *x, ad_tensor **made) {
    *made = NULL;
    if (!x || x->contiguous) return x;
    return *made = ad_contiguous(x, x->dtype);
}

/* Whether the last dimensions of x are these. */
static bool ends_in(const ad_tensor *x, int ndim, const int64_t *shape) {
    return !memcmp(x->shape + x->ndim - ndim, shape, sizeof(int64_t) * (size_t)ndim);
}

/* Of a layer norm groups is 0; of a group norm ndim is 1, as weight and bias have it. */
static int check(task *t, const ad_tensor *x, int ndim, int64_t groups, const ad_tensor *w,
                 const ad_tensor *b) {
    if (!ad_is_float(x->dtype)) return ad_fail(AD_BAD_DTYPE, x->dtype, 0, 0);
    if (ndim < 1 || ndim > x->ndim || (groups && x->ndim < 2)) return ad_fail(AD_BAD_DIM, ndim, x->ndim, 0);
    if (groups < 0 || (groups && x->shape[1] % groups)) return ad_fail(AD_BAD_ARG, groups, x->shape[1], 0);
    const int rows = groups ? 1 : x->ndim - ndim; /* dimensions */
    t->type = ad_dtype_type[x->dtype];
    t->size = ad_itemsize[x->dtype];
    t->m = t->n = t->run = 1;
    t->groups = groups;
    for (int d = 0; d < x->ndim; d++) {
        *(d < rows ? &t->m : &t->n) *= x->shape[d];
        if (d > 1) t->run *= x->shape[d];
    }
    if (groups) t->m *= groups, t->n /= groups;
    for (int i = 0; i < 2; i++) {
        const ad_tensor *one = i ? b : w;
        if (one && one->dtype != x->dtype) return ad_fail(AD_BAD_DTYPE, one->dtype, 0, 0);
        const bool fits = one && one->ndim == ndim &&
                          (groups ? one->shape[0] == x->shape[1] : ends_in(x, ndim, one->shape));
        if (one && !fits) return ad_fail(AD_BAD_SHAPE, one->numel, t->n, 0);
    }
    return AD_OK;
}

typedef struct {
    int ndim;
    int64_t groups;
    double eps;
} norm_numbers;

static int run_forward(const ad_call *c) {
    const norm_numbers *n = c->numbers;
    ad_tensor *copies[3];
    const ad_tensor *x = dense(ad_in(c, 0), &copies[0]), *w = ad_in(c, 1), *b = ad_in(c, 2);
    const ad_tensor *cw = dense(w, &copies[1]), *cb = dense(b, &copies[2]);
    task t = {.eps = n->eps, .y = ad_out(c, 0)->data, .stats = ad_out(c, 1)->data};
    int status =
        !x || !cw != !w || !cb != !b ? AD_NO_MEMORY : check(&t, ad_in(c, 0), n->ndim, n->groups, w, b);
    if (!status) {
        t.w = cw ? cw->data : NULL;
        t.b = cb ? cb->data : NULL;
        status = ad_moments_begin(&t.s, x, &(ad_rows_shape){t.m, t.n, 1});
    }
    if (!status) {
        ad_parallel_for(t.s.plan.items, x->numel / 2, forward_item, &t);
        ad_dealloc(t.s.parts);
    }
    for (int i = 0; i < 3; i++) ad_free(copies[i]);
    return status;
}

static ad_tensor *forward(const ad_tensor *x, const norm_numbers *n, const ad_tensor *w, const ad_tensor *b,
                          ad_tensor **stats) {
    task t;
    if (check(&t, x, n->ndim, n->groups, w, b)) return NULL;
    ad_tensor *y = ad_make(x->dtype, x->ndim, x->shape);
    ad_tensor *kept = y ? ad_make(x->dtype, 2, (int64_t[2]){3, t.m}) : NULL;
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
                         const ad_tensor *b, double eps, ad_tensor **stats) {
    *stats = NULL;
    AD_IN_FLOAT32(x, stats, ad_layer_norm(in32[0], ndim, shape, in32[1], in32[2], eps, stats), x, w, b)
    if (ndim > 0 && ndim <= x->ndim && !ends_in(x, ndim, shape))
        return ad_fail_null(AD_BAD_SHAPE, shape[0], x->shape[x->ndim - ndim], 0);
    return forward(x, &(norm_numbers){ndim, 0, eps}, w, b, stats);
}

ad_tensor *ad_group_norm(const ad_tensor *x, int64_t groups, const ad_tensor *w, const ad_tensor *b,
                         double eps, ad_tensor **stats) {
    *stats = NULL;
    if (groups < 1 || !w || !b) return ad_fail_null(AD_BAD_ARG, groups, 0, 0);
    return forward(x, &(norm_numbers){1, groups, eps}, w, b, stats);
}

/* The rows of `parts` added up, in the shape that rows of x have; frees parts. */
static ad_tensor *add_parts(ad_tensor *parts, const ad_tensor *x, int ndim) {
    ad_tensor *sum = ad_reduce(AD_RED_sum, parts, 1, 0, parts->dtype);
    ad_tensor *y = sum && ndim > 1 ? ad_view(sum, ndim, x->shape + x->ndim - ndim) : sum;
    if (y != sum) ad_free(sum);
    ad_free(parts);
    return y;
}

static int run_vjp(const ad_call *c) {
    ad_tensor *copies[3], *const out[] = {ad_out(c, 0), ad_out(c, 1), ad_out(c, 2)};
    const ad_tensor *g = dense(ad_in(c, 0), &copies[0]), *x = dense(ad_in(c, 1), &copies[1]),
                    *w = ad_in(c, 2);
    const ad_tensor *cw = dense(w, &copies[2]);
    const norm_numbers *n = c->numbers;
    task t = {.stats = ad_in(c, 3)->data};
    int status = !g || !x || !cw != !w ? AD_NO_MEMORY : check(&t, ad_in(c, 1), n->ndim, n->groups, w, NULL);
    if (!status) {
        t.g = g->data;
        t.x = x->data;
        t.w = cw ? cw->data : NULL;
        t.y = out[0] ? out[0]->data : NULL;
        t.dw = out[1] ? out[1]->data : NULL;
        t.db = out[2] ? out[2]->data : NULL;
        if (t.groups)
            ad_parallel_for(t.m, x->numel, vjp_group, &t);
        else
            ad_parallel_for((t.m - 1) / ROWS + 1, x->numel, vjp_block, &t);
    }
    for (int i = 0; i < 3; i++) ad_free(copies[i]);
    return status;
}

static int vjp(const ad_tensor *g, const ad_tensor *x, const norm_numbers *n, const ad_tensor *w,
               const ad_tensor *stats, int wanted, ad_tensor **out) {
    task t;
    int status = AD_OK;
    const int ndim = n->ndim;
    out[0] = out[1] = out[2] = NULL;
    if (check(&t, x, ndim, n->groups, w, NULL)) return ad_error(NULL);
    if (g->dtype != x->dtype || stats->dtype != x->dtype) return ad_fail(AD_BAD_DTYPE, g->dtype, 0, 0);
    if (g->numel != x->numel) return ad_fail(AD_BAD_SHAPE, g->numel, x->numel, 0);
    if (stats->numel != 3 * t.m || !stats->contiguous) return ad_fail(AD_BAD_ARG, 0, 0, 0);
    int64_t parts[2] = {x->numel ? (t.m - 1) / ROWS + 1 : 0, t.n};
    if (n->groups) memcpy(parts, x->shape, sizeof parts); /* the batch, channels */
    for (int i = 0; i < 3 && !status; i++)
        if (wanted >> i & 1) {
            out[i] = i ? ad_make(x->dtype, 2, parts) : ad_make(x->dtype, x->ndim, x->shape);
            if (!out[i]) status = AD_NO_MEMORY;
        }
    const ad_tensor *const operands[] = {out[0], out[1], out[2], g, x, w, stats};
    const ad_call c = {run_vjp, "layer_norm_vjp", 3, 4, .x = operands, .numbers = n, .n_bytes = sizeof *n};
    if (!status && x->numel) status = ad_do(&c);
    for (int i = 1; i < 3 && !status; i++)
        if (out[i] && !(out[i] = add_parts(out[i], x, ndim))) status = AD_NO_MEMORY;
    for (int i = 0; i < 3 && status; i++) {
        ad_free(out[i]);
        out[i] = NULL;
    }
    return status;
}

int ad_layer_norm_vjp(const ad_tensor *g, const ad_tensor *x, int ndim, const ad_tensor *w,
                      const ad_tensor *stats, int wanted, ad_tensor **out) {
    out[0] = out[1] = out[2] = NULL;
    AD_ALL_IN_FLOAT32(x, 3, out, ad_layer_norm_vjp(in32[0], in32[1], ndim, in32[2], stats, wanted, out), g, x,
                      w)
    return vjp(g, x, &(norm_numbers){.ndim = ndim}, w, stats, wanted, out);
}

int ad_group_norm_vjp(const ad_tensor *g, const ad_tensor *x, int64_t groups, const ad_tensor *w,
                      const ad_tensor *stats, int wanted, ad_tensor **out) {
    if (groups < 1 || !w) return ad_fail(AD_BAD_ARG, groups, 0, 0);
    return vjp(g, x, &(norm_numbers){.ndim = 1, .groups = groups}, w, stats, wanted, out);
}
