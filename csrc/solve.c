/* solve.c: triangular solves, LU with row exchanges, Cholesky; of batches of matrices.
 *
 * Each halves its matrix until what is left is for a kernel, and all between the halves is C -= A B by the
 * matrix product. Upper triangles are lower ones read from the end: strides may be negative. What one matrix
 * gives depends neither on its batch nor on the threads. */
#include <math.h>
#include <stdatomic.h>
#include "factor.h"

/* The smaller of A and B is negated first. */
int ad_subtract_product(const ad_tools *t, int64_t m, int64_t n, int64_t k, ad_matrix a, ad_matrix b, char *c,
                        int64_t c_row) {
    if (m == 0 || n == 0 || k == 0) return AD_OK;
    ad_product g = {
        .kernels = t->gemm, .size = t->size, .m = m, .n = n, .k = k, .a = a, .b = b, .c = c, .c_row = c_row};
    const bool vector = m == 1 || n == 1;
    char *made = ad_alloc((size_t)((vector ? m * n : ad_least(m, n) * k) * t->size));
    if (!made) return AD_NO_MEMORY;
    int status;
    if (vector) {
        g.c = made;
        g.c_row = n;
        status = ad_gemm(&g);
        if (!status) t->kernels->subtract(m * n, c, n == 1 ? c_row : 1, made);
    } else {
        if (m < n) {
            t->kernels->negate(m, k, made, a.data, a.row, a.col);
            g.a = (ad_matrix){made, k, 1};
        } else {
            t->kernels->negate(k, n, made, b.data, b.row, b.col);
            g.b = (ad_matrix){made, n, 1};
        }
        g.accumulate = true;
        status = ad_gemm(&g);
    }
    ad_dealloc(made);
    return status;
}

/* Half of n, a multiple of `unit`. */
static int64_t half(int64_t n, int64_t unit) { return (n / 2 + unit - 1) / unit * unit; }

/* B (n x cols) = T^-1 B, T lower triangular. */
static int substitute(const ad_tools *t, int64_t n, ad_matrix l, bool unit, int64_t cols, char *b,
                      int64_t b_row) {
    if (n <= AD_TRIANGLE) {
        t->kernels->substitute((int)n, l.data, l.row, l.col, unit, cols, b, b_row);
        return AD_OK;
    }
    const int64_t top = half(n, AD_TRIANGLE);
    char *rest = b + top * b_row * t->size;
    int status = substitute(t, top, l, unit, cols, b, b_row);
    if (!status)
        status = ad_subtract_product(t, n - top, cols, top, ad_moved(t, l, top, 0), (ad_matrix){b, b_row, 1},
                                     rest, b_row);
    return status ? status : substitute(t, n - top, ad_moved(t, l, top, top), unit, cols, rest, b_row);
}

/* The same for either triangle, of B without gaps. */
int ad_solve_triangle(const ad_tools *t, int64_t n, ad_matrix l, bool upper, bool unit, int64_t cols,
                      char *b) {
    if (n == 0 || cols == 0) return AD_OK;
    if (!upper) return substitute(t, n, l, unit, cols, b, cols);
    l = ad_moved(t, l, n - 1, n - 1);
    l.row = -l.row;
    l.col = -l.col;
    return substitute(t, n, l, unit, cols, b + (n - 1) * cols * t->size, -cols);
}

/* ---- LU ---- */

typedef struct {
    const ad_tools *t;
    ad_matrix a;
    int64_t n;       /* rows and columns */
    int64_t *pivots; /* the row that each row changed places with */
    int64_t first;   /* column whose pivot is 0, or n */
    char *work;
} lu;

static void exchange(const lu *f, int64_t from, int64_t to, int64_t col, int64_t cols) {
    const int64_t bytes = cols * f->t->size;
    for (int64_t i = from; i < to; i++) {
        char *x = (char *)ad_moved(f->t, f->a, i, col).data,
             *y = (char *)ad_moved(f->t, f->a, f->pivots[i], col).data;
        char kept[256];
        for (int64_t done = 0; x != y && done < bytes; done += (int64_t)sizeof kept) {
            const size_t part = (size_t)ad_least(bytes - done, (int64_t)sizeof kept);
            memcpy(kept, x + done, part);
            memcpy(x + done, y + done, part);
            memcpy(y + done, kept, part);
        }
    }
}

