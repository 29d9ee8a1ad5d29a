/* held.h: a descriptor as an object of Python that frees it, in a third of the time that an object of cffi
 * with a destructor takes. It is taken wherever the native API takes a descriptor, and tells the descriptor's
 * fields. For the extension alone; PyPy has objects of cffi. */
#ifndef PYPY_VERSION
#include <stdbool.h>

typedef struct {
    PyObject base;
    ad_tensor *x;
} ad_held;

static PyTypeObject *held_type;
/* cffi's types of a descriptor's pointer and of a row of such, and of a field: of each there is one. */
static struct _cffi_ctypedescr *pointer_type, *row_type, *numbers_type, *sizes_type, *bytes_type;

static bool is_held(PyObject *object) { return Py_TYPE(object) == held_type; }
static ad_tensor *held_by(PyObject *object) { return ((ad_held *)object)->x; }

/* Appends what was made, if it was, to a list that is given by its address, and lets it go; 0 where it is
 * there. */
static int give(intptr_t list, PyObject *made) {
    const int failed = !made || PyList_Append((PyObject *)list, made);
    Py_XDECREF(made);
    if (failed) PyErr_Clear();
    return failed;
}

/* A storage may belong to an object of Python, which is let go in a call: an error on its way is kept. */
static void let_held_go(PyObject *self) {
    PyTypeObject *const type = Py_TYPE(self);
    PyObject *kind, *error, *trace;
    PyErr_Fetch(&kind, &error, &trace);
    ad_free(held_by(self));
    PyErr_Restore(kind, error, trace);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyObject *cffi_pointer(char *p, struct _cffi_ctypedescr *type) {
    return _cffi_from_c_pointer(p, type);
}

/* What owns a new descriptor from now on; NULL stays a pointer, as do those to other things. */
static __attribute__((noinline)) PyObject *pointer_result(char *result, struct _cffi_ctypedescr *type) {
    if (!result || type != pointer_type) return _cffi_from_c_pointer(result, type);
    ad_held *const made = PyObject_New(ad_held, held_type);
    if (!made) {
        ad_free((ad_tensor *)result);
        return NULL;
    }
    made->x = (ad_tensor *)result;
    return (PyObject *)made;
}

/* The same of an object of cffi: of what a call has left in a row. */
static PyObject *hold(PyObject *self, PyObject *given) {
    (void)self;
    char *const x = _cffi_to_c_pointer(given, pointer_type);
    return !x && PyErr_Occurred() ? NULL : pointer_result(x, pointer_type);
}

enum { NDIM, DTYPE, CONTIGUOUS, NUMBER, NUMEL, UNLIKE, VERSION0, VERSION1, SHAPE, STRIDES, DATA };

static PyObject *was_freed(void) {
    PyErr_SetString(PyExc_ReferenceError, "the descriptor was freed");
    return NULL;
}

static PyObject *held_field(PyObject *self, void *which) {
    ad_tensor *const x = held_by(self);
    if (!x) return was_freed();
    switch ((int)(intptr_t)which) {
    case NDIM: return PyLong_FromLong(x->ndim);
    case DTYPE: return PyLong_FromLong(x->dtype);
    case CONTIGUOUS: return PyLong_FromLong(x->contiguous);
    case NUMBER: return PyLong_FromLong(x->number);
    case NUMEL: return PyLong_FromLongLong(x->numel);
    case UNLIKE: return PyLong_FromLong(x->unlike);
    case VERSION0: return PyLong_FromLongLong(x->version0);
    case VERSION1: return PyLong_FromLongLong(x->version1);
    case SHAPE: return _cffi_from_c_deref((char *)x->shape, sizes_type);
    case STRIDES: return _cffi_from_c_deref((char *)x->strides, sizes_type);
    default: return _cffi_from_c_pointer(x->data, bytes_type);
    }
}

/* Any other field, as cffi has it. */
static PyObject *other_field(PyObject *self, void *name) {
    if (!held_by(self)) return was_freed();
    PyObject *const seen = _cffi_from_c_pointer((char *)held_by(self), pointer_type);
    PyObject *const found = seen ? PyObject_GetAttrString(seen, name) : NULL;
    Py_XDECREF(seen);
    return found;
}

/* What NumPy's array interface asks of C, behind a capsule; an array of it keeps the descriptor alive. */
typedef struct {
    int two, ndim; /* the first is always 2 */
    char kind;
    int itemsize, flags;
    Py_ssize_t *shape, *strides; /* in bytes */
    void *data;
    PyObject *about; /* none */
    Py_ssize_t sizes[2][8];
} array_about;

static void free_array_about(PyObject *capsule) { PyMem_Free(PyCapsule_GetPointer(capsule, NULL)); }

static PyObject *array_struct(PyObject *self, void *unused) {
    static const struct {
        char kind, itemsize;
    } kinds[] = {{'b', 1}, {'u', 1}, {'i', 1}, {'i', 2}, {'i', 4},
                 {'i', 8}, {'f', 2}, {'V', 2}, {'f', 4}, {'f', 8}};
    enum { ALIGNED = 0x100, IN_ORDER = 0x200, WRITABLE = 0x400 };
    (void)unused;
    const ad_tensor *const x = held_by(self);
    if (!x) return was_freed();
    array_about *const a = PyMem_Calloc(1, sizeof *a);
    if (!a) return PyErr_NoMemory();
    a->two = 2;
    a->ndim = x->ndim;
    a->kind = kinds[x->dtype].kind;
    a->itemsize = kinds[x->dtype].itemsize;
    a->flags = ALIGNED | IN_ORDER | (ad_readonly(x) ? 0 : WRITABLE);
    a->data = x->data;
    a->shape = a->sizes[0];
    a->strides = a->sizes[1];
    for (int d = 0; d < x->ndim; d++) {
        a->shape[d] = (Py_ssize_t)x->shape[d];
        a->strides[d] = (Py_ssize_t)x->strides[d] * a->itemsize;
    }
    PyObject *const capsule = PyCapsule_New(a, NULL, free_array_about);
    if (!capsule) PyMem_Free(a);
    return capsule;
}

#define FIELD(name, which) {#name, held_field, NULL, NULL, (void *)(intptr_t)which}
#define OTHER(name) {#name, other_field, NULL, NULL, #name}
static PyGetSetDef held_fields[] = {FIELD(ndim, NDIM),
                                    FIELD(dtype, DTYPE),
                                    FIELD(contiguous, CONTIGUOUS),
                                    FIELD(number, NUMBER),
                                    FIELD(numel, NUMEL),
                                    FIELD(unlike, UNLIKE),
                                    FIELD(version0, VERSION0),
                                    FIELD(version1, VERSION1),
                                    FIELD(shape, SHAPE),
                                    FIELD(strides, STRIDES),
                                    FIELD(data, DATA),
                                    OTHER(address),
                                    OTHER(aside),
                                    OTHER(u8),
                                    OTHER(i8),
                                    OTHER(i16),
                                    OTHER(i32),
                                    OTHER(i64),
                                    OTHER(f32),
                                    OTHER(f64),
                                    OTHER(storage),
                                    {"__array_struct__", array_struct, NULL, NULL, NULL},
                                    {NULL, NULL, NULL, NULL, NULL}};
static PyType_Slot held_slots[] = {{Py_tp_dealloc, let_held_go},
                                   {Py_tp_getset, held_fields},
                                   {Py_tp_doc, (void *)"A descriptor."},
                                   {0, NULL}};
static PyType_Spec held_spec = {"autodiff.Descriptor", sizeof(ad_held), 0, Py_TPFLAGS_DEFAULT, held_slots};
static PyMethodDef hold_function = {"hold", hold, METH_O, NULL};

/* Takes a list of cffi's types, and makes it one of the type of what holds a descriptor, and of `hold`. */
static int ad_held_start(intptr_t list) {
    PyObject *const told = (PyObject *)list;
    struct _cffi_ctypedescr **const types[] = {&pointer_type, &row_type, &numbers_type, &sizes_type,
                                               &bytes_type};
    for (int i = 0; i < 5; i++) {
        PyObject *const type = PyList_GetItem(told, i);
        Py_INCREF(type);
        *types[i] = (struct _cffi_ctypedescr *)type;
    }
    PyObject *const type = PyType_FromSpec(&held_spec), *const function =
                                                            PyCFunction_New(&hold_function, NULL);
    held_type = (PyTypeObject *)type;
    const int failed = !type || !function || PyList_SetSlice(told, 0, 5, NULL) || PyList_Append(told, type) ||
                       PyList_Append(told, function);
    Py_XDECREF(function);
    if (failed) PyErr_Clear();
    return failed;
}

/* What an object holds, as an argument; with `taken`, it holds that no more. */
static bool held_argument(struct _cffi_ctypedescr *type, PyObject *given, char **pointer, bool taken) {
    if (!is_held(given) || type != pointer_type || !held_by(given)) return false;
    *pointer = (char *)held_by(given);
    if (taken) ((ad_held *)given)->x = NULL;
    return true;
}

/* A list of descriptors as a row, `nbytes` long, in room that cffi makes. */
static int held_row(PyObject *given, Py_ssize_t nbytes, char **room, struct _cffi_freeme_s **freed) {
    PyObject *const none = PyTuple_New(0);
    const int failed = !none || _cffi_convert_array_argument(row_type, none, room, nbytes, freed);
    Py_XDECREF(none);
    if (failed) return -1;
    char **const row = (char **)*room;
    const bool list = PyList_Check(given);
    const Py_ssize_t n = list ? PyList_Size(given) : PyTuple_Size(given);
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *const item = list ? PyList_GetItem(given, i) : PyTuple_GetItem(given, i);
        if (held_argument(pointer_type, item, &row[i], false)) continue;
        row[i] = _cffi_to_c_pointer(item, pointer_type);
        if (!row[i] && PyErr_Occurred()) return -1;
    }
    return 0;
}
#else
static int ad_held_start(intptr_t list) {
    (void)list;
    return AD_BAD_ARG;
}
#endif
