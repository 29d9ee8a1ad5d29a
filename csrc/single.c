/* single.c: programs of one instruction or none (of narrow integers, two) whose operands lie in runs of
 * memory. The kernel goes from memory to memory, run by run: no registers, and no copies of a number that
 * meets a whole run. */
#include "loop.h"
#include "move.h"

enum {
    PART = 16 * AD_BLOCK, /* elements that one task of the parallel loop takes */
    STAGED = 256,         /* shorter runs are not worth storing past the caches */
};

static const int64_t STILL[AD_MAX_DIMS]; /* the strides of a number */

typedef struct {
    const char *data;
    const int64_t *strides; /* along the loop's dimensions */
    int64_t size;
} source;

typedef struct single {
    const ad_loop *loop;
    const struct single *next; /* of what this one made, and a number */
    source in[3];
    uint64_t numbers[3]; /* those that had to be converted */
    ad_pw_fn *kernel;
    ad_compare_fn *compare;         /* instead of it, or NULL */
    ad_store_fn *convert;           /* instead of both, or NULL */
    int64_t block;                  /* elements that are staged at once */
    bool stream, truths;            /* truths: logic of bools, byte by byte */
    bool past;                      /* whether the kernel itself stores past the caches (ad_past) */
    bool filled;                    /* a number fills a block, as kernels of narrow integers read it */
    int64_t part;                   /* elements of a row that a task takes */
    int64_t rows, pieces, rows_per; /* a task: so many rows, or one of so many pieces of one */
} single;

/* ---- what there is to run ---- */

/* Where operand k of the instruction, in register reg, comes from; false where it is not what kernels read.
 */
static bool set_source(single *s, int k, int reg) {
    const ad_loop *l = s->loop;
    const ad_program *p = l->program;
    source *x = &s->in[k];
    if (s->truths) {
        const ad_operand *o = &l->in[reg];
        *x = (source){o->data, o->strides, o->size};
        return !o->uniform && (o->strides[0] & ~INT64_C(1)) == 0;
    }
    if (reg >= p->n_in) {
        *x = (source){(const char *)&p->consts[reg - p->n_in], STILL, 0};
        return true;
    }
    const ad_operand *o = &l->in[reg];
    const bool native = ad_is_native(o, o->type);
    *x = (source){o->data, o->uniform ? STILL : o->strides, o->size};
    if (o->uniform && !native) {
        ad_cpu->pw->load[o->dtype][o->type](1, &s->numbers[k], o->data, 0);
        x->data = (const char *)&s->numbers[k];
        return true;
    }
    const bool condition = k == 0 && p->code->op == AD_OP_where && o->dtype == AD_bool;
    return (native || condition) && (x->strides[0] & ~INT64_C(1)) == 0;
}

/* Whether the kernel of an instruction can store past the caches, and had better: to compute while memory is
 * waited for. What takes no time to compute gains by that on CPUs of AMD, as measured; others were not. */
static bool stores_past(const ad_program *p) {
    const ad_instr *in = p->code;
    return in->type != AD_i64 && ad_instr_arity(in->op) < 3 && in->op < AD_OP_to_f32 &&
           (p->cost > 1 || ad_is_amd);
}

/* The kernel for operands that are numbers, or not; false where there is none. */
static bool choose_kernel(single *s, int arity) {
    const ad_loop *l = s->loop;
    const ad_instr *in = l->program->code;
    const ad_pw_kernels *pw = ad_cpu->pw;
    int numbers = 0;
    for (int k = 0; k < arity; k++) numbers |= (s->in[k].strides[0] == 0) << k;
    if (l->shape[0] == 1) numbers = 0;
    s->compare = NULL;
    if (s->truths) {
        s->compare = numbers ? NULL : pw->truth[in->op - AD_OP_logical_not];
    } else if (l->program->compares) {
        const int which = ad_comparison(in->op, in->type);
        s->compare = numbers == 3 ? NULL
                     : numbers    ? pw->compare_number[which][numbers - 1]
                                  : pw->compare[which];
    } else if (in->op == AD_OP_where && l->in[in->a].dtype == AD_bool && in->a < l->program->n_in)
        s->kernel = numbers || l->in[in->a].uniform ? NULL : pw->where[in->type];
    else if (!numbers)
        s->kernel = pw->instr[in->op][in->type], s->past = stores_past(l->program);
    else
        s->kernel = ad_by_number(pw, in->op, in->type, numbers);
    return s->kernel || s->compare;
}

