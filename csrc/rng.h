/* rng.h: the generator, and the draws that distributions are made of. */
#ifndef AD_RNG_H
#define AD_RNG_H
#include <stdatomic.h>
#include "tape.h"

#define AD_RNG_WORDS 624 /* of the twister's state */

struct ad_rng {
    atomic_int owner; /* 0, or the fork generation of the thread that draws */
    uint32_t words[AD_RNG_WORDS];
    uint32_t draws[AD_RNG_WORDS]; /* the tempered words: what the twister gives out */
    uint32_t next;                /* the first draw not yet given; never above AD_RNG_WORDS */
    bool fresh;                   /* just seeded: there are words, but no draws yet */
    bool has_sample;              /* single normals come in pairs, the second is kept */
    double sample;
    uint64_t seed; /* what the words were made from */
};

/* A generator serves one thread at a time; unlocking returns `status`. */
void ad_rng_lock(ad_rng *rng);
int ad_rng_unlock(ad_rng *rng, int status);
void ad_rng_refill(ad_rng *rng); /* new draws, from the first */
/* As after n draws that nobody looks at. */
void ad_rng_skip(ad_rng *rng, int64_t n);

/* Where a generator was, to draw the same numbers again: so many words. */
#define AD_RNG_PLACE (AD_RNG_WORDS + 1)
void ad_rng_mark(const ad_rng *rng, uint32_t *place);
void ad_rng_return(ad_rng *rng, const uint32_t *place);

static inline uint32_t ad_draw32(ad_rng *rng) {
    if (rng->next == AD_RNG_WORDS) ad_rng_refill(rng);
    return rng->draws[rng->next++];
}

static inline uint64_t ad_draw64(ad_rng *rng) {
    uint64_t high = ad_draw32(rng);
    return high << 32 | ad_draw32(rng);
}

static inline double ad_draw_unit(ad_rng *rng) {
    return (double)(ad_draw64(rng) & ((1ull << 53) - 1)) * 0x1p-53;
}

#endif
