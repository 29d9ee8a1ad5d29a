/* distributions.c: what one uniform for each element is transformed into: exponential, Cauchy, geometric and
 * Bernoulli numbers, and dropout's noise. Computed in double, whatever the dtype, as PyTorch does. */
#include <math.h>
#include "random.h"

/* ---- by the inverse of the cumulative distribution ---- */

void ad_exponentials(ad_rng *rng, int64_t n, void *dst, const ad_random_params *p) {
    double *x = dst;
    for (int64_t i = 0; i < n; i++) x[i] = -ad_draw_unit(rng);
    ad_random_kernel(AD_OP_log1p, AD_f64, n, x, x, NULL, NULL);
    for (int64_t i = 0; i < n; i++) x[i] *= p->scale;
}

static int run_exponential(const ad_call *c) {
    const ad_drawing *d = c->numbers;
    const int status = ad_check_float_out(ad_out(c, 0));
    if (status) return status;
    if (!(d->a > 0)) return ad_fail(AD_BAD_ARG, 0, 0, 0);
    return ad_random_fill_reals(c, ad_exponentials, &(ad_random_params){.scale = -1 / d->a});
}

int ad_rng_exponential(ad_rng *rng, ad_tensor *out, double rate) {
    return ad_draw(run_exponential, "exponential_", &(ad_drawing){.rng = rng, .a = rate}, out, NULL);
}

/* The tangent, as a quotient: the machine has no instruction for it. */
static void cauchy(ad_rng *rng, int64_t n, void *dst, const ad_random_params *p) {
    ad_random_chunk sine, cosine;
    double *x = dst;
    for (int64_t i = 0; i < n; i++) x[i] = 3.14159265358979323846 * (ad_draw_unit(rng) - 0.5);
    ad_random_kernel(AD_OP_sin, AD_f64, n, &sine, x, NULL, NULL);
    ad_random_kernel(AD_OP_cos, AD_f64, n, &cosine, x, NULL, NULL);
    for (int64_t i = 0; i < n; i++) x[i] = p->shift + p->scale * (sine.f64[i] / cosine.f64[i]);
}

static int run_cauchy(const ad_call *c) {
    const ad_drawing *d = c->numbers;
    const int status = ad_check_float_out(ad_out(c, 0));
    if (status) return status;
    if (!(d->b > 0)) return ad_fail(AD_BAD_ARG, 0, 0, 0);
    return ad_random_fill_reals(c, cauchy, &(ad_random_params){.shift = d->a, .scale = d->b});
}

int ad_rng_cauchy(ad_rng *rng, ad_tensor *out, double median, double sigma) {
    return ad_draw(run_cauchy, "cauchy_", &(ad_drawing){.rng = rng, .a = median, .b = sigma}, out, NULL);
}

/* How many trials until the first success. */
static void geometric(ad_rng *rng, int64_t n, void *dst, const ad_random_params *p) {
    double *x = dst;
    ad_units_f64(rng, n, x);
    ad_random_kernel(AD_OP_log, AD_f64, n, x, x, NULL, NULL);
    for (int64_t i = 0; i < n; i++) x[i] = ceil(x[i] / p->scale);
}

static int run_geometric(const ad_call *c) {
    const double p = ((const ad_drawing *)c->numbers)->a, failure = -p;
    const int status = ad_check_writable(ad_out(c, 0));
    if (status) return status;
    if (ad_out(c, 0)->dtype == AD_bool) return ad_fail(AD_BAD_DTYPE, AD_bool, 0, 0);
    if (!(p > 0 && p < 1)) return ad_fail(AD_BAD_ARG, 0, 0, 0);
    ad_random_params given = {0};
    ad_random_kernel(AD_OP_log1p, AD_f64, 1, &given.scale, &failure, NULL, NULL);
    return ad_random_fill_reals(c, geometric, &given);
}

int ad_rng_geometric(ad_rng *rng, ad_tensor *out, double p) {
    return ad_draw(run_geometric, "geometric_", &(ad_drawing){.rng = rng, .a = p}, out, NULL);
}

/* ---- by comparison ---- */

