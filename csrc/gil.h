/* gil.h: what the wrappers that cffi generates do otherwise here. PyPy has wrappers of its own.
 *
 * Python's lock: to let it go and take it back costs as much as a small operation, so the calls an eager
 * program is made of keep it, and let it go once they know that their work is long (ad_let_go). All others
 * let it go for the whole call. */
#include "small.h"
#ifndef PYPY_VERSION
#include <stdbool.h>
#include <string.h>

void ad_set_lock(void *(*let_go)(void), void (*take_back)(void *)); /* threads.c */
bool ad_let_go(int64_t cost);
void ad_take_back(bool let_go);

/* A few integers, such as sizes: cffi asks of each what it is. */
enum { AD_ROOM = 96 };
static bool few_numbers(struct _cffi_ctypedescr *type, PyObject *given, char **pointer, char *room) {
    const bool tuple = PyTuple_Check(given);
    if (type != numbers_type || !(tuple || PyList_Check(given))) return false;
    const Py_ssize_t n = tuple ? PyTuple_Size(given) : PyList_Size(given);
    if (n > AD_ROOM / (Py_ssize_t)sizeof(int64_t)) return false;
    int64_t *const numbers = (int64_t *)(void *)room;
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *const item = tuple ? PyTuple_GetItem(given, i) : PyList_GetItem(given, i);
        if (!PyLong_CheckExact(item)) return false;
        numbers[i] = PyLong_AsLongLong(item);
        if (numbers[i] == -1 && PyErr_Occurred()) {
            PyErr_Clear(); /* cffi words what does not fit */
            return false;
        }
    }
    *pointer = room;
    return true;
}

/* A pointer, or a list that becomes an array: in `room`, or where that is too small in memory that is freed
 * after the call. Written out for each pointer, as cffi has it, this is a third of the wrappers. */
static __attribute__((noinline)) int pointer_argument(struct _cffi_ctypedescr *type, PyObject *given,
                                                      char **pointer, char *room,
                                                      struct _cffi_freeme_s **freed, bool taken) {
    if (held_argument(type, given, pointer, taken) || few_numbers(type, given, pointer, room)) return 0;
    const Py_ssize_t nbytes = _cffi_prepare_pointer_call_argument(type, given, pointer);
    if (nbytes == 0) return 0;
    *pointer = nbytes > AD_ROOM ? NULL : room;
    if (nbytes > 0 && type == row_type && (PyList_Check(given) || PyTuple_Check(given)))
        return held_row(given, nbytes, pointer, freed);
    return _cffi_convert_array_argument(type, given, pointer, nbytes, freed);
}
#undef _cffi_prepare_pointer_call_argument
#define _cffi_prepare_pointer_call_argument(type, given, pointer)                                            \
    pointer_argument(type, given, pointer, __builtin_alloca(AD_ROOM), &large_args_free, AD_IS("free"))
#define _cffi_convert_array_argument(...) (-1) /* what comes after a failure */
#undef _cffi_from_c_pointer
#define _cffi_from_c_pointer(result, type)                                                                   \
    (AD_IS("tape_operand") ? cffi_pointer(result, type) : pointer_result(result, type)) /* which is lent */
#undef alloca
#define alloca(nbytes) NULL

/* Nobody asks for errno. */
#undef _cffi_restore_errno
#define _cffi_restore_errno() ((void)0)
#undef _cffi_save_errno
#define _cffi_save_errno() ((void)0)

static __attribute__((noinline)) bool let_go_throughout(void) { return ad_let_go(INT64_MAX); }
static void *let_python_go(void) { return PyEval_SaveThread(); }
static void take_python_back(void *state) { PyEval_RestoreThread((PyThreadState *)state); }
__attribute__((constructor)) static void hand_over_lock(void) {
    ad_set_lock(let_python_go, take_python_back);
}

