/* random.h: what the distributions share. Each is derived from the draws of a generator as PyTorch's CPU
 * kernels derive it, so that one seed gives the same numbers in both: bit for bit where arithmetic alone is
 * involved, to the last few bits where a logarithm or a sine may round differently. */
#ifndef AD_RANDOM_H
#define AD_RANDOM_H
#include "rng.h"

#define AD_RANDOM_CHUNK 512 /* elements worked on at a time: a multiple of 16 */

typedef union {
    float f32[AD_RANDOM_CHUNK];
    double f64[AD_RANDOM_CHUNK];
} ad_random_chunk;

typedef struct {
    double shift, scale; /* of reals; what they mean is the distribution's */
    double top;          /* uniform: the bound that is left out, */
    int dtype;           /* of the numbers as they are stored */
    uint64_t range;      /* integers: how many, from `low` on; 0 for 2^64 */
    int64_t low;
    bool wide; /* integers: from 64-bit draws */
} ad_random_params;

/* Writes the next n numbers of a distribution, one after the other. */
typedef void ad_random_fn(ad_rng *rng, int64_t n, void *dst, const ad_random_params *p);

/* A call that fills out: what a generator draws from, and the numbers of the distribution. */
typedef struct {
    ad_rng *rng;
    double a, b;
    int64_t i, j;
} ad_drawing;
static inline ad_rng *ad_rng_of(const ad_call *c) { return ((const ad_drawing *)c->numbers)->rng; }
int ad_draw(ad_run_fn *run, const char *name, const ad_drawing *d, ad_tensor *out, const ad_tensor *in);
int ad_check_float_out(const ad_tensor *out);
/* The dimensions of x from the longest stride to the shortest: PyTorch's order of drawing. */
void ad_memory_order(const ad_tensor *x, int dims[AD_MAX_DIMS]);
/* Fills a call's result, of any dtype, with doubles that are converted; locks the generator and counts the
 * write. */
int ad_random_fill_reals(const ad_call *c, ad_random_fn *fn, const ad_random_params *p);
double ad_draw_normal(ad_rng *rng);                     /* one number at a time, in double */
void ad_units_f32(ad_rng *rng, int64_t n, float *dst);  /* uniform on [0, 1): 24 bits, of 32-bit draws */
void ad_units_f64(ad_rng *rng, int64_t n, double *dst); /* 53 bits, of 64-bit draws */
/* The next n numbers of dropout's noise: 0 with probability p < 1, else 1 / (1 - p). */
void ad_dropout_noise(ad_rng *rng, int64_t n, int dtype, double p, char *noise);
bool ad_is_places(const ad_tensor *x, int64_t n); /* n of them, a row each */
ad_random_fn ad_exponentials;                     /* doubles; p->scale is -1 / rate */

/* An instruction of the machine on whole registers. */
static inline void ad_random_kernel(int op, int type, int64_t n, void *dst, const void *a, const void *b,
                                    const void *c) {
    ad_cpu->pw->instr[op][type](n, dst, a, b, c);
}

/* x * scale + shift in place, rounded once; n is at most AD_RANDOM_CHUNK. */
void ad_affine_f32(int64_t n, float *x, float scale, float shift);
void ad_affine_f64(int64_t n, double *x, double scale, double shift);

#endif
