/* look.h: whether nothing changed that a recording relies on: not the count of changes, nor what is in
 * places, nor what arguments are like. For the extension alone. */
#ifndef PYPY_VERSION
typedef struct {
    PyObject base;
    int64_t count; /* of changes */
} ad_counts;

static void free_counts(PyObject *self) {
    PyTypeObject *const type = Py_TYPE(self);
    PyObject_Free(self);
    Py_DECREF(type);
}
static PyMemberDef counts_members[] = {{"count", T_LONGLONG, offsetof(ad_counts, count), 0, NULL},
                                       {NULL, 0, 0, 0, NULL}};
static PyType_Slot counts_slots[] = {
    {Py_tp_dealloc, free_counts}, {Py_tp_members, counts_members}, {0, NULL}};
static PyType_Spec counts_spec = {"autodiff.Counts", sizeof(ad_counts), 0,
                                  Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, counts_slots};

/* Appends the class of what counts to a list. */
static int ad_counts_start(intptr_t list) { return give(list, PyType_FromSpec(&counts_spec)); }

static bool is_same_list(PyObject *list, PyObject *was) {
    const Py_ssize_t n = PyTuple_Size(was);
    Py_ssize_t i = 0;
    while (i < n && i < PyList_Size(list) && PyList_GetItem(list, i) == PyTuple_GetItem(was, i)) i++;
    return i == n && PyList_Size(list) == n;
}

static bool is_same_dict(PyObject *dict, PyObject *was) {
    PyObject *key, *value;
    const Py_ssize_t n = PyTuple_Size(was);
    Py_ssize_t at = 0, i = 0;
    while (i < n && PyDict_Next(dict, &at, &key, &value) && key == PyTuple_GetItem(was, i) &&
           value == PyTuple_GetItem(was, i + 1))
        i += 2;
    return i == n && 2 * PyDict_Size(dict) == n;
}

/* Whether it is as it was; there may be an error then. */
static bool is_still(const replay_look *l) {
    PyObject *found = NULL;
    switch (l->kind) {
    case LOOK_AT_KEY: return PyDict_GetItemWithError(l->owner, l->key) == l->value && !PyErr_Occurred();
    case LOOK_ABSENT: return PySequence_Contains(l->owner, l->key) == 0;
    case LOOK_AT_LIST: return is_same_list(l->owner, l->value);
    case LOOK_AT_DICT: return is_same_dict(l->owner, l->value);
    case LOOK_AT_ITEM: found = PyObject_GetItem(l->owner, l->key); break;
    case LOOK_AT_ATTRIBUTE: found = PyObject_GetAttr(l->owner, l->key); break;
    case LOOK_AT_FIELD: found = l->get(l->key, l->owner, (PyObject *)Py_TYPE(l->owner)); break;
    case LOOK_BY_CALL: found = PyObject_CallFunctionObjArgs(l->key, l->owner, NULL); break;
    }
    Py_XDECREF(found); /* what it was is held */
    return found == l->value;
}

/* Whether no change was counted since the recording was seen to hold. */
static int is_unchanged(replay_plan *r) {
    const int64_t count = ((ad_counts *)r->changes)->count;
    if (count == r->seen) return 1;
    PyObject *const seen = PyObject_GetAttrString(r->recording, "seen");
    const int64_t number = seen ? PyLong_AsLongLong(seen) : -1;
    Py_XDECREF(seen);
    if (PyErr_Occurred()) return -1;
    if (number == count) r->seen = count;
    return number == count;
}

static bool is_like(const replay_plan *r, const replay_given *like, PyObject *given) {
    if (like->kind == GIVEN_SAME) return given == like->value;
    if (Py_TYPE(given) != tensor_type) return false;
    const ad_slots *const x = (const ad_slots *)given;
    if (!settled(x)) return false;
    if (like->kind == GIVEN_PLAIN)
        return x->slot[NODE] == Py_None && (x->slot[BASE] == Py_None || x->slot[BASE_NODE] == Py_None);
    const bool leaf = x->slot[NODE] == x->slot[ACC];
    return x->slot[NODE] != Py_None && leaf == (like->kind == GIVEN_LEAF) && !PySet_Size(r->hooked);
}

/* The arguments come last: what looks elsewhere may run code of the user's. -1 with an error that nobody
 * catches. */
static int holds(replay_plan *r, PyObject *const *given, Py_ssize_t n) {
    if (n != r->n_given || (r->unrecorded && PySet_Size(r->unrecorded))) return 0;
    int is = is_unchanged(r);
    for (int i = 0; is > 0 && i < r->n_looks; i++) is = is_still(&r->looks[i]);
    for (int i = 0; is > 0 && i < r->n_given; i++) is = is_like(r, &r->given[i], given[i]);
    if (is > 0 || !PyErr_Occurred()) return is;
    if (!PyErr_ExceptionMatches(PyExc_Exception)) return -1;
    PyErr_Clear(); /* a name is no more */
    return 0;
}
#else
static int ad_counts_start(intptr_t list) {
    (void)list;
    return AD_BAD_ARG;
}
#endif
