/*
 * What user programs do: touch memory, fault, and end. Thread n stays on CPU n; that CPU's TLB decides what it touches.
 */

/* One access: through the cached translation, whatever the PTE says by now. Inside a d_step. */
inline check_access(t, s, p)
{
    f = TLB(t, p).frame;
    must(inv_3_frame_stays_allocated, frame[f].state != FREE);
    must(inv_1_bytes_are_final, frame[f].state == READY);
    must(inv_10_gone_stays_gone, vma[s] != GONE)
}

inline user_read(t, s, p)
{
    check_access(t, s, p);
    for (w : 0 .. 1) {
        must(inv_1_bytes_are_final, frame[f].word[w] != STALE);
        must(inv_7_value_is_the_last_written,
             frame[f].word[w] == VALUE(s, p).before[w] || frame[f].word[w] == VALUE(s, p).after[w]);
        expect(s, p, w, frame[f].word[w])       /* what was seen once stays */
    };
    f = 0; w = 0
}

inline user_write(t, s, p)
{
    check_access(t, s, p);
    w = t & 1;
    frame[f].word[w] = WRITTEN(t);
    expect(s, p, w, WRITTEN(t));
    f = 0; w = 0
}

#define reads(t, p)   (TLB(t, p).kind == RO || TLB(t, p).kind == RW)
#define writes(t, p)  (TLB(t, p).kind == RW)
#define misses(t, p)  (TLB(t, p).kind == NONE)

/* The exception: interrupts go off, and the translation that led to it is dropped (SDM vol. 3, 4.10.4.1). */
inline fault(t, s, p, write)
{
    d_step { irq_off[t] = 1; TLB(t, p).kind = NONE; TLB(t, p).frame = 0 };
    page_fault(t, s, p, write)
}

/*
 * A thread that touches pages `left` times, in user mode or in a copy inside the kernel. What it does next is open at
 * each step. That it is killed it notices at some later step: the interrupt that tells it takes its time, and a copy
 * first runs its instruction again.
 */
proctype user(byte me; byte s; byte left)
{
    byte f, p, w, source, outcome, gone[PAGES];
    bit need_flush, last;

    do
    :: left == 0 || killed[me] -> break
    :: d_step { left > 0 && reads(me, p) -> user_read(me, s, p); left-- }
    :: d_step { left > 0 && writes(me, p) -> user_write(me, s, p); left-- }
    :: d_step { left > 0 && misses(me, p) && present(PTE(s, p)) -> tlb_load(me, s, p) }
    :: left > 0 && PAGES > 1 -> p = 1 - p
    :: hold {
           if
           :: left > 0 && misses(me, p) && !present(PTE(s, p)) -> fault(me, s, p, false)
           :: left > 0 && misses(me, p) && !present(PTE(s, p)) -> fault(me, s, p, true)
           :: left > 0 && reads(me, p) && !writes(me, p) -> fault(me, s, p, true)
           fi
       };
       atomic {
           if
           :: outcome == ERROR -> left = 0
           :: outcome == RETRY
           :: outcome == WAIT && state[me] == RUNNABLE -> state[me] = RUNNING
           fi;
           outcome = 0
       }
    od;
    thread_end(me, s)
}
