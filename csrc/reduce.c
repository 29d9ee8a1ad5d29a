/* reduce.c: sums, products, extremes and truths over dimensions.
 *
 * What one result element is depends on the sequence of its inputs alone, taken in row-major order of the
 * reduced dimensions, and never on layout, instruction set, threads or neighbours:
 *   - the sequence is cut into chunks of 1024 elements (the last may be shorter);
 *   - in a chunk, lane l of L (16 for float, 8 for double and int64) starts from the identity and takes
 *     elements l, l + L, l + 2L, ... by fours, in turn: the elements of a four are folded in turn, and
 *     then joined to what the lane holds;
 *   - the lanes are joined by halves: lane l with lane l + L/2, then l with l + L/4, ... down to one;
 *   - the chunks are joined two by two, as a binary counter carries: chunk k joins the pairs that it
 *     completes, and what is left over at the end is joined from the latest (and smallest) to the earliest.
 * So rounding errors grow with the logarithm of the length. The earlier operand always comes first. */
#include <math.h>
#include "reduction.h"
#include "tape.h"

enum {
    CHUNK = AD_REDUCE_CHUNK,
    TILE = 128,               /* result elements worked on together, */
    WIDE = 1024,              /* and across rows, long pieces of which follow one another in memory */
    LOADED = 64,              /* columns of that many rows loaded together */
    ROWS = 4,                 /* chunks that are made together of steps */
    LEVELS = 54,              /* of the tree over chunks: enough for 2^63 elements */
    ROW_BLOCK = 64 * CHUNK,   /* elements of a long sequence a thread takes at a time, */
    COLUMN_BLOCK = 4 * CHUNK, /* and rows of a tile of them: powers of two, to be whole subtrees, */
    BLOCK_LEVELS = 3 * WIDE   /* elements of the levels of a block: 3 of wide tiles, 7 of others */
};

/* ---- the tree over chunks, for n results at once ---- */

typedef struct {
    int64_t count;
    char *levels; /* n elements each, one after the other */
} cascade;

static void cascade_push(const reduction *r, cascade *c, int64_t n, char *part) {
    char *level = c->levels;
    for (int64_t carry = c->count++; carry & 1; carry >>= 1, level += n * r->size)
        r->kernels->combine(n, part, level, part);
    memcpy(level, part, (size_t)(n * r->size));
}

static void cascade_finish(const reduction *r, cascade *c, int64_t n, char *out) {
    int level = __builtin_ctzll((uint64_t)c->count);
    memcpy(out, c->levels + level * n * r->size, (size_t)(n * r->size));
    for (level++; c->count >> level; level++)
        if (c->count >> level & 1) r->kernels->combine(n, out, c->levels + level * n * r->size, out);
}

/* ---- reading x ---- */

static void load(const reduction *r, int64_t n, char *dst, const char *src, int64_t stride) {
    const bool there = r->step && stride == 1 && ad_dtype_type[r->x->dtype] == r->type &&
                       ad_itemsize[r->x->dtype] == r->size;
    if (!there) r->load(n, dst, src, stride);
    if (r->step) r->step(n, dst, there ? src : dst, there ? src : dst, NULL);
}

bool ad_is_run(const reduction *r) {
    return r->direct && r->folded.ndim == 1 && (r->folded.strides[0] == 1 || r->length == 1);
}

const char *ad_sequence(const reduction *r, const char *base, int64_t start, int64_t n, char *buffer) {
    const ad_walk *w = &r->folded;
    int64_t stride = w->strides[w->ndim - 1], run = w->shape[w->ndim - 1];
    if (ad_is_run(r)) return base + start * r->size;
    for (int64_t i = 0; i < n;) {
        const char *src = base + ad_walk_offset(w, start + i) * ad_itemsize[r->x->dtype];
        int64_t len = ad_least(n - i, run - (start + i) % run);
        if (r->direct && len == n && stride == 1) return src;
        load(r, len, buffer + i * r->size, src, stride);
        i += len;
    }
    return buffer;
}

/* ---- one chunk of a tile of results ---- */

