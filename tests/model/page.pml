/*
 * The page protocol of mm/, as a SPIN model: the data that everybody shares, the rules as assertions, and who runs.
 * The other files are the rooms of the kernel and what is around them:
 *
 *   fault.pml     mm/fault.c                        hardware.pml  TLBs, the shootdown (mm/tlb.c)
 *   pinitd.pml    mm/pinit.c and mm/pinitd.c        user.pml      programs that touch pages
 *   space.pml     mm/zap.c and the end of threads   events.pml    unmap, clone (mm/clone.c), kill
 *
 * tests/model/run chooses START, EVENT, MUTANT and the sizes by -D; docs/model.md explains. Left out on purpose:
 * priorities, batches, huge pages, quotas, vm_protect(), page tables above the leaf.
 */

/* --- what run chooses --- */

/* What the page is at first */
#define ZERO 1          /* nothing there yet: a touch makes a request to zero */
#define OWN 2           /* present and writable */
#define COW 3           /* a clone has just been made by somebody else: its flush has yet to come */

/* What happens meanwhile */
#define UNMAP 1         /* another thread unmaps, and perhaps maps anew at the same address */
#define FORK 2          /* another thread clones the space; the clone's thread then touches the page too */
#define KILL 3          /* thread 0 is killed */

#ifndef START
#define START ZERO
#endif
#ifndef EVENT
#define EVENT UNMAP
#endif
#ifndef PAGES
#define PAGES 1
#endif
#ifndef FRAMES
#define FRAMES 4
#endif
#ifndef WORKERS
#define WORKERS 1
#endif
#ifndef ACCESSES
#define ACCESSES 2      /* by each of the two threads of the parent, reads or writes */
#endif
#ifndef CLONE_ACCESSES
#define CLONE_ACCESSES 1
#endif
#ifndef SPECULATIONS
#define SPECULATIONS 1  /* how often a CPU caches a translation that nobody has asked for */
#endif

/*
 * hold { lock(s); ... unlock(s) } is what C writes as spin_lock(), ..., spin_unlock(). With FINE each step in it stands
 * alone, for those who look without the lock: the hardware, a killer, a worker, somebody in another space. Without, a
 * hold is one step; that is what makes the larger configurations possible.
 */
#ifdef FINE
#define hold
#else
#define hold atomic
#endif

/* Deliberate mistakes: each must be found. tests/model/mutants says what each is and what it must lead to. */
#define NO_RECHECK 1
#define WAKE_BEFORE_PUBLISH 2
#define JOIN_FORGOTTEN 3
#define PUBLISH_BEFORE_FILL 4
#define COPY_BEFORE_FLUSH 5
#define NO_FLUSH 6
#define SOURCE_DROPPED_EARLY 7
#define UNMAP_FREES_IO 8
#define KILLED_STAYS_LINKED 9
#define COMPLETE_UNLOCKED 10
#define FORK_SHARES_IO_ZERO 11
#define FORK_IO_COPY_AS_NONE 12
#define FREE_BEFORE_SHOOTDOWN 13
#define WORKER_FORGETS_ONE 14
#define REUSE_IGNORES_REFS 15
#define UNMAP_IO_NO_FLUSH 16
#define FORK_NO_FLUSH 17
#define FORK_FLUSH_IF_CHANGED 18
#define FLUSH_UNDER_LOCK 19
#define NO_SPACE_REF 20
#define WORKER_SLEEP_RACE 21
#define JOIN_LOOKS_UNLOCKED 22
#define COMMIT_BEFORE_ALLOC 23
#define KILLED_JOINS_TWICE 24
#define FRAME_FREED_BEFORE_WAITERS 25
#define REQUEST_LEFT_ON_QUEUE 26
#define VMA_REMOVED_BEFORE_FLUSH 27
#define SOURCE_KEPT 28
#define FRAME_TOUCHED_AFTER_PUBLISH 29
#ifndef MUTANT
#define MUTANT 0
#endif
#define mutant(name) (MUTANT == name)

/* --- the rules. A violated assertion prints its text, so each says which rule it is. --- */

#define THREADS 3           /* 0 and 1 in the parent, 2 in the clone; thread n runs on CPU n */
#define SPACES 2            /* 0: the parent; 1: the clone */
#define NO_FRAME 255

byte inv_1_bytes_are_final = 1;
byte inv_2_one_request_one_fill = 1;
byte inv_3_frame_stays_allocated = 1;
byte inv_4_woken_exactly_once = 1;
byte inv_5_commit_cannot_fail = 1;
byte inv_7_value_is_the_last_written = 1;
byte inv_10_gone_stays_gone = 1;
byte inv_12_dead_is_not_woken = 1;
byte every_frame_returns = 1;
byte space_outlives_its_users = 1;
#define must(rule, condition) assert(rule && (condition))

/* --- frames: mm/frame.h --- */

#define FREE 0
#define OWNED 1
#define QUEUED 2
#define FILLING 3
#define READY 4             /* bytes final */

/* What a word of a page holds */
#define STALE 0             /* what an earlier owner left */
#define ZEROED 1
#define DATA 2              /* from before the model starts */
#define WRITTEN(thread) (3 + (thread))

typedef frame_t {
    byte state;
    byte refs;              /* READY: how many PTEs and requests name it */
    byte word[2];           /* the page's bytes: two words, so that filling is not atomic */
    bit filled;             /* ghost: how often this request was filled */
    /* The request (struct page_init). Its list of waiters is: every thread whose node is NODE_ON(frame). */
    byte source;
    bit space;
    bit page;
};
frame_t frame[FRAMES];

chan pinit_queue = [FRAMES] of { byte };
bit worker_asleep[WORKERS];

