#include "internal.h"
__attribute__((weak)) ad_tensor *ad_matmul(const ad_tensor *a, const ad_tensor *b, const ad_tensor *bias){(void)a;(void)b;(void)bias;return ad_fail_null(AD_BAD_ARG,0,0,0);}
__attribute__((weak)) int ad_sgd(int n, ad_tensor *const *params, const ad_tensor *const *grads, ad_tensor **buffers, const double *hyper){(void)n;(void)params;(void)grads;(void)buffers;(void)hyper;return 1;}
