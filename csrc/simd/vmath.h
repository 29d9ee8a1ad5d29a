/* simd/vmath.h: elementary functions, written once on the simd names, so every variant with FMA gives the
 * same bits. docs/accuracy.md tells the largest errors; benchmarks/accuracy.py measures them.
 *
 * Each polynomial is a minimax fit, rounded to the type; beside it: what it approximates, where, and its
 * largest error relative to the function it serves. */
#ifndef AD_VMATH_H
#define AD_VMATH_H

#define AD_LENGTH(a) ((int)(sizeof(a) / sizeof *(a)))

/* c[0] + c[1] x + ..., the even and the odd powers apart: half the latency of one chain. n >= 3. */
AD_SIMD vf vf_poly(vf x, const float *c, int n) {
    vf x2 = vf_mul(x, x), p = vf_set1(c[n - 1]), q = vf_set1(c[n - 2]);
    AD_UNROLL for (int i = n - 3; i >= 0; i -= 2) p = vf_fma(p, x2, vf_set1(c[i]));
    AD_UNROLL for (int i = n - 4; i >= 0; i -= 2) q = vf_fma(q, x2, vf_set1(c[i]));
    return n & 1 ? vf_fma(q, x, p) : vf_fma(p, x, q);
}
AD_SIMD vd vd_poly(vd x, const double *c, int n) {
    vd x2 = vd_mul(x, x), p = vd_set1(c[n - 1]), q = vd_set1(c[n - 2]);
    AD_UNROLL for (int i = n - 3; i >= 0; i -= 2) p = vd_fma(p, x2, vd_set1(c[i]));
    AD_UNROLL for (int i = n - 4; i >= 0; i -= 2) q = vd_fma(q, x2, vd_set1(c[i]));
    return n & 1 ? vd_fma(q, x, p) : vd_fma(p, x, q);
}

AD_SIMD vf vf_signbit(vf x) { return vf_of_bits(vfi_and(vf_bits(x), vfi_set1(1u << 31))); }
AD_SIMD vd vd_signbit(vd x) { return vd_of_bits(vdi_and(vd_bits(x), vdi_set1(1ull << 63))); }
AD_SIMD vf vf_neg_abs(vf x) { return vf_of_bits(vfi_or(vf_bits(x), vfi_set1(1u << 31))); }
AD_SIMD vd vd_neg_abs(vd x) { return vd_of_bits(vdi_or(vd_bits(x), vdi_set1(1ull << 63))); }
/* x, its sign that of `sign`, or turned where `sign` is negative */
#ifndef AD_SIGNS
AD_SIMD vf vf_flip(vf x, vf sign) { return vf_of_bits(vfi_xor(vf_bits(x), vf_bits(vf_signbit(sign)))); }
AD_SIMD vd vd_flip(vd x, vd sign) { return vd_of_bits(vdi_xor(vd_bits(x), vd_bits(vd_signbit(sign)))); }
AD_SIMD vf vf_copysign(vf x, vf sign) { return vf_flip(vf_abs(x), sign); }
AD_SIMD vd vd_copysign(vd x, vd sign) { return vd_flip(vd_abs(x), sign); }
#endif

/* The bits one further from 0, or one nearer, are the next number. */
#define NEXTAFTER(v, m)                                                                                      \
    AD_SIMD v v##_nextafter(v x, v y) {                                                                      \
        const m up = v##_lt(x, y), above = v##_lt(v##_zero(), x);                                            \
        const m away = m##_or(m##_and(up, above), m##_not(m##_or(up, above)));                               \
        const v one = v##_of_bits(v##i_set1(1)), back = v##_of_bits(v##i_sub(v##i_set1(0), v##i_set1(1)));   \
        const v next = v##_of_bits(v##i_add(v##_bits(x), v##_bits(v##_select(away, one, back))));            \
        const v moved = v##_select(v##_eq(x, v##_zero()), v##_copysign(one, y), next);                       \
        const m ordered = m##_or(v##_lt(x, y), v##_lt(y, x));                                                \
        return v##_select(ordered, moved, v##_select(v##_eq(x, y), y, v##_add(x, y)));                       \
    }
NEXTAFTER(vf, mf)
NEXTAFTER(vd, md)

/* Adding this to a small number rounds it to an integer, found in the low bits of the sum. */
#define VF_INTEGER 0x1.8p23f
#define VD_INTEGER 0x1.8p52

/* ---- exp, expm1 ----
 * exp(x) = 2^k exp(r), r in [-ln 2 / 2, ln 2 / 2]; k is in the low bits of t. */
#define EXP_REDUCE(v, T, INTEGER, high, rest)                                                                \
    AD_SIMD v v##_exp_reduce(v x, v *t) {                                                                    \
        *t = v##_fma(x, v##_set1((T)1.4426950408889634), v##_set1(INTEGER));                                 \
        const v k = v##_sub(*t, v##_set1(INTEGER));                                                          \
        return v##_fma(k, v##_set1(rest), v##_fma(k, v##_set1(high), x));                                    \
    }                                                                                                        \
    AD_SIMD v v##_exp_reduce_sum(v x, v low, v *t) {                                                         \
        *t = v##_fma(x, v##_set1((T)1.4426950408889634), v##_set1(INTEGER));                                 \
        const v k = v##_sub(*t, v##_set1(INTEGER));                                                          \
        return v##_add(v##_fma(k, v##_set1(high), x), v##_fma(k, v##_set1(rest), low));                      \
    }
