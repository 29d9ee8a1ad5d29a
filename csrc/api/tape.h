/* api/tape.h: the native API, watching and tapes. */
#ifndef AD_API_TAPE_H
#define AD_API_TAPE_H
#include "../autodiff.h"

/* ---- watching: the first call that makes a nan or an infinity of finite operands fails ---- */
typedef struct {
    const char *name;       /* of the call */
    int written, n_written; /* which of the operands that it writes */
    int ndim;               /* of that, and where in it */
    int64_t shape[8], index[8];
    double value; /* what is there */
    int n_in;     /* operands that it reads; of a pointwise call, their elements there, */
    double operands[10];
    uint8_t known[10]; /* where they are to be had */
} ad_nonfinite;
int ad_watch(int on); /* this thread's calls, or no longer; whether they were before, -1: it records */
int ad_watching(void);
const ad_nonfinite *ad_watch_found(void);

/* ---- tapes: the calls of a thread, recorded once and run again ---- */
typedef struct ad_tape ad_tape;
typedef enum {
    AD_TAPE_FINE,
    AD_TAPE_READ,       /* a value was looked at */
    AD_TAPE_SIZED,      /* a result whose size depends on values */
    AD_TAPE_UNRECORDED, /* a call that does not record what it does */
    AD_TAPE_SEED,       /* a generator's seed was asked for */
    AD_TAPE_FOREIGN,    /* memory was taken in or given away */
    AD_TAPE_STARTED,    /* a first step made the states of an optimiser */
    AD_TAPE_NO_MEMORY,
    AD_TAPE_REFUSED, /* a call failed, and others follow */
    AD_TAPE_REFUSES  /* none: a call was recorded that other values may make fail */
} ad_tape_reason;
/* Records this thread's calls until ad_tape_stop. `notice` is called for each with AD_TAPE_FINE or
 * AD_TAPE_REFUSES, and with the reason where what happens cannot be recorded. */
ad_tape *ad_tape_record(int n_args, ad_tensor *const *args, void (*notice)(int reason));
/* The same, of calls that read what those of another tape made: of what they read, that one's exports and,
 * after the n_args, the arguments of this one get what leads to its memory, if only once. */
ad_tape *ad_tape_record_after(ad_tape *first, int n_args, ad_tensor *const *args, void (*notice)(int reason));
int ad_tape_links(const ad_tape *tape);         /* how many those are, */
int ad_tape_linked(const ad_tape *tape, int i); /* and which export of the other tape is one of them; or -1 */
/* Which link leads to x's memory, and how far x begins behind what it leads to; -1 for none. */
int ad_tape_link(const ad_tape *tape, const ad_tensor *x, int64_t *offset);
/* A tensor of a layout, so far behind what a link leads to. */
ad_tensor *ad_tape_link_part(const ad_tensor *link, const ad_tensor *layout, int64_t offset);
/* When all exports of it are told: what the first made is known by that one again, for another after it. */
void ad_tape_unlink(const ad_tape *tape, const ad_tape *first);
int ad_tape_stop(ad_tape *tape); /* the first reason there was */
ad_tape *ad_tape_pause(void);    /* what this thread does until then is not recorded */
void ad_tape_resume(ad_tape *tape);
/* Whether this thread records, and x's memory was made since. */
int ad_tape_made_here(const ad_tensor *x);
/* Where a tape knows x's memory from: an argument (0), before (1), made while recording (2); -1: it does not.
 */
int ad_tape_knows(const ad_tape *tape, const ad_tensor *x);
/* Whether what x holds by now is made of numbers alone, and so the same at each run; also of what no call
 * made meanwhile, 0. */
int ad_tape_constant(const ad_tape *tape, const ad_tensor *x);
void ad_tape_free(ad_tape *tape);
/* An expression of the caller that depends on values. */
void ad_tape_break(int reason);
/* The call has x from elsewhere: no run takes its memory as an argument. */
int ad_tape_capture(ad_tape *tape, const ad_tensor *x);
/* Before ad_tape_finish: makes x, all of a captured memory, one more argument, in whose memory a run may find
 * others like it; 0 where that cannot be, as x is an export too. -1 for want of memory. */
