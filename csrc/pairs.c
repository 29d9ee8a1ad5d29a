/* pairs.c: two instructions of a program as one, where the second alone reads what the first makes and a
 * kernel does both: memory is written and read once less, and what lies between is rounded all the same. */
#include "small.h"
#include <stdlib.h>
#include "program.h"

/* By which operand of the second the first makes. */
static const struct {
    uint8_t first, second, both[2];
} pairs[] = {
    {AD_OP_add, AD_OP_add, {AD_OP_add_add, AD_OP_add_add}},
    {AD_OP_add, AD_OP_mul, {AD_OP_add_mul, AD_OP_add_mul}},
    {AD_OP_sub, AD_OP_mul, {AD_OP_sub_mul, AD_OP_sub_mul}},
    {AD_OP_mul, AD_OP_add, {AD_OP_mul_add, AD_OP_mul_add}},
    {AD_OP_mul, AD_OP_sub, {AD_OP_mul_sub, AD_OP_mul_from}},
    {AD_OP_mul, AD_OP_mul, {AD_OP_mul_mul, AD_OP_mul_mul}},
    {AD_OP_neg, AD_OP_mul, {AD_OP_neg_mul, AD_OP_neg_mul}},
    {AD_OP_div, AD_OP_add, {AD_OP_div_add, AD_OP_div_add}},
};

/* The instruction that does what two do; -1 where there is none. */
static int both_of(const ad_instr *first, const ad_instr *second, int operand) {
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (pairs[i].first != first->op || pairs[i].second != second->op) continue;
        const int both = pairs[i].both[operand];
        return first->type == second->type && ad_instr_has(both, second->type) ? both : -1;
    }
    return -1;
}

static bool is_number(const ad_program *p, int reg) { return reg >= p->n_in && reg < p->n_in + p->n_const; }

/* Makes the second of two instructions both. False where none does both, or reads numbers as such: those
 * would fill a register each. */
static bool join(const ad_program *p, const ad_instr *first, ad_instr *second, int operand) {
    const int op = both_of(first, second, operand), arity = ad_instr_arity(op);
    if (op < 0) return false;
    uint16_t read[3] = {first->a, first->b, operand ? second->a : second->b};
    if (arity == 2) read[1] = read[2];
    const bool commutes = first->op == AD_OP_add || first->op == AD_OP_mul;
    if (commutes && arity == 3 && is_number(p, read[0])) { /* kernels read a number second */
        read[0] = first->b;
        read[1] = first->a;
    }
    int numbers = 0;
    for (int k = 0; k < arity; k++) numbers |= is_number(p, read[k]) << k;
    if (numbers && !ad_by_number(ad_cpu->pw, op, second->type, numbers)) return false;
    *second = (ad_instr){(uint8_t)op, second->type, second->dst, read[0], read[1], read[2]};
    return true;
}

/* Joins to an instruction one that makes an operand of it, and tells which; -1 for none. */
static int join_one(ad_program *p, ad_instr *in, const int *reads) {
    const uint16_t read[2] = {in->a, in->b};
    for (int k = 0; k < 2; k++) {
        const int from = read[k] - p->n_in - p->n_const;
        if (from >= 0 && reads[read[k]] == 1 && join(p, &p->code[from], in, k)) return from;
    }
    return -1;
}

static void count_reads(const ad_program *p, int *reads) {
    for (int o = 0; o < p->n_out; o++) reads[p->out_regs[o]]++;
    for (int i = 0; i < p->n_code; i++) {
        const ad_instr *in = &p->code[i];
        const uint16_t read[3] = {in->a, in->b, in->c};
        for (int k = 0; k < ad_instr_arity(in->op); k++) reads[read[k]]++;
    }
}

/* Leaves out instructions that are gone, and numbers registers again: `reg` has room for all. */
static void close_up(ad_program *p, const bool *gone, int *reg) {
    const int first = p->n_in + p->n_const;
    int n = 0;
    for (int r = 0; r < first; r++) reg[r] = r;
    for (int i = 0; i < p->n_code; i++) {
        if (gone[i]) continue;
        ad_instr in = p->code[i];
        in.a = (uint16_t)reg[in.a];
        in.b = (uint16_t)reg[in.b];
        in.c = (uint16_t)reg[in.c];
        p->types[first + n] = p->types[in.dst];
        reg[in.dst] = first + n;
        in.dst = (uint16_t)(first + n);
        p->code[n++] = in;
    }
    for (int o = 0; o < p->n_out; o++) p->out_regs[o] = (uint16_t)reg[p->out_regs[o]];
    p->n_code = n;
    p->n_regs = first + n;
}

int ad_join_pairs(ad_program *p) {
    int *reads = calloc((size_t)p->n_regs + 1, sizeof *reads);
    bool *gone = calloc((size_t)p->n_code + 1, sizeof *gone);
    const bool made = reads && gone;
    if (made) {
        count_reads(p, reads);
        for (int i = 0; i < p->n_code; i++) {
            const int from = join_one(p, &p->code[i], reads);
            if (from >= 0) gone[from] = true;
        }
        close_up(p, gone, reads);
    }
    free(reads);
    free(gone);
    return made ? AD_OK : ad_fail(AD_NO_MEMORY, p->n_regs, 0, 0);
}