EXP_REDUCE(vf, float, VF_INTEGER, -0.693359375f, 2.1219444e-4f) /* -ln 2 in two parts */
EXP_REDUCE(vd, double, VD_INTEGER, -0.6931471803691238, -1.9082149292705877e-10)
/* 2^k times a power of two, from the t that holds k */
AD_SIMD vf vf_power(vf t, float times) {
    return vf_of_bits(vfi_add(vfi_shl(vf_bits(t), 23), vf_bits(vf_set1(times))));
}
AD_SIMD vd vd_power(vd t, double times) {
    return vd_of_bits(vdi_add(vdi_shl(vd_bits(t), 52), vd_bits(vd_set1(times))));
}

/* exp(r) - 1 as r + r^2 q(r) on [-ln 2 / 2, ln 2 / 2]; q of degree 4 (f32: 2^-28), 9 (f64: 2^-57) */
AD_SIMD vf vf_expm1_poly(vf r) {
    static const float Q[] = {0.49999994f, 0.16666521f, 0.04166839f, 0.0083687166f, 0.0013814595f};
    return vf_fma(vf_mul(r, r), vf_poly(r, Q, AD_LENGTH(Q)), r);
}
AD_SIMD vd vd_expm1_poly(vd r) {
    static const double Q[] = {0.5000000000000011,     0.16666666666666413,    0.04166666666653016,
                               0.008333333333494399,   0.001388888894362952,   0.0001984126950671873,
                               2.4801493099528506e-05, 2.7557587246922544e-06, 2.763024817117492e-07,
                               2.5000102107682377e-08};
    return vd_fma(vd_mul(r, r), vd_poly(r, Q, AD_LENGTH(Q)), r);
}

/* 2^x is 2^k exp(r ln 2), where r = x - k is exact. */
#define EXP2_POLY(v, T, INTEGER)                                                                             \
    AD_SIMD v v##_exp2_poly(v x, v *t) {                                                                     \
        *t = v##_add(x, v##_set1(INTEGER));                                                                  \
        const v r = v##_sub(x, v##_sub(*t, v##_set1(INTEGER)));                                              \
        return v##_expm1_poly(v##_mul(r, v##_set1((T)0.6931471805599453)));                                  \
    }
EXP2_POLY(vf, float, VF_INTEGER)
EXP2_POLY(vd, double, VD_INTEGER)

/* scaled: (1 + p) 2^k times a number for a 2^k that may not be normal, in two steps, so that denormal results
 * are rounded once; where it is, as in one. Past the limits (least, most) the result is 0 or infinite, and
 * nan passes through min and max; below `limit` 2^k is normal. */
#define SCALED(v, INTEGER)                                                                                   \
    AD_SIMD v v##_scaled(v p, v t, v times) {                                                                \
        const v integer = v##_set1(INTEGER), k = v##_sub(t, integer);                                        \
        const v half = v##_fma(k, v##_set1(0.5f), integer), rest = v##_sub(t, v##_sub(half, integer));       \
        const v scale = v##_mul(v##_power(half, 1), times);                                                  \
        return v##_mul(v##_fma(p, scale, scale), v##_power(rest, 1));                                        \
    }
SCALED(vf, VF_INTEGER)
SCALED(vd, VD_INTEGER)
#define EXP(v, m, name, least, most, limit, POLY)                                                            \
    AD_SIMD v v##_##name##_clamp(v x) { return v##_max(v##_set1(least), v##_min(v##_set1(most), x)); }       \
    static __attribute__((noinline)) v v##_##name##_rare(v x) {                                              \
        v t, p = POLY(v, v##_##name##_clamp(x), &t);                                                         \
        return v##_scaled(p, t, v##_set1(1));                                                                \
    }                                                                                                        \
    AD_SIMD m v##_##name##_is_usual(v x) { return v##_lt(v##_abs(x), v##_set1(limit)); }                     \
    AD_SIMD v v##_##name##_usual(v x) {                                                                      \
        v t, p = POLY(v, x, &t), scale = v##_power(t, 1);                                                    \
        return v##_fma(p, scale, scale);                                                                     \
    }                                                                                                        \
    AD_SIMD v v##_##name(v x) {                                                                              \
        return m##_any(m##_not(v##_##name##_is_usual(x))) ? v##_##name##_rare(x) : v##_##name##_usual(x);    \
    }
#define EXP_E(v, x, t) v##_expm1_poly(v##_exp_reduce(x, t))
#define EXP_2(v, x, t) v##_exp2_poly(x, t)
EXP(vf, mf, exp, -104, 89, 87, EXP_E)
EXP(vd, md, exp, -746, 710, 708, EXP_E)
EXP(vf, mf, exp2, -151, 129, 126, EXP_2)
EXP(vd, md, exp2, -1080, 1030, 1022, EXP_2)