static void chunk_by_rows(const reduction *r, const char *base, int64_t tile, int64_t start, int64_t n,
                          char *out) {
    _Alignas(64) char buffer[ROWS * CHUNK * 8];
    int64_t step = r->kept.strides[r->kept.ndim - 1];
    if (ad_is_run(r)) {
        r->kernels->rows(tile, n, base + start * r->size, step, out);
        return;
    }
    const int64_t bytes = step * ad_itemsize[r->x->dtype];
    const bool whole =
        r->folded.ndim == 1 && r->folded.strides[0] == 1 && step == n; /* one after the other */
    for (int64_t i = 0, rows; i < tile; i += rows) {
        const char *src = base + i * bytes, *first = buffer;
        rows = r->step ? ad_least(ROWS * CHUNK / n, tile - i) : 1;
        if (rows > 1 && whole)
            load(r, rows * n, buffer, src, 1);
        else
            for (int64_t k = 0; k < rows; k++)
                first = ad_sequence(r, src + k * bytes, start, n, buffer + k * n * r->size);
        r->kernels->rows(rows, n, rows > 1 ? buffer : first, n, out + i * r->size);
    }
}

/* Joins the lanes of each column. */
static void join_lanes(const reduction *r, int64_t tile, char *lanes, char *out) {
    int64_t used = AD_LANE_BYTES / r->size;
    for (; used > 2; used /= 2)
        r->kernels->combine(used / 2 * tile, lanes, lanes, lanes + used / 2 * tile * r->size);
    r->kernels->combine(tile, out, lanes, lanes + tile * r->size);
}

static bool are_few(const reduction *r, int64_t rows) { return rows <= AD_LANE_BYTES / r->size; }

static void load_rows(const reduction *r, const char *base, int64_t tile, int64_t start, int64_t rows,
                      char *buffer) {
    const int64_t step = r->kept.strides[r->kept.ndim - 1], size = ad_itemsize[r->x->dtype];
    for (int64_t j = 0; j < rows; j++)
        load(r, tile, buffer + j * tile * r->size, base + ad_walk_offset(&r->folded, start + j) * size, step);
}

/* Columns that are not as the kernels take them: loaded in groups of rows. */
static void chunk_of_loaded(const reduction *r, const char *base, int64_t tile, int64_t start, int64_t n,
                            char *lanes, char *out) {
    _Alignas(64) char buffer[AD_LANE_STEPS * AD_LANE_BYTES * LOADED];
    int64_t group = AD_LANE_STEPS * AD_LANE_BYTES / r->size;
    if (are_few(r, n)) {
        load_rows(r, base, tile, start, n, buffer);
        r->kernels->few(n, tile, buffer, tile, out);
        return;
    }
    for (int64_t i = 0; i < n; i += group) {
        int64_t rows = ad_least(group, n - i);
        load_rows(r, base, tile, start + i, rows, buffer);
        r->kernels->columns(rows, tile, buffer, tile, lanes, i == 0);
    }
    join_lanes(r, tile, lanes, out);
}

static void chunk_by_columns(const reduction *r, const char *base, int64_t tile, int64_t start, int64_t n,
                             char *out) {
    _Alignas(64) char lanes[AD_LANE_BYTES * WIDE];
    int64_t step = r->kept.strides[r->kept.ndim - 1];
    if (r->direct && step == 1 && r->folded.ndim == 1) {
        int64_t stride = r->folded.strides[0];
        const char *x = base + start * stride * r->size;
        if (are_few(r, n)) {
            r->kernels->few(n, tile, x, stride, out);
            return;
        }
        r->kernels->columns(n, tile, x, stride, lanes, true);
        join_lanes(r, tile, lanes, out);
        return;
    }
    /* As many columns as the buffer has room for. */
    int64_t width = n <= AD_LANE_STEPS * LOADED / TILE * AD_LANE_BYTES / r->size ? TILE : LOADED;
    for (int64_t c = 0; c < tile; c += width)
        chunk_of_loaded(r, base + c * step * ad_itemsize[r->x->dtype], ad_least(width, tile - c), start, n,
                        lanes, out + c * r->size);
}

