/* tape_plan.c: from a recording to what is run: calls that nobody needs are dropped, what is made on the way
 * gets a place in the arena by its lifetime, pointwise calls are laid out, and the pointers that a run may
 * have to patch are listed. */
#include "small.h"
#include <stdlib.h>
#include "tape_parts.h"

enum { LINE = 64, LARGE = 65536 };

/* ---- what is needed ---- */

/* Whether an input may have other values at the next run. */
static bool varies(const ad_tape *t, const ad_step *s, int k) {
    const ad_tape_memory *of = s->of[k] < 0 ? NULL : &t->memory[s->of[k]];
    return of && (of->kind == AD_MEMORY_ARGUMENT || (!of->constant && !s->operands[k].number));
}

/* Whether a call may refuse integers that a later run finds: places, or what it divides by. */
static bool may_refuse(const ad_tape *t, const ad_step *s) {
    const ad_program *p = s->call.program;
    for (int k = 0; s->call.picks && k < s->call.n_in; k++)
        if (ad_in(&s->call, k) && ad_in(&s->call, k)->dtype == AD_int64 && varies(t, s, s->call.n_out + k))
            return true;
    for (int i = 0; p && p->divides && i < p->n_code; i++) {
        const int by = p->code[i].b;
        if (ad_divides(&p->code[i]) &&
            (by < p->n_in ? varies(t, s, s->call.n_out + by) : by >= p->n_in + p->n_const))
            return true;
    }
    return false;
}

/* Whether a call does more than write to memory that is made here. */
static bool has_effects(const ad_tape *t, const ad_step *s) {
    if (s->call.kept || s->call.refuses || may_refuse(t, s)) return true;
    for (int i = 0; i < s->call.n_out; i++)
        if (s->of[i] >= 0 && t->memory[s->of[i]].kind != AD_MEMORY_MADE) return true;
    return false;
}

static bool is_needed(const ad_step *s, const bool *needed) {
    for (int i = 0; i < s->call.n_out; i++)
        if (s->of[i] >= 0 && needed[s->of[i]]) return true;
    return false;
}

/* From the last to the first: a call is needed where a later one that is reads what it writes. */
static int drop_unneeded(ad_tape *t) {
    bool *needed = calloc((size_t)t->n_memory + 1, sizeof *needed);
    if (!needed) return ad_fail(AD_NO_MEMORY, t->n_memory, 0, 0);
    int kept = t->n_steps;
    for (int i = t->n_steps - 1; i >= 0; i--) {
        ad_step *s = &t->steps[i];
        if (!has_effects(t, s) && !is_needed(s, needed)) {
            ad_step_free(s);
            continue;
        }
        for (int k = 0; k < s->call.n_out + s->call.n_in; k++)
            if (s->of[k] >= 0) needed[s->of[k]] = true;
        t->steps[--kept] = *s;
    }
    t->n_steps -= kept;
    if (t->n_steps) memmove(t->steps, t->steps + kept, sizeof *t->steps * (size_t)t->n_steps);
    free(needed);
    return AD_OK;
}

/* ---- lifetimes and the arena ---- */

static void find_lifetimes(ad_tape *t) {
    for (int i = 0; i < t->n_memory; i++) {
        t->memory[i].first = t->memory[i].contents ? -1 : INT32_MAX; /* those are there from the beginning */
        t->memory[i].last = -1;
    }
    for (int i = 0; i < t->n_steps; i++) {
        const ad_step *s = &t->steps[i];
        for (int k = 0; k < s->call.n_out + s->call.n_in; k++) {
            if (s->of[k] < 0) continue;
            ad_tape_memory *of = &t->memory[s->of[k]];
            if (i < of->first) of->first = i;
            of->last = i;
        }
    }
}

static int64_t rounded(int64_t nbytes) { return (nbytes + LINE - 1) / LINE * LINE; }

/* The largest first; of equals, the one that is needed longest. */
static void sort_by_size(const ad_tape *t, int *order, int n) {
    for (int i = 1; i < n; i++) {
        const int m = order[i];
        const ad_tape_memory *of = &t->memory[m];
        int k = i;
        for (; k > 0; k--) {
            const ad_tape_memory *other = &t->memory[order[k - 1]];
            if (other->nbytes > of->nbytes || (other->nbytes == of->nbytes && other->last >= of->last)) break;
            order[k] = order[k - 1];
        }
        order[k] = m;
    }
}

