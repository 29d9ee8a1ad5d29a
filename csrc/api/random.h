/* api/random.h: the native API, generators and what is drawn. */
#ifndef AD_API_RANDOM_H
#define AD_API_RANDOM_H
#include "../autodiff.h"

/* ---- random: the Mersenne twister and PyTorch's derivations from it ---- */
ad_rng *ad_rng_new(uint64_t seed);
void ad_rng_free(ad_rng *rng);
int ad_rng_seed(ad_rng *rng, uint64_t seed);
uint64_t ad_rng_initial_seed(const ad_rng *rng); /* of the last seeding, or of the state set since */
int ad_rng_state_size(void);
int ad_rng_get_state(ad_rng *rng, ad_tensor *state); /* so many bytes */
int ad_rng_set_state(ad_rng *rng, const ad_tensor *state);
/* Each fills `out` in the order of its memory, advances the generator and counts as one write. */
int ad_rng_uniform(ad_rng *rng, ad_tensor *out, double low, double high);
/* The same of those of out's float64s where a mask of bools is true; others become 1. Both are contiguous. */
int ad_rng_uniform_where(ad_rng *rng, ad_tensor *out, double low, double high, const ad_tensor *mask);
int ad_rng_normal(ad_rng *rng, ad_tensor *out, double mean, double std);
int ad_rng_log_normal(ad_rng *rng, ad_tensor *out, double mean, double std);
int ad_rng_exponential(ad_rng *rng, ad_tensor *out, double rate);
int ad_rng_cauchy(ad_rng *rng, ad_tensor *out, double median, double sigma);
int ad_rng_geometric(ad_rng *rng, ad_tensor *out, double p);
int ad_rng_randint(ad_rng *rng, ad_tensor *out, int64_t low, int64_t last); /* both ends included */
int ad_rng_random(ad_rng *rng, ad_tensor *out); /* all the integers from 0 on that the dtype holds */
int ad_rng_randperm(ad_rng *rng, ad_tensor *out);
int ad_rng_bernoulli(ad_rng *rng, ad_tensor *out, double p);
int ad_rng_dropout(ad_rng *rng, ad_tensor *noise, double p); /* 0 with probability p, else 1 / (1 - p) */
/* The same again, in equal parts: each from a place that a generator was at (as of ad_attend). */
int ad_dropout_again(const ad_tensor *places, ad_tensor *noise, double p);
/* A parameter for each element: `p` and `rates` are of out's shape, float32 or float64. */
int ad_rng_bernoulli_of(ad_rng *rng, ad_tensor *out, const ad_tensor *p);
int ad_rng_poisson(ad_rng *rng, ad_tensor *out, const ad_tensor *rates);
/* Of float64, one shape and without gaps, as all of these. */
int ad_rng_gamma(ad_rng *rng, ad_tensor *out, const ad_tensor *concentration);
int ad_rng_binomial(ad_rng *rng, ad_tensor *out, const ad_tensor *count, const ad_tensor *prob);
/* S, the sum of x^n / (a (a + 1) ... (a + n)), and the same with each term times 1 / a + ... + 1 / (a + n).
 */
int ad_gamma_series(const ad_tensor *a, const ad_tensor *x, ad_tensor **out);
/* Of each row of weights (rows, categories), out's (rows, n) categories. AD_BAD_ARG: [0] is 1 for a negative
 * weight or nan, 2 for an infinite one, 3 for a sum of 0. */
int ad_rng_multinomial(ad_rng *rng, ad_tensor *out, const ad_tensor *weights, int replacement);

#endif
