/* simd/pow.h: x^y, by the logarithm as a sum of two numbers, or in doubles. */

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
/* x^y by 2^(y log2 x) of a vector of floats, for x positive and finite; neither step is as precise as f64,
 * but both are by far more so than f32. log2(m) = s p(s^2) with s = (m-1)/(m+1), s^2 in [0,
 * 0.0295], p of degree 4: 2^-37; 2^r on [-1/2, 1/2] of degree 7: 2^-34. Past the limits f32 is 0 or infinite.
 */
AD_SIMD vf vf_pow_by_doubles(vf x, vf y) {
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
    vd parts[VF_W / VD_W];
    AD_UNROLL for (int i = 0; i < VF_W / VD_W; i++) {
        vd k, m = vd_split(vf_widen(x, i), &k), s = vd_div(vd_sub(m, one), vd_add(m, one));
        vd p = vd_fma(s, vd_poly(vd_mul(s, s), P, AD_LENGTH(P)), k);
        p = vd_max(vd_set1(-200), vd_min(vd_set1(200), vd_mul(vf_widen(y, i), p)));
        vd t = vd_add(p, integer), r = vd_poly(vd_sub(p, vd_sub(t, integer)), E, AD_LENGTH(E));
        parts[i] = vd_mul(r, vd_power(t, 1));
    }
    return vf_narrow(parts);
}

/* The usual way, of n vectors in step, as one takes so long that a CPU sees too few others begin meanwhile:
 * in sums of two floats, with tables of 16. x = 2^k m, m in [0.703, 1.406). c is near 1/m, and of so few bits
 * that r = c m - 1 is exact: |r| < 0.0343, log2 x = k - log2 c + log2(1 + r). -log2 c is a number whose sum
 * with k is exact, and what that lacks. */
#if VF_W > 1 || defined(__FP_FAST_FMAF)
enum { POW_IN_FLOATS = 1 };
#else
enum { POW_IN_FLOATS = 0 }; /* there is no FMA */
#endif
enum { POW_VECTORS = 2 };
#define EACH AD_UNROLL for (int i = 0; i < n; i++)
AD_SIMD void vf_log2_sum(const vf *x, vf *high, vf *low, const int n) {
    static const float C[] = {1.375f,   1.34375f,  1.28125f,  1.21875f, 1.1875f, 1.15625f,
                              1.09375f, 1.0625f,   1.03125f,  1.0f,     0.9375f, 0.890625f,
                              0.84375f, 0.796875f, 0.765625f, 0.71875f};
    static const float LOG[] = {-0.4594345f,   -0.4262619f,  -0.35755157f, -0.2854004f,
                                -0.2479248f,   -0.20944977f, -0.12928009f, -0.08746338f,
                                -0.044395447f, 0.0f,         0.09310913f,  0.16710663f,
                                0.24510956f,   0.32757568f,  0.38529205f,  0.47644043f};
    static const float LOG_LOW[] = {
        2.89064e-06f,    -2.8528466e-06f, -4.2991104e-07f, -1.8282373e-06f, -2.708756e-06f,
        -3.5975625e-06f, -2.926613e-06f,  5.376559e-07f,   1.3274189e-06f,  0.0f,
        2.735321e-07f,   3.3574172e-06f,  2.939731e-06f,   -1.0255652e-06f, -1.8973378e-06f,
        -2.3857444e-06f};
    /* with w = -r^2/2: (log(1 + r) - r - w) / (r w) = p0 + p1 r + w (p2 + p3 r); 2^-41 of the sum */
    static const float P[] = {-0.6666665f, 0.49999974f, 0.8009394f, -0.66769024f};
    const vfi least = vfi_set1(0x3f340000);
    const vf log2_e = vf_set1(1.442695f), log2_e_low = vf_set1(1.925963e-08f);
    vfi bits[POW_VECTORS];
    vf k[POW_VECTORS], r[POW_VECTORS], w[POW_VECTORS], a[POW_VECTORS];
    EACH {
        bits[i] = vfi_add(vf_bits(x[i]), vfi_set1((127u << 23) - 0x3f340000));
        k[i] = vf_of_bits(vfi_or(vfi_shr(bits[i], 23), vf_bits(vf_set1(0x1p23f))));
        r[i] = vf_of_bits(vfi_add(vfi_and(bits[i], vfi_set1(0x007fffff)), least));
        bits[i] = vfi_shr(bits[i], 19);
    }
    EACH r[i] = vf_fma_exact(r[i], vf_of_16(C, bits[i]), vf_set1(-1));
    EACH k[i] = vf_add(vf_sub(k[i], vf_set1(0x1p23f + 127)), vf_of_16(LOG, bits[i]));
    EACH { /* log(1 + r) = a + low, a = r - r^2/2 rounded */
        const vf half = vf_mul(r[i], vf_set1(-0.5f));
        a[i] = vf_fma_exact(half, r[i], r[i]), w[i] = vf_mul(half, r[i]);
        low[i] = vf_fma_exact(half, r[i], vf_sub(r[i], a[i]));
    }
    EACH {
        const vf near = vf_fma(vf_set1(P[1]), r[i], vf_set1(P[0]));
        const vf p = vf_fma(vf_set1(P[3]), r[i], vf_set1(P[2]));
        low[i] = vf_fma(vf_mul(w[i], r[i]), vf_fma(p, w[i], near), low[i]);
    }
    EACH high[i] = vf_fma_exact(a[i], log2_e, k[i]);
    EACH k[i] = vf_fma_exact(a[i], log2_e, vf_sub(k[i], high[i]));
    EACH a[i] = vf_fma(a[i], log2_e_low, vf_of_16(LOG_LOW, bits[i]));
    EACH low[i] = vf_fma(low[i], log2_e, vf_add(a[i], k[i]));
}
/* Tells where it is right: of positive normal numbers whose power is normal. 2^p = 2^k 2^(j/16) 2^r, |r| <
 * 1/31. */