static void fold_chunk(const reduction *r, const char *base, int64_t tile, int64_t start, int64_t n,
                       char *out) {
    (r->by_columns ? chunk_by_columns : chunk_by_rows)(r, base, tile, start, n, out);
}

/* ---- one item of parallel work: one block of the sequences of one tile ---- */

/* Chunks of one unbroken sequence, as the rows of a matrix; returns how many elements that were. */
static int64_t push_whole_chunks(const reduction *r, cascade *c, const char *src, int64_t n) {
    _Alignas(64) char parts[ROW_BLOCK / CHUNK * 8];
    int64_t chunks = ad_least(n, ROW_BLOCK) / CHUNK;
    r->kernels->rows(chunks, CHUNK, src, CHUNK, parts);
    for (int64_t k = 0; k < chunks; k++) cascade_push(r, c, 1, parts + k * r->size);
    return chunks * CHUNK;
}

/* A block of the sequences of n results, from `start`. */
static void fold_block(const reduction *r, const char *base, int64_t n, int64_t start, char *out) {
    int64_t end = ad_least(start + r->block, r->length);
    _Alignas(64) char part[WIDE * 8], levels[BLOCK_LEVELS * 8];
    cascade c = {0, levels};
    if (n == 1 && ad_is_run(r)) start += push_whole_chunks(r, &c, base + start * r->size, end - start);
    for (; start < end; start += CHUNK) {
        int64_t len = ad_least(CHUNK, end - start);
        fold_chunk(r, base, n, start, len, part);
        cascade_push(r, &c, n, part);
    }
    cascade_finish(r, &c, n, out);
}

static void fold_item(void *context, int64_t item) {
    const reduction *r = context;
    int64_t block = item % r->blocks, tile = item / r->blocks;
    int64_t inner = r->kept.shape[r->kept.ndim - 1];
    int64_t first = tile / r->tiles * inner + tile % r->tiles * r->tile;
    int64_t n = ad_least(r->tile, inner - tile % r->tiles * r->tile);
    const char *base = r->x->data + ad_walk_offset(&r->kept, first) * ad_itemsize[r->x->dtype];
    char *out = r->results + (block * r->outputs + first) * r->size;
    if (r->length <= CHUNK)
        fold_chunk(r, base, n, 0, r->length, out);
    else
        fold_block(r, base, n, block * r->block, out);
}

/* Joins the blocks of each result into the first block's row. */
static void join_blocks(const reduction *r) {
    _Alignas(64) char part[TILE * 8], levels[LEVELS * TILE * 8];
    if (r->blocks == 1) return;
    for (int64_t first = 0; first < r->outputs; first += TILE) {
        int64_t n = ad_least(TILE, r->outputs - first);
        cascade c = {0, levels};
        for (int64_t b = 0; b < r->blocks; b++) {
            memcpy(part, r->results + (b * r->outputs + first) * r->size, (size_t)(n * r->size));
            cascade_push(r, &c, n, part);
        }
        cascade_finish(r, &c, n, r->results + first * r->size);
    }
}

/* ---- the plan ---- */

/* Over the dimensions in `dims`; a sequence is in row-major order. */
static void walk_over(ad_walk *w, const ad_tensor *x, uint32_t dims) {
    w->ndim = 0;
    for (int d = 0; d < x->ndim; d++)
        if (dims >> d & 1) ad_walk_add(w, x->shape[d], x->strides[d]);
    ad_walk_finish(w);
}

static int64_t product(const ad_walk *w) {
    int64_t n = 1;
    for (int d = 0; d < w->ndim; d++) n *= w->shape[d];
    return n;
}

void ad_plan_reduction(reduction *r, const ad_tensor *x, uint32_t dims, int fold, int type, ad_pw_fn *step) {
    r->x = x;
    r->kernels = &ad_cpu->reduce->fold[fold][type];
    r->load = ad_cpu->pw->load[x->dtype][type];
    r->type = type;
    r->size = ad_type_size[type];
    r->step = step;
    r->direct = !step && ad_dtype_type[x->dtype] == type && ad_itemsize[x->dtype] == r->size;
    walk_over(&r->kept, x, ~dims);
    walk_over(&r->folded, x, dims);
    r->outputs = product(&r->kept);
    r->length = product(&r->folded);
}

