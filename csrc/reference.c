/* reference.c: what every row of instructions.def means, in plain C and libm, one element at a time; and the
 * entry points that run one instruction, by the reference or by the kernel in use. */
#include <tgmath.h>
#include "internal.h"

#ifndef __clang__ /* small rather than fast */
#pragma GCC optimize("Os")
#endif

/* A row: its arity, its name and its value in terms of a, b and c. */
#define REFERENCE(type, T, arity, name, result)                                                              \
    static void type##_##name(int64_t n, void *dst, const void *pa, const void *pb, const void *pc) {        \
        for (int64_t i = 0; i < n; i++) {                                                                    \
            T a = ((const T *)pa)[i];                                                                        \
            T b = arity > 1 ? ((const T *)pb)[i] : 0;                                                        \
            T c = arity > 2 ? ((const T *)pc)[i] : 0;                                                        \
            (void)b, (void)c;                                                                                \
            ((T *)dst)[i] = (T)(result);                                                                     \
        }                                                                                                    \
    }
#define REAL(arity, name, result)                                                                            \
    REFERENCE(f32, float, arity, name, result) REFERENCE(f64, double, arity, name, result)
#define INT(arity, name, result) REFERENCE(i64, int64_t, arity, name, result)
#define BOTH(arity, name, result) REAL(arity, name, result) INT(arity, name, result)

/* ---- arithmetic ---- */
BOTH(1, copy, a)
REAL(2, add, a + b)
REAL(2, sub, a - b)
REAL(2, mul, a *b)
REAL(2, div, a / b)
REAL(3, fma, fma(a, b, c))
REAL(1, neg, -a)
REAL(1, abs, fabs(a))
REAL(1, sign, a > 0 ? 1 : a < 0 ? -1 : 0)
REAL(1, present, a == a ? a : 0)
REAL(1, reciprocal, 1 / a)
REAL(1, sqrt, sqrt(a))
REAL(1, rsqrt, 1 / sqrt(a))
REAL(2, truncdiv, trunc(a / b))
REAL(2, fmod, fmod(a, b))
REAL(2, pow, pow(a, b))
REFERENCE(f32, float, 3, add_add, a + b + c)
REFERENCE(f32, float, 3, add_mul, (a + b) * c)
REFERENCE(f32, float, 3, sub_mul, (a - b) * c)
REFERENCE(f32, float, 3, mul_add, a *b + c)
REFERENCE(f32, float, 3, mul_sub, a *b - c)
REFERENCE(f32, float, 3, mul_from, c - a * b)
REFERENCE(f32, float, 3, mul_mul, a *b *c)
REFERENCE(f32, float, 2, neg_mul, -a *b)
REFERENCE(f32, float, 3, div_add, a / b + c)
static double least(double a, double b) { return a != a ? a : b != b ? b : a < b ? a : b; }
static double most(double a, double b) { return a != a ? a : b != b ? b : a > b ? a : b; }
REAL(2, minimum, least(a, b))
REAL(2, maximum, most(a, b))
REAL(3, limited, least(most(a, b), c))

/* i64 in 128 bits, where nothing overflows, then cut to 64 */
typedef __int128 wide;
INT(2, add, (wide)a + b)
INT(2, sub, (wide)a - b)
INT(2, mul, (wide)a *b)
INT(3, fma, (unsigned __int128)((wide)a *b) + c)
INT(1, neg, -(wide)a)
INT(1, abs, a < 0 ? -(wide)a : a)
INT(1, sign, a > 0 ? 1 : a < 0 ? -1 : 0)
INT(2, minimum, a < b ? a : b)
INT(2, maximum, a > b ? a : b)

/* Tells the machine of a division by zero, and divides by one instead. */
static wide divisor(int64_t b) {
    if (b == 0) ad_zero_div = 1;
    return b ? b : 1;
}
static wide floor_mod(wide a, wide b) { return (a % b + b) % b; }

INT(2, truncdiv, (wide)a / divisor(b) * (b != 0))
INT(2, fmod, (wide)a % divisor(b))
INT(2, floordiv, ((wide)a - floor_mod(a, divisor(b))) / divisor(b) * (b != 0))
INT(2, remainder, floor_mod(a, divisor(b)))

/* Python's %, and the // that goes with it */
static double real_mod(double a, double b) {
    double r = fmod(a, b);
    return r != 0 && (b < 0) != (r < 0) ? r + b : r;
}
REFERENCE(f64, double, 2, remainder, real_mod(a, b))
REFERENCE(f32, float, 2, remainder, real_mod(a, b))

