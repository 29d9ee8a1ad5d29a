/* pointwise.c: the pointwise machine. The loop a call is laid out as (loop.c) is cut into blocks that stay in
 * L1, and the program's instructions run one after the other on each block. */
#include "loop.h"

enum {
    WIDE = 256, /* an inner dimension this long is cut into blocks of its own; shorter ones are packed */
    CHUNK = 16 * AD_BLOCK,  /* elements that a task takes where there are several threads */
    RESIDENT = 16384,       /* bytes of registers that stay in L1 beside what comes and goes */
    SMALLEST = AD_BLOCK / 4 /* elements of a block: with fewer, calls of kernels cost too much */
};

/* What all threads share. */
typedef struct {
    const ad_loop *loop;
    int64_t block;             /* elements */
    int64_t n_blocks, per_row; /* per_row: blocks in a row; 0 where blocks are packed across rows */
    int64_t chunk;             /* blocks that one task of the parallel loop takes: all for a thread alone */
    bool direct;               /* results may be written to their memory while inputs are still read */
    bool stream;               /* results are stored past the caches */
    bool within;               /* and rows of the first begin within cache lines */
    int status;
} task;

/* ---- running a block ---- */

static void coordinates(const ad_loop *l, int64_t index, int64_t *at) {
    for (int d = 0; d < l->ndim; d++) {
        at[d] = index % l->shape[d];
        index /= l->shape[d];
    }
}

static char *address(const ad_operand *o, int ndim, const int64_t *at) {
    int64_t offset = 0;
    for (int d = 0; d < ndim; d++) offset += at[d] * o->strides[d];
    return o->data + offset * o->size;
}

/* Steps `at` over n elements that end inside, or at the end of, an innermost run. */
static void advance(const ad_loop *l, int64_t *at, int64_t n) {
    at[0] += n;
    for (int d = 0; d + 1 < l->ndim && at[d] == l->shape[d]; d++) {
        at[d] = 0;
        at[d + 1]++;
    }
}

static void pack(const ad_loop *l, const ad_operand *o, const int64_t *start, int64_t n, char *dst) {
    ad_load_fn *load = ad_cpu->pw->load[o->dtype][o->type];
    int64_t at[AD_MAX_DIMS], width = ad_type_size[o->type];
    memcpy(at, start, sizeof at);
    while (n > 0) {
        int64_t run = ad_least(l->shape[0] - at[0], n);
        load(run, dst, address(o, l->ndim, at), o->strides[0]);
        advance(l, at, run);
        dst += run * width;
        n -= run;
    }
}

static void unpack(const ad_loop *l, const ad_operand *o, const int64_t *start, int64_t n, const char *src,
                   int type) {
    ad_store_fn *store = ad_cpu->pw->store[type][o->dtype];
    int64_t at[AD_MAX_DIMS], width = ad_type_size[type];
    memcpy(at, start, sizeof at);
    while (n > 0) {
        int64_t run = ad_least(l->shape[0] - at[0], n);
        store(run, address(o, l->ndim, at), o->strides[0], src);
        advance(l, at, run);
        src += run * width;
        n -= run;
    }
}

/* Where the elements of this block lie, if they are one run of memory; else NULL. */
static char *run_of(const ad_loop *l, const ad_operand *o, const int64_t *at, int64_t flat, bool one_run) {
    if (o->flat) return o->data + flat * o->size;
    return one_run && o->strides[0] == 1 ? address(o, l->ndim, at) : NULL;
}

static char *slot(const ad_loop *l, const ad_machine *m, int reg) {
    return m->scratch + l->program->slots[reg] * m->slot_bytes;
}

/* Whether a register varies along the loop; else how many elements of its one number are read. */
enum { VARIES, READ_ONE, READ_WHOLE };

static inline void note_whole(uint8_t *read, int reg) {
    if (read[reg] != VARIES) read[reg] = READ_WHOLE;
}

/* The kernel of an instruction: where there is one, that for operands which are numbers. Of numbers alone it
 * makes one. */
static ad_pw_fn *kernel_of(const ad_instr *in, uint8_t *read) {
    const uint16_t regs[] = {in->a, in->b, in->c};
    int numbers = 0;
    for (int k = 0; k < ad_instr_arity(in->op); k++) numbers |= (read[regs[k]] != VARIES) << k;
    read[in->dst] = numbers == (1 << ad_instr_arity(in->op)) - 1 ? READ_ONE : VARIES;
    if (read[in->dst] == READ_ONE) return ad_cpu->pw->instr[in->op][in->type];
    ad_pw_fn *found = ad_by_number(ad_cpu->pw, in->op, in->type, numbers);
    if (found) return found;
    note_whole(read, in->a), note_whole(read, in->b), note_whole(read, in->c);
    return ad_cpu->pw->instr[in->op][in->type];
}

