/* nodes.h: what lies in a node of Python, so that a recorded call makes and fills one in a single step. For
 * the extension alone; PyPy has a class of Python. */
#ifndef PYPY_VERSION
enum { EDGES, SAVED, VERSIONS, OP, TOLD, LIKE, FILLED, NODE_SLOTS = FILLED + 4 };
typedef struct {
    PyObject base;
    PyObject *slot[NODE_SLOTS];
    PyObject *weak;
} ad_node;

static int visit_node(PyObject *self, visitproc visit, void *arg) {
    return visit_each(self, ((ad_node *)self)->slot, NODE_SLOTS, visit, arg);
}
static int clear_node(PyObject *self) { return clear_each(((ad_node *)self)->slot, NODE_SLOTS); }
static void free_node(PyObject *self) { free_each(self, ((ad_node *)self)->slot, NODE_SLOTS); }

#define NODE_SLOT(name, i) {name, T_OBJECT_EX, offsetof(ad_node, slot) + (i) * sizeof(PyObject *), 0, NULL}
static PyMemberDef node_members[] = {
    NODE_SLOT("edges", EDGES),
    NODE_SLOT("saved", SAVED),
    NODE_SLOT("versions", VERSIONS),
    NODE_SLOT("_op", OP),
    NODE_SLOT("_told", TOLD),
    NODE_SLOT("_like", LIKE),
    NODE_SLOT("hooks", FILLED),
    NODE_SLOT("title", FILLED + 1),
    NODE_SLOT("_code", FILLED + 2),
    NODE_SLOT("_at", FILLED + 3),
    {"__weaklistoffset__", T_PYSSIZET, offsetof(ad_node, weak), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
static PyType_Slot node_slots[] = {
    {Py_tp_dealloc, free_node},
    {Py_tp_traverse, visit_node},
    {Py_tp_clear, clear_node},
    {Py_tp_members, node_members},
    {0, NULL},
};
static PyType_Spec node_spec = {"autodiff.NodeSlots", sizeof(ad_node), 0,
                                Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, node_slots};

/* The versions of a tuple of descriptors, added up. */
static PyObject *versions_of(PyObject *self, PyObject *saved) {
    (void)self;
    int64_t sum = 0;
    const Py_ssize_t n = PyTuple_Size(saved);
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *const one = PyTuple_GetItem(saved, i);
        char *x;
        if (!held_argument(pointer_type, one, &x, false) && !(x = _cffi_to_c_pointer(one, pointer_type)))
            return PyErr_Occurred() ? NULL : was_freed();
        sum += ad_version((const ad_tensor *)x);
    }
    return n < 0 ? NULL : PyLong_FromLongLong(sum);
}
static PyMethodDef versions_function = {"versions", versions_of, METH_O, NULL};

/* Appends that function and the class of these slots to a list; not where descriptors are cffi's own objects.
 */
static int ad_nodes_start(intptr_t list) {
    if (!pointer_type) return AD_BAD_ARG;
    return give(list, PyCFunction_New(&versions_function, NULL)) || give(list, PyType_FromSpec(&node_spec));
}

/* The descriptors that a node saves, `which` being those of the n operands and any other number the result:
 * and their versions, added up. A pointwise result `tells` those of the first two, from before the call. */
static PyObject *kept(PyObject *which, PyObject *const *held, Py_ssize_t n, PyObject *result, bool tells,
                      int64_t *versions) {
    const Py_ssize_t count = PyTuple_Size(which);
    PyObject *const saved = PyTuple_New(count);
    for (Py_ssize_t i = 0; saved && i < count; i++) {
        const long at = PyLong_AsLong(PyTuple_GetItem(which, i));
        PyObject *const one = at >= 0 && at < n ? held[at] : result;
        if (one != result)
            *versions += tells && at < 2 ? (at ? held_by(result)->version1 : held_by(result)->version0)
                                         : ad_version(held_by(one));
        Py_INCREF(one);
        PyTuple_SetItem(saved, i, one);
    }
    return saved;
}

/* A new node of a class, or NULL with an error; takes `saved` over, whose versions there are where anything
 * is saved. */
static PyObject *node_of(PyObject *type, PyObject *const *slots, PyObject *saved, int64_t versions) {
    PyObject *const made = saved ? PyType_GenericAlloc((PyTypeObject *)type, 0) : NULL;
    if (!made) {
        Py_XDECREF(saved);
        return NULL;
    }
    PyObject **const slot = ((ad_node *)made)->slot;
    for (int i = 0; i < FILLED; i++) {
        if (i == SAVED || i == VERSIONS) continue;
        slot[i] = slots[i];
        Py_XINCREF(slot[i]);
    }
    slot[SAVED] = saved;
    if (PyTuple_Size(saved) && !(slot[VERSIONS] = PyLong_FromLongLong(versions))) {
        Py_DECREF(made);
        return NULL;
    }
    return made;
}
#else
static int ad_nodes_start(intptr_t list) {
    (void)list;
    return AD_BAD_ARG;
}
#endif
