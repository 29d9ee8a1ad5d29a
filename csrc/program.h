/* program.h: a pointwise program as the machine runs it. */
#ifndef AD_PROGRAM_H
#define AD_PROGRAM_H
#include "internal.h"

enum { AD_MAX_REGS = 4096 };

typedef struct {
    uint8_t op, type;
    uint16_t dst, a, b, c; /* registers; an operand that the instruction lacks repeats another */
} ad_instr;

struct ad_program {
    int n_in, n_const, n_code, n_out, n_regs, n_slots;
    int width;      /* bytes of an element of the widest register */
    int cost;       /* of one element, in eighths of a nanosecond */
    int refs;       /* those of tapes, which keep it besides its op */
    int writer;     /* what an output is told to be written by */
    bool divides;   /* has an i64 division, which may meet a zero */
    bool last_only; /* its one output is written by its last instruction, and so may overwrite an input */
    bool compares;  /* the same, and it is a comparison that goes to bools */
    bool small;     /* ad_is_small */
    uint8_t in_types[AD_MAX_INPUTS];
    uint8_t out_dtypes[AD_MAX_OUTPUTS];
    uint16_t out_regs[AD_MAX_OUTPUTS];
    ad_instr *code;
    uint64_t *consts;
    uint8_t *types;  /* of each register */
    uint16_t *slots; /* of each register: which block of scratch memory holds it */
};

typedef struct ad_op_variant {
    struct ad_op_variant *next;
    uint64_t key;
    ad_program *program;
} ad_op_variant;

struct ad_op {
    int n_in, n_out, writer;
    unsigned exact;          /* a bit for each operand whose numbers are told apart by what holds them */
    ad_op_variant *variants; /* prepended atomically: a call may look while another thread adds */
    ad_op_variant *retired;  /* forgotten, but perhaps in a recording; freed with the op */
};

bool ad_divides(const ad_instr *in); /* integers */
int ad_join_pairs(ad_program *p);    /* makes one instruction of two where there is one (pairs.c) */
bool ad_is_small(const ad_program *p);
void ad_program_free(ad_program *p); /* unless a tape still keeps it */
static inline void ad_program_retain(const ad_program *p) {
    __atomic_add_fetch(&((ad_program *)p)->refs, 1, __ATOMIC_RELAXED);
}

/* The one for such operands, or NULL and AD_NO_VARIANT; it lives as long as the op. */
const ad_program *ad_op_program(ad_op *op, int n, const ad_tensor *const *in);
/* Runs a program; NULL outputs are made. */
int ad_run(const ad_program *program, const ad_tensor *const *in, ad_tensor **out);

#endif
