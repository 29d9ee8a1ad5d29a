/* qr.c: QR, and least squares by it; by Householder's reflections, a panel of them at a time: their product
 * is 1 - V T V^T (Schreiber and Van Loan, SIAM J. Sci. Stat. Comput. 10, 1989), so that what is beside a
 * panel takes three products. */
#include "spectral.h"
#include <math.h>

typedef struct {
    ad_tools t;
    int64_t m, n;
    ad_matrix v;         /* of the first panel, */
    int64_t next;        /* and how many elements further that of a column is */
    char *triangles, *w; /* their T, and room for two products */
} qr;

static ad_matrix turn(ad_matrix x) { return (ad_matrix){x.data, x.col, x.row}; }

/* V of the panel at column c, rows from c on. */
static ad_matrix panel_v(const qr *f, int64_t c) {
    return (ad_matrix){f->v.data + c * f->next * f->t.size, f->v.row, f->v.col};
}

static int multiply(const ad_tools *t, int64_t m, int64_t n, int64_t k, ad_matrix a, ad_matrix b, char *c) {
    ad_product g = {
        .kernels = t->gemm, .size = t->size, .m = m, .n = n, .k = k, .a = a, .b = b, .c = c, .c_row = n};
    return ad_gemm(&g);
}

/* X (rows from c on, cols columns) = (1 - V T V^T) X, or that of the transpose. */
static int apply(const qr *f, int64_t c, int64_t width, bool turned, int64_t cols, char *x, int64_t row) {
    const ad_tools *t = &f->t;
    const ad_matrix v = panel_v(f, c);
    char *second = f->w + width * cols * t->size;
    char *triangle = f->triangles + c * AD_PANEL * t->size;
    int status = multiply(t, width, cols, f->m - c, turn(v), (ad_matrix){x, row, 1}, f->w);
    if (!status)
        status =
            multiply(t, width, cols, width, (ad_matrix){triangle, turned ? 1 : width, turned ? width : 1},
                     (ad_matrix){f->w, cols, 1}, second);
    return status ? status
                  : ad_subtract_product(t, f->m - c, cols, width, v, (ad_matrix){second, cols, 1}, x, row);
}

/* T of a panel. */
static int compact(const qr *f, int64_t c, int64_t width, const char *tau) {
    const ad_matrix v = panel_v(f, c);
    const int status = multiply(&f->t, width, width, f->m - c, turn(v), v, f->w);
    if (!status) f->t.kernels->compact((int)width, f->w, tau, f->triangles + c * AD_PANEL * f->t.size);
    return status;
}

/* A panel is factored apart, in rows of AD_PANEL; R goes back, over zeros, V stays. */
static int factor_panel(const qr *f, int64_t c, int64_t width, char *a, int64_t row) {
    const int64_t size = f->t.size, line = AD_PANEL * size;
    char *v = (char *)panel_v(f, c).data;
    double tau[AD_PANEL];
    for (int64_t i = 0; i < f->m - c; i++) {
        memcpy(v + i * line, a + i * row * size, (size_t)(width * size));
        memset(v + i * line + width * size, 0, (size_t)((AD_PANEL - width) * size));
    }
    f->t.kernels->reflect(f->m - c, (int)width, v, tau);
    for (int64_t i = 0; i < f->m - c; i++) {
        const int64_t below = ad_least(i, width) * size, rest = width * size - below;
        char *to = a + i * row * size, *from = v + i * line;
        memset(to, 0, (size_t)below);
        memcpy(to + below, from + below, (size_t)rest);
        memset(from + below, 0, (size_t)rest);
        if (rest) ad_set_element(from, size, i, 1);
    }
    return compact(f, c, width, (const char *)tau);
}

static int factor(const qr *f, char *a) {
    const int64_t n = f->n, size = f->t.size, least = ad_least(f->m, n);
    for (int64_t c = 0; c < least; c += AD_PANEL) {
        const int64_t width = ad_least(AD_PANEL, least - c), after = n - c - width;
        char *x = a + (c * n + c) * size;
        int status = factor_panel(f, c, width, x, n);
        if (!status && after) status = apply(f, c, width, true, after, x + width * size, n);
        if (status) return status;
    }
    return AD_OK;
}

/* The product of all reflections and Q, which has cols columns: where it is 1, it remains so as far. */
static int form(const qr *f, char *q, int64_t cols, bool one) {
    const int64_t size = f->t.size, least = ad_least(f->m, f->n);
    if (one) ad_set_identity(q, size, f->m, cols);
    if (least == 0) return AD_OK;
    for (int64_t c = (least - 1) / AD_PANEL * AD_PANEL; c >= 0; c -= AD_PANEL) {
        const int64_t width = ad_least(AD_PANEL, least - c), left = one ? c : 0;
        const int status = apply(f, c, width, false, cols - left, q + (c * cols + left) * size, cols);
        if (status) return status;
    }
    return AD_OK;
}

/* Elements that V takes where it is made here. */
static int64_t panels_of(const qr *f) {
    return (ad_least(f->m, f->n) + AD_PANEL - 1) / AD_PANEL * f->m * AD_PANEL;
}

/* Room for V, as here, with `more` elements; its T, and products of so many columns. NULL where there is
 * none. */