/* Of columns [c, c + n), from row c down. */
static int factor_lu(lu *f, int64_t c, int64_t n) {
    const ad_tools *t = f->t;
    const ad_matrix a = ad_moved(t, f->a, c, c);
    if (n <= AD_PANEL) {
        const int first = t->kernels->panel(f->n - c, (int)n, (char *)a.data, a.row, f->pivots + c, f->work);
        for (int64_t i = c; i < c + n; i++) f->pivots[i] += c;
        if (first < n) f->first = ad_least(f->first, c + first);
        return AD_OK;
    }
    const int64_t left = half(n, AD_PANEL), right = n - left, below = f->n - c - left;
    char *upper = (char *)ad_moved(t, a, 0, left).data, *rest = (char *)ad_moved(t, a, left, left).data;
    int status = factor_lu(f, c, left);
    if (status) return status;
    exchange(f, c, c + left, c + left, right);
    status = substitute(t, left, a, true, right, upper, a.row);
    if (!status)
        status = ad_subtract_product(t, below, right, left, ad_moved(t, a, left, 0),
                                     (ad_matrix){upper, a.row, 1}, rest, a.row);
    if (!status) status = factor_lu(f, c + left, right);
    if (!status) exchange(f, c + left, c + n, c, left);
    return status;
}

/* LU of n rows, over a, where the rows went and the first column whose pivot is 0; and the determinant,
 * or its sign. */
typedef struct {
    const ad_tools *t;
    int64_t n, first, *pivots;
    char *a, *work;
} whole;

/* With room behind it for `more` elements. */
static char *room_for(whole *f, const ad_tools *t, int64_t n, int64_t more) {
    const int64_t work = n * ad_least(n, AD_PANEL);
    char *room = ad_alloc((size_t)n * sizeof(int64_t) + (size_t)((work + more) * t->size));
    *f = (whole){.t = t, .n = n, .pivots = (int64_t *)(void *)room};
    if (room) f->work = room + n * (int64_t)sizeof(int64_t);
    return room;
}

static int factor_whole(whole *w) {
    lu f = {w->t, {w->a, w->n, 1}, w->n, w->pivots, w->n, w->work};
    const int status = factor_lu(&f, 0, w->n);
    w->first = f.first;
    return status;
}

static double determinant(const whole *w, bool sign) {
    double product = 1;
    for (int64_t i = 0; i < w->n; i++) {
        const double u = ad_element(w->a, w->t->size, i * (w->n + 1));
        product *= !sign || u == 0 || isnan(u) ? u : u > 0 ? 1 : -1;
        if (w->pivots[i] != i) product = -product;
    }
    return product;
}

static int lu_one(const ad_factor *x, int64_t i) {
    const int64_t n = x->n;
    const ad_tools t = ad_tools_of(x->out->dtype);
    int64_t *order = (int64_t *)x->order->data + i * n;
    whole w;
    char *room = room_for(&w, &t, n, 0);
    if (!room) return AD_NO_MEMORY;
    w.a = x->out->data + i * n * n * t.size;
    const int status = n ? factor_whole(&w) : AD_OK;
    for (int64_t j = 0; j < n; j++) order[j] = j;
    for (int64_t j = 0; !status && j < n; j++) {
        const int64_t kept = order[j];
        order[j] = order[w.pivots[j]];
        order[w.pivots[j]] = kept;
    }
    ((int64_t *)x->info->data)[i] = w.first < n ? w.first + 1 : 0;
    if (x->det && !status) ad_set_element(x->det->data, t.size, i, determinant(&w, x->how.sign));
    ad_dealloc(room);
    return status;
}

/* ---- Cholesky, U^T U over the upper triangle ---- */

