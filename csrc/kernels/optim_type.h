/* kernels/optim_type.h: included by optim.h once for each element type T.
 *
 * PyTorch's order of operations, and its roundings: x.add(y, alpha=a) and x.addcmul(y, z, value=a) end in one
 * fused multiply-add, x.addcdiv(y, z, value=a) in a division and an addition. */

#define SET(x) V(_set1)((T)(x))

/* A formula gives the new parameter from the old one, the gradient and the states, which it renews. */
typedef V() NAME(formula)(V() param, V() grad, V() * s, const ad_update *u);

/* from + weight * (to - from), without overshooting */
AD_SIMD V() NAME(lerp)(V() from, V() to, double weight) {
    const T w = (T)weight;
    const V() way = V(_sub)(to, from);
    return w > (T)-0.5 && w < (T)0.5 ? V(_fma)(V(_set1)(w), way, from) : V(_fma)(V(_set1)(w - 1), way, to);
}
/* beta * average + (1 - beta) * x^2 */
AD_SIMD V() NAME(mean_square)(V() average, V() x, double beta) {
    return V(_fma)(V(_mul)(SET(1 - beta), x), x, V(_mul)(average, SET(beta)));
}
/* param - rate * x / y */
AD_SIMD V() NAME(descend)(V() param, V() x, V() y, double rate) {
    return V(_add)(param, V(_div)(V(_mul)(SET(-rate), x), y));
}

AD_SIMD V() NAME(sgd_formula)(V() param, V() grad, V() * s, const ad_update *u) {
    (void)s;
    return V(_fma)(grad, SET(-u->lr), param);
}

AD_SIMD V() NAME(sgd_momentum_formula)(V() param, V() grad, V() * s, const ad_update *u) {
    const V() momentum = SET(u->momentum), kept = V(_mul)(s[0], momentum);
    s[0] = u->fresh ? grad : V(_fma)(grad, SET(1 - u->dampening), kept);
    const V() way = u->nesterov ? V(_fma)(s[0], momentum, grad) : s[0];
    return V(_fma)(way, SET(-u->lr), param);
}

AD_SIMD V() NAME(adam_with)(V() param, V() grad, V() * s, const ad_update *u, bool amsgrad) {
    s[0] = NAME(lerp)(s[0], grad, 1 - u->beta1);
    s[1] = NAME(mean_square)(s[1], grad, u->beta2);
    if (amsgrad) s[2] = V(_maximum)(s[2], s[1]);
    const V() root = V(_sqrt)(amsgrad ? s[2] : s[1]);
    return NAME(descend)(param, s[0], V(_add)(V(_div)(root, SET(u->correction)), SET(u->eps)), u->lr);
}
AD_SIMD V() NAME(adam_formula)(V() param, V() grad, V() * s, const ad_update *u) {
    return NAME(adam_with)(param, grad, s, u, false);
}
AD_SIMD V() NAME(adam_amsgrad_formula)(V() param, V() grad, V() * s, const ad_update *u) {
    return NAME(adam_with)(param, grad, s, u, true);
}

AD_SIMD V() NAME(nadam_formula)(V() param, V() grad, V() * s, const ad_update *u) {
    s[0] = NAME(lerp)(s[0], grad, 1 - u->beta1);
    s[1] = NAME(mean_square)(s[1], grad, u->beta2);
    const V() below = V(_add)(V(_sqrt)(V(_div)(s[1], SET(u->correction))), SET(u->eps));
    return NAME(descend)(NAME(descend)(param, grad, below, u->lr), s[0], below, u->lr_next);
}

AD_SIMD V() NAME(radam_formula)(V() param, V() grad, V() * s, const ad_update *u) {
    s[0] = NAME(lerp)(s[0], grad, 1 - u->beta1);
    s[1] = NAME(mean_square)(s[1], grad, u->beta2);
    V() way = V(_mul)(V(_div)(s[0], SET(u->correction)), SET(u->lr));
    if (u->rectified) {
        const V() inverse = V(_div)(SET(1), V(_add)(V(_sqrt)(s[1]), SET(u->eps)));
        way = V(_mul)(V(_mul)(way, V(_mul)(inverse, SET(u->adaptive))), SET(u->rectification));
    }
    return V(_sub)(param, way);
}

AD_SIMD V() NAME(adamax_formula)(V() param, V() grad, V() * s, const ad_update *u) {
    s[0] = NAME(lerp)(s[0], grad, 1 - u->beta1);
    s[1] = V(_maximum)(V(_mul)(s[1], SET(u->beta2)), V(_add)(V(_abs)(grad), SET(u->eps)));
    return NAME(descend)(param, s[0], s[1], u->lr);
}

/* states: mean square, then the momentum buffer, then the mean, as far as there are such */
AD_SIMD V()
    NAME(rmsprop_with)(V() param, V() grad, V() * s, const ad_update *u, bool momentum, bool centered) {
    V() *mean = s + 1 + momentum, square = s[0] = NAME(mean_square)(s[0], grad, u->beta2);
    if (centered) {
        *mean = NAME(lerp)(*mean, grad, 1 - u->beta2);
        square = V(_fma)(V(_neg)(*mean), *mean, square);
    }
    const V() below = V(_add)(V(_sqrt)(square), SET(u->eps));
    if (!momentum) return NAME(descend)(param, grad, below, u->lr);
    s[1] = V(_add)(V(_mul)(s[1], SET(u->momentum)), V(_div)(grad, below));
    return V(_fma)(s[1], SET(-u->lr), param);
}
AD_SIMD V() NAME(rmsprop_formula)(V() param, V() grad, V() * s, const ad_update *u) {
    return NAME(rmsprop_with)(param, grad, s, u, false, false);
}
AD_SIMD V() NAME(rmsprop_momentum_formula)(V() param, V() grad, V() * s, const ad_update *u) {
    return NAME(rmsprop_with)(param, grad, s, u, true, false);
}
AD_SIMD V() NAME(rmsprop_centered_formula)(V() param, V() grad, V() * s, const ad_update *u) {
    return NAME(rmsprop_with)(param, grad, s, u, false, true);
}
AD_SIMD V() NAME(rmsprop_centered_momentum_formula)(V() param, V() grad, V() * s, const ad_update *u) {
    return NAME(rmsprop_with)(param, grad, s, u, true, true);
}

