/* tape.c: recording the calls of a thread.
 *
 * Each call appends its operands by value. Memory is known by the storage it lies in: an argument's, one that
 * was there before (captured: kept alive, used where it is), or one that is made on the way. */
#include "small.h"
#include <stdlib.h>
#include "tape_parts.h"

_Thread_local ad_tape *ad_recording AD_NEAR;

/* ---- what cannot be recorded ---- */

static void broken(ad_tape *t, int reason) {
    if (t->reason == AD_TAPE_FINE) t->reason = reason;
    if (t->notice) t->notice(reason);
}

void ad_tape_break(int reason) {
    ad_tape *t = ad_recording;
    if (!t || t->watch) return;
    ad_recording = NULL; /* what the notice runs is no part of the tape */
    broken(t, reason);
    ad_recording = t;
}

/* ---- memory ---- */

void *ad_grown(void *items, int n, size_t size) {
    if (n & (n - 1)) return items; /* there is room up to the next power of two */
    return realloc(items, (size_t)(n ? 2 * n : 1) * size);
}

/* A storage that was not seen yet; -1 for want of memory. */
static int add_memory(ad_tape *t, int kind, ad_storage *s, char *data) {
    ad_tape_memory *grew = ad_grown(t->memory, t->n_memory, sizeof *t->memory);
    if (!grew) {
        broken(t, AD_TAPE_NO_MEMORY);
        return -1;
    }
    t->memory = grew;
    t->memory[t->n_memory] = (ad_tape_memory){
        .kind = (uint8_t)kind, .nbytes = s->nbytes, .data = data, .first = INT32_MAX, .last = -1, .host = -1};
    ad_storage_know(s, t->number, t->n_memory);
    return t->n_memory++;
}

void ad_tape_made(ad_storage *s) {
    if (!ad_recording->watch) add_memory(ad_recording, AD_MEMORY_MADE, s, s->data);
}

/* An export that begins where a memory of the tape begins; without, a byte of it becomes one. */
static int export_of(ad_tape *t, ad_storage *s) {
    for (int i = 0; i < t->n_exports; i++)
        if (t->exports[i].of[0] == s->known.memory && t->exports[i].offset[0] == 0) return i;
    const ad_tensor x = {.storage = s,
                         .data = t->memory[s->known.memory].data,
                         .numel = 1,
                         .shape = {1},
                         .strides = {1},
                         .ndim = 1,
                         .dtype = AD_uint8,
                         .contiguous = 1};
    return ad_tape_export(t, &x);
}

/* What the tape before made becomes an argument, of which only the place matters. */
static int link_memory(ad_tape *t, ad_storage *s) {
    ad_tape_argument *grew = ad_grown(t->arguments, t->n_arguments, sizeof *grew);
    if (grew) t->arguments = grew;
    const int at = grew ? export_of(t->after, s) : -1;
    if (at < 0) {
        broken(t, AD_TAPE_NO_MEMORY);
        return -1;
    }
    const ad_tape_memory *from = &t->after->memory[s->known.memory];
    ad_tape_argument *a = &t->arguments[t->n_arguments];
    *a = (ad_tape_argument){.like = {.storage = s, .data = from->data},
                            .inference = s->version < 0,
                            .first = true,
                            .linked = s->known.memory,
                            .exported = at};
    a->memory = add_memory(t, AD_MEMORY_ARGUMENT, s, from->data);
    if (a->memory < 0) return -1;
    t->n_arguments++;
    t->n_links++;
    return a->memory;
}

static int memory_of(ad_tape *t, ad_storage *s) {
    if (s->known.tape == t->number) return s->known.memory;
    if (t->after && s->known.tape == t->after->number &&
        t->after->memory[s->known.memory].kind != AD_MEMORY_CAPTURED)
        return link_memory(t, s);
    const int m = add_memory(t, AD_MEMORY_CAPTURED, s, s->data);
    if (m < 0) return -1;
    ad_storage_retain(s);
    t->memory[m].storage = s;
    return m;
}

void ad_raw(ad_tensor *x) {
    ad_tape *t = ad_recording;
    if (!t || t->watch) return;
    const int m = memory_of(t, x->storage);
    if (m < 0) return;
    if (t->memory[m].kind == AD_MEMORY_MADE && !t->memory[m].written)
        t->memory[m].raw = true;
    else
        ad_tape_break(AD_TAPE_UNRECORDED);
}

