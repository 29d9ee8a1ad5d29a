/* plans.c: flipped, rolled and padded tensors, as plans of the pieces they are put together from. */
#include "pieces.h"

enum {
    MOST_PIECES = 3, /* of a dimension, but for pads that wrap around */
    MOST_NUMBERS = AD_MAX_DIMS * (1 + 3 * MOST_PIECES)
};

/* Adds a dimension to a plan; returns its end. */
static int64_t *add(int64_t *plan, int64_t n, const ad_piece *pieces) {
    *plan = n;
    memcpy(plan + 1, pieces, sizeof *pieces * (size_t)n);
    return plan + 1 + 3 * n;
}

/* Which dimension is meant, where -1 is the last; -1 where there is none. */
static int dim_of(const ad_tensor *x, int64_t dim) {
    const int64_t n = x->ndim ? x->ndim : 1, d = dim < 0 ? dim + n : dim;
    if (d >= 0 && d < n) return (int)d;
    return ad_fail(AD_BAD_DIM, dim, x->ndim, 0), -1;
}

ad_tensor *ad_flip(const ad_tensor *x, int n, const int64_t *dims) {
    int64_t plan[MOST_NUMBERS], *end = plan;
    uint32_t turned = 0;
    for (int i = 0; i < n; i++) {
        const int d = dim_of(x, dims[i]);
        if (d < 0) return NULL;
        if (turned >> d & 1) return ad_fail_null(AD_BAD_DIM, dims[i], x->ndim, 0);
        turned |= 1u << d;
    }
    for (int d = 0; d < x->ndim; d++) {
        const bool turn = turned >> d & 1 && x->shape[d];
        end = add(end, 1, &(ad_piece){turn ? x->shape[d] - 1 : 0, turn ? -1 : 1, x->shape[d]});
    }
    return ad_put_together("flip", x, end - plan, plan, false, NULL);
}

static ad_tensor *rolled(const ad_tensor *x, int n, const int64_t *shifts, const int64_t *dims) {
    int64_t plan[MOST_NUMBERS], *end = plan, cuts[AD_MAX_DIMS] = {0};
    for (int i = 0; i < n; i++) {
        const int d = dim_of(x, dims[i]);
        if (d < 0 || !x->ndim) return ad_fail_null(AD_BAD_DIM, dims[i], x->ndim, 0);
        const int64_t size = x->shape[d] ? x->shape[d] : 1, cut = (cuts[d] - shifts[i] % size) % size;
        cuts[d] = cut < 0 ? cut + size : cut;
    }
    for (int d = 0; d < x->ndim; d++) {
        const ad_piece two[] = {{cuts[d], 1, x->shape[d] - cuts[d]}, {0, 1, cuts[d]}};
        end = add(end, cuts[d] ? 2 : 1, two);
    }
    return ad_put_together("roll", x, end - plan, plan, false, NULL);
}

ad_tensor *ad_roll(const ad_tensor *x, int n, const int64_t *shifts, const int64_t *dims) {
    if (dims) return rolled(x, n, shifts, dims);
    if (n != 1) return ad_fail_null(AD_BAD_ARG, n, 1, 0);
    const int64_t first = 0;
    ad_tensor *made = x->contiguous ? NULL : ad_contiguous(x, x->dtype);
    if (!made && !x->contiguous) return NULL;
    ad_tensor *flat = ad_view(made ? made : x, 1, &x->numel);
    ad_tensor *y = flat ? rolled(flat, 1, shifts, &first) : NULL;
    ad_free(flat);
    ad_free(made);
    if (!y) return NULL;
    y->ndim = x->ndim;
    memcpy(y->shape, x->shape, sizeof y->shape);
    ad_set_row_major(y);
    return y;
}

/* What is left of a dimension where pads are negative. */
static ad_piece kept(int64_t size, int64_t low, int64_t high) {
    return (ad_piece){low < 0 ? -low : 0, 1, size + (low < 0 ? low : 0) + (high < 0 ? high : 0)};
}

/* The pieces of a padded dimension but for those that wrap around. */
static int64_t *add_padded(int64_t *plan, int how, int64_t size, int64_t low, int64_t high) {
    const int64_t before = low > 0 ? low : 0, after = high > 0 ? high : 0;
    const ad_piece whole = kept(size, low, high);
    const ad_piece kinds[][MOST_PIECES] = {
        [AD_PAD_CONSTANT] = {{AD_NOTHING, 1, before}, whole, {AD_NOTHING, 1, after}},
        [AD_PAD_REFLECT] = {{low, -1, before}, whole, {size - 2, -1, after}},
        [AD_PAD_REPLICATE] = {{0, 0, before}, whole, {size - 1, 0, after}}};
    return add(plan, MOST_PIECES, kinds[how]);
}

/* How often what is left of a dimension is there whole, and from where to where in part. */
typedef struct {
    ad_piece first, each, last;
    int64_t times;
} wrapping;

static wrapping wrapped(int64_t size, int64_t low, int64_t high) {
    const int64_t before = low > 0 ? low : 0, after = high > 0 ? high : 0;
    wrapping w = {.each = kept(size, low, high), .times = 1};
    const int64_t n = w.each.length, from = w.each.from;
    if (n < 1) return w;
    w.times += before / n + after / n;
    w.first = (ad_piece){from + n - before % n, 1, before % n};
    w.last = (ad_piece){from, 1, after % n};
    return w;
}

