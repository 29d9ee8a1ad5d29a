/* optim.c: optimiser steps. One call updates every parameter of a group, so a small model pays one crossing
 * from Python a step. The optimisers are the rows of optimizers.def; each has a function in optimizers.c that
 * turns its options into the numbers of one update, and a formula in kernels/optim_type.h. */
#include "optimizers.h"
#include "tape.h"

enum {
    CHUNK = 16384,  /* elements of a task */
    MAX_STATES = 3, /* tensors like the parameter */
    MAX_LIKE = 2 + MAX_STATES,
    MAX_SCALARS = 3,
    MAX_HYPERS = 8,
    MAX_COLUMNS = MAX_LIKE + MAX_SCALARS,
};

static bool known(int kind) { return kind >= 0 && kind < AD_N_OPTIMIZERS; }
const char *ad_optim_name(int kind) { return known(kind) ? ad_optimizers[kind].name : NULL; }
int ad_optim_columns(int kind) {
    return known(kind) ? 2 + ad_optimizers[kind].states + ad_optimizers[kind].scalars : 0;
}
int ad_optim_hypers(int kind) { return known(kind) ? ad_optimizers[kind].hypers : 0; }

/* ---- checks: all of them, before anything is written ---- */

/* x must look like param, element for element. */
static int check_like(const ad_tensor *x, const ad_tensor *param) {
    if (!x) return ad_fail(AD_BAD_ARG, 0, 0, 0);
    if (x->dtype != param->dtype) return ad_fail(AD_BAD_DTYPE, x->dtype, 0, 0);
    return ad_same_shape(x, param) ? AD_OK : ad_fail(AD_BAD_SHAPE, x->numel, param->numel, 0);
}

static int check_scalar(const ad_tensor *x) {
    if (!x) return ad_fail(AD_BAD_ARG, 0, 0, 0);
    if (!ad_is_float(x->dtype)) return ad_fail(AD_BAD_DTYPE, x->dtype, 0, 0);
    return x->numel == 1 ? AD_OK : ad_fail(AD_BAD_SHAPE, x->numel, 1, 0);
}

/* What is written overlaps nothing else in its row; a gradient may be the parameter itself. */
static int check_apart(int n, ad_tensor *const *row) {
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < i; j++) {
            if (!row[i] || !row[j] || !ad_may_overlap(row[i], row[j])) continue;
            if (i != 1 || !ad_same_elements(row[0], row[1])) return ad_fail(AD_OVERLAP, 0, 0, 0);
        }
        const int status = i == 1 || !row[i] ? AD_OK : ad_check_writable(row[i]);
        if (status) return status;
    }
    return AD_OK;
}

static int check_row(int kind, ad_tensor *const *row) {
    const int states = ad_optimizers[kind].states, columns = ad_optim_columns(kind);
    if (!row[0]) return ad_fail(AD_BAD_ARG, 0, 0, 0);
    int status = ad_is_floating(row[0]->dtype) ? AD_OK : ad_fail(AD_BAD_DTYPE, row[0]->dtype, 0, 0);
    for (int i = 1; i < 2 + states && !status; i++) {
        const bool made_here = kind == AD_OPT_sgd_momentum && i == 2 && !row[i];
        if (!made_here) status = check_like(row[i], row[0]);
    }
    for (int i = 2 + states; i < columns && !status; i++) status = check_scalar(row[i]);
    return status ? status : check_apart(columns, row);
}

/* ---- one parameter ---- */

typedef struct {
    void (*kernel)(int64_t n, void *const *data, const ad_update *u);
    int64_t numel, size;
    void *data[MAX_LIKE]; /* of the parameter, its gradient, its states */
} elements;

typedef struct {
    const elements *of;
    ad_update numbers;
    double scalars[MAX_SCALARS]; /* what the numbers were made from, */
    double left[MAX_SCALARS];    /* and what that made of it */
    bool prepared;
    int n_like; /* the parameter, its gradient, its states */
} task;

static void run_chunk(void *context, int64_t chunk) {
    const task *t = context;
    const elements *of = t->of;
    const int64_t first = chunk * CHUNK;
    void *data[MAX_LIKE] = {0};
    for (int i = 0; i < t->n_like; i++) data[i] = (char *)of->data[i] + first * of->size;
    of->kernel(ad_least(of->numel - first, CHUNK), data, &t->numbers);
}

