/* rejection.c: gamma and binomial numbers, each with parameters of its own, drawn until one is accepted; and
 * the slopes of gamma numbers. All in double. */
#include <math.h>
#include "random.h"

/* ---- gamma ---- */

/* Marsaglia and Tsang, A simple method for generating gamma variables (2000). */
static double gamma_one(ad_rng *rng, double a) {
    double scale = 1;
    if (!(a > 0)) return a == 0 ? 0 : NAN;
    if (a < 1) {
        scale = pow(1 - ad_draw_unit(rng), 1 / a);
        a += 1;
    }
    const double d = a - 0.3333333432674408; /* a third in float32, which PyTorch takes */
    for (;;) {
        const double x = ad_draw_normal(rng), root = 1 + x / sqrt(9 * d), v = root * root * root;
        if (v <= 0) continue;
        const double u = 1 - ad_draw_unit(rng);
        if (u < 1 - 0.0331 * (x * x) * (x * x) || log(u) < x * x / 2 + d * (1 - v + log(v)))
            return scale * d * v;
    }
}

/* Operands of double without gaps, of one shape. */
static int check_alike(int n, const ad_tensor *const *x) {
    for (int i = 0; i < n; i++)
        if (x[i]->dtype != AD_float64 || !x[i]->contiguous || !ad_same_shape(x[i], x[0]))
            return ad_fail(AD_BAD_ARG, i, 0, 0);
    return AD_OK;
}

static int run_gamma(const ad_call *c) {
    const double *a = (const double *)ad_in(c, 0)->data;
    double *y = (double *)ad_out(c, 0)->data;
    ad_rng_lock(ad_rng_of(c));
    for (int64_t i = 0; i < ad_out(c, 0)->numel; i++) y[i] = gamma_one(ad_rng_of(c), a[i]);
    ad_wrote(ad_out(c, 0), AD_BY_RANDOM);
    return ad_rng_unlock(ad_rng_of(c), AD_OK);
}

int ad_rng_gamma(ad_rng *rng, ad_tensor *out, const ad_tensor *concentration) {
    const int status = check_alike(2, (const ad_tensor *const[]){out, concentration});
    return status ? status
                  : ad_draw(run_gamma, "standard_gamma", &(ad_drawing){.rng = rng}, out, concentration);
}

enum { MOST_TERMS = 1 << 20 }; /* what is drawn of an a that needs as many is taken as normal */

/* The sum of x^n / (a (a + 1) ... (a + n)), and the same times the sum of 1 / a to 1 / (a + n). */
static int run_gamma_series(const ad_call *c) {
    double *total = (double *)ad_out(c, 0)->data, *slope = (double *)ad_out(c, 1)->data;
    const double *a = (const double *)ad_in(c, 0)->data, *x = (const double *)ad_in(c, 1)->data;
    for (int64_t i = 0; i < ad_in(c, 0)->numel; i++) {
        double term = 1 / a[i], shares = term;
        total[i] = term;
        slope[i] = term * shares;
        for (int n = 1; term > total[i] * 1e-17 && n < MOST_TERMS; n++) {
            term = term * x[i] / (a[i] + n);
            shares += 1 / (a[i] + n);
            total[i] += term;
            slope[i] += term * shares;
        }
    }
    return AD_OK;
}

int ad_gamma_series(const ad_tensor *a, const ad_tensor *x, ad_tensor **out) {
    const int status = check_alike(2, (const ad_tensor *const[]){a, x});
    if (status) return status;
    for (int i = 0; i < 2; i++) out[i] = ad_make(AD_float64, a->ndim, a->shape);
    const ad_tensor *const operands[] = {out[0], out[1], a, x};
    if (out[0] && out[1] && !ad_do(&(ad_call){run_gamma_series, "gamma_series", 2, 2, .x = operands}))
        return AD_OK;
    for (int i = 0; i < 2; i++) ad_free(out[i]);
    return ad_error(NULL);
}

/* ---- binomial ---- */