AD_SIMD void vf_pow_each(const vf *x, const vf *y, vf *power, mf *right, const int n) {
    static const float E[] = {0.6931472f, 0.2402348f, 0.05550609f}; /* (2^r - 1) / r: 2^-29 */
    const vf sixteenth = vf_set1(VF_SIXTEENTH);
    vf high[POW_VECTORS], low[POW_VECTORS], t[POW_VECTORS], k[POW_VECTORS], r[POW_VECTORS];
    vf_log2_sum(x, high, low, n);
    EACH t[i] = vf_fma(y[i], vf_add(high[i], low[i]), sixteenth), k[i] = vf_sub(sixteenth, t[i]);
    EACH right[i] = mf_and(vf_le(vf_set1(0x1p-126f), x[i]), vf_lt(x[i], vf_set1(INFINITY)));
    EACH right[i] = mf_and(right[i], vf_lt(vf_abs(k[i]), vf_set1(126)));
    EACH r[i] = vf_fma(y[i], low[i], vf_fma_exact(y[i], high[i], k[i]));
    EACH {
        const vf p = vf_fma(r[i], vf_set1(E[2]), vf_set1(E[1]));
        k[i] = vf_fma(vf_mul(r[i], r[i]), p, vf_of_16(vf_power_rests, vf_bits(t[i])));
    }
    EACH t[i] = vf_power_16(vf_bits(t[i]));
    EACH power[i] = vf_fma(t[i], vf_fma(r[i], vf_set1(E[0]), k[i]), t[i]);
}
#undef EACH
/* x^y of any numbers, from what vf_pow_each made of them. */
static __attribute__((noinline)) vf vf_pow_rest(vf x, vf y, vf r, mf right) {
    const vf one = vf_set1(1), zero = vf_zero(), inf = vf_set1(INFINITY);
    const vf a = vf_abs(x), half = vf_mul(y, vf_set1(0.5f));
    if (POW_IN_FLOATS && mf_any(vf_lt(x, zero))) vf_pow_each(&a, &y, &r, &right, 1);
    const mf at_end = mf_or(vf_eq(a, zero), vf_eq(a, inf));
    if (mf_any(mf_not(mf_or(right, at_end)))) r = vf_select(right, r, vf_pow_by_doubles(a, y));
    const vf end = vf_mul(y, vf_select(vf_eq(a, zero), vf_neg(inf), inf));
    r = vf_select(at_end, vf_select(vf_lt(end, zero), zero, end), r);
    mf integer = vf_eq(vf_floor(y), y), odd = mf_and(integer, vf_ne(vf_floor(half), half));
    r = vf_select(mf_and(vf_eq(a, one), vf_eq(y, y)), one, r);
    r = vf_select(odd, vf_flip(r, x), r);
    mf undefined = mf_and(mf_and(vf_lt(x, zero), vf_lt(a, inf)), mf_not(integer));
    r = vf_select(mf_or(undefined, vf_ne(x, x)), vf_set1(NAN), r);
    return vf_select(mf_or(vf_eq(y, zero), vf_eq(x, one)), one, r);
}
static __attribute__((noinline)) vf vf_pow(vf x, vf y) {
    vf r = x;
    mf right = vf_lt(x, x);
    if (POW_IN_FLOATS) vf_pow_each(&x, &y, &r, &right, 1);
    return vf_pow_rest(x, y, r, right);
}
