/* watch.c: a thread whose calls are looked at: the first that makes a nan or an infinity of finite operands
 * fails. A watch is a tape that records nothing, so that calls which are not watched do not pay for it. */
#include <math.h>
#include "tape_parts.h"

static _Thread_local ad_tape watch = {.watch = true};
static _Thread_local ad_nonfinite found;

int ad_watch(int on) {
    if (ad_recording && !ad_recording->watch) return ad_fail(AD_BUSY, 0, 0, 0), -1;
    const bool before = ad_recording != NULL;
    ad_recording = on ? &watch : NULL;
    return before;
}

int ad_watching(void) { return ad_recording && ad_recording->watch; }
const ad_nonfinite *ad_watch_found(void) { return &found; }

/* ---- a tensor's first element that is not finite ---- */

#define FIRST_OF(name, type, mask)                                                                           \
    static int64_t name(const void *data, int64_t n, int64_t step) {                                         \
        enum { CHUNK = 256 };                                                                                \
        const type *x = data;                                                                                \
        for (int64_t i = 0; i < n; i += CHUNK) {                                                             \
            const int64_t end = n - i < CHUNK ? n : i + CHUNK;                                               \
            mask any = 0; /* a nan and an infinity, less themselves, are nan */                              \
            if (step == 1)                                                                                   \
                for (int64_t j = i; j < end; j++) any |= (mask) !(x[j] - x[j] == 0);                         \
            else                                                                                             \
                for (int64_t j = i; j < end; j++) any |= (mask) !(x[j * step] - x[j * step] == 0);           \
            for (int64_t j = i; any && j < end; j++)                                                         \
                if (!(x[j * step] - x[j * step] == 0)) return j;                                             \
        }                                                                                                    \
        return -1;                                                                                           \
    }
FIRST_OF(first_f32, float, int32_t)
FIRST_OF(first_f64, double, int64_t)

static int64_t first(int dtype, const char *data, int64_t n, int64_t step) {
    float wide[AD_BLOCK];
    if (!ad_is_half(dtype)) return (dtype == AD_float32 ? first_f32 : first_f64)(data, n, step);
    for (int64_t i = 0; i < n; i += AD_BLOCK) {
        const int64_t m = ad_least(n - i, AD_BLOCK);
        ad_cpu->pw->load[dtype][AD_f32](m, wide, data + i * step * ad_itemsize[dtype], step);
        const int64_t at = first_f32(wide, m, 1);
        if (at >= 0) return i + at;
    }
    return -1;
}

/* Counted in row-major order; -1 where there is none. */
static int64_t first_nonfinite(const ad_tensor *x) {
    if (!ad_is_floating(x->dtype)) return -1;
    if (x->contiguous || !x->ndim) return first(x->dtype, x->data, x->numel, 1);
    const int last = x->ndim - 1;
    const int64_t n = x->shape[last], rows = n ? x->numel / n : 0;
    for (int64_t r = 0; r < rows; r++) {
        int64_t at = 0, rest = r;
        for (int d = last - 1; d >= 0; d--) {
            at += rest % x->shape[d] * x->strides[d];
            rest /= x->shape[d];
        }
        const int64_t i = first(x->dtype, x->data + at * ad_itemsize[x->dtype], n, x->strides[last]);
        if (i >= 0) return r * n + i;
    }
    return -1;
}

static bool is_finite(const ad_tensor *x) { return !x || first_nonfinite(x) < 0; }

/* ---- a call ---- */

static bool shares(const ad_call *c, int i) {
    for (int o = 0; o < c->n_out; o++)
        if (ad_out(c, o) && ad_in(c, i) && ad_out(c, o)->storage == ad_in(c, i)->storage) return true;
    return false;
}

/* Whether what the call writes over, as far as it reads it first, was finite. */
void ad_watch_before(ad_tape *t, const ad_call *c) {
    const size_t n = strlen(c->name);
    const bool in_place = n && c->name[n - 1] == '_' && strcmp(c->name, "copy_");
    t->clean = true;
    for (int i = 0; i < c->n_in; i++)
        if (shares(c, i)) t->clean &= is_finite(ad_in(c, i));
    for (int o = 0; in_place && o < c->n_out; o++) t->clean &= is_finite(ad_out(c, o));
}

static double element(const ad_tensor *x, const int64_t *index) {
    const char *at = x->data;
    for (int d = 0; d < x->ndim; d++) at += index[d] * x->strides[d] * ad_itemsize[x->dtype];
    ad_tensor one = *x;
    one.data = (char *)at;
    one.numel = 1;
    one.ndim = 0;
    return ad_item_f64(&one);
}

/* The operand's element that was broadcast to an index of the result. */
static bool operand_at(const ad_tensor *x, const ad_tensor *y, double *value) {
    int64_t index[AD_MAX_DIMS];
    if (!x || x->ndim > y->ndim) return false;
    for (int d = 0; d < x->ndim; d++) {
        const int of = y->ndim - x->ndim + d;
        if (x->shape[d] != 1 && x->shape[d] != y->shape[of]) return false;
        index[d] = x->shape[d] == 1 ? 0 : found.index[of];
    }
    *value = element(x, index);
    return true;
}

static void describe(const ad_call *c, int o, int64_t at) {
    const ad_tensor *y = ad_out(c, o);
    found = (ad_nonfinite){
        .name = c->name, .written = o, .n_written = c->n_out, .ndim = y->ndim, .n_in = c->n_in};
    for (int d = y->ndim - 1; d >= 0; d--) {
        found.shape[d] = y->shape[d];
        found.index[d] = at % y->shape[d];
        at /= y->shape[d];
    }
    found.value = element(y, found.index);
    for (int i = 0; c->program && i < c->n_in && i < AD_MAX_INPUTS; i++)
        found.known[i] = !shares(c, i) && operand_at(ad_in(c, i), y, &found.operands[i]);
}

int ad_watch_after(ad_tape *t, const ad_call *c) {
    if (!t->clean || !c->n_in) return AD_OK;
    for (int o = 0; o < c->n_out; o++) {
        const int64_t at = ad_out(c, o) ? first_nonfinite(ad_out(c, o)) : -1;
        if (at < 0) continue;
        for (int i = 0; i < c->n_in; i++)
            if (!shares(c, i) && !is_finite(ad_in(c, i))) return AD_OK;
        describe(c, o, at);
        return ad_fail(AD_NONFINITE, 0, 0, 0);
    }
    return AD_OK;
}