AD_SIMD V() NAME(adagrad_formula)(V() param, V() grad, V() * s, const ad_update *u) {
    s[0] = V(_fma)(grad, grad, s[0]);
    return NAME(descend)(param, grad, V(_add)(V(_sqrt)(s[0]), SET(u->eps)), u->lr);
}

AD_SIMD V() NAME(adadelta_formula)(V() param, V() grad, V() * s, const ad_update *u) {
    s[0] = NAME(mean_square)(s[0], grad, u->beta2);
    const V() below = V(_sqrt)(V(_add)(s[0], SET(u->eps)));
    const V() way = V(_mul)(V(_div)(V(_sqrt)(V(_add)(s[1], SET(u->eps))), below), grad);
    s[1] = NAME(mean_square)(s[1], way, u->beta2);
    return V(_fma)(way, SET(-u->lr), param);
}

/* the state is the average of the parameters */
AD_SIMD V() NAME(asgd_formula)(V() param, V() grad, V() * s, const ad_update *u) {
    const V() next = V(_fma)(grad, SET(-u->lr), param);
    s[0] = u->average == 1 ? next : V(_add)(s[0], V(_mul)(V(_sub)(next, s[0]), SET(u->average)));
    return next;
}

/* states: the gradient before, 0 where it had turned; the size of the step */
AD_SIMD V() NAME(rprop_formula)(V() param, V() grad, V() * s, const ad_update *u) {
    const V() zero = V(_zero)(), product = V(_mul)(grad, s[0]);
    const V() factor = V(_select)(V(_lt)(zero, product), SET(u->faster),
                                  V(_select)(V(_lt)(product, zero), SET(u->slower), SET(1)));
    s[1] = V(_minimum)(V(_maximum)(V(_mul)(s[1], factor), SET(u->least)), SET(u->most));
    s[0] = V(_select)(V(_lt)(product, zero), zero, grad);
    const V() down = V(_select)(V(_lt)(s[0], zero), V(_neg)(s[1]), zero);
    return V(_sub)(param, V(_select)(V(_lt)(zero, s[0]), s[1], down));
}

/* What all optimisers do first, if anything: turn the gradient around, and decay the weights. */
AD_SIMD V() NAME(apply)(NAME(formula) * f, V() param, V() grad, V() * s, const ad_update *u) {
    if (!u->plain) {
        if (u->maximize) grad = V(_neg)(grad);
        if (u->weight_decay != 0) grad = V(_fma)(param, SET(u->weight_decay), grad);
        if (u->shrink != 1) param = V(_mul)(param, SET(u->shrink));
    }
    return f(param, grad, s, u);
}

/* The loop around a formula: f and `states` are constants where this is inlined. */
AD_SIMD void NAME(update)(NAME(formula) * f, int states, int64_t n, void *const *data,
                          const ad_update *step) {
    const ad_update u = *step; /* a copy, which stores to the arrays cannot change */
    T *const p = data[0], *const state[3] = {data[2], data[3], data[4]};
    const T *const g = data[1];
    const int64_t ahead = ad_l1_is_narrow() ? 6 * AD_LINE : AD_PAGE;
    V() s[3];
    for (int64_t i = 0; i < n; i += W) {
        const int64_t left = n - i; /* the last vector may have fewer */
        const bool whole = left >= W;
        const V() param = whole ? V(_load)(p + i) : V(_load_n)(p + i, left);
        const V() grad = whole ? V(_load)(g + i) : V(_load_n)(g + i, left);
        AD_UNROLL for (int k = 0; k < states; k++) s[k] =
            whole ? V(_load)(state[k] + i) : V(_load_n)(state[k] + i, left);
        /* of more arrays at a time than the CPU's prefetchers follow well */
        __builtin_prefetch((const char *)(p + i) + ahead);
        __builtin_prefetch((const char *)(g + i) + ahead);
        AD_UNROLL for (int k = 0; k < states; k++) __builtin_prefetch((const char *)(state[k] + i) + ahead);
        const V() next = NAME(apply)(f, param, grad, s, &u);
        if (whole) {
            V(_store)(p + i, next);
            AD_UNROLL for (int k = 0; k < states; k++) V(_store)(state[k] + i, s[k]);
        } else {
            V(_store_n)(p + i, next, left);
            AD_UNROLL for (int k = 0; k < states; k++) V(_store_n)(state[k] + i, s[k], left);
        }
    }
}

#define AD_OPTIMIZER(name, states, scalars, hypers)                                                          \
    static void NAME(name)(int64_t n, void *const *data, const ad_update *u) {                               \
        NAME(update)(NAME(name##_formula), states, n, data, u);                                              \
    }
#include "../optimizers.def"
#undef AD_OPTIMIZER

#undef SET
#undef T
#undef W
#undef V
#undef NAME
