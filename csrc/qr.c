/* qr.c: QR by Householder's reflections, a panel of them at a time: their product is 1 - V T V^T (Schreiber
 * and Van Loan, SIAM J. Sci. Stat. Comput. 10, 1989), so that what is beside a panel takes three products. */
#include "factor.h"

typedef struct {
    ad_tools t;
    int64_t m, n;
    ad_matrix v;         /* of all panels */
    char *triangles, *w; /* their T, and room for two products */
} qr;

static ad_matrix turn(ad_matrix x) { return (ad_matrix){x.data, x.col, x.row}; }

/* V of the panel at column c, rows from c on. */
static ad_matrix panel_v(const qr *f, int64_t c) { return ad_moved(&f->t, f->v, c, c); }

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

/* V of a panel out of the columns it lies in, where zeros are left; and its T. */
static int take_panel(const qr *f, int64_t c, int64_t width, char *a, int64_t row, const char *tau) {
    const int64_t size = f->t.size;
    const ad_matrix v = panel_v(f, c);
    for (int64_t i = 0; i < f->m - c; i++) {
        const int64_t below = ad_least(i, width), bytes = below * size;
        char *to = (char *)ad_moved(&f->t, v, i, 0).data;
        memcpy(to, a + i * row * size, (size_t)bytes);
        memset(a + i * row * size, 0, (size_t)bytes);
        memset(to + bytes, 0, (size_t)((width - below) * size));
        if (i >= width) continue;
        ad_set_element(to, size, i, 1);
    }
    return compact(f, c, width, tau);
}

static int factor(const qr *f, char *a) {
    const int64_t n = f->n, size = f->t.size, least = ad_least(f->m, n);
    double tau[AD_PANEL];
    for (int64_t c = 0; c < least; c += AD_PANEL) {
        const int64_t width = ad_least(AD_PANEL, least - c), after = n - c - width;
        char *x = a + (c * n + c) * size;
        f->t.kernels->reflect(f->m - c, (int)width, x, n, tau);
        int status = take_panel(f, c, width, x, n, (const char *)tau);
        if (!status && after) status = apply(f, c, width, true, after, x + width * size, n);
        if (status) return status;
    }
    return AD_OK;
}

/* The product of all reflections, cols columns of it. */
static int form(const qr *f, char *q, int64_t cols) {
    const int64_t size = f->t.size, least = ad_least(f->m, f->n);
    ad_set_identity(q, size, f->m, cols);
    if (least == 0) return AD_OK;
    for (int64_t c = (least - 1) / AD_PANEL * AD_PANEL; c >= 0; c -= AD_PANEL) {
        const int64_t width = ad_least(AD_PANEL, least - c);
        const int status = apply(f, c, width, false, cols - c, q + (c * cols + c) * size, cols);
        if (status) return status;
    }
    return AD_OK;
}

/* Room in memory for its T and products of so many columns; NULL where there is none. */
static char *room_for(qr *f, int64_t cols, int64_t more) {
    const int64_t triangles = (ad_least(f->m, f->n) + AD_PANEL) * AD_PANEL;
    char *memory = ad_alloc((size_t)((more + triangles + 2 * AD_PANEL * (cols + AD_PANEL)) * f->t.size));
    f->triangles = memory + more * f->t.size;
    f->w = f->triangles + triangles * f->t.size;
    return memory;
}

int ad_qr_one(const ad_factor *x, int64_t i) {
    const int64_t m = x->n, n = x->cols, least = ad_least(m, n), cols = x->a->shape[x->a->ndim - 1];
    qr f = {.t = ad_tools_of(x->out->dtype), .m = m, .n = n};
    char *memory = room_for(&f, n + cols, m * least);
    if (!memory) return AD_NO_MEMORY;
    f.v = (ad_matrix){memory, least, 1};
    int status = factor(&f, x->out->data + i * m * n * f.t.size);
    if (!status && cols) status = form(&f, x->a->data + i * m * cols * f.t.size, cols);
    ad_dealloc(memory);
    return status;
}

int ad_reflections(const ad_tools *t, int64_t m, int64_t k, ad_matrix v, const char *tau, int64_t cols,
                   char *q) {
    qr f = {.t = *t, .m = m, .n = k, .v = v};
    char *memory = room_for(&f, cols, 0);
    if (!memory) return AD_NO_MEMORY;
    int status = AD_OK;
    for (int64_t c = 0; c < k && !status; c += AD_PANEL)
        status = compact(&f, c, ad_least(AD_PANEL, k - c), tau + c * t->size);
    if (!status) status = form(&f, q, cols);
    ad_dealloc(memory);
    return status;
}