/* exp(x + low), for a low that is small beside 1, times a number */
#define EXP_SUM(v)                                                                                           \
    AD_SIMD v v##_exp_sum(v x, v low, v times) {                                                             \
        v t, r = v##_exp_reduce_sum(v##_exp_clamp(x), low, &t);                                              \
        return v##_scaled(v##_expm1_poly(r), t, times);                                                      \
    }
EXP_SUM(vf)
EXP_SUM(vd)

/* Half of exp(x) - 1, lest 2^k be infinite; at `least` it rounds to -1/2. Doubled, next to 0 it is x. */
#define EXPM1(v, least, most, tiny)                                                                          \
    AD_SIMD v v##_half_expm1(v x) {                                                                          \
        v t, p = v##_expm1_poly(v##_exp_reduce(x, &t)), half = v##_power(t, 0.5f);                           \
        return v##_fma(p, half, v##_sub(half, v##_set1(0.5f)));                                              \
    }                                                                                                        \
    AD_SIMD v v##_expm1(v x) {                                                                               \
        const v y = v##_half_expm1(v##_max(v##_set1(least), v##_min(v##_set1(most), x)));                    \
        return v##_select(v##_lt(v##_abs(x), v##_set1(tiny)), x, v##_add(y, y));                             \
    }
EXPM1(vf, -18, 89, 0x1p-25f)
EXPM1(vd, -38, 710, 0x1p-54)

/* f32: with h = (exp(2|x|) - 1) / 2 it is h / (1 + h). Below 1 that is h - h w with w the quotient, and above
 * 1 - 1 / (1 + h), which hides the error of the division; at the limit it rounds to 1.
 * |x| = k ln 2 / 2 + r, and (exp(2r) - 1) / 2 = r + r^2 q(r), q that of exp. */
AD_SIMD vf vf_tanh(vf x) {
    static const float Q[] = {0.9999999f, 0.66666085f, 0.3333471f, 0.13389947f, 0.044206705f};
    vf a = vf_min(vf_set1(10), vf_abs(x)), t = vf_fma(a, vf_set1(2.885390f), vf_set1(VF_INTEGER));
    vf r = vf_fma(vf_sub(t, vf_set1(VF_INTEGER)), vf_set1(-0.3465736f), a);
    vf p = vf_fma(vf_mul(r, r), vf_poly(r, Q, AD_LENGTH(Q)), r), scale = vf_power(t, 1);
    vf h = vf_fma(p, scale, vf_fma(scale, vf_set1(0.5f), vf_set1(-0.5f))), y = vf_min(vf_set1(1), h);
    return vf_flip(vf_fma(vf_div(y, vf_sub(vf_set1(-1), h)), y, y), x);
}
/* f64: the same, h from exp(2|x|) itself */
AD_SIMD vd vd_tanh(vd x) {
    vd a = vd_min(vd_set1(20), vd_abs(x)), h = vd_half_expm1(vd_add(a, a)), y = vd_min(vd_set1(1), h);
    return vd_flip(vd_fma(vd_div(y, vd_sub(vd_set1(-1), h)), y, y), x);
}

/* With e = exp(-|x|) and w = e / (1 + e): 1 - w, and below 0 e - e w, which hides the error of w. e is not
 * large, so one scale does: 2^k, times a power that keeps it normal. */
AD_SIMD vf vf_sigmoid(vf x) {
    vf a = vf_max(vf_set1(-104), vf_neg_abs(x));
    vf t, p = vf_expm1_poly(vf_exp_reduce(a, &t)), scale = vf_power(t, 0x1p24f);
    vf e = vf_mul(vf_fma(p, scale, scale), vf_set1(0x1p-24f));
    vf minus_w = vf_div(e, vf_sub(vf_set1(-1), e));
    vf y = vf_max(vf_copysign(vf_set1(1), x), e);
    return vf_fma(minus_w, y, y);
}
AD_SIMD vd vd_sigmoid(vd x) {
    vd a = vd_max(vd_set1(-746), vd_neg_abs(x));
    vd t, p = vd_expm1_poly(vd_exp_reduce(a, &t)), scale = vd_power(t, 0x1p64);
    vd e = vd_mul(vd_fma(p, scale, scale), vd_set1(0x1p-64));
    vd minus_w = vd_div(e, vd_sub(vd_set1(-1), e));
    vd y = vd_max(vd_copysign(vd_set1(1), x), e);
    return vd_fma(minus_w, y, y);
}

/* ---- log, log1p ---- */
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
AD_SIMD mf vf_log_is_usual(vf x) { return mf_and(vf_le(vf_set1(0x1p-126f), x), vf_lt(x, vf_set1(INFINITY))); }
AD_SIMD vf vf_log_usual(vf x) {
    vf k, m = vf_split(x, &k);
    return vf_log_core(m, k, vf_zero());
}
AD_SIMD vf vf_log(vf x) { return mf_any(mf_not(vf_log_is_usual(x))) ? vf_log_rare(x) : vf_log_usual(x); }

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

