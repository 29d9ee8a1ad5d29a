/* kernels/optim_type.h: included by optim.h once for each element type T. */

/* PyTorch's order of operations, and its roundings: x.add(y, alpha=a) is one fused multiply-add. */
AD_SIMD V() NAME(sgd_vector)(V() param, V() grad, V() * buffer, const ad_sgd_step *s) {
    if (s->maximize) grad = V(_neg)(grad);
    if (s->weight_decay != 0) grad = V(_fma)(param, V(_set1)((T)s->weight_decay), grad);
    if (s->momentum != 0) {
        const V() momentum = V(_set1)((T)s->momentum), rest = V(_set1)((T)(1 - s->dampening));
        *buffer = s->first ? grad : V(_fma)(grad, rest, V(_mul)(*buffer, momentum));
        grad = s->nesterov ? V(_fma)(*buffer, momentum, grad) : *buffer;
    }
    return V(_fma)(grad, V(_set1)((T)-s->lr), param);
}

static void NAME(sgd)(int64_t n, void *param, const void *grad, void *buffer, const ad_sgd_step *step) {
    const ad_sgd_step s = *step; /* a copy, which stores to the arrays cannot change */
    T *p = param, *b = buffer;
    const T *g = grad;
    const bool read = s.momentum != 0 && !s.first, write = s.momentum != 0;
    int64_t i = 0;
    for (; i + W <= n; i += W) {
        V() v = read ? V(_load)(b + i) : V(_zero)();
        V(_store)(p + i, NAME(sgd_vector)(V(_load)(p + i), V(_load)(g + i), &v, &s));
        if (write) V(_store)(b + i, v);
    }
    const int64_t left = n - i;
    if (left == 0) return;
    V() v = read ? V(_load_n)(b + i, left) : V(_zero)();
    V(_store_n)(p + i, NAME(sgd_vector)(V(_load_n)(p + i, left), V(_load_n)(g + i, left), &v, &s), left);
    if (write) V(_store_n)(b + i, v, left);
}

#undef T
#undef W
#undef V
#undef NAME