/* C -= B^T B, of C's upper triangle and whatever blocks on the diagonal hold below it. */
static int subtract_square(const ad_tools *t, int64_t n, int64_t k, ad_matrix b, ad_matrix c) {
    enum { WHOLE = 64 };
    const ad_matrix turned = {b.data, b.col, b.row};
    if (n <= WHOLE) return ad_subtract_product(t, n, n, k, turned, b, (char *)c.data, c.row);
    const int64_t left = half(n, AD_PANEL);
    int status = subtract_square(t, left, k, b, c);
    if (!status)
        status = ad_subtract_product(t, left, n - left, k, turned, ad_moved(t, b, 0, left),
                                     (char *)ad_moved(t, c, 0, left).data, c.row);
    return status ? status
                  : subtract_square(t, n - left, k, ad_moved(t, b, 0, left), ad_moved(t, c, left, left));
}

/* *first: the row that cannot be, where it is less than n. */
static int factor_root(const ad_tools *t, int64_t n, ad_matrix a, int64_t *first) {
    if (n <= AD_PANEL) {
        *first = t->kernels->root((int)n, (char *)a.data, a.row);
        return AD_OK;
    }
    const int64_t top = half(n, AD_PANEL);
    const ad_matrix beside = ad_moved(t, a, 0, top), rest = ad_moved(t, a, top, top);
    int status = factor_root(t, top, a, first);
    if (status || *first < top) return status;
    status =
        substitute(t, top, (ad_matrix){a.data, a.col, a.row}, false, n - top, (char *)beside.data, a.row);
    if (!status) status = subtract_square(t, n - top, top, beside, rest);
    if (!status) status = factor_root(t, n - top, rest, first);
    *first += top;
    return status;
}

static int root_one(const ad_factor *x, int64_t i) {
    const int64_t n = x->n;
    const ad_tools t = ad_tools_of(x->out->dtype);
    const ad_matrix a = {x->out->data + i * n * n * t.size, n, 1};
    int64_t first = n;
    const int status = n ? factor_root(&t, n, a, &first) : AD_OK;
    for (int64_t row = 1; row < n; row++)
        memset((char *)ad_moved(&t, a, row, 0).data, 0, (size_t)(row * t.size));
    ((int64_t *)x->info->data)[i] = first < n ? first + 1 : 0;
    return status;
}

/* ---- solves ---- */

static ad_matrix matrix_at(const ad_tensor *x, int64_t offset) {
    const int64_t *strides = x->strides + x->ndim - 2;
    return (ad_matrix){x->data + offset * ad_itemsize[x->dtype], strides[0], strides[1]};
}

ad_matrix ad_matrix_of(const ad_tensor *x, int64_t i) {
    int64_t offset = 0;
    for (int d = x->ndim - 3; d >= 0; d--) {
        offset += i % x->shape[d] * x->strides[d];
        i /= x->shape[d];
    }
    return matrix_at(x, offset);
}

/* What a batch's matrix is solved with. */
static ad_matrix solver_of(const ad_factor *x, int64_t i) {
    int64_t offset = 0;
    for (int d = x->out->ndim - 3; d >= 0; d--) {
        offset += i % x->out->shape[d] * ad_broadcast_stride(x->a, x->out->ndim, d);
        i /= x->out->shape[d];
    }
    return matrix_at(x->a, offset);
}

static int triangle_one(const ad_factor *x, int64_t i) {
    const ad_tools t = ad_tools_of(x->out->dtype);
    return ad_solve_triangle(&t, x->n, solver_of(x, i), x->how.upper, x->how.unit, x->cols,
                             x->out->data + i * x->n * x->cols * t.size);
}

static int root_solve_one(const ad_factor *x, int64_t i) {
    const ad_tools t = ad_tools_of(x->out->dtype);
    const ad_matrix a = solver_of(x, i), turned = {a.data, a.col, a.row};
    char *b = x->out->data + i * x->n * x->cols * t.size;
    const int status = ad_solve_triangle(&t, x->n, x->how.upper ? turned : a, false, false, x->cols, b);
    return status ? status : ad_solve_triangle(&t, x->n, x->how.upper ? a : turned, true, false, x->cols, b);
}

