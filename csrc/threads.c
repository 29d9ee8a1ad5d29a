/* threads.c: a parallel for over a few threads of our own.
 *
 * Each thread has a share of the chunks, the same at every call of that size, so that it finds in its own
 * caches what it wrote there before. Who is done takes from the end of others' shares, so a worker that wakes
 * late costs nothing: the caller never waits for one that has not begun. Which thread runs a chunk is open;
 * what is in it is not.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "internal.h"

#define MAX_THREADS 256
#define SHARE_COST 10000             /* of each thread, at least: a wake-up costs microseconds; */
#define SERIAL_COST (2 * SHARE_COST) /* so less work than this is not shared */
#define APART 8192                   /* bytes of a row that a thread writes, at least */
#define LINGER 50000                 /* nanoseconds to look for what comes next before a thread sleeps */

static pthread_mutex_t region =
    PTHREAD_MUTEX_INITIALIZER; /* held by the one thread that may use the workers */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards `job`, `vacant`, `active` */
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static pthread_cond_t idle = PTHREAD_COND_INITIALIZER;
typedef struct {
    void (*fn)(void *context, int64_t i);
    void *context;
    int64_t n;
    int threads; /* among which it is shared */
} ad_job;
static ad_job job;
static atomic_int
    vacant; /* workers that may still join: both change under `lock`, but are looked at without */
static atomic_int active; /* workers that joined and have not finished */
static struct {
    _Alignas(128) atomic_ullong left; /* of a thread's share: the first chunk, and above it the end */
} shares[MAX_THREADS];
static _Thread_local bool is_worker AD_NEAR;
static _Thread_local bool spreads AD_NEAR; /* this thread runs chunks of a loop that others share */

static int n_workers;           /* started so far; guarded by `region` */
static atomic_int n_threads;    /* 0 until first asked for */
static atomic_bool single_only; /* in a forked child, where no worker lives */
static atomic_llong n_spread;   /* regions offered to workers so far */

static int default_threads(void) {
    const char *text = getenv("AUTODIFF_NUM_THREADS");
    long n = text ? strtol(text, NULL, 10) : 0;
#ifdef __linux__
    cpu_set_t set;
    if (n < 1 && sched_getaffinity(0, sizeof set, &set) == 0) n = CPU_COUNT(&set);
#endif
    if (n < 1) n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > MAX_THREADS ? MAX_THREADS : (int)n;
}

int ad_get_num_threads(void) {
    int n = atomic_load_explicit(&n_threads, memory_order_relaxed);
    if (n) return n;
    int unset = 0;
    n = default_threads();
    return atomic_compare_exchange_strong(&n_threads, &unset, n) ? n : unset;
}

int ad_threads_here(void) {
    return spreads || is_worker || atomic_load_explicit(&single_only, memory_order_relaxed)
               ? 1
               : ad_get_num_threads();
}

int64_t ad_shared_strips(int64_t strips, int64_t row_bytes) {
    return row_bytes < ad_threads_here() * (int64_t)APART ? 1 : strips;
}

int ad_set_num_threads(int n) {
    if (n < 1) return ad_fail(AD_BAD_ARG, n, 0, 0);
    atomic_store(&n_threads, n > MAX_THREADS ? MAX_THREADS : n);
    return AD_OK;
}

int64_t ad_spread_regions(void) { return atomic_load_explicit(&n_spread, memory_order_relaxed); }

/* ---- the lock of the language we are called from: kept for short work, let go for long ---- */

static void *(*let_go_of)(void);
static void (*take_back)(void *);
static _Thread_local void *let_go; /* what this thread gets its lock back for; workers have none */

void ad_set_lock(void *(*release)(void), void (*acquire)(void *)) {
    let_go_of = release;
    take_back = acquire;
}

bool ad_let_go(int64_t cost) {
    if (cost < SERIAL_COST || !let_go_of || let_go || is_worker) return false;
    let_go = let_go_of();
    return true;
}

void ad_take_back(bool was_let_go) {
    if (!was_let_go) return;
    void *state = let_go;
    let_go = NULL;
    take_back(state);
}

/* ---- the workers ---- */

/* Chunks are counted in 32 bits: of more than that, several are drawn at a time. */
static int64_t grain_of(const ad_job *j) { return (j->n >> 31) + 1; }

static void deal(const ad_job *j) {
    const int64_t count = (j->n - 1) / grain_of(j) + 1;
    for (int t = 0; t < j->threads; t++) {
        const uint64_t first = count * t / j->threads, end = count * (t + 1) / j->threads;
        atomic_store_explicit(&shares[t].left, end << 32 | first, memory_order_relaxed);
    }
}

