/* sort.c: sorting, the largest or smallest k, and the k-th smallest, along a dimension.
 *
 * An element becomes a key: an integer of the element's order, in which zeros of both signs are equal, nans
 * are equal and above all, and all is turned around for a descending order. With its position behind it no
 * two keys are equal, so that every method gives one and the same order: the stable one. Keys of 32 bits
 * share a word of 64 with a position of 32; others stand beside it. Few elements are sorted by counting, for
 * each, how many are less; more by digits of 8 bits, the lowest first. Of which a part is wanted, the range
 * of keys that holds it is halved until there are few others in it, and those within are sorted. Rows that
 * lie side by side are made to lie one after the other, as many as a cache line has, and so are their
 * results. */
#include <stdatomic.h>
#include "sort.h"
#include "tape.h"

enum {
    RANKED = 192,   /* elements up to which counting the lesser is fastest */
    MIDDLE = 96,    /* and of a row that has one picked */
    WHOLE = 32,     /* elements of which no part is set apart, */
    BATCH = 512,    /* keys of short rows made and ranked together */
    ENOUGH = 64,    /* and which are no more to be halved */
    ITEM = 1 << 12, /* elements a thread takes at a time */
    DIGITS = 256,
    TOGETHER = 8 /* elements that get their places before they go there */
};

typedef struct {
    uint64_t key;
    int64_t at;
} pair;

typedef struct {
    const char *x;
    char *values; /* k of each row, and where they were */
    int64_t *places;
    int dtype;
    int64_t size, rows, n, k, put, per_item; /* put: how many of a row are results */
    int64_t inner, tiles;                    /* rows that lie side by side, and tiles of them */
    int how;
    bool descending, words, alone; /* alone: one of a rank is picked */
    atomic_bool no_memory;
} sorting;

/* ---- keys ---- */

/* gcc's -O2 leaves loops as they are whose counts it cannot know to be multiples of a vector's. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("vect-cost-model=dynamic")
#endif

/* Of n elements; of floats as integers that are a sign and a size, with the size of infinity. */
#define KEYS(T, key)                                                                                         \
    for (int64_t i = 0; i < n; i++) {                                                                        \
        const T x = ((const T *)(const void *)elements)[i];                                                  \
        out[i] = (key) ^ turned;                                                                             \
    }
#define FLOAT_KEYS(T, most, infinity, nan)                                                                   \
    for (int64_t i = 0; i < n; i++) {                                                                        \
        const T x = ((const T *)(const void *)elements)[i], sign = x >> (8 * sizeof(T) - 1);                 \
        const T size = x & (most);                                                                           \
        out[i] = (size > (infinity) ? (nan) : (size ^ sign) - sign) ^ turned;                                \
    }
#define NARROW_KEYS                                                                                          \
    case AD_float16: FLOAT_KEYS(int16_t, INT16_MAX, 0x7c00, INT32_MAX); break;                               \
    case AD_bfloat16: FLOAT_KEYS(int16_t, INT16_MAX, 0x7f80, INT32_MAX); break;                              \
    case AD_float32: FLOAT_KEYS(int32_t, INT32_MAX, 0x7f800000, INT32_MAX); break;                           \
    case AD_int8: KEYS(int8_t, x); break;                                                                    \
    case AD_int16: KEYS(int16_t, x); break;                                                                  \
    case AD_int32: KEYS(int32_t, x); break;                                                                  \
    default: KEYS(uint8_t, x);

static void keys_words(const sorting *s, int64_t n, const char *elements, int32_t *out) {
    const int32_t turned = -s->descending;
    switch (s->dtype) { NARROW_KEYS }
}

static void keys_pairs(const sorting *s, int64_t n, const char *elements, int64_t *out) {
    const int64_t turned = -s->descending;
    switch (s->dtype) {
    case AD_float64: FLOAT_KEYS(int64_t, INT64_MAX, 0x7ff0000000000000, INT64_MAX); break;
    case AD_int64:
        KEYS(int64_t, x);
        break;
        NARROW_KEYS
    }
}
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif

/* ---- the methods, for either kind of element ---- */

#define E uint64_t
#define K int32_t
#define U uint32_t
#define WIDTH 0
#define NAME(x) x##_words
#define MAKE(key, at) ((uint64_t)((uint32_t)(key) ^ 1u << 31) << 32 | (uint32_t)(at))
#define KEY(a) ((a) >> 32)
#define PLACE(a) ((int64_t)(uint32_t)(a))
#define NAN_KEY INT32_MAX
#include "sort_element.h"

#define E pair
#define K int64_t
#define U uint64_t
#define WIDTH 1
#define NAME(x) x##_pairs
#define MAKE(key, at) ((pair){(uint64_t)(key) ^ 1ull << 63, at})
#define KEY(a) ((a).key)
#define PLACE(a) ((a).at)
#define NAN_KEY (s->dtype == AD_float64 ? INT64_MAX : INT32_MAX)
#include "sort_element.h"

/* ---- rows ---- */

typedef struct {
    char *rows, *values;
    int64_t *places;
    char *elements;
} workplace;

/* A tile of rows that lie side by side. */
static void sort_side_by_side(const sorting *s, int64_t tile, const workplace *w) {
    const int64_t from = tile % s->tiles * AD_TILE, outer = tile / s->tiles;
    const int64_t together = ad_least(AD_TILE, s->inner - from);
    const int64_t to = outer * s->put * s->inner + from;
    const ad_crossing in = {.rows = together, .cols = s->n, .dst_row = s->n, .src_col = s->inner};
    const ad_crossing out = {.rows = s->put, .cols = together, .dst_row = s->inner, .src_col = s->put};
    ad_copy_across(&in, (int)s->size, w->rows, s->x + (outer * s->n * s->inner + from) * s->size, false);
    (s->words ? sort_rows_words : sort_rows_pairs)(s, together, w->rows, w->values, w->places, w->elements);
    ad_copy_across(&out, (int)s->size, s->values + to * s->size, w->values, false);
    ad_copy_across(&out, sizeof(int64_t), (char *)(s->places + to), (const char *)w->places, false);
}

