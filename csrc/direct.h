/* direct.h: a call of the other families' ops on tensors as they mostly are, in one function of Python that
 * gives the finished tensor, with its base or its node. None where there is more to it. For the extension
 * alone; PyPy has no such functions. */
#ifndef PYPY_VERSION
enum { DIRECT_TENSORS = 3, DIRECT_NUMBERS = 8 }; /* as there are dimensions at most */

typedef void (*any_function)(void);
typedef struct {
    const ad_tensor *x[DIRECT_TENSORS];
    int64_t n[DIRECT_NUMBERS]; /* those that are bound, then those given */
    int count;                 /* how many there are */
} direct_given;
typedef ad_tensor *direct_run(any_function f, const direct_given *a);

#define FORM(name, type, ...)                                                                                \
    static ad_tensor *name(any_function f, const direct_given *a) {                                          \
        typedef ad_tensor *function type;                                                                    \
        return ((function *)f)(__VA_ARGS__);                                                                 \
    }
#define TENSOR const ad_tensor *
FORM(run_t, (TENSOR), a->x[0])
FORM(run_ti, (TENSOR, int), a->x[0], (int)a->n[0])
FORM(run_tii, (TENSOR, int, int), a->x[0], (int)a->n[0], (int)a->n[1])
FORM(run_til, (TENSOR, int, int64_t), a->x[0], (int)a->n[0], a->n[1])
FORM(run_tilll, (TENSOR, int, int64_t, int64_t, int64_t), a->x[0], (int)a->n[0], a->n[1], a->n[2], a->n[3])
FORM(run_tis, (TENSOR, int, const int64_t *), a->x[0], a->count, a->n)
FORM(run_tt, (TENSOR, TENSOR), a->x[0], a->x[1])
FORM(run_tti, (TENSOR, TENSOR, int), a->x[0], a->x[1], (int)a->n[0])
FORM(run_it, (int, TENSOR), (int)a->n[0], a->x[0])
FORM(run_ituBi, (int, TENSOR, uint32_t, bool, int), (int)a->n[0], a->x[0], (uint32_t)a->n[1], a->n[2] != 0,
     (int)a->n[3])

/* With a matrix of weights: to a product of batches there is more. */
static ad_tensor *run_ttti(any_function f, const direct_given *a) {
    typedef ad_tensor *function(TENSOR, TENSOR, TENSOR, int);
    return a->x[1]->ndim == 2 ? ((function *)f)(a->x[0], a->x[1], a->x[2], (int)a->n[0]) : NULL;
}

/* Of rows and the class of each: to others there is more. */
static ad_tensor *run_tttli(any_function f, const direct_given *a) {
    typedef ad_tensor *function(TENSOR, TENSOR, TENSOR, int64_t, int);
    const bool rows = a->x[0]->ndim == 2 && a->x[1]->ndim == 1;
    return rows ? ((function *)f)(a->x[0], a->x[1], a->x[2], a->n[0], (int)a->n[1]) : NULL;
}

/* The signatures that ops have: t for a tensor, i for an int, l for an int64_t, u for 32 bits, B for a bool,
 * s for as many of these as the int before them tells. */
static const struct direct_form {
    const char *name;
    direct_run *run;
    int tensors, ints; /* -1: a list of them */
} direct_forms[] = {
    {"t", run_t, 1, 0},      {"ti", run_ti, 1, 1},       {"tii", run_tii, 1, 2},
    {"til", run_til, 1, 2},  {"tilll", run_tilll, 1, 4}, {"ituBi", run_ituBi, 1, 4},
    {"tis", run_tis, 1, -1}, {"tt", run_tt, 2, 0},       {"tti", run_tti, 2, 1},
    {"it", run_it, 1, 1},    {"ttti", run_ttti, 3, 1},   {"tttli", run_tttli, 3, 2},
};

typedef struct {
    const struct direct_form *form;
    any_function f;
    int64_t bound[2];
    int n_bound, dims; /* how many of the ints given are dimensions */
    bool view, bilinear, shaped;
    bool beside; /* whether the function gives a tensor more, which the node saves as if it were the last
                    operand */
} direct_op;

