/* stored.h: results that go to a tensor of the caller's, of a call as they mostly are. For the extension
 * alone. */
#ifndef PYPY_VERSION
/* Whether something is a tensor that no graph knows, a list, tuple or dict of such, or of one of some types.
 * With `like`, tensors have its dtype. */
static bool is_plain(PyObject *given, PyObject *types, const ad_tensor *like) {
    if (Py_TYPE(given) == tensor_type) {
        const ad_slots *const x = (const ad_slots *)given;
        if (x->slot[NODE] != Py_None || x->slot[BASE] != Py_None || !settled(x)) return false;
        return !like || held_by(x->slot[P])->dtype == like->dtype;
    }
    PyObject *key, *value;
    Py_ssize_t at = 0;
    if (PyDict_CheckExact(given)) {
        while (PyDict_Next(given, &at, &key, &value))
            if (!is_plain(value, types, like)) return false;
        return true;
    }
    const bool list = PyList_CheckExact(given);
    if (!list && !PyTuple_CheckExact(given)) return PySet_Contains(types, (PyObject *)Py_TYPE(given)) == 1;
    if (Py_EnterRecursiveCall("")) {
        PyErr_Clear();
        return false;
    }
    bool plain = true;
    for (; plain && at < (list ? PyList_Size(given) : PyTuple_Size(given)); at++)
        plain = is_plain(list ? PyList_GetItem(given, at) : PyTuple_GetItem(given, at), types, like);
    Py_LeaveRecursiveCall();
    return plain;
}

/* Of types, a tensor, and what else is given with it: whether all is plain; `like` it, if asked for, which is
 * of floats then. */
static PyObject *all_plain(PyObject *const *given, Py_ssize_t n, bool alike) {
    bool all = n > 1 && Py_TYPE(given[1]) == tensor_type && settled((const ad_slots *)given[1]);
    const ad_tensor *const like = all && alike ? held_by(((const ad_slots *)given[1])->slot[P]) : NULL;
    if (like) all = like->dtype >= AD_float16;
    for (Py_ssize_t i = 1; all && i < n; i++) all = is_plain(given[i], given[0], like);
    return PyBool_FromLong(all);
}
static PyObject *plain(PyObject *self, PyObject *const *given, Py_ssize_t n) {
    (void)self;
    return all_plain(given, n, false);
}
static PyObject *alike(PyObject *self, PyObject *const *given, Py_ssize_t n) {
    (void)self;
    return all_plain(given, n, true);
}

/* Writes the second of two plain tensors of one dtype and shape to the first; false where they are not. */
static PyObject *store(PyObject *self, PyObject *const *given, Py_ssize_t n) {
    (void)self;
    ad_tensor *x[2];
    PyObject *held[2];
    for (Py_ssize_t i = 0; i < 2; i++) {
        if (n != 2 || Py_TYPE(given[i]) != tensor_type || !is_plain(given[i], NULL, NULL)) Py_RETURN_FALSE;
        held[i] = ((const ad_slots *)given[i])->slot[P];
        x[i] = held_by(held[i]);
    }
    if (x[0]->dtype != x[1]->dtype || x[0]->ndim != x[1]->ndim ||
        memcmp(x[0]->shape, x[1]->shape, sizeof *x[0]->shape * (size_t)x[0]->ndim))
        Py_RETURN_FALSE;
    for (int i = 0; i < 2; i++) Py_INCREF(held[i]); /* another thread may replace it meanwhile */
    const bool done = !ad_copy(x[0], x[1]);
    for (int i = 0; i < 2; i++) Py_DECREF(held[i]);
    return PyBool_FromLong(done);
}
static PyMethodDef stored_functions[] = {
    {"plain", (PyCFunction)(void (*)(void))plain, METH_FASTCALL, NULL},
    {"alike", (PyCFunction)(void (*)(void))alike, METH_FASTCALL, NULL},
    {"store", (PyCFunction)(void (*)(void))store, METH_FASTCALL, NULL},
};

/* Appends those to a list. */
static int ad_stored(intptr_t list) {
    int failed = 0;
    for (int i = 0; !failed && i < 3; i++) failed = give(list, PyCFunction_New(&stored_functions[i], NULL));
    return failed;
}
#else
static int ad_stored(intptr_t list) {
    (void)list;
    return AD_BAD_ARG;
}
#endif
