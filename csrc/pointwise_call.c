/* pointwise_call.c: a call of a pointwise program: what it may write to, what is made, what a tape keeps of
 * it to run it again, and how that is laid out so that a run begins with the loop. */
#include "loop.h"
#include "tape.h"

/* ---- given outputs ---- */

/* A float result does not go into an integer tensor, nor any number into a bool one. */
static bool storable(int from, int to) {
    int rank_from = ad_is_floating(from) ? 2 : from != AD_bool;
    int rank_to = ad_is_floating(to) ? 2 : to != AD_bool;
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

static int64_t operand_bytes(const ad_loop *l) {
    int64_t bytes = 0;
    for (int i = 0; i < l->program->n_in; i++)
        if (!l->in[i].uniform) bytes += l->numel * l->in[i].size;
    for (int k = 0; k < l->program->n_out; k++) bytes += l->numel * l->out[k].size;
    return bytes;
}

static bool may_write_early(const ad_program *p, const terms *how) { return !how->aliased || p->last_only; }
/* Whether results are stored past the caches: not where they go to what was read, which is in L1 then. */
static bool leaves_caches(const ad_loop *l, const terms *how) {
    return !how->aliased && operand_bytes(l) >= AD_STREAM_BYTES;
}

static int run_checked(const ad_program *p, const ad_tensor *const *in, ad_tensor **out, const terms *how) {
    ad_loop l;
    int status = ad_lay_out(&l, p, in, out);
    if (!status) status = ad_run_loop(&l, may_write_early(p, how), leaves_caches(&l, how));
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
    if (!any && p->n_in) {
        if (p->small && (out[0] = ad_run_small(p, given))) return describe_inputs(p, given, out[0]), AD_OK;
        return run_checked(p, given, out, how);
    }
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

static const ad_layout pointwise_layout;

static int run_recorded(const ad_program *p, const ad_tensor *const *in, ad_tensor **out) {
    const ad_tensor *x[AD_MAX_OUTPUTS + AD_MAX_INPUTS];
    terms how = {.aliased = false};
    const ad_call c = {run_again,
                       "pointwise",
                       p->n_out,
                       p->n_in,
                       .x = x,
                       .numbers = &how,
                       .n_bytes = sizeof how,
                       .program = p,
                       .layout = &pointwise_layout};
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

/* ---- calls that are laid out before they run ---- */

typedef struct {
    ad_loop loop;
    terms how;
    bool direct, stream;
    int n_quick; /* elements of a loop that needs no more than its instructions: 0 of others */
    void *regs[AD_STACK_REGS];
    ad_pw_fn *kernels[AD_STACK_REGS];
    uint64_t once;
    char memory[AD_LINE]; /* and what scratch takes besides */
} laid;

bool ad_is_plain(const ad_call *c) {
    const terms *how = c->numbers;
    for (int o = 0; o < c->n_out; o++)
        if (how->given[o]) return false;
    return !how->aliased && !how->copied;
}

static size_t laid_size(const ad_call *c) {
    const int64_t n = ad_least(ad_out(c, 0)->numel, AD_BLOCK);
    return sizeof(laid) +
           (size_t)ad_least(ad_slot_bytes(c->program, n) * c->program->n_slots, AD_STACK_SCRATCH);
}

/* Whether one block does, all operands being whole runs of their register's type, or one number. */
static bool is_quick(const laid *r, const ad_call *c) {
    const ad_loop *l = &r->loop;
    const ad_program *p = l->program;
    if (!ad_is_plain(c) || l->numel > AD_BLOCK || !l->numel || p->divides || p->compares || !p->n_code)
        return false;
    if (p->n_regs > AD_STACK_REGS || ad_slot_bytes(p, l->numel) * p->n_slots > AD_STACK_SCRATCH) return false;
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

static bool lay(const ad_call *c, void *room) {
    laid *r = room;
    ad_tensor *out[AD_MAX_OUTPUTS];
    r->how = *(const terms *)c->numbers;
    r->n_quick = 0;
    for (int o = 0; o < c->n_out; o++) out[o] = ad_out(c, o);
    if (r->how.copied || ad_lay_out(&r->loop, c->program, c->x + c->n_out, out)) return false;
    r->direct = may_write_early(c->program, &r->how);
    r->stream = leaves_caches(&r->loop, &r->how);
    if (!is_quick(r, c)) return true;
    r->n_quick = (int)r->loop.numel;
    ad_machine m = {.regs = r->regs, .kernels = r->kernels};
    m.slot_bytes = ad_slot_bytes(c->program, r->n_quick);
    m.scratch = r->memory + (-(intptr_t)r->memory & (AD_LINE - 1));
    /* Constants stay. Numbers are filled in at each run; what they were when recorded may be gone. */
    ad_set_up(&r->loop, &m, r->n_quick, c->program->n_in);
    r->once = m.once;
    return true;
}

static void pointers(const ad_call *c, void *room, ad_place_fn *place, void *context) {
    (void)c;
    laid *r = room;
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

static int run_quick(const laid *r) {
    const ad_program *p = r->loop.program;
    const ad_pw_kernels *pw = ad_cpu->pw;
    void *const *regs = r->regs;
    for (int i = 0; i < p->n_in; i++) {
        const ad_operand *o = &r->loop.in[i];
        if (o->uniform) pw->load[o->dtype][o->type](r->n_quick, regs[i], o->data, 0);
    }
    ad_run_code(p, p->n_code, r->kernels, r->once, r->n_quick, regs);
    return AD_OK;
}

static int run_laid(const ad_call *c) {
    const laid *r = c->numbers;
    if (r->n_quick) return run_quick(r);
    const int status = ad_run_loop(&r->loop, r->direct, r->stream);
    for (int o = 0; o < c->n_out && !status; o++)
        if (r->how.given[o]) ad_wrote(ad_out(c, o), c->program->writer);
    return status;
}

static const ad_layout pointwise_layout = {laid_size, lay, pointers, run_laid};
