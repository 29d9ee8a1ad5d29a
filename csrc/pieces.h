/* pieces.h: plans by which tensors are put together from pieces of another: for each dimension the number of
 * its pieces, then each of them. */
#ifndef AD_PIECES_H
#define AD_PIECES_H
#include "tape.h"

/* `length` elements of a dimension, from one on, each `step` after the one before; or of none. */
typedef struct {
    int64_t from, step, length;
} ad_piece;

enum { AD_NOTHING = -1 }; /* where a piece starts that is of nothing */

/* What a plan of n numbers makes of x; `name` is the call's. There is `value` (a number of x's dtype, or zero
 * for NULL) where there is nothing, which `nothing` allows. AD_BAD_INDEX where a piece is not of x. */
ad_tensor *ad_put_together(const char *name, const ad_tensor *x, int64_t n, const int64_t *plan, bool nothing,
                           const ad_tensor *value);

#endif
