/* optimizers.h: the table of optimisers, a row for each of optimizers.def. */
#ifndef AD_OPTIMIZERS_H
#define AD_OPTIMIZERS_H
#include "internal.h"

typedef struct {
    const char *name;
    int states, scalars, hypers;
    /* Fills u from the options h, whose first three are done, and the scalars; scalar[0] counts this step.
     * Scalars that a step leaves for the next are renewed. */
    void (*prepare)(ad_update *u, const double *h, double *scalar);
} ad_optimizer;

extern const ad_optimizer ad_optimizers[AD_N_OPTIMIZERS];
double ad_nadam_momentum(const double *h, double t); /* of step t */
#endif
