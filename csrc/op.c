/* op.c: ops, which hold a program for each combination of operand types, and their calls. */
#include <stdlib.h>
#include "program.h"
#include "tape.h"

ad_op *ad_op_new(int n_in, int n_out, int exact) {
    if (n_in < 0 || n_in > AD_MAX_INPUTS || n_out < 1 || n_out > AD_MAX_OUTPUTS)
        return ad_fail_null(AD_BAD_ARG, n_in, n_out, 0);
    ad_op *op = calloc(1, sizeof *op);
    if (!op) return ad_fail_null(AD_NO_MEMORY, sizeof *op, 0, 0);
    op->n_in = n_in;
    op->n_out = n_out;
    op->exact = (unsigned)exact;
    return op;
}

void ad_op_number(ad_op *op, int number) { op->writer = AD_BY_OP + number; }

static uint64_t defaults; /* the default dtype, in the bits of a key that operands leave */

void ad_op_default(int dtype) { __atomic_store_n(&defaults, (uint64_t)dtype << 60, __ATOMIC_RELAXED); }

int ad_op_add(ad_op *op, uint64_t key, ad_program *program) {
    if (program->n_in != op->n_in || program->n_out != op->n_out) return ad_fail(AD_BAD_ARG, 0, 0, 0);
    ad_op_variant *v = malloc(sizeof *v);
    if (!v) {
        ad_program_free(program);
        return ad_fail(AD_NO_MEMORY, sizeof *v, 0, 0);
    }
    *v = (ad_op_variant){.key = key, .program = program};
    program->writer = op->writer;
    v->next = __atomic_load_n(&op->variants, __ATOMIC_RELAXED); /* other threads may read, or add too */
    while (
        !__atomic_compare_exchange_n(&op->variants, &v->next, v, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
    }
    return AD_OK;
}

void ad_op_forget(ad_op *op) {
    for (ad_op_variant *v = op->variants; v;) {
        ad_op_variant *next = v->next;
        v->next = op->retired;
        op->retired = v;
        v = next;
    }
    op->variants = NULL;
}

void ad_op_free(ad_op *op) {
    if (!op) return;
    ad_op_forget(op);
    for (ad_op_variant *v = op->retired; v;) {
        ad_op_variant *next = v->next;
        ad_program_free(v->program);
        free(v);
        v = next;
    }
    free(op);
}

static inline uint64_t operand_code(const ad_op *op, int i, const ad_tensor *x) {
    if (__builtin_expect(x->number, 0) && op->exact >> i & 1) {
        ad_tape_tell(x);
        if (x->number > 1) return (x->number - 1u) | 3u << 4;
    }
    return x->dtype | (x->number ? 2u << 4 : x->ndim ? 0u : 1u << 4);
}

static inline const ad_program *find(ad_op *op, int n, const ad_tensor *const *in) {
    uint64_t key = 0;
    for (int i = n - 1; i >= 0; i--) key = key << 6 | operand_code(op, i, in[i]);
    key |= __atomic_load_n(&defaults, __ATOMIC_RELAXED);
    for (ad_op_variant *v = __atomic_load_n(&op->variants, __ATOMIC_ACQUIRE); v; v = v->next)
        if (v->key == key) return v->program;
    return ad_fail_null(AD_NO_VARIANT, (int64_t)key, 0, 0);
}

const ad_program *ad_op_program(ad_op *op, int n, const ad_tensor *const *in) { return find(op, n, in); }

int ad_pw(ad_op *op, int n_in, const ad_tensor *const *in, int n_out, ad_tensor **out) {
    if (n_in != op->n_in || n_out != op->n_out) return ad_fail(AD_BAD_ARG, n_in, n_out, 0);
    const ad_program *p = find(op, n_in, in);
    return p ? ad_run(p, in, out) : AD_NO_VARIANT;
}

int ad_pw_into(ad_op *op, ad_tensor *out, int n, const ad_tensor *const *in) {
    if (n != op->n_in || op->n_out != 1) return ad_fail(AD_BAD_ARG, n, op->n_out, 0);
    bool shaped = false;
    for (int i = 0; i < n; i++) {
        const bool alike = ad_same_shape(in[i], out);
        if (!alike && in[i]->ndim) return ad_fail(AD_BAD_SHAPE, i, 0, 0);
        shaped |= alike;
    }
    if (!shaped) return ad_fail(AD_BAD_SHAPE, 0, 0, 0);
    const ad_program *p = find(op, n, in);
    if (!p) return AD_NO_VARIANT;
    if (p->out_dtypes[0] != out->dtype || p->divides) return ad_fail(AD_BAD_DTYPE, out->dtype, 0, 0);
    return ad_run(p, in, &out);
}

int ad_pw_to(ad_op *op, ad_tensor *out, const ad_tensor *x, const ad_tensor *y, const ad_tensor *z,
             const ad_tensor *w) {
    const ad_tensor *const in[] = {x, y, z, w};
    int n = 0;
    while (n < 4 && in[n]) n++;
    return out ? ad_pw(op, n, in, 1, &out) : ad_fail(AD_BAD_ARG, 0, 0, 0);
}

/* Results of a call that are yet to be taken, the next at the end. */
static _Thread_local AD_NEAR struct {
    int n;
    ad_tensor *x[AD_MAX_OUTPUTS];
} rest;

ad_tensor *ad_next(void) { return rest.n ? rest.x[--rest.n] : NULL; }

ad_tensor *ad_several(int n, ad_tensor *const *found) {
    while (rest.n) ad_free(ad_next());
    for (int k = n - 1; k > 0; k--) rest.x[rest.n++] = found[k];
    return found[0];
}

static ad_tensor *call_several(ad_op *op, int n, const ad_tensor *const *in) {
    ad_tensor *out[AD_MAX_OUTPUTS] = {NULL};
    return ad_pw(op, n, in, op->n_out, out) ? NULL : ad_several(op->n_out, out);
}

ad_tensor *ad_pw_of(ad_op *op, int n, const ad_tensor *const *in) {
    ad_tensor *out = NULL;
    if (__builtin_expect(op->n_out > 1, 0)) return call_several(op, n, in);
    return ad_pw(op, n, in, 1, &out) ? NULL : out;
}

ad_tensor *ad_pw1(ad_op *op, const ad_tensor *x) { return ad_pw_of(op, 1, &x); }

ad_tensor *ad_pw2(ad_op *op, const ad_tensor *x, const ad_tensor *y) {
    return ad_pw_of(op, 2, (const ad_tensor *const[]){x, y});
}

ad_tensor *ad_pw3(ad_op *op, const ad_tensor *x, const ad_tensor *y, const ad_tensor *z) {
    return ad_pw_of(op, 3, (const ad_tensor *const[]){x, y, z});
}
ad_tensor *ad_pw4(ad_op *op, const ad_tensor *x, const ad_tensor *y, const ad_tensor *z, const ad_tensor *w) {
    return ad_pw_of(op, 4, (const ad_tensor *const[]){x, y, z, w});
}