/* Which of the first instructions make one number that is read as one; operands of others of numbers are as
 * long as what they make. */
static uint64_t made_once(const ad_program *p, uint8_t *read) {
    uint64_t once = 0;
    for (int i = p->n_code - 1; i >= 0; i--) {
        const ad_instr *in = &p->code[i];
        if (read[in->dst] == VARIES) continue;
        if (read[in->dst] == READ_ONE && i < 64)
            once |= UINT64_C(1) << i;
        else
            note_whole(read, in->a), note_whole(read, in->b), note_whole(read, in->c);
    }
    return once;
}

void ad_set_up(const ad_loop *l, ad_machine *m, int64_t n, int from) {
    static const uint8_t native[AD_N_TYPES] = {AD_float32, AD_float64, AD_int64};
    const ad_program *p = l->program;
    const int first = p->n_in + p->n_const;
    uint8_t read[AD_MAX_REGS];
    for (int i = 0; i < p->n_regs; i++) {
        m->regs[i] = slot(l, m, i);
        read[i] = i < p->n_in && !l->in[i].uniform ? VARIES : READ_ONE;
    }
    for (int i = 0; i < p->n_code; i++) m->kernels[i] = kernel_of(&p->code[i], read);
    for (int k = 0; k < p->n_out; k++) note_whole(read, p->out_regs[k]);
    m->once = made_once(p, read);
    for (int reg = from; reg < first; reg++) {
        if (read[reg] == VARIES) continue;
        const int type = p->types[reg], dtype = reg < p->n_in ? l->in[reg].dtype : native[type];
        const char *value = reg < p->n_in ? l->in[reg].data : (const char *)&p->consts[reg - p->n_in];
        ad_cpu->pw->load[dtype][type](read[reg] == READ_ONE ? 1 : n, m->regs[reg], value, 0);
    }
}

/* What a block makes of one output: `run` is its memory where that is one run, `made` where its elements are
 * put together, `direct` whether the register that holds the result lies there. */
typedef struct {
    char *run, *made;
    bool direct;
} result;

static void place_results(const task *t, ad_machine *m, const int64_t *at, int64_t flat, bool one_run,
                          result *results) {
    const ad_loop *l = t->loop;
    const ad_program *p = l->program;
    for (int k = 0; k < p->n_out; k++) {
        const ad_operand *o = &l->out[k];
        result *r = &results[k];
        int reg = p->out_regs[k];
        r->run = r->made = run_of(l, o, at, flat, one_run);
        if (t->stream && r->run) r->made = m->stage + k * t->block * 8;
        r->direct = r->made && (t->direct || t->stream) && ad_is_native(o, p->types[reg]) &&
                    (reg < p->n_in ? !l->in[reg].uniform : reg >= p->n_in + p->n_const);
        bool placed = false; /* one register for several results lies where the first one wants it */
        for (int j = 0; j < k; j++) placed |= p->out_regs[j] == reg;
        r->direct &= !placed;
        if (!placed) m->regs[reg] = r->direct ? r->made : (void *)slot(l, m, reg);
    }
}

static void read_inputs(const task *t, ad_machine *m, const int64_t *at, int64_t flat, int64_t n,
                        bool one_run, result *results) {
    const ad_loop *l = t->loop;
    const ad_program *p = l->program;
    for (int i = 0; i < p->n_in; i++) {
        const ad_operand *o = &l->in[i];
        if (o->uniform) continue;
        char *run = ad_is_native(o, o->type) ? run_of(l, o, at, flat, one_run) : NULL;
        void *to = slot(l, m, i);
        for (int k = 0; k < p->n_out; k++) {
            if (p->out_regs[k] != i || !results[k].direct) continue;
            results[k].direct = !run;
            if (!run) to = results[k].made;
        }
        m->regs[i] = run ? run : to;
        if (!run) pack(l, o, at, n, to);
    }
}

/* Sends n elements that were put together in `made` to their memory past the caches, while those of inputs
 * are fetched that come after, `next` in the loop: of inputs that are not the same in each row. */
static void send(const ad_loop *l, const ad_operand *out, int64_t next, int64_t n, char *run,
                 const char *made) {
    const char *ahead[AD_MAX_INPUTS];
    int64_t step[AD_MAX_INPUTS], at[AD_MAX_DIMS];
    int n_ahead = 0;
    coordinates(l, next, at);
    for (int i = 0; i < l->program->n_in; i++) {
        const ad_operand *o = &l->in[i];
        if (o->strides[0] != 1 || (l->ndim > 1 && !o->strides[1])) continue;
        ahead[n_ahead] = address(o, l->ndim, at);
        step[n_ahead++] = AD_LINE * o->size / out->size;
    }
    ad_move_past(run, made, n * out->size, n_ahead, ahead, step);
}

