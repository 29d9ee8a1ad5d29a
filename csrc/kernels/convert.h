/* kernels/convert.h: conversions between register types and element types; included by pointwise.h. */

/* ---- one element ---- */
/* Truncation; nan and what does not fit give the smallest integer. */
AD_SIMD int64_t f64_to_integer(double a) { return a >= -0x1p63 && a < 0x1p63 ? (int64_t)a : INT64_MIN; }
#define TO_f32_f32(a) (a)
#define TO_f32_f64(a) ((double)(a))
#define TO_f32_i64(a) f64_to_integer(a)
#define TO_f64_f32(a) ((float)(a))
#define TO_f64_f64(a) (a)
#define TO_f64_i64(a) f64_to_integer(a)
#define TO_i64_f32(a) ((float)(a))
#define TO_i64_f64(a) ((double)(a))
#define TO_i64_i64(a) (a)

/* ---- floats of 16 bits: to the nearest, of two the even one ----
 * In integers, as conversions of whole vectors (below), where a CPU has them, compute too. A nan keeps the
 * upper bits of its payload and becomes quiet. */
AD_SIMD uint32_t bits_of(float a) {
    uint32_t bits;
    memcpy(&bits, &a, sizeof bits);
    return bits;
}
AD_SIMD float of_bits(uint32_t bits) {
    float a;
    memcpy(&a, &bits, sizeof a);
    return a;
}
AD_SIMD float f16_to_f32(ad_f16 a) {
    const uint32_t size = a & 0x7fff, wide = size << 13;
    const uint32_t tiny = bits_of((float)(int32_t)size * 0x1p-24f); /* exact: an integer of 10 bits */
    uint32_t bits = wide + (112u << 23);
    bits = size < 0x400 ? tiny : bits;
    bits = size >= 0x7c00 ? wide | 0x7f800000 | (size > 0x7c00) << 22 : bits;
    return of_bits(bits | (uint32_t)(a & 0x8000) << 16);
}
AD_SIMD ad_f16 f32_to_f16(float a) {
    const uint32_t bits = bits_of(a), size = bits & 0x7fffffff;
    const uint32_t tiny = bits_of(of_bits(size) + 0.5f) - bits_of(0.5f); /* an addition rounds there */
    uint32_t half = (size + 0xfff + (size >> 13 & 1) - (112u << 23)) >> 13;
    half = size < 113u << 23 ? tiny : half;
    half = size >= 143u << 23 ? 0x7c00 : half;
    half = size > 0x7f800000 ? 0x7e00 | (size >> 13 & 0x3ff) : half;
    return (ad_f16)(half | (bits >> 16 & 0x8000));
}
AD_SIMD float bf16_to_f32(ad_bf16 a) { return of_bits((uint32_t)(uint16_t)a << 16); }
AD_SIMD ad_bf16 f32_to_bf16(float a) {
    const uint32_t bits = bits_of(a);
    const uint32_t half = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return (ad_bf16)((bits & 0x7fffffff) > 0x7f800000 ? bits >> 16 | 0x40 : half);
}

/* An element as a number of its register type. */
#define READ_bool(a) (a)
#define READ_uint8(a) (a)
#define READ_int8(a) (a)
#define READ_int16(a) (a)
#define READ_int32(a) (a)
#define READ_int64(a) (a)
#define READ_float16(a) f16_to_f32(a)
#define READ_bfloat16(a) bf16_to_f32(a)
#define READ_float32(a) (a)
#define READ_float64(a) (a)

/* ---- between floats and 64-bit integers, a contiguous run ----
 * Few CPUs convert these in vectors, but most numbers are small: a batch that is goes another way, which
 * rounds as the plain one does. Truncation to an int32 is a vector's; an integer below 2^51 is in the low
 * bits of its sum with 1.5 2^52, from which a subtraction takes it exactly. */
#define BATCH 32
#define TO_INTEGERS(from, from_ctype, magnitude)                                                             \
    static void run_##from##_i64(int64_t n, void *restrict dst, const void *restrict src) {                  \
        int64_t *d = dst, i = 0;                                                                             \
        const from_ctype *s = src;                                                                           \
        for (; i <= n - BATCH; i += BATCH) {                                                                 \
            int large = 0;                                                                                   \
            for (int k = 0; k < BATCH; k++) large |= !(magnitude(s[i + k]) < 0x1p31f);                       \
            if (large)                                                                                       \
                for (int k = 0; k < BATCH; k++) d[i + k] = f64_to_integer(s[i + k]);                         \
            else                                                                                             \
                for (int k = 0; k < BATCH; k++) d[i + k] = (int32_t)s[i + k];                                \
        }                                                                                                    \
        for (; i < n; i++) d[i] = f64_to_integer(s[i]);                                                      \
    }