static bool same_strides(const ad_tensor *a, const ad_tensor *b) {
    return !memcmp(a->strides, b->strides, sizeof(int64_t) * a->ndim);
}

/* New memory laid out as param is, or row-major where param has gaps. */
static ad_tensor *make_like(const ad_tensor *param, int dtype) {
    ad_tensor *x = ad_make(dtype, param->ndim, param->shape);
    if (!x || param->contiguous || !ad_is_dense(param)) return x;
    memcpy(x->strides, param->strides, sizeof(int64_t) * param->ndim);
    ad_refresh(x);
    return x;
}

static void run(task *t) {
    const int64_t n = t->of->numel;
    if (n <= CHUNK)
        t->of->kernel(n, t->of->data, &t->numbers);
    else
        ad_parallel_for((n + CHUNK - 1) / CHUNK, n / 8 * t->n_like, run_chunk, t);
}

/* Any layouts: what does not lie as the parameter does, or is of 16 bits, passes through a copy that does. */
static int run_strided(task *t, elements *of, ad_tensor *const *row) {
    ad_tensor *copies[MAX_LIKE] = {0};
    int status = AD_OK;
    const int dtype = ad_work_dtype(row[0]->dtype);
    const bool dense = ad_is_dense(row[0]) && dtype == row[0]->dtype;
    for (int i = 0; i < t->n_like && !status; i++) {
        if (dense && same_strides(row[i], row[0])) continue;
        copies[i] = make_like(row[0], dtype);
        if (!copies[i]) {
            status = AD_NO_MEMORY;
        } else {
            ad_copy_into(copies[i], row[i]);
            of->data[i] = copies[i]->data;
        }
    }
    if (!status) run(t);
    for (int i = 0; i < t->n_like; i++) {
        if (!status && copies[i] && i != 1) ad_copy_into(row[i], copies[i]);
        ad_free(copies[i]);
    }
    return status;
}

/* The elements of a row; whether all lie as flat runs. */
static bool take_row(elements *of, int n_like, int kind, ad_tensor *const *row) {
    const int type = ad_dtype_type[row[0]->dtype];
    bool flat = !ad_is_half(row[0]->dtype);
    for (int i = 0; i < n_like; i++) {
        flat = flat && row[i]->contiguous;
        of->data[i] = row[i]->data;
    }
    of->kernel = ad_cpu->optim->update[kind][type];
    of->numel = row[0]->numel;
    of->size = ad_type_size[type];
    return flat;
}

static int update(task *t, int kind, ad_tensor *const *row) {
    elements of;
    t->of = &of;
    if (take_row(&of, t->n_like, kind, row))
        run(t);
    else if (run_strided(t, &of, row))
        return AD_NO_MEMORY;
    for (int i = 0; i < t->n_like; i++)
        if (i != 1) ad_wrote(row[i], AD_BY_OPTIMIZER);
    return AD_OK;
}

/* ---- scalars ---- */

static void store_scalar(ad_tensor *x, double value) {
    if (x->dtype == AD_float32)
        *(float *)x->data = (float)value;
    else
        *(double *)x->data = value;
    ad_wrote(x, AD_BY_OPTIMIZER);
}

static double product_as(const ad_tensor *x, double factor) {
    const double value = ad_item_f64(x);
    return x->dtype == AD_float32 ? (float)value * (float)factor : value * factor;
}

/* The scalars as they are after this step, in their own precision. */
static void advance(int kind, const double *hyper, ad_tensor *const *scalars, double *values) {
    if (ad_optimizers[kind].scalars == 0) return;
    values[0] = ad_item_f64(scalars[0]) + 1;
    if (scalars[0]->dtype == AD_float32) values[0] = (float)values[0];
    if (kind == AD_OPT_nadam) values[1] = product_as(scalars[1], ad_nadam_momentum(hyper, values[0]));
    if (kind == AD_OPT_asgd)
        for (int i = 1; i < 3; i++) values[i] = ad_item_f64(scalars[i]);
}

/* ---- a group ---- */

/* The numbers of a row's update, from the options and its scalars, which leaves what those become in t->left.
 * Mostly, all parameters are at one step, and so are the numbers. */