/* Along the rows or across them, whichever follows memory; short sequences of many results also go across,
 * which spreads the cost of joining the lanes. */
static void choose_blocks(reduction *r) {
    int64_t inner = r->kept.shape[r->kept.ndim - 1], step = r->kept.strides[r->kept.ndim - 1];
    bool across = inner >= 4 && step < r->folded.strides[r->folded.ndim - 1];
    bool short_rows = inner >= 16 && r->length > 1 && r->length <= AD_LANE_BYTES / r->size;
    r->by_columns = across || short_rows;
    r->tile = ad_least(inner, r->by_columns ? WIDE : r->length >= 4 * CHUNK ? 1 : TILE);
    r->tiles = (inner + r->tile - 1) / r->tile;
    r->block = r->by_columns ? COLUMN_BLOCK : ROW_BLOCK;
    r->blocks = (r->length + r->block - 1) / r->block;
}

static void divide(int type, void *x, int64_t n, int64_t count) {
    if (type == AD_f32)
        for (int64_t i = 0; i < n; i++) ((float *)x)[i] /= (float)count;
    else
        for (int64_t i = 0; i < n; i++) ((double *)x)[i] /= (double)count;
}

/* ---- entry points ---- */

#define AD_NO_IDENTITY NAN
#define AD_REDUCTION(name, identity) identity,
static const double identities[AD_N_REDUCTIONS] = {
#include "reductions.def"
};
#undef AD_REDUCTION

static uint32_t all_dims(const ad_tensor *x) { return (1u << x->ndim) - 1; }

static int check(int kind, const ad_tensor *x, uint32_t dims, int dtype) {
    if (kind < 0 || kind >= AD_N_REDUCTIONS) return ad_fail(AD_BAD_ARG, kind, 0, 0);
    if (dims & ~all_dims(x)) return ad_fail(AD_BAD_DIM, __builtin_ctz(dims & ~all_dims(x)), x->ndim, 0);
    bool fits = ad_valid_dtype(dtype);
    switch (kind) {
    case AD_RED_mean: fits = fits && ad_is_floating(dtype); break;
    case AD_RED_sum_abs:
    case AD_RED_norm: fits = fits && ad_is_floating(dtype) && ad_is_floating(x->dtype); break;
    case AD_RED_max_abs:
    case AD_RED_min_abs: fits = dtype == x->dtype && ad_is_floating(dtype); break;
    case AD_RED_max:
    case AD_RED_min: fits = dtype == x->dtype; break;
    case AD_RED_any:
    case AD_RED_all: fits = dtype == AD_bool; break;
    case AD_RED_argmax:
    case AD_RED_argmin:
        fits = dtype == AD_int64;
        if (__builtin_popcount(dims) != 1 && dims != all_dims(x)) return ad_fail(AD_BAD_ARG, dims, 0, 0);
    }
    return fits ? AD_OK : ad_fail(AD_BAD_DTYPE, dtype, 0, 0);
}

static ad_tensor *make_result(const ad_tensor *x, uint32_t dims, int keepdim, int dtype) {
    int64_t shape[AD_MAX_DIMS];
    int ndim = 0;
    for (int d = 0; d < x->ndim; d++)
        if (!(dims >> d & 1) || keepdim) shape[ndim++] = dims >> d & 1 ? 1 : x->shape[d];
    return ad_make(dtype, ndim, shape);
}

/* Replaces the result of a reduction over no elements. */
static ad_tensor *reduce_nothing(int kind, ad_tensor *y) {
    double value = kind == AD_RED_mean ? NAN : identities[kind];
    bool defined = kind == AD_RED_mean || !isnan(value);
    ad_tensor *full = defined ? ad_full_f64(y->dtype, y->ndim, y->shape, value) : NULL;
    if (!defined) ad_fail(AD_EMPTY, 0, 0, 0);
    ad_free(y);
    return full;
}

