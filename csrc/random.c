/* random.c: filling tensors with uniform numbers, integers and permutations. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include "random.h"
#include "walk.h"

/* ---- filling a tensor ---- */

int ad_draw(ad_run_fn *run, const char *name, const ad_drawing *d, ad_tensor *out, const ad_tensor *in) {
    const ad_tensor *const x[] = {out, in};
    const bool let_go = ad_let_go(4 * out->numel);
    const int status =
        ad_do(&(ad_call){run, name, 1, in != NULL, .x = x, .numbers = d, .n_bytes = sizeof *d, .kept = true});
    ad_take_back(let_go);
    return status;
}

void ad_memory_order(const ad_tensor *x, int dims[AD_MAX_DIMS]) {
    for (int d = 0; d < x->ndim; d++) {
        int i = d;
        for (; i > 0 && llabs(x->strides[dims[i - 1]]) < llabs(x->strides[d]); i--) dims[i] = dims[i - 1];
        dims[i] = d;
    }
}

static ad_walk walk_memory(const ad_tensor *x) {
    ad_walk w = {0};
    int dims[AD_MAX_DIMS];
    ad_memory_order(x, dims);
    for (int i = 0; i < x->ndim; i++) ad_walk_add(&w, x->shape[dims[i]], x->strides[dims[i]]);
    ad_walk_finish(&w);
    return w;
}

static void scatter(char *dst, const char *src, int64_t n, int64_t step, size_t size) {
    for (int64_t i = 0; i < n; i++) memcpy(dst + i * step, src + i * (int64_t)size, size);
}

/* A chunk at a time, so that what a distribution does in several passes stays in cache. */
static void fill_run(ad_rng *rng, char *dst, int64_t n, int64_t stride, int dtype, ad_random_fn *fn,
                     const ad_random_params *p) {
    int64_t size = ad_itemsize[dtype];
    ad_random_chunk buffer;
    for (int64_t i = 0; i < n; i += AD_RANDOM_CHUNK) {
        int64_t m = ad_least(n - i, AD_RANDOM_CHUNK);
        char *at = dst + i * stride * size;
        fn(rng, m, stride == 1 ? (void *)at : &buffer, p);
        if (stride != 1) scatter(at, (const char *)&buffer, m, stride * size, (size_t)size);
    }
}

/* The same of numbers of another type, which are converted. */
static void fill_run_stored(ad_rng *rng, char *dst, int64_t n, int64_t stride, int dtype, ad_random_fn *fn,
                            const ad_random_params *p, int type) {
    ad_store_fn *store = ad_cpu->pw->store[type][dtype];
    ad_random_chunk buffer;
    for (int64_t i = 0; i < n; i += AD_RANDOM_CHUNK) {
        int64_t m = ad_least(n - i, AD_RANDOM_CHUNK);
        fn(rng, m, &buffer, p);
        store(m, dst + i * stride * ad_itemsize[dtype], stride, &buffer);
    }
}

/* fn draws numbers of `type`, or of what the dtype is computed in: those of 16 bits are rounded. */
static void fill_runs(ad_rng *rng, ad_tensor *out, ad_random_fn *fn, const ad_random_params *p, int type) {
    const ad_walk w = walk_memory(out);
    const int64_t n = w.shape[w.ndim - 1], stride = w.strides[w.ndim - 1], size = ad_itemsize[out->dtype];
    const bool stored = type != ad_dtype_type[out->dtype] || !ad_is_native_dtype(out->dtype);
    for (int64_t i = 0; i < out->numel; i += n) {
        char *at = out->data + ad_walk_offset(&w, i) * size;
        if (stored)
            fill_run_stored(rng, at, n, stride, out->dtype, fn, p, type);
        else
            fill_run(rng, at, n, stride, out->dtype, fn, p);
    }
}

int ad_random_fill_reals(const ad_call *c, ad_random_fn *fn, const ad_random_params *p) {
    ad_rng_lock(ad_rng_of(c));
    fill_runs(ad_rng_of(c), ad_out(c, 0), fn, p, AD_f64);
    ad_wrote(ad_out(c, 0), AD_BY_RANDOM);
    return ad_rng_unlock(ad_rng_of(c), AD_OK);
}

/* ---- arithmetic in place ---- */