/* What was put there from outside, and is now written to, is put there again before each run. */
static void keep_contents(ad_tape *t, ad_tape_memory *of, const ad_storage *s) {
    if (of->storage) ad_storage_release(of->storage);
    of->storage = NULL;
    of->contents = malloc(s->nbytes ? (size_t)s->nbytes : 1);
    if (!of->contents) {
        broken(t, AD_TAPE_NO_MEMORY);
        return;
    }
    memcpy(of->contents, s->data, (size_t)s->nbytes);
    of->written = true;
}

/* Before a call reads or writes x. */
static void look_at(ad_tape *t, const ad_tensor *x, bool write) {
    const int m = x && x->numel ? memory_of(t, x->storage) : -1;
    if (m < 0) return;
    ad_tape_memory *of = &t->memory[m];
    if (of->kind == AD_MEMORY_MADE && !of->written) {
        if (of->raw && write) {
            keep_contents(t, of, x->storage);
        } else if (of->raw && !of->storage) {
            ad_storage_retain(x->storage); /* a constant, as long as nothing writes to it */
            of->storage = x->storage;
        } else if (!of->raw && !write) {
            broken(t, AD_TAPE_UNRECORDED); /* who made it did not tell */
        }
    }
    of->written |= write;
}

/* ---- calls ---- */

/* A call as it is recorded, its operands by the memory they are in. */
static bool copy_step(ad_tape *t, const ad_call *c, ad_step *s) {
    if (!ad_step_like(c, s)) return false;
    s->source = t->n_recorded;
    for (int i = 0; i < c->n_out + c->n_in; i++) {
        const ad_tensor *x = s->call.x[i];
        s->of[i] = x && x->numel ? memory_of(t, x->storage) : -1;
        if (s->of[i] >= 0) s->offset[i] = x->data - t->memory[s->of[i]].data;
    }
    if (c->program) ad_program_retain(c->program);
    return true;
}

static void append(ad_tape *t, const ad_call *c) {
    ad_step *grew = ad_grown(t->steps, t->n_steps, sizeof *t->steps);
    if (grew) t->steps = grew;
    if (!grew || !copy_step(t, c, &t->steps[t->n_steps])) {
        broken(t, AD_TAPE_NO_MEMORY);
        return;
    }
    if (t->hashing) t->steps[t->n_steps].hash = ad_step_hash(&t->steps[t->n_steps]);
    t->n_steps++;
    t->n_recorded++;
    int64_t stats[4];
    ad_memory_stats(stats);
    if (stats[0] > t->most) t->most = stats[0];
    const bool refuses = c->refuses || c->picks || (c->program && c->program->divides);
    if (t->notice) t->notice(refuses ? AD_TAPE_REFUSES : AD_TAPE_FINE);
}

ad_tape *ad_tape_begin(const ad_call *c) {
    ad_tape *t = ad_recording;
    ad_recording = NULL; /* what the call itself makes and runs is no part of the tape */
    if (t->watch) {
        ad_watch_before(t, c);
        return t;
    }
    for (int i = 0; i < c->n_in; i++) look_at(t, ad_in(c, i), false);
    for (int i = 0; i < c->n_out; i++) look_at(t, ad_out(c, i), true);
    return t;
}

void ad_tape_adopt(ad_tape *t, const ad_tensor *x) {
    const int m = t->watch ? -1 : add_memory(t, AD_MEMORY_MADE, x->storage, x->storage->data);
    if (m >= 0) t->memory[m].written = true;
}

int ad_tape_end(ad_tape *t, const ad_call *c, int status) {
    if (t->watch)
        status = status ? status : ad_watch_after(t, c);
    else if (status)
        broken(t, AD_TAPE_REFUSED); /* to no purpose, if it ends what is recorded */
    else if (t->reason == AD_TAPE_FINE)
        append(t, c);
    ad_recording = t;
    return status;
}

int ad_tape_do(const ad_call *c) {
    ad_tape *const t = ad_tape_begin(c);
    return ad_tape_end(t, c, c->run(c));
}

