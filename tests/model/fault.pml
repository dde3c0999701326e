/*
 * mm/fault.c: decide first, then commit. All of it under the space's lock with interrupts off; what is a step of its own
 * here, somebody without the lock can see: the hardware, a killer, a worker at its queue.
 */

#define ERROR 1
#define RETRY 2
#define WAIT 3

/* A thread that a kill has pulled out of its sleep may still be on a list, a frame's or a worker's. Locked. */
inline page_wait_leave(t) { wait_node[t] = OFF }

/* thread_block(): on the list first, so that whoever finds the thread BLOCKED finds its node too. Locked. */
inline thread_block(t, f)
{
    d_step { must(inv_4_woken_exactly_once, wait_node[t] == OFF); wait_node[t] = NODE_ON(f) };
    state[t] = BLOCKED
}

/* pinit_submit(): queue and worker's state are under the queue's lock, one step. */
inline pinit_submit(f)
{
    d_step {
        frame[f].state = QUEUED;
        pinit_queue!f;
        worker_asleep[0] = 0;
        worker_asleep[WORKERS - 1] = 0
    }
}

/*
 * A new request. Whatever can fail is over before anything is visible (INV-5). The PTE's reference to `src` passes to the
 * request.
 */
inline raise(t, s, p, src)
{
    d_step {
        if
        :: mutant(COMMIT_BEFORE_ALLOC) -> PTE(s, p).kind = IO; PTE(s, p).frame = 0
        :: else
        fi;
        frame_alloc(f)
    };
    if
    :: f == NO_FRAME -> must(inv_5_commit_cannot_fail, PTE(s, p).kind != IO); outcome = ERROR
    :: else ->
        d_step {                        /* pinit_prepare(): nobody else knows the frame yet */
            frame[f].source = src;
            frame[f].space = s;
            frame[f].page = p;
            if
            :: mutant(NO_SPACE_REF)
            :: else -> space_refs[s]++
            fi;
            if
            :: mutant(SOURCE_DROPPED_EARLY) && src != NO_FRAME -> frame_put(src)
            :: else
            fi
        };
        thread_block(t, f);
        d_step {
            must(inv_2_one_request_one_fill, PTE(s, p).kind != IO || mutant(COMMIT_BEFORE_ALLOC));
            PTE(s, p).kind = IO;
            PTE(s, p).frame = f
        };
        d_step { TLB(t, p).kind = NONE; TLB(t, p).frame = 0 };  /* this CPU only; the others are the worker's */
        pinit_submit(f);
        outcome = WAIT
    fi
}

inline join(t, s, p)
{
    d_step { f = PTE(s, p).frame };
    if
    :: mutant(JOIN_LOOKS_UNLOCKED) -> unlock(s); lock(s)
    :: else
    fi;
    thread_block(t, f);
    outcome = WAIT
}

/* Only a holder of this space's lock can turn one reference into two, so a count of 1 stays 1 while we hold it. */
#define only_ours(f) (frame[f].refs == 1 || mutant(REUSE_IGNORES_REFS))
inline copy_on_write(t, s, p)
{
    source = PTE(s, p).frame;
    if
    :: only_ours(source) -> PTE(s, p).kind = RW; outcome = RETRY
    :: else -> raise(t, s, p, source)
    fi
}

inline page_fault(t, s, p, write)
{
    hold {
        lock(s);
        if
        :: mutant(KILLED_JOINS_TWICE)
        :: else -> page_wait_leave(t)
        fi;
        if
        :: vma[s] != MAPPED -> outcome = ERROR
        :: vma[s] == MAPPED && PTE(s, p).kind == NONE -> raise(t, s, p, NO_FRAME)
        :: vma[s] == MAPPED && PTE(s, p).kind == IO && mutant(JOIN_FORGOTTEN) -> raise(t, s, p, NO_FRAME)
        :: vma[s] == MAPPED && PTE(s, p).kind == IO && !mutant(JOIN_FORGOTTEN) -> join(t, s, p)
        :: vma[s] == MAPPED && PTE(s, p).kind == RW -> outcome = RETRY          /* spurious, or somebody was faster */
        :: vma[s] == MAPPED && PTE(s, p).kind == RO && !write -> outcome = RETRY
        :: vma[s] == MAPPED && PTE(s, p).kind == RO && write -> copy_on_write(t, s, p)
        fi;
        d_step { f = 0; source = 0; unlock(s); irq_off[t] = 0 }
    }
}