/* --- spaces: mm/aspace.h --- */

#define NONE 0
#define IO 1
#define RO 2                /* present, P=1 W=0: in this model always copy-on-write */
#define RW 3                /* present and writable */
#define present(entry) (entry.kind >= RO)

typedef pte_t { byte kind; byte frame };        /* also what a TLB holds: NONE, RO or RW */

pte_t ptes[SPACES * PAGES];
pte_t tlbs[THREADS * PAGES];
#define PTE(s, p) ptes[(s) * PAGES + (p)]
#define TLB(cpu, p) tlbs[(cpu) * PAGES + (p)]

#define GONE 0
#define MAPPED 1
#define DYING 2             /* no access, still occupied */
byte vma[SPACES];           /* one range covers all pages */

bit locked[SPACES];
byte space_refs[SPACES];    /* its task and every request */
byte threads[SPACES];

/* Whoever takes the lock of a space must hold it in life. */
inline lock(s)   { atomic { !locked[s] -> locked[s] = 1; must(space_outlives_its_users, space_refs[s] > 0) } }
inline unlock(s) { locked[s] = 0 }

inline space_put(s)
{
    d_step {
        must(space_outlives_its_users, space_refs[s] > 0);
        space_refs[s]--
    }
}

/* --- threads: kernel/thread.h --- */

#define RUNNING 0
#define RUNNABLE 1          /* THREAD_READY: woken */
#define BLOCKED 2
#define DEAD 3
byte state[THREADS];
bit killed[THREADS];
bit irq_off[THREADS];       /* of the CPU */

/* Which list the thread's wait_node is on; under the space's lock. */
#define OFF 0
#define NODE_ON(f) (1 + (f))
#define ON_WORKER(w) (1 + FRAMES + (w))
byte wait_node[THREADS];

/* thread_wake(): one atomic change that exactly one waker wins. */
inline wake(t) { d_step { if :: state[t] == BLOCKED -> state[t] = RUNNABLE :: else fi } }

/* --- ghost: what a read of a word may find. Two values only while a clone is being made. --- */

typedef page_values { byte before[2]; byte after[2] };
page_values value[SPACES * PAGES];
#define VALUE(s, p) value[(s) * PAGES + (p)]

inline expect(s, p, w, v) { VALUE(s, p).before[w] = v; VALUE(s, p).after[w] = v }

/* --- frames: the pool --- */

/* NO_FRAME: memory is out. Inside a d_step. */
inline frame_alloc(f)
{
    f = 0;
    do
    :: f < FRAMES && frame[f].state != FREE -> f++
    :: else -> break
    od;
    if
    :: f == FRAMES -> f = NO_FRAME
    :: else -> frame[f].state = OWNED
    fi
}

/* Nobody may name it any more. Inside a d_step. */
inline frame_free(f)
{
    must(inv_3_frame_stays_allocated, frame[f].state == OWNED || frame[f].state == READY);
    must(inv_3_frame_stays_allocated,
         wait_node[0] != NODE_ON(f) && wait_node[1] != NODE_ON(f) && wait_node[2] != NODE_ON(f));
    frame[f].state = FREE;
    frame[f].refs = 0;
    frame[f].filled = 0;
    frame[f].source = NO_FRAME;
    frame[f].space = 0;
    frame[f].page = 0;
    frame[f].word[0] = STALE;
    frame[f].word[1] = STALE
}

/* Inside a d_step. */
inline frame_put(f)
{
    must(inv_3_frame_stays_allocated, frame[f].state == READY && frame[f].refs > 0);
    frame[f].refs--;
    if
    :: frame[f].refs == 0 -> frame_free(f)
    :: else
    fi
}

#include "hardware.pml"
#include "fault.pml"
#include "space.pml"
#include "user.pml"
#include "events.pml"
#include "pinitd.pml"

/* The set-up, then the end: every frame is back. If somebody sleeps for ever, init does too: an invalid end state. */
init {
    byte i, j;
    atomic {
        for (i : 0 .. FRAMES - 1) { frame[i].source = NO_FRAME }
        vma[0] = MAPPED;
        space_refs[0] = 1;
        threads[0] = 2;
        for (j : 0 .. PAGES - 1) {
            if
            :: START == ZERO -> expect(0, j, 0, ZEROED); expect(0, j, 1, ZEROED)
            :: else ->
                frame[j].state = READY;
                frame[j].refs = 1;
                frame[j].word[0] = DATA;
                frame[j].word[1] = DATA;
                PTE(0, j).kind = RW;
                PTE(0, j).frame = j;
                expect(0, j, 0, DATA); expect(0, j, 1, DATA);
                if
                :: START == COW ->
                    /* Both CPUs have written to the page just before it was shared with the other clone. */
                    TLB(0, j).kind = RW; TLB(0, j).frame = j;
                    TLB(1, j).kind = RW; TLB(1, j).frame = j;
                    PTE(0, j).kind = RO;
                    frame[j].refs = 2
                :: else
                fi
            fi
        };
        if
        :: START == COW -> run other_clone()
        :: else
        fi;
        if
        :: EVENT == KILL -> run killer()
        :: EVENT == UNMAP -> threads[0]++; run unmapper()
        :: EVENT == FORK -> threads[0]++; run forker()
        fi;
        run interrupts();
        run speculation();
        for (i : 0 .. WORKERS - 1) { run pinitd(i) };
        run user(0, 0, ACCESSES);
        run user(1, 0, ACCESSES);
        i = 0; j = 0
    };
    atomic {
        space_refs[0] == 0 && space_refs[1] == 0 && (START != COW || other_clone_done) ->
        for (i : 0 .. FRAMES - 1) { must(every_frame_returns, frame[i].state == FREE) }
    }
}