static bool meet(const ad_tape_memory *a, const ad_tape_memory *b) {
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest place in the arena, or in a host, where nothing lives at the same time; `placed` are in order of
 * their places. */
static int64_t find_place(const ad_tape *t, const ad_tape_memory *of, int host, const int *placed, int n) {
    int64_t at = 0;
    for (int i = 0; i < n; i++) {
        const ad_tape_memory *other = &t->memory[placed[i]];
        if (other->host != host || !meet(of, other)) continue;
        if (other->at >= at + rounded(of->nbytes)) break;
        if (other->at + rounded(other->nbytes) > at) at = other->at + rounded(other->nbytes);
    }
    return at;
}

/* In the arena as it is; else in a result, until that is made; else the arena grows. */
static void choose_place(ad_tape *t, ad_tape_memory *of, const int *placed, int n) {
    enum { WORTH = 4096 };
    of->at = find_place(t, of, -1, placed, n);
    if (of->at + rounded(of->nbytes) <= t->arena_bytes) return;
    for (int i = 0; i < t->n_memory && of->nbytes >= WORTH; i++) {
        const ad_tape_memory *result = &t->memory[i];
        if (result->kind != AD_MEMORY_RESULT || result->kept) continue;
        if (result->last < 0 || result->first <= of->last) continue;
        const int64_t at = find_place(t, of, i, placed, n);
        if (at + of->nbytes > result->nbytes) continue;
        of->host = i;
        of->at = at;
        return;
    }
    t->arena_bytes = of->at + rounded(of->nbytes);
}

static int plan_arena(ad_tape *t) {
    int *order = malloc(sizeof(int) * (size_t)(2 * t->n_memory + 1)), *placed = order + t->n_memory, n = 0;
    if (!order) return ad_fail(AD_NO_MEMORY, t->n_memory, 0, 0);
    for (int i = 0; i < t->n_memory; i++)
        if (t->memory[i].kind == AD_MEMORY_MADE && t->memory[i].first <= t->memory[i].last) order[n++] = i;
    sort_by_size(t, order, n);
    for (int i = 0; i < n; i++) {
        ad_tape_memory *of = &t->memory[order[i]];
        choose_place(t, of, placed, i);
        int k = i;
        for (; k > 0 && t->memory[placed[k - 1]].at > of->at; k--) placed[k] = placed[k - 1];
        placed[k] = order[i];
    }
    free(order);
    return AD_OK;
}

/* What was filled from outside alone stays where it is. */
static void capture_constants(ad_tape *t) {
    for (int i = 0; i < t->n_memory; i++)
        if (t->memory[i].kind == AD_MEMORY_MADE && t->memory[i].storage) {
            t->memory[i].kind = AD_MEMORY_CAPTURED;
            t->memory[i].constant = true;
        }
}

/* ---- constants ---- */

enum { CONSTANT_BYTES = 4096 }; /* of what is worth keeping rather than making anew */

/* How many steps write to each memory. */
static int *count_writers(const ad_tape *t) {
    int *writers = calloc((size_t)t->n_memory + 1, sizeof *writers);
    for (int i = 0; writers && i < t->n_steps; i++)
        for (int k = 0; k < t->steps[i].call.n_out; k++)
            if (t->steps[i].of[k] >= 0) writers[t->steps[i].of[k]]++;
    return writers;
}

/* Whether a step makes the same at every run, from constants or from nothing; or looks at constants. */
static bool is_constant(const ad_tape *t, const ad_step *s, const int *writers) {
    const ad_call *c = &s->call;
    if (c->kept) return false;
    for (int k = 0; k < c->n_out + c->n_in; k++) {
        if (s->of[k] < 0) continue;
        const ad_tape_memory *of = &t->memory[s->of[k]];
        if (k >= c->n_out ? varies(t, s, k)
                          : of->kind != AD_MEMORY_MADE || of->contents || writers[s->of[k]] != 1 ||
                                of->nbytes > CONSTANT_BYTES)
            return false;
    }
    return true;
}

/* Operands without elements keep no memory: they point to none that may be gone. */
static void forget_empty(ad_step *s, int n) {
    static char nothing[64];
    static ad_storage nowhere = {.data = nothing, .lo = nothing, .refs = 1};
    for (int k = 0; k < n; k++) {
        if (s->of[k] >= 0 || !s->call.x[k]) continue;
        s->operands[k].storage = &nowhere;
        s->operands[k].data = nothing;
    }
}

/* Makes it, for good. */
static int run_constant(ad_tape *t, ad_step *s) {
    forget_empty(s, s->call.n_out + s->call.n_in);
    for (int k = 0; k < s->call.n_out + s->call.n_in; k++) {
        if (s->of[k] < 0) continue;
        ad_tape_memory *of = &t->memory[s->of[k]];
        if (k < s->call.n_out && !of->storage) {
            of->storage = ad_storage_new(of->nbytes);
            if (!of->storage) return AD_NO_MEMORY;
            of->kind = AD_MEMORY_CAPTURED;
            of->constant = true;
            of->data = of->storage->data;
        }
        s->operands[k].storage = of->storage;
        s->operands[k].data = of->data + s->offset[k];
    }
    return s->call.run(&s->call);
}

static int fold_constants(ad_tape *t) {
    int *writers = count_writers(t), kept = 0,
        status = writers ? AD_OK : ad_fail(AD_NO_MEMORY, sizeof *t->memory, 0, 0);
    for (int i = 0; i < t->n_steps; i++) {
        ad_step *s = &t->steps[i];
        if (!status && is_constant(t, s, writers)) {
            status = run_constant(t, s);
            ad_step_free(s);
        } else {
            t->steps[kept++] = *s;
        }
    }
    t->n_steps = kept;
    free(writers);
    return status;
}

static int make_arena(ad_tape *t) {
    if (t->arena_bytes >= LARGE) ad_memory_trim(); /* what the recorded call had is not needed besides */
    t->arena = ad_alloc((size_t)t->arena_bytes);
    t->owned = calloc((size_t)t->n_memory + 1, sizeof *t->owned);
    t->results = calloc((size_t)t->n_memory + 1, sizeof *t->results);
    t->restored = calloc((size_t)t->n_memory + 1, sizeof *t->restored);
    if (!t->arena || !t->owned || !t->results || !t->restored)
        return ad_fail(AD_NO_MEMORY, t->arena_bytes, 0, 0);
    for (int i = 0; i < t->n_memory; i++) {
        ad_tape_memory *of = &t->memory[i];
        if (of->kind == AD_MEMORY_RESULT) {
            t->results[t->n_results++] = i;
            ad_storage_know(of->storage, 0, 0); /* whoever holds it may give it as an argument */
        }
        if (of->contents && (of->kind == AD_MEMORY_RESULT || of->first <= of->last))
            t->restored[t->n_restored++] = i;
    }
    return AD_OK;
}

/* ---- pointers ---- */

/* Sets a pointer into a memory, and remembers it where that may move. */
static bool point_into(ad_tape *t, const ad_tape_memory *of, int64_t offset, char **where) {
    *where = of->data + offset;
    ad_tape_memory *moves = of->host < 0 ? (ad_tape_memory *)of : &t->memory[of->host];
    if (moves->kind != AD_MEMORY_ARGUMENT && moves->kind != AD_MEMORY_RESULT) return true;
    ad_patch *grew = ad_grown(moves->patches, moves->n_patches, sizeof *grew);
    if (!grew) return false;
    moves->patches = grew;
    moves->patches[moves->n_patches++] = (ad_patch){where, offset + (of->host < 0 ? 0 : of->at)};
    return true;
}

/* What is made on the way gets its memory, and what stands in for a storage. */
static int place_made(ad_tape *t) {
    for (int i = 0; i < t->n_memory; i++) {
        ad_tape_memory *of = &t->memory[i];
        if (of->kind != AD_MEMORY_MADE || of->first > of->last) continue;
        ad_storage *s = of->storage = &t->owned[i];
        of->data = (of->host < 0 ? t->arena : t->memory[of->host].data) + of->at;
        *s = (ad_storage){.nbytes = of->nbytes, .refs = 1};
        if (!point_into(t, of, 0, &s->data) || !point_into(t, of, 0, &s->lo))
            return ad_fail(AD_NO_MEMORY, sizeof *t->memory, 0, 0);
    }
    return AD_OK;
}

typedef struct {
    ad_tape *t;
    const ad_step *step;
    bool failed;
} placing;

static void place(void *context, int k, char **where) {
    placing *p = context;
    const int m = p->step->of[k];
    if (m >= 0 && !point_into(p->t, &p->t->memory[m], p->step->offset[k], where)) p->failed = true;
}

static void place_owner(placing *p, int k) {
    if (p->step->of[k] < 0) return;
    ad_tape_memory *of = &p->t->memory[p->step->of[k]];
    p->step->operands[k].storage = of->storage;
    if (of->kind != AD_MEMORY_ARGUMENT && of->kind != AD_MEMORY_RESULT) return;
    ad_storage ***grew = ad_grown(of->owners, of->n_owners, sizeof *grew);
    if (!grew) {
        p->failed = true;
        return;
    }
    of->owners = grew;
    of->owners[of->n_owners++] = &p->step->operands[k].storage;
}

static int place_step(ad_tape *t, ad_step *s) {
    placing p = {.t = t, .step = s};
    const int n = s->call.n_out + s->call.n_in;
    forget_empty(s, n);
    for (int k = 0; k < n; k++) {
        place(&p, k, &s->operands[k].data);
        place_owner(&p, k);
    }
    const ad_layout *layout = s->call.layout;
    if (layout && !p.failed) {
        s->room = malloc(layout->size(&s->call));
        if (!s->room)
            p.failed = true;
        else if (layout->lay(&s->call, s->room)) {
            layout->pointers(&s->call, s->room, place, &p);
            s->call.numbers = s->room;
            s->call.run = layout->run;
        }
    }
    return p.failed ? ad_fail(AD_NO_MEMORY, sizeof *t->memory, 0, 0) : AD_OK;
}

/* Whether a run is too short for others to run Python meanwhile. Calls that are laid out let the lock go
 * themselves where they are long. */
static bool is_short(const ad_tape *t) {
    enum { MOST = 4096 }; /* elements of all operands; of a call that is laid out, a sixteenth counts */
    int64_t elements = 0;
    for (int i = 0; i < t->n_steps && elements <= MOST; i++) {
        const ad_call *c = &t->steps[i].call;
        for (int k = 0; k < c->n_out + c->n_in; k++)
            elements += t->steps[i].operands[k].numel >> (c->layout ? 4 : 0);
    }
    return elements <= MOST;
}

int ad_tape_finish(ad_tape *t, int n_outputs, int fuse) {
    if (t->reason == AD_TAPE_NO_MEMORY) return ad_fail(AD_NO_MEMORY, t->arena_bytes, 0, 0);
    if (t->ready || t->reason || n_outputs < 0 || n_outputs > t->n_exports)
        return ad_fail(AD_BAD_ARG, 0, 0, 0);
    capture_constants(t);
    int status = drop_unneeded(t);
    if (!status) status = fold_constants(t);
    if (!status && fuse) status = ad_tape_fuse(t);
    if (!status) {
        find_lifetimes(t);
        status = plan_arena(t);
    }
    if (!status) status = make_arena(t);
    if (!status) status = place_made(t);
    for (int i = 0; i < t->n_steps && !status; i++) status = place_step(t, &t->steps[i]);
    t->cost = is_short(t) ? 0 : INT64_MAX;
    t->n_outputs = n_outputs;
    t->ready = !status;
    if (status) t->reason = AD_TAPE_NO_MEMORY; /* half of it is done, and cannot be done again */
    return status;
}

int ad_tape_keep(ad_tape *t, int i) {
    if (t->ready || i < 0 || i >= t->n_exports) return ad_fail(AD_BAD_ARG, i, 0, 0);
    t->memory[t->exports[i].of[0]].kept = true;
    return AD_OK;
}

int ad_tape_reuse(ad_tape *t, int n) {
    if (!t->ready || n < 0 || n > t->n_exports) return ad_fail(AD_BAD_ARG, n, 0, 0);
    for (int i = 0; i < n; i++) t->memory[t->exports[i].of[0]].reused = true;
    for (int i = n; i < t->n_exports; i++) t->memory[t->exports[i].of[0]].reused = false; /* a view of it */
    return AD_OK;
}

int ad_tape_undo(ad_tape *t, int n) {
    if (!t->ready) return ad_fail(AD_BAD_ARG, n, 0, 0);
    for (int i = 0; i < t->n_steps && n > 0; i++) {
        const ad_program *p = t->steps[i].call.program; /* it may be part of a later one, and divide there */
        if (t->steps[i].source < n || (p && p->divides)) t->n_undone = i + 1;
    }
    for (int i = 0; i < t->n_undone; i++)
        for (int k = 0; k < t->steps[i].call.n_out; k++)
            if (t->steps[i].of[k] >= 0) t->memory[t->steps[i].of[k]].undone = true;
    return AD_OK;
}
