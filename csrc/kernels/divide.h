/* kernels/divide.h: int64 quotients and remainders; included by pointwise.h. Where all divisors of a run are
 * one number, by multiplication, as Granlund and Montgomery show (Division by Invariant Integers using
 * Multiplication): with 2^(l-1) < size <= 2^l and m = 2^(63+l) / size + 1, of which the fraction is dropped,
 * t / size is m t / 2^(63+l) for all t up to 2^63. No branch: signs are foreseen by none. */

typedef struct {
    int64_t by, sign;
    uint64_t multiplier;
    int shift;
} divisor;

AD_SIMD divisor divisor_of(int64_t by) {
    const uint64_t size = by < 0 ? -(uint64_t)by : (uint64_t)by;
    const int shift = 63 - __builtin_clzll(size - 1);
    const unsigned __int128 m = ((unsigned __int128)1 << (64 + shift)) / size + 1;
    return (divisor){by, by >> 63, (uint64_t)m, shift};
}
AD_SIMD int64_t share(uint64_t t, divisor d) {
    return (int64_t)((uint64_t)((unsigned __int128)t * d.multiplier >> 64) >> d.shift);
}
AD_SIMD int64_t share_truncdiv(int64_t a, divisor d) {
    const int64_t sign = a >> 63, q = share((uint64_t)i64_sub(a ^ sign, sign), d);
    return (q ^ sign ^ d.sign) - (sign ^ d.sign);
}
/* By a negative number, -size: ~((a - 1) / size), rounded down. */
AD_SIMD int64_t share_floordiv(int64_t a, divisor d) {
    const int64_t less = i64_add(a, d.sign), sign = (a | less) >> 63;
    return share((uint64_t)(less ^ sign), d) ^ sign ^ d.sign;
}
AD_SIMD int64_t share_fmod(int64_t a, divisor d) { return a - share_truncdiv(a, d) * d.by; }
AD_SIMD int64_t share_remainder(int64_t a, divisor d) { return a - i64_mul(share_floordiv(a, d), d.by); }

/* The processor traps on a division by 0 and on that of the smallest number by -1. */
AD_SIMD bool i64_is_rare_divisor(int64_t b) {
    if (b == 0) ad_zero_div = 1;
    return b == 0 || b == -1;
}
AD_SIMD int64_t i64_truncdiv(int64_t a, int64_t b) {
    if (__builtin_expect(i64_is_rare_divisor(b), 0)) return b ? i64_neg(a) : 0;
    return a / b;
}
AD_SIMD int64_t i64_fmod(int64_t a, int64_t b) {
    if (__builtin_expect(i64_is_rare_divisor(b), 0)) return 0;
    return a % b;
}
AD_SIMD int64_t i64_floordiv(int64_t a, int64_t b) {
    if (__builtin_expect(i64_is_rare_divisor(b), 0)) return b ? i64_neg(a) : 0;
    const int64_t q = a / b, r = a - q * b;
    return q - ((r != 0) & ((r ^ b) < 0));
}
AD_SIMD int64_t i64_remainder(int64_t a, int64_t b) {
    const int64_t r = i64_fmod(a, b);
    return r + (b & -(int64_t)((r != 0) & ((r ^ b) < 0)));
}

/* Of numbers of 31 bits by vectors of doubles: a quotient that is not whole is further from whole ones than
 * it is rounded. */
AD_SIMD int32_t small_truncdiv(int32_t a, int32_t b) { return (int32_t)((double)a / (double)b); }
AD_SIMD int32_t small_fmod(int32_t a, int32_t b) { return a - small_truncdiv(a, b) * b; }
AD_SIMD int32_t small_floordiv(int32_t a, int32_t b) {
    const int32_t q = small_truncdiv(a, b), r = a - q * b;
    return q - ((r != 0) & ((r ^ b) < 0));
}
AD_SIMD int32_t small_remainder(int32_t a, int32_t b) {
    const int32_t r = small_fmod(a, b);
    return r + (b & -((r != 0) & ((r ^ b) < 0)));
}
AD_SIMD uint64_t beyond_31_bits(int64_t a) { return ((uint64_t)a + (UINT64_C(1) << 30)) >> 31; }

/* Tells of how many elements. */
#define OF_SMALL(name)                                                                                       \
    static int64_t name##_of_small(int64_t n, int64_t *q, const int64_t *x, const int64_t *y) {              \
        enum { BATCH_OF = 32 };                                                                              \
        int64_t i = 0;                                                                                       \
        for (; i <= n - BATCH_OF; i += BATCH_OF) {                                                           \
            uint64_t large = 0;                                                                              \
            for (int k = 0; k < BATCH_OF; k++)                                                               \
                large |= beyond_31_bits(x[i + k]) | beyond_31_bits(y[i + k]) | (y[i + k] == 0);              \
            if (large) break;                                                                                \
            AD_INDEPENDENT for (int k = 0; k < BATCH_OF; k++) q[i + k] =                                     \
                small_##name((int32_t)x[i + k], (int32_t)y[i + k]);                                          \
        }                                                                                                    \
        return i;                                                                                            \
    }

/* Tells of how many elements: all, if it is worth it. */
#define BY_ONE(name)                                                                                         \
    static int64_t name##_by_one(int64_t n, int64_t *q, const int64_t *x, const int64_t *y) {                \
        if (n < 32 || memcmp(y, y + 1, (size_t)(n - 1) * sizeof *y)) return 0;                               \
        if (*y >= -1 && *y <= 1) return 0;                                                                   \
        const divisor d = divisor_of(*y);                                                                    \
        AD_INDEPENDENT for (int64_t i = 0; i < n; i++) q[i] = share_##name(x[i], d);                         \
        return n;                                                                                            \
    }
