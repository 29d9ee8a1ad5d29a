/* loop.c: laying a pointwise call out as one loop. Dimensions are ordered and merged so that most calls
 * become one flat run; outputs that the caller does not give are made in the loop's order. */
#include "loop.h"

static void set_operand(ad_operand *o, const ad_tensor *x, int type) {
    o->data = x->data;
    o->dtype = x->dtype;
    o->size = ad_itemsize[x->dtype];
    o->type = (uint8_t)type;
}

/* ---- the commonest case ---- */

/* Every input is contiguous and of the result's shape, or holds a single element; the outputs are contiguous.
 * Returns the input that has the result's shape, or -1. */
static int flat_case(const ad_program *p, const ad_tensor *const *in, ad_tensor *const *out) {
    int like = 0;
    for (int i = 0; i < p->n_in; i++) {
        if (!in[i]->contiguous) return -1;
        if (in[i]->numel > in[like]->numel ||
            (in[i]->numel == in[like]->numel && in[i]->ndim > in[like]->ndim))
            like = i;
    }
    for (int i = 0; i < p->n_in; i++)
        if (i != like && !ad_same_shape(in[i], in[like]) &&
            (in[i]->numel != 1 || in[i]->ndim > in[like]->ndim))
            return -1;
    for (int o = 0; o < p->n_out; o++)
        if (out[o] && (!out[o]->contiguous || !ad_same_shape(out[o], in[like]))) return -1;
    return like;
}

static void set_flat(ad_loop *l, const ad_tensor *const *in, ad_tensor *const *out) {
    const ad_program *p = l->program;
    l->ndim = 1;
    l->shape[0] = l->numel = out[0]->numel;
    for (int i = 0; i < p->n_in; i++) {
        set_operand(&l->in[i], in[i], p->in_types[i]);
        l->in[i].uniform = in[i]->numel == 1 && l->numel != 1; /* a loop of one step is as long */
        l->in[i].flat = !l->in[i].uniform;
        l->in[i].strides[0] = l->in[i].flat;
    }
    for (int o = 0; o < p->n_out; o++) {
        set_operand(&l->out[o], out[o], ad_dtype_type[out[o]->dtype]);
        l->out[o].uniform = false;
        l->out[o].flat = true;
        l->out[o].strides[0] = 1;
    }
}

/* ---- the general case: any shapes that broadcast, any strides ---- */

typedef struct {
    int ndim, n;
    int64_t shape[AD_MAX_DIMS];
    int64_t strides[AD_MAX_INPUTS + AD_MAX_OUTPUTS][AD_MAX_DIMS]; /* 0 where broadcast; given outputs first */
    int perm[AD_MAX_DIMS];                                        /* dimensions, innermost first */
} layout;

static void add_layout(layout *y, const ad_tensor *x) {
    for (int d = 0; d < y->ndim; d++) y->strides[y->n][d] = ad_broadcast_stride(x, y->ndim, d);
    y->n++;
}

/* Whether dimension a belongs outside b: 1 yes, -1 no, 0 no operand tells. The first operand that tells
 * decides, so that results keep the memory order of the first input, as PyTorch's do. */
static int outside(const layout *y, int a, int b) {
    for (int k = 0; k < y->n; k++) {
        int64_t sa = y->strides[k][a], sb = y->strides[k][b];
        if (sa == 0 || sb == 0) continue;
        if (sa != sb) return sa > sb ? 1 : -1;
        if (y->shape[a] > y->shape[b]) return 1;
    }
    return 0;
}

static void order_dims(layout *y) {
    for (int d = 0; d < y->ndim; d++) y->perm[d] = y->ndim - 1 - d;
    for (int i = 1; i < y->ndim; i++) {
        for (int at = i, below = i - 1; below >= 0; below--) {
            int order = outside(y, y->perm[below], y->perm[at]);
            if (order < 0) break;
            if (order == 0) continue;
            int swap = y->perm[below];
            y->perm[below] = y->perm[at];
            y->perm[at] = swap;
            at = below;
        }
    }
}

/* A new output takes the loop's order, without gaps. */
static ad_tensor *make_ordered(const layout *y, int dtype) {
    ad_tensor *x = ad_make(dtype, y->ndim, y->shape);
    if (!x) return NULL;
    int64_t stride = 1;
    for (int i = 0; i < y->ndim && x->numel; i++) {
        x->strides[y->perm[i]] = stride;
        stride *= y->shape[y->perm[i]];
    }
    ad_refresh(x);
    return x;
}

ad_tensor *ad_make_like(const ad_tensor *x, int dtype) {
    layout y = {.ndim = x->ndim};
    memcpy(y.shape, x->shape, sizeof y.shape);
    add_layout(&y, x);
    order_dims(&y);
    if (!ad_is_dense(x)) return make_ordered(&y, dtype);
    ad_tensor *z = ad_make(dtype, x->ndim, x->shape);
    if (z) memcpy(z->strides, x->strides, sizeof z->strides);
    if (z) ad_refresh(z);
    return z;
}