/* ---- running it ---- */

static void run_kernel(const single *s, int64_t n, char *dst, const char *a, const char *b, const char *c) {
    if (s->convert)
        s->convert(n, dst, 1, a);
    else if (s->compare)
        s->compare(n, (uint8_t *)dst, a, b);
    else
        s->kernel(n, dst, a, b, c);
}

static void run_next(const single *t, int64_t n, char *dst) {
    t->kernel(n, dst, t->in[0].size ? dst : t->in[0].data, t->in[1].size ? dst : t->in[1].data,
              t->in[2].data);
}

/* Sends elements [i, end) of a row of n past the caches, while what is read next is fetched: of operands that
 * are not the first again, nor the same in each row. */
static void send(const single *s, int64_t i, int64_t end, int64_t n, char *run, const char *made,
                 const char *const *x, const int64_t *hop) {
    const int64_t size = s->loop->out[0].size;
    const char *ahead[3];
    int64_t step[3];
    int n_ahead = 0;
    for (int k = 0; k < 3; k++) {
        if (!hop[k] || !s->in[k].strides[0] || (k > 0 && x[k] == x[0])) continue;
        ahead[n_ahead] = x[k] + (end < n ? end * s->in[k].strides[0] * s->in[k].size : hop[k]);
        step[n_ahead++] = AD_LINE * s->in[k].size / size;
    }
    ad_move_past(run, made, (end - i) * size, n_ahead, ahead, step);
}

/* A row, or a piece of one; hop: bytes to what is read after it. */
static void run_by_blocks(const single *s, int64_t n, char *dst, const char *const *x, const int64_t *hop) {
    _Alignas(64) char stage[AD_BLOCK * 8];
    const ad_operand *out = &s->loop->out[0];
    int64_t step[3];
    for (int k = 0; k < 3; k++) step[k] = s->in[k].strides[0] * s->in[k].size;
    for (int64_t i = 0, m; i < n; i += m) {
        char *run = dst + i * out->size, *made = s->stream ? stage : run;
        const int64_t over = s->stream ? ((intptr_t)run & (AD_LINE - 1)) / out->size : 0;
        m = ad_least(n - i, s->block - over); /* whole lines, as parts of one go through the caches */
        run_kernel(s, m, made, x[0] + i * step[0], x[1] + i * step[1], x[2] + i * step[2]);
        if (s->next) run_next(s->next, m, made);
        if (s->stream) send(s, i, i + m, n, run, stage, x, hop);
    }
}

/* What a row leaves of a line that it ends in, until the next one fills it: to store parts of a line takes as
 * long as to store many. */
typedef struct {
    _Alignas(AD_LINE) char line[AD_LINE];
    char *next; /* where that begins, in a line, what comes after; NULL where nothing is left */
} seam;

static void close_seam(seam *m) {
    const int64_t held = (intptr_t)m->next & (AD_LINE - 1);
    if (m->next) memcpy(m->next - held, m->line, (size_t)held);
    m->next = NULL;
}

/* As run_by_blocks, where the kernel stores past the caches. Rows that lie apart are fetched before they
 * come: the CPU would not look for them there. */
static void run_past(const single *s, int64_t n, char *dst, const char *const *x, const int64_t *hop,
                     seam *m) {
    const int64_t size = s->loop->out[0].size, line = AD_LINE / size, a = s->in[0].size, b = s->in[1].size;
    const int64_t head = ad_least((-(intptr_t)dst & (AD_LINE - 1)) / size, n);
    const int64_t end = head + (n - head) / line * line, before = AD_LINE - head * size;
    const bool joins = m->next == dst && n >= line;
    for (int k = 0; k < 2; k++)
        if (hop[k] > n * s->in[k].size + AD_LINE && (k == 0 || x[1] != x[0]))
            ad_fetch_row(x[k] + hop[k], n * s->in[k].size);
    if (!joins) close_seam(m);
    if (head) s->kernel(head, joins ? m->line + before : dst, x[0], x[1], NULL);
    if (joins) ad_cpu->pw->stream(1, dst - before, m->line, 0, NULL, NULL);
    s->kernel(end - head, dst + head * size, x[0] + head * a, x[1] + head * b, ad_past);
    m->next = end < n ? dst + n * size : NULL;
    if (m->next) s->kernel(n - end, m->line, x[0] + end * a, x[1] + end * b, NULL);
}

