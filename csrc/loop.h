/* loop.h: a pointwise call as one loop over dimensions shared by all operands. */
#ifndef AD_LOOP_H
#define AD_LOOP_H
#include "program.h"

typedef struct {
    char *data;
    int64_t strides[AD_MAX_DIMS]; /* in elements, along the loop's dimensions, innermost first */
    uint8_t dtype, type, size;
    bool uniform; /* one value for the whole loop */
    bool flat;    /* element i of the loop is element i of memory */
} ad_operand;

typedef struct {
    const ad_program *program;
    int ndim; /* at least 1 */
    int64_t shape[AD_MAX_DIMS], numel;
    ad_operand in[AD_MAX_INPUTS], out[AD_MAX_OUTPUTS];
} ad_loop;

/* Fills all of the loop, and makes the outputs that are NULL; on failure, those made so far are there. */
int ad_lay_out(ad_loop *l, const ad_program *p, const ad_tensor *const *in, ad_tensor **out);

static inline bool ad_is_native(const ad_operand *o, int type) {
    return ad_is_native_dtype(o->dtype) && ad_dtype_type[o->dtype] == type;
}

/* Merges dimensions, and tells of each operand what it is. */
void ad_settle(ad_loop *l);

enum {
    AD_STACK_REGS = 64,       /* registers of small calls, which need no memory of their own, */
    AD_STACK_SCRATCH = 32768, /* and bytes of theirs */
};

/* What one thread computes in: registers, each in a slot of scratch memory or in an operand. */
typedef struct {
    void **regs;
    ad_pw_fn **kernels;    /* of each instruction */
    uint64_t once;         /* a bit for each of the first that is of numbers alone: one element does */
    char *scratch, *stage; /* stage: room for a block of each output that is streamed */
    int64_t slot_bytes;
} ad_machine;

/* Bytes of a slot for blocks of n elements: a power of two, so that slots lie as far apart within a page as
 * they are long. To read where a store a little before went, but for the page, takes CPUs as long as to wait
 * for it. */
static inline int64_t ad_slot_bytes(const ad_program *p, int64_t n) {
    int64_t bytes = AD_LINE;
    while (bytes < n * p->width) bytes *= 2;
    return bytes;
}

/* Gives registers their slots and instructions their kernels, and fills the registers that hold one value for
 * the whole loop, from one on: n elements of it, or one where no kernel reads more. */
void ad_set_up(const ad_loop *l, ad_machine *m, int64_t n, int from);

/* Runs the first instructions of a program on n elements. */
static inline void ad_run_code(const ad_program *p, int n_code, ad_pw_fn *const *kernels, uint64_t once,
                               int64_t n, void *const *regs) {
    for (int i = 0; i < n_code; i++, once >>= 1) {
        const ad_instr *in = &p->code[i];
        kernels[i](once & 1 ? 1 : n, regs[in->dst], regs[in->a], regs[in->b], regs[in->c]);
    }
}

/* Runs a loop whose operands are in place; direct: results may be written while inputs are still read;
 * stream: past the caches. Works inside a parallel loop too. */
int ad_run_loop(const ad_loop *l, bool direct, bool stream);

/* Runs a loop in which an input lies across, in tiles (across.c); where none does, returns false. */
bool ad_run_across(const ad_loop *l, bool direct, bool stream, int *status);

/* What runs an instruction from memory to memory: a kernel, or for a comparison to bools what makes them. */
typedef struct {
    ad_pw_fn *kernel;
    ad_compare_fn *compare;
} ad_runner;

/* That of a program of one instruction, NULL and NULL where it has none; numbers: a bit for each operand that
 * is one, and meets several elements; of_bools: `where`, whose condition is. */
static inline ad_runner ad_runner_of(const ad_program *p, int numbers, bool of_bools) {
    const ad_instr *in = p->code;
    const ad_pw_kernels *pw = ad_cpu->pw;
    if (p->compares) {
        const int which = ad_comparison(in->op, in->type);
        if (numbers == 3) return (ad_runner){NULL, NULL};
        return (ad_runner){NULL, numbers ? pw->compare_number[which][numbers - 1] : pw->compare[which]};
    }
    if (of_bools) return (ad_runner){numbers ? NULL : pw->where[in->type], NULL};
    return (ad_runner){numbers ? ad_by_number(pw, in->op, in->type, numbers) : pw->instr[in->op][in->type],
                       NULL};
}

/* Runs a program of one instruction where no operand needs a register (single.c); else returns false. */
bool ad_run_single(const ad_loop *l, bool stream);
/* The result of a `small` program where its operands are few elements, contiguous and of one shape, or
 * numbers; NULL where they are not, or where there is no memory. */
ad_tensor *ad_run_small(const ad_program *p, const ad_tensor *const *in);

/* Elements of a block that goes past the caches. Pages of several inputs, of what is made of them, and of
 * what is fetched for the next block push each other out of an L1 whose sets have few lines. */
static inline int64_t ad_streamed_block(const ad_loop *l) {
    int64_t bytes = 0; /* of an element of each input */
    for (int i = 0; i < l->program->n_in; i++) bytes += l->in[i].strides[0] ? l->in[i].size : 0;
    return bytes <= 4 || !ad_l1_is_narrow() ? AD_BLOCK : bytes <= 8 ? AD_BLOCK / 2 : AD_BLOCK / 4;
}

#endif
