/* move.h: runs of bytes, the short ones without a call. */
#ifndef AD_MOVE_H
#define AD_MOVE_H
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "internal.h"

/* Elements of a size, whatever they are. */
typedef uint8_t u8 __attribute__((may_alias));
typedef uint16_t u16 __attribute__((may_alias));
typedef uint32_t u32 __attribute__((may_alias));
typedef uint64_t u64 __attribute__((may_alias));

/* Whether rows of so many bytes, from all over a table, are fetched ahead: in one that is not near, no
 * prefetcher of the CPU's knows where the next row lies. Of short rows it finds several at a time anyway; in
 * one that stays in L2, or is read again, to be told takes longer than to find them. */
static inline bool ad_is_far(int64_t table, int64_t row) { return table > 1 << 23 && row > 512; }

static inline void ad_fetch_row(const char *src, int64_t n) {
    const char *const end = src + ad_least(n, 4096);
    for (src -= (uintptr_t)src % AD_LINE; src < end; src += AD_LINE) __builtin_prefetch(src, 0, 2);
}

void ad_move_bytes(char *dst, const char *src, int64_t n);

/* A short one by two moves of the same length, that may meet. */
static inline void ad_move_run(char *dst, const char *src, int64_t n) {
#define MOVE(bytes) memcpy(dst, src, bytes), memcpy(dst + n - (bytes), src + n - (bytes), bytes)
    if (n > 128)
        ad_move_bytes(dst, src, n);
    else if (n > 64)
        MOVE(64);
    else if (n > 32)
        MOVE(32);
    else if (n > 16)
        MOVE(16);
    else if (n >= 8)
        MOVE(8);
    else if (n >= 4)
        MOVE(4);
    else
        for (int64_t i = 0; i < n; i++) dst[i] = src[i];
#undef MOVE
}

/* Rows of n bytes, `step` bytes apart. */
static inline void ad_move_rows(int64_t rows, int64_t n, char *dst, int64_t dst_step, const char *src,
                                int64_t src_step) {
    if (n > 128 && n < AD_PAGE)
        ad_cpu->pw->move(rows, n, dst, dst_step, src, src_step);
    else
        for (; rows > 0; rows--, dst += dst_step, src += src_step) ad_move_run(dst, src, n);
}

#endif
