/* kernels/sort_type.h: the kernels of sort.h for keys of type K, W in a register. */

typedef K NAME(keys) __attribute__((vector_size(sizeof(K) * W), aligned(sizeof(K)), may_alias));
#define V NAME(keys)

/* The ranks of the keys in some registers. */
AD_SIMD void NAME(ranks_of)(int registers, int64_t n, const K *x, const K *keys, K *ranks) {
    V of[4], less[4] = {0};
    AD_UNROLL for (int k = 0; k < registers; k++) of[k] = *(const V *)(keys + k * W);
    for (int64_t j = 0; j < n; j++) AD_UNROLL for (int k = 0; k < registers; k++) less[k] -= of[k] > x[j];
    AD_UNROLL for (int k = 0; k < registers; k++) * (V *)(ranks + k * W) = less[k];
}

static void NAME(ranks)(int64_t rows, int64_t n, const void *keys, void *ranks) {
    const K *x = keys;
    K *to = ranks;
    for (int64_t r = 0; r < rows; r++, x += n, to += n) {
        int64_t i = 0;
        for (; i + 2 * W < n; i += 4 * W) NAME(ranks_of)(4, n, x, x + i, to + i);
        if (i < n) NAME(ranks_of)(2, n, x, x + i, to + i);
    }
}

static int64_t NAME(up_to)(int64_t n, const void *keys, const void *key) {
    const K *x = keys, most = *(const K *)key;
    V above[4] = {0};
    int64_t i = 0, up_to = n;
    for (; i + 4 * W <= n; i += 4 * W)
        AD_UNROLL for (int j = 0; j < 4; j++) above[j] -= ((const V *)(x + i))[j] > most;
    for (; i < n; i++) up_to -= x[i] > most;
    above[0] += above[1] + above[2] + above[3];
    AD_UNROLL for (int j = 0; j < W; j++) up_to -=
        sizeof(K) == 4 ? (int64_t)(uint32_t)above[0][j] : above[0][j];
    return up_to;
}

static void NAME(extremes)(int64_t n, const void *keys, void *least, void *most) {
    const K *x = keys;
    K low[AD_SORT_LANES], high[AD_SORT_LANES];
    memcpy(low, x, sizeof low);
    memcpy(high, x, sizeof high);
    for (int64_t i = AD_SORT_LANES; i < n; i += AD_SORT_LANES) {
        const K *next = x + ad_least(i, n - AD_SORT_LANES); /* the last ones may be met again */
        for (int l = 0; l < AD_SORT_LANES; l++) {
            low[l] = next[l] < low[l] ? next[l] : low[l];
            high[l] = next[l] > high[l] ? next[l] : high[l];
        }
    }
    memcpy(least, low, sizeof low);
    memcpy(most, high, sizeof high);
}

static int64_t NAME(within)(int64_t n, const void *keys, const void *range, void *at) {
    const K *x = keys, least = ((const K *)range)[0], most = ((const K *)range)[1];
    K *to = at;
    int64_t found = 0, i = 0;
    for (; i + 4 * W <= n; i += 4 * W) {
        V in[4], any = {0};
        uint64_t words[sizeof(V) < 8 ? 1 : sizeof(V) / 8] = {0}, some = 0;
        AD_UNROLL for (int k = 0; k < 4; k++) {
            const V of = *(const V *)(x + i + k * W);
            in[k] = (of >= least) & (of <= most);
            any |= in[k];
        }
        memcpy(words, &any, sizeof any);
        AD_UNROLL for (size_t k = 0; k < sizeof words / 8; k++) some |= words[k];
        if (!some) continue; /* mostly, where few are wanted */
        K is[4 * W];
        memcpy(is, in, sizeof in);
        for (int j = 0; j < 4 * W; j++) {
            to[found] = (K)(i + j);
            found -= is[j];
        }
    }
    for (; i < n; i++) {
        to[found] = (K)i;
        found += x[i] >= least && x[i] <= most;
    }
    return found;
}

#undef V
#undef K
#undef W
#undef NAME
