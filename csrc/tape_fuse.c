/* tape_fuse.c: two pointwise calls become one, where what the first makes, of the same shape, is what the
 * second reads, and all else the second reads is there by then. The instructions and their order stay, so the
 * bits do; what only the second read is not stored at all. */
#include "small.h"
#include <stdlib.h>
#include "tape_parts.h"

/* How many operands of steps read each memory. */
static int *count_readers(const ad_tape *t) {
    int *readers = calloc((size_t)t->n_memory + 1, sizeof *readers);
    for (int i = 0; readers && i < t->n_steps; i++) {
        const ad_step *s = &t->steps[i];
        for (int k = s->call.n_out; k < s->call.n_out + s->call.n_in; k++)
            if (s->of[k] >= 0) readers[s->of[k]]++;
    }
    return readers;
}

static bool same_place(const ad_step *a, int i, const ad_step *b, int j) {
    const ad_tensor *x = &a->operands[i], *y = &b->operands[j];
    return a->of[i] >= 0 && a->of[i] == b->of[j] && a->offset[i] == b->offset[j] && x->dtype == y->dtype &&
           ad_same_shape(x, y) && !memcmp(x->strides, y->strides, sizeof(int64_t) * x->ndim);
}

/* Whether all results of a call are whole runs of memory, of one shape. */
static bool is_flat(const ad_step *s) {
    if (!s->call.program || !ad_is_plain(&s->call)) return false;
    for (int i = 0; i < s->call.n_out; i++)
        if (s->of[i] < 0 || !s->operands[i].contiguous || !ad_same_shape(&s->operands[i], &s->operands[0]))
            return false;
    return true;
}

/* Which result of a operand j of b is, and may be taken from its register; -1 for none. */
static int taken_from(const ad_step *a, const ad_step *b, int j) {
    const ad_program *p = a->call.program, *q = b->call.program;
    for (int i = 0; i < a->call.n_out; i++) {
        const int type = p->types[p->out_regs[i]], dtype = p->out_dtypes[i];
        const bool exact =
            ad_is_native_dtype(dtype) && ad_dtype_type[dtype] == type && q->in_types[j] == type;
        if (exact && a->operands[i].dtype == dtype && same_place(a, i, b, b->call.n_out + j)) return i;
    }
    return -1;
}

/* The call that is being put together. */
typedef struct {
    int n_in, n_out, n_const, n_code;
    const ad_step *from[AD_MAX_OUTPUTS + AD_MAX_INPUTS]; /* of the results, then of the inputs */
    int at[AD_MAX_OUTPUTS + AD_MAX_INPUTS];
    uint8_t in_types[AD_MAX_INPUTS], out_dtypes[AD_MAX_OUTPUTS];
    int32_t out_regs[AD_MAX_OUTPUTS];
    int in_a[AD_MAX_INPUTS],
        in_b[AD_MAX_INPUTS]; /* the inputs of either; those of b below 0: ~ a result of a */
} joined;

static int add_input(joined *f, const ad_step *s, int j) {
    const int type = s->call.program->in_types[j], k = s->call.n_out + j;
    for (int i = 0; i < f->n_in; i++) {
        const int slot = AD_MAX_OUTPUTS + i;
        if (f->in_types[i] == type && f->from[slot]->operands[f->at[slot]].number == s->operands[k].number &&
            same_place(f->from[slot], f->at[slot], s, k))
            return i;
    }
    if (f->n_in == AD_MAX_INPUTS) return -1;
    f->in_types[f->n_in] = (uint8_t)type;
    f->from[AD_MAX_OUTPUTS + f->n_in] = s;
    f->at[AD_MAX_OUTPUTS + f->n_in] = k;
    return f->n_in++;
}

static int reg_of_a(const joined *f, const ad_program *p, int reg) {
    if (reg < p->n_in) return f->in_a[reg];
    return f->n_in + (reg < p->n_in + p->n_const ? reg - p->n_in : f->n_const + reg - p->n_in - p->n_const);
}

