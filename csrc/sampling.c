/* sampling.c: distributions whose parameters are tensors: Bernoulli and Poisson numbers, each element with a
 * parameter of its own, and samples of categories by their weights. */
#include <math.h>
#include <stdlib.h>
#include "random.h"

/* ---- a parameter for each element ---- */

/* Overwrites n parameters by numbers. */
typedef void draw_fn(ad_rng *rng, int64_t n, double *x);

/* Both tensors as nested loops, in the order of out's memory. */
typedef struct {
    int ndim; /* at least 1 */
    int64_t shape[AD_MAX_DIMS], out[AD_MAX_DIMS], in[AD_MAX_DIMS];
} loops;

static loops walk_both(const ad_tensor *out, const ad_tensor *in) {
    loops w = {.ndim = out->ndim, .shape = {1}};
    int dims[AD_MAX_DIMS];
    ad_memory_order(out, dims);
    for (int i = 0; i < out->ndim; i++) {
        w.shape[i] = out->shape[dims[i]];
        w.out[i] = out->strides[dims[i]];
        w.in[i] = in->strides[dims[i]];
    }
    if (!w.ndim) w.ndim = 1;
    return w;
}

static void draw_run(ad_rng *rng, const loops *w, ad_tensor *out, const ad_tensor *in, int64_t to,
                     int64_t from, draw_fn *draw) {
    const int64_t last = w->ndim - 1, n = w->shape[last], stride = w->out[last], step = w->in[last];
    ad_random_chunk buffer;
    for (int64_t i = 0; i < n; i += AD_RANDOM_CHUNK) {
        int64_t m = ad_least(n - i, AD_RANDOM_CHUNK);
        const char *source = in->data + (from + i * step) * ad_itemsize[in->dtype];
        char *target = out->data + (to + i * stride) * ad_itemsize[out->dtype];
        ad_cpu->pw->load[in->dtype][AD_f64](m, &buffer, source, step);
        draw(rng, m, buffer.f64);
        ad_cpu->pw->store[AD_f64][out->dtype](m, target, stride, &buffer);
    }
}

static void draw_each(ad_rng *rng, ad_tensor *out, const ad_tensor *in, draw_fn *draw) {
    const loops w = walk_both(out, in);
    for (int64_t row = 0; row < out->numel; row += w.shape[w.ndim - 1]) {
        int64_t to = 0, from = 0, rest = row / w.shape[w.ndim - 1];
        for (int d = w.ndim - 2; d >= 0; rest /= w.shape[d--]) {
            to += rest % w.shape[d] * w.out[d];
            from += rest % w.shape[d] * w.in[d];
        }
        draw_run(rng, &w, out, in, to, from, draw);
    }
}

/* Whether all parameters are in [0, most]: looked at before anything is drawn. */
static bool within(const ad_tensor *in, double most) {
    ad_random_chunk buffer;
    const loops w = walk_both(in, in);
    const int64_t n = w.shape[w.ndim - 1], stride = w.in[w.ndim - 1];
    for (int64_t row = 0; row < in->numel; row += n) {
        int64_t from = 0, rest = row / n;
        for (int d = w.ndim - 2; d >= 0; rest /= w.shape[d--]) from += rest % w.shape[d] * w.in[d];
        for (int64_t i = 0; i < n; i += AD_RANDOM_CHUNK) {
            int64_t m = ad_least(n - i, AD_RANDOM_CHUNK);
            const char *source = in->data + (from + i * stride) * ad_itemsize[in->dtype];
            ad_cpu->pw->load[in->dtype][AD_f64](m, &buffer, source, stride);
            bool inside = true;
            for (int64_t k = 0; k < m; k++) inside &= (buffer.f64[k] >= 0) & (buffer.f64[k] <= most);
            if (!inside) return false;
        }
    }
    return true;
}

static int check_pair(const ad_tensor *out, const ad_tensor *in, double most) {
    int status = ad_check_writable(out);
    if (status) return status;
    if (!ad_is_floating(in->dtype)) return ad_fail(AD_BAD_DTYPE, in->dtype, 0, 0);
    if (!ad_same_shape(out, in)) return ad_fail(AD_BAD_SHAPE, out->ndim, in->ndim, 0);
    bool same = out->dtype == in->dtype && ad_same_elements(out, in);
    if (!same && ad_may_overlap(out, in)) return ad_fail(AD_OVERLAP, 0, 0, 0);
    if (!within(in, most)) return ad_fail(AD_BAD_ARG, 0, 0, 0);
    return AD_OK;
}

static int draw_all(const ad_call *c, draw_fn *draw) {
    ad_rng_lock(ad_rng_of(c));
    draw_each(ad_rng_of(c), ad_out(c, 0), ad_in(c, 0), draw);
    ad_wrote(ad_out(c, 0), AD_BY_RANDOM);
    return ad_rng_unlock(ad_rng_of(c), AD_OK);
}

/* ---- Bernoulli ---- */

