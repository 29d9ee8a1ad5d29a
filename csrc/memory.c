/* memory.c: a caching pool. Freed blocks are kept by size class, so that a program that repeats itself
 * (training) asks the system for nothing after its first step and pays no page faults.
 *
 * A block is a 64-byte header, then the caller's bytes. The pool never holds more cached bytes than the
 * program once had in use (or 256 MiB, where that is more). */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#ifdef __linux__
#include <sys/mman.h>
#endif
#include "internal.h"

enum {
    HEADER = 64,
    STEP = 64,
    SMALL = 4096,
    N_SMALL = SMALL / STEP,
    N_CLASSES = N_SMALL + 4 * 50, /* four classes per power of two above SMALL */
};
static const int64_t CACHE_FLOOR = (int64_t)256 << 20;
static const size_t HUGE_PAGE = (size_t)2 << 20;

/* Sanitizers see nothing of memory that is reused without being freed, nor of bytes between a size and its
 * class: in their builds every block is made and freed on its own, as large as was asked for. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif
#if defined(SANITIZED) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const bool pooling = false;
#else
static const bool pooling = true;
#endif

typedef struct block {
    struct block *next; /* in the free list */
    int64_t size;       /* bytes of the whole block */
    int32_t class;
} block;

static struct {
    bool locked;
    block *free[N_CLASSES];
    int64_t in_use, cached, peak, live;
    int64_t failing; /* the allocation, counted from now, that will fail; 0: none */
} pool;

/* The lock is held for a few instructions at a time: spinning beats a mutex, and a fork cannot inherit it
 * held by a thread that does not exist in the child, because the child resets it. */
static void lock(void) {
    while (__atomic_test_and_set(&pool.locked, __ATOMIC_ACQUIRE)) sched_yield();
}
static void unlock(void) { __atomic_clear(&pool.locked, __ATOMIC_RELEASE); }
__attribute__((constructor)) static void reset_lock_in_children(void) {
    pthread_atfork(lock, unlock, unlock);
}

/* The class of a size, and the size rounded up to what its class holds. */
static int size_class(size_t *size) {
    if (*size <= SMALL) {
        *size = (*size + STEP - 1) / STEP * STEP;
        return (int)(*size / STEP) - 1;
    }
    int log2 = 63 - __builtin_clzll(*size - 1);
    size_t quarter = (size_t)1 << (log2 - 2);
    size_t steps = (*size - ((size_t)1 << log2) + quarter - 1) / quarter; /* 1..4 */
    *size = ((size_t)1 << log2) + steps * quarter;
    return N_SMALL + 4 * (log2 - 12) + (int)steps - 1;
}

static block *system_alloc(size_t size) {
    void *p = NULL;
    /* blocks of pages begin alike in theirs: see ad_slot_bytes in loop.h */
    const size_t alignment = size >= HUGE_PAGE ? HUGE_PAGE : size >= 4 * AD_PAGE ? AD_PAGE : 64;
    if (posix_memalign(&p, alignment, size)) return NULL;
#ifdef MADV_HUGEPAGE
    if (size >= HUGE_PAGE) madvise(p, size, MADV_HUGEPAGE);
#endif
    return p;
}

static void account(int64_t bytes, int64_t blocks) {
    pool.in_use += bytes;
    pool.live += blocks;
    if (pool.in_use > pool.peak) pool.peak = pool.in_use;
}

/* Whether this allocation is the one that was told to fail. Called with the lock held. */
static bool fails(void) { return pool.failing && --pool.failing == 0; }

/* A new block from the system, whose cached ones it may need back. */
static block *new_block(size_t size, int class) {
    block *b = system_alloc(size);
    if (!b) {
        ad_memory_trim();
        b = system_alloc(size);
    }
    if (!b) return NULL;
    b->size = (int64_t)size;
    b->class = class;
    lock();
    account((int64_t)size, 1);
    unlock();
    return b;
}

void *ad_alloc(size_t nbytes) {
    if (nbytes > (size_t)1 << 48) return ad_fail_null(AD_NO_MEMORY, (int64_t)nbytes, 0, 0);
    size_t size = nbytes + HEADER;
    int class = pooling ? size_class(&size) : 0;
    lock();
    bool failed = fails();
    block *b = failed ? NULL : pool.free[class];
    if (b) {
        pool.free[class] = b->next;
        pool.cached -= (int64_t)size;
        account((int64_t)size, 1);
    }
    unlock();
    if (!b && !failed) b = new_block(size, class);
    if (!b) return ad_fail_null(AD_NO_MEMORY, (int64_t)nbytes, 0, 0);
    return (char *)b + HEADER;
}

void ad_dealloc(void *memory) {
    if (!memory) return;
    block *b = (block *)((char *)memory - HEADER);
    lock();
    int64_t limit = pool.peak > CACHE_FLOOR ? pool.peak : CACHE_FLOOR;
    bool keep = pooling && pool.cached + b->size <= limit;
    account(-b->size, -1);
    if (keep) {
        b->next = pool.free[b->class];
        pool.free[b->class] = b;
        pool.cached += b->size;
    }
    unlock();
    if (!keep) free(b);
}

void ad_memory_trim(void) {
    for (int class = 0; class < N_CLASSES; class ++) {
        lock();
        block *b = pool.free[class];
        pool.free[class] = NULL;
        for (block *p = b; p; p = p->next) pool.cached -= p->size;
        unlock();
        while (b) {
            block *next = b->next;
            free(b);
            b = next;
        }
    }
}

void ad_memory_stats(int64_t stats[4]) {
    lock();
    stats[0] = pool.in_use;
    stats[1] = pool.cached;
    stats[2] = pool.peak;
    stats[3] = pool.live;
    unlock();
}

void ad_memory_reset_peak(void) {
    lock();
    pool.peak = pool.in_use;
    unlock();
}

void ad_memory_fail(int64_t n) {
    lock();
    pool.failing = n > 0 ? n : 0;
    unlock();
}

/* ---- storages: reference-counted memory that tensors view ---- */

/* One block holds a storage, its first descriptor and the data. */
ad_storage *ad_storage_new(int64_t nbytes) {
    enum { HEAD = 256 };
    _Static_assert(sizeof(ad_storage) + sizeof(ad_tensor) <= HEAD, "the data must stay 64-byte aligned");
    ad_storage *s = ad_alloc((size_t)nbytes + HEAD);
    if (!s) return NULL;
    *s = (ad_storage){.data = (char *)s + HEAD, .lo = (char *)s + HEAD, .nbytes = nbytes, .refs = 1};
    if (ad_inference_mode) s->version = AD_INFERENCE_VERSION;
    if (__builtin_expect(ad_recording != NULL, 0)) ad_tape_made(s);
    return s;
}

void ad_storage_retain(ad_storage *s) { __atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED); }

/* Who holds the last reference is alone with it, and needs no atomic write to see that. */
void ad_storage_release(ad_storage *s) {
    if (__atomic_load_n(&s->refs, __ATOMIC_ACQUIRE) != 1 && __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL))
        return;
    if (s->release) s->release(s->owner);
    ad_dealloc(s);
}
