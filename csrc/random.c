/* random.c: distributions, derived from the draws of a generator as PyTorch's CPU kernels derive them, so
 * that one seed gives the same numbers in both. Uniforms, integers and permutations agree bit for bit;
 * normals to the last few bits, where the logarithm and the sine may round differently. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include "rng.h"
#include "walk.h"

#define CHUNK 512 /* elements worked on at a time: a multiple of 16 */

/* ---- filling a tensor ---- */

typedef union {
    float f32[CHUNK];
    double f64[CHUNK];
} chunk;

typedef struct {
    double shift, scale; /* uniform: low, high - low; normal: mean, standard deviation */
    uint64_t range;      /* integers: how many, from `low` on */
    int64_t low;
} params;
/* Writes the next n numbers of a distribution, one after the other. */
typedef void fill_fn(ad_rng *rng, int64_t n, void *dst, const params *p);

/* The elements of x in the order of memory, which for a permuted tensor is not its own: PyTorch's order. */
static ad_walk walk_memory(const ad_tensor *x) {
    ad_walk w = {0};
    int dims[AD_MAX_DIMS];
    for (int d = 0; d < x->ndim; d++) {
        int i = d;
        for (; i > 0 && llabs(x->strides[dims[i - 1]]) < llabs(x->strides[d]); i--) dims[i] = dims[i - 1];
        dims[i] = d;
    }
    for (int i = 0; i < x->ndim; i++) ad_walk_add(&w, x->shape[dims[i]], x->strides[dims[i]]);
    ad_walk_finish(&w);
    return w;
}

static void scatter(char *dst, const char *src, int64_t n, int64_t step, size_t size) {
    for (int64_t i = 0; i < n; i++) memcpy(dst + i * step, src + i * (int64_t)size, size);
}

/* A chunk at a time, so that what a distribution does in several passes stays in cache. */
static void fill_run(ad_rng *rng, char *dst, int64_t n, int64_t stride, int dtype, fill_fn *fn,
                     const params *p) {
    int64_t size = ad_itemsize[dtype];
    chunk buffer;
    for (int64_t i = 0; i < n; i += CHUNK) {
        int64_t m = ad_least(n - i, CHUNK);
        char *at = dst + i * stride * size;
        fn(rng, m, stride == 1 ? (void *)at : &buffer, p);
        if (stride != 1) scatter(at, (const char *)&buffer, m, stride * size, (size_t)size);
    }
}

static void fill(ad_rng *rng, ad_tensor *out, fill_fn *fn, const params *p) {
    const ad_walk w = walk_memory(out);
    const int64_t n = w.shape[w.ndim - 1], stride = w.strides[w.ndim - 1], size = ad_itemsize[out->dtype];
    for (int64_t i = 0; i < out->numel; i += n)
        fill_run(rng, out->data + ad_walk_offset(&w, i) * size, n, stride, out->dtype, fn, p);
}

/* ---- the machine's kernels ---- */

static void kernel(int op, int type, int64_t n, void *dst, const void *a, const void *b, const void *c) {
    ad_cpu->pw->instr[op][type](n, dst, a, b, c);
}

/* x * scale + shift in place, rounded once; n is at most CHUNK. */
static void affine_f32(int64_t n, float *x, float scale, float shift) {
    chunk scales, shifts;
    if (scale == 1 && shift == 0) return;
    for (int64_t i = 0; i < n; i++) scales.f32[i] = scale;
    for (int64_t i = 0; i < n; i++) shifts.f32[i] = shift;
    kernel(AD_OP_fma, AD_f32, n, x, x, &scales, &shifts);
}

static void affine_f64(int64_t n, double *x, double scale, double shift) {
    chunk scales, shifts;
    if (scale == 1 && shift == 0) return;
    for (int64_t i = 0; i < n; i++) scales.f64[i] = scale;
    for (int64_t i = 0; i < n; i++) shifts.f64[i] = shift;
    kernel(AD_OP_fma, AD_f64, n, x, x, &scales, &shifts);
}

/* ---- uniform ---- */

