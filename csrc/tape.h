/* tape.h: calls as values. An entry point checks its arguments, makes its results, and hands the rest to
 * ad_do: what it runs, on which operands, with which numbers. While this thread records, the same call is
 * appended to the tape, to be run again on the memory of then. */
#ifndef AD_TAPE_H
#define AD_TAPE_H
#include "program.h"

typedef struct ad_call ad_call;
typedef int ad_run_fn(const ad_call *c); /* computes from what the call holds alone; an ad_status */

/* How a recorded call is laid out, once, in `size` bytes of room, which `run` finds as its numbers. `lay` is
 * false where each run has to look at its operands anew. `pointers` tells `place` of each pointer to elements
 * in the room, and of the operand it leads to. */
typedef void ad_place_fn(void *context, int operand, char **where);
typedef struct {
    size_t (*size)(const ad_call *c);
    bool (*lay)(const ad_call *c, void *room);
    void (*pointers)(const ad_call *c, void *room, ad_place_fn *place, void *context);
    ad_run_fn *run;
} ad_layout;

struct ad_call {
    ad_run_fn *run;
    const char *name;
    int n_out, n_in;
    const ad_tensor *const *x; /* the operands, those written first; NULL where one is left out */
    const void *numbers;       /* plain data: no pointers but to what the caller keeps alive */
    size_t n_bytes;
    const ad_program *program; /* of a pointwise call */
    bool kept;                 /* reads or moves a generator: run even where nobody wants the result */
    bool refuses;              /* looks at values, and may fail */
    const ad_layout *layout;   /* or NULL */
    bool picks;                /* its integers are places, of which it refuses those that are not there */
};

static inline ad_tensor *ad_out(const ad_call *c, int i) { return (ad_tensor *)c->x[i]; }
static inline const ad_tensor *ad_in(const ad_call *c, int i) { return c->x[c->n_out + i]; }
/* Runs it on a copy of an input of integers, if that is not left out: what it checks, no other thread changes
 * before it is used. */
int ad_run_apart(const ad_call *c, int input, ad_run_fn *run);

int ad_tape_do(const ad_call *c);
/* The same in two parts, for a call that makes its results as it runs: those are NULL before. */
ad_tape *ad_tape_begin(const ad_call *c);
void ad_tape_adopt(ad_tape *t, const ad_tensor *x);        /* a result that was made meanwhile */
int ad_tape_end(ad_tape *t, const ad_call *c, int status); /* the status, or why there is another */
static inline int ad_do(const ad_call *c) {
    return __builtin_expect(ad_recording != NULL, 0) ? ad_tape_do(c) : c->run(c);
}

/* The result y of a call, or NULL where it failed, y being freed. */
static inline ad_tensor *ad_done(const ad_call *c, ad_tensor *y) {
    if (!ad_do(c)) return y;
    ad_free(y);
    return NULL;
}

/* What is computed depends on which dtypes hold this number: it may be an argument of the recording. */
void ad_tape_tell(const ad_tensor *number);

/* Memory filled from outside, now, with what does not depend on any tensor. */
static inline ad_tensor *ad_constant(ad_tensor *x) {
    if (x && ad_recording) ad_raw(x);
    return x;
}

bool ad_is_plain(const ad_call *c); /* a pointwise call whose outputs are new, and overlap no input */

#endif