static void bernoulli_f32(ad_rng *rng, int64_t n, double *x) {
    ad_random_chunk units;
    ad_units_f32(rng, n, units.f32);
    for (int64_t i = 0; i < n; i++) x[i] = (double)units.f32[i] < x[i] ? 1 : 0;
}

static void bernoulli_f64(ad_rng *rng, int64_t n, double *x) {
    ad_random_chunk units;
    ad_units_f64(rng, n, units.f64);
    for (int64_t i = 0; i < n; i++) x[i] = units.f64[i] < x[i] ? 1 : 0;
}

static int run_bernoulli_of(const ad_call *c) {
    const ad_tensor *p = ad_in(c, 0);
    const int status = check_pair(ad_out(c, 0), p, 1);
    return status ? status : draw_all(c, p->dtype == AD_float64 ? bernoulli_f64 : bernoulli_f32);
}

int ad_rng_bernoulli_of(ad_rng *rng, ad_tensor *out, const ad_tensor *p) {
    return ad_draw(run_bernoulli_of, "bernoulli_", &(ad_drawing){.rng = rng}, out, p);
}

/* ---- Poisson ---- */

#define MOST_RATE 0x1p62 /* the count is an integer of 63 bits; a rate beyond them has none */

/* Rates below 10: uniforms are multiplied until the product falls below exp(-rate). */
static double poisson_by_product(ad_rng *rng, double rate) {
    double least = exp(-rate), product = ad_draw_unit(rng), count = 0;
    for (; product > least; count++) product *= ad_draw_unit(rng);
    return count;
}

/* Hoermann, The transformed rejection method for generating Poisson random variables (1993), PTRS. */
static double poisson_by_rejection(ad_rng *rng, double rate) {
    const double root = sqrt(rate), log_rate = log(rate);
    const double b = 0.931 + 2.53 * root, a = -0.059 + 0.02483 * b;
    const double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4), quick = 0.9277 - 3.6224 / (b - 2);
    for (;;) {
        double u = ad_draw_unit(rng) - 0.5, v = ad_draw_unit(rng), us = 0.5 - fabs(u);
        double k = floor((2 * a / us + b) * u + rate + 0.43);
        int sign;
        if (us >= 0.07 && v <= quick) return k;
        if (k < 0 || (us < 0.013 && v > us)) continue;
        double accepted = log(v) + log(inverse_alpha) - log(a / (us * us) + b);
        if (accepted <= -rate + k * log_rate - lgamma_r(k + 1, &sign)) return k;
    }
}

static void poisson(ad_rng *rng, int64_t n, double *x) {
    for (int64_t i = 0; i < n; i++)
        if (x[i] > 0 && x[i] <= MOST_RATE) /* else, as another thread wrote it, nothing might be accepted */
            x[i] = (x[i] < 10 ? poisson_by_product : poisson_by_rejection)(rng, x[i]);
}

static int run_poisson(const ad_call *c) {
    const int status = check_pair(ad_out(c, 0), ad_in(c, 0), MOST_RATE);
    return status ? status : draw_all(c, poisson);
}

int ad_rng_poisson(ad_rng *rng, ad_tensor *out, const ad_tensor *rates) {
    return ad_draw(run_poisson, "poisson", &(ad_drawing){.rng = rng}, out, rates);
}

/* ---- categories ---- */

enum { NEGATIVE = 1, INFINITE, NO_WEIGHT };

static double weight_at(const ad_tensor *w, int64_t row, int64_t category) {
    const char *at = w->data + (row * w->strides[0] + category * w->strides[1]) * ad_itemsize[w->dtype];
    if (w->dtype == AD_float64) return *(const double *)(const void *)at;
    if (w->dtype == AD_float32) return (double)*(const float *)(const void *)at;
    double weight;
    ad_cpu->pw->load[w->dtype][AD_f64](1, &weight, at, 1);
    return weight;
}

static int check_weights(const ad_tensor *w) {
    for (int64_t row = 0; row < w->shape[0]; row++) {
        double most = 0;
        for (int64_t c = 0; c < w->shape[1]; c++) {
            double weight = weight_at(w, row, c);
            if (!(weight >= 0)) return ad_fail(AD_BAD_ARG, NEGATIVE, row, c);
            if (isinf(weight)) return ad_fail(AD_BAD_ARG, INFINITE, row, c);
            most = fmax(most, weight);
        }
        if (most == 0) return ad_fail(AD_BAD_ARG, NO_WEIGHT, row, 0);
    }
    return AD_OK;
}

static int64_t *sample_at(const ad_tensor *out, int64_t row, int64_t i) {
    return (int64_t *)(void *)out->data + row * out->strides[0] + i * out->strides[1];
}

