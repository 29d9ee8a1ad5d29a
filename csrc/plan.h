/* plan.h: what a call of a compiled function has to look at, to run and to give, read from what Python tells
 * of its recording (compiled/replayed.py). For the extension alone. */
#ifndef PYPY_VERSION
enum { REPLAY_MOST = 16 }; /* arguments; and results */

/* A place that must hold what it held. */
enum {
    LOOK_AT_KEY,
    LOOK_ABSENT,
    LOOK_AT_ITEM,
    LOOK_AT_ATTRIBUTE,
    LOOK_AT_FIELD,
    LOOK_AT_LIST,
    LOOK_AT_DICT,
    LOOK_BY_CALL,
};
typedef struct {
    int kind;
    PyObject *owner, *key, *value; /* a tuple of all that is in a list, or of keys and values in turn */
    descrgetfunc get;              /* of a key that is a field's descriptor */
} replay_look;

/* What an argument must be: the very object, or a tensor without a graph, a leaf, or another tensor. */
enum { GIVEN_SAME, GIVEN_PLAIN, GIVEN_LEAF, GIVEN_INNER };
typedef struct {
    int kind;
    PyObject *value;
} replay_given;

/* Where a tensor of the result is from: an object, an argument, or what the tape makes; and what it has. */
typedef struct {
    int argument, made, base_argument;
    PyObject *object, *node, *base; /* the run's node where it is True, none where it is None */
} replay_output;

enum { RESULT_OBJECT, RESULT_ONE, RESULT_TUPLE, RESULT_MADE }; /* of tensors: by a function of Python */
typedef struct {
    ad_tape *tape;
    PyObject *changes, *recording, *unrecorded, *hooked, *python, *failed, *unsavable, *object;
    int64_t seen;                               /* the count of changes at which it was seen to hold */
    PyObject *type, *reverse, *edges, *watched; /* of its node, or NULL: leaves, and what is not made anew */
    int n_given, n_looks, n_leaves, n_made, n_outputs, n_saved, n_ends, n_results, kind;
    int saved[REPLAY_MOST], ends[REPLAY_MOST]; /* what it makes that its node saves; arguments with a graph */
    bool taken[REPLAY_MOST];                   /* of what it makes, whether anybody has it */
    replay_given given[REPLAY_MOST];
    replay_output outputs[REPLAY_MOST];
    struct {
        PyObject *leaf, *value;
    } leaves[REPLAY_MOST];
    int results[REPLAY_MOST];
    replay_look looks[];
} replay_plan;

static PyObject *present(PyObject *object) { return object == Py_None ? NULL : object; }

static bool read_looks(replay_plan *r, PyObject *looks) {
    for (int i = 0; i < r->n_looks; i++) {
        replay_look *const l = &r->looks[i];
        if (!PyArg_ParseTuple(PyTuple_GetItem(looks, i), "iOOO", &l->kind, &l->owner, &l->key, &l->value))
            return false;
        if (l->kind == LOOK_AT_FIELD) l->get = (descrgetfunc)PyType_GetSlot(Py_TYPE(l->key), Py_tp_descr_get);
    }
    return true;
}

static bool read_given(replay_plan *r, PyObject *given) {
    r->n_given = (int)PyTuple_Size(given);
    for (int i = 0; i < r->n_given; i++)
        if (!PyArg_ParseTuple(PyTuple_GetItem(given, i), "iO", &r->given[i].kind, &r->given[i].value))
            return false;
    return true;
}

static bool read_numbers(PyObject *given, int *n, int *numbers) {
    *n = (int)PyTuple_Size(given);
    for (int i = 0; i < *n; i++) numbers[i] = (int)PyLong_AsLong(PyTuple_GetItem(given, i));
    return !PyErr_Occurred();
}

static bool read_node(replay_plan *r, PyObject *node) {
    if (node == Py_None) return true;
    PyObject *ends, *saved;
    if (!PyArg_ParseTuple(node, "OOOOOO", &r->type, &r->reverse, &r->edges, &ends, &saved, &r->watched) ||
        !read_numbers(ends, &r->n_ends, r->ends) || !read_numbers(saved, &r->n_saved, r->saved))
        return false;
    for (int i = 0; i < r->n_saved; i++) r->taken[r->saved[i]] = true;
    for (Py_ssize_t i = 0; i < PyTuple_Size(r->watched); i++)
        if (!is_held(PyTuple_GetItem(r->watched, i))) return false;
    return true;
}

static bool read_outputs(replay_plan *r, PyObject *outputs) {
    r->n_outputs = (int)PyTuple_Size(outputs);
    for (int i = 0; i < r->n_outputs; i++) {
        replay_output *const o = &r->outputs[i];
        if (!PyArg_ParseTuple(PyTuple_GetItem(outputs, i), "iOiOiO", &o->argument, &o->object, &o->made,
                              &o->node, &o->base_argument, &o->base))
            return false;
        o->object = present(o->object);
        o->base = present(o->base);
        if (o->made >= 0) r->taken[o->made] = true;
    }
    return true;
}

static bool read_leaves(replay_plan *r, PyObject *leaves) {
    r->n_leaves = (int)PyTuple_Size(leaves);
    for (int i = 0; i < r->n_leaves; i++)
        if (!PyArg_ParseTuple(PyTuple_GetItem(leaves, i), "OO", &r->leaves[i].leaf, &r->leaves[i].value))
            return false;
    return true;
}

static bool read_result(replay_plan *r, PyObject *result) {
    PyObject *places;
    return PyArg_ParseTuple(result, "iOO", &r->kind, &r->object, &places) &&
           read_numbers(places, &r->n_results, r->results);
}

static bool read_plan(replay_plan *r, PyObject *told) {
    PyObject *given, *looks, *leaves, *node, *outputs, *result;
    if (!PyArg_ParseTuple(told, "OOOOOOOOOOOOOi", &r->changes, &r->recording, &r->unrecorded, &r->hooked,
                          &r->python, &r->failed, &r->unsavable, &given, &looks, &leaves, &node, &outputs,
                          &result, &r->n_made))
        return false;
    r->unrecorded = present(r->unrecorded);
    return read_given(r, given) && read_looks(r, looks) && read_leaves(r, leaves) && read_node(r, node) &&
           read_outputs(r, outputs) && read_result(r, result);
}
#endif
