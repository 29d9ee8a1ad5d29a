/* pointwise.c: the pointwise machine. A call is laid out as a loop over dimensions shared by all operands,
 * ordered and merged so that most calls become one flat run; the loop is cut into blocks that stay in L1, and
 * the program's instructions run one after the other on each block. */
#include "program.h"

enum {
    WIDE = 256, /* an inner dimension this long is cut into blocks of its own; shorter ones are packed */
    CHUNK = 16, /* blocks that one task of the parallel loop runs */
    STACK_SCRATCH = 16384, /* bytes of registers that small calls keep on the stack */
};

/* ---- the loop ---- */

typedef struct {
    char *data;
    int64_t strides[AD_MAX_DIMS]; /* in elements, along the loop's dimensions, innermost first */
    uint8_t dtype, type, size;
    bool uniform; /* one value for the whole loop */
    bool flat;    /* element i of the loop is element i of memory */
} operand;

typedef struct {
    const ad_program *program;
    int ndim; /* at least 1 */
    int64_t shape[AD_MAX_DIMS], numel;
    int64_t n_blocks, per_row; /* per_row: blocks in a row; 0 where blocks are packed across rows */
    bool direct;               /* results may be written to their memory while inputs are still read */
    operand in[AD_MAX_INPUTS], out[AD_MAX_OUTPUTS];
    int status;
} loop;

static void set_operand(operand *o, const ad_tensor *x, int type) {
    o->data = x->data;
    o->dtype = x->dtype;
    o->size = ad_itemsize[x->dtype];
    o->type = (uint8_t)type;
}

static bool same_shape(const ad_tensor *a, const ad_tensor *b) {
    return a->ndim == b->ndim && !memcmp(a->shape, b->shape, sizeof(int64_t) * a->ndim);
}

/* The commonest case: every input is contiguous and of the result's shape, or holds a single element; the
 * outputs are contiguous. Returns the input that has the result's shape, or -1. */
static int flat_case(const ad_program *p, const ad_tensor *const *in, ad_tensor *const *out) {
    int like = 0;
    for (int i = 0; i < p->n_in; i++) {
        if (!in[i]->contiguous) return -1;
        if (in[i]->numel > in[like]->numel ||
            (in[i]->numel == in[like]->numel && in[i]->ndim > in[like]->ndim))
            like = i;
    }
    for (int i = 0; i < p->n_in; i++)
        if (!same_shape(in[i], in[like]) && (in[i]->numel != 1 || in[i]->ndim > in[like]->ndim)) return -1;
    for (int o = 0; o < p->n_out; o++)
        if (out[o] && (!out[o]->contiguous || !same_shape(out[o], in[like]))) return -1;
    return like;
}

static void set_flat(loop *l, const ad_tensor *const *in, ad_tensor *const *out) {
    const ad_program *p = l->program;
    l->ndim = 1;
    l->shape[0] = l->numel = out[0]->numel;
    for (int i = 0; i < p->n_in; i++) {
        set_operand(&l->in[i], in[i], p->in_types[i]);
        l->in[i].uniform = in[i]->numel == 1;
        l->in[i].flat = !l->in[i].uniform;
        l->in[i].strides[0] = l->in[i].flat;
    }
    for (int o = 0; o < p->n_out; o++) {
        set_operand(&l->out[o], out[o], ad_dtype_type[out[o]->dtype]);
        l->out[o].uniform = false;
        l->out[o].flat = true;
        l->out[o].strides[0] = 1;
    }
}

/* ---- the general case: any shapes that broadcast, any strides ---- */

typedef struct {
    int ndim, n;
    int64_t shape[AD_MAX_DIMS];
    int64_t strides[AD_MAX_INPUTS + AD_MAX_OUTPUTS][AD_MAX_DIMS]; /* 0 where broadcast; given outputs first */
    int perm[AD_MAX_DIMS];                                        /* dimensions, innermost first */
} layout;

static void add_layout(layout *y, const ad_tensor *x) {
    int lead = y->ndim - x->ndim;
    for (int d = 0; d < y->ndim; d++)
        y->strides[y->n][d] = d < lead || x->shape[d - lead] == 1 ? 0 : x->strides[d - lead];
    y->n++;
}

/* Whether dimension a belongs outside b: 1 yes, -1 no, 0 no operand tells. The first operand that tells
 * decides, so that results keep the memory order of the first input, as PyTorch's do. */
