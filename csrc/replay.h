/* replay.h: a call of a compiled function, where nothing changed since its last recording was run, in one
 * function of Python: the look whether that is so, the run, and what it gives. Where there is more to it, the
 * function that is generated in Python (compiled/generated.py) does all of it. For the extension alone; PyPy
 * has no such functions. */
#ifndef PYPY_VERSION
/* ---- what it gives ---- */

static PyObject *edges_of_run(const replay_plan *r, PyObject *const *given) {
    const Py_ssize_t leaves = PyTuple_Size(r->edges);
    if (!r->n_ends) {
        Py_INCREF(r->edges);
        return r->edges;
    }
    PyObject *const edges = PyTuple_New(leaves + r->n_ends);
    for (Py_ssize_t i = 0; edges && i < leaves + r->n_ends; i++) {
        PyObject *const one =
            i < leaves ? PyTuple_GetItem(r->edges, i) : slots_of(given[r->ends[i - leaves]])->slot[NODE];
        Py_INCREF(one);
        PyTuple_SetItem(edges, i, one);
    }
    return edges;
}

/* What the run's node saves, and in `marks` a list of the versions of that. */
static PyObject *saved_of_run(const replay_plan *r, PyObject *const *made, PyObject **marks) {
    const Py_ssize_t n = r->n_saved + PyTuple_Size(r->watched);
    PyObject *const saved = r->n_saved ? PyTuple_New(n) : r->watched, *const list = PyList_New(n);
    bool failed = !saved || !list, refused = false;
    if (saved && !r->n_saved) Py_INCREF(saved);
    for (Py_ssize_t i = 0; !failed && i < n; i++) {
        PyObject *const one =
            i < r->n_saved ? made[r->saved[i]] : PyTuple_GetItem(r->watched, i - r->n_saved);
        const int64_t version = ad_version(held_by(one));
        PyObject *const mark = PyLong_FromLongLong(version);
        if (r->n_saved) {
            Py_INCREF(one);
            PyTuple_SetItem(saved, i, one);
        }
        refused |= version < 0;
        failed = !mark || PyList_SetItem(list, i, mark);
    }
    if (refused && !failed) {
        PyObject *const error = in_python(r->unsavable, NULL, 0, NULL);
        if (error) PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_XDECREF(error);
    }
    if (!failed && !refused) {
        *marks = list;
        return saved;
    }
    Py_XDECREF(saved);
    Py_XDECREF(list);
    return NULL;
}

static PyObject *node_of_run(const replay_plan *r, PyObject *const *given, PyObject *const *made) {
    PyObject *marks = NULL;
    PyObject *const saved = saved_of_run(r, made, &marks);
    PyObject *const edges = saved ? edges_of_run(r, given) : NULL;
    PyObject *node = NULL;
    if (edges) {
        PyObject *const slots[FILLED] = {edges, NULL, NULL, r->reverse, marks, NULL};
        Py_INCREF(saved);
        node = node_of(r->type, slots, saved, 0);
    }
    Py_XDECREF(saved);
    Py_XDECREF(edges);
    Py_XDECREF(marks);
    return node;
}

static PyObject *tensor_of_run(const replay_output *o, PyObject *const *given, PyObject *const *made,
                               PyObject *node) {
    PyObject *const object = o->argument < 0 ? o->object : given[o->argument];
    if (object) {
        Py_INCREF(object);
        return object;
    }
    PyObject *const y = filled((PyObject *)tensor_type, made[o->made]);
    if (!y) return NULL;
    PyObject *const own = o->node == Py_True ? node : o->node;
    Py_INCREF(own);
    put_node(y, own);
    if (o->base || o->base_argument >= 0) put_this_base(y, o->base ? o->base : given[o->base_argument]);
    return y;
}

