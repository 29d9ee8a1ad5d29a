/* program.c: building pointwise programs. */
#include "small.h"
#include <stdlib.h>
#include "program.h"

void ad_program_free(ad_program *p) {
    if (!p || __atomic_fetch_sub(&p->refs, 1, __ATOMIC_ACQ_REL) > 0) return;
    free(p->code);
    free(p->consts);
    free(p->types);
    free(p->slots);
    free(p);
}

static ad_program *allocate(int n_in, int n_const, int n_code, int n_out) {
    ad_program *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->n_in = n_in;
    p->n_const = n_const;
    p->n_code = n_code;
    p->n_out = n_out;
    p->n_regs = n_in + n_const + n_code;
    p->code = calloc((size_t)n_code + 1, sizeof *p->code);
    p->consts = calloc((size_t)n_const + 1, sizeof *p->consts);
    p->types = calloc((size_t)p->n_regs + 1, sizeof *p->types);
    p->slots = calloc((size_t)p->n_regs + 1, sizeof *p->slots);
    if (p->code && p->consts && p->types && p->slots) return p;
    ad_program_free(p);
    return NULL;
}

static int result_type(int op, int type) {
    switch (op) {
    case AD_OP_to_f32: return AD_f32;
    case AD_OP_to_f64: return AD_f64;
    case AD_OP_to_i64: return AD_i64;
    default: return type;
    }
}

bool ad_divides(const ad_instr *in) {
    return in->type == AD_i64 && (in->op == AD_OP_floordiv || in->op == AD_OP_truncdiv ||
                                  in->op == AD_OP_remainder || in->op == AD_OP_fmod);
}

/* About what an instruction takes for one element, in eighths of a nanosecond. */
static int cost(const ad_instr *in) {
    const bool slow = in->op == AD_OP_pow || ad_divides(in);
    if (slow) return in->type == AD_f64 ? 60 : 40;
    const bool transcendental = in->op >= AD_OP_exp && in->op <= AD_OP_gelu;
    return !transcendental ? 1 : in->type == AD_f64 ? 12 : 6;
}

/* One row of code; registers must be defined before they are read, and have the row's type. */
static bool decode(ad_program *p, int i, const int32_t *row) {
    int first = p->n_in + p->n_const;
    if (!ad_instr_has(row[0], row[1]) || row[2] != first + i) return false;
    int arity = ad_instr_arity(row[0]);
    for (int k = 0; k < arity; k++)
        if (row[3 + k] < 0 || row[3 + k] >= first + i || p->types[row[3 + k]] != row[1]) return false;
    uint16_t a = (uint16_t)row[3];
    p->code[i] = (ad_instr){.op = (uint8_t)row[0],
                            .type = (uint8_t)row[1],
                            .dst = (uint16_t)row[2],
                            .a = a,
                            .b = arity > 1 ? (uint16_t)row[4] : a,
                            .c = arity > 2 ? (uint16_t)row[5] : a};
    if (row[0] == AD_OP_fma && a >= p->n_in && a < first) { /* kernels take the number as second factor */
        p->code[i].a = p->code[i].b;
        p->code[i].b = a;
    }
    p->types[first + i] = (uint8_t)result_type(row[0], row[1]);
    p->divides |= ad_divides(&p->code[i]);
    p->cost += cost(&p->code[i]);
    return true;
}

/* Gives each register a block of scratch memory, reusing those whose register is not read again: an operand's
 * own, where elements of the result are as wide. */