static int outside(const layout *y, int a, int b) {
    for (int k = 0; k < y->n; k++) {
        int64_t sa = y->strides[k][a], sb = y->strides[k][b];
        if (sa == 0 || sb == 0) continue;
        if (sa != sb) return sa > sb ? 1 : -1;
        if (y->shape[a] > y->shape[b]) return 1;
    }
    return 0;
}

static void order_dims(layout *y) {
    for (int d = 0; d < y->ndim; d++) y->perm[d] = y->ndim - 1 - d;
    for (int i = 1; i < y->ndim; i++) {
        for (int at = i, below = i - 1; below >= 0; below--) {
            int order = outside(y, y->perm[below], y->perm[at]);
            if (order < 0) break;
            if (order == 0) continue;
            int swap = y->perm[below];
            y->perm[below] = y->perm[at];
            y->perm[at] = swap;
            at = below;
        }
    }
}

/* A new output takes the loop's order, without gaps. */
static ad_tensor *make_ordered(const layout *y, int dtype) {
    ad_tensor *x = ad_make(dtype, y->ndim, y->shape);
    if (!x) return NULL;
    int64_t stride = 1;
    for (int i = 0; i < y->ndim && x->numel; i++) {
        x->strides[y->perm[i]] = stride;
        stride *= y->shape[y->perm[i]];
    }
    ad_refresh(x);
    return x;
}

static void set_strides(operand *o, const ad_tensor *x, const layout *y) {
    int lead = y->ndim - x->ndim;
    for (int i = 0; i < y->ndim; i++) {
        int d = y->perm[i] - lead;
        o->strides[i] = d < 0 || x->shape[d] == 1 ? 0 : x->strides[d];
    }
}

static bool mergeable(const loop *l, int into, int d) {
    const ad_program *p = l->program;
    if (l->shape[into] == 1 || l->shape[d] == 1) return true;
    for (int i = 0; i < p->n_in; i++)
        if (l->in[i].strides[d] != l->in[i].strides[into] * l->shape[into]) return false;
    for (int o = 0; o < p->n_out; o++)
        if (l->out[o].strides[d] != l->out[o].strides[into] * l->shape[into]) return false;
    return true;
}

static void move_dim(loop *l, int to, int from) {
    for (int i = 0; i < l->program->n_in; i++) l->in[i].strides[to] = l->in[i].strides[from];
    for (int o = 0; o < l->program->n_out; o++) l->out[o].strides[to] = l->out[o].strides[from];
}

/* Merges neighbouring dimensions that every operand steps through as one. */
static void merge_dims(loop *l) {
    int n = 0;
    for (int d = 1; d < l->ndim; d++) {
        if (mergeable(l, n, d)) {
            if (l->shape[n] == 1) move_dim(l, n, d);
            l->shape[n] *= l->shape[d];
        } else {
            n++;
            move_dim(l, n, d);
            l->shape[n] = l->shape[d];
        }
    }
    l->ndim = n + 1;
}

static void classify(const loop *l, operand *o) {
    int64_t expected = 1;
    o->uniform = o->flat = true;
    for (int d = 0; d < l->ndim; d++) {
        if (l->shape[d] != 1 && o->strides[d] != 0) o->uniform = false;
        if (l->shape[d] != 1 && o->strides[d] != expected) o->flat = false;
        expected *= l->shape[d];
    }
    if (o->uniform) o->flat = false;
}

static void set_general(loop *l, const layout *y, const ad_tensor *const *in, ad_tensor *const *out) {
    const ad_program *p = l->program;
    l->ndim = y->ndim ? y->ndim : 1;
    l->shape[0] = 1;
    for (int i = 0; i < y->ndim; i++) l->shape[i] = y->shape[y->perm[i]];
    l->numel = out[0]->numel;
    for (int i = 0; i < p->n_in; i++) {
        set_operand(&l->in[i], in[i], p->in_types[i]);
        l->in[i].strides[0] = 0;
        set_strides(&l->in[i], in[i], y);
    }
    for (int o = 0; o < p->n_out; o++) {
        set_operand(&l->out[o], out[o], ad_dtype_type[out[o]->dtype]);
        l->out[o].strides[0] = 0;
        set_strides(&l->out[o], out[o], y);
    }
    merge_dims(l);
    for (int i = 0; i < p->n_in; i++) classify(l, &l->in[i]);
    for (int o = 0; o < p->n_out; o++) {
        classify(l, &l->out[o]);
        if (l->out[o].uniform) l->out[o].flat = true; /* a single element */
        l->out[o].uniform = false;
    }
}

