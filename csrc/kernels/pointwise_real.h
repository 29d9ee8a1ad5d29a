/* kernels/pointwise_real.h: the float instructions on one vector; included by pointwise.h for f32 and f64
 * with V, M (vector, mask), T (element), W (lanes), v(op), m(op) (their operations) and K(name) (the names
 * made). */

AD_SIMD V K(truth)(M m) { return v(select)(m, v(set1)(1), v(zero)()); }
AD_SIMD M K(nonzero)(V a) { return v(ne)(a, v(zero)()); }

/* arithmetic */
AD_SIMD V K(copy)(V a) { return a; }
AD_SIMD V K(add)(V a, V b) { return v(add)(a, b); }
AD_SIMD V K(sub)(V a, V b) { return v(sub)(a, b); }
AD_SIMD V K(mul)(V a, V b) { return v(mul)(a, b); }
AD_SIMD V K(div)(V a, V b) { return v(div)(a, b); }
AD_SIMD V K(fma)(V a, V b, V c) { return v(fma_exact)(a, b, c); }
AD_SIMD V K(neg)(V a) { return v(neg)(a); }
AD_SIMD V K(abs)(V a) { return v(abs)(a); }
AD_SIMD V K(sign)(V a) {
    V rest = v(select)(v(lt)(a, v(zero)()), v(set1)(-1), v(zero)());
    return v(select)(v(lt)(v(zero)(), a), v(set1)(1), rest);
}
AD_SIMD V K(present)(V a) { return v(select)(v(eq)(a, a), a, v(zero)()); }
AD_SIMD V K(reciprocal)(V a) { return v(div)(v(set1)(1), a); }
AD_SIMD V K(sqrt)(V a) { return v(sqrt)(a); }
AD_SIMD V K(rsqrt)(V a) { return v(div)(v(set1)(1), v(sqrt)(a)); }
AD_SIMD V K(truncdiv)(V a, V b) { return v(trunc)(v(div)(a, b)); }
AD_SIMD V K(minimum)(V a, V b) { return v(minimum)(a, b); }
AD_SIMD V K(maximum)(V a, V b) { return v(maximum)(a, b); }

/* two in one: what is not written to memory between them is rounded all the same */
AD_SIMD V K(add_add)(V a, V b, V c) { return v(add)(v(add)(a, b), c); }
AD_SIMD V K(add_mul)(V a, V b, V c) { return v(mul)(v(add)(a, b), c); }
AD_SIMD V K(sub_mul)(V a, V b, V c) { return v(mul)(v(sub)(a, b), c); }
AD_SIMD V K(mul_add)(V a, V b, V c) { return v(add)(v(mul)(a, b), c); }
AD_SIMD V K(mul_sub)(V a, V b, V c) { return v(sub)(v(mul)(a, b), c); }
AD_SIMD V K(mul_from)(V a, V b, V c) { return v(sub)(c, v(mul)(a, b)); }
AD_SIMD V K(mul_mul)(V a, V b, V c) { return v(mul)(v(mul)(a, b), c); }
AD_SIMD V K(neg_mul)(V a, V b) { return v(mul)(v(neg)(a), b); }
AD_SIMD V K(div_add)(V a, V b, V c) { return v(add)(v(div)(a, b), c); }