static void units_f32(ad_rng *rng, int64_t n, float *dst) {
    while (n > 0) {
        if (rng->next == AD_RNG_WORDS) ad_rng_refill(rng);
        int64_t m = ad_least(AD_RNG_WORDS - rng->next, n);
        const uint32_t *u = rng->draws + rng->next;
        for (int64_t i = 0; i < m; i++) dst[i] = (float)(int32_t)(u[i] & 0xffffffu) * 0x1p-24f;
        rng->next += (uint32_t)m;
        dst += m;
        n -= m;
    }
}

static void units_f64(ad_rng *rng, int64_t n, double *dst) {
    for (int64_t i = 0; i < n; i++) dst[i] = ad_draw_unit(rng);
}

static void uniform_f32(ad_rng *rng, int64_t n, void *dst, const params *p) {
    units_f32(rng, n, dst);
    affine_f32(n, dst, (float)p->scale, (float)p->shift);
}

static void uniform_f64(ad_rng *rng, int64_t n, void *dst, const params *p) {
    units_f64(rng, n, dst);
    affine_f64(n, dst, p->scale, p->shift);
}

static int check_float_out(const ad_tensor *out) {
    if (!ad_is_float(out->dtype)) return ad_fail(AD_BAD_DTYPE, out->dtype, 0, 0);
    return ad_check_writable(out);
}

int ad_rng_uniform(ad_rng *rng, ad_tensor *out, double low, double high) {
    int status = check_float_out(out);
    if (status) return status;
    bool single = out->dtype == AD_float32;
    double limit = single ? FLT_MAX : DBL_MAX;
    if (!(low >= -limit && low <= high && high <= limit && high - low <= limit))
        return ad_fail(AD_BAD_ARG, 0, 0, 0);
    params p = {.shift = low, .scale = single ? (float)high - (float)low : high - low};
    ad_rng_lock(rng);
    fill(rng, out, single ? uniform_f32 : uniform_f64, &p);
    ad_wrote(out, AD_BY_RANDOM);
    return ad_rng_unlock(rng, AD_OK);
}

/* ---- normal ---- */

#define TWO_PI (2 * 3.14159265358979323846)

/* One number at a time, in double: two uniforms make two normals, and the second waits for the next call. */
static double normal_one(ad_rng *rng, double mean, double std) {
    if (rng->has_sample) {
        rng->has_sample = 0;
        return fma(rng->sample, std, mean);
    }
    double angle = TWO_PI * ad_draw_unit(rng), minus = -ad_draw_unit(rng), log, sine, cosine;
    kernel(AD_OP_log1p, AD_f64, 1, &log, &minus, NULL, NULL);
    kernel(AD_OP_sin, AD_f64, 1, &sine, &angle, NULL, NULL);
    kernel(AD_OP_cos, AD_f64, 1, &cosine, &angle, NULL, NULL);
    double radius = sqrt(-2 * log);
    rng->sample = radius * sine;
    rng->has_sample = 1;
    return fma(radius * cosine, std, mean);
}

static void normal_f32(ad_rng *rng, int64_t n, void *dst, const params *p) {
    for (int64_t i = 0; i < n; i++) ((float *)dst)[i] = (float)normal_one(rng, p->shift, p->scale);
}

static void normal_f64(ad_rng *rng, int64_t n, void *dst, const params *p) {
    for (int64_t i = 0; i < n; i++) ((double *)dst)[i] = normal_one(rng, p->shift, p->scale);
}

/* Box-Muller in place on n uniforms, n a multiple of 16 and at most CHUNK: in each 16, elements j and j + 8
 * make a pair. */