/* ---- sin, cos: x = n pi/2 + r, |r| <= pi/4; n mod 4 is in the low bits of `quadrant` ---- */
#define VF_TRIG_LIMIT 0x1p16f
#define VD_TRIG_LIMIT 0x1p28

static __attribute__((noinline)) void vf_trig_large(const vf *x, vf *r, vfi *quadrant) {
    float xs[VF_W], rs[VF_W];
    uint32_t qs[VF_W];
    memcpy(xs, x, sizeof xs), memcpy(rs, r, sizeof rs), memcpy(qs, quadrant, sizeof qs);
    for (int i = 0; i < VF_W; i++) {
        double parts[2];
        if (!(xs[i] > VF_TRIG_LIMIT && xs[i] < INFINITY)) continue;
        qs[i] = (uint32_t)ad_reduce_large(xs[i], parts);
        rs[i] = (float)(parts[0] + parts[1]);
    }
    memcpy(r, rs, sizeof rs), memcpy(quadrant, qs, sizeof qs);
}
static __attribute__((noinline)) void vd_trig_large(const vd *x, vd *r, vd *low, vdi *quadrant) {
    double xs[VD_W], rs[VD_W], lows[VD_W];
    uint64_t qs[VD_W];
    memcpy(xs, x, sizeof xs), memcpy(rs, r, sizeof rs), memcpy(lows, low, sizeof lows);
    memcpy(qs, quadrant, sizeof qs);
    for (int i = 0; i < VD_W; i++) {
        double parts[2];
        if (!(xs[i] > VD_TRIG_LIMIT && xs[i] < INFINITY)) continue;
        qs[i] = (uint64_t)ad_reduce_large(xs[i], parts);
        rs[i] = parts[0], lows[i] = parts[1];
    }
    memcpy(r, rs, sizeof rs), memcpy(low, lows, sizeof lows), memcpy(quadrant, qs, sizeof qs);
}

/* For x >= 0. The first difference is exact, for it fits the type; the others are rounded once. */
AD_SIMD vf vf_trig_reduce(vf x, vfi *quadrant) {
    vf t = vf_fma(x, vf_set1(0.63661975f), vf_set1(VF_INTEGER)), n = vf_sub(vf_set1(VF_INTEGER), t);
    vf r = vf_fma_exact(n, vf_set1(0x1.921fb6p+0f), x); /* pi/2 in three parts of 24 bits */
    r = vf_fma_exact(n, vf_set1(-0x1.777a5cp-25f), r);
    r = vf_fma_exact(n, vf_set1(-0x1.ee59dap-50f), r);
    *quadrant = vf_bits(t);
    if (mf_any(vf_lt(vf_set1(VF_TRIG_LIMIT), x))) vf_trig_large(&x, &r, quadrant);
    return r;
}
/* The same as r + low. */
AD_SIMD vd vd_trig_reduce(vd x, vd *low, vdi *quadrant) {
    const vd b = vd_set1(0x1.1a62633145c07p-54), c = vd_set1(-0x1.f1976b7ed8fbcp-110);
    vd t = vd_fma(x, vd_set1(0.6366197723675814), vd_set1(VD_INTEGER)), n = vd_sub(vd_set1(VD_INTEGER), t);
    vd r0 = vd_fma_exact(n, vd_set1(0x1.921fb54442d18p+0), x); /* pi/2 in three parts of 53 bits */
    vd p = vd_mul(n, b), p_low = vd_fma_exact(n, b, vd_neg(p));
    vd r = vd_add(r0, p), back = vd_sub(r, r0); /* the error of this sum, whichever term is larger */
    vd lost = vd_add(vd_sub(r0, vd_sub(r, back)), vd_sub(p, back));
    *low = vd_add(lost, vd_fma(n, c, p_low));
    *quadrant = vd_bits(t);
    if (md_any(vd_lt(vd_set1(VD_TRIG_LIMIT), x))) vd_trig_large(&x, &r, low, quadrant);
    return r;
}

AD_SIMD mf vf_is_odd(vfi quadrant) { return vf_ne(vf_of_bits(vfi_shr(vfi_shl(quadrant, 31), 1)), vf_zero()); }
AD_SIMD md vd_is_odd(vdi quadrant) { return vd_ne(vd_of_bits(vdi_shr(vdi_shl(quadrant, 63), 1)), vd_zero()); }
/* sin of the angle r + quadrant pi/2.
 * sin r = r + r^3 p(r^2), p of degree 2: 2^-28; cos r = 1 - r^2/2 + r^4 q(r^2), q of degree 2: 2^-33 */