/* Lanes of fmod with a quotient too large for one step, or with an infinite divisor. */
static __attribute__((noinline)) V K(fmod_rare)(V a, V b, V r, M rare) {
    T as[W], bs[W], rs[W], todo[W];
    v(store)(as, a), v(store)(bs, b), v(store)(rs, r), v(store)(todo, K(truth)(rare));
    for (int i = 0; i < W; i++)
        if (todo[i] != 0) rs[i] = (T)fmod(as[i], bs[i]);
    return v(load)(rs);
}
/* The quotient, rounded and truncated, is right or one too large, and either remainder is exact. */
AD_SIMD V K(fmod)(V a, V b) {
    V x = v(abs)(a), y = v(abs)(b), q = v(trunc)(v(div)(x, y));
    V r = v(fma_exact)(v(neg)(q), y, x);
    r = v(copysign)(v(select)(v(lt)(r, v(zero)()), v(add)(r, y), r), a);
    M simple = m(and)(v(lt)(q, v(set1)(1 / EPSILON)), v(lt)(y, v(set1)(INFINITY)));
    M rare = m(and)(m(not )(simple), v(ne)(b, v(zero)())); /* by zero r is nan already */
    return m(any)(rare) ? K(fmod_rare)(a, b, r, rare) : r;
}
/* whether fmod's result r, of a's sign, needs one more b for b's sign */
AD_SIMD M K(sign_differs)(V r, V b) {
    return m(and)(K(nonzero)(r), v(lt)(v(mul)(v(copysign)(v(set1)(1), r), b), v(zero)()));
}
AD_SIMD V K(remainder)(V a, V b) {
    V r = K(fmod)(a, b);
    return v(select)(K(sign_differs)(r, b), v(add)(r, b), r);
}
/* floor((a - fmod(a, b)) / b), whose division is all but exact, with the sign of a zero kept */
AD_SIMD V K(floordiv)(V a, V b) {
    V one = v(set1)(1), plain = v(div)(a, b), r = K(fmod)(a, b);
    V q = v(div)(v(sub)(a, r), b);
    q = v(select)(K(sign_differs)(r, b), v(sub)(q, one), q);
    V low = v(floor)(q);
    low = v(select)(v(lt)(v(set1)((T)0.5), v(sub)(q, low)), v(add)(low, one), low);
    low = v(select)(v(eq)(q, v(zero)()), v(copysign)(v(zero)(), plain), low);
    return v(select)(v(eq)(b, v(zero)()), plain, low);
}
AD_SIMD V K(copysign)(V a, V b) { return v(copysign)(a, v(select)(v(eq)(b, b), b, v(zero)())); }
AD_SIMD V K(nextafter)(V a, V b) { return v(nextafter)(a, b); }

/* rounding */
AD_SIMD V K(floor)(V a) { return v(floor)(a); }
AD_SIMD V K(ceil)(V a) { return v(ceil)(a); }
AD_SIMD V K(trunc)(V a) { return v(trunc)(a); }
AD_SIMD V K(round)(V a) { return v(round)(a); }
AD_SIMD V K(frac)(V a) { return v(sub)(a, v(trunc)(a)); }