/* Sums in the precision of the weights, as they decide where a uniform falls. */
static void cumulate(const ad_tensor *w, int64_t row, double *cumulated) {
    const bool single = w->dtype != AD_float64;
    const int64_t n = w->shape[1];
    double sum = 0;
    for (int64_t c = 0; c < n; c++) {
        sum += weight_at(w, row, c);
        if (single) sum = (float)sum;
        cumulated[c] = sum;
    }
    for (int64_t c = 0; c < n; c++)
        cumulated[c] = single ? (float)cumulated[c] / (float)sum : cumulated[c] / sum;
    cumulated[n - 1] = 1;
}

static void sample_with_replacement(ad_rng *rng, ad_tensor *out, const ad_tensor *w, double *cumulated) {
    for (int64_t row = 0; row < out->shape[0]; row++) {
        cumulate(w, row, cumulated);
        for (int64_t i = 0; i < out->shape[1]; i++) {
            double u = ad_draw_unit(rng);
            int64_t low = 0, high = w->shape[1];
            while (low < high) {
                int64_t middle = low + (high - low) / 2;
                if (cumulated[middle] < u)
                    low = middle + 1;
                else
                    high = middle;
            }
            *sample_at(out, row, i) = low;
        }
    }
}

/* ---- without replacement: the largest of weight / exponential ---- */

typedef struct {
    double key;
    int64_t category;
} entry;

static bool before(const entry *a, const entry *b) {
    return a->key > b->key || (a->key == b->key && a->category < b->category);
}

static void sift_down(entry *heap, int64_t n, int64_t i) {
    for (int64_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && before(&heap[child + 1], &heap[child])) child++;
        if (!before(&heap[child], &heap[i])) return;
        entry moved = heap[i];
        heap[i] = heap[child];
        heap[child] = moved;
    }
}

static void take_first(ad_tensor *out, int64_t row, entry *heap, int64_t n) {
    for (int64_t i = n / 2 - 1; i >= 0; i--) sift_down(heap, n, i);
    for (int64_t i = 0; i < out->shape[1]; i++) {
        *sample_at(out, row, i) = heap[0].category;
        heap[0] = heap[--n];
        sift_down(heap, n, 0);
    }
}

static void draw_exponentials(ad_rng *rng, int64_t n, double *x) {
    const ad_random_params p = {.scale = -1};
    for (int64_t i = 0; i < n; i += AD_RANDOM_CHUNK)
        ad_exponentials(rng, ad_least(n - i, AD_RANDOM_CHUNK), x + i, &p);
}

static void sample_once(ad_rng *rng, ad_tensor *out, const ad_tensor *w, double *drawn, entry *heap) {
    const int64_t rows = w->shape[0], n = w->shape[1];
    const bool single = w->dtype != AD_float64, by_column = llabs(w->strides[0]) < llabs(w->strides[1]);
    draw_exponentials(rng, rows * n, drawn);
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t c = 0; c < n; c++) {
            double weight = weight_at(w, row, c), x = drawn[by_column ? c * rows + row : row * n + c];
            heap[c] = (entry){single ? (float)weight / (float)x : weight / x, c};
        }
        take_first(out, row, heap, n);
    }
}

static int check_sampling(const ad_tensor *out, const ad_tensor *w, bool replacement) {
    int status = ad_check_writable(out);
    if (status) return status;
    if (out->dtype != AD_int64) return ad_fail(AD_BAD_DTYPE, out->dtype, 0, 0);
    if (!ad_is_floating(w->dtype)) return ad_fail(AD_BAD_DTYPE, w->dtype, 0, 0);
    bool fits = out->ndim == 2 && w->ndim == 2 && out->shape[0] == w->shape[0];
    if (!fits || (!replacement && out->shape[1] > w->shape[1]))
        return ad_fail(AD_BAD_SHAPE, out->ndim, w->ndim, 0);
    return check_weights(w);
}

static int run_multinomial(const ad_call *c) {
    const ad_drawing *d = c->numbers;
    ad_rng *rng = d->rng;
    ad_tensor *out = ad_out(c, 0);
    const ad_tensor *weights = ad_in(c, 0);
    const bool replacement = d->i;
    int status = check_sampling(out, weights, replacement);
    if (status) return status;
    if (!out->numel) return AD_OK;
    int64_t drawn = replacement ? weights->shape[1] : weights->numel;
    size_t heap = replacement ? 0 : (size_t)weights->shape[1] * sizeof(entry);
    char *memory = ad_alloc((size_t)drawn * sizeof(double) + heap);
    if (!memory) return AD_NO_MEMORY;
    double *numbers = (double *)(void *)(memory + heap);
    ad_rng_lock(rng);
    if (replacement)
        sample_with_replacement(rng, out, weights, numbers);
    else
        sample_once(rng, out, weights, numbers, (entry *)(void *)memory);
    ad_wrote(out, AD_BY_RANDOM);
    ad_dealloc(memory);
    return ad_rng_unlock(rng, AD_OK);
}

int ad_rng_multinomial(ad_rng *rng, ad_tensor *out, const ad_tensor *weights, int replacement) {
    return ad_draw(run_multinomial, "multinomial", &(ad_drawing){.rng = rng, .i = replacement}, out, weights);
}
