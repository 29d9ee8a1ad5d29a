/* simd/log.h: log and log1p. */

/* x = 2^k m with m in [sqrt(1/2), sqrt(2)), for a positive finite x */
AD_SIMD vf vf_split(vf x, vf *k) { /* x is no denormal number */
    vfi bits = vfi_add(vf_bits(x), vfi_set1(0x3f800000 - 0x3f3504f3));
    vf e = vf_of_bits(vfi_or(vfi_shr(bits, 23), vf_bits(vf_set1(0x1p23f))));
    *k = vf_sub(e, vf_set1(0x1p23f + 127));
    return vf_of_bits(vfi_add(vfi_and(bits, vfi_set1(0x007fffff)), vfi_set1(0x3f3504f3)));
}
AD_SIMD vd vd_split(vd x, vd *k) {
    vdi bits = vdi_add(vd_bits(x), vdi_set1(0x3ff0000000000000 - 0x3fe6a09e667f3bcd));
    vd e = vd_of_bits(vdi_or(vdi_shr(bits, 52), vd_bits(vd_set1(0x1p52))));
    *k = vd_sub(e, vd_set1(0x1p52 + 1023));
    return vd_of_bits(vdi_add(vdi_and(bits, vdi_set1(0x000fffffffffffff)), vdi_set1(0x3fe6a09e667f3bcd)));
}
/* The same of any. */
#define SPLIT_ANY(v, m, T, least, digits)                                                                    \
    AD_SIMD v v##_split_any(v x, v *k) {                                                                     \
        const m tiny = v##_lt(x, v##_set1(least));                                                           \
        const v part = v##_split(v##_select(tiny, v##_mul(x, v##_set1((T)(1ull << digits))), x), k);         \
        *k = v##_select(tiny, v##_sub(*k, v##_set1(digits)), *k);                                            \
        return part;                                                                                         \
    }
SPLIT_ANY(vf, mf, float, 0x1p-126f, 23)
SPLIT_ANY(vd, md, double, 0x1p-1022, 52)

/* log(2^k m) + low for a small low. log(1+f) = f + f^2 p(f), f in [-0.293, 0.415], p of degree 7: 2^-25 */
AD_SIMD vf vf_log_core(vf m, vf k, vf low) {
    static const float P[] = {-0.4999999f,  0.33333945f, -0.25001776f, 0.1996224f,
                              -0.16570315f, 0.14916356f, -0.14307708f, 0.08738776f};
    vf f = vf_sub(m, vf_set1(1));
    low = vf_fma(k, vf_set1(-2.1219444e-4f), low);
    low = vf_fma(vf_mul(f, f), vf_poly(f, P, AD_LENGTH(P)), low);
    return vf_fma(k, vf_set1(0.693359375f), vf_add(f, low));
}
/* The same: with s = f/(2+f): log(1+f) = f - f^2/2 + s (f^2/2 + s^2 p(s^2)), s^2 in [0, 0.0295], p of degree
 * 6: 2^-59
 */
AD_SIMD vd vd_log_core(vd m, vd k, vd low) {
    static const double P[] = {0.6666666666666735, 0.39999999999411096, 0.28571428743262023,
                               0.2222219847604077, 0.1818356973721844,  0.153139033111462,
                               0.14797507065607862};
    vd f = vd_sub(m, vd_set1(1)), half = vd_mul(vd_mul(f, f), vd_set1(0.5));
    vd s = vd_div(f, vd_add(f, vd_set1(2))), z = vd_mul(s, s);
    low = vd_fma(k, vd_set1(1.9082149292705877e-10), low);
    low = vd_fma(s, vd_fma(z, vd_poly(z, P, AD_LENGTH(P)), half), low);
    return vd_fma(k, vd_set1(0.6931471803691238), vd_sub(f, vd_sub(half, low)));
}

/* y where 0 < x < inf, else the logarithm of 0, inf, a negative number or nan */
AD_SIMD vf vf_log_special(vf x, vf y) {
    vf rest = vf_select(vf_eq(x, vf_zero()), vf_set1(-INFINITY), vf_set1(NAN));
    return vf_select(vf_eq(x, vf_set1(INFINITY)), x, vf_select(vf_lt(vf_zero(), x), y, rest));
}
AD_SIMD vd vd_log_special(vd x, vd y) {
    vd rest = vd_select(vd_eq(x, vd_zero()), vd_set1(-INFINITY), vd_set1(NAN));
    return vd_select(vd_eq(x, vd_set1(INFINITY)), x, vd_select(vd_lt(vd_zero(), x), y, rest));
}
/* Of any numbers; those that vf_log takes itself come out as they do there. */
#define LOG(v, name, CALLED)                                                                                 \
    CALLED v v##_##name(v x) {                                                                               \
        v k, part = v##_split_any(x, &k);                                                                    \
        return v##_log_special(x, v##_log_core(part, k, v##_zero()));                                        \
    }
LOG(vf, log_rare, static __attribute__((noinline)))
LOG(vd, log, AD_SIMD)
/* The sum is infinite or nan where a number is, or is nearly; with none there the least is the least. */
AD_SIMD int vf_log_is_rare(const vf *x, const int n) {
    vf least = x[0], sum = x[0];
    AD_UNROLL for (int k = 1; k < n; k++) least = vf_min(least, x[k]), sum = vf_add(sum, x[k]);
    return mf_any(mf_not(mf_and(vf_le(vf_set1(0x1p-126f), least), vf_lt(sum, vf_set1(INFINITY)))));
}
AD_SIMD vf vf_log_usual(vf x) {
    vf k, m = vf_split(x, &k);
    return vf_log_core(m, k, vf_zero());
}
AD_SIMD vf vf_log(vf x) { return vf_log_is_rare(&x, 1) ? vf_log_rare(x) : vf_log_usual(x); }

/* log(u) + c/u with u = 1 + x rounded and c what the rounding lost */
AD_SIMD vf vf_log1p(vf x) {
    vf one = vf_set1(1), u = vf_add(x, one);
    vf c = vf_select(vf_lt(x, one), vf_sub(x, vf_sub(u, one)), vf_sub(one, vf_sub(u, x)));
    vf k, m = vf_split(u, &k); /* which is at least 2^-24, or not positive */
    return vf_copysign(vf_log_special(u, vf_log_core(m, k, vf_div(c, u))), x);
}
AD_SIMD vd vd_log1p(vd x) {
    vd one = vd_set1(1), u = vd_add(x, one);
    vd c = vd_select(vd_lt(x, one), vd_sub(x, vd_sub(u, one)), vd_sub(one, vd_sub(u, x)));
    vd k, m = vd_split(u, &k);
    return vd_copysign(vd_log_special(u, vd_log_core(m, k, vd_div(c, u))), x);
}
