/* kernels/bytes.h: comparisons of float32 straight to bytes, logic of bools, bytes moved as they are, and
 * stores past the caches; included by pointwise.h. */

/* What is over after the last four vectors is done one by one: to make vectors of that too is code for
 * nothing.
 */
#ifndef __clang__
#pragma GCC push_options
#pragma GCC optimize("no-tree-vectorize")
#endif
/* X and Y: vectors, x and y elements; NUMBER: what all of one side are, if it is a number. */
#define COMPARE(function, name, op, NUMBER, X, Y, x_i, y_i)                                                  \
    static void function(int64_t n, uint8_t *d, const void *a, const void *b) {                              \
        const float *x = a, *y = b, one = NUMBER;                                                            \
        const vf same = vf_set1(one);                                                                        \
        int64_t i = 0;                                                                                       \
        (void)x, (void)y, (void)same;                                                                        \
        for (; i <= n - 4 * VF_W; i += 4 * VF_W) {                                                           \
            mf m[4];                                                                                         \
            AD_UNROLL for (int k = 0; k < 4; k++) m[k] = vf_##name(X, Y);                                    \
            mf_store4(d + i, m);                                                                             \
        }                                                                                                    \
        for (; i < n; i++) d[i] = x_i op y_i;                                                                \
    }
#define EACH(p) vf_load(p + i + k * VF_W)
#define AD_COMPARE(name, op)                                                                                 \
    COMPARE(compare_f32_##name, name, op, 0, EACH(x), EACH(y), x[i], y[i])                                   \
    COMPARE(compare_number_##name##_a, name, op, *x, same, EACH(y), one, y[i])                               \
    COMPARE(compare_number_##name##_b, name, op, *y, EACH(x), same, x[i], one)
AD_COMPARISONS
#undef AD_COMPARE
#undef EACH

/* The bytes that are not 0, as ones: memory of others may hold more than ones. */
AD_SIMD vdi truths_at(const uint8_t *p) {
    const vdi most = vdi_set1(0x7f7f7f7f7f7f7f7f);
    vd bytes;
    memcpy(&bytes, p, sizeof bytes);
    const vdi high = vdi_or(vdi_add(vdi_and(vd_bits(bytes), most), most), vd_bits(bytes));
    return vdi_and(vdi_shr(high, 7), vdi_set1(0x0101010101010101));
}
#define TRUTH(name, WORDS, byte)                                                                             \
    static void truth_##name(int64_t n, uint8_t *d, const void *a, const void *b) {                          \
        const uint8_t *x = a, *y = b;                                                                        \
        int64_t i = 0;                                                                                       \
        (void)y;                                                                                             \
        for (; i <= n - 8 * VD_W; i += 8 * VD_W) {                                                           \
            const vd made = vd_of_bits(WORDS);                                                               \
            memcpy(d + i, &made, sizeof made);                                                               \
        }                                                                                                    \
        for (; i < n; i++) d[i] = byte;                                                                      \
    }
TRUTH(not, vdi_xor(truths_at(x + i), vdi_set1(0x0101010101010101)), !x[i])
TRUTH(and, vdi_and(truths_at(x + i), truths_at(y + i)), x[i] && y[i])
TRUTH(or, vdi_or(truths_at(x + i), truths_at(y + i)), x[i] || y[i])
TRUTH(xor, vdi_xor(truths_at(x + i), truths_at(y + i)), !x[i] != !y[i])
#ifndef __clang__
#pragma GCC pop_options
#endif

/* What is stored crosses no line, but for the ends, which may meet it. Nor does the loop: it would take a
 * tenth longer. */
#ifndef __clang__
#pragma GCC push_options
#pragma GCC optimize("align-loops=32")
#endif
typedef char part __attribute__((vector_size(32), aligned(1), may_alias));
static void move(int64_t rows, int64_t n, char *dst, int64_t ds, const char *src, int64_t ss) {
    for (; rows > 0; rows--, dst += ds, src += ss) {
        *(part *)dst = *(const part *)src;
        for (int64_t i = 32 - ((intptr_t)dst & 31); i < n - 32; i += 32)
            *(part *)(dst + i) = *(const part *)(src + i);
        *(part *)(dst + n - 32) = *(const part *)(src + n - 32);
    }
}

static void fill(int64_t lines, char *dst, const char *line) {
    const part value = *(const part *)line; /* each half of it */
    for (int64_t i = 0; i < lines * 64; i += 32) *(part *)(dst + i) = value;
}
#ifndef __clang__
#pragma GCC pop_options
#endif

static void stream(int64_t lines, char *dst, const char *src, int n_ahead, const char *const *ahead,
                   const int64_t *step) {
    const float *s = (const float *)(const void *)src;
    float *d = (float *)(void *)dst;
    for (int64_t i = 0; i < lines; i++, d += 16, s += 16) {
        for (int k = 0; k < 16; k += VF_W) vf_stream(d + k, vf_load(s + k));
        for (int a = 0; a < n_ahead; a++)
            for (int64_t k = (i * step[a] + 63) & -64; k < (i + 1) * step[a]; k += 64)
                __builtin_prefetch(ahead[a] + k);
    }
}
