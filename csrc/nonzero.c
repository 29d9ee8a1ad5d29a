/* nonzero.c: where a tensor is not zero. */
#include "tape.h"

static int64_t count_true(const uint8_t *truth, int64_t n) {
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) count += truth[i] != 0;
    return count;
}

/* Writes where the true ones of `size` elements are, of which there are n, and others, to be written over: to
 * branch would be slow, as what is true is hard to foresee. If another thread has written, fewer may be true:
 * then the last place is repeated. */
static void write_places(const uint8_t *truth, int64_t size, int64_t n, int64_t *out) {
    int64_t found = 0;
    for (int64_t i = 0; found < n && i < size; i++) {
        out[found] = i;
        found += truth[i] != 0;
    }
    for (; found < n; found++) out[found] = size - 1;
}

/* Their coordinates, n of each dimension, the last of which are the places before; `outer` is those of the
 * current row. */
static void write_coordinates(const ad_tensor *x, int64_t n, int64_t *out) {
    const int last = x->ndim - 1;
    int64_t *places = out + n * last, outer[AD_MAX_DIMS] = {0}, row = 0;
    for (int64_t k = 0; k < n && last > 0; k++) {
        for (; places[k] - row >= x->shape[last]; row += x->shape[last])
            for (int d = last - 1; d >= 0 && ++outer[d] == x->shape[d]; d--) outer[d] = 0;
        for (int d = 0; d < last; d++) out[d * n + k] = outer[d];
        places[k] -= row;
    }
}

ad_tensor *ad_nonzero(const ad_tensor *x, int flat) {
    bool direct = x->dtype == AD_bool && x->contiguous;
    ad_tape_break(AD_TAPE_SIZED);
    ad_tensor *made = direct ? NULL : ad_contiguous(x, AD_bool);
    if (!direct && !made) return NULL;
    const uint8_t *truth = (const uint8_t *)(direct ? x : made)->data;
    const int64_t count = count_true(truth, x->numel), shape[] = {x->ndim, count};
    ad_tensor *y = ad_make(AD_int64, flat ? 1 : 2, flat ? shape + 1 : shape), *across = NULL;
    if (y && y->numel) {
        int64_t *out = (int64_t *)y->data;
        write_places(truth, x->numel, count, out + y->numel - count);
        if (!flat) write_coordinates(x, count, out);
    }
    ad_free(made);
    if (!y || flat) return y;
    across = ad_transpose(y, 0, 1);
    ad_free(y);
    return across;
}
