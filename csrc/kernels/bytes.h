/* kernels/bytes.h: comparisons of float32 straight to bytes, and stores past the caches; included by
 * pointwise.h. */

#define AD_COMPARE(name, op)                                                                                 \
    static void compare_f32_##name(int64_t n, uint8_t *d, const void *a, const void *b) {                    \
        const float *x = a, *y = b;                                                                          \
        int64_t i = 0;                                                                                       \
        for (; i <= n - 4 * VF_W; i += 4 * VF_W) {                                                           \
            mf m[4];                                                                                         \
            AD_UNROLL for (int k = 0; k < 4; k++) m[k] =                                                     \
                vf_##name(vf_load(x + i + k * VF_W), vf_load(y + i + k * VF_W));                             \
            mf_store4(d + i, m);                                                                             \
        }                                                                                                    \
        for (; i < n; i++) d[i] = x[i] op y[i];                                                              \
    }
AD_COMPARISONS
#undef AD_COMPARE

static void stream(int64_t lines, char *dst, const char *src, int n_ahead, const char *const *ahead,
                   const int64_t *step) {
    const float *s = (const float *)(const void *)src;
    float *d = (float *)(void *)dst;
    for (int64_t i = 0; i < lines; i++, d += 16, s += 16) {
        for (int k = 0; k < 16; k += VF_W) vf_stream(d + k, vf_load(s + k));
        for (int a = 0; a < n_ahead; a++)
            for (int64_t k = 0; k < step[a]; k += 64) __builtin_prefetch(ahead[a] + i * step[a] + k);
    }
    vf_stream_end();
}