/* The next chunk of a share, or -1: the first by its owner, the last by others. */
static int64_t draw(int share, bool own) {
    unsigned long long left = atomic_load_explicit(&shares[share].left, memory_order_relaxed), rest;
    uint32_t first, end;
    do {
        first = (uint32_t)left;
        end = (uint32_t)(left >> 32);
        if (first >= end) return -1;
        rest = own ? left + 1 : left - (1ull << 32);
    } while (!atomic_compare_exchange_weak_explicit(&shares[share].left, &left, rest, memory_order_relaxed,
                                                    memory_order_relaxed));
    return own ? first : end - 1;
}

static void draw_chunks(const ad_job *j, int own) {
    const int64_t grain = grain_of(j);
    for (int t = 0; t < j->threads; t++) {
        const int share = (own + t) % j->threads;
        for (int64_t c; (c = draw(share, t == 0)) >= 0;) {
            const int64_t end = ad_least(j->n, (c + 1) * grain);
            for (int64_t i = c * grain; i < end; i++) j->fn(j->context, i);
        }
    }
}

static void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t nanoseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Waits until a count is zero or, where so wanted, is not, but no longer than LINGER: to be woken takes as
 * long as a small region. Whoever else is ready to run on this core goes first. */
static void linger(atomic_int *count, bool wanted) {
    const int64_t end = nanoseconds() + LINGER;
    while ((atomic_load(count) != 0) != wanted && nanoseconds() < end) {
        for (int i = 0; i < 32; i++) relax();
        sched_yield();
    }
}

static void *worker(void *number) {
    const int own = (int)(intptr_t)number;
    is_worker = true;
    for (;;) {
        linger(&vacant, true);
        pthread_mutex_lock(&lock);
        while (!vacant) pthread_cond_wait(&wake, &lock);
        vacant--;
        active++;
        const ad_job mine = job;
        pthread_mutex_unlock(&lock);
        draw_chunks(&mine, own);
        ad_end_streams();
        pthread_mutex_lock(&lock);
        if (--active == 0) pthread_cond_signal(&idle);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void after_fork_in_child(void) { atomic_store(&single_only, true); }

/* Brings the workers to `wanted`, or to as many as the system grants. They take no signals: those are the
 * program's own threads' business. */
static int start_workers(int wanted) {
    if (n_workers >= wanted) return wanted;
    static bool fork_handled;
    if (!fork_handled) fork_handled = pthread_atfork(NULL, NULL, after_fork_in_child) == 0;
    if (!fork_handled) return 0;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (; n_workers < wanted; n_workers++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, worker, (void *)(intptr_t)(n_workers + 1)) != 0) break;
        pthread_detach(thread);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return n_workers;
}

static void run_region(int64_t n, void (*fn)(void *, int64_t), void *context, int helpers) {
    atomic_fetch_add_explicit(&n_spread, 1, memory_order_relaxed);
    pthread_mutex_lock(&lock);
    job = (ad_job){fn, context, n, helpers + 1};
    deal(&job);
    vacant = helpers;
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < helpers; i++) pthread_cond_signal(&wake);

    spreads = true;
    draw_chunks(&job, 0);
    spreads = false;

    pthread_mutex_lock(&lock);
    vacant = 0;
    pthread_mutex_unlock(&lock);
    linger(&active, false);
    pthread_mutex_lock(&lock);
    while (active) pthread_cond_wait(&idle, &lock);
    pthread_mutex_unlock(&lock);
}

static void for_each(int64_t n, int64_t cost, void (*fn)(void *, int64_t), void *context) {
    const int64_t threads = ad_least(ad_threads_here(), ad_least(n, cost / SHARE_COST));
    /* Nested, or another thread's region is running: go on alone rather than wait. */
    if (threads > 1 && pthread_mutex_trylock(&region) == 0) {
        const int helpers = start_workers((int)threads - 1);
        if (helpers) run_region(n, fn, context, helpers);
        pthread_mutex_unlock(&region);
        if (helpers) return;
    }
    for (int64_t i = 0; i < n; i++) fn(context, i);
}

void ad_parallel_for(int64_t n, int64_t cost, void (*fn)(void *, int64_t), void *context) {
    const bool let_go_here = ad_let_go(cost);
    for_each(n, cost, fn, context);
    if (cost >= SERIAL_COST) ad_end_streams();
    ad_take_back(let_go_here);
}