static PyObject *structure_of(const replay_plan *r, PyObject *const *ys) {
    if (r->kind <= RESULT_ONE) {
        PyObject *const alone = r->kind == RESULT_OBJECT ? r->object : ys[r->results[0]];
        Py_INCREF(alone);
        return alone;
    }
    PyObject *const tuple = PyTuple_New(r->n_results);
    for (int i = 0; tuple && i < r->n_results; i++) {
        Py_INCREF(ys[r->results[i]]);
        PyTuple_SetItem(tuple, i, ys[r->results[i]]);
    }
    if (!tuple || r->kind == RESULT_TUPLE) return tuple;
    PyObject *const made = PyObject_Call(r->object, tuple, NULL);
    Py_DECREF(tuple);
    return made;
}

static PyObject *result_of_run(const replay_plan *r, PyObject *const *given, PyObject *const *made) {
    PyObject *ys[REPLAY_MOST], *result = NULL;
    PyObject *const node = r->type ? node_of_run(r, given, made) : NULL;
    bool failed = r->type && !node;
    for (int i = 0; i < r->n_outputs; i++) {
        ys[i] = failed ? NULL : tensor_of_run(&r->outputs[i], given, made, node);
        failed |= !ys[i];
    }
    if (!failed) result = structure_of(r, ys);
    for (int i = 0; i < r->n_outputs; i++) Py_XDECREF(ys[i]);
    Py_XDECREF(node);
    return result;
}

/* Owns what the tape made, and gives what is asked for. */
static PyObject *given_back(const replay_plan *r, PyObject *const *given, ad_tensor **outputs) {
    static PyObject *grad;
    PyObject *made[REPLAY_MOST], *result = NULL;
    bool failed = !grad && !(grad = PyUnicode_InternFromString("grad"));
    for (int i = 0; i < r->n_made; i++) {
        made[i] = r->taken[i] ? pointer_result((char *)outputs[i], pointer_type) : NULL;
        if (!r->taken[i]) ad_free(outputs[i]);
        failed |= r->taken[i] && !made[i];
    }
    for (int i = 0; !failed && i < r->n_leaves; i++)
        failed = PyObject_SetAttr(r->leaves[i].leaf, grad, r->leaves[i].value) != 0;
    if (!failed) result = result_of_run(r, given, made);
    for (int i = 0; i < r->n_made; i++) Py_XDECREF(made[i]);
    return result;
}

static PyObject *run_of(const replay_plan *r, PyObject *const *given, Py_ssize_t n) {
    ad_tensor *x[REPLAY_MOST], *outputs[REPLAY_MOST];
    x[0] = NULL;
    PyObject *held[REPLAY_MOST];
    int n_held = 0;
    for (int i = 0; i < r->n_given; i++) {
        if (r->given[i].kind == GIVEN_SAME) continue;
        held[n_held] = ((ad_slots *)given[i])->slot[P];
        Py_INCREF(held[n_held]); /* another thread may replace it meanwhile */
        x[n_held] = held_by(held[n_held]);
        n_held++;
    }
    const int status = ad_tape_run(r->tape, n_held, x, outputs);
    for (int i = 0; i < n_held; i++) Py_DECREF(held[i]);
    return status ? in_python(r->failed, given, n, NULL) : given_back(r, given, outputs);
}

static replay_plan *plan_of(PyObject *self) { return PyCapsule_GetPointer(PyTuple_GetItem(self, 0), NULL); }

static PyObject *replayed(replay_plan *r, PyObject *const *given, Py_ssize_t n) {
    const int is = holds(r, given, n);
    return is > 0 ? run_of(r, given, n) : is < 0 ? NULL : in_python(r->python, given, n, NULL);
}

static PyObject *replay(PyObject *self, PyObject *const *given, Py_ssize_t n, PyObject *names) {
    Py_INCREF(self); /* the recording may be dropped meanwhile */
    PyObject *const result =
        names ? in_python(plan_of(self)->python, given, n, names) : replayed(plan_of(self), given, n);
    Py_DECREF(self);
    return result;
}
static PyMethodDef replay_function = {"replay", (PyCFunction)(void (*)(void))replay,
                                      METH_FASTCALL | METH_KEYWORDS, NULL};

/* ---- what is called ---- */

typedef struct {
    PyObject base;
    PyObject *call, *weak;
    replay_plan *plan; /* of what it calls, if that is a replay */
} ad_called;