static int reg_of_b(const joined *f, const ad_program *p, const ad_program *q, int reg) {
    if (reg < q->n_in) return f->in_b[reg] >= 0 ? f->in_b[reg] : reg_of_a(f, p, p->out_regs[~f->in_b[reg]]);
    if (reg < q->n_in + q->n_const) return f->n_in + p->n_const + reg - q->n_in;
    return f->n_in + f->n_const + p->n_code + reg - q->n_in - q->n_const;
}

static bool add_output(joined *f, const ad_step *s, int i, int reg) {
    if (f->n_out == AD_MAX_OUTPUTS) return false;
    f->from[f->n_out] = s;
    f->at[f->n_out] = i;
    f->out_dtypes[f->n_out] = s->call.program->out_dtypes[i];
    f->out_regs[f->n_out++] = reg;
    return true;
}

/* Collects inputs and results; false where the two cannot be one. Results of a that nobody else reads are
 * left out: `taken` counts how often b does. */
static bool plan(joined *f, const ad_tape *t, const ad_step *a, const ad_step *b, const int *readers) {
    const ad_program *p = a->call.program, *q = b->call.program;
    int taken[AD_MAX_OUTPUTS] = {0}, found = 0;
    if (!is_flat(a) || !is_flat(b) || !ad_same_shape(&a->operands[0], &b->operands[0])) return false;
    *f = (joined){.n_const = p->n_const + q->n_const, .n_code = p->n_code + q->n_code};
    for (int j = 0; j < p->n_in; j++)
        if ((f->in_a[j] = add_input(f, a, j)) < 0) return false;
    for (int j = 0; j < q->n_in; j++) {
        const int result = taken_from(a, b, j);
        for (int i = 0; i < a->call.n_out && result < 0; i++) /* read otherwise: from memory, too late */
            if (a->of[i] == b->of[b->call.n_out + j]) return false;
        if (result >= 0) taken[result]++, found++;
        f->in_b[j] = result >= 0 ? ~result : add_input(f, b, j);
        if (result < 0 && f->in_b[j] < 0) return false;
    }
    for (int i = 0; i < a->call.n_out; i++) {
        const bool alone = t->memory[a->of[i]].kind == AD_MEMORY_MADE && readers[a->of[i]] == taken[i];
        if (!alone && !add_output(f, a, i, reg_of_a(f, p, p->out_regs[i]))) return false;
    }
    for (int i = 0; i < b->call.n_out; i++)
        if (!add_output(f, b, i, reg_of_b(f, p, q, q->out_regs[i]))) return false;
    return found > 0;
}

static ad_program *make_program(const joined *f, const ad_program *p, const ad_program *q) {
    int32_t *code = malloc(sizeof(int32_t) * 6 * (size_t)(f->n_code + 1));
    uint64_t *consts = malloc(sizeof(uint64_t) * (size_t)(f->n_const + 1));
    uint8_t *types = malloc((size_t)f->n_const + 1);
    ad_program *made = NULL;
    for (int i = 0; code && consts && types && i < f->n_code; i++) {
        const bool first = i < p->n_code;
        const ad_instr *in = first ? &p->code[i] : &q->code[i - p->n_code];
        const uint16_t regs[4] = {in->dst, in->a, in->b, in->c};
        code[6 * i] = in->op;
        code[6 * i + 1] = in->type;
        for (int k = 0; k < 4; k++)
            code[6 * i + 2 + k] = first ? reg_of_a(f, p, regs[k]) : reg_of_b(f, p, q, regs[k]);
    }
    for (int i = 0; code && consts && types && i < f->n_const; i++) {
        const ad_program *of = i < p->n_const ? p : q;
        const int k = i < p->n_const ? i : i - p->n_const;
        consts[i] = of->consts[k];
        types[i] = of->types[of->n_in + k];
    }
    if (code && consts && types)
        made = ad_program_new(f->n_in, f->in_types, f->n_const, types, consts, f->n_code, code, f->n_out,
                              f->out_regs, f->out_dtypes);
    if (made) made->writer = q->writer;
    free(code);
    free(consts);
    free(types);
    return made;
}