#define BOX_MULLER(ctype, type)                                                                              \
    static void box_muller_##type(int64_t n, ctype *x, ctype mean, ctype std) {                              \
        chunk in, angle, radius, sine, cosine;                                                               \
        if (n < 16) return;                                                                                  \
        for (int64_t i = 0; i < n / 2; i++) {                                                                \
            int64_t first = i / 8 * 16 + i % 8;                                                              \
            in.type[i] = 1 - x[first];                                                                       \
            angle.type[i] = (ctype)TWO_PI * x[first + 8];                                                    \
        }                                                                                                    \
        kernel(AD_OP_log, AD_##type, n / 2, &radius, &in, NULL, NULL);                                       \
        for (int64_t i = 0; i < n / 2; i++) in.type[i] = -2 * radius.type[i];                                \
        kernel(AD_OP_sqrt, AD_##type, n / 2, &radius, &in, NULL, NULL);                                      \
        kernel(AD_OP_sin, AD_##type, n / 2, &sine, &angle, NULL, NULL);                                      \
        kernel(AD_OP_cos, AD_##type, n / 2, &cosine, &angle, NULL, NULL);                                    \
        for (int64_t i = 0; i < n / 2; i++) {                                                                \
            int64_t first = i / 8 * 16 + i % 8;                                                              \
            x[first] = radius.type[i] * cosine.type[i];                                                      \
            x[first + 8] = radius.type[i] * sine.type[i];                                                    \
        }                                                                                                    \
        affine_##type(n, x, std, mean);                                                                      \
    }
BOX_MULLER(float, f32)
BOX_MULLER(double, f64)

/* Blocks of 16. Where 16 does not divide n, the last 16 elements are drawn anew as one more block. */
#define NORMAL_BLOCKS(ctype, type)                                                                           \
    static void normal_blocks_##type(ad_rng *rng, int64_t n, ctype *x, ctype mean, ctype std) {              \
        for (int64_t i = 0; i < n; i += CHUNK) {                                                             \
            int64_t m = ad_least(n - i, CHUNK);                                                              \
            units_##type(rng, m, x + i);                                                                     \
            box_muller_##type(m - m % 16, x + i, mean, std);                                                 \
        }                                                                                                    \
        if (n % 16 == 0) return;                                                                             \
        units_##type(rng, 16, x + n - 16);                                                                   \
        box_muller_##type(16, x + n - 16, mean, std);                                                        \
    }
NORMAL_BLOCKS(float, f32)
NORMAL_BLOCKS(double, f64)

int ad_rng_normal(ad_rng *rng, ad_tensor *out, double mean, double std) {
    int status = check_float_out(out);
    if (status) return status;
    if (!(std >= 0)) return ad_fail(AD_BAD_ARG, 0, 0, 0);
    bool single = out->dtype == AD_float32;
    params p = {.shift = mean, .scale = std};
    ad_rng_lock(rng);
    if (!out->contiguous || out->numel < 16)
        fill(rng, out, single ? normal_f32 : normal_f64, &p);
    else if (single)
        normal_blocks_f32(rng, out->numel, (float *)out->data, (float)mean, (float)std);
    else
        normal_blocks_f64(rng, out->numel, (double *)out->data, mean, std);
    ad_wrote(out, AD_BY_RANDOM);
    return ad_rng_unlock(rng, AD_OK);
}

/* ---- integers ---- */

/* From 2^28 on, the remainder of a 32-bit draw would be visibly uneven: such ranges take 64 bits. */
static uint64_t draw_below(ad_rng *rng, uint64_t range) {
    return range < 1ull << 28 ? ad_draw32(rng) % (uint32_t)range : ad_draw64(rng) % range;
}

#define AD_DTYPE(name, ctype, type)                                                                          \
    static void randint_##name(ad_rng *rng, int64_t n, void *dst, const params *p) {                         \
        for (int64_t i = 0; i < n; i++)                                                                      \
            ((ctype *)dst)[i] = (ctype)(int64_t)(draw_below(rng, p->range) + (uint64_t)p->low);              \
    }
#include "dtypes.def"
#undef AD_DTYPE

static fill_fn *const randint_table[AD_N_DTYPES] = {
#define AD_DTYPE(name, ctype, type) randint_##name,
#include "dtypes.def"
#undef AD_DTYPE
};

/* Beyond the integers a float dtype holds exactly (`digits` bits), a bound may round past the value it
 * excludes; PyTorch then moves it inwards by one step of the float. */
static int64_t as_float(int64_t x, int digits) {
    return digits == 24 ? (int64_t)(float)x : (int64_t)(double)x;
}

static int64_t float_step(int64_t x, int digits) {
    int bits = 63 - __builtin_clzll((uint64_t)llabs(x) | 1);
    return bits >= digits - 1 ? 1ll << (bits - digits + 1) : 0;
}

static void inner_bounds(int64_t *low, int64_t *high, int digits) {
    int64_t above = as_float(*low + 1, digits), below = as_float(*high - 1, digits);
    if (above < *low) *low = above + float_step(*low + 1, digits);
    if (below >= *high) *high = below - float_step(*high - 1, digits);
}

/* The bounds of what randint may make of each dtype; of floats, what converts back to int64. */
static bool in_dtype(int dtype, int64_t low, int64_t high) {
    switch (dtype) {
    case AD_bool: return low >= 0 && high <= 2;
    case AD_uint8: return low >= 0 && high <= 256;
    case AD_int32: return low >= INT32_MIN && high <= (int64_t)INT32_MAX + 1;
    case AD_int64: return true;
    default: return low > -(1ll << 62) && high < 1ll << 62;
    }
}

int ad_rng_randint(ad_rng *rng, ad_tensor *out, int64_t low, int64_t high) {
    int status = ad_check_writable(out);
    if (status) return status;
    if (low >= high) return ad_fail(AD_BAD_ARG, low, high, 0);
    if (!in_dtype(out->dtype, low, high)) return ad_fail(AD_BAD_CAST, low, high, out->dtype);
    if (ad_is_float(out->dtype)) inner_bounds(&low, &high, out->dtype == AD_float32 ? 24 : 53);
    if (low >= high) return ad_fail(AD_BAD_ARG, low, high, 0);
    params p = {.range = (uint64_t)high - (uint64_t)low, .low = low};
    ad_rng_lock(rng);
    fill(rng, out, randint_table[out->dtype], &p);
    ad_wrote(out, AD_BY_RANDOM);
    return ad_rng_unlock(rng, AD_OK);
}

/* ---- permutations ---- */

/* Fisher-Yates from the front; from the limit on, inside out on 64-bit draws. */
#define INSIDE_OUT (UINT32_MAX / 20)
#define AD_DTYPE(name, ctype, type)                                                                          \
    static void shuffle_##name(ad_rng *rng, int64_t n, ctype *x, int64_t stride) {                           \
        for (int64_t i = 0; i < n; i++) x[i * stride] = (ctype)i;                                            \
        for (int64_t i = 0; i < n - 1; i++) {                                                                \
            int64_t j = i + ad_draw32(rng) % (uint32_t)(n - i);                                              \
            ctype swapped = x[i * stride];                                                                   \
            x[i * stride] = x[j * stride];                                                                   \
            x[j * stride] = swapped;                                                                         \
        }                                                                                                    \
    }                                                                                                        \
    static void inside_out_##name(ad_rng *rng, int64_t n, ctype *x, int64_t stride) {                        \
        for (int64_t i = 0; i < n; i++) {                                                                    \
            int64_t j = (int64_t)(ad_draw64(rng) % (uint64_t)(i + 1));                                       \
            x[i * stride] = (ctype)i;                                                                        \
            x[i * stride] = x[j * stride];                                                                   \
            x[j * stride] = (ctype)i;                                                                        \
        }                                                                                                    \
    }                                                                                                        \
    static void randperm_##name(ad_rng *rng, int64_t n, void *x, int64_t stride) {                           \
        (n < INSIDE_OUT ? shuffle_##name : inside_out_##name)(rng, n, x, stride);                            \
    }
