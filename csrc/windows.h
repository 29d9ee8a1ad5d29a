/* windows.h: what the files of sums over windows share. */
#ifndef AD_WINDOWS_H
#define AD_WINDOWS_H
#include "channels.h"
#include "tape.h"

enum { DIMS = AD_WINDOW_DIMS };
enum { ONE_NUMBER = 1, PRESENT, WITH_PADDING };

/* n windows of `taps` elements over a dimension of `size`. Tap b of window j is element
 * j stride + b dilation - padding where there is a stride, else what a table tells; it is none, told by
 * `size`, where that is outside. */
typedef struct {
    int64_t size, n, taps, stride, padding, dilation;
    const int64_t *places; /* of tap after tap, n each */
    const char *weights;   /* the same, or NULL */
} axis;

typedef struct {
    char *images, *windows;
    int dtype;
    bool back, few, *failed; /* few: windows in a row, that are solid */
    int64_t divisor, number;
    axis axis[DIMS];
} task;

static int64_t lattice(const axis *a, int64_t tap, int64_t j) {
    return j * a->stride + tap * a->dilation - a->padding;
}

static int64_t place(const axis *a, int64_t tap, int64_t j) {
    if (!a->stride) return a->places[tap * a->n + j];
    const int64_t at = lattice(a, tap, j);
    return at < 0 || at >= a->size ? a->size : at;
}

/* How many elements window j has, the padding around all being some or not. */
static int64_t count(const axis *a, int64_t j, bool padded) {
    int64_t n = 0;
    if (a->stride) {
        const int64_t start = lattice(a, 0, j), end = start + a->taps, pad = padded ? a->padding : 0;
        return ad_least(end, a->size + pad) - (start > -pad ? start : -pad);
    }
    for (int64_t tap = 0; tap < a->taps; tap++) n += a->places[tap * a->n + j] < a->size;
    return n;
}

/* windows_beside.c: of images whose channels lie side by side; the task's axes and divisor are set */
bool ad_windows_lie_beside(const ad_tensor *x, int64_t nd);
int ad_windows_beside(const task *t, const ad_tensor *images, const ad_tensor *windows);

#endif
