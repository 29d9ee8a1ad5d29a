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

/* ---- loads and stores: a strided run of one dtype to a register and back; the two never overlap ---- */
#define LOAD(function, from_ctype, to_ctype, CONVERT)                                                        \
    static void function(int64_t n, void *dst, const char *src, int64_t stride) {                            \
        to_ctype *restrict d = dst;                                                                          \
        const from_ctype *restrict s = (const from_ctype *)(const void *)src;                                \
        if (stride == 1)                                                                                     \
            for (int64_t i = 0; i < n; i++) d[i] = CONVERT(s[i]);                                            \
        else if (stride == 0 && n > 0) {                                                                     \
            to_ctype same = CONVERT(s[0]);                                                                   \
            for (int64_t i = 0; i < n; i++) d[i] = same;                                                     \
        } else                                                                                               \
            for (int64_t i = 0; i < n; i++) d[i] = CONVERT(s[i * stride]);                                   \
    }
#define AD_DTYPE(name, ctype, type)                                                                          \
    LOAD(load_##name##_f32, ctype, float, TO_##type##_f32)                                                   \
    LOAD(load_##name##_f64, ctype, double, TO_##type##_f64)                                                  \
    LOAD(load_##name##_i64, ctype, int64_t, TO_##type##_i64)
#include "../dtypes.def"
#undef AD_DTYPE

/* Integers go to a narrower type by wrapping; floats become int32 as they become int64, uint8 through it. */
#define REAL_TO_int32(a) ((a) > -0x1p31f && (a) < 0x1p31f ? (int32_t)(a) : INT32_MIN)
#define TO_f32_int32(a) REAL_TO_int32(a)
#define TO_f64_int32(a) REAL_TO_int32(a)
#define TO_i64_int32(a) ((int32_t)(a))
#define STORE_bool(from, a) ((a) != 0)
#define STORE_uint8(from, a) ((uint8_t)TO_##from##_i64(a))
#define STORE_int32(from, a) TO_##from##_int32(a)
#define STORE_int64(from, a) TO_##from##_i64(a)
#define STORE_float32(from, a) TO_##from##_f32(a)
#define STORE_float64(from, a) TO_##from##_f64(a)

#define STORE(function, from, from_ctype, to_ctype, CONVERT)                                                 \
    static void function(int64_t n, char *dst, int64_t stride, const void *src) {                            \
        to_ctype *restrict d = (to_ctype *)(void *)dst;                                                      \
        const from_ctype *restrict s = src;                                                                  \
        if (stride == 1)                                                                                     \
            for (int64_t i = 0; i < n; i++) d[i] = CONVERT(from, s[i]);                                      \
        else                                                                                                 \
            for (int64_t i = 0; i < n; i++) d[i * stride] = CONVERT(from, s[i]);                             \
    }
#define AD_DTYPE(name, ctype, type)                                                                          \
    STORE(store_f32_##name, f32, float, ctype, STORE_##name)                                                 \
    STORE(store_f64_##name, f64, double, ctype, STORE_##name)                                                \
    STORE(store_i64_##name, i64, int64_t, ctype, STORE_##name)
#include "../dtypes.def"
#undef AD_DTYPE

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
CAST_UP(f32, f64)
CAST_UP(f32, i64)
CAST_DOWN(f64, f32)
CAST_DOWN(f64, i64)
CAST_DOWN(i64, f32)
CAST_DOWN(i64, f64)