AD_SIMD vf vf_sin_core(vf r, vfi quadrant) {
    static const float P[] = {-0.16666655f, 0.008332158f, -0.00019514958f};
    static const float Q[] = {0.041666646f, -0.0013887313f, 2.4432813e-05f};
    vf z = vf_mul(r, r);
    vf s = vf_fma(vf_mul(r, z), vf_poly(z, P, AD_LENGTH(P)), r);
    vf c = vf_fma(vf_mul(z, z), vf_poly(z, Q, AD_LENGTH(Q)), vf_fma(z, vf_set1(-0.5f), vf_set1(1)));
    return vf_flip(vf_select(vf_is_odd(quadrant), c, s), vf_of_bits(vfi_shl(quadrant, 30)));
}
/* The degrees are 5 (2^-57) and 5 (2^-64). */
AD_SIMD void vd_sin_cos(vd r, vd low, vd *sine, vd *cosine) {
    static const double P[] = {-0.1666666666666663,   0.008333333333322063,    -0.00019841269829542606,
                               2.755731360452909e-06, -2.5050745038625955e-08, 1.589606756996519e-10};
    static const double Q[] = {0.041666666666666595,    -0.0013888888888872975, 2.480158728880012e-05,
                               -2.7557314163999404e-07, 2.0875698711193095e-09, -1.13584236354403e-11};
    vd one = vd_set1(1), z = vd_mul(r, r), half = vd_mul(z, vd_set1(0.5)), w = vd_sub(one, half);
    vd tail = vd_fma(vd_mul(z, z), vd_poly(z, Q, AD_LENGTH(Q)), vd_neg(vd_mul(r, low)));
    *sine = vd_add(r, vd_fma(vd_mul(r, z), vd_poly(z, P, AD_LENGTH(P)), low));
    *cosine = vd_add(w, vd_add(vd_sub(vd_sub(one, w), half), tail));
}
AD_SIMD vd vd_sin_core(vd r, vd low, vdi quadrant) {
    vd s, c;
    vd_sin_cos(r, low, &s, &c);
    return vd_flip(vd_select(vd_is_odd(quadrant), c, s), vd_of_bits(vdi_shl(quadrant, 62)));
}
AD_SIMD vf vf_sin(vf x) {
    vfi quadrant;
    vf r = vf_trig_reduce(vf_abs(x), &quadrant);
    return vf_flip(vf_sin_core(r, quadrant), x);
}
AD_SIMD vd vd_sin(vd x) {
    vdi quadrant;
    vd low, r = vd_trig_reduce(vd_abs(x), &low, &quadrant);
    return vd_flip(vd_sin_core(r, low, quadrant), x);
}
AD_SIMD vf vf_cos(vf x) {
    vfi quadrant;
    vf r = vf_trig_reduce(vf_abs(x), &quadrant);
    return vf_sin_core(r, vfi_add(quadrant, vfi_set1(1)));
}
AD_SIMD vd vd_cos(vd x) {
    vdi quadrant;
    vd low, r = vd_trig_reduce(vd_abs(x), &low, &quadrant);
    return vd_sin_core(r, low, vdi_add(quadrant, vdi_set1(1)));
}

/* tan is -1 / tan r in odd quadrants. f32: tan r = r + r^3 p(r^2), p of degree 6: 2^-29 */
AD_SIMD vf vf_tan(vf x) {
    static const float P[] = {0.3333335f,   0.13332663f,    0.05405998f,  0.021281863f,
                              0.010836672f, 8.8427863e-05f, 0.0043768305f};
    vfi quadrant;
    vf r = vf_trig_reduce(vf_abs(x), &quadrant), z = vf_mul(r, r);
    vf t = vf_fma(vf_mul(r, z), vf_poly(z, P, AD_LENGTH(P)), r), one = vf_set1(1);
    mf odd = vf_is_odd(quadrant);
    return vf_flip(vf_div(vf_select(odd, vf_neg(one), t), vf_select(odd, t, one)), x);
}
AD_SIMD vd vd_tan(vd x) {
    vdi quadrant;
    vd low, s, c, r = vd_trig_reduce(vd_abs(x), &low, &quadrant);
    vd_sin_cos(r, low, &s, &c);
    md odd = vd_is_odd(quadrant);
    return vd_flip(vd_div(vd_select(odd, vd_neg(c), s), vd_select(odd, s, c)), x);
}

/* ---- atan: of r = |x| up to `least`, else of what is left of pi/4 or pi/2 ----
 * rest: what rounding pi takes off, of the rounded. atan r = r + r^3 p(r^2); p of degree 5: 2^-27 on [0, 1/2]
 * (f32), where a quotient has errors as large as the result's; 12: 2^-55 up to tan(pi/8) (f64) */
#define ATAN(v, m, T, least, rest, ...)                                                                      \
    AD_SIMD v v##_atan(v x) {                                                                                \
        static const T P[] = {__VA_ARGS__};                                                                  \
        const v t = v##_abs(x), one = v##_set1(1), zero = v##_zero();                                        \
        const m middle = v##_lt(v##_set1(least), t);                                                         \
        const m large = v##_lt(v##_set1((T)2.414213562373095), t);                                           \
        const v over = v##_select(large, v##_neg(one), v##_select(middle, v##_sub(t, one), t));              \
        const v r = v##_div(over, v##_select(large, t, v##_select(middle, v##_add(t, one), one)));           \
        const v about = v##_select(large, v##_set1((T)1.5707963267948966),                                   \
                                   v##_select(middle, v##_set1((T)0.7853981633974483), zero));               \
        const v z = v##_mul(r, r), p = v##_poly(z, P, AD_LENGTH(P));                                         \
        const v near = v##_add(r, v##_fma(v##_mul(r, z), p, v##_mul(about, v##_set1(rest))));                \
        return v##_copysign(v##_add(about, near), x);                                                        \
    }
