/* index.c: gather and scatter of rows. Index tensors become one list of offsets first, all of them checked,
 * so that nothing is written where an index is wrong; then rows (what follows the indexed dimensions of x)
 * are moved, for each position of what comes before them. */
#include "move.h"
#include "tape.h"
#include "walk.h"

enum {
    ITEM = 1 << 15, /* elements a thread takes at a time, */
    STRIP = 1024    /* and of a row that is added to */
};

/* ---- positions ---- */

static int check_index(const ad_tensor *x, int first, int n, const ad_tensor *const *index) {
    if (first < 0 || n < 1 || first > x->ndim - n) return ad_fail(AD_BAD_DIM, first + n, x->ndim, 0);
    for (int i = 0; i < n; i++) {
        if (index[i]->dtype != AD_int64) return ad_fail(AD_BAD_DTYPE, index[i]->dtype, 0, 0);
        if (index[i]->ndim != index[0]->ndim) return ad_fail(AD_BAD_SHAPE, index[0]->ndim, index[i]->ndim, 0);
        for (int d = 0; d < index[0]->ndim; d++)
            if (index[i]->shape[d] != index[0]->shape[d])
                return ad_fail(AD_BAD_SHAPE, index[0]->shape[d], index[i]->shape[d], d);
    }
    if (index[0]->ndim + x->ndim - n > AD_MAX_DIMS)
        return ad_fail(AD_BAD_DIM, index[0]->ndim + x->ndim - n, AD_MAX_DIMS, 0);
    return AD_OK;
}

/* Adds to each offset, or to nothing, where indices into dimension `dim` of x lead, in bytes. */
static int add_offsets(const ad_tensor *x, int dim, const int64_t *index, int64_t n, int64_t *offsets,
                       bool fresh) {
    int64_t size = x->shape[dim], step = x->strides[dim] * ad_itemsize[x->dtype];
    for (int64_t i = 0; i < n; i++) {
        const int64_t given = ad_once(&index[i]), at = given < 0 ? given + size : given;
        if ((uint64_t)at >= (uint64_t)size) return ad_fail(AD_BAD_INDEX, given, dim, size);
        offsets[i] = (fresh ? 0 : offsets[i]) + at * step;
    }
    return AD_OK;
}

/* The byte offset in x of each row the indices name, in row-major order of the index shape; to be freed with
 * ad_dealloc. */
static int64_t *row_offsets(const ad_tensor *x, int first, int n, const ad_tensor *const *index) {
    int64_t count = index[0]->numel, nbytes;
    if (__builtin_mul_overflow(count, sizeof(int64_t), &nbytes)) return ad_fail_null(AD_TOO_LARGE, 0, 0, 0);
    int64_t *offsets = ad_alloc((size_t)nbytes);
    if (!offsets) return NULL;
    int status = AD_OK;
    for (int i = 0; i < n && !status; i++) {
        ad_tensor *made = index[i]->contiguous ? NULL : ad_contiguous(index[i], AD_int64);
        const ad_tensor *in_order = index[i]->contiguous ? index[i] : made;
        status = in_order ? add_offsets(x, first + i, (const int64_t *)in_order->data, count, offsets, i == 0)
                          : AD_NO_MEMORY;
        ad_free(made);
    }
    if (!status) return offsets;
    ad_dealloc(offsets);
    return NULL;
}

/* Dimensions [begin, end) of x. Its data pointer is moved from place to place. */
static ad_tensor part_of(const ad_tensor *x, int begin, int end) {
    ad_tensor part = *x;
    part.ndim = (uint8_t)(end - begin);
    for (int d = begin; d < end; d++) {
        part.shape[d - begin] = x->shape[d];
        part.strides[d - begin] = x->strides[d];
    }
    ad_refresh(&part);
    return part;
}

/* ---- moving rows ---- */

typedef struct {
    ad_tensor row;          /* in x, the data pointer that of x: the dimensions after the indexed ones */
    ad_walk lead;           /* over those before them */
    int64_t leads, strips;  /* of each lead's rows that are added to, as chunks */
    const int64_t *offsets; /* of rows in x, in bytes */
    char *rows;             /* the same rows one after the other, for each of the leads */
    int64_t count, per_item;
    bool into, far;
} row_moves;

