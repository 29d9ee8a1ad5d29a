/* recurrent.c: the steps of a recurrent layer over sequences of one length, forward and back, as one call.
 *
 * Sequences do not depend on each other: some of them at a time go through all the steps, by a product with
 * weights that are packed once and a pointwise program. What only steps see lies part after part (a part: a
 * matrix of a row for each sequence), so that the program reads it in place. */
#include <stdatomic.h>
#include "gemm.h"
#include "loop.h"
#include "tape.h"

enum {
    PARTS = 4,      /* gates at most; of what is kept, exactly */
    TASK_ROWS = 16, /* sequences that go through the steps together, at most */
};

typedef struct {
    const ad_program *program;
    int gates, reverse, summed; /* summed: gates of which the program takes the sum of both parts */
    bool carries; /* the program takes the state before (c, or else h), and makes what may be kept */
    int64_t steps;
} numbers;

/* A call at work. */
typedef struct {
    const ad_call *call;
    const numbers *how;
    ad_product product; /* what all products share */
    int64_t n, hidden;  /* sequences, and the width of their state */
    int64_t per_task;
    char *packed; /* weights, and a bias of zeros */
    atomic_int status;
} work;

/* A program and its operands, laid out at the first step: at others, operands are elsewhere, and no more. */
typedef struct {
    ad_loop loop;
    bool laid;
    ad_tensor of[AD_MAX_INPUTS + AD_MAX_OUTPUTS];
    const ad_tensor *in[AD_MAX_INPUTS];
    ad_tensor *out[AD_MAX_OUTPUTS];
    int n, n_in, n_out;
    int64_t rows, cols;
    int dtype;
} operands;

static ad_tensor *place(operands *o, char *data, int64_t row) {
    ad_tensor *x = &o->of[o->n++];
    *x = (ad_tensor){.data = data, .ndim = 2, .dtype = (uint8_t)o->dtype};
    x->shape[0] = o->rows, x->shape[1] = o->cols;
    x->strides[0] = row, x->strides[1] = 1;
    ad_refresh(x);
    return x;
}

static void give(operands *o, char *data, int64_t row) {
    if (o->laid)
        o->loop.in[o->n_in].data = data;
    else
        o->in[o->n_in] = place(o, data, row);
    o->n_in++;
}

static void take(operands *o, char *data) {
    if (o->laid)
        o->loop.out[o->n_out].data = data;
    else
        o->out[o->n_out] = place(o, data, o->cols);
    o->n_out++;
}

static int compute(operands *o, const ad_program *p) {
    const int status = o->laid ? AD_OK : ad_lay_out(&o->loop, p, o->in, o->out);
    o->laid = true;
    o->n_in = o->n_out = 0;
    return status ? status : ad_run_loop(&o->loop, true, false);
}

/* Row `row` of a tensor of rows, one after the other. */
static char *row_of(const ad_tensor *x, int64_t row) {
    return x->data + row * x->shape[1] * ad_itemsize[x->dtype];
}

/* Of a part of what is kept, which has parts of all sequences one after the other at each step. */
static char *kept_at(const work *w, const ad_tensor *x, int64_t step, int part, int64_t first) {
    return x->data + ((step * PARTS + part) * w->n + first) * w->hidden * w->product.size;
}

static void multiply(const work *w, int part, const char *a, const char *bias, const char *more, char *c,
                     bool accumulate) {
    ad_product g = w->product;
    g.a = (ad_matrix){a, w->hidden, 1};
    const int64_t square = w->hidden * w->hidden * g.size;
    g.bias = bias ? bias + part * w->hidden * g.size : more ? w->packed + w->how->gates * square : NULL;
    g.more = more;
    g.c = c;
    g.accumulate = accumulate;
    ad_panels_run(&g, w->packed + part * square);
}

/* Rows of `width` bytes that are read soon: so that they come while products are made. */
static void fetch(const char *x, int64_t rows, int64_t row, int64_t width) {
    for (int64_t i = 0; i < rows; i++, x += row)
        for (int64_t j = 0; j < width; j += AD_LINE) __builtin_prefetch(x + j, 0, 2);
}

/* ---- forward: x, w, h0, c0, bias; h, c, kept, states, last c ---- */

/* Rows of a state's of all steps, which the first state lies before, or behind. */
static char *state_at(const work *w, const ad_tensor *x, int64_t row) {
    return row_of(x, row + (w->how->reverse ? 0 : w->n));
}
static char *first_state(const work *w, const ad_tensor *x, int64_t row) {
    return row_of(x, row + (w->how->reverse ? w->how->steps * w->n : 0));
}