/* ---- running a block ---- */

static void coordinates(const loop *l, int64_t index, int64_t *at) {
    for (int d = 0; d < l->ndim; d++) {
        at[d] = index % l->shape[d];
        index /= l->shape[d];
    }
}

static char *address(const operand *o, int ndim, const int64_t *at) {
    int64_t offset = 0;
    for (int d = 0; d < ndim; d++) offset += at[d] * o->strides[d];
    return o->data + offset * o->size;
}

/* Steps `at` over n elements that end inside, or at the end of, an innermost run. */
static void advance(const loop *l, int64_t *at, int64_t n) {
    at[0] += n;
    for (int d = 0; d + 1 < l->ndim && at[d] == l->shape[d]; d++) {
        at[d] = 0;
        at[d + 1]++;
    }
}

static void pack(const loop *l, const operand *o, const int64_t *start, int64_t n, char *dst) {
    ad_load_fn *load = ad_cpu->pw->load[o->dtype][o->type];
    int64_t at[AD_MAX_DIMS], width = ad_type_size[o->type];
    memcpy(at, start, sizeof at);
    while (n > 0) {
        int64_t run = l->shape[0] - at[0] < n ? l->shape[0] - at[0] : n;
        load(run, dst, address(o, l->ndim, at), o->strides[0]);
        advance(l, at, run);
        dst += run * width;
        n -= run;
    }
}

static void unpack(const loop *l, const operand *o, const int64_t *start, int64_t n, const char *src,
                   int type) {
    ad_store_fn *store = ad_cpu->pw->store[type][o->dtype];
    int64_t at[AD_MAX_DIMS], width = ad_type_size[type];
    memcpy(at, start, sizeof at);
    while (n > 0) {
        int64_t run = l->shape[0] - at[0] < n ? l->shape[0] - at[0] : n;
        store(run, address(o, l->ndim, at), o->strides[0], src);
        advance(l, at, run);
        src += run * width;
        n -= run;
    }
}

/* Whether the elements of this block can be used where they lie. */
static bool in_place(const operand *o, int type, bool one_run) {
    bool native = o->dtype >= AD_int64 && ad_dtype_type[o->dtype] == type;
    return native && (o->flat || (one_run && o->strides[0] == 1));
}

typedef struct {
    void **regs;
    char *scratch;
    int64_t slot_bytes;
} machine;

static char *slot(const loop *l, const machine *m, int reg) {
    return m->scratch + l->program->slots[reg] * m->slot_bytes;
}

/* Fills the registers that hold one value for the whole loop. */
static void set_up(const loop *l, machine *m, int64_t n) {
    const ad_program *p = l->program;
    for (int i = 0; i < p->n_in; i++) {
        m->regs[i] = slot(l, m, i);
        if (l->in[i].uniform)
            ad_cpu->pw->load[l->in[i].dtype][l->in[i].type](n, m->regs[i], l->in[i].data, 0);
    }
    for (int k = 0; k < p->n_const; k++) {
        int reg = p->n_in + k, type = p->types[reg];
        static const uint8_t native[AD_N_TYPES] = {AD_float32, AD_float64, AD_int64};
        m->regs[reg] = slot(l, m, reg);
        ad_cpu->pw->load[native[type]][type](n, m->regs[reg], (const char *)&p->consts[k], 0);
    }
}