static void plan_rows(row_moves *m, const ad_tensor *x, int first, int n, int64_t count) {
    m->row = part_of(x, first + n, x->ndim);
    m->far = ad_is_far(x->numel * ad_itemsize[x->dtype], m->row.numel * ad_itemsize[x->dtype]);
    m->count = count;
    m->leads = 1;
    m->lead.ndim = 0;
    for (int d = 0; d < first; d++) {
        ad_walk_add(&m->lead, x->shape[d], x->strides[d]);
        m->leads *= x->shape[d];
    }
    ad_walk_finish(&m->lead);
    m->per_item = m->row.numel && m->row.numel < ITEM ? ITEM / m->row.numel : 1;
}

/* The shape of index_get's result and of index_put's values; returns its number of dimensions. */
static int result_shape(const ad_tensor *x, int first, int n, const ad_tensor *index, int64_t *shape) {
    const int rest = x->ndim - first - n;
    memcpy(shape, x->shape, sizeof(int64_t) * first);
    memcpy(shape + first, index->shape, sizeof(int64_t) * index->ndim);
    memcpy(shape + first + index->ndim, x->shape + first + n, sizeof(int64_t) * rest);
    return first + index->ndim + rest;
}

/* Single elements, without a call for each: n of each of the leads, that are `step` bytes apart in x. */
static void get_elements(int64_t nbytes, char *rows, const char *x, int64_t step, int64_t leads,
                         const int64_t *offsets, int64_t n) {
#define GET(bytes)                                                                                           \
    for (int64_t lead = 0; lead < leads; lead++, x += step, rows += n * (bytes)) {                           \
        int64_t i = 0;                                                                                       \
        for (; n - i >= 4; i += 4)                                                                           \
            AD_UNROLL for (int j = 0; j < 4; j++)                                                            \
                memcpy(rows + (i + j) * (bytes), x + offsets[i + j], bytes);                                 \
        for (; i < n; i++) memcpy(rows + i * (bytes), x + offsets[i], bytes);                                \
    }
    switch (nbytes) {
    case 1: GET(1) break;
    case 2: GET(2) break;
    case 4: GET(4) break;
    default: GET(8)
    }
#undef GET
}

static void put_elements(int64_t nbytes, char *x, const char *rows, const int64_t *offsets, int64_t n) {
#define PUT(bytes)                                                                                           \
    for (int64_t i = 0; i < n; i++) memcpy(x + offsets[i], rows + i * (bytes), bytes)
    switch (nbytes) {
    case 1: PUT(1); break;
    case 2: PUT(2); break;
    case 4: PUT(4); break;
    default: PUT(8);
    }
#undef PUT
}

/* Rows [begin, end) out of x, or into it. */
static void move_rows(const row_moves *m, char *x, char *rows, int64_t begin, int64_t end) {
    int64_t nbytes = m->row.numel * ad_itemsize[m->row.dtype];
    if (m->row.numel == 1) {
        rows += begin * nbytes;
        if (m->into)
            put_elements(nbytes, x, rows, m->offsets + begin, end - begin);
        else
            get_elements(nbytes, rows, x, 0, 1, m->offsets + begin, end - begin);
        return;
    }
    if (m->row.contiguous) {
        for (int64_t i = begin; i < end; i++) {
            char *in_x = x + m->offsets[i], *row = rows + i * nbytes;
            if (m->far && i + 1 < end) ad_fetch_row(x + m->offsets[i + 1], nbytes);
            ad_move_run(m->into ? in_x : row, m->into ? row : in_x, nbytes);
        }
        return;
    }
    ad_tensor in_x = m->row, packed = m->row;
    ad_set_row_major(&packed);
    packed.contiguous = true;
    for (int64_t i = begin; i < end; i++) {
        in_x.data = x + m->offsets[i];
        packed.data = rows + i * nbytes;
        ad_copy_into(m->into ? &in_x : &packed, m->into ? &packed : &in_x);
    }
}