/* What the products of a step make, which the program takes with what the inputs add. */
static void multiply_all(const work *w, operands *o, int64_t row, const char *h, char *room) {
    const ad_tensor *x = ad_in(w->call, 0), *bias = ad_in(w->call, 4);
    const int64_t width = w->hidden * w->product.size, part = o->rows * width;
    const int gates = w->how->gates;
    for (int k = 0; k < gates; k++) {
        const char *ahead = row_of(x, row) + k * width;
        fetch(ahead, o->rows, gates * width, width);
        multiply(w, k, h, bias ? bias->data : NULL, k < w->how->summed ? ahead : NULL, room + k * part,
                 false);
        give(o, room + k * part, w->hidden);
    }
    for (int k = w->how->summed; k < gates; k++) give(o, row_of(x, row) + k * width, gates * w->hidden);
}

static int forward(work *w, int64_t first, int64_t rows, char *room) {
    const ad_tensor *h0 = ad_in(w->call, 2), *c0 = ad_in(w->call, 3);
    const ad_tensor *out = ad_out(w->call, 0), *cells = ad_out(w->call, 1), *kept = ad_out(w->call, 2),
                    *states = ad_out(w->call, 3), *last = ad_out(w->call, 4);
    const int64_t part = rows * w->hidden * w->product.size;
    char *h = row_of(h0, first), *c = c0 ? row_of(c0, first) : NULL;
    int status = AD_OK;
    operands o = {.rows = rows, .cols = w->hidden, .dtype = h0->dtype};
    w->product.m = rows;
    if (states) memcpy(first_state(w, states, first), h, (size_t)part);
    if (c0) memcpy(first_state(w, cells, first), c, (size_t)part);
    for (int64_t i = 0; i < w->how->steps && !status; i++) {
        const int64_t step = w->how->reverse ? w->how->steps - 1 - i : i, row = step * w->n + first;
        multiply_all(w, &o, row, h, room);
        if (w->how->carries) give(&o, c0 ? c : h, w->hidden);
        take(&o, h = row_of(out, row));
        if (c0) take(&o, c = state_at(w, cells, row));
        for (int k = 0; w->how->carries && k < PARTS; k++)
            take(&o, kept ? kept_at(w, kept, step, k, first) : room + (w->how->gates + k) * part);
        status = compute(&o, w->how->program);
        if (states) memcpy(state_at(w, states, row), h, (size_t)part);
    }
    if (c0) memcpy(row_of(last, first), c, (size_t)part);
    return status;
}

/* ---- back: g, w, kept, before, after, end; gates, hidden, first h, first c ---- */

static void put(const work *w, const ad_tensor *x, int64_t row, int64_t rows, const char *parts) {
    const size_t width = (size_t)(w->hidden * w->product.size);
    for (int k = 0; k < w->how->gates; k++)
        for (int64_t i = 0; i < rows; i++, parts += width)
            memcpy(row_of(x, row + i) + k * width, parts, width);
}

static int back(work *w, int64_t first, int64_t rows, char *room) {
    const ad_tensor *g = ad_in(w->call, 0), *kept = ad_in(w->call, 2), *before = ad_in(w->call, 3),
                    *after = ad_in(w->call, 4), *end = ad_in(w->call, 5);
    const ad_tensor *dgates = ad_out(w->call, 0), *dhidden = ad_out(w->call, 1), *dh = ad_out(w->call, 2),
                    *dc = ad_out(w->call, 3);
    const int64_t hidden = w->hidden, part = rows * hidden * w->product.size;
    const int gates = w->how->gates;
    /* what goes on to the step before: by the product, and by itself (of LSTM, the cell's; of GRU, h's) */
    char *next = room, *carried = room + part, *other = carried + part, *made = other + part;
    char *sent = dhidden ? made + gates * part : made;
    int status = AD_OK;
    memset(room, 0, (size_t)(2 * part));
    if (end) memcpy(carried, row_of(end, first), (size_t)part);
    operands o = {.rows = rows, .cols = hidden, .dtype = g->dtype};
    w->product.m = rows;
    for (int64_t i = 0; i < w->how->steps && !status; i++) {
        const int64_t step = w->how->reverse ? i : w->how->steps - 1 - i, row = step * w->n + first;
        for (int k = 0; kept && k < PARTS; k++) give(&o, kept_at(w, kept, step, k, first), hidden);
        if (kept) give(&o, row_of(before, row), hidden);
        if (after) give(&o, row_of(after, row), hidden);
        give(&o, row_of(g, row), hidden);
        give(&o, next, hidden);
        if (kept) give(&o, carried, hidden);
        for (int k = 0; k < gates; k++) take(&o, made + k * part);
        for (int k = 0; dhidden && k < gates; k++) take(&o, sent + k * part);
        if (kept) take(&o, other);
        status = compute(&o, w->how->program);
        if (status) return status;
        put(w, dgates, row, rows, made);
        if (dhidden) put(w, dhidden, row, rows, sent);
        for (int k = 0; k < gates; k++) multiply(w, k, sent + k * part, NULL, NULL, next, k > 0);
        char *const swapped = carried;
        carried = other, other = swapped;
    }
    if (dc)
        memcpy(row_of(dc, first), carried, (size_t)part);
    else if (kept)
        ad_cpu->pw->instr[AD_OP_add][ad_dtype_type[g->dtype]](rows * hidden, next, next, carried, NULL);
    memcpy(row_of(dh, first), next, (size_t)part);
    return status;
}

