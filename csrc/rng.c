/* rng.c: the Mersenne twister as PyTorch's CPU generator has it, shared between threads and across forks. */
#include <pthread.h>
#include <sched.h>
#include "rng.h"

#define SHIFT 397 /* of the twister's recurrence */

/* ---- one thread at a time ---- */

/* A child process starts a new generation: a lock that some thread of the parent held is not waited for. */
static atomic_int generation = 1;
static void next_generation(void) { atomic_fetch_add(&generation, 1); }
__attribute__((constructor)) static void watch_forks(void) { pthread_atfork(NULL, NULL, next_generation); }

void ad_rng_lock(ad_rng *rng) {
    int mine = atomic_load(&generation), seen = 0;
    while (!atomic_compare_exchange_weak(&rng->owner, &seen, mine)) {
        if (seen != mine) continue; /* free, or left over from before a fork: take it */
        sched_yield();
        seen = 0;
    }
}

int ad_rng_unlock(ad_rng *rng, int status) {
    atomic_store(&rng->owner, 0);
    return status;
}

/* ---- the twister ---- */

static uint32_t twist(uint32_t high, uint32_t low, uint32_t far) {
    uint32_t mixed = (high & 0x80000000u) | (low & 0x7fffffffu);
    return far ^ (mixed >> 1) ^ (-(low & 1u) & 0x9908b0dfu);
}

static void temper(ad_rng *rng) {
    for (int i = 0; i < AD_RNG_WORDS; i++) {
        uint32_t y = rng->words[i];
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c5680u;
        y ^= (y << 15) & 0xefc60000u;
        rng->draws[i] = y ^ (y >> 18);
    }
}

void ad_rng_refill(ad_rng *rng) {
    uint32_t *w = rng->words;
    for (int i = 0; i < AD_RNG_WORDS - SHIFT; i++) w[i] = twist(w[i], w[i + 1], w[i + SHIFT]);
    for (int i = AD_RNG_WORDS - SHIFT; i < AD_RNG_WORDS - 1; i++)
        w[i] = twist(w[i], w[i + 1], w[i + SHIFT - AD_RNG_WORDS]);
    w[AD_RNG_WORDS - 1] = twist(w[AD_RNG_WORDS - 1], w[0], w[SHIFT - 1]);
    temper(rng);
    rng->next = 0;
}

static void seed_words(ad_rng *rng, uint64_t seed) {
    uint32_t *w = rng->words;
    w[0] = (uint32_t)seed;
    for (uint32_t i = 1; i < AD_RNG_WORDS; i++) w[i] = 1812433253u * (w[i - 1] ^ (w[i - 1] >> 30)) + i;
    rng->next = AD_RNG_WORDS;
    rng->has_sample = 0;
    rng->sample = 0;
}

/* ---- the generator as an object ---- */

ad_rng *ad_rng_new(uint64_t seed) {
    ad_rng *rng = ad_alloc(sizeof *rng);
    if (!rng) return NULL;
    atomic_init(&rng->owner, 0);
    seed_words(rng, seed);
    return rng;
}

void ad_rng_free(ad_rng *rng) { ad_dealloc(rng); }

void ad_rng_seed(ad_rng *rng, uint64_t seed) {
    ad_rng_lock(rng);
    seed_words(rng, seed);
    ad_rng_unlock(rng, AD_OK);
}

uint64_t ad_rng_random(ad_rng *rng, int bits) {
    ad_rng_lock(rng);
    uint64_t value = bits == 64 ? ad_draw64(rng) : ad_draw32(rng);
    ad_rng_unlock(rng, AD_OK);
    return value;
}

typedef struct {
    char magic[8];
    uint32_t next, has_sample;
    double sample;
    uint32_t words[AD_RNG_WORDS];
} image;
static const char image_magic[8] = "ad-mt-1";

int ad_rng_state_size(void) { return sizeof(image); }

void ad_rng_get_state(const ad_rng *rng, uint8_t *state) {
    ad_rng *shared = (ad_rng *)rng; /* only the lock is written */
    ad_rng_lock(shared);
    image s = {.next = rng->next, .has_sample = rng->has_sample, .sample = rng->sample};
    memcpy(s.magic, image_magic, sizeof s.magic);
    memcpy(s.words, rng->words, sizeof s.words);
    ad_rng_unlock(shared, AD_OK);
    memcpy(state, &s, sizeof s);
}

int ad_rng_set_state(ad_rng *rng, const uint8_t *state) {
    image s;
    memcpy(&s, state, sizeof s);
    if (memcmp(s.magic, image_magic, sizeof s.magic) || s.next > AD_RNG_WORDS || s.has_sample > 1)
        return ad_fail(AD_BAD_ARG, 0, 0, 0);
    ad_rng_lock(rng);
    memcpy(rng->words, s.words, sizeof s.words);
    temper(rng);
    rng->next = s.next;
    rng->has_sample = s.has_sample;
    rng->sample = s.sample;
    return ad_rng_unlock(rng, AD_OK);
}