static char *lead_in_x(const row_moves *m, int64_t lead) {
    return m->row.data + ad_walk_offset(&m->lead, lead) * ad_itemsize[m->row.dtype];
}
static char *lead_in_rows(const row_moves *m, int64_t lead) {
    return m->rows + lead * m->count * m->row.numel * ad_itemsize[m->row.dtype];
}

/* Some rows of one lead, or few rows of several. */
static void get_item(void *context, int64_t item) {
    const row_moves *m = context;
    if (m->per_item < m->count) {
        const int64_t items = (m->count + m->per_item - 1) / m->per_item, lead = item / items;
        const int64_t begin = item % items * m->per_item;
        move_rows(m, lead_in_x(m, lead), lead_in_rows(m, lead), begin,
                  ad_least(begin + m->per_item, m->count));
        return;
    }
    const int64_t leads = m->per_item / m->count, begin = item * leads;
    const int64_t end = ad_least(begin + leads, m->leads), bytes = ad_itemsize[m->row.dtype];
    if (m->row.numel == 1 && m->lead.ndim == 1) {
        get_elements(bytes, lead_in_rows(m, begin), lead_in_x(m, begin), m->lead.strides[0] * bytes,
                     end - begin, m->offsets, m->count);
        return;
    }
    for (int64_t lead = begin; lead < end; lead++)
        move_rows(m, lead_in_x(m, lead), lead_in_rows(m, lead), 0, m->count);
}

static void get_rows(row_moves *m) {
    int64_t items = m->per_item < m->count ? (m->count + m->per_item - 1) / m->per_item * m->leads
                                           : (m->leads - 1) / (m->per_item / m->count) + 1;
    const int64_t numel = m->leads * m->count * m->row.numel;
    ad_parallel_for(items, m->row.contiguous && m->row.numel > 1 ? numel / 4 : numel, get_item, m);
}

/* Elements of a vector go there at once. False if an index is below 0, or wrong. */
static bool get_of_vector(const ad_tensor *y, const ad_tensor *x, const ad_tensor *index) {
    if (x->ndim != 1 || !index->contiguous || !y->numel) return false;
    ad_tensor line = *index;
    line.ndim = 1, line.shape[0] = line.numel, line.strides[0] = 1;
    return !ad_take_along(x, 0, &line, y->data);
}

static int run_index_get(const ad_call *c) {
    const int first = *(const int *)c->numbers, n = c->n_in - 1;
    const ad_tensor *x = ad_in(c, 0), *const *index = c->x + 2;
    row_moves m = {.into = false};
    plan_rows(&m, x, first, n, index[0]->numel);
    const bool let_go = ad_let_go(m.count * n), done = get_of_vector(ad_out(c, 0), x, index[0]);
    int64_t *offsets = done ? NULL : row_offsets(x, first, n, index);
    m.offsets = offsets;
    m.rows = ad_out(c, 0)->data;
    if (offsets && ad_out(c, 0)->numel) get_rows(&m);
    ad_dealloc(offsets);
    ad_take_back(let_go);
    return done || offsets ? AD_OK : ad_error(NULL);
}

int ad_take_rows(const ad_tensor *y, const ad_tensor *x, const ad_tensor *index) {
    const int first = 0;
    const ad_tensor *const operands[] = {y, x, index};
    return run_index_get(&(ad_call){run_index_get, "index", 1, 2, .x = operands, .numbers = &first});
}

ad_tensor *ad_index_get(const ad_tensor *x, int first, int n, const ad_tensor *const *index) {
    int64_t shape[AD_MAX_DIMS];
    if (check_index(x, first, n, index)) return NULL;
    const ad_tensor *operands[2 + AD_MAX_DIMS] = {NULL, x};
    ad_tensor *y = ad_make(x->dtype, result_shape(x, first, n, index[0], shape), shape);
    operands[0] = y;
    for (int i = 0; i < n; i++) operands[2 + i] = index[i];
    const ad_call c = {run_index_get,           "index",      1, 1 + n, .x = operands, .numbers = &first,
                       .n_bytes = sizeof first, .picks = true};
    return y ? ad_done(&c, y) : NULL;
}