TO_INTEGERS(f32, float, fabsf)
TO_INTEGERS(f64, double, fabs)

AD_SIMD double small_to_f64(int64_t a) {
    const double magic = 0x1.8p52;
    int64_t bits;
    double sum;
    memcpy(&bits, &magic, sizeof bits);
    bits += a;
    memcpy(&sum, &bits, sizeof sum);
    return sum - magic;
}
AD_SIMD uint64_t beyond_52_bits(int64_t a) { return ((uint64_t)a + (UINT64_C(1) << 51)) >> 52; }
#define FROM_INTEGERS(to, to_ctype)                                                                          \
    static void run_i64_##to(int64_t n, void *restrict dst, const void *restrict src) {                      \
        to_ctype *d = dst;                                                                                   \
        const int64_t *s = src;                                                                              \
        int64_t i = 0;                                                                                       \
        for (; i <= n - BATCH; i += BATCH) {                                                                 \
            uint64_t large = 0;                                                                              \
            AD_UNROLL for (int k = 0; k < BATCH; k++) large |= beyond_52_bits(s[i + k]);                     \
            if (large)                                                                                       \
                for (int k = 0; k < BATCH; k++) d[i + k] = (to_ctype)s[i + k];                               \
            else                                                                                             \
                AD_UNROLL for (int k = 0; k < BATCH; k++) d[i + k] = (to_ctype)small_to_f64(s[i + k]);       \
        }                                                                                                    \
        for (; i < n; i++) d[i] = (to_ctype)s[i];                                                            \
    }
FROM_INTEGERS(f32, float)
FROM_INTEGERS(f64, double)

#ifdef VF_F16
#define BY_VECTORS(step)                                                                                     \
    if (VF_F16)                                                                                              \
        for (; i <= n - VF_W; i += VF_W) step
#else
#define BY_VECTORS(step)
#endif
static void run_f16_f32(int64_t n, void *restrict dst, const void *restrict src) {
    float *d = dst;
    const ad_f16 *s = src;
    int64_t i = 0;
    BY_VECTORS(vf_store(d + i, vf_load_f16(s + i));)
    for (; i < n; i++) d[i] = f16_to_f32(s[i]);
}
static void run_f32_f16(int64_t n, void *restrict dst, const void *restrict src) {
    ad_f16 *d = dst;
    const float *s = src;
    int64_t i = 0;
    BY_VECTORS(vf_store_f16(d + i, vf_load(s + i));)
    for (; i < n; i++) d[i] = f32_to_f16(s[i]);
}

/* The one of these for a pair of pointers, or none. */
typedef void run_fn(int64_t n, void *restrict dst, const void *restrict src);
#define NO_RUN ((run_fn *)NULL)
#define RUN(d, s)                                                                                            \
    _Generic((s),                                                                                            \
        const float *: _Generic((d), int64_t *: run_f32_i64, ad_f16 *: run_f32_f16, default: NO_RUN),        \
        const ad_f16 *: _Generic((d), float *: run_f16_f32, default: NO_RUN),                                \
        const double *: _Generic((d), int64_t *: run_f64_i64, default: NO_RUN),                              \
        const int64_t *: _Generic((d), float *: run_i64_f32, double *: run_i64_f64, default: NO_RUN),        \
        default: NO_RUN)

/* Elements apart from each other go one by one, as the empty statement tells the compiler: vectors of them
 * are more code and no faster. Several at a time where nothing is converted, as in what is turned. */
#define APART(d, s, step)                                                                                    \
    if (_Generic((s), const __typeof__(*(d)) *: true, default: false))                                       \
        AD_UNROLL_4 for (int64_t i = 0; i < n; i++) ONE(step);                                               \
    else                                                                                                     \
        for (int64_t i = 0; i < n; i++) ONE(step);
#define ONE(step)                                                                                            \
    ({                                                                                                       \
        step;                                                                                                \
        __asm__ volatile("");                                                                                \
    })

/* ---- loads and stores: a strided run of one dtype to a register and back; the two never overlap ---- */
#define FILL(to, to_ctype)                                                                                   \
    static __attribute__((noinline)) void fill_##to(int64_t n, to_ctype *d, to_ctype same) {                 \
        for (int64_t i = 0; i < n; i++) d[i] = same;                                                         \
    }
FILL(f32, float)
FILL(f64, double)
FILL(i64, int64_t)

/* Floats of 16 bits meet other than float32 by way of it, part by part. */
enum { HALF_PART = 256 };
static ad_load_fn load_float16_f32, load_bfloat16_f32, load_float32_f32, load_float32_f64, load_float32_i64;
static ad_store_fn store_f32_float16, store_f32_bfloat16, store_f32_float32, store_f64_float32,
    store_i64_float32;