int ad_tape_lend(ad_tape *tape, const ad_tensor *x);
/* After ad_tape_stop: x is to be had after each run, by this number; -1 for want of memory,
 * -2 where the call that made it did not tell. */
int ad_tape_export(ad_tape *tape, const ad_tensor *x);
/* Before ad_tape_finish: an export that may be looked at until a run writes it. The memory of others is
 * used for what is needed before. */
int ad_tape_keep(ad_tape *tape, int exported);
/* Plans calls and memory; the first n_outputs exports are what ad_tape_run returns. `fuse`: pointwise calls
 * that lead to one another become one where they can. */
int ad_tape_finish(ad_tape *tape, int n_outputs, int fuse);
/* The first n exports keep their memory, if no other lies there: a run writes over what the one before
 * returned. */
int ad_tape_reuse(ad_tape *tape, int n);
/* A run that fails at one of the first n recorded calls puts back what was there: it fails with AD_UNDONE. */
int ad_tape_undo(ad_tape *tape, int n);
/* The outputs for these arguments. AD_STALE before, AD_BUSY, AD_UNDONE: nothing was done. After other
 * failures ad_tape_position tells which call failed. */
int ad_tape_run(ad_tape *tape, int n_args, ad_tensor *const *args, ad_tensor **outputs);
/* The same of tapes with at most one output, which is NULL where there is none and where it fails. */
ad_tensor *ad_tape_run0(ad_tape *tape);
ad_tensor *ad_tape_run1(ad_tape *tape, ad_tensor *a);
ad_tensor *ad_tape_run2(ad_tape *tape, ad_tensor *a, ad_tensor *b);
ad_tensor *ad_tape_run3(ad_tape *tape, ad_tensor *a, ad_tensor *b, ad_tensor *c);
/* Runs steps `from` to `to` on args. Where `order` is not NULL, the first n_data are filled before each, by
 * the rows of its data tensor that order has for the step. Output i of a step goes to row `step` of
 * stacked[i]; those beyond n_stacked are not kept. */
int ad_tape_steps(ad_tape *tape, int n_args, ad_tensor *const *args, int n_data, ad_tensor *const *data,
                  const ad_tensor *order, int64_t from, int64_t to, int n_stacked, ad_tensor *const *stacked);
int ad_tape_position(void);                          /* in the last run that this thread made */
ad_tensor *ad_tape_get(ad_tape *tape, int exported); /* as the last run left it */
/* For checks: what a run writes to that was there before, kept and put back; and a hash of each call's
 * results, by the call it was recorded as: of the last run of ad_tape_run_hashed, or while recording from
 * ad_tape_hash on. */
int ad_tape_save(ad_tape *tape, int n_args, ad_tensor *const *args);
void ad_tape_restore(ad_tape *tape);
int ad_tape_run_hashed(ad_tape *tape, int n_args, ad_tensor *const *args, ad_tensor **outputs);
void ad_tape_hash(ad_tape *tape);
int ad_tape_hashes(const ad_tape *tape, int n,
                   uint64_t *hashes); /* 0 where a call is not made; how many there are */
/* Calls recorded, calls a run makes, bytes of the arena, of results, the most in use while recording, how
 * many calls became part of another, and how many runs there were. */
void ad_tape_stats(const ad_tape *tape, int64_t stats[7]);
int ad_tape_length(const ad_tape *tape); /* of what is run */
/* The i-th call that is run: its name, its operand j (NULL past the last) and, of that, where its memory
 * comes from, an ad_tape_memory, and which of those it is. */
const char *ad_tape_name(const ad_tape *tape, int i);
int ad_tape_source(const ad_tape *tape, int i); /* the recorded call it came from */
const ad_tensor *ad_tape_operand(const ad_tape *tape, int i, int j, int origin[3]);
int ad_tape_writer(const ad_tape *tape, int i); /* of a pointwise call: its op, as ad_last_writer tells */

#endif