/* ---- the recording ---- */

static bool add_argument(ad_tape *t, ad_tape_argument *a, ad_tensor *x) {
    const bool first = x->storage->known.tape != t->number;
    *a = (ad_tape_argument){.like = *x, .inference = x->storage->version < 0, .first = first};
    a->memory = first ? add_memory(t, AD_MEMORY_ARGUMENT, x->storage, x->data) : x->storage->known.memory;
    if (a->memory < 0) return false;
    a->from = x->data - t->memory[a->memory].data;
    return true;
}

ad_tape *ad_tape_record(int n_args, ad_tensor *const *args, void (*notice)(int reason)) {
    static int32_t last;
    if (ad_recording || n_args < 0) return ad_fail_null(AD_BUSY, 0, 0, 0);
    ad_tape *t = calloc(1, sizeof *t);
    if (!t) return ad_fail_null(AD_NO_MEMORY, sizeof *t, 0, 0);
    t->number = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
    bool made = true;
    for (; made && t->n_arguments < n_args; t->n_arguments += made) {
        ad_tape_argument *grew = ad_grown(t->arguments, t->n_arguments, sizeof *grew);
        if (grew) t->arguments = grew;
        made = grew && add_argument(t, &t->arguments[t->n_arguments], args[t->n_arguments]);
    }
    if (!made) {
        ad_tape_free(t);
        return ad_fail_null(AD_NO_MEMORY, n_args, 0, 0);
    }
    int64_t stats[4];
    ad_memory_stats(stats);
    t->in_use = t->most = stats[0];
    t->notice = notice;
    ad_recording = t;
    return t;
}

ad_tape *ad_tape_record_after(ad_tape *first, int n_args, ad_tensor *const *args,
                              void (*notice)(int reason)) {
    ad_tape *t = ad_tape_record(n_args, args, notice);
    if (t) t->after = first;
    return t;
}

int ad_tape_links(const ad_tape *t) { return t->n_links; }

int ad_tape_linked(const ad_tape *t, int i) {
    return i < 0 || i >= t->n_links ? -1 : t->arguments[t->n_arguments - t->n_links + i].exported;
}

void ad_tape_unlink(const ad_tape *t, const ad_tape *first) {
    for (int i = t->n_arguments - t->n_links; i < t->n_arguments; i++) {
        ad_storage *s = t->arguments[i].like.storage;
        ad_storage_know(s, first->number, t->arguments[i].linked);
    }
}

int ad_tape_stop(ad_tape *t) {
    if (ad_recording == t) ad_recording = NULL;
    t->notice = NULL;
    t->after = NULL;
    return t->reason;
}

ad_tape *ad_tape_pause(void) {
    ad_tape *const t = ad_recording;
    ad_recording = NULL;
    return t;
}

void ad_tape_resume(ad_tape *t) { ad_recording = t; }

int ad_tape_made_here(const ad_tensor *x) {
    const ad_tape *t = ad_recording;
    return t && x->storage->known.tape == t->number &&
           t->memory[x->storage->known.memory].kind == AD_MEMORY_MADE;
}

int ad_tape_knows(const ad_tape *t, const ad_tensor *x) {
    if (x->storage->known.tape != t->number) return -1;
    const int kind = t->memory[x->storage->known.memory].kind;
    return kind < AD_MEMORY_MADE ? kind : AD_MEMORY_MADE;
}

void ad_tape_tell(const ad_tensor *number) {
    ad_tape *t = ad_recording;
    if (t && !t->watch && ad_tape_knows(t, number) == AD_MEMORY_ARGUMENT) t->tells = true;
}

int ad_tape_constant(const ad_tape *t, const ad_tensor *x) {
    bool *varies = malloc((size_t)t->n_memory + 1);
    if (ad_tape_knows(t, x) != AD_MEMORY_MADE || !varies) {
        free(varies);
        return false;
    }
    for (int i = 0; i < t->n_memory; i++) varies[i] = t->memory[i].kind < AD_MEMORY_MADE;
    for (int i = 0; i < t->n_steps; i++) {
        const ad_step *s = &t->steps[i];
        bool any = s->call.kept;
        for (int k = s->call.n_out; k < s->call.n_out + s->call.n_in; k++)
            any |= s->of[k] >= 0 && varies[s->of[k]] &&
                   (!s->operands[k].number || t->memory[s->of[k]].kind == AD_MEMORY_ARGUMENT);
        for (int k = 0; k < s->call.n_out && any; k++)
            if (s->of[k] >= 0) varies[s->of[k]] = true;
    }
    const bool found = !varies[x->storage->known.memory];
    free(varies);
    return found;
}

