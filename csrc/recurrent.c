/* recurrent.c: the steps of a recurrent layer over sequences of one length, forward and back. Each step is a
 * product and a program, called as Python would call them, so a tape records those. */
#include "program.h"

enum { PARTS = 4 }; /* gates at most */

/* Some columns of `rows` rows of a contiguous matrix, as a descriptor for the calls of one step. */
static void view(const ad_tensor *x, int64_t row, int64_t rows, int part, int parts, ad_tensor *y) {
    const int64_t width = x->shape[1], size = width / parts;
    *y = *x;
    y->data += (row * width + part * size) * ad_itemsize[x->dtype];
    y->shape[0] = rows;
    y->shape[1] = size;
    y->strides[0] = width;
    y->strides[1] = 1;
    ad_refresh(y);
}

/* Views that are made for a step, and the list of them. */
typedef struct {
    ad_tensor made[2 * PARTS + 6];
    ad_tensor *list[2 * PARTS + 6];
    int n;
} views;

static void add(views *v, const ad_tensor *x, int64_t row, int64_t rows, int parts) {
    for (int i = 0; i < parts; i++, v->n++) {
        view(x, row, rows, i, parts, &v->made[v->n]);
        v->list[v->n] = &v->made[v->n];
    }
}

static void add_whole(views *v, const ad_tensor *x) { v->list[v->n++] = (ad_tensor *)x; }

static int matrices(int n, const ad_tensor *const *x, int dtype) {
    if (!ad_is_float(dtype)) return ad_fail(AD_BAD_DTYPE, dtype, 0, 0);
    for (int i = 0; i < n; i++) {
        if (!x[i]) continue;
        if (x[i]->dtype != dtype) return ad_fail(AD_BAD_DTYPE, x[i]->dtype, 0, 0);
        if (x[i]->ndim != 2) return ad_fail(AD_BAD_DIM, 2, x[i]->ndim, 0);
        if (!x[i]->contiguous) return ad_fail(AD_BAD_ARG, i, 0, 0);
    }
    return AD_OK;
}

static int sizes(const ad_tensor *x, int64_t rows, int64_t columns) {
    if (!x || (x->shape[0] == rows && x->shape[1] == columns)) return AD_OK;
    return ad_fail(AD_BAD_SHAPE, x->shape[0], rows, 0);
}

int ad_recur(ad_op *op, ad_op *sum, int gates, int64_t steps, int reverse, const ad_tensor *const *in,
             ad_tensor *const *out) {
    const ad_tensor *x = in[0], *w = in[1], *h0 = in[2], *c0 = in[3], *bias = in[4];
    const ad_tensor *const all[] = {x, h0, c0, out[0], out[1], out[2]};
    if (matrices(6, all, x->dtype) || gates < 1 || gates > PARTS) return ad_error(NULL);
    const int64_t n = h0->shape[0], hidden = x->shape[1] / gates, rows = steps * n;
    if (sizes(x, rows, gates * hidden) || sizes(h0, n, hidden) || sizes(c0, n, hidden) ||
        sizes(out[0], rows, hidden) || sizes(out[1], rows, hidden) || sizes(out[2], rows, PARTS * hidden))
        return ad_error(NULL);
    ad_tensor state[2];
    const ad_tensor *h = h0, *c = c0;
    int status = AD_OK;
    for (int64_t i = 0; i < steps && !status; i++) {
        const int64_t row = (reverse ? steps - 1 - i : i) * n;
        views given = {.n = 0}, made = {.n = 0};
        ad_tensor *z = ad_matmul_t(h, w, bias, 2), *whole = NULL, part;
        if (!z) return ad_error(NULL);
        if (c0) {
            view(x, row, n, 0, 1, &part);
            whole = ad_pw2(sum, z, &part);
            if (!whole) status = ad_error(NULL);
        }
        if (!status) {
            if (!c0) add(&given, x, row, n, gates);
            add(&given, whole ? whole : z, 0, n, gates);
            if (c0 || out[2]) add_whole(&given, c0 ? c : h);
            add(&made, out[0], row, n, 1);
            if (out[1]) add(&made, out[1], row, n, 1);
            if (out[2]) add(&made, out[2], row, n, PARTS);
            status = ad_pw(op, given.n, (const ad_tensor *const *)given.list, made.n, made.list);
        }
        ad_free(whole);
        ad_free(z);
        view(out[0], row, n, 0, 1, &state[0]);
        h = &state[0];
        if (out[1]) view(out[1], row, n, 0, 1, &state[1]);
        c = &state[1];
    }
    return status;
}

int ad_recur_vjp(ad_op *op, ad_op *sum, int gates, int64_t steps, int reverse, const ad_tensor *const *in,
                 ad_tensor **out) {
    const ad_tensor *g = in[0], *w = in[1], *kept = in[2], *before = in[3], *after = in[4], *end = in[5];
    ad_tensor *dgates = out[0], *dhidden = out[1], *h = NULL, *c = NULL;
    const ad_tensor *const all[] = {g, kept, before, after, end, dgates, dhidden};
    if (matrices(7, all, g->dtype) || gates < 1 || gates > PARTS || steps < 1) return ad_error(NULL);
    const int64_t n = g->shape[0] / steps, hidden = g->shape[1], rows = steps * n;
    if (sizes(g, rows, hidden) || sizes(kept, rows, PARTS * hidden) || sizes(before, rows, hidden) ||
        sizes(after, rows, hidden) || sizes(end, n, hidden) || sizes(dgates, rows, gates * hidden) ||
        sizes(dhidden, rows, gates * hidden))
        return ad_error(NULL);
    int status = AD_OK;
    for (int64_t i = 0; i < steps && !status; i++) {
        const int64_t row = (reverse ? i : steps - 1 - i) * n;
        views given = {.n = 0}, made = {.n = 0};
        ad_tensor part, *dh = NULL, *direct = NULL, *next = NULL;
        view(g, row, n, 0, 1, &part);
        if (h && !(dh = ad_pw2(sum, &part, h))) status = ad_error(NULL);
        const ad_tensor *d = dh ? dh : &part;
        if (kept) {
            add(&given, kept, row, n, PARTS);
            add(&given, before, row, n, 1);
            if (end) add(&given, after, row, n, 1);
            add_whole(&given, d);
            if (end) add_whole(&given, c ? c : end);
        } else {
            add_whole(&given, d);
            add(&given, after, row, n, 1);
        }
        add(&made, dgates, row, n, gates);
        if (!end && kept) add(&made, dhidden, row, n, gates);
        if (kept) {
            direct = ad_empty(g->dtype, 2, (int64_t[2]){n, hidden});
            if (!direct) status = ad_error(NULL);
            add_whole(&made, direct);
        }
        if (!status) status = ad_pw(op, given.n, (const ad_tensor *const *)given.list, made.n, made.list);
        if (!status) {
            view(end || !kept ? dgates : dhidden, row, n, 0, 1, &part);
            next = ad_matmul_t(&part, w, NULL, 0);
            if (!next) status = ad_error(NULL);
        }
        ad_free(h);
        h = next;
        if (!end && kept && h) { /* of GRU, the state also goes on by itself */
            h = ad_pw2(sum, next, direct);
            if (!h) status = ad_error(NULL);
            ad_free(next);
        }
        if (end) {
            ad_free(c);
            c = direct;
        } else {
            ad_free(direct);
        }
        ad_free(dh);
    }
    if (status) {
        ad_free(h);
        ad_free(c);
        h = c = NULL;
    }
    out[2] = h;
    out[3] = c;
    return status;
}
