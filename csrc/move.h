/* move.h: short runs of bytes, without a call. */
#ifndef AD_MOVE_H
#define AD_MOVE_H
#include <stdint.h>
#include <string.h>

/* By two moves of the same length, that may meet. */
static inline void ad_move_run(char *dst, const char *src, int64_t n) {
#define MOVE(bytes) memcpy(dst, src, bytes), memcpy(dst + n - (bytes), src + n - (bytes), bytes)
    if (n > 64)
        memcpy(dst, src, (size_t)n);
    else if (n > 32)
        MOVE(32);
    else if (n > 16)
        MOVE(16);
    else if (n >= 8)
        MOVE(8);
    else
        for (int64_t i = 0; i < n; i++) dst[i] = src[i];
#undef MOVE
}

#endif
