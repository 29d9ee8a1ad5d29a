/* extremes.c: where the largest or smallest elements are: argmax, argmin, and max and min over a dimension.
 *
 * The first of equals is taken, and the first nan before all others. Along rows, the extreme of each chunk is
 * found first, then its first place in the best chunk; across rows, extremes and places are kept together. */
#include <math.h>
#include "reduction.h"

enum {
    CHUNK = AD_REDUCE_CHUNK,
    TILE = 64,    /* rows found together, */
    SHORT = 16,   /* and such as have no more elements, of which a call each would take too long */
    STRIP = 1024, /* and columns, where the places of all are kept */
    ROWS = 32,    /* of a strip, so that places are joined while they are in cache, */
    LOADED = 4    /* and of one that is loaded */
};

typedef struct {
    reduction r;
    bool max;
    int64_t tile, tiles; /* along the innermost kept dimension */
    int64_t *places;
    char *values; /* or NULL */
} search;

/* ---- results ---- */

/* Stores where the extreme of the sequence at `base` is, and the element there: the last place, if another
 * thread has written meanwhile and it is nowhere. */
static void put(const search *s, int64_t output, const char *base, int64_t place) {
    const reduction *r = &s->r;
    const int64_t size = ad_itemsize[r->x->dtype];
    place = ad_least(place, r->length - 1);
    s->places[output] = place;
    if (!s->values) return;
    const char *from = base + ad_walk_offset(&r->folded, place) * size;
    char *to = s->values + output * size;
    switch (size) {
    case 1: *to = *from; break;
    case 2: memcpy(to, from, 2); break;
    case 4: memcpy(to, from, 4); break;
    default: memcpy(to, from, 8);
    }
}

/* ---- across rows ---- */

/* n columns whose elements are `stride` apart; those that are not as the kernels take them are loaded. */
static void find_in_columns(const search *s, int64_t first, int64_t n, const char *base, int64_t stride) {
    const reduction *r = &s->r;
    const int64_t bytes = ad_itemsize[r->x->dtype];
    _Alignas(64) char extremes[STRIP * 8], places[STRIP * 8], buffer[LOADED * STRIP * 8];
    for (int64_t start = 0, rows; start < r->length; start += rows) {
        const char *x = base + start * stride * bytes;
        rows = ad_least(r->direct ? ROWS : LOADED, r->length - start);
        for (int64_t k = 0; !r->direct && k < rows; k++)
            r->load(n, buffer + k * n * r->size, x + k * stride * bytes, 1);
        ad_cpu->reduce->places[r->type](s->max, start, rows, n, r->direct ? x : buffer,
                                        r->direct ? stride : n, extremes, places);
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = r->size == 4 ? ((int32_t *)(void *)places)[i] : ((int64_t *)(void *)places)[i];
        s->places[first + i] = at;
        if (!r->direct) put(s, first + i, base + i * bytes, at);
    }
    if (s->values && r->direct) memcpy(s->values + first * r->size, extremes, (size_t)(n * r->size));
}

static void find_across(const search *s, int64_t first, int64_t n, const char *base) {
    find_in_columns(s, first, n, base, s->r.folded.strides[0]);
}

/* ---- along rows ---- */

/* Whether extreme `a` of a later chunk replaces `b`: only a greater one does, and the first nan. */
static bool beats(const reduction *r, bool max, const void *a, const void *b) {
#define BEATS(T) return max ? *(const T *)a > *(const T *)b : *(const T *)a < *(const T *)b
    if (r->type == AD_i64) BEATS(int64_t);
    double later = r->type == AD_f32 ? *(const float *)a : *(const double *)a;
    double earlier = r->type == AD_f32 ? *(const float *)b : *(const double *)b;
    if (isnan(later) || isnan(earlier)) return !isnan(earlier);
    return max ? later > earlier : later < earlier;
#undef BEATS
}