ATAN(vf, mf, float, 0.5f, -2.7827534e-8f, -0.33333328f, 0.19999489f, -0.14272079f, 0.10940981f, -0.07984058f,
     0.038723186f)
ATAN(vd, md, double, 0.41421356237309503, 3.8981718325193755e-17, -0.3333333333333333, 0.19999999999999993,
     -0.14285714285711518, 0.11111111110754729, -0.0909090906700999, 0.07692306736000173,
     -0.06666642020055166, 0.058819252531928636, -0.05258041554297779, 0.04719395030027433,
     -0.04104436265755082, 0.030635704112969498, -0.01391822929102443)

/* ---- erf ----
 * f32: 1 - b^-q with b = exp(2/sqrt(pi)), the slope of erf at 0, so that q(a) = a + a^2 p(a), p of degree 7:
 * 2^-27 on [0, 3.93], from where on the result rounds to 1. As b^-q = 2^k b^-r, and 1 - b^-r = r + r e(r), e
 * of degree 5: 2^-26, small results keep their digits. f64: x + x p(x^2) below 1, p of degree 11: 2^-56; else
 * 1 - exp(q(|x|)), q = log erfc on [1, 6] of degree 17: 2^-57 */
AD_SIMD vf vf_erf(vf x) {
    static const float P[] = {0.5641894f,    0.091083355f,   -0.016970094f, -0.00014887039f,
                              0.0014837517f, -0.0005641811f, 0.0001051584f, -8.300475e-06f};
    static const float E[] = {0.12837918f,  -0.6366198f,   0.2394472f,
                              -0.06754684f, 0.0153090805f, -0.002875022f};
    vf a = vf_min(vf_set1(3.93f), vf_abs(x)), q = vf_fma(vf_mul(a, a), vf_poly(a, P, AD_LENGTH(P)), a);
    vf t = vf_fma(q, vf_set1(-1.627907f), vf_set1(VF_INTEGER)); /* log2 of b */
    vf r = vf_fma(vf_sub(t, vf_set1(VF_INTEGER)), vf_set1(0.6142857f), q), scale = vf_power(t, 1);
    vf p = vf_fma(r, vf_poly(r, E, AD_LENGTH(E)), r);
    return vf_flip(vf_fma(p, scale, vf_sub(vf_set1(1), scale)), x);
}
AD_SIMD vd vd_erf_small(vd x) {
    static const double P[] = {0.12837916709551256,    -0.3761263890318352,    0.11283791670944185,
                               -0.02686617064311153,   0.005223977606119001,   -0.0008548325929339361,
                               0.00012055293577623624, -1.492471231540805e-05, 1.644713172985184e-06,
                               -1.62063149184187e-07,  1.371098517488564e-08,  -7.779476959021837e-10};
    return vd_fma(x, vd_poly(vd_mul(x, x), P, AD_LENGTH(P)), x);
}
AD_SIMD vd vd_erf(vd x) {
    static const double Q[] = {-5.029146087639521e-07,  -1.128374088813429,      -0.6366436312188501,
                               -0.10270343043675724,    0.018990160729339733,    0.0004106543416159993,
                               -0.0019159725542588883,  0.0007706681905581247,   -0.00013506708690637058,
                               -2.0257867002665563e-05, 2.2818871101962265e-05,  -8.665993543911142e-06,
                               2.1353862567303834e-06,  -3.7324810386187697e-07, 4.6415361593767676e-08,
                               -3.933549178826017e-09,  2.0445513772770792e-10,  -4.92752312586843e-12};
    vd a = vd_abs(x), one = vd_set1(1);
    vd small = vd_erf_small(a);
    vd large = vd_sub(one, vd_exp_usual(vd_poly(vd_min(vd_set1(6), a), Q, AD_LENGTH(Q))));
    return vd_flip(vd_select(vd_lt(a, one), small, large), x);
}

/* erfc: with t = |x| and r = 1 / (t + b) it is exp(-t^2) r p((t - b) r), what rounding takes off the square
 * and off r added to the exponent; b = 9/4, p of degree 10: 2^-29 up to 10.1 (f32), b = 3, 20: 2^-55 on
 * [0.45, 27.3] (f64); from there on it is 0. Terms of p cancel, so the last two are added one by one. */
