/* lookup.c: the rows of a table that numbers name. */
#include <stdatomic.h>
#include "move.h"
#include "tape.h"

enum { ITEM = 1 << 15 }; /* elements a thread takes at a time */

typedef struct {
    const char *table;
    const int64_t *index;
    char *rows;
    int64_t n, size, row_bytes, per_item;
    atomic_bool outside;
} lookup;

static void look_up_item(void *context, int64_t item) {
    lookup *l = context;
    const int64_t begin = item * l->per_item, end = ad_least(begin + l->per_item, l->n);
    const bool far = ad_is_far(l->size * l->row_bytes, l->row_bytes);
    for (int64_t i = begin; i < end; i++) {
        const int64_t at = ad_once(&l->index[i]);
        if ((uint64_t)at >= (uint64_t)l->size) {
            atomic_store(&l->outside, true);
            return;
        }
        const int64_t next = far && i + 1 < end ? ad_once(&l->index[i + 1]) : -1;
        if ((uint64_t)next < (uint64_t)l->size) ad_fetch_row(l->table + next * l->row_bytes, l->row_bytes);
        ad_move_run(l->rows + i * l->row_bytes, l->table + at * l->row_bytes, l->row_bytes);
    }
}

static int run_lookup(const ad_call *c) {
    const ad_tensor *table = ad_in(c, 0);
    ad_tensor *made[2] = {NULL, NULL};
    const ad_tensor *whole = ad_packed(table, table->dtype, &made[0]);
    const ad_tensor *index = whole ? ad_packed(ad_in(c, 1), AD_int64, &made[1]) : NULL;
    int status = index ? AD_OK : ad_error(NULL);
    lookup l = {.n = ad_in(c, 1)->numel,
                .rows = ad_out(c, 0)->data,
                .size = table->shape[0],
                .row_bytes = table->shape[1] * ad_itemsize[table->dtype]};
    l.per_item = ITEM / (table->shape[1] + 1) + 1;
    atomic_init(&l.outside, false);
    if (!status) {
        l.table = whole->data;
        l.index = (const int64_t *)(const void *)index->data;
        ad_parallel_for((l.n + l.per_item - 1) / l.per_item, ad_out(c, 0)->numel / 4, look_up_item, &l);
    }
    if (atomic_load(&l.outside)) {
        int64_t i = 0;
        while (i < l.n - 1 && (uint64_t)l.index[i] < (uint64_t)l.size) i++;
        status = ad_fail(AD_BAD_INDEX, l.index[i], 0, l.size);
    }
    ad_free(made[0]);
    ad_free(made[1]);
    return status;
}

ad_tensor *ad_lookup(const ad_tensor *table, const ad_tensor *index) {
    int64_t shape[AD_MAX_DIMS];
    if (table->ndim != 2) return ad_fail_null(AD_BAD_DIM, 2, table->ndim, 0);
    if (index->dtype != AD_int64) return ad_fail_null(AD_BAD_DTYPE, index->dtype, 0, 0);
    if (index->ndim == AD_MAX_DIMS) return ad_fail_null(AD_BAD_DIM, index->ndim + 1, AD_MAX_DIMS, 0);
    memcpy(shape, index->shape, sizeof(int64_t) * index->ndim);
    shape[index->ndim] = table->shape[1];
    ad_tensor *y = ad_make(table->dtype, index->ndim + 1, shape);
    const ad_tensor *const operands[] = {y, table, index};
    return y ? ad_done(&(ad_call){run_lookup, "lookup", 1, 2, .x = operands, .picks = true}, y) : NULL;
}

/* ---- bags: sums of such rows ---- */

typedef struct {
    int64_t
        reasons[3]; /* why starts are refused: the first is not 0, the last is past the end, one is below 0 */
    bool mean;
} bag_numbers;
typedef struct {
    const char *table;
    const int64_t *index, *begin; /* bag b has the numbers from begin[b] to begin[b + 1] */
    char *y;
    int64_t bags, columns, per_item;
    int dtype;
    bool mean;
} bag_task;

#define ADD_BAG(T)                                                                                           \
    static void add_bag_##T(const bag_task *t, int64_t bag) {                                                \
        T *restrict y = (T *)(void *)t->y + bag * t->columns;                                                \
        const int64_t begin = t->begin[bag], end = t->begin[bag + 1], n = t->columns;                        \
        const T count = (T)(end > begin ? end - begin : 1);                                                  \
        for (int64_t j = 0; j < n; j++) y[j] = 0;                                                            \
        for (int64_t i = begin; i < end; i++) {                                                              \
            const T *restrict row = (const T *)(const void *)t->table + t->index[i] * n;                     \
            for (int64_t j = 0; j < n; j++) y[j] += row[j];                                                  \
        }                                                                                                    \
        for (int64_t j = 0; t->mean && j < n; j++) y[j] /= count;                                            \
    }
ADD_BAG(float)
ADD_BAG(double)