/* What belongs to a function: how it is called; the op, its nodes' class and arguments, where these are
 * always the same, and what it saves; which threads do not record, and what tells whether this one does;
 * whether somebody is to be told of nodes; shapes by their keys. */
enum { HOW, DIRECT_OP, NODES, ALWAYS, SAVES, DIRECT_UNRECORDED, DIRECT_MODE, DIRECT_NOTING, SHAPES };

static bool number_of(PyObject *given, int64_t *number, bool may_be_flag) {
    if (!PyLong_CheckExact(given) && !(may_be_flag && PyBool_Check(given))) return false;
    *number = PyLong_AsLongLong(given);
    if (*number != -1 || !PyErr_Occurred()) return true;
    PyErr_Clear();
    return false;
}

static bool list_of(PyObject *given, direct_given *a) {
    const bool tuple = PyTuple_Check(given);
    if (!tuple && !PyList_Check(given)) return false;
    const Py_ssize_t n = tuple ? PyTuple_Size(given) : PyList_Size(given);
    if (n > DIRECT_NUMBERS) return false;
    for (a->count = 0; a->count < n; a->count++)
        if (!number_of(tuple ? PyTuple_GetItem(given, a->count) : PyList_GetItem(given, a->count),
                       &a->n[a->count], false))
            return false;
    return true;
}

/* Whether a number is one that a parameter of this letter holds. */
static bool fits(char letter, int64_t n) {
    return letter == 'i'   ? n == (int)n
           : letter == 'u' ? n == (int64_t)(uint32_t)n
           : letter == 'B' ? n == 0 || n == 1
                           : true;
}

/* The numbers behind the tensors, dimensions counted from the front. */
static bool numbers_of(const direct_op *op, PyObject *const *given, Py_ssize_t n, direct_given *a) {
    if (op->form->ints < 0) return n == 1 && list_of(given[0], a);
    if (op->n_bound + n != op->form->ints) return false;
    a->count = 0;
    for (const char *letter = op->form->name; *letter; letter++) {
        if (*letter == 't') continue;
        int64_t *const number = &a->n[a->count];
        const int i = a->count++ - op->n_bound;
        if (i < 0)
            *number = op->bound[a->count - 1];
        else if (!number_of(given[i], number, *letter == 'B'))
            return false;
        if (i >= 0 && i < op->dims && *number < 0) *number += a->x[0]->ndim;
        if (i >= 0 && i < op->dims && (*number < 0 || *number >= a->x[0]->ndim)) return false;
        if (!fits(*letter, *number)) return false;
    }
    return true;
}

/* The arguments that a node remembers: what was given, or numbers as they were understood. */
static PyObject *remembered(PyObject *self, const direct_op *op, PyObject *const *given, Py_ssize_t n,
                            const direct_given *a) {
    PyObject *const always = PyTuple_GetItem(self, ALWAYS);
    if (always != Py_None) {
        Py_INCREF(always);
        return always;
    }
    PyObject *const found = PyTuple_New(n);
    for (Py_ssize_t i = 0; found && i < n; i++) {
        PyObject *const one = i < op->dims ? PyLong_FromLongLong(a->n[op->n_bound + i]) : given[i];
        if (i >= op->dims) Py_INCREF(one);
        PyTuple_SetItem(found, i, one);
    }
    return found;
}

/* What a bilinear op saves: each of its first two where the other has a node. */
static PyObject *factors_of(PyObject *edges, PyObject *const *held, int64_t *versions) {
    PyObject *found[2];
    int n = 0;
    for (int i = 0; i < 2; i++)
        if (PyTuple_GetItem(edges, 1 - i) != Py_None) {
            *versions += ad_version(held_by(held[i]));
            found[n++] = held[i];
        }
    PyObject *const saved = PyTuple_New(n);
    for (int i = 0; saved && i < n; i++) {
        Py_INCREF(found[i]);
        PyTuple_SetItem(saved, i, found[i]);
    }
    return saved;
}

