/* tape_run.c: running a tape. What moved since the last run, arguments and results, is patched; then the
 * calls are made. A result that somebody still holds gets new memory. */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include "tape_parts.h"

static _Thread_local int position; /* the call that this thread's last run came to; -1: none */

/* ---- pointers ---- */

static void point(ad_tape_memory *of, char *data, ad_storage *s) {
    for (int i = 0; i < of->n_patches; i++) *of->patches[i].where = data + of->patches[i].offset;
    for (int i = 0; i < of->n_owners; i++) *of->owners[i] = s;
    of->storage = s;
    of->data = data;
}

/* ---- arguments ---- */

static bool is_like(const ad_tape *t, const ad_tensor *x, const ad_tensor *y) {
    if (x->dtype != y->dtype || x->ndim != y->ndim || !x->number != !y->number) return false;
    if (t->tells && x->number != y->number) return false;
    for (int d = 0; d < x->ndim; d++)
        if (x->shape[d] != y->shape[d] || x->strides[d] != y->strides[d]) return false;
    return true;
}

/* Whether the tape uses this storage otherwise than as an argument. */
static bool is_captured(const ad_tape *t, const ad_storage *s) {
    ad_known known;
    __atomic_load(&s->known, &known, __ATOMIC_RELAXED);
    if (!known.tape) return false; /* no tape ever saw it */
    if (known.tape == t->number) return t->memory[known.memory].kind != AD_MEMORY_ARGUMENT;
    for (int i = 0; i < t->n_memory; i++)
        if (t->memory[i].storage == s && t->memory[i].kind != AD_MEMORY_ARGUMENT) return true;
    return false;
}

/* An argument like the recorded one, in memory that the tape may use as it did that one's. */
static bool fits(const ad_tape *t, const ad_tape_argument *a, const ad_tensor *x) {
    const bool is_link = a - t->arguments >= t->n_arguments - t->n_links; /* it tells a place alone */
    if (!is_link && !is_like(t, x, &a->like)) return false;
    const ad_storage *s = x->storage;
    if (t->memory[a->memory].written && (s->readonly || (s->version < 0) != a->inference)) return false;
    return s == a->storage || !is_captured(t, s);
}

/* Two arguments share memory where those recorded did, and only there. */
static bool fit_together(const ad_tape *t, int i, int j, ad_tensor *const *args) {
    const ad_tape_argument *a = &t->arguments[i], *b = &t->arguments[j];
    const ad_storage *s = args[i]->storage, *z = args[j]->storage;
    if (a->memory == b->memory) return s == z && args[i]->data - args[j]->data == a->from - b->from;
    if (s != z)
        return !(s->owner && z->owner) || (!t->memory[a->memory].written && !t->memory[b->memory].written);
    /* disjoint parts of one storage, as those of two batches */
    return !t->memory[a->memory].written && !t->memory[b->memory].written;
}

static bool stayed(const ad_tape_argument *a, const ad_tensor *x) {
    return x->data == a->data && x->storage == a->storage;
}

static bool take_arguments(ad_tape *t, int n, ad_tensor *const *args) {
    if (n != t->n_arguments) return false;
    bool moved = false; /* what lies where it lay before fits together */
    for (int i = 0; i < n; i++) {
        if (!fits(t, &t->arguments[i], args[i])) return false;
        moved |= !stayed(&t->arguments[i], args[i]);
    }
    for (int i = 0; i < n && moved; i++)
        for (int j = 0; j < i; j++)
            if (!fit_together(t, i, j, args)) return false;
    for (int i = 0; i < n && moved; i++) {
        ad_tape_argument *a = &t->arguments[i];
        ad_tensor *x = args[i];
        if (stayed(a, x)) continue;
        a->data = x->data;
        a->storage = x->storage;
        if (a->first) point(&t->memory[a->memory], x->data, x->storage);
    }
    return true;
}

/* ---- results ---- */

/* Whether an argument lies where a result was returned. */
static bool is_given(const ad_tape *t, const ad_storage *s) {
    for (int i = 0; i < t->n_arguments; i++)
        if (t->arguments[i].storage == s) return true;
    return false;
}

