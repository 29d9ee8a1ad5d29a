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
/* |x|^y of n vectors of doubles, by 2^(y log2 |x|), for |x| not 0, infinite or nan; neither step is as
 * precise as f64, but both are by far more so than f32. log2(m) = s p(s^2) with s = (m-1)/(m+1), s^2 in [0,
 * 0.0295], p of degree 4: 2^-37; 2^r on [-1/2, 1/2] of degree 7: 2^-34. Past the limits f32 is 0 or infinite.
 * One takes so long that a CPU sees too few others begin meanwhile: they go in step. */
enum { POW_VECTORS = 2, POW_PARTS = POW_VECTORS * VF_W / VD_W };
#define EACH_PART AD_UNROLL for (int i = 0; i < n; i++)
AD_SIMD void vd_rough_pow(const vd *x, const vd *y, vd *r, const int n) {
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
    vd k[POW_PARTS], s[POW_PARTS], p[POW_PARTS], t[POW_PARTS];
    EACH_PART s[i] = vd_split(x[i], &k[i]);
    EACH_PART s[i] = vd_div(vd_sub(s[i], one), vd_add(s[i], one));
    EACH_PART p[i] = vd_poly(vd_mul(s[i], s[i]), P, AD_LENGTH(P));
    EACH_PART p[i] = vd_mul(y[i], vd_fma(s[i], p[i], k[i]));
    EACH_PART p[i] = vd_max(vd_set1(-200), vd_min(vd_set1(200), p[i]));
    EACH_PART t[i] = vd_add(p[i], integer);
    EACH_PART p[i] = vd_sub(p[i], vd_sub(t[i], integer));
    EACH_PART r[i] = vd_poly(p[i], E, AD_LENGTH(E));
    EACH_PART r[i] = vd_mul(r[i], vd_of_bits(vdi_add(vdi_shl(vd_bits(t[i]), 52), vd_bits(one))));
}
/* Right where 0 < x < inf and y is finite. */
AD_SIMD void vf_pow_each(const vf *x, const vf *y, vf *r, const int n) {
    const int parts = VF_W / VD_W;
    vd a[POW_PARTS], b[POW_PARTS];
    AD_UNROLL for (int i = 0; i < n * parts; i++) {
        a[i] = vf_widen(x[i / parts], i % parts);
        b[i] = vf_widen(y[i / parts], i % parts);
    }
    vd_rough_pow(a, b, a, n * parts);
    AD_UNROLL for (int i = 0; i < n; i++) r[i] = vf_narrow(a + i * parts);
}
AD_SIMD vf vf_pow_usual(vf x, vf y) {
    vf_pow_each(&x, &y, &x, 1);
    return x;
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
AD_SIMD int vf_pow_is_rare(vf x, vf y) {
    const vf inf = vf_set1(INFINITY);
    return mf_any(mf_not(mf_and(mf_and(vf_lt(vf_zero(), x), vf_lt(x, inf)), vf_lt(vf_abs(y), inf))));
}
AD_SIMD vf vf_pow(vf x, vf y) {
    return __builtin_expect(vf_pow_is_rare(x, y), 0) ? vf_pow_rare(x, y) : vf_pow_usual(x, y);
}