#define AFFINE(T, type)                                                                                      \
    void ad_affine_##type(int64_t n, T *x, T scale, T shift) {                                               \
        ad_random_chunk scales, shifts;                                                                      \
        if (scale == 1 && shift == 0) return;                                                                \
        for (int64_t i = 0; i < n; i++) scales.type[i] = scale;                                              \
        for (int64_t i = 0; i < n; i++) shifts.type[i] = shift;                                              \
        ad_random_kernel(AD_OP_fma, AD_##type, n, x, x, &scales, &shifts);                                   \
    }
AFFINE(float, f32)
AFFINE(double, f64)

/* ---- uniform ---- */

void ad_units_f32(ad_rng *rng, int64_t n, float *dst) {
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

/* The high and the low word apart: exact, and of 32-bit integers, which vectors convert. */
void ad_units_f64(ad_rng *rng, int64_t n, double *dst) {
    for (int64_t m; n > 0; n -= m, dst += m) {
        m = ad_least((AD_RNG_WORDS - rng->next) / 2, n);
        if (m == 0) {
            *dst = ad_draw_unit(rng);
            m = 1;
            continue;
        }
        const uint32_t *u = rng->draws + rng->next;
        for (int64_t i = 0; i < m; i++)
            dst[i] = (double)(int32_t)(u[2 * i] & 0x1fffff) * 0x1p-21 +
                     ((double)(int32_t)(u[2 * i + 1] ^ 0x80000000u) + 0x1p31) * 0x1p-53;
        rng->next += 2 * (uint32_t)m;
    }
}

/* What numbers become in a dtype of 16 bits. */
static void round_to(int64_t n, float *x, int dtype) {
    int16_t rounded[AD_RANDOM_CHUNK];
    ad_cpu->pw->store[AD_f32][dtype](n, (char *)rounded, 1, x);
    ad_cpu->pw->load[dtype][AD_f32](n, x, (const char *)rounded, 1);
}

/* The upper bound is left out: what rounding makes that becomes the lower one, as in PyTorch. */
#define LEAVE_OUT(x, top, low)                                                                               \
    for (int64_t i = 0; i < n; i++) x[i] = x[i] == top ? low : x[i]

static void uniform_f32(ad_rng *rng, int64_t n, void *dst, const ad_random_params *p) {
    const float low = (float)p->shift, top = (float)p->top;
    const float largest = 0x1.fffffep-1f, scale = (float)p->scale;
    float *x = dst;
    ad_units_f32(rng, n, x);
    ad_affine_f32(n, x, scale, low);
    if (p->dtype != AD_float32)
        round_to(n, x, p->dtype);
    else if (fmaf(largest, scale, low) < top && largest * scale + low < top)
        return; /* as none is that large */
    LEAVE_OUT(x, top, low);
}

static void uniform_f64(ad_rng *rng, int64_t n, void *dst, const ad_random_params *p) {
    const double low = p->shift, top = p->top;
    double *x = dst;
    ad_units_f64(rng, n, x);
    ad_affine_f64(n, x, p->scale, low);
    LEAVE_OUT(x, top, low);
}

static ad_random_params uniform_between(double low, double high, int dtype) {
    if (dtype == AD_float64)
        return (ad_random_params){.shift = low, .scale = high - low, .top = high, .dtype = dtype};
    float top = (float)high;
    if (ad_is_half(dtype)) round_to(1, &top, dtype);
    return (ad_random_params){.shift = low, .scale = (float)high - (float)low, .top = top, .dtype = dtype};
}

int ad_check_float_out(const ad_tensor *out) {
    if (!ad_is_floating(out->dtype)) return ad_fail(AD_BAD_DTYPE, out->dtype, 0, 0);
    return ad_check_writable(out);
}

/* The first `count` of n elements to where a mask is true, in their order, from the last on; 1 elsewhere. The
 * mask may have changed since it was counted. */
static void spread(double *x, int64_t count, const uint8_t *mask, int64_t n) {
    for (int64_t i = n; i-- > 0;) x[i] = mask[i] && count > 0 ? x[--count] : 1;
}

static int run_uniform(const ad_call *c) {
    const ad_drawing *d = c->numbers;
    ad_tensor *out = ad_out(c, 0);
    const double low = d->a, high = d->b;
    int status = ad_check_float_out(out);
    if (status) return status;
    static const double largest[AD_N_DTYPES] = {
        [AD_float16] = 65504, [AD_bfloat16] = 0x1.fep127, [AD_float32] = FLT_MAX, [AD_float64] = DBL_MAX};
    const bool single = out->dtype != AD_float64;
    const double limit = largest[out->dtype];
    if (!(low >= -limit && low <= high && high <= limit && high - low <= limit))
        return ad_fail(AD_BAD_ARG, 0, 0, 0);
    const ad_random_params p = uniform_between(low, high, out->dtype);
    ad_tensor part = *out;
    const uint8_t *mask = c->n_in ? (const uint8_t *)ad_in(c, 0)->data : NULL;
    if (mask) {
        part.ndim = 1;
        part.strides[0] = 1;
        part.shape[0] = part.numel = 0;
        for (int64_t i = 0; i < out->numel; i++) part.numel = part.shape[0] += mask[i] != 0;
    }
    ad_rng_lock(d->rng);
    fill_runs(d->rng, &part, single ? uniform_f32 : uniform_f64, &p, ad_dtype_type[part.dtype]);
    if (mask) spread((double *)out->data, part.numel, mask, out->numel);
    ad_wrote(out, AD_BY_RANDOM);
    return ad_rng_unlock(d->rng, AD_OK);
}

int ad_rng_uniform(ad_rng *rng, ad_tensor *out, double low, double high) {
    return ad_draw(run_uniform, "uniform_", &(ad_drawing){.rng = rng, .a = low, .b = high}, out, NULL);
}

int ad_rng_uniform_where(ad_rng *rng, ad_tensor *out, double low, double high, const ad_tensor *mask) {
    if (mask->dtype != AD_bool || out->dtype != AD_float64)
        return ad_fail(AD_BAD_DTYPE, mask->dtype != AD_bool ? mask->dtype : out->dtype, 0, 0);
    if (!mask->contiguous || !out->contiguous || mask->numel != out->numel)
        return ad_fail(AD_BAD_SHAPE, out->numel, mask->numel, 0);
    return ad_draw(run_uniform, "uniform_", &(ad_drawing){.rng = rng, .a = low, .b = high}, out, mask);
}

/* ---- integers ---- */

static uint64_t draw_below(ad_rng *rng, const ad_random_params *p) {
    if (!p->wide) return ad_draw32(rng) % (uint32_t)p->range;
    uint64_t draw = ad_draw64(rng);
    return p->range ? draw % p->range : draw;
}

static void integers(ad_rng *rng, int64_t n, void *dst, const ad_random_params *p) {
    for (int64_t i = 0; i < n; i++) ((int64_t *)dst)[i] = (int64_t)(draw_below(rng, p) + (uint64_t)p->low);
}

/* Beyond the integers a float dtype holds exactly (`digits` bits), a bound may round past the value it
 * excludes; PyTorch then moves it inwards by one step of the float. */
static int64_t float_step(int64_t x, int digits) {
    int bits = 63 - __builtin_clzll((uint64_t)llabs(x) | 1);
    return bits >= digits - 1 ? 1ll << (bits - digits + 1) : 0;
}

static int64_t as_float(int64_t x, int digits) {
    const int64_t step = float_step(x, digits);
    if (digits >= 24 || !step) return digits == 24 ? (int64_t)(float)x : (int64_t)(double)x;
    return (int64_t)nearbyint((double)x / (double)step) * step;
}

static void inner_bounds(int64_t *low, int64_t *last, int digits) {
    int64_t above = as_float(*low + 1, digits), below = as_float(*last, digits);
    if (above < *low) *low = above + float_step(*low + 1, digits);
    if (below > *last) *last = below - float_step(*last, digits) - 1;
}

/* The bounds of what randint may make of each dtype; of floats, what converts back to int64. */
static bool in_dtype(int dtype, int64_t low, int64_t last) {
    switch (dtype) {
    case AD_bool: return low >= 0 && last <= 1;
    case AD_uint8: return low >= 0 && last <= UINT8_MAX;
    case AD_int8: return low >= INT8_MIN && last <= INT8_MAX;
    case AD_int16: return low >= INT16_MIN && last <= INT16_MAX;
    case AD_int32: return low >= INT32_MIN && last <= INT32_MAX;
    case AD_int64: return true;
    default: return low > -(1ll << 62) && last < (1ll << 62) - 1;
    }
}

static int fill_integers(const ad_call *c, const ad_random_params *p) {
    ad_rng *rng = ad_rng_of(c);
    ad_tensor *out = ad_out(c, 0);
    ad_rng_lock(rng);
    fill_runs(rng, out, integers, p, AD_i64);
    ad_wrote(out, AD_BY_RANDOM);
    return ad_rng_unlock(rng, AD_OK);
}

/* From 2^28 on, the remainder of a 32-bit draw would be visibly uneven: such ranges take 64 bits. */
static int run_randint(const ad_call *c) {
    const ad_drawing *d = c->numbers;
    ad_tensor *out = ad_out(c, 0);
    int64_t low = d->i, last = d->j;
    int status = ad_check_writable(out);
    if (status) return status;
    if (low > last) return ad_fail(AD_BAD_ARG, low, last, 0);
    if (!in_dtype(out->dtype, low, last)) return ad_fail(AD_BAD_CAST, low, last, out->dtype);
    static const uint8_t digits[AD_N_DTYPES] = {
        [AD_float16] = 11, [AD_bfloat16] = 8, [AD_float32] = 24, [AD_float64] = 53};
    if (digits[out->dtype]) inner_bounds(&low, &last, digits[out->dtype]);
    if (low > last) return ad_fail(AD_BAD_ARG, low, last, 0);
    ad_random_params p = {.range = (uint64_t)last - (uint64_t)low + 1, .low = low};
    p.wide = p.range >= 1ull << 28 || p.range == 0;
    if (p.range == 0) p.low = 0; /* any 64 bits are an answer: PyTorch takes them as they are */
    return fill_integers(c, &p);
}

int ad_rng_randint(ad_rng *rng, ad_tensor *out, int64_t low, int64_t last) {
    return ad_draw(run_randint, "randint", &(ad_drawing){.rng = rng, .i = low, .j = last}, out, NULL);
}

static int run_random(const ad_call *c) {
    static const uint64_t ranges[AD_N_DTYPES] = {
        [AD_bool] = 2,
        [AD_uint8] = 1ull << 8,
        [AD_int8] = 1ull << 7,
        [AD_int16] = 1ull << 15,
        [AD_int32] = 1ull << 31,
        [AD_int64] = 1ull << 63,
        [AD_float16] = (1ull << 11) + 1,
        [AD_bfloat16] = (1ull << 8) + 1,
        [AD_float32] = (1ull << 24) + 1,
        [AD_float64] = (1ull << 53) + 1,
    };
    int status = ad_check_writable(ad_out(c, 0));
    if (status) return status;
    ad_random_params p = {.range = ranges[ad_out(c, 0)->dtype]};
    p.wide = p.range > 1ull << 32;
    return fill_integers(c, &p);
}

int ad_rng_random(ad_rng *rng, ad_tensor *out) {
    return ad_draw(run_random, "random_", &(ad_drawing){.rng = rng}, out, NULL);
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
    case AD_int8: return INT8_MAX + 1;
    case AD_int16: return INT16_MAX + 1;
    case AD_int32: return (int64_t)INT32_MAX + 1;
    case AD_float16: return (1ll << 11) + 1;
    case AD_float32: return (1ll << 24) + 1;
    case AD_float64: return (1ll << 53) + 1;
    default: return INT64_MAX;
    }
}