static int64_t place_in_sequence(const search *s, const char *base) {
    const reduction *r = &s->r;
    _Alignas(64) char buffer[CHUNK * 8], extremes[TILE * 8];
    _Alignas(8) char best[8] = {0}; /* one element */
    int64_t best_start = 0, chunks;
    for (int64_t start = 0; start < r->length; start += chunks * CHUNK) {
        const int64_t left = r->length - start, whole = ad_is_run(r) ? left / CHUNK : 0;
        chunks = whole ? ad_least(TILE, whole) : 1;
        if (whole)
            ad_fold_rows(r, chunks, CHUNK, base + start * r->size, CHUNK, extremes);
        else
            r->kernels->rows(1, ad_least(CHUNK, left),
                             ad_sequence(r, base, start, ad_least(CHUNK, left), buffer), 0, extremes, false);
        for (int64_t k = 0; k < chunks; k++) {
            if (start + k > 0 && !beats(r, s->max, extremes + k * r->size, best)) continue;
            memcpy(best, extremes + k * r->size, (size_t)r->size);
            best_start = start + k * CHUNK;
        }
    }
    int64_t n = ad_least(CHUNK, r->length - best_start);
    const char *chunk = ad_sequence(r, base, best_start, n, buffer);
    return best_start + ad_cpu->reduce->find[r->type](n, chunk, best);
}

static void find_along(const search *s, int64_t first, int64_t n, const char *base) {
    const reduction *r = &s->r;
    const int64_t step = r->kept.strides[r->kept.ndim - 1];
    const int64_t bytes = step * ad_itemsize[r->x->dtype];
    _Alignas(64) char extremes[TILE * 8];
    if (r->length > CHUNK || !ad_is_run(r)) {
        for (int64_t i = 0; i < n; i++)
            put(s, first + i, base + i * bytes, place_in_sequence(s, base + i * bytes));
        return;
    }
    if (r->length <= SHORT && r->type != AD_i64) { /* as columns of what is turned */
        _Alignas(64) char turned[SHORT * TILE * 8];
        ad_cpu->pw->transpose[r->size / 8](r->length, n, turned, TILE, base, step, false);
        find_in_columns(s, first, n, turned, TILE);
        return;
    }
    ad_fold_rows(r, n, r->length, base, step, extremes);
    for (int64_t i = 0; i < n; i++) {
        const char *row = base + i * bytes;
        put(s, first + i, row, ad_cpu->reduce->find[r->type](r->length, row, extremes + i * r->size));
    }
}

/* The kernels keep a place in as many bytes as an element has. */
static bool goes_across(const reduction *r) {
    const int last = r->kept.ndim - 1;
    return r->folded.ndim == 1 && r->kept.strides[last] == 1 && r->folded.strides[0] > 1 &&
           r->kept.shape[last] >= 4 && r->length <= INT32_MAX;
}

/* ---- all ---- */

static void search_item(void *context, int64_t item) {
    const search *s = context;
    const reduction *r = &s->r;
    const int64_t inner = r->kept.shape[r->kept.ndim - 1], start = item % s->tiles * s->tile;
    const int64_t first = item / s->tiles * inner + start, n = ad_least(s->tile, inner - start);
    const char *base = r->x->data + ad_walk_offset(&r->kept, first) * ad_itemsize[r->x->dtype];
    (r->by_columns ? find_across : find_along)(s, first, n, base);
}

void ad_find_extremes(const ad_tensor *x, uint32_t dims, int fold, int64_t *places, char *values) {
    search s;
    ad_plan_reduction(&s.r, x, dims, fold, ad_dtype_type[x->dtype], NULL);
    const int64_t inner = s.r.kept.shape[s.r.kept.ndim - 1];
    s.max = fold == AD_FOLD_max;
    s.r.by_columns = goes_across(&s.r);
    s.tile = ad_least(inner, s.r.by_columns ? STRIP : s.r.length > CHUNK ? 1 : TILE);
    s.tiles = (inner + s.tile - 1) / s.tile;
    s.places = places;
    s.values = values;
    ad_parallel_for(s.r.outputs / inner * s.tiles, x->numel / (s.r.direct ? 4 : 1), search_item, &s);
}
