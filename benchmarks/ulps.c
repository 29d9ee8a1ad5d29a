/* ulps.c: inputs for accuracy.py, accurate references, and the errors against them in units in the last
 * place. float32 is held against the double functions of libm (2^-29 of its ulp away at most), float64
 * against the long double ones, which must have at least 64 bits: 2^-11 of its ulp each. */
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#if LDBL_MANT_DIG < 64
#error "float64 needs a long double of at least 64 bits to be measured against"
#endif

#define EACH_UNARY(F)                                                                                        \
    F(exp, exp(x), expl(x))                                                                                  \
    F(exp2, exp2(x), exp2l(x))                                                                               \
    F(expm1, expm1(x), expm1l(x))                                                                            \
    F(log, log(x), logl(x))                                                                                  \
    F(log1p, log1p(x), log1pl(x))                                                                            \
    F(sin, sin(x), sinl(x))                                                                                  \
    F(cos, cos(x), cosl(x))                                                                                  \
    F(tan, tan(x), tanl(x))                                                                                  \
    F(tanh, tanh(x), tanhl(x))                                                                               \
    F(erf, erf(x), erfl(x))                                                                                  \
    F(erfc, erfc(x), erfcl(x))                                                                               \
    F(atan, atan(x), atanl(x))                                                                               \
    F(sigmoid, 1 / (1 + exp(-x)), 1 / (1 + expl(-x)))                                                        \
    F(sqrt, sqrt(x), sqrtl(x))                                                                               \
    F(rsqrt, 1 / sqrt(x), 1 / sqrtl(x))                                                                      \
    F(reciprocal, 1 / x, 1 / x)

typedef double narrow_fn(double, double);
typedef long double wide_fn(long double, long double);
#define DEFINE(name, narrow, wide)                                                                           \
    static double narrow_##name(double x, double y) { return (void)y, narrow; }                              \
    static long double wide_##name(long double x, long double y) { return (void)y, wide; }
EACH_UNARY(DEFINE)
DEFINE(pow, pow(x, y), powl(x, y))

static const struct {
    const char *name;
    narrow_fn *narrow;
    wide_fn *wide;
} functions[] = {
#define ROW(name, a, b) {#name, narrow_##name, wide_##name},
    EACH_UNARY(ROW) ROW(pow, , )};

int find(const char *name) {
    for (int i = 0; i < (int)(sizeof functions / sizeof *functions); i++)
        if (!strcmp(functions[i].name, name)) return i;
    return -1;
}

/* ---- errors: |got - want| in spacings of the type at want; infinity where the two differ in kind ---- */
static inline int exponent_float32(double x) { /* as frexp's, which is slow; of a denormal or 0: low enough */
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (int)(bits >> 52 & 0x7ff) - 1022;
}
static inline int exponent_float64(long double x) {
    int e;
    (void)frexpl(x, &e);
    return x == 0 ? DBL_MIN_EXP : e;
}
static inline double scale_float32(double x, int e) { /* x 2^e for a power of two that is normal */
    uint64_t bits = (uint64_t)(e + 1023) << 52;
    double power;
    memcpy(&power, &bits, sizeof power);
    return x * power;
}
static inline double scale_float64(long double x, int e) { return (double)ldexpl(x, e); }

#define DEFINE_WORST(name, T, R, limit, fabs_, which, MANT, MIN_EXP, MAX_EXP)                                \
    static double error_##name(T got, R want) {                                                              \
        if (isnan(want) || isnan(got)) return isnan(want) && isnan(got) ? 0 : INFINITY;                      \
        if (!signbit(got) != !signbit(want)) return INFINITY;                                                \
        if (isinf(got) && isinf(want)) return 0;                                                             \
        R g = isinf(got) ? limit : fabs_((R)got), w = fabs_(want);                                           \
        if (w > limit) w = isinf(got) ? limit : w;                                                           \
        if (isinf(w)) return INFINITY;                                                                       \
        int e = exponent_##name(w);                                                                          \
        if (e < MIN_EXP) e = MIN_EXP;                                                                        \
        if (e > MAX_EXP) e = MAX_EXP;                                                                        \
        return scale_##name(fabs_(g - w), MANT - e);                                                         \
    }                                                                                                        \
    /* The largest error over n results, found at *at. */                                                    \
    double worst_##name(int function, int64_t n, const T *x, const T *y, const T *got, int64_t *at) {        \
        double worst = -1;                                                                                   \
        for (int64_t i = 0; i < n; i++) {                                                                    \
            R want = functions[function].which(x[i], y ? y[i] : 0);                                          \
            double error = error_##name(got[i], want);                                                       \
            if (error > worst) worst = error, *at = i;                                                       \
        }                                                                                                    \
        return worst;                                                                                        \
    }
