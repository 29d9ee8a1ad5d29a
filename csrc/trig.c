/* trig.c: reduction of large arguments of sin and cos (Payne and Hanek), the same code for every variant. */
#include <math.h>
#include "internal.h"

typedef unsigned __int128 u128;

/* 64 zero bits, then the first 1216 bits of 2/pi */
static const uint64_t two_over_pi[20] = {
    0x0000000000000000, 0xa2f9836e4e441529, 0xfc2757d1f534ddc0, 0xdb6295993c439041, 0xfe5163abdebbc561,
    0xb7246e3a424dd2e0, 0x06492eea09d1921c, 0xfe1deb1cb129a73e, 0xe88235f52ebb4484, 0xe99c7026b45f7e41,
    0x3991d639835339f4, 0x9c845f8bbdf9283b, 0x1ff897ffde05980f, 0xef2f118b5a0a6d1f, 0x6d367ecf27cb09b7,
    0x4f463f669e5fea2d, 0x7527bac7ebe5f17b, 0x3d0739f78a5292ea, 0x6bfb5fb11f8d5d08, 0x56033046fc7b6bab};

/* 64 bits of the table, from bit `at` on */
static uint64_t bits_at(int at) {
    const uint64_t *w = two_over_pi + at / 64;
    int shift = at % 64;
    return shift ? w[0] << shift | w[1] >> (64 - shift) : w[0];
}

/* fraction / 2^128 as the sum of two doubles, short of 2^-106 of it */
static void to_pair(u128 fraction, double *high, double *low) {
    *high = *low = 0;
    if (!fraction) return;
    uint64_t top = (uint64_t)(fraction >> 64);
    int zeros = top ? __builtin_clzll(top) : 64 + __builtin_clzll((uint64_t)fraction);
    fraction <<= zeros;
    *high = ldexp((double)(uint64_t)(fraction >> 75), -53 - zeros);
    *low = ldexp((double)((uint64_t)(fraction >> 22) & ((1ull << 53) - 1)), -106 - zeros);
}

/* x = m 2^e with an integer m. Of x 2/pi = m (2/pi) 2^e only the value modulo 4 matters, so the bits of 2/pi
 * whose product with m is a multiple of 4 are skipped and the next 192 taken; the product modulo 2^192 is
 * then 2 bits of quadrant and 190 of fraction. No double comes closer than about 2^-62 to a multiple of
 * pi/2, so at least 2^-137 / 2^-62 of relative precision remains. */
int ad_reduce_large(double x, double r[2]) {
    const double half_pi = 0x1.921fb54442d18p+0, half_pi_low = 0x1.1a62633145c07p-54;
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int e = (int)(bits >> 52 & 0x7ff) - 1075, at = e - 2 + 64;
    uint64_t m = (bits & ((1ull << 52) - 1)) | 1ull << 52;

    u128 p2 = (u128)m * bits_at(at + 128);
    u128 p1 = (u128)m * bits_at(at + 64) + (uint64_t)(p2 >> 64);
    uint64_t p0 = m * bits_at(at) + (uint64_t)(p1 >> 64);

    int quadrant = (int)(p0 >> 62);
    u128 fraction = (u128)p0 << 66 | (u128)(uint64_t)p1 << 2 | (uint64_t)p2 >> 62;
    int negative = (int)(fraction >> 127); /* past one half: count from the next multiple */
    if (negative) quadrant++, fraction = -fraction;

    double high, low;
    to_pair(fraction, &high, &low);
    r[0] = high * half_pi;
    r[1] = fma(high, half_pi, -r[0]) + (high * half_pi_low + low * half_pi);
    if (negative) r[0] = -r[0], r[1] = -r[1];
    return quadrant & 3;
}