static int visit_called(PyObject *self, visitproc visit, void *arg) {
    return visit_each(self, &((ad_called *)self)->call, 1, visit, arg);
}
static int clear_called(PyObject *self) {
    ((ad_called *)self)->plan = NULL;
    return clear_each(&((ad_called *)self)->call, 1);
}
static void free_called(PyObject *self) { free_each(self, &((ad_called *)self)->call, 1); }

static PyObject *call_called(PyObject *self, PyObject *args, PyObject *kwargs) {
    PyObject *const call = ((ad_called *)self)->call, *given[REPLAY_MOST];
    replay_plan *const plan = ((ad_called *)self)->plan;
    if (!call) return PyErr_Format(PyExc_TypeError, "there is nothing to call");
    const Py_ssize_t n = PyTuple_Size(args);
    Py_INCREF(call); /* another thread may replace it meanwhile */
    for (Py_ssize_t i = 0; plan && i < n && i < REPLAY_MOST; i++) given[i] = PyTuple_GetItem(args, i);
    PyObject *const result =
        plan && !kwargs && n <= REPLAY_MOST ? replayed(plan, given, n) : PyObject_Call(call, args, kwargs);
    Py_DECREF(call);
    return result;
}

static int set_call(PyObject *self, PyObject *call, void *unused) {
    (void)unused;
    ad_called *const x = (ad_called *)self;
    PyObject *const was = x->call;
    const bool replays = call && Py_TYPE(call) == &PyCFunction_Type &&
                         PyCFunction_GetFunction(call) == replay_function.ml_meth;
    Py_XINCREF(call);
    x->call = call;
    x->plan = replays ? plan_of(PyCFunction_GetSelf(call)) : NULL;
    Py_XDECREF(was);
    return 0;
}
static PyObject *get_call(PyObject *self, void *unused) {
    (void)unused;
    PyObject *const call = ((ad_called *)self)->call;
    return call ? Py_INCREF(call), call : nothing();
}

static PyGetSetDef called_fields[] = {{"_call", get_call, set_call, NULL, NULL},
                                      {NULL, NULL, NULL, NULL, NULL}};
static PyMemberDef called_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(ad_called, weak), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
static PyType_Slot called_slots[] = {
    {Py_tp_call, call_called},
    {Py_tp_dealloc, free_called},
    {Py_tp_traverse, visit_called},
    {Py_tp_clear, clear_called},
    {Py_tp_getset, called_fields},
    {Py_tp_members, called_members},
    {0, NULL},
};
static PyType_Spec called_spec = {"autodiff.Called", sizeof(ad_called), 0,
                                  Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                                  called_slots};

/* Appends the class of what is called by the function that it has as `_call` to a list. */
static int ad_called_start(intptr_t list) { return give(list, PyType_FromSpec(&called_spec)); }

/* ---- the function ---- */

static void free_replay(PyObject *capsule) { free(PyCapsule_GetPointer(capsule, NULL)); }

/* Appends the function that runs a tape to a list, which holds a tuple of what belongs to it; of no more than
 * REPLAY_MOST each. */
static int ad_replay(ad_tape *tape, int n_looks, intptr_t list) {
    PyObject *const told = PyList_GetItem((PyObject *)list, 0);
    replay_plan *const r = calloc(1, sizeof *r + (size_t)n_looks * sizeof *r->looks);
    if (!r) return AD_NO_MEMORY;
    r->tape = tape;
    r->n_looks = n_looks;
    r->seen = -1;
    PyObject *const capsule = read_plan(r, told) ? PyCapsule_New(r, NULL, free_replay) : NULL;
    if (!capsule) free(r);
    if (!capsule) PyErr_Clear();
    return give_function(list, &replay_function, capsule);
}
#else
static int ad_called_start(intptr_t list) {
    (void)list;
    return AD_BAD_ARG;
}
static int ad_replay(ad_tape *tape, int n_looks, intptr_t list) {
    (void)tape, (void)n_looks, (void)list;
    return AD_BAD_ARG;
}
#endif