DEFINE_WORST(float32, float, double, 0x1p128, fabs, narrow, FLT_MANT_DIG, FLT_MIN_EXP, FLT_MAX_EXP)
DEFINE_WORST(float64, double, long double, 0x1p1024L, fabsl, wide, DBL_MANT_DIG, DBL_MIN_EXP, DBL_MAX_EXP)

/* ---- inputs, the same for the same index ---- */
static uint64_t hash(uint64_t i) { /* a bijection that scatters: the finaliser of splitmix64 */
    i = (i ^ i >> 30) * 0xbf58476d1ce4e5b9u, i = (i ^ i >> 27) * 0x94d049bb133111ebu;
    return i ^ i >> 31;
}
static double uniform(uint64_t i, double low, double high) {
    return low + (high - low) * (double)(hash(i) >> 11) * 0x1p-53;
}
static double any_float64(uint64_t i) {
    uint64_t bits = hash(i);
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
static float any_float32(uint64_t i) {
    uint32_t bits = (uint32_t)hash(i);
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Bit patterns first, first + step, ... */
void patterns_float32(int64_t n, float *x, int64_t first, int64_t step) {
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits = (uint32_t)(first + i * step);
        memcpy(x + i, &bits, sizeof bits);
    }
}

/* In turn: any bits; where most functions live; where exp does; both sides of 1; close to a multiple of
 * pi/2, small and large. */
void points_float64(int64_t n, double *x, int64_t first) {
    const long double half_pi = 1.5707963267948966192313216916397514L;
    for (int64_t i = 0; i < n; i++) {
        uint64_t k = (uint64_t)(first + i), a = 4 * k;
        double sign = hash(a + 3) & 1 ? -1 : 1;
        switch (k % 6) {
        case 0: x[i] = any_float64(a); break;
        case 1: x[i] = uniform(a, -6, 6) * exp2(uniform(a + 1, -8, 0)); break;
        case 2: x[i] = uniform(a, -750, 715); break;
        case 3: x[i] = 1 + sign * exp2(uniform(a, -53, 0)); break;
        case 4: x[i] = sign * exp2(uniform(a, -60, 4)); break;
        default: {
            double turns = floor(exp2(uniform(a, 0, hash(a + 2) & 1 ? 8 : 45)));
            x[i] = sign * (double)(turns * half_pi) * (1 + uniform(a + 1, -2, 2) * DBL_EPSILON);
        }
        }
    }
}

/* Pairs for pow, in turn: any bits; any base, with an exponent that keeps the power in or near the range;
 * a base next to 1, likewise; a base of either sign with a small whole exponent. */
#define DEFINE_PAIRS(name, T, EPSILON_BITS, RANGE)                                                           \
    void pairs_##name(int64_t n, T *x, T *y, int64_t first) {                                                \
        for (int64_t i = 0; i < n; i++) {                                                                    \
            uint64_t k = (uint64_t)(first + i), a = 4 * k;                                                   \
            double sign = hash(a + 3) & 1 ? -1 : 1;                                                          \
            x[i] = any_##name(a), y[i] = any_##name(a + 1);                                                  \
            if (k % 4 == 1) x[i] = (T)fabs(x[i]);                                                            \
            if (k % 4 == 2) x[i] = (T)(1 + sign * exp2(uniform(a, -EPSILON_BITS, -1)));                      \
            if (k % 4 == 1 || k % 4 == 2) y[i] = (T)(uniform(a + 2, -RANGE, RANGE) / log2(x[i]));            \
            if (k % 4 == 3) {                                                                                \
                y[i] = (T)floor(uniform(a + 1, -40, 40));                                                    \
                x[i] = (T)(sign * exp2(uniform(a, -RANGE, RANGE) / (fabs(y[i]) + 1)));                       \
            }                                                                                                \
        }                                                                                                    \
    }
DEFINE_PAIRS(float32, float, 24, 152)
DEFINE_PAIRS(float64, double, 53, 1078)