static int make_layout(layout *y, const ad_program *p, const ad_tensor *const *in, ad_tensor *const *out) {
    y->n = 0;
    y->ndim = ad_broadcast_shapes(p->n_in, in, 0, y->shape);
    if (y->ndim < 0) return AD_BROADCAST;
    for (int o = 0; o < p->n_out; o++) {
        if (!out[o]) continue;
        if (out[o]->ndim != y->ndim || memcmp(out[o]->shape, y->shape, sizeof(int64_t) * (size_t)y->ndim))
            return ad_fail(AD_BAD_SHAPE, out[o]->ndim, y->ndim, 0);
        add_layout(y, out[o]);
    }
    for (int i = 0; i < p->n_in; i++) add_layout(y, in[i]);
    order_dims(y);
    return AD_OK;
}

static void set_strides(ad_operand *o, const ad_tensor *x, const layout *y) {
    for (int i = 0; i < y->ndim; i++) o->strides[i] = ad_broadcast_stride(x, y->ndim, y->perm[i]);
}

static bool mergeable(const ad_loop *l, int into, int d) {
    const ad_program *p = l->program;
    if (l->shape[into] == 1 || l->shape[d] == 1) return true;
    for (int i = 0; i < p->n_in; i++)
        if (l->in[i].strides[d] != l->in[i].strides[into] * l->shape[into]) return false;
    for (int o = 0; o < p->n_out; o++)
        if (l->out[o].strides[d] != l->out[o].strides[into] * l->shape[into]) return false;
    return true;
}

static void move_dim(ad_loop *l, int to, int from) {
    for (int i = 0; i < l->program->n_in; i++) l->in[i].strides[to] = l->in[i].strides[from];
    for (int o = 0; o < l->program->n_out; o++) l->out[o].strides[to] = l->out[o].strides[from];
}

/* Merges neighbouring dimensions that every operand steps through as one. */
static void merge_dims(ad_loop *l) {
    int n = 0;
    for (int d = 1; d < l->ndim; d++) {
        if (mergeable(l, n, d)) {
            if (l->shape[n] == 1) move_dim(l, n, d);
            l->shape[n] *= l->shape[d];
        } else {
            n++;
            move_dim(l, n, d);
            l->shape[n] = l->shape[d];
        }
    }
    l->ndim = n + 1;
}

static void classify(const ad_loop *l, ad_operand *o) {
    int64_t expected = 1;
    o->uniform = o->flat = true;
    for (int d = 0; d < l->ndim; d++) {
        if (l->shape[d] != 1 && o->strides[d] != 0) o->uniform = false;
        if (l->shape[d] != 1 && o->strides[d] != expected) o->flat = false;
        expected *= l->shape[d];
    }
    if (o->uniform) o->flat = false;
}

void ad_settle(ad_loop *l) {
    const ad_program *p = l->program;
    merge_dims(l);
    for (int i = 0; i < p->n_in; i++) classify(l, &l->in[i]);
    for (int o = 0; o < p->n_out; o++) {
        classify(l, &l->out[o]);
        if (l->out[o].uniform) l->out[o].flat = true; /* a single element */
        l->out[o].uniform = false;
    }
}

static void set_general(ad_loop *l, const layout *y, const ad_tensor *const *in, ad_tensor *const *out) {
    const ad_program *p = l->program;
    l->ndim = y->ndim ? y->ndim : 1;
    l->shape[0] = 1;
    for (int i = 0; i < y->ndim; i++) l->shape[i] = y->shape[y->perm[i]];
    l->numel = out[0]->numel;
    for (int i = 0; i < p->n_in; i++) {
        set_operand(&l->in[i], in[i], p->in_types[i]);
        l->in[i].strides[0] = 0;
        set_strides(&l->in[i], in[i], y);
    }
    for (int o = 0; o < p->n_out; o++) {
        set_operand(&l->out[o], out[o], ad_dtype_type[out[o]->dtype]);
        l->out[o].strides[0] = 0;
        set_strides(&l->out[o], out[o], y);
    }
    ad_settle(l);
}

/* ---- both ---- */

int ad_lay_out(ad_loop *l, const ad_program *p, const ad_tensor *const *in, ad_tensor **out) {
    layout y;
    const int like = flat_case(p, in, out);
    const int status = like < 0 ? make_layout(&y, p, in, out) : AD_OK;
    if (status) return status;
    for (int o = 0; o < p->n_out; o++) {
        const int dtype = p->out_dtypes[o];
        if (out[o]) continue;
        out[o] = like < 0 ? make_ordered(&y, dtype) : ad_make(dtype, in[like]->ndim, in[like]->shape);
        if (!out[o]) return AD_NO_MEMORY;
    }
    l->program = p;
    if (like < 0)
        set_general(l, &y, in, out);
    else
        set_flat(l, in, out);
    return AD_OK;
}