/* Runs the program on n elements whose registers are in place. */
static void run_block(const task *t, ad_machine *m, const int64_t *at, int64_t flat, int64_t n,
                      result *results) {
    const ad_loop *l = t->loop;
    const ad_program *p = l->program;
    const ad_pw_kernels *pw = ad_cpu->pw;
    const bool compares =
        p->compares && l->out[0].dtype == AD_bool && results[0].made && (t->direct || t->stream);
    ad_run_code(p, p->n_code - compares, m->kernels, m->once, n, m->regs);
    if (compares) {
        const ad_instr *in = &p->code[p->n_code - 1];
        pw->compare[ad_comparison(in->op, in->type)](n, (uint8_t *)results[0].made, m->regs[in->a],
                                                     m->regs[in->b]);
        results[0].direct = true;
    }
    for (int k = 0; k < p->n_out; k++) {
        const result *r = &results[k];
        int reg = p->out_regs[k], type = p->types[reg];
        if (!r->made)
            unpack(l, &l->out[k], at, n, m->regs[reg], type);
        else if (!r->direct)
            pw->store[type][l->out[k].dtype](n, r->made, 1, m->regs[reg]);
        if (r->made != r->run) send(l, &l->out[k], flat + n, n, r->run, r->made);
    }
}

/* Whether a block differs from the one before by so many bytes an operand alone. */
static bool is_steady(const ad_loop *l) {
    for (int i = 0; i < l->program->n_in; i++)
        if (!l->in[i].uniform && !(l->in[i].flat && ad_is_native(&l->in[i], l->in[i].type))) return false;
    for (int k = 0; k < l->program->n_out; k++)
        if (!l->out[k].flat) return false;
    return true;
}

/* From one block to the next of a steady loop. */
static void step(const task *t, ad_machine *m, result *results) {
    const ad_loop *l = t->loop;
    const ad_program *p = l->program;
    for (int i = 0; i < p->n_in; i++)
        if (!l->in[i].uniform) m->regs[i] = (char *)m->regs[i] + t->block * l->in[i].size;
    for (int k = 0; k < p->n_out; k++) {
        result *r = &results[k];
        const bool staged = r->made != r->run;
        const int64_t nbytes = t->block * l->out[k].size;
        r->run += nbytes;
        if (staged) continue;
        if (m->regs[p->out_regs[k]] == r->made) m->regs[p->out_regs[k]] = r->run;
        r->made = r->run;
    }
}

/* The elements of a block of a row, and where it begins. What goes past the caches begins with a line, as
 * parts of one go through them: blocks lie so much before, and there may be nothing for the last. */
static int64_t part_of_row(const task *t, int64_t b, int64_t *flat) {
    const ad_loop *l = t->loop;
    const int64_t row = b / t->per_row * l->shape[0], end = (b % t->per_row + 1) * t->block;
    int64_t at[AD_MAX_DIMS], over = 0;
    if (t->within) {
        coordinates(l, row, at);
        over = ((intptr_t)address(&l->out[0], l->ndim, at) & (AD_LINE - 1)) / l->out[0].size;
    }
    const int64_t start = end > t->block ? end - t->block - over : 0;
    *flat = row + start;
    return ad_least(end - over, l->shape[0]) - start;
}

/* Blocks [first, last) on scratch memory of this thread. */
static void run_blocks(task *t, ad_machine *m, int64_t first, int64_t last) {
    const ad_loop *l = t->loop;
    const bool steady = last - first > 1 && !t->per_row && is_steady(l);
    int64_t at[AD_MAX_DIMS];
    result results[AD_MAX_OUTPUTS];
    if (l->program->divides) ad_zero_div = 0;
    for (int64_t b = first; b < last; b++) {
        int64_t flat = b * t->block, n = ad_least(l->numel - flat, t->block);
        if (t->per_row) n = part_of_row(t, b, &flat);
        if (n <= 0) continue;
        if (steady && b > first) {
            step(t, m, results);
        } else {
            coordinates(l, flat, at);
            const bool one_run = at[0] + n <= l->shape[0];
            place_results(t, m, at, flat, one_run, results);
            read_inputs(t, m, at, flat, n, one_run, results);
        }
        run_block(t, m, at, flat, n, results);
    }
    if (l->program->divides && ad_zero_div) __atomic_store_n(&t->status, AD_ZERO_DIV, __ATOMIC_RELAXED);
}

/* The bytes of a machine's registers and kernels, and of its scratch and stage. */
static int64_t table_bytes(const ad_program *p) { return (int64_t)sizeof(void *) * (p->n_regs + p->n_code); }
static int64_t scratch_bytes(const task *t) {
    const ad_program *p = t->loop->program;
    return ad_slot_bytes(p, t->block) * p->n_slots + (t->stream ? t->block * 8 * p->n_out : 0);
}

