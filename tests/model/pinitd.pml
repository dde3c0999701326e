/*
 * mm/pinit.c and mm/pinitd.c: the worker. It takes a request, flushes, fills without a lock, asks the PTE again, publishes,
 * wakes. Its interrupts are on but for the lock holds.
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

#define waits(t, me) (wait_node[t] == ON_WORKER(me))
#define list_empty(me) (!waits(0, me) && !waits(1, me) && !waits(2, me))

/* list_pop_front(). Inside a d_step; the list is not empty. */
inline pop_waiter(me)
{
    do
    :: wait_node[t] != ON_WORKER(me) -> t++
    :: else -> break
    od;
    wait_node[t] = OFF
}

/* Only a killed thread may be found awake: the killer was faster. It has not ended, else it had left the list. */
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

/* One waiter per lock hold, so that the hold does not grow with their number (INV-8). Locked. */
inline wake_one(me)
{
    if
    :: list_empty(me)
    :: else ->
        d_step { pop_waiter(me) };
        wake_waiter()
    fi;
    more = !list_empty(me) && !mutant(WORKER_FORGETS_ONE)
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
    atomic { must(inv_2_one_request_one_fill, !frame[f].filled); frame[f].filled = 1; fill(f, 0) };
    fill(f, 1)
}

inline flush_source(f, s, me)
{
    if
    :: frame[f].source == NO_FRAME || mutant(NO_FLUSH)
    :: else ->
        if
        :: mutant(FLUSH_UNDER_LOCK) -> lock(s)
        :: else
        fi;
        tlb_shootdown(s, ASKED_BY_WORKER(me));
        if
        :: mutant(FLUSH_UNDER_LOCK) -> unlock(s)
        :: else
        fi
    fi
}

#define still_wanted(f, s, p) (PTE(s, p).kind == IO && PTE(s, p).frame == f)

inline forget_request(f) { frame[f].source = NO_FRAME; frame[f].space = 0; frame[f].page = 0 }

/* READY first, for the hardware may use the frame from the moment that the PTE is set. */
inline publish_locked(f, s, p)
{
    d_step {
        must(inv_3_frame_stays_allocated, frame[f].state == FILLING);
        frame[f].state = READY;
        frame[f].refs = 1;
        frame[f].filled = 0;
        if
        :: mutant(FRAME_TOUCHED_AFTER_PUBLISH)
        :: else -> forget_request(f)
        fi
    };
    d_step { PTE(s, p).kind = RW; PTE(s, p).frame = f }
}

/* Waits for a request; the look at the queue and the sleep are one hold of the queue's lock. */
inline pinit_take(me)
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
           frame[f].state = FILLING;
           s = frame[f].space;
           p = frame[f].page
       };
       break
    :: d_step { !worker_asleep[me] && empty(pinit_queue) && !mutant(WORKER_SLEEP_RACE) -> worker_asleep[me] = 1 }
    :: !worker_asleep[me] && empty(pinit_queue) && mutant(WORKER_SLEEP_RACE) -> worker_asleep[me] = 1
    od
}

/* pinit_serve(). After the hold that publishes the frame may be somebody else's: what is needed of it is noted before. */
proctype pinitd(byte me)
{
    byte f, t, source;
    bit s, p, dropped, more;

    do
    :: pinit_take(me);
       if
       :: mutant(PUBLISH_BEFORE_FILL) -> flush_source(f, s, me)
       :: mutant(COPY_BEFORE_FLUSH) -> fill_page(f); flush_source(f, s, me)
       :: else -> flush_source(f, s, me); fill_page(f)
       fi;

       if
       :: mutant(WAKE_BEFORE_PUBLISH) ->
           hold { lock(s); d_step { detach_waiters(me, f) }; wake_one(me); unlock(s) }
       :: else
       fi;
       hold {
           if
           :: mutant(COMPLETE_UNLOCKED)
           :: else -> lock(s)
           fi;
           source = frame[f].source;
           if
           :: still_wanted(f, s, p) || mutant(NO_RECHECK) -> publish_locked(f, s, p)
           :: else -> frame[f].state = OWNED; dropped = 1
           fi;
           if
           :: mutant(FRAME_FREED_BEFORE_WAITERS) && dropped -> d_step { frame_free(f) }; dropped = 0
           :: else
           fi;
           if
           :: mutant(WAKE_BEFORE_PUBLISH)
           :: else -> d_step { detach_waiters(me, f) }; wake_one(me)
           fi;
           if
           :: mutant(COMPLETE_UNLOCKED)
           :: else -> unlock(s)
           fi
       };
       do
       :: more -> hold { lock(s); wake_one(me); unlock(s) }
       :: !more -> break
       od;

       if
       :: mutant(PUBLISH_BEFORE_FILL) -> frame[f].word[0] = ZEROED; frame[f].word[1] = ZEROED
       :: mutant(FRAME_TOUCHED_AFTER_PUBLISH) && !dropped -> forget_request(f)
       :: else
       fi;
       atomic {
           if
           :: dropped -> frame_free(f)
           :: else
           fi;
           if
           :: source != NO_FRAME && !mutant(SOURCE_DROPPED_EARLY) && !mutant(SOURCE_KEPT) -> frame_put(source)
           :: else
           fi;
           space_put(s);                    /* last: with it the lock may go */
           f = 0; s = 0; p = 0; dropped = 0; source = 0
       }
    od
}