#define ERFC_TAIL(v, T, b, last, first, second, ...)                                                         \
    AD_SIMD v v##_erfc_tail(v x) {                                                                           \
        static const T P[] = {__VA_ARGS__};                                                                  \
        const v one = v##_set1(1), two = v##_set1(2), t = v##_min(v##_set1(last), v##_abs(x));               \
        const v d = v##_add(t, v##_set1(b)), d_low = v##_sub(t, v##_sub(d, v##_set1(b)));                    \
        const v r = v##_div(one, d), back = v##_neg(r);                                                      \
        const v off = v##_fma(back, d_low, v##_fma_exact(back, d, one));                                     \
        const v near = v##_mul(v##_sub(t, v##_set1(b)), r), u = v##_fma(near, off, near);                    \
        const v q = v##_fma(v##_poly(u, P, AD_LENGTH(P)), u, v##_set1(second));                              \
        const v p = v##_fma(q, u, v##_set1(first));                                                          \
        const v square = v##_neg(v##_mul(t, t)), low = v##_sub(off, v##_fma_exact(t, t, square));            \
        const v y = v##_exp_sum(square, low, v##_mul(p, r));                                                 \
        return v##_select(v##_lt(x, v##_zero()), v##_sub(two, y), y);                                        \
    }
ERFC_TAIL(vf, float, 2.25f, 11, 1.0398927f, -0.751959f, 0.37151766f, -0.101210296f, -0.0036137674f,
          0.011656921f, -0.0007805675f, -0.0016220122f, 4.2310196e-05f, 0.00024160834f, 4.8913866e-05f)
ERFC_TAIL(vd, double, 3, 30, 1.0740069070883396, -0.8833944531698835, 0.5902283571041106, -0.3104672619005818,
          0.11952776128675167, -0.02682723462377138, -0.0012124166144443088, 0.0030340619859098197,
          -0.0005483098452151189, -0.0002767776701314683, 0.00010756254753908785, 3.0396967827336006e-05,
          -1.747504548757913e-05, -4.7442136616649324e-06, 2.7771659559042167e-06, 9.857377122519747e-07,
          -4.268961021313229e-07, -2.1235014131273023e-07, 6.342091807503477e-08, 3.1180489860219456e-08,
          -8.58928699192364e-09)
AD_SIMD vf vf_erfc(vf x) { return vf_erfc_tail(x); }
AD_SIMD vd vd_erfc(vd x) {
    vd near = vd_sub(vd_set1(1), vd_erf_small(x));
    return vd_select(vd_lt(vd_abs(x), vd_set1(0.45)), near, vd_erfc_tail(x));
}

/* ---- pow ---- */
/* log(x) of a positive finite x as a sum, whose second term is returned in `low`; about 64 bits.
 * With s = f/(2+f): 2 s + s^3 (2/3 + s^2 p(s^2)), s^2 in [0, 0.0295], p of degree 6: 2^-66 */
AD_SIMD vd vd_log_pair(vd x, vd *low) {
    static const double P[] = {0.4000000000000227,  0.2857142857009193, 0.22222222521347915,
                               0.18181784237532564, 0.1538676351087592, 0.13256669280277114,
                               0.1319774639802208};
    const vd one = vd_set1(1), two_thirds = vd_set1(0x1.5555555555555p-1);
    vd k, m = vd_split_any(x, &k), f = vd_sub(m, one);
    vd d = vd_add(m, one), d_low = vd_sub(m, vd_sub(d, one));
    vd s = vd_div(f, d), s_neg = vd_neg(s);
    vd s_low = vd_div(vd_fma(s_neg, d_low, vd_fma_exact(s_neg, d, f)), d);
    vd z = vd_mul(s, s), z_low = vd_fma_exact(s, s, vd_neg(z));
    z_low = vd_fma(vd_add(s, s), s_low, z_low);
    vd v = vd_mul(s, z), v_low = vd_fma_exact(s, z, vd_neg(v)); /* s^3 */
    v_low = vd_add(v_low, vd_fma(s, z_low, vd_mul(s_low, z)));
    vd w = vd_mul(z, vd_poly(z, P, AD_LENGTH(P))), t = vd_add(two_thirds, w);
    vd t_low = vd_add(vd_add(vd_sub(two_thirds, t), w), vd_set1(0x1.5555555555555p-55));
    vd u = vd_mul(v, t), u_low = vd_fma_exact(v, t, vd_neg(u));
    u_low = vd_add(u_low, vd_fma(v, t_low, vd_mul(v_low, t)));
    vd s2 = vd_add(s, s), l = vd_add(s2, u);
    vd l_low = vd_add(vd_add(vd_sub(s2, l), u), vd_add(u_low, vd_add(s_low, s_low)));
    vd b = vd_mul(k, vd_set1(0x1.62e42fefa38p-1)),
       sum = vd_add(b, l); /* ln 2, 42 bits: the product is exact */
    l_low = vd_fma(k, vd_set1(0x1.ef35793c7673p-45), l_low);
    *low = vd_add(vd_add(vd_sub(b, sum), l), l_low);
    return sum;
}

