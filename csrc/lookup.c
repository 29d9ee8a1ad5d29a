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
        if ((uint64_t)l->index[i] >= (uint64_t)l->size) {
            atomic_store(&l->outside, true);
            return;
        }
        if (far && i + 1 < end && (uint64_t)l->index[i + 1] < (uint64_t)l->size)
            ad_fetch_row(l->table + l->index[i + 1] * l->row_bytes, l->row_bytes);
        ad_move_run(l->rows + i * l->row_bytes, l->table + l->index[i] * l->row_bytes, l->row_bytes);
    }
}

static int run_lookup(const ad_call *c) {
    const ad_tensor *table = ad_in(c, 0), *index = ad_in(c, 1);
    ad_tensor *whole = table->contiguous ? NULL : ad_contiguous(table, table->dtype);
    ad_tensor *in_order = index->contiguous ? NULL : ad_contiguous(index, AD_int64);
    int status = (whole || table->contiguous) && (in_order || index->contiguous) ? AD_OK : ad_error(NULL);
    lookup l = {.n = index->numel,
                .rows = ad_out(c, 0)->data,
                .size = table->shape[0],
                .row_bytes = table->shape[1] * ad_itemsize[table->dtype]};
    l.per_item = ITEM / (table->shape[1] + 1) + 1;
    atomic_init(&l.outside, false);
    if (!status) {
        l.table = (whole ? whole : table)->data;
        l.index = (const int64_t *)(const void *)(in_order ? in_order : index)->data;
        ad_parallel_for((l.n + l.per_item - 1) / l.per_item, ad_out(c, 0)->numel / 4, look_up_item, &l);
    }
    if (atomic_load(&l.outside)) {
        int64_t i = 0;
        while ((uint64_t)l.index[i] < (uint64_t)l.size) i++;
        status = ad_fail(AD_BAD_INDEX, l.index[i], 0, l.size);
    }
    ad_free(whole);
    ad_free(in_order);
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