static __attribute__((noinline)) void load_half(ad_load_fn *widen, ad_load_fn *convert, int64_t n, char *dst,
                                                const char *src) {
    float part[HALF_PART];
    for (int64_t i = 0, m; i < n; i += m) {
        m = ad_least(n - i, HALF_PART);
        widen(m, part, src + i * 2, 1);
        convert(m, dst + i * 8, (const char *)part, 1);
    }
}
static __attribute__((noinline)) void store_half(ad_store_fn *convert, ad_store_fn *narrow, int64_t n,
                                                 char *dst, const char *src) {
    float part[HALF_PART];
    for (int64_t i = 0, m; i < n; i += m) {
        m = ad_least(n - i, HALF_PART);
        convert(m, (char *)part, 1, src + i * 8);
        narrow(m, dst + i * 2, 1, part);
    }
}

#define LOAD(function, dtype, from_ctype, to, to_ctype, READ, CONVERT)                                       \
    static void function(int64_t n, void *dst, const char *src, int64_t stride) {                            \
        to_ctype *restrict d = dst;                                                                          \
        const from_ctype *restrict s = (const from_ctype *)(const void *)src;                                \
        run_fn *const run = RUN(d, s);                                                                       \
        if (stride == 1 && ad_is_half(dtype) && sizeof *d == 8)                                              \
            load_half(dtype == AD_float16 ? load_float16_f32 : load_bfloat16_f32, load_float32_##to, n, dst, \
                      src);                                                                                  \
        else if (stride == 1 && run)                                                                         \
            run(n, d, s);                                                                                    \
        else if (stride == 1)                                                                                \
            for (int64_t i = 0; i < n; i++) d[i] = CONVERT(READ(s[i]));                                      \
        else if (stride == 0 && n > 0)                                                                       \
            fill_##to(n, d, CONVERT(READ(s[0])));                                                            \
        else if (stride == 2 && _Generic((s), const __typeof__(*(d)) *: true, default: false))               \
            for (int64_t i = 0; i < n; i++) d[i] = CONVERT(READ(s[2 * i])); /* which vectors shuffle */      \
        else                                                                                                 \
            APART(d, s, d[i] = CONVERT(READ(s[i * stride])))                                                 \
    }