static void run_block(const loop *l, machine *m, const int64_t *at, int64_t flat, int64_t n) {
    const ad_program *p = l->program;
    bool one_run = at[0] + n <= l->shape[0];
    for (int i = 0; i < p->n_in; i++) {
        const operand *o = &l->in[i];
        if (o->uniform) continue;
        if (in_place(o, o->type, one_run))
            m->regs[i] = o->flat ? o->data + flat * o->size : address(o, l->ndim, at);
        else
            pack(l, o, at, n, m->regs[i] = slot(l, m, i));
    }
    for (int i = 0; i < p->n_code; i++) m->regs[p->code[i].dst] = slot(l, m, p->code[i].dst);
    bool direct[AD_MAX_OUTPUTS];
    for (int k = 0; k < p->n_out; k++) {
        const operand *o = &l->out[k];
        int reg = p->out_regs[k];
        direct[k] = l->direct && reg >= p->n_in + p->n_const && in_place(o, p->types[reg], one_run);
        for (int j = 0; j < k; j++) direct[k] &= p->out_regs[j] != reg;
        if (direct[k]) m->regs[reg] = o->flat ? o->data + flat * o->size : address(o, l->ndim, at);
    }
    for (int i = 0; i < p->n_code; i++) {
        const ad_instr *in = &p->code[i];
        ad_cpu->pw->instr[in->op][in->type](n, m->regs[in->dst], m->regs[in->a], m->regs[in->b],
                                            m->regs[in->c]);
    }
    for (int k = 0; k < p->n_out; k++)
        if (!direct[k]) unpack(l, &l->out[k], at, n, m->regs[p->out_regs[k]], p->types[p->out_regs[k]]);
}

/* Blocks [first, last) on scratch memory of this task. */
static void run_blocks(loop *l, machine *m, int64_t first, int64_t last) {
    int64_t at[AD_MAX_DIMS];
    if (l->program->divides) ad_zero_div = 0;
    for (int64_t b = first; b < last; b++) {
        int64_t flat = b * AD_BLOCK, n = l->numel - flat;
        if (l->per_row) {
            int64_t inner = b % l->per_row * AD_BLOCK;
            flat = b / l->per_row * l->shape[0] + inner;
            n = l->shape[0] - inner;
        }
        coordinates(l, flat, at);
        run_block(l, m, at, flat, n < AD_BLOCK ? n : AD_BLOCK);
    }
    if (l->program->divides && ad_zero_div) __atomic_store_n(&l->status, AD_ZERO_DIV, __ATOMIC_RELAXED);
}

static void run_chunk(void *context, int64_t i) {
    loop *l = context;
    const ad_program *p = l->program;
    int64_t registers = (int64_t)sizeof(void *) * p->n_regs, slot_bytes = AD_BLOCK * 8;
    char *memory = ad_alloc((size_t)(registers + 64 + slot_bytes * p->n_slots));
    if (!memory) {
        __atomic_store_n(&l->status, AD_NO_MEMORY, __ATOMIC_RELAXED);
        return;
    }
    machine m = {.regs = (void **)memory, .slot_bytes = slot_bytes};
    m.scratch = memory + (registers + 63) / 64 * 64;
    set_up(l, &m, l->numel < AD_BLOCK ? l->numel : AD_BLOCK);
    int64_t first = i * CHUNK, last = first + CHUNK;
    run_blocks(l, &m, first, last < l->n_blocks ? last : l->n_blocks);
    ad_dealloc(memory);
}

/* A call of one small block runs on the stack. */
static bool run_small(loop *l) {
    const ad_program *p = l->program;
    int64_t slot_bytes = (l->numel * 8 + 63) / 64 * 64;
    if (l->n_blocks != 1 || p->n_regs > 64 || slot_bytes * p->n_slots > STACK_SCRATCH) return false;
    void *regs[64];
    char scratch[STACK_SCRATCH] __attribute__((aligned(64)));
    machine m = {.regs = regs, .scratch = scratch, .slot_bytes = slot_bytes};
    set_up(l, &m, l->numel);
    run_blocks(l, &m, 0, 1);
    return true;
}

static int run_loop(loop *l) {
    if (l->numel == 0) return AD_OK;
    bool rows = l->ndim > 1 && l->shape[0] >= WIDE;
    l->per_row = rows ? (l->shape[0] + AD_BLOCK - 1) / AD_BLOCK : 0;
    l->n_blocks = rows ? l->per_row * (l->numel / l->shape[0]) : (l->numel + AD_BLOCK - 1) / AD_BLOCK;
    l->status = AD_OK;
    if (!run_small(l)) {
        int64_t cost = CHUNK * AD_BLOCK / 8 * (l->program->n_code + 1);
        ad_parallel_for((l->n_blocks + CHUNK - 1) / CHUNK, cost, run_chunk, l);
    }
    return l->status ? ad_fail(l->status, 0, 0, 0) : AD_OK;
}

/* ---- given outputs ---- */