/* comparisons and logic */
AD_SIMD V K(lt)(V a, V b) { return K(truth)(v(lt)(a, b)); }
AD_SIMD V K(le)(V a, V b) { return K(truth)(v(le)(a, b)); }
AD_SIMD V K(eq)(V a, V b) { return K(truth)(v(eq)(a, b)); }
AD_SIMD V K(ne)(V a, V b) { return K(truth)(v(ne)(a, b)); }
AD_SIMD V K(where)(V a, V b, V c) { return v(select)(K(nonzero)(a), b, c); }
AD_SIMD V K(keep_lt)(V a, V b, V c) { return v(select)(v(lt)(a, b), c, v(zero)()); }
AD_SIMD V K(keep_le)(V a, V b, V c) { return v(select)(v(le)(a, b), c, v(zero)()); }
AD_SIMD V K(drop_lt)(V a, V b, V c) { return v(select)(v(lt)(a, b), v(zero)(), c); }
AD_SIMD V K(drop_le)(V a, V b, V c) { return v(select)(v(le)(a, b), v(zero)(), c); }
AD_SIMD V K(keep_within)(V a, V b, V c) { return K(keep_lt)(v(abs)(a), b, c); }
AD_SIMD V K(drop_within)(V a, V b, V c) { return K(drop_le)(v(abs)(a), b, c); }
AD_SIMD V K(replace_le)(V a, V b, V c) { return v(select)(v(le)(a, b), c, a); }
AD_SIMD V K(sloped)(V a, V b, V c) { return v(select)(v(lt)(v(zero)(), b), a, v(mul)(a, c)); }
AD_SIMD V K(limited)(V a, V b, V c) { return v(minimum)(v(maximum)(a, b), c); }
AD_SIMD V K(lerp)(V a, V b, V c) {
    M near = v(lt)(v(abs)(c), v(set1)((T)0.5));
    V weight = v(select)(near, c, v(sub)(c, v(set1)(1)));
    return v(fma_exact)(weight, v(sub)(b, a), v(select)(near, a, b));
}
AD_SIMD V K(softshrink)(V a, V b) {
    V size = v(abs)(a);
    return K(copysign)(v(sub)(size, v(minimum)(size, b)), a);
}
AD_SIMD V K(nan_to_largest)(V a, V b, V c) { return v(minimum)(v(max)(K(present)(a), b), c); }
AD_SIMD V K(squared_error)(V a, V b) {
    V error = v(sub)(a, b);
    return v(mul)(error, error);
}
AD_SIMD V K(absolute_error)(V a, V b) { return v(abs)(v(sub)(a, b)); }
AD_SIMD V K(smooth_l1_loss)(V a, V b, V c) {
    V error = v(abs)(v(sub)(a, b)), near = v(minimum)(error, c);
    return v(mul)(v(div)(near, c), v(fma_exact)(near, v(set1)((T)-0.5), error));
}
AD_SIMD V K(huber_loss)(V a, V b, V c) {
    V error = v(abs)(v(sub)(a, b)), near = v(minimum)(error, c);
    return v(mul)(near, v(sub)(error, v(mul)(v(set1)((T)0.5), near)));
}
AD_SIMD V K(bounded_error)(V a, V b, V c) { return K(limited)(v(sub)(a, b), v(neg)(c), c); }
AD_SIMD V K(within_6)(V a) { return K(limited)(v(add)(a, v(set1)(3)), v(zero)(), v(set1)(6)); }
AD_SIMD V K(hardsigmoid)(V a) { return v(div)(K(within_6)(a), v(set1)(6)); }
AD_SIMD V K(hardswish)(V a) { return v(div)(v(mul)(a, K(within_6)(a)), v(set1)(6)); }
AD_SIMD V K(hardswish_slope)(V a) {
    V slope = v(add)(v(div)(a, v(set1)(3)), v(set1)((T)0.5));
    return v(select)(v(lt)(a, v(set1)(3)), slope, v(set1)(1));
}
AD_SIMD V K(logical_not)(V a) { return K(truth)(v(eq)(a, v(zero)())); }
AD_SIMD V K(logical_and)(V a, V b) { return K(truth)(m(and)(K(nonzero)(a), K(nonzero)(b))); }
AD_SIMD V K(logical_or)(V a, V b) { return K(truth)(m(or)(K(nonzero)(a), K(nonzero)(b))); }
AD_SIMD V K(logical_xor)(V a, V b) {
    V x = K(truth)(K(nonzero)(a)), y = K(truth)(K(nonzero)(b));
    return K(truth)(v(ne)(x, y));
}
AD_SIMD V K(isnan)(V a) { return K(truth)(v(ne)(a, a)); }
AD_SIMD V K(isinf)(V a) { return K(truth)(v(eq)(v(abs)(a), v(set1)(INFINITY))); }
AD_SIMD V K(isfinite)(V a) { return K(truth)(v(lt)(v(abs)(a), v(set1)(INFINITY))); }
AD_SIMD V K(to_truth)(V a) { return K(truth)(K(nonzero)(a)); }
/* The sum makes of -0 the 0 that an integer is. */
AD_SIMD V K(wrap_int32)(V a) {
    V whole = v(add)(v(trunc)(a), v(zero)());
    return v(select)(v(lt)(v(abs)(a), v(set1)(0x1p31f)), whole, v(set1)(-0x1p31f));
}

/* transcendental */
AD_SIMD V K(exp)(V a) { return v(exp)(a); }
AD_SIMD V K(exp2)(V a) { return v(exp2)(a); }
AD_SIMD V K(expm1)(V a) { return v(expm1)(a); }
AD_SIMD V K(log)(V a) { return v(log)(a); }
AD_SIMD V K(log1p)(V a) { return v(log1p)(a); }
AD_SIMD V K(sin)(V a) { return v(sin)(a); }
AD_SIMD V K(cos)(V a) { return v(cos)(a); }
AD_SIMD V K(tan)(V a) { return v(tan)(a); }
AD_SIMD V K(atan)(V a) { return v(atan)(a); }
AD_SIMD V K(tanh)(V a) { return v(tanh)(a); }
AD_SIMD V K(sigmoid)(V a) { return v(sigmoid)(a); }
AD_SIMD V K(gated)(V a, V b) { return v(mul)(a, v(sigmoid)(b)); }
AD_SIMD V K(sigmoid_slope)(V a) {
    V opposite, sigmoid = v(sigmoids)(a, &opposite);
    return v(mul)(sigmoid, opposite);
}
AD_SIMD V K(silu_slope)(V a) {
    V opposite, sigmoid = v(sigmoids)(a, &opposite);
    return v(mul)(sigmoid, v(fma_exact)(a, opposite, v(set1)(1)));
}
AD_SIMD V K(erf)(V a) { return v(erf)(a); }
AD_SIMD V K(erfc)(V a) { return v(erfc)(a); }
AD_SIMD V K(gelu)(V a) { return v(gelu)(a); }
AD_SIMD V K(pow)(V a, V b) { return v(pow)(a, b); }

#undef T
#undef V
#undef M
#undef W
#undef EPSILON
#undef v
#undef m
#undef K