int ad_tape_capture(ad_tape *t, const ad_tensor *x) {
    return memory_of(t, x->storage) < 0 ? ad_fail(AD_NO_MEMORY, sizeof *t->memory, 0, 0) : AD_OK;
}

int ad_tape_lend(ad_tape *t, const ad_tensor *x) {
    ad_storage *s = x->storage;
    if (t->ready || s->known.tape != t->number || t->memory[s->known.memory].kind != AD_MEMORY_CAPTURED)
        return false;
    ad_tape_memory *of = &t->memory[s->known.memory];
    if (!x->contiguous || x->data != of->data || x->numel * ad_itemsize[x->dtype] != s->nbytes) return false;
    for (int i = 0; i < t->n_exports; i++)
        if (t->exports[i].of[0] == s->known.memory) return false;
    ad_tape_argument *grew = ad_grown(t->arguments, t->n_arguments, sizeof *grew);
    if (!grew) return ad_fail(AD_NO_MEMORY, 0, 0, 0), -1;
    t->arguments = grew;
    t->arguments[t->n_arguments++] =
        (ad_tape_argument){.like = *x, .inference = s->version < 0, .first = true, .memory = s->known.memory};
    of->kind = AD_MEMORY_ARGUMENT;
    if (of->storage) ad_storage_release(of->storage); /* whose it was keeps it */
    of->storage = NULL;
    return true;
}

int ad_tape_export(ad_tape *t, const ad_tensor *x) {
    ad_step *grew = ad_grown(t->exports, t->n_exports, sizeof *t->exports);
    if (!grew) return ad_fail(AD_NO_MEMORY, sizeof *t->memory, 0, 0), -1;
    t->exports = grew;
    const ad_tensor *const one[] = {x};
    ad_step *e = &t->exports[t->n_exports];
    const int m = memory_of(t, x->storage);
    const ad_tape_memory *from = m < 0 ? NULL : &t->memory[m];
    if (from && x->numel && from->kind == AD_MEMORY_MADE && !from->written && !from->raw) return -2;
    if (m < 0 || !copy_step(t, &(ad_call){.n_in = 1, .x = one}, e))
        return ad_fail(AD_NO_MEMORY, sizeof *t->memory, 0, 0), -1;
    e->of[0] = m;
    e->offset[0] = x->data - t->memory[m].data;
    ad_tape_memory *of = &t->memory[m];
    if (of->kind == AD_MEMORY_MADE) {
        of->kind = AD_MEMORY_RESULT;
        if (!of->written) keep_contents(t, of, x->storage);
        if (of->storage) ad_storage_release(of->storage);
        ad_storage_retain(x->storage); /* as if a run had made it */
        of->storage = x->storage;
    }
    return t->n_exports++;
}

void ad_tape_free(ad_tape *t) {
    if (!t) return;
    if (ad_recording == t) ad_recording = NULL;
    for (int i = 0; i < t->n_steps; i++) ad_step_free(&t->steps[i]);
    for (int i = 0; i < t->n_exports; i++) ad_step_free(&t->exports[i]);
    for (int i = 0; i < t->n_memory; i++) {
        ad_tape_memory *of = &t->memory[i];
        const bool kept = of->kind == AD_MEMORY_CAPTURED || of->kind == AD_MEMORY_RESULT;
        if (of->storage && (kept || (of->kind == AD_MEMORY_MADE && !t->owned)))
            ad_storage_release(of->storage);
        free(of->contents);
        free(of->saved);
        free(of->patches);
        free(of->owners);
    }
    ad_dealloc(t->arena);
    free(t->owned);
    free(t->results);
    free(t->restored);
    free(t->memory);
    free(t->steps);
    free(t->exports);
    free(t->arguments);
    free(t);
}