static int make_results(ad_tape *t) {
    for (int i = 0; i < t->n_results; i++) {
        ad_tape_memory *of = &t->memory[t->results[i]];
        ad_storage *s = of->storage;
        const bool held = s && __atomic_load_n(&s->refs, __ATOMIC_ACQUIRE) != 1;
        if (held && of->reused && !is_given(t, s)) {
            s->version++;
            s->writer = AD_BY_NOBODY;
            continue;
        }
        if (s && !held) {
            s->version = ad_inference_mode ? AD_INFERENCE_VERSION : 0;
            s->writer = AD_BY_NOBODY;
            continue;
        }
        ad_storage *fresh = ad_storage_new(of->nbytes);
        if (!fresh) return AD_NO_MEMORY;
        point(of, fresh->data, fresh);
        if (s) ad_storage_release(s);
    }
    return AD_OK;
}

static ad_tensor *exported(ad_tape *t, const ad_step *e) {
    ad_tape_memory *of = &t->memory[e->of[0]];
    if (!of->storage) return ad_fail_null(AD_BAD_ARG, 0, 0, 0);
    ad_tensor *y = ad_tensor_new();
    if (!y) return NULL;
    *y = e->operands[0];
    y->storage = of->storage;
    y->data = of->data + e->offset[0];
    ad_storage_retain(y->storage);
    return y;
}

/* ---- undoing ---- */

/* Of what a run writes, what was there before: all, or what is undone where values are refused. */
static bool is_saved(const ad_tape_memory *of, bool all) {
    if (!of->written || !of->storage || !(all || of->undone)) return false;
    return of->kind == AD_MEMORY_CAPTURED || of->kind == AD_MEMORY_ARGUMENT;
}

static int save(ad_tape *t, bool all) {
    for (int i = 0; i < t->n_memory; i++) {
        ad_tape_memory *of = &t->memory[i];
        if (!is_saved(of, all)) continue;
        char *room = realloc(of->saved, (size_t)of->storage->nbytes + 1);
        if (!room) return ad_fail(AD_NO_MEMORY, of->storage->nbytes, 0, 0);
        of->saved = memcpy(room, of->storage->lo, (size_t)of->storage->nbytes);
        of->version = of->storage->version;
    }
    return AD_OK;
}

static void restore(ad_tape *t, bool all) {
    for (int i = 0; i < t->n_memory; i++) {
        ad_tape_memory *of = &t->memory[i];
        if (!is_saved(of, all) || !of->saved) continue;
        memcpy(of->storage->lo, of->saved, (size_t)of->storage->nbytes);
        of->storage->version = of->version;
    }
}

/* ---- the run ---- */

static int failed(ad_tape *t, int status) {
    if (position >= t->n_undone) return status;
    restore(t, false);
    return ad_fail(AD_UNDONE, 0, 0, 0);
}

static int make_calls(ad_tape *t) {
    for (int i = 0; i < t->n_restored; i++) {
        const ad_tape_memory *of = &t->memory[t->restored[i]];
        memcpy(of->storage->data, of->contents, (size_t)of->nbytes);
    }
    if (t->n_undone && save(t, false)) return AD_NO_MEMORY;
    for (position = 0; position < t->n_steps; position++) {
        ad_step *s = &t->steps[position];
        const int status = s->call.run(&s->call);
        if (__builtin_expect(status, 0)) return failed(t, status);
        if (__builtin_expect(t->hashing, 0)) s->hash = ad_step_hash(s);
    }
    t->runs++;
    return AD_OK;
}

/* How many forks led to this process, and 1: what threads of its parents had taken is free. */
static int process = 1;
static void count_fork(void) { process++; }
__attribute__((constructor)) static void count_forks(void) { pthread_atfork(NULL, NULL, count_fork); }