static void sort_item(void *context, int64_t item) {
    sorting *s = context;
    const int64_t begin = item * s->per_item, end = ad_least(begin + s->per_item, s->rows);
    const int64_t element = s->words ? sizeof(uint64_t) : sizeof(pair);
    const int64_t elements = (s->n + AD_SORT_PAST) * 2 * element;
    const int64_t tile = s->inner > 1 ? ad_least(AD_TILE, s->inner) : 0;
    const int64_t places = tile * s->put * (int64_t)sizeof(int64_t);
    char *room = ad_alloc((size_t)(elements + places + tile * (s->n + s->put) * s->size));
    const workplace w = {.elements = room,
                         .places = (int64_t *)(void *)(room + elements),
                         .values = room + elements + places,
                         .rows = room + elements + places + tile * s->put * s->size};
    if (!room) atomic_store(&s->no_memory, true);
    for (int64_t r = begin; tile && room && r < end; r++) sort_side_by_side(s, r, &w);
    if (!tile && room)
        (s->words ? sort_rows_words : sort_rows_pairs)(s, end - begin, s->x + begin * s->n * s->size,
                                                       s->values + begin * s->put * s->size,
                                                       s->places + begin * s->put, room);
    ad_dealloc(room);
}

/* x is contiguous and not empty. */
static int run_sort(const ad_call *c) {
    const ad_tensor *x = ad_in(c, 0);
    const int64_t *numbers = c->numbers;
    sorting s = {.x = x->data,
                 .values = ad_out(c, 0)->data,
                 .places = (int64_t *)(void *)ad_out(c, 1)->data,
                 .dtype = x->dtype,
                 .size = ad_itemsize[x->dtype],
                 .n = numbers[3],
                 .inner = numbers[4],
                 .k = numbers[0],
                 .how = (int)numbers[2],
                 .descending = numbers[1] != 0};
    s.put = s.how ? 1 : s.k;
    s.alone = s.how && s.how != AD_PICK_MODE;
    s.tiles = (s.inner + AD_TILE - 1) / AD_TILE;
    s.rows = x->numel / s.n / s.inner * s.tiles; /* or tiles of them */
    s.words = s.size < 8 && s.n <= UINT32_MAX;
    s.per_item = ITEM / (s.n * ad_least(s.inner, AD_TILE)) + 1;
    if (s.n > INT64_MAX / 1024) return ad_fail(AD_TOO_LARGE, 0, 0, 0);
    atomic_init(&s.no_memory, false);
    ad_parallel_for((s.rows + s.per_item - 1) / s.per_item, x->numel, sort_item, &s);
    return atomic_load(&s.no_memory) ? ad_fail(AD_NO_MEMORY, s.n * 32, 0, 0) : AD_OK;
}

static int ordered(const ad_tensor *x, int dim, int64_t k, int descending, int how, ad_tensor **out) {
    const int last = x->ndim ? x->ndim - 1 : 0;
    out[0] = out[1] = NULL;
    if (dim < 0 || dim > last) return ad_fail(AD_BAD_DIM, dim, x->ndim, 0);
    int64_t n = 1, inner = 1, shape[AD_MAX_DIMS];
    for (int d = 0; d < x->ndim; d++) {
        shape[d] = x->shape[d];
        if (d > dim) inner *= shape[d];
    }
    if (x->ndim) n = shape[dim];
    if (k == -1) k = n;
    if (k < 0 || k > n) return ad_fail(AD_BAD_SHAPE, k, n, 0);
    if (x->ndim) shape[dim] = how ? 1 : k;
    ad_tensor *rows = x->contiguous ? ad_alias(x) : ad_contiguous(x, x->dtype);
    ad_tensor *values = rows ? ad_make(x->dtype, x->ndim, shape) : NULL;
    ad_tensor *places = values ? ad_make(AD_int64, x->ndim, shape) : NULL;
    const ad_tensor *const operands[] = {values, places, rows};
    const int64_t numbers[] = {k, descending, how, n, inner};
    const ad_call c = {run_sort, "sort", 2, 1, .x = operands, .numbers = numbers, .n_bytes = sizeof numbers};
    int status = places ? AD_OK : ad_error(NULL);
    if (!status && values->numel) status = ad_do(&c);
    ad_free(rows);
    out[0] = values, out[1] = places;
    if (!status) return AD_OK;
    ad_free(values);
    ad_free(places);
    out[0] = out[1] = NULL;
    return status;
}

ad_tensor *ad_sort(const ad_tensor *x, int dim, int64_t k, int descending) {
    ad_tensor *out[2];
    return ordered(x, dim, k, descending, 0, out) ? NULL : ad_several(2, out);
}

int ad_pick(const ad_tensor *x, int dim, int64_t k, int how, bool keepdim, ad_tensor **out) {
    const bool valid = how >= AD_PICK_KTH && how <= AD_PICK_MODE;
    if (!valid || k < 1) return ad_fail(AD_BAD_ARG, how, k, 0);
    const int status = ordered(x, dim, k, 0, how, out);
    if (status || keepdim || !x->ndim) return status;
    for (int i = 0; i < 2; i++) {
        ad_tensor *kept = out[i];
        out[i] = ad_select(kept, dim, 0);
        ad_free(kept);
    }
    if (out[0] && out[1]) return AD_OK;
    ad_free(out[0]);
    ad_free(out[1]);
    out[0] = out[1] = NULL;
    return ad_error(NULL);
}