static int64_t *add_wrapped(int64_t *plan, const wrapping *w) {
    int64_t *end = add(plan, 1, &w->first);
    for (int64_t i = 0; i < w->times; i++, end += 3) memcpy(end, &w->each, sizeof w->each);
    memcpy(end, &w->last, sizeof w->last);
    *plan = 2 + w->times;
    return end + 3;
}

/* The pads of dimension d: given are pairs, the last dimension's first. */
static void pads_of(const ad_tensor *x, int n, const int64_t *pads, int d, int64_t *low, int64_t *high) {
    const int at = 2 * (x->ndim - 1 - d);
    *low = at < n ? pads[at] : 0;
    *high = at < n ? pads[at + 1] : 0;
}

/* Checks pads as far as the pieces they make would not tell; returns the numbers their plan takes, or -1. */
static int64_t check_pads(const ad_tensor *x, int n, const int64_t *pads, int how) {
    const int64_t most = (int64_t)1 << 55;
    if (n < 0 || n % 2 || n / 2 > x->ndim || how < 0 || how > AD_PAD_CIRCULAR)
        return ad_fail(AD_BAD_ARG, n, how, 0), -1;
    const int rest = x->ndim - n / 2;
    if (how && (n < 2 || n > 6 || (rest != 1 && rest != 2))) return ad_fail(AD_BAD_ARG, n, x->ndim, 0), -1;
    int64_t numbers = 0;
    for (int d = 0; d < x->ndim; d++) {
        int64_t low, high, size = x->shape[d];
        pads_of(x, n, pads, d, &low, &high);
        if (size > most || low > most || high > most || low < -most || high < -most)
            return ad_fail(AD_TOO_LARGE, 0, 0, 0), -1;
        if (how && !size && (low || high)) return ad_fail(AD_BAD_SHAPE, 0, d, 0), -1;
        if (how == AD_PAD_CIRCULAR && (low > size || high > size))
            return ad_fail(AD_BAD_SHAPE, low > size ? low : high, size, d), -1;
        numbers += 1 + 3 * (how == AD_PAD_CIRCULAR ? 2 + wrapped(size, low, high).times : MOST_PIECES);
    }
    return numbers;
}

ad_tensor *ad_pad(const ad_tensor *x, int n, const int64_t *pads, int how, const ad_tensor *value) {
    int64_t few[MOST_NUMBERS];
    const int64_t numbers = check_pads(x, n, pads, how);
    if (numbers < 0) return NULL;
    if (value && value->dtype != x->dtype) return ad_fail_null(AD_BAD_DTYPE, value->dtype, 0, 0);
    if (value && value->numel != 1) return ad_fail_null(AD_BAD_SHAPE, value->numel, 1, 0);
    int64_t *many = numbers > MOST_NUMBERS ? ad_alloc(sizeof *many * (size_t)numbers) : NULL;
    int64_t *plan = many ? many : few, *end = plan;
    if (!many && numbers > MOST_NUMBERS) return NULL;
    for (int d = 0; d < x->ndim; d++) {
        int64_t low, high;
        pads_of(x, n, pads, d, &low, &high);
        const wrapping w = wrapped(x->shape[d], low, high);
        if (!low && !high)
            end = add(end, 1, &w.each);
        else
            end =
                how == AD_PAD_CIRCULAR ? add_wrapped(end, &w) : add_padded(end, how, x->shape[d], low, high);
    }
    ad_tensor *y = ad_put_together("pad", x, end - plan, plan, how == AD_PAD_CONSTANT, value);
    ad_dealloc(many);
    return ad_channels_last(y, ad_is_channels_last(x));
}

/* Where the elements of a padded dimension of some size come from. */
static ad_tensor *pad_places(int64_t size, const int64_t *pads, int how) {
    ad_tensor *all = ad_arange_i64(AD_int64, size, 0, 1), *row = all ? ad_unsqueeze(all, 0) : NULL;
    ad_tensor *places = row ? ad_pad(row, 2, pads, how, NULL) : NULL;
    ad_tensor *y = places ? ad_select(places, 0, 0) : NULL;
    ad_free(all), ad_free(row), ad_free(places);
    return y;
}

ad_tensor *ad_pad_vjp(const ad_tensor *g, int n, const int64_t *pads, int how, const int64_t *shape) {
    if (n < 0 || n % 2 || n / 2 > g->ndim || how <= AD_PAD_CONSTANT)
        return ad_fail_null(AD_BAD_ARG, n, how, 0);
    ad_tensor *sums = ad_clone(g);
    for (int i = 0; i < n && sums; i += 2) {
        if (!pads[i] && !pads[i + 1]) continue;
        const int d = g->ndim - 1 - i / 2;
        int64_t to[AD_MAX_DIMS];
        memcpy(to, sums->shape, sizeof to);
        to[d] = shape[d];
        ad_tensor *places = pad_places(shape[d], pads + i, how);
        ad_tensor *next = places ? ad_full_f64(g->dtype, g->ndim, to, 0) : NULL;
        const ad_tensor *const index[] = {places};
        if (next && ad_index_put(next, d, 1, index, sums, 1)) ad_free(next), next = NULL;
        ad_free(places), ad_free(sums);
        sums = next;
    }
    return sums;
}