/* The node of a call; None where Python has to make it. */
static PyObject *direct_node(PyObject *self, const direct_op *op, PyObject *edges, PyObject *const *held,
                             PyObject *told, PyObject *like, PyObject *p) {
    int64_t versions = 0;
    PyObject *const saved =
        op->bilinear ? factors_of(edges, held, &versions)
                     : kept(PyTuple_GetItem(self, SAVES), held, PyTuple_Size(edges), p, false, &versions);
    if (!saved) return NULL;
    if (versions < 0) {
        Py_DECREF(saved);
        return nothing();
    }
    PyObject *const slots[FILLED] = {edges, NULL, NULL, PyTuple_GetItem(self, DIRECT_OP), told, like};
    return noted(PyTuple_GetItem(self, DIRECT_NOTING),
                 node_of(PyTuple_GetItem(self, NODES), slots, saved, versions));
}

static void put_this_base(PyObject *y, PyObject *base) {
    PyObject **const slot = ((ad_slots *)y)->slot, *const node = slots_of(base)->slot[NODE];
    Py_INCREF(base);
    Py_INCREF(node);
    Py_DECREF(slot[BASE]);
    Py_DECREF(slot[BASE_NODE]);
    slot[BASE] = base;
    slot[BASE_NODE] = node;
}

static void put_base(PyObject *y, ad_slots *x, PyObject *object) {
    PyObject *const base = x->slot[BASE];
    /* a leaf is a base, though it may be a view */
    const bool is_base = base == Py_None || (x->slot[ACC] != Py_None && x->slot[ACC] == x->slot[NODE]);
    put_this_base(y, is_base ? object : base);
}

/* The descriptors of the operands; false where there is more to one. */
static bool operands_of(PyObject *const *given, int n, PyObject **held, direct_given *a, bool *wanted) {
    for (int i = 0; i < n; i++) {
        if (i == 2 && given[i] == Py_None) { /* the one that may be left out */
            held[i] = NULL;
            a->x[i] = NULL;
            continue;
        }
        const ad_slots *const x = slots_of(given[i]);
        if (!(held[i] = settled(x))) return false;
        a->x[i] = held_by(held[i]);
        *wanted |= x->slot[NODE] != Py_None;
    }
    return true;
}

/* What a node is made of, besides the operands. */
typedef struct {
    PyObject *edges, *told, *like;
} direct_wish;

static void drop_wish(const direct_wish *w) {
    Py_XDECREF(w->edges);
    Py_XDECREF(w->told);
    Py_XDECREF(w->like);
}

/* 1 where it was made or there is none, 0 where the node is Python's to make, -1 with an error. */
static int wish(PyObject *self, const direct_op *op, PyObject *const *given, Py_ssize_t n, int tensors,
                const direct_given *a, direct_wish *w) {
    const int recording =
        is_recording(PyTuple_GetItem(self, DIRECT_UNRECORDED), PyTuple_GetItem(self, DIRECT_MODE));
    if (recording <= 0) return recording ? -1 : 1;
    const bool saves = op->bilinear || PyTuple_Size(PyTuple_GetItem(self, SAVES));
    if (saves && who_notes(PyTuple_GetItem(self, DIRECT_NOTING)) == Py_None) return 0;
    if (op->shaped) {
        PyObject *const key = PyLong_FromLongLong(ad_shape_key(a->x[0]));
        if (!key) return -1;
        w->like = found_in(PyTuple_GetItem(self, SHAPES), key);
        Py_DECREF(key);
        if (!w->like) return 0;
        Py_INCREF(w->like);
    }
    const int first = op->form->tensors;
    if (!(w->edges = edges_of(given, tensors + op->beside)))
        return -1; /* that one is None among those given */
    w->told = remembered(self, op, given + first, n - first, a);
    return w->told ? 1 : -1;
}

