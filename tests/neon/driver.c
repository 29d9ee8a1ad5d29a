/* driver.c: replays the calls of a script (recorder.py) on standard input, compares what they return and
 * writes the tensors that the script shows: for each the number of its bytes, and the bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "autodiff.h"

enum { END = -1, FILL = -2, SHOW = -3 };

static const char *name = "";
static int64_t calls;

static void fail(const char *what) {
    int64_t detail[3];
    const int status = ad_error(detail);
    fprintf(stderr, "call %lld, %s: %s; the last error is %d\n", (long long)calls, name, what, status);
    exit(1);
}

static void check(int holds, const char *what) {
    if (!holds) fail(what);
}

/* ---- words ---- */

static void read_bytes(void *to, size_t n) { check(fread(to, 1, n, stdin) == n, "the script ends early"); }

static int64_t read_word(void) {
    int64_t value;
    read_bytes(&value, sizeof value);
    return value;
}

static double read_real(void) {
    double value;
    read_bytes(&value, sizeof value);
    return value;
}

static void check_word(int64_t found) { check(read_word() == found, "another number is returned"); }

static void check_real(double found) {
    const double expected = read_real();
    const int nan = expected != expected && found != found;
    check(nan || !memcmp(&expected, &found, sizeof found), "another number is returned");
}

/* ---- pointers, by their numbers ---- */

static void **objects;
static int64_t n_objects;

static void *object(int64_t i) {
    check(i >= 0 && i < n_objects, "no such object");
    return objects[i];
}

static void *read_object(void) { return object(read_word()); }

static void keep(void *p) {
    const int64_t i = read_word();
    check((i != 0) == (p != NULL), p ? "a result where there was none" : "no result");
    if (!p) return;
    if (i >= n_objects) {
        objects = realloc(objects, sizeof *objects * (size_t)(2 * i));
        check(objects != NULL, "out of memory");
        memset(objects + n_objects, 0, sizeof *objects * (size_t)(2 * i - n_objects));
        n_objects = 2 * i;
    }
    objects[i] = p;
}

/* ---- arrays, which live as long as the call ---- */

enum { MAX_ARRAYS = 16 };
static void *arrays[MAX_ARRAYS];
static int n_arrays;

static void *new_array(int64_t nbytes) {
    check(n_arrays < MAX_ARRAYS, "too many arrays");
    void *p = malloc((size_t)nbytes + 1);
    check(p != NULL, "out of memory");
    return arrays[n_arrays++] = p;
}

typedef struct {
    int64_t n;
    void **p, **before;
} table;

static table read_table(void) {
    table t = {.n = read_word()};
    if (!t.n) return t; /* a pointer that is NULL, or to nothing */
    t.p = new_array(t.n * (int64_t)sizeof(void *));
    t.before = new_array(t.n * (int64_t)sizeof(void *));
    for (int64_t i = 0; i < t.n; i++) t.p[i] = t.before[i] = read_object();
    return t;
}

static void check_table(const table *t) {
    for (int64_t i = 0; i < t->n; i++)
        if (t->p[i] == t->before[i])
            check(read_object() == t->p[i], "another pointer in an array");
        else
            keep(t->p[i]);
}

typedef struct {
    int64_t nbytes;
    void *p; /* NULL where there are none */
} memory;

static memory read_memory(void) {
    memory m = {.nbytes = read_word()};
    if (!m.nbytes) return m;
    m.p = new_array(m.nbytes);
    read_bytes(m.p, (size_t)m.nbytes);
    return m;
}

static void check_memory(const memory *found) {
    const memory expected = read_memory();
    check(expected.nbytes == found->nbytes, "an array of another size");
    check(!expected.p || !memcmp(expected.p, found->p, (size_t)expected.nbytes), "other numbers in an array");
}

/* ---- tensors ---- */

static void fill(void) {
    ad_tensor *x = read_object();
    const int64_t nbytes = read_word();
    check(x && nbytes <= x->numel * ad_dtype_size(x->dtype), "more bytes than the tensor has");
    read_bytes(x->data, (size_t)nbytes);
}

static void show(void) {
    const ad_tensor *x = read_object();
    ad_tensor *y = x ? ad_contiguous(x, x->dtype) : NULL;
    check(y != NULL, "nothing to show");
    const int64_t nbytes = y->numel * ad_dtype_size(y->dtype);
    fwrite(&nbytes, sizeof nbytes, 1, stdout);
    fwrite(y->data, 1, (size_t)nbytes, stdout);
    ad_free(y);
}

static void run_call(int64_t function) {
    switch (function) {
#include "calls.h"
    default: fail("no such function");
    }
    while (n_arrays) free(arrays[--n_arrays]);
}

int main(void) {
    check(ad_init(NULL) == AD_OK, "no variant");
    fprintf(stderr, "%s, %s\n", ad_isa(), ad_compiler());
    n_objects = 1, objects = calloc(1, sizeof *objects);
    for (int64_t what; (what = read_word()) != END; calls++) {
        name = "";
        if (what == FILL)
            fill();
        else if (what == SHOW)
            show();
        else
            run_call(what);
    }
    fprintf(stderr, "%lld calls\n", (long long)calls);
    return 0;
}