static int assign_slots(ad_program *p) {
    int first = p->n_in + p->n_const, n_free = 0;
    int *last = malloc(sizeof(int) * (size_t)(p->n_regs + 1));
    uint16_t *free_slots = malloc(sizeof(uint16_t) * (size_t)(p->n_regs + 1));
    if (last && free_slots) {
        for (int r = 0; r < p->n_regs; r++) last[r] = -1;
        for (int i = 0; i < p->n_code; i++) last[p->code[i].a] = last[p->code[i].b] = last[p->code[i].c] = i;
        for (int o = 0; o < p->n_out; o++) last[p->out_regs[o]] = p->n_code;
        for (int r = 0; r < first; r++) p->slots[r] = (uint16_t)r;
        p->n_slots = first;
        for (int i = 0; i < p->n_code; i++) {
            const ad_instr *in = &p->code[i];
            const uint16_t read[3] = {in->a, in->b, in->c};
            const bool alike = ad_type_size[p->types[in->dst]] == ad_type_size[in->type];
            const int n_before = n_free;
            for (int k = 0; k < 3; k++) {
                if (read[k] < first || last[read[k]] != i) continue;
                free_slots[n_free++] = p->slots[read[k]];
                last[read[k]] = -1; /* it may be named again */
            }
            const int usable = alike ? n_free : n_before;
            p->slots[in->dst] = usable ? free_slots[usable - 1] : (uint16_t)p->n_slots++;
            if (usable) free_slots[usable - 1] = free_slots[--n_free];
        }
    }
    int ok = last && free_slots;
    free(last);
    free(free_slots);
    return ok ? AD_OK : ad_fail(AD_NO_MEMORY, p->n_regs, 0, 0);
}

static bool fill(ad_program *p, const uint8_t *in_types, const uint8_t *const_types, const uint64_t *consts,
                 const int32_t *code, const int32_t *out_regs, const uint8_t *out_dtypes) {
    for (int r = 0; r < p->n_in + p->n_const; r++) {
        uint8_t type = r < p->n_in ? in_types[r] : const_types[r - p->n_in];
        if (type >= AD_N_TYPES) return false;
        p->types[r] = type;
        if (r < p->n_in) p->in_types[r] = type;
    }
    for (int k = 0; k < p->n_const; k++) p->consts[k] = consts[k];
    for (int i = 0; i < p->n_code; i++)
        if (!decode(p, i, code + 6 * i)) return false;
    if (p->n_code == 0) p->cost = 2; /* a conversion on the way */
    for (int r = 0; r < p->n_regs; r++)
        if (p->width < ad_type_size[p->types[r]]) p->width = ad_type_size[p->types[r]];
    for (int o = 0; o < p->n_out; o++) {
        if (out_regs[o] < 0 || out_regs[o] >= p->n_regs || !ad_valid_dtype(out_dtypes[o])) return false;
        p->out_regs[o] = (uint16_t)out_regs[o];
        p->out_dtypes[o] = out_dtypes[o];
    }
    p->last_only = p->n_out == 1 && p->n_code && p->out_regs[0] == p->n_regs - 1;
    const ad_instr *last = &p->code[p->n_code ? p->n_code - 1 : 0];
    p->compares = p->last_only && p->out_dtypes[0] == AD_bool && ad_comparison(last->op, last->type) >= 0;
    return true;
}

ad_program *ad_program_new(int n_in, const uint8_t *in_types, int n_const, const uint8_t *const_types,
                           const uint64_t *consts, int n_code, const int32_t *code, int n_out,
                           const int32_t *out_regs, const uint8_t *out_dtypes) {
    if (n_in < 0 || n_in > AD_MAX_INPUTS || n_out < 1 || n_out > AD_MAX_OUTPUTS || n_const < 0 ||
        n_code < 0 || n_const > AD_MAX_REGS || n_code > AD_MAX_REGS || n_in + n_const + n_code > AD_MAX_REGS)
        return ad_fail_null(AD_BAD_ARG, n_code, AD_MAX_REGS, 0);
    ad_program *p = allocate(n_in, n_const, n_code, n_out);
    if (!p) return ad_fail_null(AD_NO_MEMORY, sizeof *p, 0, 0);
    if (!fill(p, in_types, const_types, consts, code, out_regs, out_dtypes))
        ad_fail(AD_BAD_ARG, 0, 0, 0);
    else if (!ad_join_pairs(p) && !assign_slots(p)) {
        p->small = ad_is_small(p);
        return p;
    }
    ad_program_free(p);
    return NULL;
}