static int64_t offset_of(const ad_loop *l, const int64_t *strides, const int64_t *at) {
    int64_t offset = 0;
    for (int d = 0; d < l->ndim; d++) offset += at[d] * strides[d];
    return offset;
}

static void run_part(void *context, int64_t i) {
    const single *s = context;
    const ad_loop *l = s->loop;
    const ad_operand *out = &l->out[0];
    int64_t row = i / s->pieces * s->rows_per, end = ad_least(row + s->rows_per, s->rows);
    int64_t at[AD_MAX_DIMS], step[4] = {0}, hop[3];
    seam left = {.next = NULL};
    at[0] = i % s->pieces * s->part;
    const int64_t n = ad_least(l->shape[0] - at[0], s->part);
    for (int k = 0; k < 3 && l->ndim > 1; k++) step[k] = s->in[k].strides[1] * s->in[k].size;
    for (int k = 0; k < 3; k++)
        hop[k] = l->ndim > 1 && s->pieces == 1 ? step[k] : n * s->in[k].strides[0] * s->in[k].size;
    if (l->ndim > 1) step[3] = out->strides[1] * out->size;
    while (row < end) {
        for (int64_t d = 1, rest = row; d < l->ndim; rest /= l->shape[d++]) at[d] = rest % l->shape[d];
        const int64_t rows = l->ndim > 1 ? ad_least(l->shape[1] - at[1], end - row) : 1;
        const char *x[3];
        for (int k = 0; k < 3; k++) x[k] = s->in[k].data + offset_of(l, s->in[k].strides, at) * s->in[k].size;
        char *y = out->data + offset_of(l, out->strides, at) * out->size;
        for (int64_t r = 0; r < rows; r++, y += step[3]) {
            if (s->stream && s->past)
                run_past(s, n, y, x, hop, &left);
            else if (s->stream || s->filled)
                run_by_blocks(s, n, y, x, hop);
            else
                run_kernel(s, n, y, x[0], x[1], x[2]);
            for (int k = 0; k < 3; k++) x[k] += step[k];
        }
        row += rows;
    }
    close_seam(&left);
}

/* Whether it is an instruction of logic, and all operands are bools. */
static bool is_of_truths(const ad_loop *l) {
    const ad_instr *in = l->program->code;
    const int regs[] = {in->a, in->b};
    bool all = in->op >= AD_OP_logical_not && in->op <= AD_OP_logical_xor && l->out[0].dtype == AD_bool;
    for (int k = 0; all && k < ad_instr_arity(in->op); k++)
        all = regs[k] < l->program->n_in && l->in[regs[k]].dtype == AD_bool;
    return all;
}

/* What a task runs, of operands that kernels read where they lie. */
static bool set_up(single *s) {
    const ad_loop *l = s->loop;
    const ad_program *p = l->program;
    const ad_instr *in = p->code;
    const ad_operand *out = &l->out[0];
    s->truths = is_of_truths(l);
    if (!s->truths && !(p->compares ? out->dtype == AD_bool : ad_is_native(out, p->types[in->dst])))
        return false;
    const int arity = ad_instr_arity(in->op), regs[3] = {in->a, in->b, in->c};
    for (int k = 0; k < arity; k++)
        if (!set_source(s, k, regs[k])) return false;
    for (int k = arity; k < 3; k++) s->in[k] = s->in[0];
    return choose_kernel(s, arity);
}

/* A program of no instruction converts an operand: one that might lie in a register. */
static bool set_up_conversion(single *s) {
    const ad_loop *l = s->loop;
    const int reg = l->program->out_regs[0];
    const ad_operand *o = &l->in[reg];
    if (l->program->n_out != 1 || reg >= l->program->n_in || o->uniform || o->strides[0] != 1 ||
        !ad_is_native(o, o->type))
        return false;
    for (int k = 0; k < 3; k++) s->in[k] = (source){o->data, o->strides, o->size};
    s->convert = ad_cpu->pw->store[o->type][l->out[0].dtype];
    return true;
}

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
    single steps[MOST_STEPS];
    narrow of[MOST_STEPS];
    int n, made; /* the register that the result holds so far, or -1 */
    bool known[MOST_REGS];
    int64_t numbers[MOST_REGS];
    _Alignas(64) char blocks[MOST_STEPS][AD_BLOCK * 4]; /* of as many numbers as are read at a time */
} chain;

