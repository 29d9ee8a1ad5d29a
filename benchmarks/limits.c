/* limits.c: what the machine can do at most, for the shares of it that benchmarks/limits.py reports.
 *
 * One text for each instruction set, on the compiler's vector types: chains of multiply-adds in registers,
 * and streams through memory. A pass over n floats is repeated; n is a multiple of 64, arrays lie on
 * cache lines. What the compiler could drop or join is hidden from it by empty assembly. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#if defined __linux__
#include <sys/mman.h>
#endif
#if defined __x86_64__
#include <immintrin.h>
#define KEEP(x) __asm__ volatile("" : "+x"(x))
enum { CHAINS = 12 }; /* two units of 4 to 7 cycles; SSE and AVX have 16 registers */
#else
#define KEEP(x) __asm__ volatile("" : "+w"(x))
enum { CHAINS = 24 }; /* four units of 4 cycles; 32 registers */
#endif
#define FORGET() __asm__ volatile("" ::: "memory")

/* Multiplications and additions of one round, and the rounds. They run to 1 and stay there. */
#define DEFINE_FMA(isa, ATTRIBUTE, BYTES, T, dtype)                                                          \
    int64_t flops_##isa##_##dtype(void) { return (int64_t)2 * CHAINS * (BYTES / sizeof(T)); }                \
    ATTRIBUTE void fma_##isa##_##dtype(int64_t rounds) {                                                     \
        typedef T vector __attribute__((vector_size(BYTES)));                                                \
        vector sums[CHAINS], factor = (vector){0} + (T)0.75, term = (vector){0} + (T)0.25;                   \
        KEEP(factor);                                                                                        \
        KEEP(term);                                                                                          \
        _Pragma("GCC unroll 24") for (int i = 0; i < CHAINS; i++) sums[i] = term + (T)i;                     \
        for (int64_t r = 0; r < rounds; r++) {                                                               \
            _Pragma("GCC unroll 24") for (int i = 0; i < CHAINS; i++) sums[i] = sums[i] * factor + term;     \
        }                                                                                                    \
        _Pragma("GCC unroll 24") for (int i = 0; i < CHAINS; i++) KEEP(sums[i]);                             \
    }

#define DEFINE_STREAM(name, ATTRIBUTE, BYTES, STORE, VALUE)                                                  \
    ATTRIBUTE void name(int64_t passes, int64_t n, float *to, const float *a, const float *b) {              \
        typedef float vector __attribute__((vector_size(BYTES)));                                            \
        const int64_t width = BYTES / sizeof(float);                                                         \
        const vector factor = (vector){0} + 0.5f;                                                            \
        (void)factor, (void)b;                                                                               \
        for (int64_t pass = 0; pass < passes; pass++) {                                                      \
            _Pragma("GCC unroll 4") for (int64_t i = 0; i < n; i += width) {                                 \
                vector x = *(const vector *)(a + i);                                                         \
                STORE(to + i, VALUE);                                                                        \
            }                                                                                                \
            FORGET();                                                                                        \
        }                                                                                                    \
    }
#define OTHER (*(const vector *)(b + i))
#define DEFINE_STREAMS(isa, ATTRIBUTE, BYTES, STORE)                                                         \
    DEFINE_STREAM(copy_##isa, ATTRIBUTE, BYTES, STORE, x)                                                    \
    DEFINE_STREAM(add_##isa, ATTRIBUTE, BYTES, STORE, x + OTHER)                                             \
    DEFINE_STREAM(triad_##isa, ATTRIBUTE, BYTES, STORE, x *factor + OTHER)

#define ORDINARY(to, value) (*(vector *)(to) = (value))
#define DEFINE(isa, ATTRIBUTE, BYTES)                                                                        \
    DEFINE_FMA(isa, ATTRIBUTE, BYTES, float, float32)                                                        \
    DEFINE_FMA(isa, ATTRIBUTE, BYTES, double, float64)                                                       \
    DEFINE_STREAMS(isa, ATTRIBUTE, BYTES, ORDINARY)

#if defined __x86_64__
#define PAST_CACHES(to, value) _mm_stream_ps(to, (__m128)(value))
DEFINE(sse2, , 16)
DEFINE(avx2, __attribute__((target("avx2,fma"))), 32)
DEFINE(avx512, __attribute__((target("avx512f,prefer-vector-width=512"))), 64)
DEFINE_STREAMS(streaming, , 16, PAST_CACHES)
int has_sse2(void) { return 1; }
int has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
int has_avx512(void) { return __builtin_cpu_supports("avx512f") != 0; }
int has_streaming(void) { return 1; }
#else
DEFINE(neon, , 16)
int has_neon(void) { return 1; }
#endif

/* Memory that the system backs with huge pages where it can, written once. */
float *new_floats(int64_t n) {
    const size_t huge = (size_t)1 << 21, size = ((size_t)n * sizeof(float) + huge - 1) / huge * huge;
    float *x = aligned_alloc(huge, size);
    if (!x) return NULL;
#if defined MADV_HUGEPAGE
    (void)madvise(x, size, MADV_HUGEPAGE);
#endif
    for (int64_t i = 0; i < n; i++) x[i] = 1;
    return x;
}
void free_floats(float *x) { free(x); }