/* Rows in the order of `order`, or back. */
static int permute_rows(const ad_factor *x, const int64_t *order, char *b) {
    const int64_t row = x->cols * ad_itemsize[x->out->dtype];
    char *kept = ad_alloc((size_t)(x->n * row));
    if (!kept) return AD_NO_MEMORY;
    memcpy(kept, b, (size_t)(x->n * row));
    for (int64_t j = 0; j < x->n; j++)
        if (x->how.transposed)
            memcpy(b + order[j] * row, kept + j * row, (size_t)row);
        else
            memcpy(b + j * row, kept + order[j] * row, (size_t)row);
    ad_dealloc(kept);
    return AD_OK;
}

static int lu_solve_one(const ad_factor *x, int64_t i) {
    const int64_t n = x->n;
    const ad_tools t = ad_tools_of(x->out->dtype);
    const int64_t *order = (const int64_t *)x->order->data + i * n;
    const ad_matrix a = {x->a->data + i * n * n * t.size, n, 1}, turned = {a.data, 1, n};
    char *b = x->out->data + i * n * x->cols * t.size;
    if (n == 0 || x->cols == 0) return AD_OK;
    int status = x->how.transposed ? AD_OK : permute_rows(x, order, b);
    if (!status)
        status =
            ad_solve_triangle(&t, n, x->how.transposed ? turned : a, false, !x->how.transposed, x->cols, b);
    if (!status)
        status =
            ad_solve_triangle(&t, n, x->how.transposed ? turned : a, true, x->how.transposed, x->cols, b);
    return status || !x->how.transposed ? status : permute_rows(x, order, b);
}

/* Over zeros, T^-1 of a lower triangle with a diagonal of 1: what `substitute` makes of the identity, without
 * what is zero. */
static int invert_triangle(const ad_tools *t, int64_t n, ad_matrix l, char *x, int64_t row) {
    enum { WHOLE = 32 };
    if (n <= WHOLE) {
        for (int64_t i = 0; i < n; i++) ad_set_element(x, t->size, i * (row + 1), 1);
        return substitute(t, n, l, true, n, x, row);
    }
    const int64_t top = half(n, AD_TRIANGLE), below = n - top;
    const ad_matrix rest = ad_moved(t, l, top, top);
    char *left = x + top * row * t->size;
    int status = invert_triangle(t, top, l, x, row);
    if (!status)
        status = ad_subtract_product(t, below, top, top, ad_moved(t, l, top, 0), (ad_matrix){x, row, 1}, left,
                                     row);
    if (!status) status = substitute(t, below, rest, true, top, left, row);
    return status ? status : invert_triangle(t, below, rest, left + top * t->size, row);
}

/* U^-1 L^-1 P. */
static int inverse_one(const ad_factor *x, int64_t i) {
    const int64_t n = x->n, *order = (const int64_t *)x->order->data + i * n;
    const ad_tools t = ad_tools_of(x->out->dtype);
    const int64_t row = n * t.size;
    const ad_matrix lu = {x->source->data + i * n * row, n, 1};
    char *out = x->out->data + i * n * row, *kept = ad_alloc((size_t)row);
    if (!kept) return AD_NO_MEMORY;
    memset(out, 0, (size_t)(n * row));
    int status = n ? invert_triangle(&t, n, lu, out, n) : AD_OK;
    for (int64_t r = 0; !status && r < n; r++) { /* to the columns where P has them */
        char *to = out + r * row;
        memcpy(kept, to, (size_t)((r + 1) * t.size));
        memset(to, 0, (size_t)((r + 1) * t.size));
        for (int64_t c = 0; c <= r; c++) ad_set_element(to, t.size, order[c], ad_element(kept, t.size, c));
    }
    ad_dealloc(kept);
    return status ? status : ad_solve_triangle(&t, n, lu, true, false, n, out);
}

