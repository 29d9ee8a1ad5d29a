/* across.c: loops where an input lies across, its memory running along another dimension than the innermost
 * one. They are run in tiles, for each of which such inputs are transposed first. */
#include "loop.h"

enum {
    COLS = 1024,     /* of a tile: elements along the innermost dimension */
    SHORT = 8,       /* dimensions shorter than this are not worth a transpose, */
    SMALL = 2 * 256, /* nor are loops of fewer elements */
};

typedef struct {
    const ad_loop *loop;
    int dim; /* along which the memory of some inputs runs */
    bool direct, stream;
    int64_t buffer_bytes;
    int64_t n_cols, n_rows; /* tiles along the innermost dimension and along dim */
    int status;
} task;

static bool lies_across(const ad_operand *o, int dim) {
    return !o->uniform && o->strides[0] > 1 && o->strides[dim] == 1;
}

static int64_t bytes_across(const ad_loop *l, int dim) {
    int64_t bytes = 0;
    for (int i = 0; i < l->program->n_in; i++)
        if (lies_across(&l->in[i], dim)) bytes += AD_TILE * COLS * l->in[i].size;
    return bytes;
}

/* The operand from the tile's first element on, stepping along its two dimensions. */
static void cut(const task *t, const int64_t *at, const ad_operand *o, ad_operand *piece) {
    int64_t offset = 0;
    *piece = *o;
    for (int d = 0; d < t->loop->ndim; d++) offset += at[d] * o->strides[d];
    piece->data += offset * o->size;
    piece->strides[1] = o->strides[t->dim];
}

static int run_tile(const task *t, const int64_t *at, char *buffer) {
    const ad_loop *l = t->loop;
    const ad_program *p = l->program;
    ad_loop tile;
    tile.program = p;
    tile.ndim = 2;
    tile.shape[0] = ad_least(l->shape[0] - at[0], COLS);
    tile.shape[1] = ad_least(l->shape[t->dim] - at[t->dim], AD_TILE);
    tile.numel = tile.shape[0] * tile.shape[1];
    for (int k = 0; k < p->n_out; k++) cut(t, at, &l->out[k], &tile.out[k]);
    for (int i = 0; i < p->n_in; i++) {
        ad_operand *o = &tile.in[i];
        cut(t, at, &l->in[i], o);
        if (!lies_across(&l->in[i], t->dim)) continue;
        const ad_crossing x = {tile.shape[1], tile.shape[0], tile.shape[0], o->strides[0]};
        ad_copy_across(&x, o->size, buffer, o->data, false);
        o->data = buffer;
        o->strides[0] = 1;
        o->strides[1] = tile.shape[0];
        buffer += AD_TILE * COLS * o->size;
    }
    ad_settle(&tile);
    return ad_run_loop(&tile, t->direct, t->stream);
}

static void run_one(void *context, int64_t i) {
    task *t = context;
    const ad_loop *l = t->loop;
    int64_t at[AD_MAX_DIMS];
    at[0] = i % t->n_cols * COLS;
    i /= t->n_cols;
    at[t->dim] = i % t->n_rows * AD_TILE;
    i /= t->n_rows;
    for (int d = 1; d < l->ndim; d++) {
        if (d == t->dim) continue;
        at[d] = i % l->shape[d];
        i /= l->shape[d];
    }
    char *buffer = ad_alloc((size_t)t->buffer_bytes);
    const int status = buffer ? run_tile(t, at, buffer) : AD_NO_MEMORY;
    if (buffer) ad_dealloc(buffer);
    if (status) __atomic_store_n(&t->status, status, __ATOMIC_RELAXED);
}

static int dimension(const ad_loop *l) {
    if (l->ndim < 2 || l->shape[0] < SHORT || l->numel < SMALL) return 0;
    for (int i = 0; i < l->program->n_in; i++)
        for (int d = 1; d < l->ndim; d++)
            if (l->shape[d] >= SHORT && lies_across(&l->in[i], d)) return d;
    return 0;
}

bool ad_run_across(const ad_loop *l, bool direct, bool stream, int *status) {
    task t = {.loop = l, .dim = dimension(l), .direct = direct, .stream = stream};
    if (!t.dim) return false;
    t.buffer_bytes = bytes_across(l, t.dim);
    t.n_cols = (l->shape[0] + COLS - 1) / COLS;
    t.n_rows = (l->shape[t.dim] + AD_TILE - 1) / AD_TILE;
    const int64_t outer = l->numel / l->shape[0] / l->shape[t.dim];
    ad_parallel_for(t.n_cols * t.n_rows * outer, l->numel / 8 * (l->program->cost + 4), run_one, &t);
    *status = t.status ? ad_fail(t.status, t.buffer_bytes, 0, 0) : AD_OK;
    return true;
}
