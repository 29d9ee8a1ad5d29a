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
    case AD_OP_logical_not: return (narrow){AD_OP_eq, {in->a, -1}, 0, 0};
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
    return dtype <= AD_int32 ? dtype : -1;
}

static bool makes_truths(int op) { return op == AD_OP_lt || op == AD_OP_eq; }
static bool keeps_low_bits(int op) {
    return op <= AD_OP_mul || (op >= AD_OP_bitwise_and && op <= AD_OP_bitwise_xor);
}

/* Whether a step that follows another reads what that made; a run of memory beside it, which that must not
 * have written over, comes as an operand that the other has no use for. */
static bool follows(chain *c) {
    ad_single *s = &c->steps[c->n];
    bool made = false;
    for (int k = 0; k < 2; k++) {
        if (c->of[c->n].regs[k] == c->made) {
            s->in[k].data = NULL;
            made = true;
        } else if (s->in[k].size) {
            if (makes_truths(c->of[0].op) || s->in[k].data == s->loop->out[0].data) return false;
            c->steps[0].in[2] = s->in[k];
        }
    }
    return made;
}

/* As set_up, for the next step. One that follows another reads what that made and a number. */
static bool set_up_step(chain *c, const ad_instr *in) {
    ad_single *s = &c->steps[c->n];
    narrow *of = &c->of[c->n];
    const ad_loop *l = s->loop;
    *of = narrow_of(in);
    const bool truth = makes_truths(of->op);
    const int dtype = set_narrow_sources(c);
    if (dtype < 0 || l->out[0].dtype != (truth ? AD_bool : dtype)) return false;
    if ((dtype == AD_bool && !truth) || (c->n && !follows(c))) return false;
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
    if (held != of->number && !keeps_low_bits(of->op)) return false; /* upper bits count, and are lost */
    for (int64_t n = size; n < nbytes; n *= 2) memcpy(block + n, block, (size_t)ad_least(n, nbytes - n));
    return true;
}

/* What multiplies and adds is two steps. */
static bool set_up_instr(chain *c, const ad_instr *in) {
    const bool two = in->op == AD_OP_fma;
    if (c->n + two >= MOST_STEPS) return false;
    if (!two) return set_up_step(c, in);
    const ad_instr mul = {AD_OP_mul, AD_i64, in->dst, in->a, in->b, in->a};
    const ad_instr add = {AD_OP_add, AD_i64, in->dst, in->dst, in->c, in->dst};
    return set_up_step(c, &mul) && set_up_step(c, &add);
}

/* How many instructions from `in` on do no more than wrap what the last step made, which is wrapped. */
static int wrapping(const chain *c, const ad_instr *in, const ad_instr *end) {
    const int dtype = c->steps[0].loop->out[0].dtype, over = 64 - 8 * ad_itemsize[dtype];
    if (c->made < 0 || in->a != c->made) return 0;
    if (in->op == AD_OP_wrap_uint8) return dtype == AD_uint8;
    if (in->op == AD_OP_wrap_int32) return dtype == AD_int32;
    const bool up = in->op == AD_OP_shl && c->known[in->b] && c->numbers[in->b] == over;
    const ad_instr *back = in + 1;
    return up && dtype != AD_uint8 && back < end && back->op == AD_OP_shr && back->a == in->dst &&
                   back->b == in->b
               ? 2
               : 0;
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
    for (int i = 0, n; i < p->n_code; i++) {
        const ad_instr *in = &p->code[i];
        int64_t *v = c->numbers;
        c->known[in->dst] = c->known[in->a] && c->known[in->b] && c->known[in->c];
        if (c->known[in->dst])
            ad_cpu->pw->instr[in->op][in->type](1, &v[in->dst], &v[in->a], &v[in->b], &v[in->c]);
        else if ((n = wrapping(c, in, p->code + p->n_code)))
            c->made = in[n - 1].dst, c->known[c->made] = false, i += n - 1;
        else if (in->type != AD_i64 || !set_up_instr(c, in))
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