static void take_numbers(task *t, int kind, const double *hyper, ad_tensor *const *counts) {
    double scalars[MAX_SCALARS] = {0};
    if (t->prepared && !ad_optimizers[kind].scalars) return;
    advance(kind, hyper, counts, scalars);
    if (t->prepared && !memcmp(scalars, t->scalars, sizeof scalars)) return;
    memcpy(t->scalars, scalars, sizeof scalars);
    t->numbers =
        (ad_update){.lr = hyper[0], .weight_decay = hyper[1], .maximize = hyper[2] != 0, .shrink = 1};
    ad_update *const u = &t->numbers;
    ad_optimizers[kind].prepare(u, hyper, scalars);
    u->plain = !u->maximize && u->weight_decay == 0 && u->shrink == 1;
    memcpy(t->left, scalars, sizeof scalars);
    t->prepared = true;
}

static void store_scalars(const task *t, int kind, ad_tensor *const *counts) {
    for (int i = 0; i < ad_optimizers[kind].scalars; i++) store_scalar(counts[i], t->left[i]);
}

static int step_row(int kind, ad_tensor **row, const double *hyper, task *t) {
    ad_tensor *made = NULL;
    take_numbers(t, kind, hyper, row + t->n_like);
    t->numbers.fresh = false;
    if (kind == AD_OPT_sgd_momentum && !row[2]) {
        if (!(made = make_like(row[0], row[0]->dtype))) return AD_NO_MEMORY;
        row[2] = made;
        t->numbers.fresh = true;
    }
    const int status = update(t, kind, row);
    if (!status)
        store_scalars(t, kind, row + t->n_like);
    else if (made) {
        ad_free(made);
        row[2] = NULL;
    }
    return status;
}

static int step_group(int kind, int n, ad_tensor **tensors, const double *hyper, bool checked) {
    const int columns = ad_optim_columns(kind);
    int status = AD_OK;
    task t = {.n_like = 2 + ad_optimizers[kind].states};
    for (int pass = checked; pass < 2; pass++)
        for (int i = 0; i < n && !status; i++) {
            ad_tensor *row[MAX_COLUMNS];
            for (int j = 0; j < columns; j++) row[j] = tensors[(int64_t)j * n + i];
            status = pass == 0 ? check_row(kind, row) : step_row(kind, row, hyper, &t);
            if (pass == 1 && columns > 2) tensors[2 * (int64_t)n + i] = row[2]; /* may have been made */
        }
    return status;
}

/* ---- recording: the gradients, which are read only, come last ---- */

typedef struct {
    int kind, n;
    const double *hyper; /* the caller's, who writes to it what holds at the time of each run */
} step_numbers;

static int run_step(const ad_call *c) {
    const step_numbers *s = c->numbers;
    const int64_t n = s->n, columns = ad_optim_columns(s->kind);
    ad_tensor **tensors = ad_alloc(sizeof *tensors * (size_t)(columns * n));
    if (!tensors) return AD_NO_MEMORY;
    memcpy(tensors, c->x, sizeof *tensors * (size_t)n);
    memcpy(tensors + n, c->x + c->n_out, sizeof *tensors * (size_t)n);
    memcpy(tensors + 2 * n, c->x + n, sizeof *tensors * (size_t)((columns - 2) * n));
    const int status = step_group(s->kind, s->n, tensors, s->hyper, true);
    ad_dealloc(tensors);
    return status;
}

/* Where all is flat: the rows of operands, and where their elements are; the task of the last run, and the
 * options that its numbers were made from. */
typedef struct {
    step_numbers s;
    task now;
    double hyper[MAX_HYPERS];
    struct laid_row {
        elements of;
        ad_tensor *columns[MAX_COLUMNS];
    } rows[];
} laid;

static size_t laid_size(const ad_call *c) {
    const step_numbers *s = c->numbers;
    return sizeof(laid) + sizeof(struct laid_row) * (size_t)s->n;
}

/* Where column j of row i is among the operands of a call. */
static int64_t operand_of(const laid *l, int64_t i, int64_t j) {
    const int64_t n = l->s.n, columns = ad_optim_columns(l->s.kind);
    return (j == 0 ? 0 : j == 1 ? columns - 1 : j - 1) * n + i;
}