static int run_randperm(const ad_call *c) {
    ad_rng *rng = ad_rng_of(c);
    ad_tensor *out = ad_out(c, 0);
    int status = ad_check_writable(out);
    if (status) return status;
    if (out->dtype == AD_bool) return ad_fail(AD_BAD_DTYPE, out->dtype, 0, 0);
    if (out->ndim != 1) return ad_fail(AD_BAD_SHAPE, out->ndim, 1, 0);
    if (out->numel > largest_permutation(out->dtype)) return ad_fail(AD_BAD_CAST, out->numel, 0, out->dtype);
    ad_tensor *whole = ad_is_half(out->dtype) ? ad_contiguous(out, AD_int64) : out;
    if (!whole) return AD_NO_MEMORY;
    ad_rng_lock(rng);
    randperm_table[whole->dtype](rng, whole->numel, whole->data, whole->strides[0]);
    if (whole != out) {
        ad_copy_into(out, whole);
        ad_free(whole);
    }
    ad_wrote(out, AD_BY_RANDOM);
    return ad_rng_unlock(rng, AD_OK);
}

int ad_rng_randperm(ad_rng *rng, ad_tensor *out) {
    return ad_draw(run_randperm, "randperm", &(ad_drawing){.rng = rng}, out, NULL);
}