/* The operands of the last step: those that are runs have one dtype, which is the answer; else -1. */
static int set_narrow_sources(chain *c) {
    single *s = &c->steps[c->n];
    narrow *of = &c->of[c->n];
    const ad_loop *l = s->loop;
    int dtype = -1;
    for (int k = 0; k < 2; k++) {
        const int reg = of->regs[k];
        if (reg < 0 || c->known[reg]) {
            s->filled = true;
            s->in[k] = (source){c->blocks[c->n], STILL, 0};
            if (reg >= 0) of->number = c->numbers[reg];
            continue;
        }
        const ad_operand *o = reg == c->made ? &l->out[0] : &l->in[reg];
        if ((reg != c->made && reg >= l->program->n_in) || (dtype >= 0 && dtype != o->dtype)) return -1;
        if (o->strides[0] != 1) return -1;
        s->in[k] = (source){o->data, o->strides, o->size};
        dtype = o->dtype;
    }
    return dtype >= AD_uint8 && dtype <= AD_int32 ? dtype : -1;
}

/* As set_up, for the next step. One that follows another reads what that made and a number. */
static bool set_up_step(chain *c, const ad_instr *in) {
    single *s = &c->steps[c->n];
    narrow *of = &c->of[c->n];
    const ad_loop *l = s->loop;
    *of = narrow_of(in);
    const bool truth = of->op == AD_OP_lt || of->op == AD_OP_eq;
    const int dtype = set_narrow_sources(c);
    if (dtype < 0 || l->out[0].dtype != (truth ? AD_bool : dtype)) return false;
    if (c->n && (!s->filled || (of->regs[0] != c->made && of->regs[1] != c->made))) return false;
    s->kernel = ad_cpu->pw->narrow(of->op, dtype);
    s->in[2] = (source){(const char *)&of->opposite, STILL, 0};
    c->made = in->dst;
    c->n++;
    if (!s->kernel || !s->filled) return s->kernel;
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

/* Elements of a row of n that a task takes: the more the longer it is, as each begins by waiting for what it
 * reads. */
static int64_t part_of(int64_t n) {
    const int64_t parts = n / (8 * ad_get_num_threads()) / PART;
    return parts > 1 ? parts * PART : PART;
}

static void run_all(single *s, bool stream) {
    const ad_loop *l = s->loop;
    if (l->ndim == 1 && l->numel <= (s->filled ? AD_BLOCK : PART)) {
        const char *const x[3] = {s->in[0].data, s->in[1].data, s->in[2].data};
        if (s->next)
            run_by_blocks(s, l->numel, l->out[0].data, x, NULL);
        else
            run_kernel(s, l->numel, l->out[0].data, x[0], x[1], x[2]);
        return;
    }
    s->stream = stream && l->shape[0] >= STAGED;
    if (s->stream) s->block = ad_streamed_block(l);
    s->rows = l->numel / l->shape[0];
    s->part = part_of(l->shape[0]);
    s->pieces = (l->shape[0] + s->part - 1) / s->part;
    if (l->shape[0] < PART) s->rows_per = PART / l->shape[0];
    ad_parallel_for(s->pieces * ((s->rows + s->rows_per - 1) / s->rows_per), l->numel / 8 * l->program->cost,
                    run_part, s);
}

/* Apart, as other calls need no such blocks on the stack. */
static __attribute__((noinline)) bool run_narrow(const ad_loop *l, bool stream) {
    chain c;
    c.n = 0, c.made = -1;
    for (int k = 0; k < MOST_STEPS; k++)
        c.steps[k] = (single){.loop = l, .block = AD_BLOCK, .rows = 1, .pieces = 1, .rows_per = 1};
    if (!set_up_narrow(&c)) return false;
    if (c.n > 1) {
        c.steps[0].filled = true;
        c.steps[0].next = &c.steps[1];
    }
    run_all(&c.steps[0], stream);
    return true;
}

bool ad_run_single(const ad_loop *l, bool stream) {
    const ad_program *p = l->program;
    const bool whole = p->n_code && p->code[p->n_code - 1].type == AD_i64;
    if ((p->n_code && !p->last_only) || p->divides || (p->n_code > 1 && !whole)) return false;
    if (l->out[0].strides[0] != 1 && l->numel != 1) return false;
    single s = {.loop = l, .block = AD_BLOCK, .rows = 1, .pieces = 1, .rows_per = 1};
    if (p->n_code ? p->n_code != 1 || !set_up(&s) : !set_up_conversion(&s))
        return whole && run_narrow(l, stream);
    run_all(&s, stream);
    return true;
}