static bool lay(const ad_call *c, void *room) {
    laid *l = room;
    bool flat = true;
    l->s = *(const step_numbers *)c->numbers;
    memset(&l->now, 0, sizeof l->now);
    l->now.n_like = 2 + ad_optimizers[l->s.kind].states;
    for (int i = 0; i < l->s.n; i++) {
        struct laid_row *row = &l->rows[i];
        for (int j = 0; j < ad_optim_columns(l->s.kind); j++)
            row->columns[j] = (ad_tensor *)c->x[operand_of(l, i, j)];
        flat = take_row(&row->of, l->now.n_like, l->s.kind, row->columns) && flat;
    }
    return flat;
}

static void pointers(const ad_call *c, void *room, ad_place_fn *place, void *context) {
    laid *l = room;
    (void)c;
    for (int i = 0; i < l->s.n; i++)
        for (int j = 0; j < l->now.n_like; j++)
            place(context, (int)operand_of(l, i, j), (char **)&l->rows[i].of.data[j]);
}

static int run_laid(const ad_call *c) {
    laid *l = (laid *)c->numbers;
    task *now = &l->now;
    const int kind = l->s.kind, n_like = now->n_like;
    const size_t nbytes = sizeof(double) * (size_t)ad_optimizers[kind].hypers;
    if (memcmp(l->hyper, l->s.hyper, nbytes)) now->prepared = false;
    memcpy(l->hyper, l->s.hyper, nbytes);
    for (const struct laid_row *row = l->rows, *end = row + l->s.n; row < end; row++) {
        ad_tensor *const *columns = row->columns;
        take_numbers(now, kind, l->hyper, columns + n_like);
        now->of = &row->of;
        run(now);
        for (int j = 0; j < n_like; j++)
            if (j != 1) ad_wrote(columns[j], AD_BY_OPTIMIZER);
        store_scalars(now, kind, columns + n_like);
    }
    return AD_OK;
}

static const ad_layout layout = {laid_size, lay, pointers, run_laid};

/* A first step, which makes states, is not the step that is to be run again. */
static bool makes_states(int64_t n, ad_tensor *const *tensors) {
    for (int64_t i = 0; i < n; i++)
        if (!tensors[i]) return true;
    return false;
}

/* Also a first step. */
static int watched_step(const ad_call *c, ad_tensor **tensors) {
    const step_numbers *s = c->numbers;
    ad_call named = *c;
    named.name = "step_";
    ad_tape *const watch = ad_tape_begin(&named);
    return ad_tape_end(watch, &named, step_group(s->kind, s->n, tensors, s->hyper, false));
}

int ad_optim_step(int kind, int n, ad_tensor **tensors, const double *hyper) {
    const int64_t count = n, columns = ad_optim_columns(kind), all = count * columns;
    if (!columns || n < 0) return ad_fail(AD_BAD_ARG, kind, n, 0);
    if (!ad_recording) {
        int64_t cost = 100 * count;
        for (int64_t i = 0; i < count; i++) /* which are not checked yet */
            if (tensors[i])
                cost += ad_least(tensors[i]->numel, INT32_MAX) / 8 * (2 + ad_optimizers[kind].states);
        const bool let_go = ad_let_go(cost);
        const int status = step_group(kind, n, tensors, hyper, false);
        ad_take_back(let_go);
        return status;
    }
    if (makes_states(all, tensors) && !ad_watching()) {
        ad_tape_break(AD_TAPE_STARTED);
        ad_tape *const recording = ad_recording;
        ad_recording = NULL;
        const int status = step_group(kind, n, tensors, hyper, false);
        ad_recording = recording;
        return status;
    }
    const ad_tensor **x = ad_alloc(sizeof *x * (size_t)(all + 1));
    if (!x) return AD_NO_MEMORY;
    memcpy(x, tensors, sizeof *x * (size_t)count);
    memcpy(x + count, tensors + 2 * count, sizeof *x * (size_t)(all - 2 * count));
    memcpy(x + all - count, tensors + count, sizeof *x * (size_t)count);
    const step_numbers s = {kind, n, hyper};
    const ad_call c = {run_step, ad_optim_name(kind), (int)(all - count),  n,
                       .x = x,   .numbers = &s,       .n_bytes = sizeof s, .layout = &layout};
    const int status = ad_watching() ? watched_step(&c, tensors) : ad_do(&c);
    ad_dealloc(x);
    return status;
}
