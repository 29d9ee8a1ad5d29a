/* grid_sample.c: images read at any places, and its adjoints: what goes to the pixels, and to the places. */
#include "grid.h"
#include "tape.h"

/* The channels that a task writes to where there are few images. */
enum { CHANNELS = 16, IMAGES = 8 };

typedef struct {
    int nd, mode, padding, corners;
} numbers;

static void run_part(void *context, int64_t i) {
    const ad_grid_task *t = context;
    const int64_t image = i / t->parts, first = i % t->parts * t->step;
    const bool by_channel = !t->y && !t->dgrid;
    const int64_t end = ad_least(first + t->step, by_channel ? t->channels : t->places);
    ad_cpu->grid->run[t->dtype == AD_float64](t, image, by_channel ? 0 : first, by_channel ? t->places : end,
                                              by_channel ? first : 0, by_channel ? end : t->channels);
}

static void run_all(ad_grid_task *t, int64_t n, int64_t step) {
    t->step = step;
    t->parts = n ? (n - 1) / step + 1 : 0;
    const double cost = (double)t->images * (double)t->places * t->taps * (8 + (double)t->channels);
    ad_parallel_for(t->images * t->parts, cost < 1e15 ? (int64_t)cost : (int64_t)1e15, run_part, t);
}

static void describe(ad_grid_task *t, const ad_tensor *x, const ad_tensor *grid, const numbers *n) {
    *t = (ad_grid_task){.x = x->data,
                        .grid = grid->data,
                        .dtype = x->dtype,
                        .nd = n->nd,
                        .mode = n->mode,
                        .padding = n->padding,
                        .corners = n->corners,
                        .images = x->shape[0],
                        .channels = x->shape[1],
                        .pixels = 1,
                        .places = 1,
                        .taps = 1};
    t->line = n->mode == AD_GRID_NEAREST ? 1 : n->mode == AD_GRID_BILINEAR ? 2 : AD_GRID_LINE;
    for (int d = 0; d < t->nd; d++) {
        t->size[d] = x->shape[2 + d];
        t->pixels *= t->size[d];
        t->places *= grid->shape[1 + d];
        t->taps *= t->line;
    }
    for (int k = 0; k < t->taps; k++)
        for (int d = t->nd - 1, rest = k; d >= 0; d--, rest /= t->line) t->tap[k][d] = rest % t->line;
}

static int run_sample(const ad_call *c) {
    ad_grid_task t;
    describe(&t, ad_in(c, 0), ad_in(c, 1), c->numbers);
    t.y = ad_out(c, 0)->data;
    run_all(&t, t.places, t.images < IMAGES ? 4 * AD_GRID_BLOCK : t.places);
    return AD_OK;
}

static int run_sample_vjp(const ad_call *c) {
    ad_grid_task t;
    describe(&t, ad_in(c, 1), ad_in(c, 2), c->numbers);
    void *dx = ad_out(c, 0) ? ad_out(c, 0)->data : NULL, *dgrid = ad_out(c, 1) ? ad_out(c, 1)->data : NULL;
    t.g = ad_in(c, 0)->data;
    if (dx) memset(dx, 0, (size_t)(ad_out(c, 0)->numel * ad_itemsize[t.dtype]));
    if (dgrid && !t.channels) memset(dgrid, 0, (size_t)(ad_out(c, 1)->numel * ad_itemsize[t.dtype]));
    if (!t.channels || !t.places) return AD_OK;
    const bool whole = t.images >= IMAGES || t.channels * t.places < 4 * AD_GRID_BLOCK;
    if (dgrid) {
        t.dgrid = dgrid;
        t.dx = whole ? dx : NULL;
        run_all(&t, t.places, whole ? t.places : 4 * AD_GRID_BLOCK);
    }
    t.dgrid = NULL;
    t.dx = dx;
    if (dx && !(dgrid && whole)) run_all(&t, t.channels, whole ? t.channels : CHANNELS);
    return AD_OK;
}