/* The step in a's place; a and b are given up. */
static bool replace(ad_tape *t, ad_step *a, ad_step *b, const joined *f, int *readers) {
    ad_program *program = make_program(f, a->call.program, b->call.program);
    const ad_tensor *x[AD_MAX_OUTPUTS + AD_MAX_INPUTS];
    ad_call c = b->call;
    c.n_in = f->n_in;
    c.n_out = f->n_out;
    c.x = x;
    c.program = program;
    ad_step made;
    for (int k = 0; k < f->n_out + f->n_in; k++) {
        const int slot = k < f->n_out ? k : AD_MAX_OUTPUTS + k - f->n_out;
        x[k] = &f->from[slot]->operands[f->at[slot]];
    }
    if (!program || !ad_step_like(&c, &made)) {
        ad_program_free(program);
        return false;
    }
    made.source = b->source;
    for (int k = 0; k < f->n_out + f->n_in; k++) {
        const int slot = k < f->n_out ? k : AD_MAX_OUTPUTS + k - f->n_out;
        made.of[k] = f->from[slot]->of[f->at[slot]];
        made.offset[k] = f->from[slot]->offset[f->at[slot]];
    }
    for (int k = a->call.n_out; k < a->call.n_out + a->call.n_in; k++)
        if (a->of[k] >= 0) readers[a->of[k]]--;
    for (int k = b->call.n_out; k < b->call.n_out + b->call.n_in; k++)
        if (b->of[k] >= 0) readers[b->of[k]]--;
    for (int k = f->n_out; k < f->n_out + f->n_in; k++)
        if (made.of[k] >= 0) readers[made.of[k]]++;
    ad_step_free(a);
    ad_step_free(b);
    *a = made;
    t->n_fused++;
    return true;
}

/* ---- which calls ---- */

/* The last of the steps before that writes what one reads; -1 for none. A call that writes new memory alone
 * may be made right after that one, as long as it cannot fail. `writers`: by memory, so far. */
static int last_writer(const ad_step *s, const int *writers) {
    int last = -1;
    for (int k = s->call.n_out; k < s->call.n_out + s->call.n_in; k++)
        if (s->of[k] >= 0 && writers[s->of[k]] > last) last = writers[s->of[k]];
    return last;
}

/* What a step writes that others were fused into may have been written again by one in between. */
static void note_writer(const ad_step *s, int at, int *writers) {
    for (int k = 0; k < s->call.n_out; k++)
        if (s->of[k] >= 0 && writers[s->of[k]] < at) writers[s->of[k]] = at;
}

static int *no_writers(const ad_tape *t) {
    int *writers = malloc(sizeof *writers * ((size_t)t->n_memory + 1));
    for (int i = 0; writers && i < t->n_memory; i++) writers[i] = -1;
    return writers;
}

static bool can_move(const ad_step *s) { return is_flat(s) && !s->call.program->divides; }

static void fuse_steps(ad_tape *t, int *readers, int *writers) {
    int kept = 0;
    joined f;
    for (int i = 0; i < t->n_steps; i++) {
        ad_step *s = &t->steps[i];
        const int at = can_move(s) ? last_writer(s, writers) : kept - 1;
        if (at >= 0 && plan(&f, t, &t->steps[at], s, readers) && replace(t, &t->steps[at], s, &f, readers)) {
            note_writer(&t->steps[at], at, writers);
            continue;
        }
        note_writer(s, kept, writers);
        t->steps[kept++] = *s;
    }
    t->n_steps = kept;
}

int ad_tape_fuse(ad_tape *t) {
    int *readers = count_readers(t), *writers = no_writers(t);
    const bool made = readers && writers;
    if (made) fuse_steps(t, readers, writers);
    free(readers);
    free(writers);
    return made ? AD_OK : ad_fail(AD_NO_MEMORY, t->n_memory, 0, 0);
}