static const uint8_t folds[AD_N_REDUCTIONS] = {
    [AD_RED_sum] = AD_FOLD_sum,     [AD_RED_mean] = AD_FOLD_sum,    [AD_RED_prod] = AD_FOLD_prod,
    [AD_RED_max] = AD_FOLD_max,     [AD_RED_min] = AD_FOLD_min,     [AD_RED_argmax] = AD_FOLD_max,
    [AD_RED_argmin] = AD_FOLD_min,  [AD_RED_any] = AD_FOLD_max,     [AD_RED_all] = AD_FOLD_min,
    [AD_RED_sum_abs] = AD_FOLD_sum, [AD_RED_max_abs] = AD_FOLD_max, [AD_RED_min_abs] = AD_FOLD_min,
    [AD_RED_norm] = AD_FOLD_sum,
};

/* What is made of each element first, or -1. */
static int step_of(int kind) {
    switch (kind) {
    case AD_RED_any:
    case AD_RED_all: return AD_OP_to_truth;
    case AD_RED_sum_abs:
    case AD_RED_max_abs:
    case AD_RED_min_abs: return AD_OP_abs;
    case AD_RED_norm: return AD_OP_mul;
    default: return -1;
    }
}

/* Whether the results can be folded in y itself: those of one block, of y's type. */
static bool plan_values(reduction *r, int kind, const ad_tensor *y, const ad_tensor *x, uint32_t dims) {
    const bool truth = kind == AD_RED_any || kind == AD_RED_all;
    const int step = step_of(kind), type = ad_dtype_type[truth ? x->dtype : y->dtype];
    ad_plan_reduction(r, x, dims, folds[kind], type, step < 0 ? NULL : ad_cpu->pw->instr[step][type]);
    choose_blocks(r);
    r->results = y->data;
    return r->blocks == 1 && ad_itemsize[y->dtype] == r->size;
}

static void fold_values(reduction *r, int kind) {
    const int64_t items = r->outputs / r->kept.shape[r->kept.ndim - 1] * r->tiles * r->blocks;
    if (r->outputs == 1 && r->length <= CHUNK)
        chunk_by_rows(r, r->x->data, 1, 0, r->length, r->results);
    else
        ad_parallel_for(items, r->direct ? r->x->numel / 8 : r->x->numel, fold_item, r);
    join_blocks(r);
    if (kind == AD_RED_mean) divide(r->type, r->results, r->outputs, r->length);
    if (kind == AD_RED_norm)
        ad_cpu->pw->instr[AD_OP_sqrt][r->type](r->outputs, r->results, r->results, NULL, NULL);
}

static int reduce_values(int kind, ad_tensor *y, const ad_tensor *x, uint32_t dims) {
    reduction r;
    int64_t nbytes;
    if (plan_values(&r, kind, y, x, dims)) {
        fold_values(&r, kind);
        return AD_OK;
    }
    if (__builtin_mul_overflow(r.blocks * r.size, r.outputs, &nbytes)) return ad_fail(AD_TOO_LARGE, 0, 0, 0);
    if (!(r.results = ad_alloc((size_t)nbytes))) return AD_NO_MEMORY;
    fold_values(&r, kind);
    ad_cpu->pw->store[r.type][y->dtype](r.outputs, y->data, 1, r.results);
    ad_dealloc(r.results);
    return AD_OK;
}

typedef struct {
    int kind;
    uint32_t dims;
} reduce_numbers;

static bool finds_places(int kind) { return kind == AD_RED_argmax || kind == AD_RED_argmin; }

static int run_reduce(const ad_call *c) {
    const reduce_numbers *n = c->numbers;
    const ad_tensor *x = ad_in(c, 0);
    if (!finds_places(n->kind)) return reduce_values(n->kind, ad_out(c, 0), x, n->dims);
    ad_find_extremes(x, n->dims, folds[n->kind], (int64_t *)ad_out(c, 0)->data, NULL);
    return AD_OK;
}

typedef struct {
    reduction r;
    int kind;
} laid;

static size_t laid_size(const ad_call *c) {
    (void)c;
    return sizeof(laid);
}

