/* quick.h: a pointwise call of tensors as they mostly are, in one function of Python: what it makes is a
 * tensor with its node, or whose `_node` tells which operands have one. None where there is more to it. For
 * the extension alone; PyPy has no such functions. */
#ifndef PYPY_VERSION
#include <math.h>

enum {
#define AD_DTYPE(name, ctype, type) AD_##name,
#include "dtypes.def"
#undef AD_DTYPE
};
enum { P, NODE, ACC, BASE, BASE_NODE }; /* a tensor's slots */
enum { QUICK_MOST = 6 };                /* operands */

/* A call: the op; whether none of its operands may have a node, and whether all are of floats; the dtype of
 * which an operand is its result itself, or -1; the classes of tensors that it takes, or NULL for all. And
 * what belongs to it: the numbers; which threads do not record, and what tells whether this one does; whether
 * somebody is to be told of nodes; for each set of operands that have a node a tuple of what is recorded, or
 * False for nothing; what records where there is None; and what is called where a call is not made here, or
 * NULL. */
typedef struct {
    PyObject base;
    PyObject *told, *weak; /* a tuple of what belongs to it; nothing refers to it weakly */
    ad_op *op;
    bool plain, floats;
    int own;
    PyObject *types, *numbers, *unrecorded, *mode, *noting, *recipes, *recorder, *behind;
} quick_op;

static int visit_quick(PyObject *self, visitproc visit, void *arg) {
    return visit_each(self, &((quick_op *)self)->told, 1, visit, arg);
}
static void free_quick(PyObject *self) { free_each(self, &((quick_op *)self)->told, 1); }