#define AD_DTYPE(name, ctype, type)                                                                          \
    LOAD(load_##name##_f32, AD_##name, ctype, f32, float, READ_##name, TO_##type##_f32)                      \
    LOAD(load_##name##_f64, AD_##name, ctype, f64, double, READ_##name, TO_##type##_f64)                     \
    LOAD(load_##name##_i64, AD_##name, ctype, i64, int64_t, READ_##name, TO_##type##_i64)
#include "../dtypes.def"
#undef AD_DTYPE

/* Integers go to a narrower type by wrapping; floats become int32 as they become int64, the
 * narrower through it. */
#define REAL_TO_int32(a) ((a) > -0x1p31f && (a) < 0x1p31f ? (int32_t)(a) : INT32_MIN)
#define TO_f32_int32(a) REAL_TO_int32(a)
#define TO_f64_int32(a) REAL_TO_int32(a)
#define TO_i64_int32(a) ((int32_t)(a))
#define STORE_bool(from, a) ((a) != 0)
#define STORE_uint8(from, a) ((uint8_t)TO_##from##_i64(a))
#define STORE_int8(from, a) ((int8_t)TO_##from##_i64(a))
#define STORE_int16(from, a) ((int16_t)TO_##from##_i64(a))
#define STORE_int32(from, a) TO_##from##_int32(a)
#define STORE_int64(from, a) TO_##from##_i64(a)
#define STORE_float16(from, a) f32_to_f16(TO_##from##_f32(a))
#define STORE_bfloat16(from, a) f32_to_bf16(TO_##from##_f32(a))
#define STORE_float32(from, a) TO_##from##_f32(a)
#define STORE_float64(from, a) TO_##from##_f64(a)

#define STORE(function, from, from_ctype, dtype, to_ctype, CONVERT)                                          \
    static void function(int64_t n, char *dst, int64_t stride, const void *src) {                            \
        to_ctype *restrict d = (to_ctype *)(void *)dst;                                                      \
        const from_ctype *restrict s = src;                                                                  \
        run_fn *const run = RUN(d, s);                                                                       \
        if (stride == 1 && ad_is_half(dtype) && sizeof *s == 8)                                              \
            store_half(store_##from##_float32, dtype == AD_float16 ? store_f32_float16 : store_f32_bfloat16, \
                       n, dst, src);                                                                         \
        else if (stride == 1 && run)                                                                         \
            run(n, d, s);                                                                                    \
        else if (stride == 1)                                                                                \
            for (int64_t i = 0; i < n; i++) d[i] = CONVERT(from, s[i]);                                      \
        else                                                                                                 \
            APART(d, s, d[i * stride] = CONVERT(from, s[i]))                                                 \
    }
#define AD_DTYPE(name, ctype, type)                                                                          \
    STORE(store_f32_##name, f32, float, AD_##name, ctype, STORE_##name)                                      \
    STORE(store_f64_##name, f64, double, AD_##name, ctype, STORE_##name)                                     \
    STORE(store_i64_##name, i64, int64_t, AD_##name, ctype, STORE_##name)
#include "../dtypes.def"
#undef AD_DTYPE

/* ---- integers of few bits to others, without a register between: contiguous runs ---- */
#define CONVERT(from, to, result_of)                                                                         \
    static void from##_to_##to(int64_t n, char *dst, int64_t stride, const void *src) {                      \
        to##_t *restrict d = (to##_t *)(void *)dst;                                                          \
        const from##_t *restrict s = src;                                                                    \
        (void)stride;                                                                                        \
        for (int64_t i = 0; i < n; i++) d[i] = (to##_t)(result_of);                                          \
    }
typedef uint8_t truth_t;
CONVERT(uint8, int16, s[i])
CONVERT(int8, int16, s[i])
CONVERT(uint8, int32, s[i])
CONVERT(int8, int32, s[i])
CONVERT(int16, int8, s[i])
CONVERT(int16, int32, s[i])
CONVERT(int32, int8, s[i])
CONVERT(int32, int16, s[i])
CONVERT(int8, truth, s[i] != 0)
CONVERT(int16, truth, s[i] != 0)
CONVERT(int32, truth, s[i] != 0)
static void same_bytes(int64_t n, char *dst, int64_t stride, const void *src) {
    (void)stride;
    memcpy(dst, src, (size_t)n);
}

static ad_store_fn *convert(int from, int to) {
    if (from > AD_int32 || to > AD_int32 || from == to) return NULL;
    switch (to) {
    case AD_bool:
        return from == AD_int32 ? int32_to_truth : from == AD_int16 ? int16_to_truth : int8_to_truth;
    case AD_int16:
        return from == AD_int32 ? int32_to_int16 : from == AD_int8 ? int8_to_int16 : uint8_to_int16;
    case AD_int32:
        return from == AD_int16 ? int16_to_int32 : from == AD_int8 ? int8_to_int32 : uint8_to_int32;
    default: return from == AD_int32 ? int32_to_int8 : from == AD_int16 ? int16_to_int8 : same_bytes;
    }
}

/* ---- casts of a whole register ----
 * dst may be a here too: a wider result is written from the end, so that no operand is lost, and the types
 * below tell the compiler that the two may meet. */
typedef float __attribute__((may_alias)) any_f32;
typedef double __attribute__((may_alias)) any_f64;
typedef int64_t __attribute__((may_alias)) any_i64;

#define CAST_UP(from, to)                                                                                    \
    static void pw_##from##_to_##to(int64_t n, void *dst, const void *a, const void *b, const void *c) {     \
        any_##to *d = dst;                                                                                   \
        const any_##from *x = a;                                                                             \
        (void)b, (void)c;                                                                                    \
        for (int64_t i = n - 1; i >= 0; i--) d[i] = TO_##from##_##to(x[i]);                                  \
    }
#define CAST_DOWN(from, to)                                                                                  \
    static void pw_##from##_to_##to(int64_t n, void *dst, const void *a, const void *b, const void *c) {     \
        any_##to *d = dst;                                                                                   \
        const any_##from *x = a;                                                                             \
        (void)b, (void)c;                                                                                    \
        for (int64_t i = 0; i < n; i++) d[i] = TO_##from##_##to(x[i]);                                       \
    }
/* What a narrower element type would hold. */
static void pw_f32_round_f16(int64_t n, void *dst, const void *a, const void *b, const void *c) {
    ad_f16 part[256];
    (void)b, (void)c;
    for (int64_t i = 0; i < n; i += 256) {
        const int64_t m = ad_least(n - i, 256);
        run_f32_f16(m, part, (const any_f32 *)a + i);
        run_f16_f32(m, (any_f32 *)dst + i, part);
    }
}
static void pw_f32_round_bf16(int64_t n, void *dst, const void *a, const void *b, const void *c) {
    any_f32 *d = dst;
    const any_f32 *x = a;
    (void)b, (void)c;
    AD_INDEPENDENT for (int64_t i = 0; i < n; i++) d[i] = bf16_to_f32(f32_to_bf16(x[i]));
}
CAST_UP(f32, f64)
CAST_UP(f32, i64)
CAST_DOWN(f64, f32)
CAST_DOWN(f64, i64)
CAST_DOWN(i64, f32)
CAST_DOWN(i64, f64)