/* The tensor of a result, with its node where one is `wanted`, and its base. */
static PyObject *placed(PyObject *self, const direct_op *op, PyObject *const *given, PyObject **held,
                        const direct_wish *w, ad_tensor *result) {
    PyObject *const p = pointer_result((char *)result, pointer_type);
    PyObject *made = p ? filled((PyObject *)tensor_type, p) : NULL;
    PyObject *beside = NULL;
    if (op->beside && w->edges) {
        beside = pointer_result((char *)ad_next(), pointer_type);
        held[PyTuple_Size(w->edges) - 1] = beside;
        if (!beside) Py_CLEAR(made);
    } else if (op->beside)
        ad_free(ad_next());
    if (made && w->edges) {
        PyObject *const node = direct_node(self, op, w->edges, held, w->told, w->like, p);
        if (!node || node == Py_None) {
            Py_DECREF(made);
            made = node;
        } else
            put_node(made, node);
    }
    Py_XDECREF(p);
    Py_XDECREF(beside);
    if (made && made != Py_None && op->view) put_base(made, slots_of(given[0]), given[0]);
    return made;
}

static PyObject *direct(PyObject *self, PyObject *const *given, Py_ssize_t n) {
    const direct_op *const op = PyCapsule_GetPointer(PyTuple_GetItem(self, HOW), NULL);
    const int first = op->form->tensors;
    PyObject *held[DIRECT_TENSORS];
    direct_given a;
    bool wanted = false;
    if (n < first || !operands_of(given, first, held, &a, &wanted) ||
        !numbers_of(op, given + first, n - first, &a))
        return nothing();
    const int tensors = held[first - 1] ? first : first - 1;
    if (op->beside && tensors == first) return nothing();
    direct_wish w = {NULL, NULL, NULL};
    const int made_wish = wanted ? wish(self, op, given, n, tensors, &a, &w) : 1;
    PyObject *made = NULL;
    if (made_wish > 0) {
        for (int i = 0; i < tensors; i++) Py_INCREF(held[i]); /* another thread may replace it meanwhile */
        ad_tensor *const result = op->form->run(op->f, &a);
        made = result ? placed(self, op, given, held, &w, result) : nothing(); /* the whole call tells why */
        for (int i = 0; i < tensors; i++) Py_DECREF(held[i]);
    } else if (!made_wish)
        made = nothing();
    drop_wish(&w);
    return made;
}
static PyMethodDef direct_function = {"direct", (PyCFunction)(void (*)(void))direct, METH_FASTCALL, NULL};

static void free_direct(PyObject *capsule) { free(PyCapsule_GetPointer(capsule, NULL)); }

/* Appends the function that calls `f`, of a form, to a list of what belongs to it, from the op on; flags: 1
 * for a view, 2 for a bilinear op, 4 for one whose nodes know the shape, 8 for a tensor beside the result. */
static int ad_direct(intptr_t f, const char *form, int n_bound, const int64_t *bound, int dims, int flags,
                     intptr_t list) {
    direct_op *const op = calloc(1, sizeof *op);
    if (!op) return AD_NO_MEMORY;
    *op = (direct_op){NULL, (any_function)f, {0}, n_bound, dims, flags & 1, flags & 2, flags & 4, flags & 8};
    for (int i = 0; i < n_bound && i < 2; i++) op->bound[i] = bound[i];
    for (size_t i = 0; i < sizeof direct_forms / sizeof *direct_forms; i++)
        if (!strcmp(form, direct_forms[i].name)) op->form = &direct_forms[i];
    PyObject *const capsule = op->form ? PyCapsule_New(op, NULL, free_direct) : NULL;
    if (!capsule) free(op);
    return give_function(list, &direct_function, capsule);
}
#else
static int ad_direct(intptr_t f, const char *form, int n_bound, const int64_t *bound, int dims, int flags,
                     intptr_t list) {
    (void)f, (void)form, (void)n_bound, (void)bound, (void)dims, (void)flags, (void)list;
    return AD_BAD_ARG;
}
#endif