static void bag_item(void *context, int64_t item) {
    const bag_task *t = context;
    const int64_t end = ad_least((item + 1) * t->per_item, t->bags);
    for (int64_t i = item * t->per_item; i < end; i++)
        if (t->dtype == AD_float32)
            add_bag_float(t, i);
        else
            add_bag_double(t, i);
}

/* Where the bags begin, in order: starts may be in any. */
static int order_starts(const ad_tensor *starts, int64_t count, const int64_t *reasons, int64_t *begin) {
    const int64_t n = starts->numel, *s = (const int64_t *)(const void *)starts->data;
    if (s[0] != 0) return ad_fail(AD_REFUSED, reasons[0], 0, s[0]);
    if (s[n - 1] > count) return ad_fail(AD_REFUSED, reasons[1], 0, s[n - 1]);
    int64_t *marks = ad_alloc(sizeof(int64_t) * (size_t)(count + 1)), at = 0;
    int status = marks ? AD_OK : AD_NO_MEMORY;
    if (marks) memset(marks, 0, sizeof(int64_t) * (size_t)(count + 1));
    for (int64_t b = 0; !status && b < n; b++)
        if (s[b] < 0)
            status = ad_fail(AD_REFUSED, reasons[2], b, s[b]);
        else if (s[b] > count)
            status = ad_fail(AD_BAD_INDEX, s[b], 0, count + 1);
        else
            marks[s[b]]++;
    for (int64_t i = 0; !status && i <= count; i++)
        for (; marks[i]; marks[i]--) begin[at++] = i;
    begin[n] = count;
    ad_dealloc(marks);
    return status;
}

static int bags_of(const ad_call *c) {
    const bag_numbers *n = c->numbers;
    const ad_tensor *table = ad_in(c, 0), *index = ad_in(c, 1), *starts = ad_in(c, 2);
    const int64_t rows = table->shape[0], bags = ad_out(c, 0)->shape[0];
    ad_tensor *whole = table->contiguous ? NULL : ad_contiguous(table, table->dtype);
    int64_t *begin = ad_alloc(sizeof(int64_t) * (size_t)(bags + 1));
    int status = (whole || table->contiguous) && begin ? AD_OK : AD_NO_MEMORY;
    bag_task t = {.index = (const int64_t *)(const void *)index->data, .y = ad_out(c, 0)->data, .bags = bags};
    for (int64_t i = 0; !status && i < index->numel; i++)
        if ((uint64_t)t.index[i] >= (uint64_t)rows) status = ad_fail(AD_BAD_INDEX, t.index[i], 0, rows);
    if (!status && starts)
        status = order_starts(starts, index->numel, n->reasons, begin);
    else
        for (int64_t b = 0; !status && b <= bags; b++) begin[b] = b * index->shape[1];
    if (!status) {
        t.table = (whole ? whole : table)->data;
        t.begin = begin;
        t.columns = table->shape[1];
        t.dtype = table->dtype;
        t.mean = n->mean;
        t.per_item = ITEM / (t.columns * (index->numel / bags + 1) + 1) + 1;
        ad_parallel_for((bags + t.per_item - 1) / t.per_item, index->numel * t.columns / 4, bag_item, &t);
    }
    ad_dealloc(begin);
    ad_free(whole);
    return status;
}

static int bags_of_index(const ad_call *c) { return ad_run_apart(c, 2, bags_of); }
static int run_bags(const ad_call *c) { return ad_run_apart(c, 1, bags_of_index); }

ad_tensor *ad_bags(const ad_tensor *table, const ad_tensor *index, const ad_tensor *starts, int mean,
                   const int64_t *reasons) {
    if (table->ndim != 2 || index->ndim != (starts ? 1 : 2) || (starts && starts->ndim != 1))
        return ad_fail_null(AD_BAD_DIM, 2, table->ndim, 0);
    if (table->dtype != AD_float32 && table->dtype != AD_float64)
        return ad_fail_null(AD_BAD_DTYPE, table->dtype, 0, 0);
    if (index->dtype != AD_int64 || (starts && starts->dtype != AD_int64))
        return ad_fail_null(AD_BAD_DTYPE, index->dtype, 0, 0);
    if (!index->contiguous || (starts && !starts->contiguous)) return ad_fail_null(AD_BAD_ARG, 0, 0, 0);
    const int64_t shape[] = {starts ? starts->numel : index->shape[0], table->shape[1]};
    ad_tensor *y = ad_make(table->dtype, 2, shape);
    if (!y || !shape[0]) return y;
    const bag_numbers n = {{reasons[0], reasons[1], reasons[2]}, mean != 0};
    const ad_tensor *const operands[] = {y, table, index, starts};
    return ad_done(&(ad_call){run_bags, "embedding_bag", 1, 3, .x = operands, .numbers = &n,
                              .n_bytes = sizeof n, .kept = true},
                   y);
}