int ad_index_rows(int n, const ad_tensor *const *x, const ad_tensor *index, int64_t from, int64_t to,
                  ad_tensor **out) {
    ad_tensor *part = ad_slice(index, 0, from, to, 1);
    if (!part) return ad_error(NULL);
    const ad_tensor *const one[] = {part};
    int done = 0;
    while (done < n && (out[done] = ad_index_get(x[done], 0, 1, one))) done++;
    ad_free(part);
    if (done == n) return AD_OK;
    while (done) ad_free(out[--done]);
    return ad_error(NULL);
}

/* ---- adding rows ---- */

/* n elements of src to those at `at`, an address by i; truth values stay 0 or 1. */
#define ADD(T, join, at)                                                                                     \
    for (int64_t i = 0; i < n; i++) *(T *)(at)join((const T *)src)[i]
#define ADD_ANY(dtype, at)                                                                                   \
    switch (dtype) {                                                                                         \
    case AD_bool: ADD(uint8_t, |=, at); break;                                                               \
    case AD_uint8:                                                                                           \
    case AD_int8: ADD(uint8_t, +=, at); break;                                                               \
    case AD_int16: ADD(int16_t, +=, at); break;                                                              \
    case AD_int32: ADD(int32_t, +=, at); break;                                                              \
    case AD_int64: ADD(int64_t, +=, at); break;                                                              \
    case AD_float32: ADD(float, +=, at); break;                                                              \
    default: ADD(double, +=, at);                                                                            \
    }

static void add_run(int64_t n, int dtype, char *dst, int64_t ds, const char *src) {
    const int64_t step = ds * ad_itemsize[dtype];
    if (ds == 1 && ad_is_float(dtype))
        ad_cpu->pw->instr[AD_OP_add][ad_dtype_type[dtype]](n, dst, dst, src, NULL);
    else
        ADD_ANY(dtype, dst + i * step)
}

static void add_row(const ad_tensor *row, int d, char *dst, const char **src) {
    int size = ad_itemsize[row->dtype];
    int64_t n = row->contiguous ? row->numel : row->shape[d];
    if (row->contiguous || d == row->ndim - 1) {
        add_run(n, row->dtype, dst, row->contiguous ? 1 : row->strides[d], *src);
        *src += n * size;
        return;
    }
    for (int64_t i = 0; i < n; i++) add_row(row, d + 1, dst + i * row->strides[d] * size, src);
}

/* Single elements, without a call for each. */
static void add_elements(int dtype, char *x, const char *src, const int64_t *offsets, int64_t n) {
    ADD_ANY(dtype, x + offsets[i])
}

/* One row after the other: where an index repeats, the order of the additions is that of the list. An item is
 * a strip of the rows, where they are contiguous, of one lead. */
static void add_item(void *context, int64_t item) {
    const row_moves *m = context;
    const int64_t size = ad_itemsize[m->row.dtype];
    const int64_t lead = item / m->strips, strip = m->strips > 1 ? STRIP : m->row.numel;
    const int64_t first = item % m->strips * strip;
    char *x = lead_in_x(m, lead);
    const char *src = lead_in_rows(m, lead);
    if (m->row.numel == 1) {
        add_elements(m->row.dtype, x, src, m->offsets, m->count);
    } else if (m->row.contiguous) {
        for (int64_t i = 0; i < m->count; i++)
            add_run(ad_least(strip, m->row.numel - first), m->row.dtype, x + m->offsets[i] + first * size, 1,
                    src + (i * m->row.numel + first) * size);
    } else {
        for (int64_t i = 0; i < m->count; i++) add_row(&m->row, 0, x + m->offsets[i], &src);
    }
}

static void add_rows(row_moves *m) {
    const int64_t strips = m->row.contiguous ? (m->row.numel + STRIP - 1) / STRIP : 1;
    m->strips = ad_shared_strips(strips, m->row.numel * ad_itemsize[m->row.dtype]);
    ad_parallel_for(m->leads * m->strips, m->leads * m->count * m->row.numel, add_item, m);
}

