/* pointwise.c: the pointwise machine. The loop a call is laid out as (loop.c) is cut into blocks that stay in
 * L1, and the program's instructions run one after the other on each block. */
#include "loop.h"
#include "tape.h"

enum {
    WIDE = 256, /* an inner dimension this long is cut into blocks of its own; shorter ones are packed */
    CHUNK = 16 * AD_BLOCK, /* elements that one task of the parallel loop takes */
    STACK_REGS = 64,       /* registers of small calls, which are kept on the stack, */
    STACK_SCRATCH = 16384, /* in so many bytes */
    LINE = 64,
};

/* What all threads share. */
typedef struct {
    const ad_loop *loop;
    int64_t block;             /* elements of a block */
    int64_t n_blocks, per_row; /* per_row: blocks in a row; 0 where blocks are packed across rows */
    bool direct;               /* results may be written to their memory while inputs are still read */
    bool stream;               /* results are stored past the caches */
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

/* What one thread computes in. */
typedef struct {
    void **regs;
    char *scratch, *stage; /* stage: a slot for each output that is streamed */
    int64_t slot_bytes;
} machine;

static char *slot(const ad_loop *l, const machine *m, int reg) {
    return m->scratch + l->program->slots[reg] * m->slot_bytes;
}

/* Gives registers their slots, and fills those that hold one value for the whole loop. */
static void set_up(const ad_loop *l, machine *m, int64_t n) {
    const ad_program *p = l->program;
    for (int i = 0; i < p->n_regs; i++) m->regs[i] = slot(l, m, i);
    for (int i = 0; i < p->n_in; i++)
        if (l->in[i].uniform)
            ad_cpu->pw->load[l->in[i].dtype][l->in[i].type](n, m->regs[i], l->in[i].data, 0);
    for (int k = 0; k < p->n_const; k++) {
        int reg = p->n_in + k, type = p->types[reg];
        static const uint8_t native[AD_N_TYPES] = {AD_float32, AD_float64, AD_int64};
        ad_cpu->pw->load[native[type]][type](n, m->regs[reg], (const char *)&p->consts[k], 0);
    }
}

/* What a block makes of one output: `run` is its memory where that is one run, `made` where its elements are
 * put together, `direct` whether the register that holds the result lies there. */
typedef struct {
    char *run, *made;
    bool direct;
} result;

static void place_results(const task *t, machine *m, const int64_t *at, int64_t flat, bool one_run,
                          result *results) {
    const ad_loop *l = t->loop;
    const ad_program *p = l->program;
    for (int k = 0; k < p->n_out; k++) {
        const ad_operand *o = &l->out[k];
        result *r = &results[k];
        int reg = p->out_regs[k];
        r->run = r->made = run_of(l, o, at, flat, one_run);
        if (t->stream && r->run) r->made = m->stage + k * m->slot_bytes;
        r->direct = r->made && (t->direct || t->stream) && ad_is_native(o, p->types[reg]) &&
                    (reg < p->n_in ? !l->in[reg].uniform : reg >= p->n_in + p->n_const);
        bool placed = false; /* one register for several results lies where the first one wants it */
        for (int j = 0; j < k; j++) placed |= p->out_regs[j] == reg;
        r->direct &= !placed;
        if (!placed) m->regs[reg] = r->direct ? r->made : (void *)slot(l, m, reg);
    }
}

static void read_inputs(const task *t, machine *m, const int64_t *at, int64_t flat, int64_t n, bool one_run,
                        result *results) {
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

void ad_stream(const ad_loop *l, const ad_operand *out, int64_t n, char *run, const char *made) {
    const char *ahead[AD_MAX_INPUTS];
    int64_t step[AD_MAX_INPUTS], nbytes = n * out->size, next = (run - out->data) / out->size + n;
    int n_ahead = 0;
    for (int i = 0; i < l->program->n_in; i++) {
        const ad_operand *o = &l->in[i];
        if (!o->flat || !out->flat) continue;
        ahead[n_ahead] = o->data + next * o->size;
        step[n_ahead++] = LINE * o->size / out->size;
    }
    int64_t head = ad_least(-(intptr_t)run & (LINE - 1), nbytes), lines = (nbytes - head) / LINE;
    int64_t end = head + lines * LINE;
    memcpy(run, made, (size_t)head);
    ad_cpu->pw->stream(lines, run + head, made + head, n_ahead, ahead, step);
    memcpy(run + end, made + end, (size_t)(nbytes - end));
}

/* Runs the program on n elements whose registers are in place. */
static void run_block(const task *t, machine *m, const int64_t *at, int64_t n, result *results) {
    const ad_loop *l = t->loop;
    const ad_program *p = l->program;
    const ad_pw_kernels *pw = ad_cpu->pw;
    const ad_instr *in = p->code, *end = in + p->n_code;
    const bool compares =
        p->compares && l->out[0].dtype == AD_bool && results[0].made && (t->direct || t->stream);
    for (; in < end - compares; in++)
        pw->instr[in->op][in->type](n, m->regs[in->dst], m->regs[in->a], m->regs[in->b], m->regs[in->c]);
    if (compares) {
        pw->compare[in->op][in->type](n, (uint8_t *)results[0].made, m->regs[in->a], m->regs[in->b]);
        results[0].direct = true;
    }
    for (int k = 0; k < p->n_out; k++) {
        const result *r = &results[k];
        int reg = p->out_regs[k], type = p->types[reg];
        if (!r->made)
            unpack(l, &l->out[k], at, n, m->regs[reg], type);
        else if (!r->direct)
            pw->store[type][l->out[k].dtype](n, r->made, 1, m->regs[reg]);
        if (r->made != r->run) ad_stream(l, &l->out[k], n, r->run, r->made);
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
static void step(const task *t, machine *m, result *results) {
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

/* Blocks [first, last) on scratch memory of this thread. */
static void run_blocks(task *t, machine *m, int64_t first, int64_t last) {
    const ad_loop *l = t->loop;
    const bool steady = last - first > 1 && !t->per_row && is_steady(l);
    const int64_t block = t->block;
    int64_t at[AD_MAX_DIMS];
    result results[AD_MAX_OUTPUTS];
    if (l->program->divides) ad_zero_div = 0;
    for (int64_t b = first; b < last; b++) {
        int64_t flat = b * block, n = l->numel - flat;
        if (t->per_row) {
            int64_t inner = b % t->per_row * block;
            flat = b / t->per_row * l->shape[0] + inner;
            n = l->shape[0] - inner;
        }
        n = ad_least(n, block);
        if (steady && b > first) {
            step(t, m, results);
        } else {
            coordinates(l, flat, at);
            const bool one_run = at[0] + n <= l->shape[0];
            place_results(t, m, at, flat, one_run, results);
            read_inputs(t, m, at, flat, n, one_run, results);
        }
        run_block(t, m, at, n, results);
    }
    if (l->program->divides && ad_zero_div) __atomic_store_n(&t->status, AD_ZERO_DIV, __ATOMIC_RELAXED);
}

/* The bytes of a machine's registers, scratch and stage. */
static int64_t machine_bytes(const task *t) {
    const ad_program *p = t->loop->program;
    return (int64_t)sizeof(void *) * p->n_regs + LINE +
           t->block * 8 * (p->n_slots + (t->stream ? p->n_out : 0));
}

static void run_chunk(void *context, int64_t i) {
    task *t = context;
    const ad_program *p = t->loop->program;
    int64_t registers = (int64_t)sizeof(void *) * p->n_regs;
    char *memory = ad_alloc((size_t)machine_bytes(t));
    if (!memory) {
        __atomic_store_n(&t->status, AD_NO_MEMORY, __ATOMIC_RELAXED);
        return;
    }
    machine m = {.regs = (void **)memory, .slot_bytes = t->block * 8};
    m.scratch = memory + (registers + LINE - 1) / LINE * LINE;
    m.stage = m.scratch + m.slot_bytes * p->n_slots;
    set_up(t->loop, &m, ad_least(t->loop->numel, t->block));
    int64_t blocks = CHUNK / t->block, first = i * blocks;
    run_blocks(t, &m, first, ad_least(first + blocks, t->n_blocks));
    ad_dealloc(memory);
}

/* A call of one small block runs on the stack. */
static bool run_small(task *t) {
    const ad_loop *l = t->loop;
    const ad_program *p = l->program;
    int64_t slot_bytes = (l->numel * 8 + LINE - 1) / LINE * LINE;
    if (t->n_blocks != 1 || p->n_regs > STACK_REGS || slot_bytes * p->n_slots > STACK_SCRATCH) return false;
    void *regs[STACK_REGS];
    char scratch[STACK_SCRATCH] __attribute__((aligned(64)));
    machine m = {.regs = regs, .scratch = scratch, .slot_bytes = slot_bytes};
    set_up(l, &m, l->numel);
    run_blocks(t, &m, 0, 1);
    return true;
}

static int64_t operand_bytes(const ad_loop *l) {
    int64_t bytes = 0;
    for (int i = 0; i < l->program->n_in; i++)
        if (!l->in[i].uniform) bytes += l->numel * l->in[i].size;
    for (int k = 0; k < l->program->n_out; k++) bytes += l->numel * l->out[k].size;
    return bytes;
}

/* Registers of scratch memory fit the first cache by a small block. A single instruction from memory to
 * memory needs none. */
static int64_t block_of(const task *t) {
    const ad_loop *l = t->loop;
    const ad_program *p = l->program;
    if (l->numel <= AD_BLOCK || p->n_code > 1 || t->stream || !t->direct || !is_steady(l)) return AD_BLOCK;
    const int type = p->types[p->out_regs[0]];
    if (p->n_out > 1 || !(p->compares || ad_is_native(&l->out[0], type))) return AD_BLOCK;
    for (int i = 0; i < p->n_in; i++)
        if (l->in[i].uniform) return AD_BLOCK;
    return p->n_const ? AD_BLOCK : CHUNK;
}

int ad_run_loop(const ad_loop *l, bool direct, bool stream) {
    if (l->numel == 0) return AD_OK;
    bool rows = l->ndim > 1 && l->shape[0] >= WIDE;
    int status;
    if (direct && ad_run_single(l, stream)) return AD_OK;
    if (ad_run_across(l, direct, stream, &status)) return status;
    task t = {.loop = l, .direct = direct, .stream = stream};
    t.block = rows ? AD_BLOCK : block_of(&t);
    t.per_row = rows ? (l->shape[0] + t.block - 1) / t.block : 0;
    t.n_blocks = rows ? t.per_row * (l->numel / l->shape[0]) : (l->numel + t.block - 1) / t.block;
    if (!run_small(&t)) {
        int64_t cost = l->numel / 8 * l->program->cost, blocks = CHUNK / t.block;
        ad_parallel_for((t.n_blocks + blocks - 1) / blocks, cost, run_chunk, &t);
    }
    if (t.status == AD_NO_MEMORY) return ad_fail(AD_NO_MEMORY, machine_bytes(&t), 0, 0);
    return t.status ? ad_fail(t.status, 0, 0, 0) : AD_OK;
}

/* ---- given outputs ---- */

/* A float result does not go into an integer tensor, nor any number into a bool one. */
static bool storable(int from, int to) {
    int rank_from = ad_is_float(from) ? 2 : from != AD_bool;
    int rank_to = ad_is_float(to) ? 2 : to != AD_bool;
    return rank_from <= rank_to;
}

/* An input that meets an output element for element is fine; one that overlaps it otherwise is refused where
 * both are dense (as PyTorch does) and else copied first. Sets *aliased where an output shares an input's
 * memory. */
static int check_outputs(const ad_program *p, const ad_tensor **in, ad_tensor *const *out, ad_tensor **copies,
                         bool *aliased) {
    for (int o = 0; o < p->n_out; o++) {
        if (!out[o]) continue;
        int status = ad_check_writable(out[o]);
        if (status) return status;
        if (!storable(p->out_dtypes[o], out[o]->dtype))
            return ad_fail(AD_BAD_CAST, p->out_dtypes[o], out[o]->dtype, 0);
        for (int other = 0; other < o; other++)
            if (out[other] && ad_may_overlap(out[o], out[other])) return ad_fail(AD_OVERLAP, 0, 0, 0);
        for (int i = 0; i < p->n_in; i++) {
            if (!ad_may_overlap(in[i], out[o])) continue;
            if (ad_same_elements(in[i], out[o])) {
                *aliased = true;
                continue;
            }
            if (ad_is_dense(in[i]) && ad_is_dense(out[o]) && in[i]->numel > 1)
                return ad_fail(AD_OVERLAP, 0, 0, 0);
            if (!(copies[i] = ad_contiguous(in[i], in[i]->dtype))) return AD_NO_MEMORY;
            in[i] = copies[i];
        }
    }
    return AD_OK;
}

/* ---- the call ---- */

/* What a node of the graph asks about the inputs of a result. */
static void describe_inputs(const ad_program *p, const ad_tensor *const *in, ad_tensor *out) {
    out->version0 = ad_version(in[0]);
    if (p->n_in > 1) out->version1 = ad_version(in[1]);
    for (int i = 0; i < p->n_in; i++)
        if (in[i]->dtype != out->dtype || !ad_same_shape(in[i], out)) out->unlike |= (uint16_t)(1u << i);
}

/* What a call is told besides its operands. */
typedef struct {
    bool given[AD_MAX_OUTPUTS]; /* the outputs that are there before, and count as written */
    bool aliased;               /* one of them is an input */
    bool copied;                /* an input overlaps one, and is copied first */
} terms;

static bool may_write_early(const ad_program *p, const terms *how) { return !how->aliased || p->last_only; }
static bool leaves_caches(const ad_loop *l) { return operand_bytes(l) >= AD_STREAM_BYTES; }

static int run_checked(const ad_program *p, const ad_tensor *const *in, ad_tensor **out, const terms *how) {
    ad_loop l;
    int status = ad_lay_out(&l, p, in, out);
    if (!status) status = ad_run_loop(&l, may_write_early(p, how), leaves_caches(&l));
    for (int o = 0; o < p->n_out; o++) {
        if (status && !how->given[o]) {
            ad_free(out[o]);
            out[o] = NULL;
        } else if (!status && !how->given[o])
            describe_inputs(p, in, out[o]);
        else if (!status)
            ad_wrote(out[o], p->writer);
    }
    return status;
}

static int run_call(const ad_program *p, const ad_tensor *const *given, ad_tensor **out, terms *how) {
    bool any = false;
    for (int o = 0; o < p->n_out; o++) any |= how->given[o] = out[o] != NULL;
    if (!any && p->n_in) return run_checked(p, given, out, how);
    const ad_tensor *in[AD_MAX_INPUTS];
    ad_tensor *copies[AD_MAX_INPUTS] = {NULL};
    for (int i = 0; i < p->n_in; i++) in[i] = given[i];
    int status = p->n_in ? check_outputs(p, in, out, copies, &how->aliased) : ad_fail(AD_BAD_ARG, 0, 0, 0);
    if (!status) status = run_checked(p, in, out, how);
    for (int i = 0; i < p->n_in; i++) {
        how->copied |= copies[i] != NULL;
        ad_free(copies[i]);
    }
    return status;
}

/* ---- calls that are recorded, and run again ---- */

static int run_again(const ad_call *c) {
    const terms *how = c->numbers;
    ad_tensor *out[AD_MAX_OUTPUTS];
    terms now = {.aliased = false};
    for (int o = 0; o < c->n_out; o++) out[o] = ad_out(c, o);
    if (how->copied) return run_call(c->program, c->x + c->n_out, out, &now);
    return run_checked(c->program, c->x + c->n_out, out, how);
}

static int run_recorded(const ad_program *p, const ad_tensor *const *in, ad_tensor **out) {
    const ad_tensor *x[AD_MAX_OUTPUTS + AD_MAX_INPUTS];
    terms how = {.aliased = false};
    ad_call c = {run_again, "pointwise", p->n_out, p->n_in, x, &how, sizeof how, p, false};
    for (int o = 0; o < p->n_out; o++) x[o] = out[o];
    for (int i = 0; i < p->n_in; i++) x[p->n_out + i] = in[i];
    ad_tape *const tape = ad_tape_begin(&c);
    int status = run_call(p, in, out, &how);
    for (int o = 0; o < p->n_out; o++) {
        x[o] = out[o];
        if (!status && !how.given[o]) ad_tape_adopt(tape, out[o]);
    }
    const bool ran = !status;
    status = ad_tape_end(tape, &c, status);
    for (int o = 0; ran && status && o < p->n_out; o++) {
        if (how.given[o]) continue;
        ad_free(out[o]);
        out[o] = NULL;
    }
    return status;
}

int ad_run(const ad_program *p, const ad_tensor *const *given, ad_tensor **out) {
    terms how = {.aliased = false};
    if (__builtin_expect(ad_recording != NULL, 0)) return run_recorded(p, given, out);
    return run_call(p, given, out, &how);
}

typedef struct {
    ad_loop loop;
    terms how;
    bool direct, stream;
    int n_quick; /* elements of a loop that needs no more than its instructions: 0 of others */
    void *regs[STACK_REGS];
    char memory[LINE]; /* and what scratch takes besides */
} prepared;

bool ad_is_plain(const ad_call *c) {
    const terms *how = c->numbers;
    for (int o = 0; o < c->n_out; o++)
        if (how->given[o]) return false;
    return !how->aliased && !how->copied;
}

/* Bytes of a register of a loop of n elements. */
static int64_t slot_of(int64_t n) { return (n * 8 + LINE - 1) / LINE * LINE; }

size_t ad_prepared_size(const ad_call *c) {
    const int64_t n = ad_least(ad_out(c, 0)->numel, AD_BLOCK);
    return sizeof(prepared) + (size_t)ad_least(slot_of(n) * c->program->n_slots, STACK_SCRATCH);
}

/* Whether one block does, all operands being whole runs of their register's type, or one number. */
static bool is_quick(const prepared *r, const ad_call *c) {
    const ad_loop *l = &r->loop;
    const ad_program *p = l->program;
    if (!ad_is_plain(c) || l->numel > AD_BLOCK || !l->numel || p->divides || p->compares || !p->n_code)
        return false;
    if (p->n_regs > STACK_REGS || slot_of(l->numel) * p->n_slots > STACK_SCRATCH) return false;
    for (int i = 0; i < p->n_in; i++)
        if (!l->in[i].uniform && !(l->in[i].flat && ad_is_native(&l->in[i], l->in[i].type))) return false;
    for (int k = 0; k < p->n_out; k++) {
        const int reg = p->out_regs[k];
        if (reg < p->n_in + p->n_const || !l->out[k].flat || !ad_is_native(&l->out[k], p->types[reg]))
            return false;
        for (int j = 0; j < k; j++)
            if (p->out_regs[j] == reg) return false;
    }
    return true;
}

bool ad_prepare(const ad_call *c, void *room) {
    prepared *r = room;
    ad_tensor *out[AD_MAX_OUTPUTS];
    r->how = *(const terms *)c->numbers;
    r->n_quick = 0;
    for (int o = 0; o < c->n_out; o++) out[o] = ad_out(c, o);
    if (r->how.copied || ad_lay_out(&r->loop, c->program, c->x + c->n_out, out)) return false;
    r->direct = may_write_early(c->program, &r->how);
    r->stream = leaves_caches(&r->loop);
    if (!is_quick(r, c)) return true;
    r->n_quick = (int)r->loop.numel;
    machine m = {.regs = r->regs, .slot_bytes = slot_of(r->n_quick)};
    m.scratch = r->memory + (-(intptr_t)r->memory & (LINE - 1));
    set_up(&r->loop, &m, r->n_quick); /* constants stay; numbers are filled in at each run */
    return true;
}

void ad_prepared_pointers(void *room, void (*place)(void *context, int operand, char **where),
                          void *context) {
    prepared *r = room;
    const ad_program *p = r->loop.program;
    for (int o = 0; o < p->n_out; o++) {
        place(context, o, &r->loop.out[o].data);
        if (r->n_quick) place(context, o, (char **)&r->regs[p->out_regs[o]]);
    }
    for (int i = 0; i < p->n_in; i++) {
        place(context, p->n_out + i, &r->loop.in[i].data);
        if (r->n_quick && !r->loop.in[i].uniform) place(context, p->n_out + i, (char **)&r->regs[i]);
    }
}

static int run_quick(const prepared *r) {
    const ad_program *p = r->loop.program;
    const ad_pw_kernels *pw = ad_cpu->pw;
    void *const *regs = r->regs;
    for (int i = 0; i < p->n_in; i++) {
        const ad_operand *o = &r->loop.in[i];
        if (o->uniform) pw->load[o->dtype][o->type](r->n_quick, regs[i], o->data, 0);
    }
    for (const ad_instr *in = p->code, *end = in + p->n_code; in < end; in++)
        pw->instr[in->op][in->type](r->n_quick, regs[in->dst], regs[in->a], regs[in->b], regs[in->c]);
    return AD_OK;
}

int ad_run_prepared(const ad_call *c) {
    const prepared *r = c->numbers;
    if (r->n_quick) return run_quick(r);
    const int status = ad_run_loop(&r->loop, r->direct, r->stream);
    for (int o = 0; o < c->n_out && !status; o++)
        if (r->how.given[o]) ad_wrote(ad_out(c, o), c->program->writer);
    return status;
}
