/* margin.c: losses of rows of classes by what labels fall short of a margin to the others, and their slopes.
 */
#include "rows.h"
#include "tape.h"

#if defined(__GNUC__) && !defined(__clang__) /* as in grid_sample.c */
#pragma GCC optimize("vect-cost-model=dynamic", "no-trapping-math")
#endif

enum { EACH, MEAN, SUM, ITEM = 1 << 13 /* elements a thread takes at a time */ };

typedef struct {
    double margin;
    int64_t reason; /* of a refused label */
    int power;      /* of what a row's label falls short, or 0: of each of its labels, up to the first -1 */
    int reduction;
} margin_numbers;
typedef struct {
    const margin_numbers *numbers;
    int type;
    int64_t rows, classes, per_item;
    const int64_t *target;
    const char *x, *weight;
    char *y, *slopes; /* the loss of each row; of what is asked for by x, or NULL */
    char *marks;      /* of each element, 1 if it is a label's, else 0 */
} task;

static double total(const task *t, int64_t n, const void *terms) {
    union {
        float f32;
        double f64;
    } sum;
    ad_cpu->reduce->fold[AD_FOLD_sum][t->type].rows(1, n, terms, n, &sum, false);
    return t->type == AD_f32 ? sum.f32 : sum.f64;
}

/* What elements are above `least`, and how often each counts, a block at a time; those of labels are not. */
#define ROW(T)                                                                                               \
    static inline __attribute__((always_inline)) void block_##T(int64_t n, T least, const T *x,              \
                                                                const T *marks, bool many, bool square,      \
                                                                T *restrict terms, T *restrict up) {         \
        for (int64_t k = 0; k < n; k++) {                                                                    \
            const T z = least + x[k];                                                                        \
            const bool out = (z <= 0) | (many && marks[k] != 0); /* nans are in */                           \
            terms[k] = out ? 0 : square ? z * z : z;                                                         \
            up[k] = out ? 0 : square ? 2 * z : 1;                                                            \
        }                                                                                                    \
    }                                                                                                        \
    static double short_of_##T(const task *t, int64_t row, int64_t label, const T *marks, T *slopes) {       \
        const T *x = (const T *)(const void *)t->x + row * t->classes;                                       \
        const T least = (T)t->numbers->margin - x[label];                                                    \
        const bool square = t->numbers->power == 2;                                                          \
        _Alignas(64) T terms[AD_BLOCK], up[AD_BLOCK];                                                        \
        double sum = 0, slope = 0;                                                                           \
        for (int64_t i = 0; i < t->classes; i += AD_BLOCK) {                                                 \
            const int64_t n = ad_least(AD_BLOCK, t->classes - i);                                            \
            if (marks)                                                                                       \
                block_##T(n, least, x + i, marks + i, true, false, terms, up);                               \
            else                                                                                             \
                block_##T(n, least, x + i, NULL, false, square, terms, up);                                  \
            if (label >= i && label < i + n) terms[label - i] = up[label - i] = 0;                           \
            sum += total(t, n, terms);                                                                       \
            if (!slopes) continue;                                                                           \
            slope += total(t, n, up);                                                                        \
            for (int64_t k = 0; k < n; k++) slopes[i + k] += up[k];                                          \
        }                                                                                                    \
        if (slopes) slopes[label] -= (T)slope;                                                               \
        return sum;                                                                                          \
    }                                                                                                        \
    static void row_##T(const task *t, int64_t row) {                                                        \
        const bool many = t->numbers->power == 0;                                                            \
        const int64_t n = t->classes, *labels = t->target + row * (many ? n : 1);                            \
        T *slopes = t->slopes ? (T *)(void *)t->slopes + row * n : NULL;                                     \
        T *marks = many ? (T *)(void *)t->marks + row * n : NULL;                                            \
        double sum = 0, share = 1 / (double)n;                                                               \
        if (slopes) memset(slopes, 0, (size_t)n * sizeof(T));                                                \
        for (int64_t i = 0; many && i < n && labels[i] >= 0; i++) marks[labels[i]] = 1;                      \
        for (int64_t i = 0; i < (many ? n : 1) && labels[i] >= 0; i++)                                       \
            sum += short_of_##T(t, row, labels[i], marks, slopes);                                           \
        if (t->weight) share *= (double)((const T *)(const void *)t->weight)[labels[0]];                     \
        ((T *)(void *)t->y)[row] = (T)(sum * share);                                                         \
        if (t->numbers->reduction == MEAN) share /= (double)t->rows;                                         \
        for (int64_t k = 0; slopes && k < n; k++) slopes[k] = (T)(slopes[k] * share);                        \
    }
