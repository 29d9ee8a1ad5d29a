/* steps.c: a pointwise op of one index of its operands' first dimension after another: a step may read what
 * those before it wrote. */
#include "loop.h"
#include "tape.h"

enum { MOST = AD_MAX_OUTPUTS + AD_MAX_INPUTS };

typedef struct {
    const ad_program *program;
    int reverse;
} numbers;

static ad_tensor first_of(const ad_tensor *x) {
    ad_tensor y = *x;
    y.ndim--;
    memmove(y.shape, y.shape + 1, sizeof *y.shape * y.ndim);
    memmove(y.strides, y.strides + 1, sizeof *y.strides * y.ndim);
    ad_refresh(&y);
    return y;
}

static void move_to(ad_operand *o, const ad_tensor *x, int64_t step) {
    o->data = x->data + step * x->strides[0] * o->size;
}

static int run(const ad_call *c) {
    const numbers *how = c->numbers;
    const int64_t steps = ad_out(c, 0)->shape[0];
    ad_tensor firsts[MOST], *out[MOST];
    for (int i = 0; i < c->n_out + c->n_in; i++) {
        firsts[i] = first_of(c->x[i]);
        out[i] = &firsts[i];
    }
    ad_loop l;
    int status = ad_lay_out(&l, how->program, (const ad_tensor *const *)out + c->n_out, out);
    for (int64_t i = 0; i < steps && !status; i++) {
        const int64_t step = how->reverse ? steps - 1 - i : i;
        for (int k = 0; k < c->n_in; k++) move_to(&l.in[k], ad_in(c, k), step);
        for (int k = 0; k < c->n_out; k++) move_to(&l.out[k], ad_out(c, k), step);
        status = ad_run_loop(&l, true, false);
    }
    for (int k = 0; k < c->n_out && !status; k++) ad_wrote(ad_out(c, k), how->program->writer);
    return status;
}

int ad_pw_steps(ad_op *op, int reverse, int n_in, const ad_tensor *const *in, int n_out,
                ad_tensor *const *out) {
    if (n_in != op->n_in || n_out != op->n_out) return ad_fail(AD_BAD_ARG, n_in, n_out, 0);
    const ad_tensor *x[MOST], *first_in[AD_MAX_INPUTS];
    ad_tensor firsts[AD_MAX_INPUTS];
    memcpy(x, out, sizeof *x * (size_t)n_out);
    memcpy(x + n_out, in, sizeof *x * (size_t)n_in);
    for (int i = 0; i < n_out + n_in; i++)
        if (!x[i]->ndim || x[i]->shape[0] != x[0]->shape[0]) return ad_fail(AD_BAD_SHAPE, x[i]->ndim, 1, 0);
    for (int i = 0; i < n_in; i++) {
        firsts[i] = first_of(in[i]);
        first_in[i] = &firsts[i];
    }
    const ad_program *p = ad_op_program(op, n_in, first_in);
    if (!p) return ad_error(NULL);
    for (int k = 0; k < n_out; k++) {
        if (out[k]->dtype != p->out_dtypes[k]) return ad_fail(AD_BAD_DTYPE, out[k]->dtype, 0, 0);
        if (ad_check_writable(out[k])) return ad_error(NULL);
    }
    if (!x[0]->numel) return AD_OK;
    const numbers how = {p, reverse};
    return ad_do(&(ad_call){run, "steps", n_out, n_in, .x = x, .numbers = &how, .n_bytes = sizeof how});
}