/* A tensor of exactly this shape, x's dtype and packed rows, that shares no memory with x. */
static ad_tensor *prepare_values(const ad_tensor *x, const ad_tensor *values, int ndim,
                                 const int64_t *shape) {
    ad_tensor *wide = ad_widened(values, ndim, shape);
    if (!wide || (wide->dtype == x->dtype && wide->contiguous && !ad_may_overlap(x, wide))) return wide;
    ad_tensor *made = ad_contiguous(wide, x->dtype);
    ad_free(wide);
    return made;
}

typedef struct {
    int first, accumulate;
} put_numbers;

static int run_index_put(const ad_call *c) {
    const put_numbers *how = c->numbers;
    const int first = how->first, n = c->n_in - 1, accumulate = how->accumulate;
    ad_tensor *x = ad_out(c, 0);
    const ad_tensor *values = ad_in(c, 0), *const *index = c->x + 2;
    int64_t shape[AD_MAX_DIMS];
    row_moves m = {.into = true};
    plan_rows(&m, x, first, n, index[0]->numel);
    const bool let_go = ad_let_go(m.leads * m.count * m.row.numel / 4 + m.count * n);
    int64_t *offsets = row_offsets(x, first, n, index);
    ad_tensor *from =
        offsets ? prepare_values(x, values, result_shape(x, first, n, index[0], shape), shape) : NULL;
    if (from) {
        m.offsets = offsets;
        m.rows = from->data;
        if (from->numel && accumulate)
            add_rows(&m);
        else if (from->numel)
            for (int64_t lead = 0; lead < m.leads; lead++)
                move_rows(&m, lead_in_x(&m, lead), lead_in_rows(&m, lead), 0, m.count);
        ad_wrote(x, AD_BY_INDEX_PUT);
    }
    int status = from ? AD_OK : ad_error(NULL);
    ad_free(from);
    ad_dealloc(offsets);
    ad_take_back(let_go);
    return status;
}

int ad_index_put(ad_tensor *x, int first, int n, const ad_tensor *const *index, const ad_tensor *values,
                 int accumulate) {
    if (ad_check_writable(x) || check_index(x, first, n, index)) return ad_error(NULL);
    if (accumulate) AD_ADD_IN_FLOAT32(x, ad_index_put(wide, first, n, index, values, accumulate))
    const put_numbers how = {first, accumulate};
    const ad_tensor *operands[2 + AD_MAX_DIMS] = {x, values};
    for (int i = 0; i < n; i++) operands[2 + i] = index[i];
    return ad_do(&(ad_call){run_index_put, "index_put_", 1, 1 + n, .x = operands, .numbers = &how,
                            .n_bytes = sizeof how, .picks = true});
}

/* ---- in the whole of a tensor ---- */

static ad_tensor *flat(const ad_tensor *x) { return ad_view(x, 1, &x->numel); }

ad_tensor *ad_take(const ad_tensor *x, const ad_tensor *index) {
    ad_tensor *made;
    const ad_tensor *dense = ad_packed(x, x->dtype, &made);
    ad_tensor *row = dense ? flat(dense) : NULL, *y = row ? ad_index_get(row, 0, 1, &index) : NULL;
    ad_free(row), ad_free(made);
    return y;
}

int ad_put(ad_tensor *x, const ad_tensor *index, const ad_tensor *values, int accumulate) {
    ad_tensor *to = flat(x), *at = to ? flat(index) : NULL, *from = at ? flat(values) : NULL;
    ad_tensor *part = from ? ad_slice(from, 0, 0, index->numel, 1) : NULL;
    const ad_tensor *const one[] = {at};
    int status = part ? AD_OK : ad_error(NULL);
    if (part && part->numel != index->numel) status = ad_fail(AD_BAD_SHAPE, values->numel, index->numel, 0);
    if (!status) status = ad_index_put(to, 0, 1, one, part, accumulate);
    ad_free(part), ad_free(from), ad_free(at), ad_free(to);
    return status;
}
