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

#endif