/* ---- both ---- */

static int64_t task_bytes(const work *w, int64_t rows) {
    const int parts = 3 + 2 * PARTS;
    return parts * rows * w->hidden * w->product.size;
}

static bool is_forward(const ad_call *c) { return c->n_in == 5; }

static void run_task(void *context, int64_t task) {
    work w = *(work *)context;
    const int64_t first = task * w.per_task, rows = ad_least(w.per_task, w.n - first);
    char *room = ad_alloc((size_t)task_bytes(&w, rows));
    const int status = !room                ? AD_NO_MEMORY
                       : is_forward(w.call) ? forward(&w, first, rows, room)
                                            : back(&w, first, rows, room);
    ad_dealloc(room);
    if (status) atomic_store(&((work *)context)->status, status);
}

static int run(const ad_call *c) {
    const bool ahead = is_forward(c);
    const ad_tensor *some = ad_out(c, 0), *weight = ad_in(c, 1);
    const numbers *how = c->numbers;
    work w = {.call = c, .how = how};
    w.n = some->shape[0] / how->steps;
    w.hidden = weight->shape[1];
    const int64_t size = ad_itemsize[some->dtype], hidden = w.hidden, *strides = weight->strides;
    /* forward, a part of the result is made by the rows of the weights that are a gate's; back, all parts add
     * up to one */
    w.product = (ad_product){.kernels = ad_cpu->gemm->type[ad_dtype_type[some->dtype]],
                             .size = size,
                             .n = hidden,
                             .k = hidden,
                             .c_row = hidden,
                             .more_row = how->gates * hidden,
                             .b = {weight->data, strides[ahead], strides[!ahead]}};
    if (!w.n || !hidden) return AD_OK;
    const int64_t bytes = how->gates * hidden * hidden * size;
    if (!(w.packed = ad_alloc((size_t)(bytes + hidden * size)))) return AD_NO_MEMORY;
    memset(w.packed + bytes, 0, (size_t)(hidden * size));
    for (int k = 0; k < how->gates; k++) {
        ad_product g = w.product;
        g.b.data += k * hidden * strides[0] * size;
        ad_panels_pack(&g, w.packed + k * hidden * hidden * size);
    }
    const int64_t tasks = (w.n + TASK_ROWS - 1) / TASK_ROWS;
    w.per_task = (w.n + tasks - 1) / tasks;
    ad_product all = w.product;
    all.m = w.n * how->steps * how->gates;
    atomic_init(&w.status, AD_OK);
    ad_parallel_for((w.n + w.per_task - 1) / w.per_task, ad_product_cost(&all), run_task, &w);
    ad_dealloc(w.packed);
    const int status = atomic_load(&w.status);
    return status ? ad_fail(status, task_bytes(&w, w.per_task), 0, 0) : AD_OK;
}

/* ---- the entry points ---- */

static int matrices(int n, const ad_tensor *const *x, int dtype) {
    if (dtype != AD_float32 && dtype != AD_float64) return ad_fail(AD_BAD_DTYPE, dtype, 0, 0);
    for (int i = 0; i < n; i++) {
        if (!x[i]) continue;
        if (x[i]->dtype != dtype) return ad_fail(AD_BAD_DTYPE, x[i]->dtype, 0, 0);
        if (x[i]->ndim != 2) return ad_fail(AD_BAD_DIM, 2, x[i]->ndim, 0);
        if (i && !x[i]->contiguous) return ad_fail(AD_BAD_ARG, i, 0, 0);
    }
    return AD_OK;
}

static int sizes(const ad_tensor *x, int64_t rows, int64_t columns) {
    if (!x || (x->shape[0] == rows && x->shape[1] == columns)) return AD_OK;
    return ad_fail(AD_BAD_SHAPE, x->shape[0], rows, 0);
}

