/*
 * mm/pinit.c: the worker. It takes a request, flushes, fills without a lock, asks the PTE again, publishes, wakes. Interrupts are
 * on but for the lock holds.
 */

/* The local list of worker `me` takes over what waits on frame `f`: one splice. Inside a d_step. */
inline detach_waiters(me, f)
{
    for (t : 0 .. THREADS - 1) {
        if
        :: wait_node[t] == NODE_ON(f) -> wait_node[t] = ON_WORKER(me)
        :: else
        fi
    };
    t = 0
}

#define list_empty(me) (wait_node[0] != ON_WORKER(me) && wait_node[1] != ON_WORKER(me) && wait_node[2] != ON_WORKER(me))

/* list_pop_front(). Inside a d_step; the list is not empty. */
inline pop_waiter(me)
{
    do
    :: wait_node[t] != ON_WORKER(me) -> t++
    :: else -> break
    od;
    wait_node[t] = OFF
}

/* Only a killed thread may be found awake: the killer was faster. It has not ended, for it would have left the list. */
inline wake_waiter()
{
    d_step {
        must(inv_12_dead_is_not_woken, state[t] != DEAD);
        must(inv_4_woken_exactly_once, state[t] == BLOCKED || killed[t]);
        if
        :: state[t] == BLOCKED -> state[t] = RUNNABLE
        :: else
        fi;
        t = 0
    }
}

/* One per lock hold, so that the hold does not grow with the number of waiters (INV-8). Locked at both ends. */
inline wake_all(me, s)
{
    do
    :: list_empty(me) || mutant(WORKER_FORGETS_ONE) -> break
    :: !list_empty(me) ->
        d_step { pop_waiter(me) };
        wake_waiter();
        unlock(s);
        if
        :: mutant(COMPLETE_UNLOCKED)
        :: else -> lock(s)
        fi
    od;
    if
    :: mutant(WORKER_FORGETS_ONE) && !list_empty(me) ->      /* wakes the first, and leaves the rest */
        d_step { pop_waiter(me) };
        wake_waiter();
        d_step {
            for (t : 0 .. THREADS - 1) { if :: wait_node[t] == ON_WORKER(me) -> wait_node[t] = OFF :: else fi };
            t = 0
        }
    :: else
    fi
}

/* The new bytes. The two words are two steps. */
inline fill(f, w)
{
    d_step {
        must(inv_3_frame_stays_allocated, frame[f].state == FILLING);
        if
        :: frame[f].source == NO_FRAME -> frame[f].word[w] = ZEROED
        :: else ->
            must(inv_3_frame_stays_allocated, frame[frame[f].source].state == READY);
            frame[f].word[w] = frame[frame[f].source].word[w]
        fi
    }
}

inline fill_page(f)
{
    d_step { must(inv_2_one_request_one_fill, !frame[f].filled); frame[f].filled = 1 };
    fill(f, 0);
    fill(f, 1)
}

inline flush_source(f, s, me)
{
    if
    :: frame[f].source == NO_FRAME || mutant(NO_FLUSH)
    :: frame[f].source != NO_FRAME && mutant(FLUSH_UNDER_LOCK) ->
        lock(s);
        tlb_shootdown(s, ASKED_BY_WORKER(me));
        unlock(s)
    :: frame[f].source != NO_FRAME && !mutant(NO_FLUSH) && !mutant(FLUSH_UNDER_LOCK) ->
        tlb_shootdown(s, ASKED_BY_WORKER(me))
    fi
}

#define still_wanted(f, s, p) (PTE(s, p).kind == IO && PTE(s, p).frame == f)

/* Under the space's lock: READY first, for the hardware may use the frame from the moment that the PTE is set. */
inline publish(f, s, p)
{
    d_step {
        must(inv_3_frame_stays_allocated, frame[f].state == FILLING);
        frame[f].state = READY;
        frame[f].refs = 1;
        frame[f].filled = 0;
        if
        :: mutant(FRAME_TOUCHED_AFTER_PUBLISH)
        :: else -> frame[f].source = NO_FRAME; frame[f].space = 0; frame[f].page = 0
        fi
    };
    d_step { PTE(s, p).kind = RW; PTE(s, p).frame = f }
}

/* Waits for a request; the look at the queue and the sleep are one hold of the queue's lock. */
inline pinit_take(f, me)
{
end_idle:
    do
    :: d_step {
           !worker_asleep[me] && nempty(pinit_queue) ->
           if
           :: mutant(REQUEST_LEFT_ON_QUEUE) -> pinit_queue?<f>
           :: else -> pinit_queue?f
           fi;
           must(inv_2_one_request_one_fill, frame[f].state == QUEUED);
           frame[f].state = FILLING
       };
       break
    :: d_step { !worker_asleep[me] && empty(pinit_queue) && !mutant(WORKER_SLEEP_RACE) -> worker_asleep[me] = 1 }
    :: !worker_asleep[me] && empty(pinit_queue) && mutant(WORKER_SLEEP_RACE) -> worker_asleep[me] = 1
    od
}

proctype pinitd(byte me)
{
    byte f, t;
    bit s, p, dropped;
    byte source;

    do
    :: pinit_take(f, me);
       atomic { s = frame[f].space; p = frame[f].page };

       if
       :: mutant(COPY_BEFORE_FLUSH) -> fill_page(f); flush_source(f, s, me)
       :: mutant(PUBLISH_BEFORE_FILL) -> flush_source(f, s, me)
       :: else -> flush_source(f, s, me); fill_page(f)
       fi;

       if
       :: mutant(COMPLETE_UNLOCKED)
       :: else -> lock(s)
       fi;
       if
       :: mutant(WAKE_BEFORE_PUBLISH) -> d_step { detach_waiters(me, f) }; wake_all(me, s)
       :: else
       fi;
       source = frame[f].source;
       if
       :: still_wanted(f, s, p) || mutant(NO_RECHECK) -> publish(f, s, p)
       :: else -> frame[f].state = OWNED; dropped = 1
       fi;
       if
       :: mutant(FRAME_FREED_BEFORE_WAITERS) && dropped -> d_step { frame_free(f) }; dropped = 0
       :: else
       fi;
       if
       :: mutant(WAKE_BEFORE_PUBLISH)
       :: else -> d_step { detach_waiters(me, f) }; wake_all(me, s)
       fi;
       unlock(s);

       if
       :: mutant(PUBLISH_BEFORE_FILL) -> frame[f].word[0] = ZEROED; frame[f].word[1] = ZEROED
       :: else
       fi;
       if
       :: dropped -> d_step { frame_free(f) }
       :: !dropped && mutant(FRAME_TOUCHED_AFTER_PUBLISH) -> d_step { frame[f].source = NO_FRAME; frame[f].space = 0; frame[f].page = 0 }
       :: else                          /* published: it may be somebody else's by now, we may not even look */
       fi;
       if
       :: source != NO_FRAME && !mutant(SOURCE_DROPPED_EARLY) && !mutant(SOURCE_KEPT) -> d_step { frame_put(source) }
       :: else
       fi;
       space_put(s);                    /* last: with it the lock may go */
       d_step { f = 0; s = 0; p = 0; dropped = 0; source = 0 }
    od
}
