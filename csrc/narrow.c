/* narrow.c: programs of one or two instructions on integers of few bits, without widening them: kernels that
 * read them where they lie, and numbers from blocks of theirs. */
#include "single.h"

/* An instruction on narrow integers as one that has a kernel: of two operands, where register -1 is `number`.
 */
typedef struct {
    int op, regs[2];
    int64_t number;
    uint8_t opposite; /* of that comparison */
} narrow;

static narrow narrow_of(const ad_instr *in) {
    switch (in->op) {
    case AD_OP_neg: return (narrow){AD_OP_sub, {-1, in->a}, 0, 0};
    case AD_OP_bitwise_not: return (narrow){AD_OP_bitwise_xor, {in->a, -1}, -1, 0};
    case AD_OP_le: return (narrow){AD_OP_lt, {in->b, in->a}, 0, 1};
    case AD_OP_ne: return (narrow){AD_OP_eq, {in->a, in->b}, 0, 1};
    default: return (narrow){in->op, {in->a, in->b}, 0, 0};
    }
}

enum { MOST_REGS = 16, MOST_STEPS = 2 };

/* What runs one after the other on narrow integers; all that is of numbers alone is computed before. */
typedef struct {
    ad_single steps[MOST_STEPS];
    narrow of[MOST_STEPS];
    int n, made; /* the register that the result holds so far, or -1 */
    bool known[MOST_REGS];
    int64_t numbers[MOST_REGS];
    _Alignas(64) char blocks[MOST_STEPS][AD_BLOCK * 4]; /* of as many numbers as are read at a time */
} chain;

/* The operands of the last step: those that are runs have one dtype, which is the answer; else -1. */
static int set_narrow_sources(chain *c) {
    ad_single *s = &c->steps[c->n];
    narrow *of = &c->of[c->n];
    const ad_loop *l = s->loop;
    int dtype = -1;
    for (int k = 0; k < 2; k++) {
        const int reg = of->regs[k];
        if (reg < 0 || c->known[reg]) {
            s->filled = true;
            s->in[k] = (ad_source){c->blocks[c->n], ad_still, 0};
            if (reg >= 0) of->number = c->numbers[reg];
            continue;
        }
        const ad_operand *o = reg == c->made ? &l->out[0] : &l->in[reg];
        if ((reg != c->made && reg >= l->program->n_in) || (dtype >= 0 && dtype != o->dtype)) return -1;
        if (o->strides[0] != 1) return -1;
        s->in[k] = (ad_source){o->data, o->strides, o->size};
        dtype = o->dtype;
    }
    return dtype >= AD_uint8 && dtype <= AD_int32 ? dtype : -1;
}

/* As set_up, for the next step. One that follows another reads what that made and a number. */
static bool set_up_step(chain *c, const ad_instr *in) {
    ad_single *s = &c->steps[c->n];
    narrow *of = &c->of[c->n];
    const ad_loop *l = s->loop;
    *of = narrow_of(in);
    const bool truth = of->op == AD_OP_lt || of->op == AD_OP_eq;
    const int dtype = set_narrow_sources(c);
    if (dtype < 0 || l->out[0].dtype != (truth ? AD_bool : dtype)) return false;
    if (c->n && (!s->filled || (of->regs[0] != c->made && of->regs[1] != c->made))) return false;
    s->run.kernel = ad_cpu->pw->narrow(of->op, dtype);
    s->in[2] = (ad_source){(const char *)&of->opposite, ad_still, 0};
    c->made = in->dst;
    c->n++;
    if (!s->run.kernel || !s->filled) return s->run.kernel;
    char *block = c->blocks[c->n - 1];
    const int64_t size = ad_itemsize[dtype], nbytes = ad_least(l->shape[0], AD_BLOCK) * size;
    int64_t held;
    ad_cpu->pw->store[AD_i64][dtype](1, block, 1, &of->number);
    ad_cpu->pw->load[dtype][AD_i64](1, &held, block, 0);
    if (held != of->number && of->op > AD_OP_mul) return false; /* where upper bits count, they are lost */
    for (int64_t n = size; n < nbytes; n *= 2) memcpy(block + n, block, (size_t)ad_least(n, nbytes - n));
    return true;
}

static bool set_up_narrow(chain *c) {
    const ad_program *p = c->steps[0].loop->program;
    const int first = p->n_in + p->n_const;
    if (p->n_regs > MOST_REGS) return false;
    for (int r = 0; r < first; r++) {
        const ad_operand *o = r < p->n_in ? &c->steps[0].loop->in[r] : NULL;
        if (p->types[r] != AD_i64) return false;
        c->known[r] = !o || o->uniform;
        if (o && o->uniform)
            ad_cpu->pw->load[o->dtype][AD_i64](1, &c->numbers[r], o->data, 0);
        else if (!o)
            memcpy(&c->numbers[r], &p->consts[r - p->n_in], sizeof *c->numbers);
    }
    for (int i = 0; i < p->n_code; i++) {
        const ad_instr *in = &p->code[i];
        int64_t *v = c->numbers;
        c->known[in->dst] = c->known[in->a] && c->known[in->b] && c->known[in->c];
        if (c->known[in->dst])
            ad_cpu->pw->instr[in->op][in->type](1, &v[in->dst], &v[in->a], &v[in->b], &v[in->c]);
        else if (in->type != AD_i64 || c->n == MOST_STEPS || !set_up_step(c, in))
            return false;
    }
    return c->n && p->out_regs[0] == c->made;
}

bool ad_run_narrow(const ad_loop *l, bool stream) {
    chain c;
    c.n = 0, c.made = -1;
    for (int k = 0; k < MOST_STEPS; k++) c.steps[k] = ad_single_of(l);
    if (!set_up_narrow(&c)) return false;
    if (c.n > 1) {
        c.steps[0].filled = true;
        c.steps[0].next = &c.steps[1];
    }
    ad_run_runs(&c.steps[0], stream);
    return true;
}