/* The program, if it takes and makes so many operands like x. */
static const ad_program *program_of(ad_op *op, const ad_tensor *x, int n_in, int n_out) {
    const ad_tensor *in[AD_MAX_INPUTS];
    if (n_in > AD_MAX_INPUTS || n_in != op->n_in || n_out != op->n_out)
        return ad_fail_null(AD_BAD_ARG, n_in, n_out, 0);
    for (int i = 0; i < n_in; i++) in[i] = x;
    return ad_op_program(op, n_in, in);
}

int ad_recur(ad_op *op, int gates, int64_t steps, int reverse, const ad_tensor *const *in,
             ad_tensor *const *out) {
    const ad_tensor *x = in[0], *w = in[1], *h0 = in[2], *c0 = in[3], *bias = in[4];
    const ad_tensor *const all[] = {w, x, h0, c0, out[0], out[1], out[2], out[3], out[4]};
    const bool carries = op->n_out > 1 + (c0 != NULL);
    if (matrices(9, all, x->dtype)) return ad_error(NULL);
    if (gates < 1 || gates > PARTS || steps < 1 || !c0 != !out[1] || !c0 != !out[4] ||
        ((c0 || out[2]) && !carries))
        return ad_fail(AD_BAD_ARG, gates, steps, 0);
    const int64_t n = h0->shape[0], hidden = h0->shape[1], rows = steps * n;
    if (sizes(x, rows, gates * hidden) || sizes(w, gates * hidden, hidden) || sizes(c0, n, hidden) ||
        sizes(out[0], rows, hidden) || sizes(out[1], rows + n, hidden) ||
        sizes(out[2], rows, PARTS * hidden) || sizes(out[3], rows + n, hidden) || sizes(out[4], n, hidden))
        return ad_error(NULL);
    if (bias &&
        (bias->dtype != x->dtype || bias->ndim != 1 || !bias->contiguous || bias->shape[0] != gates * hidden))
        return ad_fail(AD_BAD_SHAPE, bias->shape[0], gates * hidden, 0);
    const int summed = 2 * gates + carries - op->n_in;
    if (summed < 0 || summed > gates) return ad_fail(AD_BAD_ARG, op->n_in, gates, 0);
    const ad_program *p = program_of(op, x, op->n_in, 1 + (c0 != NULL) + (carries ? PARTS : 0));
    if (!p) return ad_error(NULL);
    const numbers how = {p, gates, reverse, summed, carries, steps};
    const ad_tensor *const operand[] = {out[0], out[1], out[2], out[3], out[4], x, w, h0, c0, bias};
    return ad_do(&(ad_call){run, "recur", 5, 5, .x = operand, .numbers = &how, .n_bytes = sizeof how});
}

int ad_recur_vjp(ad_op *op, int gates, int64_t steps, int reverse, const ad_tensor *const *in,
                 ad_tensor *const *out) {
    const ad_tensor *g = in[0], *w = in[1], *kept = in[2], *before = in[3], *after = in[4], *end = in[5];
    const ad_tensor *const all[] = {w, g, kept, before, after, end, out[0], out[1], out[2], out[3]};
    if (matrices(10, all, g->dtype)) return ad_error(NULL);
    if (gates < 1 || gates > PARTS || steps < 1 || !kept != !before || !end != !out[3] || (end && !kept))
        return ad_fail(AD_BAD_ARG, gates, steps, 0);
    const int64_t hidden = g->shape[1], n = g->shape[0] / steps, rows = steps * n;
    if (sizes(g, rows, hidden) || sizes(w, gates * hidden, hidden) || sizes(kept, rows, PARTS * hidden) ||
        sizes(before, rows, hidden) || sizes(after, rows, hidden) || sizes(end, n, hidden) ||
        sizes(out[0], rows, gates * hidden) || sizes(out[1], rows, gates * hidden) ||
        sizes(out[2], n, hidden) || sizes(out[3], n, hidden))
        return ad_error(NULL);
    const ad_program *p = program_of(op, g, (kept ? PARTS + 2 : 0) + (after != NULL) + 2,
                                     (out[1] ? 2 : 1) * gates + (kept != NULL));
    if (!p) return ad_error(NULL);
    const numbers how = {p, gates, reverse, 0, kept != NULL, steps};
    const ad_tensor *const operand[] = {out[0], out[1], out[2], out[3], g, w, kept, before, after, end};
    return ad_do(&(ad_call){run, "recur_vjp", 4, 6, .x = operand, .numbers = &how, .n_bytes = sizeof how});
}