/* As many geometric waits as fit into n trials. */
static double binomial_by_waiting(ad_rng *rng, double n, double p) {
    double trials = 0;
    for (double successes = 0;; successes++) {
        const double u = ad_draw_unit(rng), wait = u > 0 ? log(u) / log1p(-p) : INFINITY;
        trials += wait <= n ? ceil(wait) : INFINITY;
        if (trials > n) return successes;
    }
}

/* What Stirling's formula, of k + 1, lacks of log(k!). */
static double stirling_rest(double k) {
    const double x = k + 1, s = 1 / (x * x);
    int sign;
    if (k < 10) return lgamma_r(x, &sign) - ((k + 0.5) * log(x) - x + 0.91893853320467274178);
    return (1.0 / 12 - (1.0 / 360 - (1.0 / 1260 - s / 1680) * s) * s) / x;
}

/* The log of how much likelier k is than m, near n p: of differences, whose errors are those of k - m. Logs
 * of factorials would lose all of it among many trials. */
static double likelier(double n, double p, double k, double m) {
    const double d = k - m, slope = log1p(((n + 2) * p - (m + 1)) / ((m + 1) * (1 - p)));
    const double rest = stirling_rest(m) + stirling_rest(n - m) - stirling_rest(k) - stirling_rest(n - k);
    return rest + d * slope - (k + 0.5) * log1p(d / (m + 1)) - (n - k + 0.5) * log1p(-d / (n - m + 1));
}

/* Hoermann, The generation of binomial random variates (1993): the algorithm BTRS. */
static double binomial_by_rejection(ad_rng *rng, double n, double p) {
    const double deviation = sqrt(n * p * (1 - p));
    const double b = 1.15 + 2.53 * deviation, a = -0.0873 + 0.0248 * b + 0.01 * p;
    const double alpha = (2.83 + 5.1 / b) * deviation, mode = floor((n + 1) * p);
    for (;;) {
        const double u = ad_draw_unit(rng) - 0.5, v = ad_draw_unit(rng), us = 0.5 - fabs(u);
        const double k = us > 0 ? floor((2 * a / us + b) * u + n * p + 0.5) : -1;
        if (us >= 0.07 && v <= 0.92 - 4.2 / b) return k;
        if (!(k >= 0 && k <= n)) continue;
        if (v * alpha / (a / (us * us) + b) <= exp(likelier(n, p, k, mode))) return k;
    }
}

static double binomial_one(ad_rng *rng, double n, double p) {
    if (n <= 0 || p <= 0) return 0;
    if (p >= 1) return n;
    if (isnan(p) || isnan(n)) return NAN;
    if (isinf(n)) return n; /* as many as there are trials: nothing to draw */
    const double rare = fmin(p, 1 - p);
    const double few = (n * rare >= 10 ? binomial_by_rejection : binomial_by_waiting)(rng, n, rare);
    return p <= 0.5 ? few : n - few;
}

static int run_binomial(const ad_call *c) {
    const double *n = (const double *)ad_in(c, 0)->data, *p = (const double *)ad_in(c, 1)->data;
    double *y = (double *)ad_out(c, 0)->data;
    ad_rng_lock(ad_rng_of(c));
    for (int64_t i = 0; i < ad_out(c, 0)->numel; i++) y[i] = binomial_one(ad_rng_of(c), n[i], p[i]);
    ad_wrote(ad_out(c, 0), AD_BY_RANDOM);
    return ad_rng_unlock(ad_rng_of(c), AD_OK);
}

int ad_rng_binomial(ad_rng *rng, ad_tensor *out, const ad_tensor *count, const ad_tensor *prob) {
    const ad_tensor *const operands[] = {out, count, prob};
    const int status = check_alike(3, operands);
    const ad_drawing d = {.rng = rng};
    return status ? status
                  : ad_do(&(ad_call){run_binomial, "binomial", 1, 2, .x = operands, .numbers = &d,
                                     .n_bytes = sizeof d, .kept = true});
}
