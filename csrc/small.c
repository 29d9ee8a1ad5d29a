/* small.c: a call of one instruction, or a conversion, on few elements: from operands that lie alike, without
 * gaps, and numbers, to a new tensor. It is run by the kernel that a loop (single.c) would run, without
 * laying one out, which takes as long as the rest of such a call. */
#include "loop.h"

enum { MOST = 4 }; /* registers of operands, and of the program's own numbers */

typedef struct {
    const char *data[MOST];
    uint64_t held[MOST]; /* numbers that had to be converted */
    bool number[MOST];   /* where the call has more than one element */
} operands;

bool ad_is_small(const ad_program *p) {
    const ad_instr *in = p->code;
    const int n = p->n_in + p->n_const;
    if (p->n_out != 1 || !p->n_in || n > MOST || p->n_code > 1) return false;
    if (!p->n_code) return p->n_in == 1 && !p->n_const;
    if (!p->last_only || p->divides) return false;
    if (in->op == AD_OP_where && (in->a >= p->n_in || in->a == in->b || in->a == in->c)) return false;
    if (in->a >= n || in->b >= n || in->c >= n) return false;
    const int dtype = p->out_dtypes[0];
    return p->compares || (ad_is_native_dtype(dtype) && ad_dtype_type[dtype] == p->types[in->dst]);
}

/* Whether its elements lie as those of a tensor of more elements do. */
static bool lies_like(const ad_tensor *x, const ad_tensor *like) {
    return ad_same_shape(x, like) &&
           (like->contiguous ? x->contiguous
                             : !memcmp(x->strides, like->strides, sizeof *x->strides * x->ndim));
}

static bool set_operand(operands *o, const ad_program *p, int i, const ad_tensor *x, const ad_tensor *like) {
    const bool condition = p->n_code && p->code->op == AD_OP_where && i == p->code->a; /* read as bools */
    const bool native = ad_is_native_dtype(x->dtype) && ad_dtype_type[x->dtype] == p->in_types[i];
    const bool one = x->numel == 1, read = condition ? x->dtype == AD_bool : native;
    if (condition && !read) return false;
    if (one ? x->ndim > like->ndim : !(read && lies_like(x, like))) return false;
    o->number[i] = one && like->numel > 1;
    o->data[i] = read ? x->data : (const char *)&o->held[i];
    if (!read) ad_cpu->pw->load[x->dtype][p->in_types[i]](1, &o->held[i], x->data, 0);
    return true;
}

static bool set_operands(operands *o, const ad_program *p, const ad_tensor *const *in,
                         const ad_tensor *like) {
    for (int i = 0; i < p->n_in; i++)
        if (!set_operand(o, p, i, in[i], like)) return false;
    for (int k = 0; k < p->n_const; k++) {
        o->number[p->n_in + k] = like->numel > 1;
        o->data[p->n_in + k] = (const char *)&p->consts[k];
    }
    return true;
}

static ad_runner runner_of(const ad_program *p, const operands *o) {
    const ad_instr *in = p->code;
    const int regs[3] = {in->a, in->b, in->c};
    int numbers = 0;
    for (int k = 0; k < ad_instr_arity(in->op); k++) numbers |= o->number[regs[k]] << k;
    return ad_runner_of(p, numbers, in->op == AD_OP_where);
}

/* Whether it fills an interval of memory, and there is one way to tell how another is to lie like it. */
static bool is_whole(const ad_tensor *x) {
    for (int d = 0; d < x->ndim && !x->contiguous; d++)
        if (x->shape[d] == 1) return false;
    return x->contiguous || ad_is_dense(x);
}

/* The operand that has the result's shape, if any of the first two does. */
static const ad_tensor *like_of(const ad_program *p, const ad_tensor *const *in) {
    if (p->n_in < 2 || in[0]->numel != 1) return in[0];
    return in[in[1]->numel != 1 || in[1]->ndim > in[0]->ndim];
}

ad_tensor *ad_run_small(const ad_program *p, const ad_tensor *const *in) {
    const ad_tensor *const like = like_of(p, in);
    operands o;
    if (!like->numel || like->numel > AD_BLOCK || !is_whole(like) || !set_operands(&o, p, in, like))
        return NULL;
    const ad_runner run = p->n_code ? runner_of(p, &o) : (ad_runner){NULL, NULL};
    if (p->n_code && !run.kernel && !run.compare) return NULL;
    ad_tensor *const y = ad_make(p->out_dtypes[0], like->ndim, like->shape);
    const ad_instr *const i = p->code;
    if (!y) return NULL;
    if (!like->contiguous) {
        memcpy(y->strides, like->strides, sizeof y->strides);
        y->contiguous = 0;
    }
    if (run.kernel)
        run.kernel(y->numel, y->data, o.data[i->a], o.data[i->b], o.data[i->c]);
    else if (run.compare)
        run.compare(y->numel, (uint8_t *)y->data, o.data[i->a], o.data[i->b]);
    else
        ad_cpu->pw->store[p->types[0]][y->dtype](y->numel, y->data, 1, o.data[0]);
    return y;
}