/* Takes the tape for this thread; false where it runs already. */
static bool take(ad_tape *t) {
    int by = __atomic_load_n(&t->busy, __ATOMIC_RELAXED);
    return by != process &&
           __atomic_compare_exchange_n(&t->busy, &by, process, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}
static void leave(ad_tape *t) { __atomic_store_n(&t->busy, 0, __ATOMIC_RELEASE); }

static void free_outputs(ad_tensor **outputs, int n) {
    for (int i = 0; i < n; i++) {
        ad_free(outputs[i]);
        outputs[i] = NULL;
    }
}

/* The outputs are made before the calls: what fails for want of memory has not been half done. */
static int make_outputs(ad_tape *t, ad_tensor **outputs) {
    for (int i = 0; i < t->n_outputs; i++) {
        outputs[i] = exported(t, &t->exports[i]);
        if (outputs[i]) continue;
        free_outputs(outputs, i);
        return AD_NO_MEMORY;
    }
    return AD_OK;
}

static void run_once(ad_tape *t, int n_args, ad_tensor *const *args, ad_tensor **outputs) {
    position = -1;
    t->status = take_arguments(t, n_args, args) ? AD_OK : ad_fail(AD_STALE, 0, 0, 0);
    if (!t->status) t->status = make_results(t);
    if (!t->status) t->status = make_outputs(t, outputs);
    if (t->status) return;
    t->status = make_calls(t);
    if (t->status) free_outputs(outputs, t->n_outputs);
}

int ad_tape_run(ad_tape *t, int n_args, ad_tensor *const *args, ad_tensor **outputs) {
    if (!t->ready) return ad_fail(AD_BAD_ARG, 0, 0, 0);
    if (ad_recording) return ad_fail(AD_STALE, 0, 0, 0);
    if (!take(t)) return ad_fail(AD_BUSY, 0, 0, 0);
    const bool let_go = ad_let_go(t->cost);
    run_once(t, n_args, args, outputs);
    const int status = t->status;
    leave(t);
    ad_take_back(let_go);
    return status;
}

/* ---- links ---- */

int ad_tape_link(const ad_tape *t, const ad_tensor *x, int64_t *offset) {
    for (int i = 0; i < t->n_links; i++) {
        const ad_tensor *like = &t->arguments[t->n_arguments - t->n_links + i].like;
        *offset = x->data - like->data;
        if (like->storage == x->storage) return i;
    }
    return -1;
}

ad_tensor *ad_tape_link_part(const ad_tensor *link, const ad_tensor *layout, int64_t offset) {
    ad_tensor *y = ad_tensor_new();
    if (!y) return NULL;
    *y = *layout;
    y->storage = link->storage;
    y->data = link->data + offset;
    ad_storage_retain(y->storage);
    if (ad_inside_storage(y)) return y;
    ad_free(y);
    return ad_fail_null(AD_BAD_ARG, offset, 0, 0);
}

/* ---- checks ---- */

int ad_tape_save(ad_tape *t, int n, ad_tensor *const *args) {
    if (!t->ready || !take_arguments(t, n, args)) return ad_fail(AD_STALE, 0, 0, 0);
    return save(t, true);
}

void ad_tape_restore(ad_tape *t) { restore(t, true); }

void ad_tape_hash(ad_tape *t) { t->hashing = true; }

int ad_tape_run_hashed(ad_tape *t, int n_args, ad_tensor *const *args, ad_tensor **outputs) {
    t->hashing = true;
    const int status = ad_tape_run(t, n_args, args, outputs);
    t->hashing = false;
    return status;
}

int ad_tape_hashes(const ad_tape *t, int n, uint64_t *hashes) {
    for (int i = 0; i < n; i++) hashes[i] = 0;
    for (int i = 0; i < t->n_steps; i++)
        if (t->steps[i].source < n) hashes[t->steps[i].source] = t->steps[i].hash;
    return t->n_recorded;
}

/* ---- many steps ---- */

/* Where the outputs of each step go. */
static bool can_stack(const ad_tape *t, int64_t to, int n, ad_tensor *const *stacked) {
    if (n < 0 || n > t->n_outputs) return false;
    for (int i = 0; i < n; i++) {
        const ad_tensor *row = &t->exports[i].operands[0], *all = stacked[i];
        if (!all->contiguous || all->ndim != row->ndim + 1 || all->dtype != row->dtype || all->shape[0] < to)
            return false;
        if (memcmp(all->shape + 1, row->shape, sizeof(int64_t) * row->ndim)) return false;
    }
    return true;
}

static bool can_gather(int n, ad_tensor *const *args, ad_tensor *const *data, const ad_tensor *order,
                       int64_t to) {
    if (!n || order->dtype != AD_int64 || !order->contiguous || order->ndim != 1) return false;
    for (int i = 0; i < n; i++) {
        const ad_tensor *x = args[i], *from = data[i];
        if (!x->ndim || x->ndim != from->ndim || x->dtype != from->dtype || !x->contiguous) return false;
        if (memcmp(x->shape + 1, from->shape + 1, sizeof(int64_t) * (size_t)(x->ndim - 1))) return false;
        if (x->shape[0] < 1 || x->shape[0] != args[0]->shape[0] || to > order->numel / x->shape[0])
            return false;
    }
    return true;
}

static int gather(int n, ad_tensor *const *args, ad_tensor *const *data, const ad_tensor *order,
                  int64_t step) {
    ad_tensor index = *order;
    index.numel = index.shape[0] = args[0]->shape[0];
    index.data += step * index.numel * (int64_t)sizeof(int64_t);
    int status = AD_OK;
    for (int i = 0; i < n && !status; i++) status = ad_take_rows(args[i], data[i], &index);
    return status;
}

static void stack(ad_tape *t, int64_t step, int n, ad_tensor *const *stacked) {
    for (int i = 0; i < n; i++) {
        const ad_step *e = &t->exports[i];
        const ad_tensor *x = &e->operands[0];
        const int64_t nbytes = x->numel * ad_itemsize[x->dtype];
        const char *source = t->memory[e->of[0]].data + e->offset[0];
        char *target = stacked[i]->data + step * nbytes;
        if (x->contiguous) {
            memcpy(target, source, (size_t)nbytes);
            continue;
        }
        ad_tensor from = *x, to = *x;
        from.data = (char *)source;
        to.data = target;
        ad_set_row_major(&to);
        to.contiguous = 1;
        ad_copy_into(&to, &from);
    }
}

int ad_tape_steps(ad_tape *t, int n, ad_tensor *const *args, int n_data, ad_tensor *const *data,
                  const ad_tensor *order, int64_t from, int64_t to, int n_stacked,
                  ad_tensor *const *stacked) {
    if (!t->ready || ad_recording || from < 0 || !can_stack(t, to, n_stacked, stacked))
        return ad_fail(AD_BAD_ARG, 0, 0, 0);
    if (n_data > n || (order && !can_gather(n_data, args, data, order, to)))
        return ad_fail(AD_BAD_ARG, n, 0, 0);
    if (!take(t)) return ad_fail(AD_BUSY, 0, 0, 0);
    position = -1;
    t->status = take_arguments(t, n, args) ? AD_OK : ad_fail(AD_STALE, 0, 0, 0);
    for (int64_t step = from; step < to && !t->status; step++) {
        position = -1;
        if (order) t->status = gather(n_data, args, data, order, step);
        if (!t->status) t->status = make_results(t);
        if (!t->status) t->status = make_calls(t);
        if (!t->status) stack(t, step, n_stacked, stacked);
    }
    const int status = t->status;
    leave(t);
    return status;
}

static ad_tensor *run_few(ad_tape *t, int n, ad_tensor *const *args) {
    ad_tensor *y = NULL;
    if (t->n_outputs > 1) return ad_fail_null(AD_BAD_ARG, t->n_outputs, 0, 0);
    return ad_tape_run(t, n, args, &y) ? NULL : y;
}
ad_tensor *ad_tape_run0(ad_tape *t) { return run_few(t, 0, NULL); }
ad_tensor *ad_tape_run1(ad_tape *t, ad_tensor *a) { return run_few(t, 1, (ad_tensor *[]){a}); }
ad_tensor *ad_tape_run2(ad_tape *t, ad_tensor *a, ad_tensor *b) {
    return run_few(t, 2, (ad_tensor *[]){a, b});
}
ad_tensor *ad_tape_run3(ad_tape *t, ad_tensor *a, ad_tensor *b, ad_tensor *c) {
    return run_few(t, 3, (ad_tensor *[]){a, b, c});
}

int ad_tape_position(void) { return position; }

ad_tensor *ad_tape_get(ad_tape *t, int i) {
    if (!t->ready || i < 0 || i >= t->n_exports) return ad_fail_null(AD_BAD_ARG, i, 0, 0);
    while (!take(t)) sched_yield(); /* another thread's run, which moves what is looked at */
    ad_tensor *y = exported(t, &t->exports[i]);
    leave(t);
    return y;
}