static void bernoulli(ad_rng *rng, int64_t n, void *dst, const ad_random_params *p) {
    const double chance = p->shift, hit = p->scale;
    double *x = dst;
    ad_units_f64(rng, n, x);
    for (int64_t i = 0; i < n; i++) x[i] = x[i] < chance ? hit : 0; /* a loop of its own: vectors, no jumps */
}

static int run_bernoulli(const ad_call *c) {
    const double p = ((const ad_drawing *)c->numbers)->a;
    const int status = ad_check_writable(ad_out(c, 0));
    if (status) return status;
    if (!(p >= 0 && p <= 1)) return ad_fail(AD_BAD_ARG, 0, 0, 0);
    return ad_random_fill_reals(c, bernoulli, &(ad_random_params){.shift = p, .scale = 1});
}

int ad_rng_bernoulli(ad_rng *rng, ad_tensor *out, double p) {
    return ad_draw(run_bernoulli, "bernoulli_", &(ad_drawing){.rng = rng, .a = p}, out, NULL);
}

static ad_random_params noise_params(int dtype, double p) {
    const double keep = 1 - p;
    /* divides in its own precision */
    return (ad_random_params){.shift = keep, .scale = dtype == AD_float64 ? 1 / keep : 1 / (float)keep};
}

void ad_dropout_noise(ad_rng *rng, int64_t n, int dtype, double p, char *noise) {
    const ad_random_params given = noise_params(dtype, p);
    ad_random_chunk drawn;
    for (int64_t i = 0; i < n; i += AD_RANDOM_CHUNK) {
        const int64_t m = ad_least(n - i, AD_RANDOM_CHUNK);
        bernoulli(rng, m, &drawn, &given);
        ad_cpu->pw->store[AD_f64][dtype](m, noise + i * ad_itemsize[dtype], 1, &drawn);
    }
}

static int run_dropout(const ad_call *c) {
    const double p = ((const ad_drawing *)c->numbers)->a;
    const int status = ad_check_float_out(ad_out(c, 0));
    if (status) return status;
    if (!(p >= 0 && p < 1)) return ad_fail(AD_BAD_ARG, 0, 0, 0);
    const ad_random_params given = noise_params(ad_out(c, 0)->dtype, p);
    return ad_random_fill_reals(c, bernoulli, &given);
}

int ad_rng_dropout(ad_rng *rng, ad_tensor *noise, double p) {
    return ad_draw(run_dropout, "dropout", &(ad_drawing){.rng = rng, .a = p}, noise, NULL);
}

/* ---- dropout's noise again ---- */

bool ad_is_places(const ad_tensor *x, int64_t n) {
    return x && x->dtype == AD_int32 && x->contiguous && x->ndim == 2 && x->shape[0] == n &&
           x->shape[1] == AD_RNG_PLACE;
}

static int run_dropout_again(const ad_call *c) {
    ad_tensor *noise = ad_out(c, 0);
    const ad_tensor *places = ad_in(c, 0);
    const ad_drawing *d = c->numbers;
    const int64_t heads = places->shape[0], n = heads ? noise->numel / heads : 0;
    ad_rng rng;
    for (int64_t i = 0; i < heads; i++) {
        ad_rng_return(&rng, (const uint32_t *)places->data + i * AD_RNG_PLACE);
        ad_dropout_noise(&rng, n, noise->dtype, d->a, noise->data + i * n * ad_itemsize[noise->dtype]);
    }
    ad_wrote(noise, AD_BY_RANDOM);
    return AD_OK;
}

int ad_dropout_again(const ad_tensor *places, ad_tensor *noise, double p) {
    const ad_tensor *const x[] = {noise, places};
    const ad_drawing d = {.a = p};
    const int64_t n = places->shape[0];
    const int status = ad_check_float_out(noise);
    if (status) return status;
    if (!(p > 0 && p < 1) || !noise->contiguous || ad_is_half(noise->dtype) || !ad_is_places(places, n) ||
        (n ? noise->numel % n : noise->numel) != 0)
        return ad_fail(AD_BAD_ARG, 1, 0, 0);
    return ad_do(&(ad_call){run_dropout_again, "dropout", 1, 1, .x = x, .numbers = &d, .n_bytes = sizeof d});
}
