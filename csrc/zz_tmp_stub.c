#include "internal.h"
__attribute__((weak)) int ad_sgd(int n, ad_tensor *const *params, const ad_tensor *const *grads, ad_tensor **buffers, const double *hyper){(void)n;(void)params;(void)grads;(void)buffers;(void)hyper;return 1;}
