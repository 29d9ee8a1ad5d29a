/* api/optim.h: the native API, optimisers, and norms of many tensors. */
#ifndef AD_API_OPTIM_H
#define AD_API_OPTIM_H
#include "../autodiff.h"

/* ---- optimisers: one call updates every parameter of a group ---- */
const char *ad_optim_name(int kind); /* a row of optimizers.def; NULL past the last */
int ad_optim_columns(int kind);      /* tensors a parameter takes, and */
int ad_optim_hypers(int kind);       /* options */
/* `tensors` has that many columns of n: the parameters, their gradients, each state, each scalar. All is
 * checked before anything is written; should memory for copies of strided tensors run out, each parameter is
 * updated whole, with its states and scalars, or not at all. The momentum buffers of sgd_momentum may be
 * NULL: these are made from the gradients, and stored for the caller to own. */
int ad_optim_step(int kind, int n, ad_tensor **tensors, const double *hyper);

/* ---- norms of many tensors ---- */
/* The norm of all elements, as the norm of the tensors' norms; floating-point tensors only. */
ad_tensor *ad_norm(int n, const ad_tensor *const *xs, double order, int dtype);
/* Multiply all elements (by a factor of 1: leave them), or bring them into [low, high] (high where low is
 * more). All tensors are checked before one is written; should memory for a copy of a strided one run out,
 * each is changed whole or not. */
int ad_scale(int n, ad_tensor *const *xs, const ad_tensor *factor);
int ad_clip(int n, ad_tensor *const *xs, double low, double high);

#endif
