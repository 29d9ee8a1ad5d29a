/* sort.c: sorting, the largest or smallest k, and the k-th smallest, along the last dimension.
 *
 * An element becomes a key: an unsigned integer of the element's order, in which zeros of both signs are
 * equal, nans are equal and above all, and all is turned around for a descending order. With its position
 * behind it no two keys are equal, so that every method gives one and the same order: the stable one. Keys of
 * 32 bits share a word of 64 with a position of 32; others stand beside it.
 * Short rows are sorted by insertion and merging, longer ones by digits of 8 bits, the lowest first; k few
 * elements are kept in order as a row passes, more are set apart by the digits of the last of them and then
 * sorted. */
#include <stdatomic.h>
#include "tape.h"

enum {
    INSERTED = 24, /* elements up to which insertion is fastest, */
    MERGED = 256,  /* and merging of runs, before counting digits is */
    RUN = 16,
    FEW = 16,             /* of topk, kept in order while a row passes */
    ITEM = 1 << 12,       /* elements a thread takes at a time */
    APART = 256,          /* elements of a row up to which they are read where they lie, */
    MOST_APART = 1 << 12, /* of so many in all */
    BLOCK = 256,          /* elements made keys while a row passes */
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
    int64_t inner;                           /* rows that lie side by side: how far apart elements are */
    int how;
    bool descending, words;
    atomic_bool no_memory;
} sorting;

/* ---- keys ---- */

static inline uint32_t key_f32(float x) {
    uint32_t bits;
    x = x == 0 ? 0 : x;
    memcpy(&bits, &x, 4);
    bits = bits >> 31 ? ~bits : bits | 1u << 31;
    return x != x ? UINT32_MAX : bits;
}
static inline uint64_t key_f64(double x) {
    uint64_t bits;
    x = x == 0 ? 0 : x;
    memcpy(&bits, &x, 8);
    bits = bits >> 63 ? ~bits : bits | 1ull << 63;
    return x != x ? UINT64_MAX : bits;
}

/* Of the bits of a float of 16, whose infinity is given. */
static inline uint32_t key_half(uint32_t bits, uint32_t infinity) {
    const uint32_t size = bits & 0x7fff;
    const uint32_t key = bits >> 15 && size ? ~bits & 0xffff : size | 0x8000;
    return size > infinity ? UINT32_MAX : key;
}

/* Positions from `first` on, in one word with their keys. */
static void pack_words(const sorting *s, const char *row, int64_t first, int64_t n, uint64_t *out) {
    const uint32_t turned = s->descending ? UINT32_MAX : 0;
#define PACK(T, key)                                                                                         \
    for (int64_t i = 0; i < n; i++) {                                                                        \
        const T x = ((const T *)(const void *)row)[first + i];                                               \
        out[i] = (uint64_t)((uint32_t)(key) ^ turned) << 32 | (uint32_t)(first + i);                         \
    }
    switch (s->dtype) {
    case AD_float16: PACK(uint16_t, key_half(x, 0x7c00)); break;
    case AD_bfloat16: PACK(uint16_t, key_half(x, 0x7f80)); break;
    case AD_float32: PACK(float, key_f32(x)); break;
    case AD_int8: PACK(uint8_t, x ^ 1u << 7); break;
    case AD_int16: PACK(uint16_t, x ^ 1u << 15); break;
    case AD_int32: PACK(int32_t, (uint32_t)x ^ 1u << 31); break;
    default: PACK(uint8_t, x);
    }
#undef PACK
}

static void pack_pairs(const sorting *s, const char *row, int64_t first, int64_t n, pair *out) {
    const uint64_t turned = s->descending ? UINT64_MAX : 0;
#define PACK(T, of)                                                                                          \
    for (int64_t i = 0; i < n; i++) {                                                                        \
        const T x = ((const T *)(const void *)row)[first + i];                                               \
        out[i] = (pair){(of) ^ turned, first + i};                                                           \
    }
    switch (s->dtype) {
    case AD_float16: PACK(uint16_t, key_half(x, 0x7c00)); break;
    case AD_bfloat16: PACK(uint16_t, key_half(x, 0x7f80)); break;
    case AD_float32: PACK(float, key_f32(x)); break;
    case AD_float64: PACK(double, key_f64(x)); break;
    case AD_int8: PACK(uint8_t, x ^ 1u << 7); break;
    case AD_int16: PACK(uint16_t, x ^ 1u << 15); break;
    case AD_int32: PACK(int32_t, (uint32_t)x ^ 1u << 31); break;
    case AD_int64: PACK(int64_t, (uint64_t)x ^ 1ull << 63); break;
    default: PACK(uint8_t, x);
    }
#undef PACK
}

/* ---- the methods, for either kind of element ---- */

#define E uint64_t
#define NAME(x) x##_words
#define LESS(a, b) ((a) < (b))
#define KEY(a) ((a) >> 32)
#define KEY_BYTES 4
#define PLACE(a) ((int64_t)(uint32_t)(a))
#include "sort_element.h"