static PyMemberDef quick_members[] = {
    {"told", T_OBJECT_EX, offsetof(quick_op, told), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
/* Like a tuple, it has nothing to clear: a cycle through it leads through functions of Python. */
static PyType_Slot quick_slots[] = {
    {Py_tp_dealloc, free_quick},
    {Py_tp_traverse, visit_quick},
    {Py_tp_members, quick_members},
    {0, NULL},
};
static PyType_Spec quick_spec = {"autodiff.Quick", sizeof(quick_op), 0,
                                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, quick_slots};

/* Whether a class of tensors has the slot for descriptors, and no property of that name. The last that had
 * is known: mostly it is that of parameters. */
static bool has_slot(PyTypeObject *type) {
    static PyTypeObject *known;
    if (type == known) return true;
    PyObject *const own = PyObject_GetAttrString((PyObject *)type, "_p");
    PyObject *const slot = PyObject_GetAttrString((PyObject *)tensor_type, "_p");
    PyErr_Clear();
    Py_XDECREF(own);
    Py_XDECREF(slot);
    if (!own || own != slot) return false;
    Py_INCREF(type); /* no other class comes to lie there */
    Py_XDECREF(known);
    known = type;
    return true;
}

static inline __attribute__((always_inline)) ad_slots *slots_of(PyObject *object) {
    PyTypeObject *const type = Py_TYPE(object);
    const bool is = type == tensor_type || (PyType_IsSubtype(type, tensor_type) && has_slot(type));
    return is ? (ad_slots *)object : NULL;
}

static PyObject *found_in(PyObject *table, PyObject *key) {
    PyObject *const found = PyDict_GetItemWithError(table, key);
    if (!found) PyErr_Clear();
    return found;
}

/* The slots of an operand: a tensor, or where it `may_be` a number, what that was before. */
static ad_slots *operand_of(PyObject *given, const quick_op *q, bool may_be) {
    ad_slots *const x = slots_of(given);
    if (x && q->types && Py_TYPE(given) != tensor_type &&
        PySet_Contains(q->types, (PyObject *)Py_TYPE(given)) != 1)
        return NULL;
    if (x || !may_be) return x;
    PyObject *const table = found_in(q->numbers, (PyObject *)Py_TYPE(given));
    if (!table) return NULL;
    const double value = PyFloat_Check(given) ? PyFloat_AsDouble(given) : 1;
    PyObject *const found = value != 0       ? found_in(table, given)
                            : signbit(value) ? PyDict_GetItemString(table, "-0.0")
                                             : PyDict_GetItemString(table, "0.0");
    return found ? slots_of(found) : NULL;
}

/* The object that holds a tensor's descriptor; NULL where a base may have renewed its node, or where it has
 * no native memory. */
static inline __attribute__((always_inline)) PyObject *settled(const ad_slots *x) {
    if (!x || !x->slot[P] || !is_held(x->slot[P]) || !held_by(x->slot[P])) return NULL;
    PyObject *const base = x->slot[BASE];
    if (base == Py_None) return x->slot[P];
    const ad_slots *const of = base ? slots_of(base) : NULL;
    return of && of->slot[NODE] == x->slot[BASE_NODE] ? x->slot[P] : NULL;
}

static ad_tensor *called(ad_op *op, PyObject *const *held, Py_ssize_t n) {
    const ad_tensor *x[QUICK_MOST] = {NULL};
    for (Py_ssize_t i = 0; i < n; i++) x[i] = held_by(held[i]);
    return ad_pw_of(op, (int)n, x);
}

static PyObject *nothing(void) {
    Py_INCREF(Py_None);
    return Py_None;
}

/* Whether calls are recorded here: as a rule there are no `unrecorded` threads. -1 with an error. */
static int is_recording(PyObject *unrecorded, PyObject *mode) {
    if (!PySet_Size(unrecorded)) return 1;
    static PyObject *name;
    if (!name && !(name = PyUnicode_InternFromString("grad"))) return -1;
    PyObject *const grad = PyObject_GetAttr(mode, name);
    Py_XDECREF(grad); /* True or False */
    return grad ? grad == Py_True : -1;
}

static PyObject *edges_of(PyObject *const *given, Py_ssize_t n) {
    PyObject *const edges = PyTuple_New(n);
    for (Py_ssize_t i = 0; edges && i < n; i++) {
        ad_slots *const x = slots_of(given[i]);
        PyObject *const edge = x ? x->slot[NODE] : Py_None;
        Py_INCREF(edge);
        PyTuple_SetItem(edges, i, edge);
    }
    return edges;
}

/* Who is to be told of nodes that save something: NULL for nobody, None where Python makes them. */
static PyObject *who_notes(PyObject *noting) {
    return PyList_Size(noting) ? PyList_GetItem(noting, 0) : NULL;
}

/* A node of which that was told; NULL with an error. */
static PyObject *noted(PyObject *noting, PyObject *node) {
    PyObject *const note = who_notes(noting);
    if (!node || !note || note == Py_None || !PyTuple_Size(((ad_node *)node)->slot[SAVED])) return node;
    Py_INCREF(note);
    PyObject *const done = PyObject_CallFunctionObjArgs(note, node, NULL);
    Py_DECREF(note);
    if (!done) Py_DECREF(node);
    Py_XDECREF(done);
    return done ? node : NULL;
}

/* What is to be in a result's place of a node: that, or None, or NotImplemented where Python has to put it.
 */
static PyObject *recorded(const quick_op *q, PyObject *edges, PyObject *const *held, Py_ssize_t n,
                          PyObject *p, long wanted) {
    enum { CLASS, THE_OP, PLAN, WHICH }; /* of a recipe */
    const int recording = is_recording(q->unrecorded, q->mode);
    if (recording <= 0) return recording ? NULL : nothing();
    PyObject *const recipe = PyList_GetItem(q->recipes, wanted);
    if (recipe == Py_False) return nothing();
    if (recipe != Py_None && !(held_by(p)->unlike & wanted)) {
        int64_t versions = 0;
        PyObject *const saved = kept(PyTuple_GetItem(recipe, WHICH), held, n, p, true, &versions);
        if (!saved) return NULL;
        if (versions >= 0 && (!PyTuple_Size(saved) || who_notes(q->noting) != Py_None)) {
            PyObject *const slots[FILLED] = {
                edges, NULL, NULL, PyTuple_GetItem(recipe, THE_OP), PyTuple_GetItem(recipe, PLAN), Py_None};
            return noted(q->noting, node_of(PyTuple_GetItem(recipe, CLASS), slots, saved, versions));
        }
        Py_DECREF(saved);
    }
    Py_INCREF(Py_NotImplemented);
    return Py_NotImplemented;
}

static void put_node(PyObject *x, PyObject *node) {
    PyObject **const slot = &((ad_slots *)x)->slot[NODE];
    Py_DECREF(*slot);
    *slot = node;
}

/* What a function of Python gives for the arguments of a call. */
static PyObject *in_python(PyObject *function, PyObject *const *given, Py_ssize_t n, PyObject *names) {
    PyObject *const args = PyTuple_New(n), *const kwargs = names ? PyDict_New() : NULL;
    bool failed = !args || (names && !kwargs);
    for (Py_ssize_t i = 0; !failed && i < n; i++) {
        Py_INCREF(given[i]);
        PyTuple_SetItem(args, i, given[i]);
    }
    for (Py_ssize_t i = 0; !failed && names && i < PyTuple_Size(names); i++)
        failed = PyDict_SetItem(kwargs, PyTuple_GetItem(names, i), given[n + i]) != 0;
    PyObject *const found = failed ? NULL : PyObject_Call(function, args, kwargs);
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    return found;
}

/* Has Python put the node. */
static bool put_by_python(const quick_op *q, PyObject *y, long wanted, PyObject *const *given, Py_ssize_t n) {
    PyObject *items[2 + QUICK_MOST] = {y, PyLong_FromLong(wanted)};
    for (Py_ssize_t i = 0; i < n; i++) items[2 + i] = given[i];
    PyObject *const done = items[1] ? in_python(q->recorder, items, n + 2, NULL) : NULL;
    const bool put = done != NULL;
    Py_XDECREF(items[1]);
    Py_XDECREF(done);
    return put;
}

/* The finished tensor of a result. */
static PyObject *tensor_of(const quick_op *q, PyObject *const *given, PyObject *const *held, Py_ssize_t n,
                           ad_tensor *result, long wanted) {
    PyObject *const p = pointer_result((char *)result, pointer_type);
    PyObject *made = p ? filled((PyObject *)tensor_type, p) : NULL;
    PyObject *const edges = made && wanted ? edges_of(given, n) : NULL;
    PyObject *const node = edges ? recorded(q, edges, held, n, p, wanted) : NULL;
    bool failed = wanted && !node;
    if (node == Py_NotImplemented) {
        Py_DECREF(node);
        failed = !put_by_python(q, made, wanted, given, n);
    } else if (node)
        put_node(made, node);
    if (failed) Py_CLEAR(made);
    Py_XDECREF(edges);
    Py_XDECREF(p);
    return made;
}

static inline __attribute__((always_inline)) PyObject *at_once(const quick_op *q, PyObject *const *given,
                                                               Py_ssize_t n) {
    if (n < 1 || n > QUICK_MOST) return nothing();
    PyObject *held[QUICK_MOST];
    long wanted = 0;
    for (Py_ssize_t i = 0; i < n; i++) {
        const ad_slots *const x = operand_of(given[i], q, i > 0);
        if (!(held[i] = settled(x))) return nothing();
        if (x->slot[NODE] != Py_None) wanted |= 1l << i;
        if (q->floats && held_by(held[i])->dtype < AD_float16) return nothing();
    }
    if (q->plain && wanted) return nothing();
    if (held_by(held[0])->dtype == q->own) {
        Py_INCREF(given[0]);
        return given[0];
    }
    for (Py_ssize_t i = 0; i < n; i++) Py_INCREF(held[i]); /* another thread may replace it meanwhile */
    ad_tensor *const result = called(q->op, held, n);
    /* of a failure the whole call tells why */
    PyObject *const made = result ? tensor_of(q, given, held, n, result, wanted) : nothing();
    for (Py_ssize_t i = 0; i < n; i++) Py_DECREF(held[i]);
    return made;
}

static PyObject *quick(PyObject *self, PyObject *const *given, Py_ssize_t n) {
    const quick_op *const q = (const quick_op *)self;
    PyObject *const made = at_once(q, given, n);
    if (made != Py_None || !q->behind) return made;
    Py_DECREF(made);
    return in_python(q->behind, given, n, NULL);
}

/* The same to what is given first, no view, which is given back: nothing may have a node. */
static PyObject *quick_to(PyObject *self, PyObject *const *given, Py_ssize_t n) {
    if (n < 2 || n > QUICK_MOST + 1 || Py_TYPE(given[0]) != tensor_type) return nothing();
    if (((const ad_slots *)given[0])->slot[BASE] != Py_None) return nothing();
    const quick_op *const q = (const quick_op *)self;
    PyObject *held[QUICK_MOST + 1];
    const ad_tensor *x[QUICK_MOST + 1];
    for (Py_ssize_t i = 0; i < n; i++) {
        const ad_slots *const of = operand_of(given[i], q, i > 1);
        if (!(held[i] = settled(of)) || of->slot[NODE] != Py_None) return nothing();
        x[i] = held_by(held[i]);
    }
    for (Py_ssize_t i = 0; i < n; i++) Py_INCREF(held[i]);
    const int failed = ad_pw_into(q->op, held_by(held[0]), (int)n - 1, x + 1);
    for (Py_ssize_t i = 0; i < n; i++) Py_DECREF(held[i]);
    if (failed == AD_NO_MEMORY) return PyErr_NoMemory(); /* an operand may be written over in part */
    if (failed) return nothing();
    Py_INCREF(given[0]);
    return given[0];
}
static PyMethodDef quick_function = {"quick", (PyCFunction)(void (*)(void))quick, METH_FASTCALL, NULL};
static PyMethodDef to_function = {"quick", (PyCFunction)(void (*)(void))quick_to, METH_FASTCALL, NULL};

/* Appends a function to a list of what belongs to it, besides the capsule that it looks into first. */
static int give_function(intptr_t list, PyMethodDef *method, PyObject *capsule) {
    PyObject *const told = (PyObject *)list;
    PyObject *const self = capsule && !PyList_Insert(told, 0, capsule) ? PyList_AsTuple(told) : NULL;
    const int failed = give(list, self ? PyCFunction_New(method, self) : NULL);
    Py_XDECREF(self);
    Py_XDECREF(capsule);
    return failed;
}

/* Appends the function that calls an op to a list of what belongs to it, from its owner on; flags: 1 for one
 * whose operands have no nodes, 2 for one that writes to what it is given first, 4 for one that takes certain
 * classes, 8 for one of floats; and 16 times the dtype, and 1, of which an operand is the result. */
static int ad_quick(ad_op *op, int flags, intptr_t list) {
    static PyTypeObject *type;
    if (!type) type = (PyTypeObject *)PyType_FromSpec(&quick_spec);
    quick_op *const q = type ? (quick_op *)PyType_GenericAlloc(type, 0) : NULL;
    PyObject *owner;
    const bool read = q && (q->told = PyList_AsTuple((PyObject *)list)) &&
                      PyArg_ParseTuple(q->told, "OOOOOOOOO", &owner, &q->types, &q->numbers, &q->unrecorded,
                                       &q->mode, &q->noting, &q->recipes, &q->recorder, &q->behind);
    if (read) {
        q->op = op;
        q->plain = flags & 1;
        q->floats = flags & 8;
        q->own = (flags >> 4) - 1;
        if (!(flags & 4)) q->types = NULL;
        if (q->behind == Py_None) q->behind = NULL;
    }
    PyMethodDef *const method = flags & 2 ? &to_function : &quick_function;
    const int failed = give(list, read ? PyCFunction_New(method, (PyObject *)q) : NULL);
    Py_XDECREF((PyObject *)q);
    return failed;
}
#else
static int ad_quick(ad_op *op, int flags, intptr_t list) {
    (void)op, (void)flags, (void)list;
    return AD_BAD_ARG;
}
#endif