/* The first address from `at` on that lies, within its page, where an input does, or else before it by as
 * much as can be: what is written there meets what is read of inputs soon after as slots meet
 * (ad_slot_bytes). */
static char *clear_of_inputs(const ad_loop *l, char *at) {
    int64_t best = 0, widest = -1;
    for (int i = 0; i < l->program->n_in; i++) {
        int64_t gap = AD_PAGE, here = (intptr_t)l->in[i].data & (AD_PAGE - AD_LINE);
        if (l->in[i].uniform) continue;
        for (int k = 0; k < l->program->n_in; k++) {
            const int64_t ahead = (here - (intptr_t)l->in[k].data - 1) & (AD_PAGE - 1);
            if (!l->in[k].uniform && ahead < gap) gap = ahead;
        }
        if (gap > widest) widest = gap, best = here;
    }
    return at + ((best - (intptr_t)at) & (AD_PAGE - 1));
}

static void run_chunk(void *context, int64_t i) {
    task *t = context;
    const ad_program *p = t->loop->program;
    char *memory = ad_alloc((size_t)(AD_PAGE + scratch_bytes(t) + table_bytes(p)));
    if (!memory) {
        __atomic_store_n(&t->status, AD_NO_MEMORY, __ATOMIC_RELAXED);
        return;
    }
    ad_machine m = {.slot_bytes = ad_slot_bytes(p, t->block)};
    m.scratch = clear_of_inputs(t->loop, memory);
    m.stage = m.scratch + m.slot_bytes * p->n_slots;
    m.regs = (void **)(void *)(m.scratch + scratch_bytes(t));
    m.kernels = (ad_pw_fn **)(void *)(m.regs + p->n_regs);
    ad_set_up(t->loop, &m, ad_least(t->loop->numel, t->block), 0);
    run_blocks(t, &m, i * t->chunk, ad_least((i + 1) * t->chunk, t->n_blocks));
    ad_dealloc(memory);
}

/* Blocks are halved until the registers that instructions write fit. */
static int64_t block_of(const ad_program *p) {
    int64_t block = AD_BLOCK, bytes = ad_slot_bytes(p, AD_BLOCK) * (p->n_slots - p->n_const);
    for (; bytes > RESIDENT && block > SMALLEST; bytes /= 2) block /= 2;
    return block;
}

/* A call of one small block runs on the stack. */
static bool run_small(task *t) {
    const ad_loop *l = t->loop;
    const ad_program *p = l->program;
    const int64_t slot_bytes = ad_slot_bytes(p, l->numel);
    if (t->n_blocks != 1 || p->n_regs > AD_STACK_REGS || slot_bytes * p->n_slots > AD_STACK_SCRATCH)
        return false;
    void *regs[AD_STACK_REGS];
    ad_pw_fn *kernels[AD_STACK_REGS];
    char scratch[AD_STACK_SCRATCH] __attribute__((aligned(64)));
    ad_machine m = {.regs = regs, .kernels = kernels, .scratch = scratch, .slot_bytes = slot_bytes};
    ad_set_up(l, &m, l->numel, 0);
    run_blocks(t, &m, 0, 1);
    return true;
}

/* Whether a row of an output may begin elsewhere than a cache line does. */
static bool begins_within(const ad_loop *l, const ad_operand *out) {
    int64_t places = (intptr_t)out->data;
    for (int d = 1; d < l->ndim; d++) places |= out->strides[d] * out->size;
    return places & (AD_LINE - 1);
}

int ad_run_loop(const ad_loop *l, bool direct, bool stream) {
    if (l->numel == 0) return AD_OK;
    bool rows = l->ndim > 1 && l->shape[0] >= WIDE;
    int status;
    if (direct && ad_run_single(l, stream)) return AD_OK;
    if (ad_run_across(l, direct, stream, &status)) return status;
    task t = {.loop = l, .direct = direct, .stream = stream, .block = block_of(l->program)};
    if (stream) t.block = ad_least(t.block, ad_streamed_block(l));
    t.within = stream && rows && begins_within(l, &l->out[0]);
    const int64_t before = t.within ? (AD_LINE - 1) / l->out[0].size : 0;
    t.per_row = rows ? (l->shape[0] + before + t.block - 1) / t.block : 0;
    t.n_blocks = rows ? t.per_row * (l->numel / l->shape[0]) : (l->numel + t.block - 1) / t.block;
    t.chunk = ad_get_num_threads() == 1 ? t.n_blocks : CHUNK / t.block;
    if (!run_small(&t))
        ad_parallel_for((t.n_blocks + t.chunk - 1) / t.chunk, l->numel / 8 * l->program->cost, run_chunk, &t);
    if (t.status == AD_NO_MEMORY) return ad_fail(AD_NO_MEMORY, scratch_bytes(&t), 0, 0);
    return t.status ? ad_fail(t.status, 0, 0, 0) : AD_OK;
}