#define AD_IS(name) !strcmp(__func__, "_cffi_f_ad_" name)
#define AD_SHORT                                                                                             \
    (AD_IS("free") || AD_IS("pw1") || AD_IS("pw2") || AD_IS("pw3") || AD_IS("pw4") || AD_IS("pw") ||         \
     AD_IS("matmul_t") || AD_IS("mm") || AD_IS("bmm") || AD_IS("mm_vjp") || AD_IS("reduce") ||               \
     AD_IS("sum_to") || AD_IS("alias") || AD_IS("rows") || AD_IS("spread") || AD_IS("deviations") ||         \
     AD_IS("layer_norm") || AD_IS("layer_norm_vjp") || AD_IS("channel_norm") || AD_IS("channel_norm_vjp") || \
     AD_IS("cross_entropy") || AD_IS("cross_entropy_vjp") || AD_IS("view") || AD_IS("expand") ||             \
     AD_IS("transpose") || AD_IS("select") || AD_IS("slice") || AD_IS("squeeze") || AD_IS("unsqueeze") ||    \
     AD_IS("version") || AD_IS("shape_key") || AD_IS("full_i64") || AD_IS("full_f64") ||                     \
     AD_IS("item_f64") || AD_IS("unfold") || AD_IS("diagonal") || AD_IS("index_get") ||                      \
     AD_IS("index_put") || AD_IS("norm") || AD_IS("lookup") || AD_IS("bags") || AD_IS("flip") ||             \
     AD_IS("roll") || AD_IS("pad") || AD_IS("cat") || AD_IS("stack") || AD_IS("triangle") ||                 \
     AD_IS("as_strided") || AD_IS("view_at") || AD_IS("permute") || AD_IS("number_f64") ||                   \
     AD_IS("number_i64") || AD_IS("item_i64") || AD_IS("pw_to") || AD_IS("next") || AD_IS("empty") ||        \
     AD_IS("clone") || AD_IS("copy") || AD_IS("contiguous") || AD_IS("gather") || AD_IS("windows") ||        \
     AD_IS("windows_vjp") || AD_IS("max_pool") || AD_IS("grid_sample") || AD_IS("grid_sample_vjp") ||        \
     AD_IS("storage_id") || AD_IS("offset") || AD_IS("vector_product") || AD_IS("tape_run") ||               \
     AD_IS("tape_run0") || AD_IS("tape_run1") || AD_IS("tape_run2") || AD_IS("tape_run3") || AD_IS("nll") || \
     AD_IS("nll_spread") || AD_IS("rng_normal") || AD_IS("rng_uniform") || AD_IS("rng_randint") ||           \
     AD_IS("equal") || AD_IS("wrap") || AD_IS("values_f64") || AD_IS("values_i64") || AD_IS("aside") ||      \
     AD_IS("is_inference") || AD_IS("readonly") || AD_IS("storage_bytes") || AD_IS("regroup") ||             \
     AD_IS("pw2_reduced") || AD_IS("optim_step") || AD_IS("index_rows") || AD_IS("add_at") ||                \
     AD_IS("capsule_append") || AD_IS("capsule_take") || AD_IS("held_start") || AD_IS("slots_start") ||      \
     AD_IS("nodes_start") || AD_IS("direct") || AD_IS("replay") || AD_IS("called_start") ||                  \
     AD_IS("counts_start") || AD_IS("lists_start") || AD_IS("quick") || AD_IS("join_to") ||                  \
     AD_IS("stored") || AD_IS("table"))
#undef Py_BEGIN_ALLOW_THREADS
#define Py_BEGIN_ALLOW_THREADS                                                                               \
    {                                                                                                        \
        const bool let_go = !AD_SHORT && let_go_throughout();
#undef Py_END_ALLOW_THREADS
#define Py_END_ALLOW_THREADS                                                                                 \
    if (!AD_SHORT) ad_take_back(let_go);                                                                     \
    }
#endif