static char *room_for(qr *f, int64_t cols, int64_t more) {
    const int64_t triangles = (ad_least(f->m, f->n) + AD_PANEL) * AD_PANEL;
    char *memory = ad_alloc((size_t)((more + triangles + 2 * AD_PANEL * (cols + AD_PANEL)) * f->t.size));
    if (!memory) return NULL;
    f->v = (ad_matrix){memory, AD_PANEL, 1};
    f->next = f->m;
    f->triangles = memory + more * f->t.size;
    f->w = f->triangles + triangles * f->t.size;
    return memory;
}

int ad_qr_one(const ad_factor *x, int64_t i) {
    const int64_t m = x->n, n = x->cols, cols = x->a->shape[x->a->ndim - 1];
    qr f = {.t = ad_tools_of(x->out->dtype), .m = m, .n = n};
    char *memory = room_for(&f, n + cols, panels_of(&f));
    if (!memory) return AD_NO_MEMORY;
    int status = factor(&f, x->out->data + i * m * n * f.t.size);
    if (!status && cols) status = form(&f, x->a->data + i * m * cols * f.t.size, cols, true);
    ad_dealloc(memory);
    return status;
}

int ad_reflections(const ad_tools *t, int64_t m, int64_t k, ad_matrix v, const char *tau, int64_t cols,
                   char *q) {
    qr f = {.t = *t, .m = m, .n = k};
    char *memory = room_for(&f, cols, 0);
    f.v = v;
    f.next = v.row + v.col;
    if (!memory) return AD_NO_MEMORY;
    int status = AD_OK;
    for (int64_t c = 0; c < k && !status; c += AD_PANEL)
        status = compact(&f, c, ad_least(AD_PANEL, k - c), tau + c * t->size);
    if (!status) status = form(&f, q, cols, false);
    ad_dealloc(memory);
    return status;
}

/* ---- least squares ---- */

/* The root of the sum of the squares of n rows. */
static double length_of(int64_t rows, int64_t cols, const char *x, int64_t row, int64_t size) {
    double sum = 0;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++) {
            const double y = ad_element(x, size, i * row + j);
            sum += y * y;
        }
    return sqrt(sum);
}

/* Whether the least singular value of R, in the upper triangle of a, is above `least` times the largest for
 * sure: by the lengths of R and of its inverse, which takes n n elements of memory. */
static int has_rank(const qr *f, char *a, double least, char *inverse, bool *found) {
    const int64_t n = f->n, size = f->t.size;
    ad_set_identity(inverse, size, n, n);
    const int status = ad_solve_triangle(&f->t, n, (ad_matrix){a, n, 1}, true, false, n, inverse);
    const double condition = length_of(n, n, a, n, size) * length_of(n, n, inverse, n, size);
    *found = condition * least < 0.5;
    return status;
}

/* X (n x k) = R^-1 Q^T B, or, transposed, X (m x k) = Q R^-T B. */
static int solve(const qr *f, char *a, bool transposed, int64_t k, ad_matrix b, char *x) {
    const int64_t m = f->m, n = f->n, size = f->t.size, rows = transposed ? n : m;
    char *w = transposed ? x : ad_alloc((size_t)(m * k * size));
    if (!w) return AD_NO_MEMORY;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < k; j++)
            memcpy(w + (i * k + j) * size, ad_moved(&f->t, b, i, j).data, (size_t)size);
    memset(w + rows * k * size, 0, (size_t)((m - rows) * k * size));
    int status = AD_OK;
    const int64_t panels = (n + AD_PANEL - 1) / AD_PANEL;
    if (transposed) status = ad_solve_triangle(&f->t, n, (ad_matrix){a, 1, n}, false, false, k, w);
    for (int64_t p = 0; p < panels && !status; p++) {
        const int64_t c = (transposed ? panels - 1 - p : p) * AD_PANEL;
        status = apply(f, c, ad_least(AD_PANEL, n - c), !transposed, k, w + c * k * size, k);
    }
    if (transposed) return status;
    if (!status) status = ad_solve_triangle(&f->t, n, (ad_matrix){a, n, 1}, true, false, k, w);
    memcpy(x, w, (size_t)(n * k * size));
    ad_dealloc(w);
    return status;
}

/* The X of least norm of those for which A X - B is least: of A, or its transpose where that is higher than
 * wide, in `out`, B in `order`, X to `a` and the rank to `info`. By QR where the rank is full for sure. */
int ad_least_squares_one(const ad_factor *x, int64_t i) {
    const int64_t m = x->n, n = x->cols, k = x->a->shape[x->a->ndim - 1], rows = x->a->shape[x->a->ndim - 2];
    const bool transposed = x->how.transposed;
    qr f = {.t = ad_tools_of(x->out->dtype), .m = m, .n = n};
    const int64_t size = f.t.size;
    char *const given = x->out->data + i * m * n * size, *const to = x->a->data + i * rows * k * size;
    const ad_matrix b = ad_matrix_of(x->order, i);
    int64_t *const rank = (int64_t *)x->info->data + i;
    *rank = 0;
    memset(to, 0, (size_t)(rows * k * size));
    if (n == 0) return AD_OK;
    char *memory = room_for(&f, n + k, panels_of(&f) + m * n + n * n);
    if (!memory) return AD_NO_MEMORY;
    char *a = memory + panels_of(&f) * size;
    memcpy(a, given, (size_t)(m * n * size));
    bool full = false;
    int status = factor(&f, a);
    if (!status) status = has_rank(&f, a, x->how.least, a + m * n * size, &full);
    if (full) *rank = n;
    if (!status && full) status = solve(&f, a, transposed, k, b, to);
    if (!status && !full) status = ad_svd_solve(x, i, k, b, to, rank);
    ad_dealloc(memory);
    return status;
}