ROW(float)
ROW(double)

static void row_item(void *context, int64_t item) {
    const task *t = context;
    const int64_t end = ad_least((item + 1) * t->per_item, t->rows);
    for (int64_t i = item * t->per_item; i < end; i++)
        if (t->type == AD_f32)
            row_float(t, i);
        else
            row_double(t, i);
}

static int check_labels(const task *t, int64_t count) {
    const int64_t lowest = t->numbers->power ? 0 : -1;
    for (int64_t i = 0; i < count; i++)
        if (t->target[i] < lowest || t->target[i] >= t->classes)
            return ad_fail(AD_REFUSED, t->numbers->reason, i, t->target[i]);
    return AD_OK;
}

static int margin_of(const ad_call *c) {
    const ad_tensor *x = ad_in(c, 0), *target = ad_in(c, 1), *weight = ad_in(c, 2);
    ad_tensor *y = ad_out(c, 0), *copy = x->contiguous ? NULL : ad_contiguous(x, x->dtype);
    task t = {
        .numbers = c->numbers, .type = ad_dtype_type[x->dtype], .rows = x->shape[0], .classes = x->shape[1]};
    t.per_item = ITEM / t.classes + 1;
    t.target = (const int64_t *)(const void *)target->data;
    t.weight = weight ? weight->data : NULL;
    t.slopes = c->n_out > 1 ? ad_out(c, 1)->data : NULL;
    int status = check_labels(&t, target->numel);
    const bool each = t.numbers->reduction == EACH, many = t.numbers->power == 0;
    ad_tensor *losses = each ? NULL : ad_make(x->dtype, 1, &t.rows);
    ad_tensor *marks = many ? ad_make(x->dtype, 1, &x->numel) : NULL;
    if (!status && ((!copy && !x->contiguous) || (!losses && !each) || (!marks && many)))
        status = AD_NO_MEMORY;
    if (!status) {
        t.x = (copy ? copy : x)->data;
        t.y = (losses ? losses : y)->data;
        if (marks) t.marks = memset(marks->data, 0, (size_t)(x->numel * ad_itemsize[x->dtype]));
        ad_parallel_for((t.rows + t.per_item - 1) / t.per_item, x->numel, row_item, &t);
        if (losses) status = ad_reduce_losses(losses, t.numbers->reduction == MEAN ? (double)t.rows : 1, y);
    }
    ad_free(copy);
    ad_free(losses);
    ad_free(marks);
    return status;
}

static int run_margin(const ad_call *c) { return ad_run_apart(c, 1, margin_of); }

ad_tensor *ad_margin_loss(const ad_tensor *x, const ad_tensor *target, const ad_tensor *weight, int power,
                          double margin, int reduction, int64_t reason, ad_tensor **slopes) {
    if (slopes) *slopes = NULL;
    if (!ad_is_float(x->dtype)) return ad_fail_null(AD_BAD_DTYPE, x->dtype, 0, 0);
    if (target->dtype != AD_int64) return ad_fail_null(AD_BAD_DTYPE, target->dtype, 0, 0);
    if (x->ndim != 2 || !x->shape[1]) return ad_fail_null(AD_BAD_DIM, 1, x->ndim, 0);
    const int64_t labels = power ? x->shape[0] : x->numel;
    if (target->numel != labels) return ad_fail_null(AD_BAD_SHAPE, target->numel, labels, 0);
    if (weight && (weight->dtype != x->dtype || !power))
        return ad_fail_null(AD_BAD_DTYPE, weight->dtype, 0, 0);
    if (weight && weight->numel != x->shape[1])
        return ad_fail_null(AD_BAD_SHAPE, weight->numel, x->shape[1], 0);
    if (!target->contiguous || (weight && !weight->contiguous) || power < 0 || power > 2 ||
        reduction < EACH || reduction > SUM)
        return ad_fail_null(AD_BAD_ARG, power, 0, 0);
    ad_tensor *y = ad_make(x->dtype, reduction == EACH, x->shape);
    ad_tensor *kept = slopes && y ? ad_make(x->dtype, 2, x->shape) : NULL;
    const margin_numbers n = {margin, reason, power, reduction};
    const ad_tensor *const all[] = {y, kept, x, target, weight}, *const some[] = {y, x, target, weight};
    const ad_call c = {run_margin,    "margin_loss",       1 + (slopes != NULL), 3, .x = slopes ? all : some,
                       .numbers = &n, .n_bytes = sizeof n, .kept = true};
    if (y && (kept || !slopes) && !ad_do(&c)) {
        if (slopes) *slopes = kept;
        return y;
    }
    ad_free(y);
    ad_free(kept);
    return NULL;
}
