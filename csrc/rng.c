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

static void next_words(uint32_t *w) {
    for (int i = 0; i < AD_RNG_WORDS - SHIFT; i++) w[i] = twist(w[i], w[i + 1], w[i + SHIFT]);
    for (int i = AD_RNG_WORDS - SHIFT; i < AD_RNG_WORDS - 1; i++)
        w[i] = twist(w[i], w[i + 1], w[i + SHIFT - AD_RNG_WORDS]);
    w[AD_RNG_WORDS - 1] = twist(w[AD_RNG_WORDS - 1], w[0], w[SHIFT - 1]);
}

void ad_rng_refill(ad_rng *rng) {
    next_words(rng->words);
    temper(rng);
    rng->next = 0;
    rng->fresh = false;
}

void ad_rng_skip(ad_rng *rng, int64_t n) {
    const int64_t left = AD_RNG_WORDS - rng->next;
    if (n <= left) {
        rng->next += (uint32_t)n;
        return;
    }
    for (n -= left; n > AD_RNG_WORDS; n -= AD_RNG_WORDS) next_words(rng->words);
    ad_rng_refill(rng);
    rng->next = (uint32_t)n;
}

void ad_rng_mark(const ad_rng *rng, uint32_t *place) {
    memcpy(place, rng->words, sizeof rng->words);
    place[AD_RNG_WORDS] = rng->next;
}

void ad_rng_return(ad_rng *rng, const uint32_t *place) {
    memcpy(rng->words, place, sizeof rng->words);
    temper(rng);
    rng->next = place[AD_RNG_WORDS] < AD_RNG_WORDS ? place[AD_RNG_WORDS] : AD_RNG_WORDS;
}

static void seed_words(ad_rng *rng, uint64_t seed) {
    uint32_t *w = rng->words;
    w[0] = (uint32_t)seed;
    for (uint32_t i = 1; i < AD_RNG_WORDS; i++) w[i] = 1812433253u * (w[i - 1] ^ (w[i - 1] >> 30)) + i;
    rng->next = AD_RNG_WORDS;
    rng->fresh = true;
    rng->has_sample = false;
    rng->sample = 0;
    rng->seed = seed;
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

typedef struct {
    ad_rng *rng;
    uint64_t seed;
} of_generator;

static int run_seed(const ad_call *c) {
    const of_generator *g = c->numbers;
    ad_rng_lock(g->rng);
    seed_words(g->rng, g->seed);
    return ad_rng_unlock(g->rng, AD_OK);
}

int ad_rng_seed(ad_rng *rng, uint64_t seed) {
    const of_generator g = {rng, seed};
    return ad_do(&(ad_call){run_seed, "manual_seed", .numbers = &g, .n_bytes = sizeof g, .kept = true});
}

uint64_t ad_rng_initial_seed(const ad_rng *rng) {
    ad_rng *shared = (ad_rng *)rng; /* only the lock is written */
    ad_tape_break(AD_TAPE_SEED);
    ad_rng_lock(shared);
    uint64_t seed = rng->seed;
    ad_rng_unlock(shared, AD_OK);
    return seed;
}

/* ---- the state as bytes: those of PyTorch's CPU generator, so that each can go on from the other's ---- */

typedef struct {
    uint64_t seed;
    int32_t left;   /* draws before the next refill, and that one */
    int32_t seeded; /* always 1 */
    uint64_t next;
    uint64_t words[AD_RNG_WORDS];
    double normal_x, sample, normal_rho; /* x and rho are of older versions: 0 */
    int32_t has_sample, padding;
    float single_sample; /* no distribution of the CPU keeps one: 0 */
    uint8_t has_single_sample, end[3];
} image;
_Static_assert(sizeof(image) == 5056, "the layout of PyTorch's state");

int ad_rng_state_size(void) { return sizeof(image); }

static int check_state(const ad_tensor *x) {
    if (x->dtype != AD_uint8) return ad_fail(AD_BAD_DTYPE, x->dtype, 0, 0);
    if (!x->contiguous || x->numel != (int64_t)sizeof(image)) return ad_fail(AD_BAD_SHAPE, x->numel, 0, 0);
    return AD_OK;
}

static int run_get_state(const ad_call *c) {
    ad_rng *rng = ((const of_generator *)c->numbers)->rng;
    ad_rng_lock(rng);
    image s = {.seed = rng->seed, .seeded = 1, .has_sample = rng->has_sample};
    s.next = rng->fresh ? 0 : rng->next;
    s.left = (int32_t)(AD_RNG_WORDS + 1 - rng->next);
    s.sample = rng->has_sample ? rng->sample : 0;
    for (int i = 0; i < AD_RNG_WORDS; i++) s.words[i] = rng->words[i];
    memcpy(ad_out(c, 0)->data, &s, sizeof s);
    ad_wrote(ad_out(c, 0), AD_BY_RANDOM);
    return ad_rng_unlock(rng, AD_OK);
}

static int run_set_state(const ad_call *c) {
    ad_rng *rng = ((const of_generator *)c->numbers)->rng;
    image s;
    memcpy(&s, ad_in(c, 0)->data, sizeof s);
    bool fresh = s.left == 1 && s.next == 0;
    bool drawn = s.next >= 1 && s.next <= AD_RNG_WORDS && s.left == AD_RNG_WORDS + 1 - (int)s.next;
    if (s.seeded != 1 || !(fresh || drawn)) return ad_fail(AD_BAD_ARG, 0, 0, 0);
    ad_rng_lock(rng);
    for (int i = 0; i < AD_RNG_WORDS; i++) rng->words[i] = (uint32_t)s.words[i];
    temper(rng);
    rng->next = fresh ? AD_RNG_WORDS : (uint32_t)s.next;
    rng->fresh = fresh;
    rng->has_sample = s.has_sample != 0;
    rng->sample = s.sample;
    rng->seed = s.seed;
    return ad_rng_unlock(rng, AD_OK);
}

static int do_state(ad_run_fn *run, const char *name, ad_rng *rng, const ad_tensor *state, bool write) {
    const of_generator g = {.rng = rng};
    const int status = check_state(state);
    if (status) return status;
    return ad_do(&(ad_call){run, name, write, !write, &state, &g, sizeof g, .kept = true});
}

int ad_rng_get_state(ad_rng *rng, ad_tensor *state) {
    return do_state(run_get_state, "get_state", rng, state, true);
}

int ad_rng_set_state(ad_rng *rng, const ad_tensor *state) {
    return do_state(run_set_state, "set_state", rng, state, false);
}
