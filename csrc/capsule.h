/* capsule.h: what Python calls when a DLPack capsule goes that nobody took the tensor from. For the
 * extension alone, whose first include is Python.h; PyPy has no capsules. */
#ifdef Py_PYTHON_H
static void destroy_capsule(PyObject *capsule) {
    if (PyCapsule_IsValid(capsule, "dltensor"))
        ad_dlpack_delete(PyCapsule_GetPointer(capsule, "dltensor"), 0);
    else if (PyCapsule_IsValid(capsule, "dltensor_versioned"))
        ad_dlpack_delete(PyCapsule_GetPointer(capsule, "dltensor_versioned"), 1);
}
static intptr_t ad_capsule_destructor(void) { return (intptr_t)destroy_capsule; }
#else
static intptr_t ad_capsule_destructor(void) { return 0; }
#endif
