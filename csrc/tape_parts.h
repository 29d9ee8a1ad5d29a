/* tape_parts.h: what a tape is made of, for the files that record, plan and run it. */
#ifndef AD_TAPE_PARTS_H
#define AD_TAPE_PARTS_H
#include "tape.h"

enum {
    AD_MEMORY_ARGUMENT, /* what a run is given */
    AD_MEMORY_CAPTURED, /* was there before, and is kept alive */
    AD_MEMORY_MADE,     /* while recording: a part of the arena */
    AD_MEMORY_RESULT    /* made too, but outlives a run */
};

/* A pointer that leads so many bytes into a memory. */
typedef struct {
    char **where;
    int64_t offset;
} ad_patch;

typedef struct {
    uint8_t kind;
    bool raw;      /* filled from outside, */
    bool written;  /* or by a call */
    bool constant; /* the same at every run */
    bool reused;   /* a result that the next run may write over while somebody holds it */
    bool undone;   /* written by a step that is undone */
    bool kept;     /* a result that may be looked at until a run writes it: it holds nothing else before */
    char *data;    /* what offsets count from: as recorded, then of the last run */
    int64_t nbytes;
    ad_storage *storage; /* captured: kept; an argument's and a result's: of the last run */
    char *contents;      /* what is put there before each run, or NULL */
    char *saved;         /* its contents and version before a run that is checked, or may be undone */
    int64_t version;
    int first, last; /* the steps that use it; none where last is less */
    int64_t at;      /* in the arena, or in its host */
    int host;        /* the result that it lies in; -1 for none */
    int n_patches, n_owners;
    ad_patch *patches;
    ad_storage ***owners; /* where the storage is pointed to */
} ad_tape_memory;

typedef struct {
    ad_tensor like;
    bool inference, first; /* first: of the arguments in its memory */
    int memory, linked;    /* linked: the memory of the tape before, of what that made, */
    int exported;          /* and the export of that tape that leads there */
    int64_t from;          /* of its first element, in bytes from that of the first argument there */
    char *data;            /* of the last run */
    ad_storage *storage;
} ad_tape_argument;

/* One recorded call, and the operands it points to. */
typedef struct {
    ad_call call;
    ad_tensor *operands;
    int *of;         /* the memory each is in; -1 for none */
    int64_t *offset; /* and where in it */
    void *room;      /* of its layout, or NULL */
    int source;      /* which of the calls recorded it was */
    uint64_t hash;   /* of what it wrote */
} ad_step;

struct ad_tape {
    bool watch, clean; /* watch.c: it records nothing; what the call at hand writes over was finite */
    int32_t number;    /* what storages that were seen are marked with */
    ad_tape *after;    /* while recording: whose memory is taken as arguments */
    int n_links;
    int reason;
    void (*notice)(int reason);
    int n_arguments, n_memory, n_steps, n_recorded, n_exports, n_outputs, n_results, n_restored, n_fused;
    ad_tape_argument *arguments;
    ad_tape_memory *memory;
    ad_step *steps, *exports;
    int *results;      /* those of the memory */
    int *restored;     /* those with contents */
    ad_storage *owned; /* stand-ins for the storages of what was made */
    char *arena;
    int64_t arena_bytes;
    int64_t in_use, most; /* bytes when recording began, and the most since */
    int64_t runs, cost;   /* cost: of one, as ad_let_go takes it */
    bool ready, hashing;
    bool tells;   /* numbers that are arguments apart, by the dtypes that hold them */
    int n_undone; /* so many steps, of which a failing one has the run undone */
    int busy;     /* 0, or the number of the process whose thread has it */
    int status;   /* of the last run */
};

void *ad_grown(void *items, int n, size_t size); /* room for one more than n, or NULL */
void ad_watch_before(ad_tape *t, const ad_call *c);
int ad_watch_after(ad_tape *t, const ad_call *c);
int ad_tape_fuse(ad_tape *t); /* tape_fuse.c */

/* ---- tape_steps.c ---- */

/* Operands as they are; their places are the caller's to set. */
bool ad_step_like(const ad_call *c, ad_step *s);
void ad_step_free(ad_step *s);
uint64_t ad_step_hash(const ad_step *s);

#endif
