/* pieces.c: tensors put together from pieces of another (rolled, flipped, padded), and triangles of matrices.
 */
#include "tape.h"

enum { NOTHING = -1 };

/* `length` elements of a dimension, from one on, each `step` after the one before; or of none. */
typedef struct {
    int64_t from, step, length;
} piece;

/* The plan of one dimension is the number of its pieces, then each of them. */
static int64_t pieces_of(const int64_t *plan, const piece **pieces) {
    *pieces = (const piece *)(plan + 1);
    return plan[0];
}

/* The pieces of dimensions from d on, to their places in a part of the result. */
static void place(const int64_t *plan, int d, const ad_tensor *to, const ad_tensor *from,
                  const ad_tensor *rest) {
    if (d == to->ndim) {
        ad_copy_into(to, from);
        return;
    }
    const piece *p;
    const int64_t n = pieces_of(plan, &p), size = ad_itemsize[to->dtype];
    int64_t at = 0;
    for (int64_t i = 0; i < n; at += p[i++].length) {
        ad_tensor part = *to, source = p[i].from == NOTHING ? *rest : *from;
        part.shape[d] = p[i].length;
        part.data += at * to->strides[d] * size;
        if (p[i].from == NOTHING) {
            memcpy(source.shape, part.shape, sizeof part.shape);
            source.ndim = part.ndim;
        } else {
            source.shape[d] = p[i].length;
            source.data += p[i].from * from->strides[d] * size;
            source.strides[d] *= p[i].step;
        }
        ad_refresh(&part);
        ad_refresh(&source);
        if (!part.numel) continue;
        if (p[i].from == NOTHING)
            ad_copy_into(&part, &source);
        else
            place(plan + 1 + 3 * n, d + 1, &part, &source, rest);
    }
}

static int run_pieces(const ad_call *c) {
    const ad_tensor *value = ad_in(c, 1);
    ad_tensor rest = {0};
    if (value) rest = (ad_tensor){.data = value->data, .dtype = value->dtype};
    place(c->numbers, 0, ad_out(c, 0), ad_in(c, 0), &rest);
    return AD_OK;
}

/* The shape that a plan makes of x. */
static int check(const ad_tensor *x, int64_t n, const int64_t *plan, bool value, int64_t *shape) {
    int64_t at = 0;
    for (int d = 0; d < x->ndim; d++) {
        if (at >= n || plan[at] < 0 || plan[at] > (n - at - 1) / 3) return ad_fail(AD_BAD_ARG, n, at, 0);
        const piece *p;
        const int64_t pieces = pieces_of(plan + at, &p);
        shape[d] = 0;
        for (int64_t i = 0; i < pieces; i++) {
            if (p[i].length < 0 || p[i].step < -1 || p[i].step > 1) return ad_fail(AD_BAD_ARG, at, i, 0);
            if (__builtin_add_overflow(shape[d], p[i].length, &shape[d]))
                return ad_fail(AD_TOO_LARGE, 0, 0, 0);
            if ((p[i].from == NOTHING && value) || !p[i].length) continue;
            const int64_t room = p[i].step > 0 ? x->shape[d] - p[i].from : p[i].from + 1;
            if (p[i].from < 0 || p[i].from >= x->shape[d] || (p[i].step && p[i].length > room))
                return ad_fail(AD_BAD_INDEX, p[i].from, d, x->shape[d]);
        }
        at += 1 + 3 * pieces;
    }
    return at == n ? AD_OK : ad_fail(AD_BAD_ARG, n, at, 0);
}

ad_tensor *ad_pieces(const ad_tensor *x, int64_t n, const int64_t *plan, const ad_tensor *value) {
    int64_t shape[AD_MAX_DIMS];
    if (check(x, n, plan, value != NULL, shape)) return NULL;
    if (value && value->numel != 1) return ad_fail_null(AD_BAD_SHAPE, value->numel, 1, 0);
    ad_tensor *y = ad_make(x->dtype, x->ndim, shape);
    if (!y || !y->numel) return y;
    const ad_tensor *const operands[] = {y, x, value};
    return ad_done(&(ad_call){run_pieces, "pieces", 1, 2, .x = operands, .numbers = plan,
                              .n_bytes = sizeof *plan * (size_t)n},
                   y);
}

/* ---- triangles ---- */

typedef struct {
    const ad_tensor *y;
    int64_t diagonal;
    bool lower;
} triangle;

/* Zeros in one row of a copy of the matrices, on the other side of the diagonal. */
static void clear_row(void *context, int64_t row) {
    const triangle *t = context;
    const int64_t rows = t->y->shape[t->y->ndim - 2], cols = t->y->shape[t->y->ndim - 1];
    const int64_t size = ad_itemsize[t->y->dtype], past = row % rows + t->diagonal + t->lower;
    const int64_t edge = past < 0 ? 0 : ad_least(past, cols);
    char *at = t->y->data + row * cols * size;
    if (t->lower)
        memset(at + edge * size, 0, (size_t)((cols - edge) * size));
    else
        memset(at, 0, (size_t)(edge * size));
}

static int run_triangle(const ad_call *c) {
    triangle t = *(const triangle *)c->numbers;
    t.y = ad_out(c, 0);
    ad_copy_into(t.y, ad_in(c, 0));
    ad_parallel_for(t.y->numel / t.y->shape[t.y->ndim - 1], t.y->numel / 8, clear_row, &t);
    return AD_OK;
}

ad_tensor *ad_triangle(const ad_tensor *x, int64_t diagonal, int lower) {
    if (x->ndim < 2) return ad_fail_null(AD_BAD_DIM, 2, x->ndim, 0);
    const int64_t rows = x->shape[x->ndim - 2], cols = x->shape[x->ndim - 1];
    const triangle t = {.diagonal = diagonal < -rows - 1 ? -rows - 1 : ad_least(diagonal, cols + 1),
                        .lower = lower != 0};
    ad_tensor *y = ad_make(x->dtype, x->ndim, x->shape);
    if (!y || !y->numel) return y;
    const ad_tensor *const operands[] = {y, x};
    return ad_done(
        &(ad_call){run_triangle, "triangle", 1, 1, .x = operands, .numbers = &t, .n_bytes = sizeof t}, y);
}