static int check(const ad_tensor *g, const ad_tensor *x, const ad_tensor *grid, const numbers *n) {
    if (!ad_is_float(x->dtype) || grid->dtype != x->dtype || (g && g->dtype != x->dtype))
        return ad_fail(AD_BAD_DTYPE, x->dtype, 0, 0);
    if (n->nd < 2 || n->nd > AD_GRID_DIMS || grid->ndim != x->ndim)
        return ad_fail(AD_BAD_DIM, grid->ndim, x->ndim, 0);
    if (n->mode < 0 || n->mode > AD_GRID_BICUBIC || (n->mode == AD_GRID_BICUBIC && n->nd != 2))
        return ad_fail(AD_BAD_ARG, n->mode, 0, 0);
    if (n->padding < 0 || n->padding > AD_GRID_REFLECTION) return ad_fail(AD_BAD_ARG, n->padding, 0, 0);
    if (grid->shape[0] != x->shape[0] || grid->shape[1 + n->nd] != n->nd)
        return ad_fail(AD_BAD_SHAPE, grid->shape[0], x->shape[0], 0);
    double pixels = 1;
    for (int d = 0; d < n->nd; d++) pixels *= (double)x->shape[2 + d];
    if (!pixels) return ad_fail(AD_BAD_SHAPE, x->shape[2], x->shape[3], 0);
    if (pixels > INT32_MAX) return ad_fail(AD_TOO_LARGE, 0, 0, 0);
    if (!g) return AD_OK;
    bool fits = g->ndim == x->ndim && g->shape[0] == x->shape[0] && g->shape[1] == x->shape[1];
    for (int d = 0; fits && d < n->nd; d++) fits = g->shape[2 + d] == grid->shape[1 + d];
    return fits ? AD_OK : ad_fail(AD_BAD_SHAPE, g->numel, grid->numel, 0);
}

/* Operands made contiguous, and what to free of them; false where there is no memory. */
static bool line_up(int n, const ad_tensor **xs, ad_tensor **copies) {
    bool fine = true;
    for (int i = 0; i < n; i++) {
        copies[i] = fine && !xs[i]->contiguous ? ad_contiguous(xs[i], xs[i]->dtype) : NULL;
        fine = fine && (xs[i]->contiguous || copies[i]);
        if (copies[i]) xs[i] = copies[i];
    }
    return fine;
}

ad_tensor *ad_grid_sample(const ad_tensor *x, const ad_tensor *grid, int mode, int padding, int corners) {
    AD_IN_FLOAT32(x, NULL, ad_grid_sample(in32[0], in32[1], mode, padding, corners), x, grid)
    const numbers n = {x->ndim - 2, mode, padding, corners};
    if (check(NULL, x, grid, &n)) return NULL;
    int64_t shape[AD_MAX_DIMS] = {x->shape[0], x->shape[1]};
    memcpy(shape + 2, grid->shape + 1, sizeof *shape * (size_t)n.nd);
    ad_tensor *copies[2], *y = ad_make(x->dtype, x->ndim, shape);
    if (!y || !y->numel) return y;
    const ad_tensor *operands[] = {y, x, grid};
    if (line_up(2, operands + 1, copies)) {
        const ad_call c = {run_sample,    "grid_sample",      1, 2, .x = operands,
                           .numbers = &n, .n_bytes = sizeof n};
        y = ad_done(&c, y);
    } else {
        ad_free(y);
        y = NULL;
    }
    for (int i = 0; i < 2; i++) ad_free(copies[i]);
    return y;
}

int ad_grid_sample_vjp(const ad_tensor *g, const ad_tensor *x, const ad_tensor *grid, int mode, int padding,
                       int corners, int wanted, ad_tensor **out) {
    out[0] = out[1] = NULL;
    AD_ALL_IN_FLOAT32(x, 2, out,
                      ad_grid_sample_vjp(in32[0], in32[1], in32[2], mode, padding, corners, wanted, out), g,
                      x, grid)
    const numbers n = {x->ndim - 2, mode, padding, corners};
    if (check(g, x, grid, &n)) return ad_error(NULL);
    const ad_tensor *operands[] = {NULL, NULL, g, x, grid};
    ad_tensor *copies[3];
    int status = line_up(3, operands + 2, copies) ? AD_OK : AD_NO_MEMORY;
    for (int i = 0; i < 2 && !status; i++) {
        const ad_tensor *like = operands[3 + i];
        if (!(wanted >> i & 1)) continue;
        operands[i] = out[i] = ad_make(like->dtype, like->ndim, like->shape);
        if (!out[i]) status = AD_NO_MEMORY;
    }
    const ad_call c = {run_sample_vjp, "grid_sample_vjp",  2, 3, .x = operands,
                       .numbers = &n,  .n_bytes = sizeof n};
    if (!status) status = ad_do(&c);
    for (int i = 0; i < 3; i++) ad_free(copies[i]);
    for (int i = 0; i < 2 && status; i++) {
        ad_free(out[i]);
        out[i] = NULL;
    }
    return status;
}