static bool dense(const ad_tensor *x) {
    int64_t last = 0;
    for (int d = 0; d < x->ndim; d++) last += (x->shape[d] - 1) * x->strides[d];
    return x->contiguous || (last + 1 == x->numel && !ad_check_writable(x));
}

static bool same_layout(const ad_tensor *a, const ad_tensor *b) {
    if (a->data != b->data || a->dtype != b->dtype || !same_shape(a, b)) return false;
    for (int d = 0; d < a->ndim; d++)
        if (a->shape[d] > 1 && a->strides[d] != b->strides[d]) return false;
    return true;
}

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
            if (same_layout(in[i], out[o])) {
                *aliased = true;
                continue;
            }
            if (dense(in[i]) && dense(out[o]) && in[i]->numel > 1) return ad_fail(AD_OVERLAP, 0, 0, 0);
            if (!(copies[i] = ad_contiguous(in[i], in[i]->dtype))) return AD_NO_MEMORY;
            in[i] = copies[i];
        }
    }
    return AD_OK;
}

/* ---- the call ---- */

static void mark_unlike(const ad_program *p, const ad_tensor *const *in, ad_tensor *out) {
    for (int i = 0; i < p->n_in; i++)
        if (in[i]->dtype != out->dtype || !same_shape(in[i], out)) out->unlike |= (uint16_t)(1u << i);
}

static int make_outputs(const ad_program *p, const layout *y, const ad_tensor *like, ad_tensor **out,
                        bool *made) {
    for (int o = 0; o < p->n_out; o++) {
        made[o] = !out[o];
        if (out[o]) continue;
        out[o] = y ? make_ordered(y, p->out_dtypes[o]) : ad_make(p->out_dtypes[o], like->ndim, like->shape);
        if (!out[o]) return AD_NO_MEMORY;
    }
    return AD_OK;
}

static int lay_out(const ad_program *p, const ad_tensor *const *in, ad_tensor **out, layout *y) {
    y->n = 0;
    y->ndim = ad_broadcast_shapes(p->n_in, in, 0, y->shape);
    if (y->ndim < 0) return AD_BROADCAST;
    for (int o = 0; o < p->n_out; o++) {
        if (!out[o]) continue;
        bool same = out[o]->ndim == y->ndim;
        for (int d = 0; same && d < y->ndim; d++) same = out[o]->shape[d] == y->shape[d];
        if (!same) return ad_fail(AD_BAD_SHAPE, out[o]->ndim, y->ndim, 0);
        add_layout(y, out[o]);
    }
    for (int i = 0; i < p->n_in; i++) add_layout(y, in[i]);
    order_dims(y);
    return AD_OK;
}

static int run_checked(const ad_program *p, const ad_tensor *const *in, ad_tensor **out, bool aliased) {
    loop l;
    layout y;
    bool made[AD_MAX_OUTPUTS] = {false};
    l.program = p;
    l.direct = !aliased || p->last_only;
    int like = flat_case(p, in, out), status = like < 0 ? lay_out(p, in, out, &y) : AD_OK;
    if (!status) status = make_outputs(p, like < 0 ? &y : NULL, like < 0 ? NULL : in[like], out, made);
    if (!status) {
        if (like < 0)
            set_general(&l, &y, in, out);
        else
            set_flat(&l, in, out);
        status = run_loop(&l);
    }
    for (int o = 0; o < p->n_out; o++) {
        if (status && made[o]) {
            ad_free(out[o]);
            out[o] = NULL;
        } else if (!status && made[o])
            mark_unlike(p, in, out[o]);
        else if (!status)
            ad_bump(out[o]);
    }
    return status;
}

int ad_run(const ad_program *p, const ad_tensor *const *given, ad_tensor **out) {
    bool any = false, aliased = false;
    for (int o = 0; o < p->n_out; o++) any |= out[o] != NULL;
    if (!any && p->n_in) return run_checked(p, given, out, false);
    const ad_tensor *in[AD_MAX_INPUTS];
    ad_tensor *copies[AD_MAX_INPUTS] = {NULL};
    for (int i = 0; i < p->n_in; i++) in[i] = given[i];
    int status = p->n_in ? check_outputs(p, in, out, copies, &aliased) : ad_fail(AD_BAD_ARG, 0, 0, 0);
    if (!status) status = run_checked(p, in, out, aliased);
    for (int i = 0; i < p->n_in; i++) ad_free(copies[i]);
    return status;
}
