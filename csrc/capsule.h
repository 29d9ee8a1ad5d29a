/* capsule.h: DLPack's structs in Python's capsules, which are given by their addresses. For the extension
 * alone, whose first include is Python.h; PyPy has no capsules. */
#ifdef Py_PYTHON_H
static const char *const capsule_names[] = {"dltensor", "dltensor_versioned"};
static const char *const capsule_taken[] = {"used_dltensor", "used_dltensor_versioned"};

/* What Python calls when a capsule goes that nobody took the tensor from. */
static void destroy_capsule(PyObject *capsule) {
    for (int v = 0; v < 2; v++)
        if (PyCapsule_IsValid(capsule, capsule_names[v]))
            ad_dlpack_delete(PyCapsule_GetPointer(capsule, capsule_names[v]), v);
}

static int ad_capsule_append(intptr_t list, void *made, int with_version) {
    PyObject *capsule = PyCapsule_New(made, capsule_names[with_version != 0], destroy_capsule);
    if (!capsule) ad_dlpack_delete(made, with_version);
    const int failed = !capsule || PyList_Append((PyObject *)list, capsule);
    Py_XDECREF(capsule);
    if (failed) PyErr_Clear();
    return failed ? AD_NO_MEMORY : AD_OK;
}

static ad_tensor *ad_capsule_take(intptr_t object) {
    PyObject *const capsule = (PyObject *)object;
    const int v = PyCapsule_IsValid(capsule, capsule_names[1]);
    const bool valid = v || PyCapsule_IsValid(capsule, capsule_names[0]);
    ad_tensor *x = ad_dlpack_import(valid ? PyCapsule_GetPointer(capsule, capsule_names[v]) : NULL, v);
    if (x) PyCapsule_SetName(capsule, capsule_taken[v]);
    return x;
}
#else
static int ad_capsule_append(intptr_t list, void *made, int with_version) {
    (void)list;
    ad_dlpack_delete(made, with_version);
    return AD_NO_MEMORY;
}
static ad_tensor *ad_capsule_take(intptr_t object) {
    (void)object;
    return ad_dlpack_import(NULL, 0);
}
#endif