#include "dtypes.def"
#undef AD_DTYPE

typedef void randperm_fn(ad_rng *rng, int64_t n, void *x, int64_t stride);
static randperm_fn *const randperm_table[AD_N_DTYPES] = {
#define AD_DTYPE(name, ctype, type) randperm_##name,
#include "dtypes.def"
#undef AD_DTYPE
};

static int64_t largest_permutation(int dtype) {
    switch (dtype) {
    case AD_uint8: return 256;
    case AD_int32: return (int64_t)INT32_MAX + 1;
    case AD_float32: return (1ll << 24) + 1;
    case AD_float64: return (1ll << 53) + 1;
    default: return INT64_MAX;
    }
}

int ad_rng_randperm(ad_rng *rng, ad_tensor *out) {
    int status = ad_check_writable(out);
    if (status) return status;
    if (out->dtype == AD_bool) return ad_fail(AD_BAD_DTYPE, out->dtype, 0, 0);
    if (out->ndim != 1) return ad_fail(AD_BAD_SHAPE, out->ndim, 1, 0);
    if (out->numel > largest_permutation(out->dtype)) return ad_fail(AD_BAD_CAST, out->numel, 0, out->dtype);
    ad_rng_lock(rng);
    randperm_table[out->dtype](rng, out->numel, out->data, out->strides[0]);
    ad_wrote(out, AD_BY_RANDOM);
    return ad_rng_unlock(rng, AD_OK);
}
