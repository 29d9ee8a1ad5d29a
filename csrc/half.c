/* half.c: floats of 16 bits where kernels have none: operands become float32 at the edge of an entry point,
 * and what comes out is rounded once. */
#include "internal.h"

bool ad_widen(int n, const ad_tensor **xs) {
    const int dtype = xs[0]->dtype;
    int done = 0;
    for (int i = 0; i < n; i++)
        if (xs[i] && xs[i]->dtype != dtype) return ad_fail(AD_BAD_DTYPE, xs[i]->dtype, 0, 0), false;
    for (; done < n; done++) {
        ad_tensor *wide = xs[done] ? ad_contiguous(xs[done], AD_float32) : NULL;
        if (xs[done] && !wide) break;
        xs[done] = wide;
    }
    if (done == n) return true;
    while (done--) ad_free((ad_tensor *)xs[done]);
    return false;
}

int ad_narrow(int dtype, int status, int n_out, ad_tensor **out, int n, const ad_tensor **xs) {
    for (int i = 0; i < n; i++) ad_free((ad_tensor *)xs[i]);
    for (int i = 0; i < n_out; i++) {
        ad_tensor *wide = out[i];
        if (!wide || wide->dtype != AD_float32) continue;
        out[i] = status ? NULL : ad_contiguous(wide, dtype);
        if (!status && !out[i]) status = AD_NO_MEMORY;
        ad_free(wide);
    }
    for (int i = 0; status && i < n_out; i++) {
        ad_free(out[i]);
        out[i] = NULL;
    }
    return status;
}