/* x^y from r = |x|^y, which is right but for |x| = 1, y = 0 and the sign */
AD_SIMD vd vd_pow_finish(vd x, vd y, vd r) {
    const vd one = vd_set1(1), inf = vd_set1(INFINITY);
    vd a = vd_abs(x), half = vd_mul(y, vd_set1(0.5));
    md integer = vd_eq(vd_floor(y), y), odd = md_and(integer, vd_ne(vd_floor(half), half));
    r = vd_select(md_and(vd_eq(a, one), vd_eq(y, y)), one, r);
    r = vd_select(odd, vd_flip(r, x), r);
    md undefined = md_and(md_and(vd_lt(x, vd_zero()), vd_lt(a, inf)), md_not(integer));
    r = vd_select(undefined, vd_set1(NAN), r);
    return vd_select(md_or(vd_eq(y, vd_zero()), vd_eq(x, one)), one, r);
}
AD_SIMD vd vd_pow(vd x, vd y) {
    vd low, a = vd_abs(x), l = vd_log_special(a, vd_log_pair(a, &low));
    vd p = vd_mul(y, l), p_low = vd_fma(y, low, vd_fma_exact(y, l, vd_neg(p)));
    /* nan where p is infinite, and of no use where exp is 0 or infinite anyway */
    p_low = vd_select(vd_lt(vd_abs(p), vd_set1(800)), p_low, vd_zero());
    return vd_pow_finish(x, y, vd_exp_sum(p, p_low, vd_set1(1)));
}
/* |x|^y of lanes that are doubles, by 2^(y log2 |x|), for |x| not 0, infinite or nan; neither step is as
 * precise as f64, but both are by far more so than f32. log2(m) = s p(s^2) with s = (m-1)/(m+1), s^2 in [0,
 * 0.0295], p of degree 4: 2^-37; 2^r on [-1/2, 1/2] of degree 7: 2^-34. Past the limits f32 is 0 or infinite.
 */
AD_SIMD vd vd_rough_pow(vd x, vd y) {
    static const double P[] = {2.885390081790141, 0.9617966732842077, 0.577083594453872, 0.411672219047628,
                               0.34073833170687545};
    static const double E[] = {1.0,
                               0.6931471807284529,
                               0.24022651198158063,
                               0.055504103534326374,
                               0.009618027253637309,
                               0.001333392257572606,
                               0.00015469291143931172,
                               1.5201918808317033e-05};
    const vd one = vd_set1(1), integer = vd_set1(VD_INTEGER);
    vdi bits = vdi_add(vd_bits(x), vdi_set1(0x3ff0000000000000 - 0x3fe6a09e667f3bcd));
    vd k = vd_sub(vd_of_bits(vdi_or(vdi_shr(bits, 52), vd_bits(vd_set1(0x1p52)))), vd_set1(0x1p52 + 1023));
    vd m = vd_of_bits(vdi_add(vdi_and(bits, vdi_set1(0x000fffffffffffff)), vdi_set1(0x3fe6a09e667f3bcd)));
    vd s = vd_div(vd_sub(m, one), vd_add(m, one));
    vd l = vd_fma(s, vd_poly(vd_mul(s, s), P, AD_LENGTH(P)), k);
    vd p = vd_max(vd_set1(-200), vd_min(vd_set1(200), vd_mul(y, l))), t = vd_add(p, integer);
    vd scale = vd_of_bits(vdi_add(vdi_shl(vd_bits(t), 52), vd_bits(one)));
    return vd_mul(vd_poly(vd_sub(p, vd_sub(t, integer)), E, AD_LENGTH(E)), scale);
}
/* Right where 0 < x < inf and y is finite. */
AD_SIMD vf vf_pow_usual(vf x, vf y) {
    vd parts[VF_W / VD_W];
    AD_UNROLL for (int i = 0; i < VF_W / VD_W; i++) parts[i] = vd_rough_pow(vf_widen(x, i), vf_widen(y, i));
    return vf_narrow(parts);
}
static __attribute__((noinline)) vf vf_pow_rare(vf x, vf y) {
    const vf one = vf_set1(1), zero = vf_zero(), inf = vf_set1(INFINITY);
    vf a = vf_abs(x), half = vf_mul(y, vf_set1(0.5f)), r = vf_pow_usual(a, y);
    vf end = vf_mul(y, vf_select(vf_eq(a, zero), vf_neg(inf), inf));
    r = vf_select(mf_or(vf_eq(a, zero), vf_eq(a, inf)), vf_select(vf_lt(end, zero), zero, end), r);
    mf integer = vf_eq(vf_floor(y), y), odd = mf_and(integer, vf_ne(vf_floor(half), half));
    r = vf_select(mf_and(vf_eq(a, one), vf_eq(y, y)), one, r);
    r = vf_select(odd, vf_flip(r, x), r);
    mf undefined = mf_and(mf_and(vf_lt(x, zero), vf_lt(a, inf)), mf_not(integer));
    r = vf_select(mf_or(undefined, vf_ne(x, x)), vf_set1(NAN), r);
    return vf_select(mf_or(vf_eq(y, zero), vf_eq(x, one)), one, r);
}
AD_SIMD vf vf_pow(vf x, vf y) {
    const vf inf = vf_set1(INFINITY);
    mf usual = mf_and(mf_and(vf_lt(vf_zero(), x), vf_lt(x, inf)), vf_lt(vf_abs(y), inf));
    return __builtin_expect(mf_any(mf_not(usual)), 0) ? vf_pow_rare(x, y) : vf_pow_usual(x, y);
}

#endif
