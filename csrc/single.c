/* single.c: programs of one instruction or none, and those of narrow integers (narrow.c), whose operands lie
 * in runs of memory. The kernel goes from memory to memory, run by run: no registers, and no copies of a
 * number that meets a whole run. */
#include "move.h"
#include "single.h"

enum {
    PART = 16 * AD_BLOCK, /* elements that one task of the parallel loop takes */
    STAGED = 256,         /* shorter runs are not worth storing past the caches */
};

const int64_t ad_still[AD_MAX_DIMS];

/* ---- what there is to run ---- */

/* Where operand k of the instruction, in register reg, comes from; false where it is not what kernels read.
 */
static bool set_source(ad_single *s, int k, int reg) {
    const ad_loop *l = s->loop;
    const ad_program *p = l->program;
    ad_source *x = &s->in[k];
    if (s->truths) {
        const ad_operand *o = &l->in[reg];
        *x = (ad_source){o->data, o->strides, o->size};
        return !o->uniform && (o->strides[0] & ~INT64_C(1)) == 0;
    }
    if (reg >= p->n_in) {
        *x = (ad_source){(const char *)&p->consts[reg - p->n_in], ad_still, 0};
        return true;
    }
    const ad_operand *o = &l->in[reg];
    const bool native = ad_is_native(o, o->type);
    *x = (ad_source){o->data, o->uniform ? ad_still : o->strides, o->size};
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

/* What runs the one instruction; false where nothing does. */
static bool choose_runner(ad_single *s, int arity) {
    const ad_loop *l = s->loop;
    const ad_instr *in = l->program->code;
    int numbers = 0;
    for (int k = 0; k < arity && l->shape[0] > 1; k++) numbers |= (s->in[k].strides[0] == 0) << k;
    if (s->truths) {
        s->run.compare = numbers ? NULL : ad_cpu->pw->truth[in->op - AD_OP_logical_not];
    } else {
        const bool of_bools =
            in->op == AD_OP_where && in->a < l->program->n_in && l->in[in->a].dtype == AD_bool;
        s->run = ad_runner_of(l->program, numbers, of_bools);
        if (of_bools && l->in[in->a].uniform) s->run.kernel = NULL;
        s->past = s->run.kernel && !numbers && !of_bools && stores_past(l->program);
    }
    return s->run.kernel || s->run.compare;
}

/* ---- running it ---- */

static void run_kernel(const ad_single *s, int64_t n, char *dst, const char *a, const char *b,
                       const char *c) {
    if (s->convert)
        s->convert(n, dst, 1, a);
    else if (s->run.compare)
        s->run.compare(n, (uint8_t *)dst, a, b);
    else
        s->run.kernel(n, dst, a, b, c);
}

/* Of what is made, where an operand is nowhere yet, of a number, or of another run. */
static void run_next(const ad_single *t, int64_t n, char *made, const char *other) {
    const char *x[2];
    for (int k = 0; k < 2; k++) x[k] = !t->in[k].data ? made : t->in[k].size ? other : t->in[k].data;
    t->run.kernel(n, made, x[0], x[1], t->in[2].data);
}

/* Sends elements [i, end) of a row of n past the caches, while what is read next is fetched: of operands that
 * are not the first again, nor the same in each row. */
static void send(const ad_single *s, int64_t i, int64_t end, int64_t n, char *run, const char *made,
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
static void run_by_blocks(const ad_single *s, int64_t n, char *dst, const char *const *x,
                          const int64_t *hop) {
    _Alignas(64) char stage[AD_BLOCK * 8];
    const ad_operand *out = &s->loop->out[0];
    int64_t step[3];
    for (int k = 0; k < 3; k++) step[k] = s->in[k].strides[0] * s->in[k].size;
    for (int64_t i = 0, m; i < n; i += m) {
        char *run = dst + i * out->size, *made = s->stream ? stage : run;
        const int64_t over = s->stream ? ((intptr_t)run & (AD_LINE - 1)) / out->size : 0;
        m = ad_least(n - i, s->block - over); /* whole lines, as parts of one go through the caches */
        run_kernel(s, m, made, x[0] + i * step[0], x[1] + i * step[1], x[2] + i * step[2]);
        if (s->next) run_next(s->next, m, made, x[2] + i * step[2]);
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
static void run_past(const ad_single *s, int64_t n, char *dst, const char *const *x, const int64_t *hop,
                     seam *m) {
    const int64_t size = s->loop->out[0].size, line = AD_LINE / size, a = s->in[0].size, b = s->in[1].size;
    const int64_t head = ad_least((-(intptr_t)dst & (AD_LINE - 1)) / size, n);
    const int64_t end = head + (n - head) / line * line, before = AD_LINE - head * size;
    const bool joins = m->next == dst && n >= line;
    for (int k = 0; k < 2; k++)
        if (hop[k] > n * s->in[k].size + AD_LINE && (k == 0 || x[1] != x[0]))
            ad_fetch_row(x[k] + hop[k], n * s->in[k].size);
    if (!joins) close_seam(m);
    if (head) s->run.kernel(head, joins ? m->line + before : dst, x[0], x[1], NULL);
    if (joins) ad_cpu->pw->stream(1, dst - before, m->line, 0, NULL, NULL);
    s->run.kernel(end - head, dst + head * size, x[0] + head * a, x[1] + head * b, ad_past);
    m->next = end < n ? dst + n * size : NULL;
    if (m->next) s->run.kernel(n - end, m->line, x[0] + end * a, x[1] + end * b, NULL);
}

static int64_t offset_of(const ad_loop *l, const int64_t *strides, const int64_t *at) {
    int64_t offset = 0;
    for (int d = 0; d < l->ndim; d++) offset += at[d] * strides[d];
    return offset;
}

static void run_part(void *context, int64_t i) {
    const ad_single *s = context;
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
static bool set_up(ad_single *s) {
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
    return choose_runner(s, arity);
}

static bool rounds_number(const ad_loop *l, const ad_instr *in) {
    const bool rounds = in->op == AD_OP_round_f16 || in->op == AD_OP_round_bf16;
    return rounds && in->a < l->program->n_in && l->in[in->a].uniform;
}

/* The one instruction on floats of 16 bits, of runs of them, or of one and a number, which may be rounded
 * first. */
static bool set_up_half(ad_single *s) {
    const ad_loop *l = s->loop;
    const ad_program *p = l->program;
    const ad_instr *in = &p->code[p->n_code - 1], *first = in == p->code ? NULL : p->code;
    const int arity = ad_instr_arity(in->op), dtype = l->out[0].dtype;
    const int regs[2] = {in->a, first && in->b == first->dst ? first->a : in->b};
    if (!ad_is_half(dtype) || in->type != AD_f32 || arity > 2) return false;
    if (first && (arity < 2 || in->b != first->dst || in->a == first->dst || !rounds_number(l, first)))
        return false;
    for (int k = 0; k < arity; k++) {
        const ad_operand *o = regs[k] < p->n_in ? &l->in[regs[k]] : NULL;
        if (k == 1 && (!o || o->uniform)) {
            s->in[1].data = (const char *)&s->numbers[1];
            if (o)
                ad_cpu->pw->load[o->dtype][AD_f32](1, &s->numbers[1], o->data, 0);
            else
                memcpy(&s->numbers[1], &p->consts[regs[k] - p->n_in], sizeof(float));
            if (first) ad_cpu->pw->instr[first->op][AD_f32](1, s->numbers + 1, s->numbers + 1, NULL, NULL);
            s->in[1].strides = ad_still, s->in[1].size = 0;
        } else {
            if (!o || o->uniform || o->dtype != dtype || o->strides[0] != 1) return false;
            s->in[k] = (ad_source){o->data, o->strides, o->size};
        }
    }
    if (arity == 1) s->in[1] = s->in[0];
    s->in[2] = s->in[1].size ? s->in[0] : s->in[1];
    s->run.kernel = ad_cpu->pw->half(in->op, dtype);
    s->truths = false;
    return s->run.kernel;
}

/* A program of no instruction converts an operand: one that might lie in a register. */
static bool set_up_conversion(ad_single *s) {
    const ad_loop *l = s->loop;
    const int reg = l->program->out_regs[0];
    const ad_operand *o = &l->in[reg];
    if (l->program->n_out != 1 || reg >= l->program->n_in || o->uniform || o->strides[0] != 1) return false;
    for (int k = 0; k < 3; k++) s->in[k] = (ad_source){o->data, o->strides, o->size};
    s->convert = ad_is_native(o, o->type) ? ad_cpu->pw->store[o->type][l->out[0].dtype]
                                          : ad_cpu->pw->convert(o->dtype, l->out[0].dtype);
    return s->convert;
}

/* Elements of a row of n that a task takes: the more the longer it is, as each begins by waiting for what it
 * reads. */
static int64_t part_of(int64_t n) {
    const int64_t parts = n / (8 * ad_get_num_threads()) / PART;
    return parts > 1 ? parts * PART : PART;
}

void ad_run_runs(ad_single *s, bool stream) {
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
    const bool alone = ad_get_num_threads() == 1; /* then one task does */
    s->rows = l->numel / l->shape[0];
    s->part = alone ? l->shape[0] : part_of(l->shape[0]);
    s->pieces = (l->shape[0] + s->part - 1) / s->part;
    s->rows_per = alone ? s->rows : s->part > l->shape[0] ? PART / l->shape[0] : 1;
    ad_parallel_for(s->pieces * ((s->rows + s->rows_per - 1) / s->rows_per), l->numel / 8 * l->program->cost,
                    run_part, s);
}

bool ad_run_single(const ad_loop *l, bool stream) {
    const ad_program *p = l->program;
    const bool whole = p->n_code && p->code[p->n_code - 1].type == AD_i64;
    if ((p->n_code && !p->last_only) || p->divides || (p->n_code > 2 && !whole)) return false;
    if (l->out[0].strides[0] != 1 && l->numel != 1) return false;
    ad_single s = ad_single_of(l);
    const bool found = p->n_code == 0   ? set_up_conversion(&s)
                       : p->n_code == 1 ? set_up(&s) || set_up_half(&s)
                                        : !whole && set_up_half(&s);
    if (!found) return whole && ad_run_narrow(l, stream);
    ad_run_runs(&s, stream);
    return true;
}