static bool lay(const ad_call *c, void *room) {
    const reduce_numbers *n = c->numbers;
    laid *l = room;
    l->kind = n->kind;
    return !finds_places(n->kind) && plan_values(&l->r, n->kind, ad_out(c, 0), ad_in(c, 0), n->dims);
}

static void pointers(const ad_call *c, void *room, ad_place_fn *place, void *context) {
    (void)c; /* the operand is found by r->x */
    place(context, 0, &((laid *)room)->r.results);
}

static int run_laid(const ad_call *c) {
    laid *l = (laid *)c->numbers;
    fold_values(&l->r, l->kind);
    return AD_OK;
}

static const ad_layout layout = {laid_size, lay, pointers, run_laid};

ad_tensor *ad_reduce(int kind, const ad_tensor *x, uint32_t dims, int keepdim, int dtype) {
    if (check(kind, x, dims, dtype)) return NULL;
    ad_tensor *y = make_result(x, dims, keepdim, dtype);
    if (!y || y->numel == 0) return y;
    /* A sum or product of truth values is whether any or all of them hold. */
    if (dtype == AD_bool && kind == AD_RED_sum) kind = AD_RED_any;
    if (dtype == AD_bool && kind == AD_RED_prod) kind = AD_RED_all;
    if (x->numel == 0) return reduce_nothing(kind, y);
    const reduce_numbers n = {kind, dims};
    const ad_tensor *const operands[] = {y, x};
    return ad_done(&(ad_call){run_reduce, ad_reduction_name(kind), 1, 1, .x = operands, .numbers = &n,
                              .n_bytes = sizeof n, .layout = &layout},
                   y);
}

static int run_extremes(const ad_call *c) {
    const reduce_numbers *n = c->numbers;
    ad_find_extremes(ad_in(c, 0), n->dims, folds[n->kind], (int64_t *)ad_out(c, 1)->data, ad_out(c, 0)->data);
    return AD_OK;
}

int ad_extremes(int kind, const ad_tensor *x, uint32_t dims, int keepdim, ad_tensor **out) {
    out[0] = out[1] = NULL;
    if (!finds_places(kind)) return ad_fail(AD_BAD_ARG, kind, 0, 0);
    if (check(kind, x, dims, AD_int64)) return ad_error(NULL);
    ad_tensor *values = make_result(x, dims, keepdim, x->dtype);
    ad_tensor *places = values ? make_result(x, dims, keepdim, AD_int64) : NULL;
    int status = places ? AD_OK : AD_NO_MEMORY;
    if (!status && values->numel) {
        const reduce_numbers n = {kind, dims};
        const ad_tensor *const operands[] = {values, places, x};
        const ad_call c = {run_extremes,  ad_reduction_name(kind), 2, 1, .x = operands,
                           .numbers = &n, .n_bytes = sizeof n};
        status = x->numel ? ad_do(&c) : ad_fail(AD_EMPTY, 0, 0, 0);
    }
    out[0] = values, out[1] = places;
    if (!status) return AD_OK;
    ad_free(values);
    ad_free(places);
    out[0] = out[1] = NULL;
    return status;
}

ad_tensor *ad_sum_to(const ad_tensor *x, int ndim, const int64_t *shape) {
    uint32_t dims = 0;
    bool sums = false;
    int lead = x->ndim - ndim;
    if (ndim < 0 || lead < 0) return ad_fail_null(AD_BAD_DIM, ndim, x->ndim, 0);
    for (int d = 0; d < x->ndim; d++) {
        int64_t size = d < lead ? 1 : shape[d - lead];
        if (size != 1 && size != x->shape[d]) return ad_fail_null(AD_BAD_SHAPE, size, x->shape[d], d);
        if (d < lead || size != x->shape[d]) dims |= 1u << d;
        sums = sums || size != x->shape[d];
    }
    if (!sums) return dims ? ad_squeeze(x, dims) : ad_alias(x);
    ad_tensor *summed = ad_reduce(AD_RED_sum, x, dims, 1, x->dtype);
    if (!summed || !lead) return summed;
    ad_tensor *y = ad_squeeze(summed, (1u << lead) - 1);
    ad_free(summed);
    return y;
}