#define E pair
#define NAME(x) x##_pairs
#define LESS(a, b) ((a).key < (b).key || ((a).key == (b).key && (a).at < (b).at))
#define KEY(a) ((a).key)
#define KEY_BYTES 8
#define PLACE(a) ((a).at)
#include "sort_element.h"

/* ---- rows ---- */

/* A row whose elements lie apart, together. */
static const char *gathered(const sorting *s, int64_t r, char *row) {
    const char *x = s->x + (r / s->inner * s->n * s->inner + r % s->inner) * s->size;
#define GATHER(bytes)                                                                                        \
    for (int64_t i = 0; i < s->n; i++) memcpy(row + i * (bytes), x + i * s->inner * (bytes), bytes)
    switch (s->size) {
    case 1: GATHER(1); break;
    case 2: GATHER(2); break;
    case 4: GATHER(4); break;
    default: GATHER(8);
    }
#undef GATHER
    return row;
}

static void sort_item(void *context, int64_t item) {
    sorting *s = context;
    const int64_t begin = item * s->per_item, end = ad_least(begin + s->per_item, s->rows);
    const bool fits = s->n <= INSERTED || (s->k <= FEW && !s->how);
    _Alignas(16) char small[INSERTED * sizeof(pair)], together[APART * 8];
    char *room = fits ? small : ad_alloc((size_t)s->n * 2 * (s->words ? sizeof(uint64_t) : sizeof(pair)));
    for (int64_t r = begin; room && r < end; r++) {
        const char *row = s->inner > 1 ? gathered(s, r, together) : s->x + r * s->n * s->size;
        (s->words ? sort_row_words : sort_row_pairs)(s, r, row, room);
    }
    if (!room) atomic_store(&s->no_memory, true);
    if (!fits) ad_dealloc(room);
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
    s.rows = x->numel / s.n;
    s.words = s.size < 8 && s.n <= UINT32_MAX;
    s.per_item = ITEM / s.n + 1;
    if (s.n > INT64_MAX / 32) return ad_fail(AD_TOO_LARGE, 0, 0, 0);
    atomic_init(&s.no_memory, false);
    ad_parallel_for((s.rows + s.per_item - 1) / s.per_item, x->numel, sort_item, &s);
    return atomic_load(&s.no_memory) ? ad_fail(AD_NO_MEMORY, s.n * 32, 0, 0) : AD_OK;
}

/* x with its rows along another dimension, in order. */
static ad_tensor *turned(const ad_tensor *x, int a, int b) {
    ad_tensor *view = ad_transpose(x, a, b);
    ad_tensor *y = view ? ad_contiguous(view, x->dtype) : NULL;
    ad_free(view);
    return y;
}

/* The same of a result, which is taken over. */
static ad_tensor *turned_back(ad_tensor *x, int a, int b) {
    if (a == b) return x;
    ad_tensor *y = turned(x, a, b);
    ad_free(x);
    return y;
}

static int ordered(const ad_tensor *x, int dim, int64_t k, int descending, int how, ad_tensor **out) {
    const int last = x->ndim ? x->ndim - 1 : 0;
    out[0] = out[1] = NULL;
    if (dim < 0 || dim > last) return ad_fail(AD_BAD_DIM, dim, x->ndim, 0);
    const int64_t n = x->ndim ? x->shape[dim] : 1;
    if (k < 0 || k > n) return ad_fail(AD_BAD_SHAPE, k, n, 0);
    const bool apart = x->contiguous && n <= APART && x->numel && x->numel <= MOST_APART;
    int64_t inner = 1;
    for (int d = dim + 1; apart && d <= last; d++) inner *= x->shape[d];
    const int along = apart ? dim : last; /* where rows and results have their elements */
    const bool as_it_is = apart || (dim == last && x->contiguous);
    ad_tensor *rows = as_it_is      ? ad_alias(x)
                      : dim == last ? ad_contiguous(x, x->dtype)
                                    : turned(x, dim, last);
    ad_tensor *values = NULL, *places = NULL;
    if (rows) {
        int64_t shape[AD_MAX_DIMS];
        memcpy(shape, rows->shape, sizeof(int64_t) * rows->ndim);
        if (rows->ndim) shape[along] = how ? 1 : k;
        values = ad_make(x->dtype, rows->ndim, shape);
        places = values ? ad_make(AD_int64, rows->ndim, shape) : NULL;
    }
    const ad_tensor *const operands[] = {values, places, rows};
    const int64_t numbers[] = {k, descending, how, n, inner};
    const ad_call c = {run_sort, "sort", 2, 1, .x = operands, .numbers = numbers, .n_bytes = sizeof numbers};
    int status = places ? AD_OK : ad_error(NULL);
    if (!status && values->numel) status = ad_do(&c);
    ad_free(rows);
    if (!status) {
        values = turned_back(values, dim, along);
        places = turned_back(places, dim, along);
        status = values && places ? AD_OK : ad_error(NULL);
    }
    out[0] = values, out[1] = places;
    if (!status) return AD_OK;
    ad_free(values);
    ad_free(places);
    out[0] = out[1] = NULL;
    return status;
}

int ad_sort(const ad_tensor *x, int dim, int64_t k, int descending, ad_tensor **out) {
    return ordered(x, dim, k, descending, 0, out);
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
