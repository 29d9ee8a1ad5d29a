/* lists.h: tensors of Python's plain numbers in lists, and back. None where there is more to it than that:
 * Python takes all else, and tells what is wrong with it. For the extension alone. */
#ifndef PYPY_VERSION
enum { LIST_DIMS = 8, LIST_MOST = 1 << 28 }; /* as there are at most; elements, lest a few lists be many */

/* ---- of lists ---- */

enum { OF_BOOLS, OF_INTS, OF_FLOATS }; /* what holds all of the numbers */
typedef struct {
    int ndim, kind;
    int64_t shape[LIST_DIMS];
} nesting;

static Py_ssize_t length_of(PyObject *given) {
    return PyList_CheckExact(given)    ? PyList_Size(given)
           : PyTuple_CheckExact(given) ? PyTuple_Size(given)
                                       : -1;
}
static PyObject *item_of(PyObject *given, Py_ssize_t i) {
    return PyList_CheckExact(given) ? PyList_GetItem(given, i) : PyTuple_GetItem(given, i);
}

/* The first item of each level tells how long its sequences are; false where one is empty, or they are too
 * deep. */
static bool find_shape(nesting *y, PyObject *given) {
    int64_t numel = 1;
    y->kind = OF_BOOLS;
    for (y->ndim = 0;; y->ndim++) {
        const Py_ssize_t n = length_of(given);
        if (n < 0) return true;
        if (!n || y->ndim == LIST_DIMS || n > LIST_MOST / numel) return false;
        numel *= y->shape[y->ndim] = n;
        given = item_of(given, 0);
    }
}

/* Whether all of a part is as nested, and of plain numbers. */
static bool find_kind(nesting *y, PyObject *given, int depth) {
    if (depth < y->ndim) {
        const Py_ssize_t n = length_of(given);
        bool fits = n == y->shape[depth];
        for (Py_ssize_t i = 0; fits && i < n; i++) fits = find_kind(y, item_of(given, i), depth + 1);
        return fits;
    }
    const int kind = PyFloat_CheckExact(given)  ? OF_FLOATS
                     : PyLong_CheckExact(given) ? OF_INTS
                     : PyBool_Check(given)      ? OF_BOOLS
                                                : -1;
    if (kind > y->kind) y->kind = kind;
    return kind >= 0;
}

/* A number as an element; where that cannot be, there is an error. */
static char *store_number(char *to, int dtype, PyObject *given) {
    if (dtype == AD_bool)
        *to++ = given == Py_True;
    else if (dtype == AD_int64) {
        const int64_t value = PyLong_AsLongLong(given);
        memcpy(to, &value, sizeof value), to += sizeof value;
    } else {
        const double value = PyFloat_CheckExact(given) ? PyFloat_AsDouble(given) : PyLong_AsDouble(given);
        const float single = (float)value;
        if (dtype == AD_float64)
            memcpy(to, &value, sizeof value), to += sizeof value;
        else
            memcpy(to, &single, sizeof single), to += sizeof single;
    }
    return to;
}

static char *store_numbers(const nesting *y, char *to, int dtype, PyObject *given, int depth) {
    if (depth == y->ndim) return store_number(to, dtype, given);
    for (Py_ssize_t i = 0; i < y->shape[depth]; i++)
        to = store_numbers(y, to, dtype, item_of(given, i), depth + 1);
    return to;
}

/* (data, dtype of floats, dtype wanted or -1): the tensor. */
static PyObject *of_lists(PyObject *self, PyObject *const *given, Py_ssize_t n) {
    (void)self;
    static const int least[] = {AD_bool, AD_int64, AD_float64};
    nesting y;
    if (n != 3 || !find_shape(&y, given[0]) || !find_kind(&y, given[0], 0)) return nothing();
    const int wanted = (int)PyLong_AsLong(given[2]), of_floats = (int)PyLong_AsLong(given[1]);
    const int dtype = wanted >= 0 ? wanted : y.kind == OF_FLOATS ? of_floats : least[y.kind];
    const bool floats = dtype == AD_float32 || dtype == AD_float64;
    if (PyErr_Occurred()) return NULL;
    if (!floats && dtype != least[y.kind]) return nothing();
    ad_tensor *const x = ad_empty(dtype, y.ndim, y.shape);
    if (!x) return nothing();
    store_numbers(&y, x->data, dtype, given[0], 0);
    if (PyErr_Occurred()) {
        PyErr_Clear(); /* an int that does not fit: Python tells */
        ad_free(x);
        return nothing();
    }
    PyObject *const p = pointer_result((char *)x, pointer_type);
    PyObject *const made = p ? filled((PyObject *)tensor_type, p) : NULL;
    Py_XDECREF(p);
    return made;
}

/* ---- to lists ---- */

static PyObject *number_at(const char *from, int dtype) {
    union {
        int16_t i16;
        int32_t i32;
        int64_t i64;
        float f32;
        double f64;
    } value;
    switch (dtype) {
    case AD_bool: return PyBool_FromLong(*from);
    case AD_uint8: return PyLong_FromLong((uint8_t)*from);
    case AD_int8: return PyLong_FromLong((int8_t)*from);
    case AD_int16: return memcpy(&value, from, 2), PyLong_FromLong(value.i16);
    case AD_int32: return memcpy(&value, from, 4), PyLong_FromLong(value.i32);
    case AD_int64: return memcpy(&value, from, 8), PyLong_FromLongLong(value.i64);
    case AD_float32: return memcpy(&value, from, 4), PyFloat_FromDouble((double)value.f32);
    default: return memcpy(&value, from, 8), PyFloat_FromDouble(value.f64);
    }
}

/* Of one dimension at least. */
static PyObject *list_at(const ad_tensor *x, const char *from, int depth, int64_t size) {
    const int64_t step = x->strides[depth] * size;
    const bool last = depth + 1 == x->ndim;
    PyObject *const list = PyList_New(x->shape[depth]);
    for (int64_t i = 0; list && i < x->shape[depth]; i++, from += step) {
        PyObject *const item = last ? number_at(from, x->dtype) : list_at(x, from, depth + 1, size);
        if (!item || PyList_SetItem(list, i, item)) {
            Py_DECREF(list);
            return NULL;
        }
    }
    return list;
}

/* (a tensor): its numbers in lists. */
static PyObject *to_lists(PyObject *self, PyObject *given) {
    (void)self;
    static const int64_t sizes[] = {1, 1, 1, 2, 4, 8, 0, 0, 4, 8};
    PyObject *const held = settled(slots_of(given));
    if (!held || !held_by(held)->ndim || !sizes[held_by(held)->dtype]) return nothing();
    Py_INCREF(held); /* another thread may replace it meanwhile */
    const ad_tensor *const x = held_by(held);
    PyObject *const made = list_at(x, x->data, 0, sizes[x->dtype]);
    Py_DECREF(held);
    return made;
}

static PyMethodDef of_lists_function = {"of_lists", (PyCFunction)(void (*)(void))of_lists, METH_FASTCALL,
                                        NULL};
static PyMethodDef to_lists_function = {"to_lists", to_lists, METH_O, NULL};

/* Appends both to a list. */
static int ad_lists_start(intptr_t list) {
    return give(list, PyCFunction_New(&of_lists_function, NULL)) ||
           give(list, PyCFunction_New(&to_lists_function, NULL));
}
#else
static int ad_lists_start(intptr_t list) {
    (void)list;
    return AD_BAD_ARG;
}
#endif