/* PyTorch's rule: the quotient that fits fmod, rounded to the nearest integer. */
#define FLOOR_DIVIDE(T, name)                                                                                \
    static T name(T a, T b) {                                                                                \
        if (b == 0) return a / b;                                                                            \
        T r = fmod(a, b), q = (a - r) / b;                                                                   \
        if (r != 0 && (b < 0) != (r < 0)) q -= 1;                                                            \
        if (q == 0) return copysign((T)0, a / b);                                                            \
        return q - floor(q) > (T)0.5 ? floor(q) + 1 : floor(q);                                              \
    }
FLOOR_DIVIDE(float, floor_divide_f32)
FLOOR_DIVIDE(double, floor_divide_f64)
REFERENCE(f32, float, 2, floordiv, floor_divide_f32(a, b))
REFERENCE(f64, double, 2, floordiv, floor_divide_f64(a, b))

static int64_t power(int64_t a, int64_t b) {
    if (b < 0) return a == 1 ? 1 : a == -1 ? (b % 2 ? -1 : 1) : 0;
    if (b == 0) return 1;
    uint64_t root = (uint64_t)power(a, b / 2);
    return (int64_t)(root * root * (b % 2 ? (uint64_t)a : 1));
}
INT(2, pow, power(a, b))

REAL(2, copysign, copysign(a, b == b ? b : 0))
REAL(2, nextafter, sizeof a == 4 ? nextafterf((float)a, (float)b) : nextafter(a, b))

static wide euclid(wide a, wide b) { return b ? euclid(b, a % b) : a < 0 ? -a : a; }
INT(2, gcd, euclid(a, b))

/* ---- rounding ---- */
REAL(1, floor, floor(a))
REAL(1, ceil, ceil(a))
REAL(1, trunc, trunc(a))
REAL(1, round, nearbyint(a))

/* ---- comparisons and logic ---- */
BOTH(2, lt, a < b)
BOTH(2, le, a <= b)
BOTH(2, eq, a == b)
BOTH(2, ne, a != b)
BOTH(3, where, a != 0 ? b : c)
REAL(3, keep_lt, a < b ? c : 0)
REAL(3, keep_le, a <= b ? c : 0)
REAL(3, drop_lt, a < b ? 0 : c)
REAL(3, drop_le, a <= b ? 0 : c)
REAL(3, keep_within, fabs(a) < b ? c : 0)
REAL(3, drop_within, fabs(a) <= b ? 0 : c)
REAL(3, replace_le, a <= b ? c : a)
REAL(3, sloped, 0 < b ? a : a * c)
REAL(3, lerp, fabs(c) < 0.5 ? fma(c, b - a, a) : fma(c - 1, b - a, b))
REAL(2, softshrink, a != a ? NAN : copysign(fabs(a) - least(fabs(a), b), a))
REAL(3, nan_to_largest, least(most(a != a ? 0 : a, b), c))
REAL(1, frac, a - trunc(a))
#define WITHIN_6 ((typeof(a))least(most(a + 3, 0), 6))
REAL(1, hardsigmoid, WITHIN_6 / 6)
REAL(1, hardswish, a *WITHIN_6 / 6)
REAL(1, hardswish_slope, a < 3 ? a / 3 + (typeof(a))0.5 : 1)
REAL(2, squared_error, (a - b) * (a - b))
REAL(2, absolute_error, fabs(a - b))
#define NEAR ((typeof(a))least(fabs(a - b), c))
REAL(3, smooth_l1_loss, NEAR / c * fma(NEAR, (typeof(a))-0.5, fabs(a - b)))
REAL(3, bounded_error, least(most(a - b, -c), c))
REAL(3, huber_loss, NEAR *(fabs(a - b) - NEAR / 2))
BOTH(1, logical_not, a == 0)
BOTH(2, logical_and, a != 0 && b != 0)
BOTH(2, logical_or, a != 0 || b != 0)
BOTH(2, logical_xor, (a != 0) != (b != 0))
BOTH(1, to_truth, a != 0)
REAL(1, isnan, a != a)
REAL(1, isinf, a == INFINITY || a == -INFINITY)
REAL(1, isfinite, a - a == 0)

/* ---- bits ---- */
INT(2, bitwise_and, a &b)
INT(2, bitwise_or, a | b)
INT(2, bitwise_xor, a ^ b)
INT(1, bitwise_not, -(a + 1))
INT(2, shl, b < 0 || b > 63 ? 0 : (uint64_t)a << b)
INT(2, shr, b < 0 || b > 63 ? (a < 0 ? -1 : 0) : a >> b)
INT(1, wrap_uint8, (uint8_t)a)
INT(1, wrap_int32, (int32_t)a)
REAL(1, wrap_int32, fabs(a) < 0x1p31 ? (int32_t)a : INT32_MIN)

