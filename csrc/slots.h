/* slots.h: what lies in a tensor of Python: its five slots, so that one is made and filled by a single call.
 * For the extension alone; PyPy has a class of Python. */
#ifndef PYPY_VERSION
#include <structmember.h>

enum { SLOTS = 5 };
typedef struct {
    PyObject base;
    PyObject *slot[SLOTS]; /* the descriptor first */
    PyObject *weak;
} ad_slots;

/* Of an object of n slots, and what refers to it weakly behind them. */
static int visit_each(PyObject *self, PyObject **slot, int n, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    for (int i = 0; i < n; i++) Py_VISIT(slot[i]);
    return 0;
}

static int clear_each(PyObject **slot, int n) {
    for (int i = 0; i < n; i++) Py_CLEAR(slot[i]);
    return 0;
}

static void free_each(PyObject *self, PyObject **slot, int n) {
    PyTypeObject *const type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (slot[n]) PyObject_ClearWeakRefs(self);
    clear_each(slot, n);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static int visit_slots(PyObject *self, visitproc visit, void *arg) {
    return visit_each(self, ((ad_slots *)self)->slot, SLOTS, visit, arg);
}
static int clear_slots(PyObject *self) { return clear_each(((ad_slots *)self)->slot, SLOTS); }
static void free_slots(PyObject *self) { free_each(self, ((ad_slots *)self)->slot, SLOTS); }

#define SLOT(name, i) {name, T_OBJECT_EX, offsetof(ad_slots, slot) + (i) * sizeof(PyObject *), 0, NULL}
static PyMemberDef slot_members[] = {
    SLOT("_p", 0),         SLOT("_node", 1),
    SLOT("_acc", 2),       SLOT("_base", 3),
    SLOT("_base_node", 4), {"__weaklistoffset__", T_PYSSIZET, offsetof(ad_slots, weak), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
static PyType_Slot slots_slots[] = {
    {Py_tp_dealloc, free_slots},
    {Py_tp_traverse, visit_slots},
    {Py_tp_clear, clear_slots},
    {Py_tp_members, slot_members},
    {0, NULL},
};
static PyType_Spec slots_spec = {"autodiff.Slots", sizeof(ad_slots), 0,
                                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots_slots};

/* A tensor of a descriptor: a leaf, of no base. */
static PyObject *filled(PyObject *type, PyObject *p) {
    PyObject *const made = PyType_GenericAlloc((PyTypeObject *)type, 0);
    for (int i = 0; made && i < SLOTS; i++) {
        PyObject *const value = i ? Py_None : p;
        Py_INCREF(value);
        ((ad_slots *)made)->slot[i] = value;
    }
    return made;
}
static PyMethodDef filled_function = {"filled", filled, METH_O, NULL};

static PyTypeObject *tensor_type; /* what calls make */

/* Appends the class of these slots to a list; or, where there is a class of tensors in it, what makes and
 * fills one of them. */
static int ad_slots_start(intptr_t list) {
    PyObject *const told = (PyObject *)list;
    PyObject *const type = PyList_Size(told) ? PyList_GetItem(told, 0) : NULL;
    if (type) {
        Py_INCREF(type);
        tensor_type = (PyTypeObject *)type;
    }
    return give(list, type ? PyCFunction_New(&filled_function, type) : PyType_FromSpec(&slots_spec));
}
#else
static int ad_slots_start(intptr_t list) {
    (void)list;
    return AD_BAD_ARG;
}
#endif