/* The determinant of each minor with the sign of its place, of a singular matrix. */
static int minors_one(const ad_factor *x, int64_t i) {
    const int64_t n = x->n, m = n - 1;
    const ad_tools t = ad_tools_of(x->out->dtype);
    char *out = x->out->data + i * n * n * t.size;
    whole w;
    char *room = room_for(&w, &t, m, m * m + n * n);
    if (!room) return AD_NO_MEMORY;
    w.a = w.work + m * ad_least(m, AD_PANEL) * t.size;
    char *given = w.a + m * m * t.size;
    memcpy(given, out, (size_t)(n * n * t.size));
    int status = AD_OK;
    for (int64_t k = 0; !status && k < n * n; k++) {
        const int64_t row = k / n, col = k % n, left = col * t.size, right = (m - col) * t.size;
        for (int64_t r = 0; r < m; r++) {
            const char *from = given + (r + (r >= row)) * n * t.size;
            char *to = w.a + r * m * t.size;
            memcpy(to, from, (size_t)left);
            memcpy(to + left, from + left + t.size, (size_t)right);
        }
        if (m) status = factor_whole(&w);
        const double minor = determinant(&w, false);
        ad_set_element(out, t.size, k, (row + col) % 2 ? -minor : minor);
    }
    ad_dealloc(room);
    return status;
}

/* det A^-T, where there is an inverse. */
static int cofactors_one(const ad_factor *x, int64_t i) {
    if (((const int64_t *)x->info->data)[i]) return minors_one(x, i);
    const int64_t n = x->n, size = ad_itemsize[x->out->dtype];
    char *out = x->out->data + i * n * n * size;
    const double det = ad_element(x->det->data, size, i);
    ad_set_identity(out, size, n, n);
    const int status = lu_solve_one(x, i);
    for (int64_t k = 0; k < n * n; k++) ad_set_element(out, size, k, det * ad_element(out, size, k));
    return status;
}

/* ---- batches ---- */

static int (*const one_of[])(const ad_factor *x, int64_t i) = {
    [AD_FACTOR_lu] = lu_one,
    [AD_FACTOR_root] = root_one,
    [AD_FACTOR_qr] = ad_qr_one,
    [AD_FACTOR_svd] = ad_svd_one,
    [AD_FACTOR_eigh] = ad_eigh_one,
    [AD_FACTOR_triangle] = triangle_one,
    [AD_FACTOR_root_solve] = root_solve_one,
    [AD_FACTOR_lu_solve] = lu_solve_one,
    [AD_FACTOR_inverse] = inverse_one,
    [AD_FACTOR_cofactors] = cofactors_one,
    [AD_FACTOR_exp] = ad_exp_one,
    [AD_FACTOR_least_squares] = ad_least_squares_one,
};

typedef struct {
    const ad_factor *x;
    atomic_int status;
} batch;

static void run_one(void *context, int64_t i) {
    batch *t = context;
    const int status = one_of[t->x->how.kind](t->x, i);
    if (status) atomic_store(&t->status, status);
}

/* Small matrices are spread over the threads; large ones, one after the other, use them themselves. */
int ad_factor_run(const ad_call *c) {
    enum { LARGE = 1000000 };
    ad_factor x = {.how = *(const ad_factor_kind *)c->numbers, .count = 1};
    for (int i = 0; i < c->n_out + c->n_in; i++) x.slots[x.how.slots[i]] = c->x[i];
    const int64_t *shape = x.source->shape + x.source->ndim - 2;
    x.n = shape[0];
    x.cols = shape[1];
    for (int d = 0; d < x.source->ndim - 2; d++) x.count *= x.source->shape[d];
    batch t = {.x = &x};
    atomic_init(&t.status, AD_OK);
    if (x.how.kind != AD_FACTOR_inverse) ad_copy_into(x.out, x.source);
    const double each = 1 + (double)x.n * (double)x.n * (double)(x.cols + x.n) / 20;
    const double cost = each * (double)x.count;
    if (each < LARGE) {
        ad_parallel_for(x.count, cost < 1e15 ? (int64_t)cost : (int64_t)1e15, run_one, &t);
    } else {
        for (int64_t i = 0; i < x.count; i++) run_one(&t, i);
    }
    const int status = atomic_load(&t.status);
    return status ? ad_fail(status, x.n * x.cols * ad_itemsize[x.out->dtype], 0, 0) : AD_OK;
}