/* To the nearest of the floats of so many digits, whose smallest is 2^least and whose exponents end at top.
 */
static float nearest(double a, int digits, int least, int top) {
    int exponent;
    if (a - a != 0) return (float)a;
    frexp(a, &exponent);
    const double unit = ldexp(1, exponent - digits > least ? exponent - digits : least);
    const double near = copysign(nearbyint(a / unit) * unit, a);
    return (float)(fabs(near) < ldexp(1, top) ? near : copysign(INFINITY, a));
}
REFERENCE(f32, float, 1, round_f16, nearest(a, 11, -24, 16))
REFERENCE(f32, float, 1, round_bf16, nearest(a, 8, -133, 128))

/* ---- transcendental ---- */
REAL(1, exp, exp(a))
REAL(1, exp2, exp2(a))
REAL(1, expm1, expm1(a))
REAL(1, log, log(a))
REAL(1, log1p, log1p(a))
REAL(1, sin, sin(a))
REAL(1, cos, cos(a))
REAL(1, tan, tan(a))
REAL(1, atan, atan(a))
REAL(1, tanh, tanh(a))
#define SIGMOID(a) ((a) < 0 ? exp((double)(a)) / (1 + exp((double)(a))) : 1 / (1 + exp(-(double)(a))))
REAL(1, sigmoid, SIGMOID(a))
#define ROUNDED(a) (typeof(a))SIGMOID(a)
REAL(2, gated, a *ROUNDED(b))
REAL(1, sigmoid_slope, ROUNDED(a) * ROUNDED(-a))
REAL(1, silu_slope, ROUNDED(a) * (a * SIGMOID(-a) + 1))
REAL(1, erf, erf(a))
REAL(1, erfc, erfc(a))
REAL(1, gelu, 0.5 * (double)a * (1 + erf((double)a * 0.70710678118654752)))

/* ---- casts ---- */
static int64_t to_integer(double a) { return a >= -0x1p63 && a < 0x1p63 ? (int64_t)a : INT64_MIN; }
#define CAST(from, T, to, U, result)                                                                         \
    static void from##_to_##to(int64_t n, void *dst, const void *pa, const void *pb, const void *pc) {       \
        (void)pb, (void)pc;                                                                                  \
        for (int64_t i = 0; i < n; i++) {                                                                    \
            T a = ((const T *)pa)[i];                                                                        \
            ((U *)dst)[i] = result;                                                                          \
        }                                                                                                    \
    }
CAST(f32, float, f64, double, a)
CAST(f32, float, i64, int64_t, to_integer(a))
CAST(f64, double, f32, float, (float)a)
CAST(f64, double, i64, int64_t, to_integer(a))
CAST(i64, int64_t, f32, float, (float)a)
CAST(i64, int64_t, f64, double, (double)a)

/* ---- the table and the entry points ---- */
#define ENTRY_0(name, type) NULL
#define ENTRY_1(name, type) type##_##name
#define AD_INSTR(name, arity, F, D, I)                                                                       \
    [AD_OP_##name] = {ENTRY_##F(name, f32), ENTRY_##D(name, f64), ENTRY_##I(name, i64)},
static ad_pw_fn *const references[AD_N_INSTR][AD_N_TYPES] = {
#include "instructions.def"
};
#undef AD_INSTR

static int run(ad_pw_fn *const table[AD_N_INSTR][AD_N_TYPES], int op, int type, int64_t n, void *dst,
               const void *a, const void *b, const void *c) {
    if (!ad_instr_has(op, type) || n < 0) return ad_fail(AD_BAD_ARG, op, type, n);
    int arity = ad_instr_arity(op);
    if (n > 0 && (!dst || !a || (arity > 1 && !b) || (arity > 2 && !c)))
        return ad_fail(AD_BAD_ARG, op, type, n);
    ad_zero_div = 0;
    table[op][type](n, dst, a, b, c);
    bool zero_div = ad_zero_div;
    ad_zero_div = 0;
    return zero_div ? ad_fail(AD_ZERO_DIV, 0, 0, 0) : AD_OK;
}

int ad_pw_reference(int op, int type, int64_t n, void *dst, const void *a, const void *b, const void *c) {
    return run(references, op, type, n, dst, a, b, c);
}

int ad_pw_kernel(int op, int type, int64_t n, void *dst, const void *a, const void *b, const void *c) {
    if (!ad_cpu) return ad_fail(AD_BAD_ARG, op, type, n);
    return run(ad_cpu->pw->instr, op, type, n, dst, a, b, c);
}
