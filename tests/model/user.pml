/*
 * What user programs do: touch memory, fault, and end. Thread n stays on CPU n; its CPU's TLB decides what it really touches.
 */

/* One load or store: through the cached translation, whatever the PTE says by now. Inside a d_step. */
inline user_access(t, s, p, write, w)
{
    f = TLB(t, p).frame;
    must(inv_3_frame_stays_allocated, frame[f].state != FREE);
    must(inv_1_bytes_are_final, frame[f].state == READY);
    must(inv_10_gone_stays_gone, vma[s] != GONE);
    if
    :: write ->
        w = t & 1;
        frame[f].word[w] = WRITTEN(t);
        expect(s, p, w, WRITTEN(t))
    :: else ->
        for (w : 0 .. 1) {
            must(inv_1_bytes_are_final, frame[f].word[w] != STALE);
            must(inv_7_value_is_the_last_written,
                 frame[f].word[w] == VALUE(s, p).before[w] || frame[f].word[w] == VALUE(s, p).after[w]);
            expect(s, p, w, frame[f].word[w])      /* what was seen once stays */
        }
    fi;
    f = 0; w = 0
}

#define tlb_allows(t, p, write) (TLB(t, p).kind == RW || (TLB(t, p).kind == RO && !write))
#define tlb_missing(t, p) (TLB(t, p).kind == NONE)

/* A thread in user mode (or in a kernel copy to or from user memory) that touches pages `left` times. */
proctype user(byte me; byte s; byte left)
{
    byte f, p, w, source, outcome, gone[PAGES];
    bit write, need_flush, last;

    do
    :: left == 0 || killed[me] -> break
    :: atomic {
           left > 0 && !killed[me] ->
           left--;
           if :: write = 0 :: write = 1 fi;
           if :: p = 0 :: PAGES > 1 -> p = 1 fi
       };
       do
       :: d_step { tlb_allows(me, p, write) -> user_access(me, s, p, write, w) }; break
       :: d_step { tlb_missing(me, p) && present(PTE(s, p)) -> tlb_load(me, s, p) }
       :: d_step {
              (tlb_missing(me, p) && !present(PTE(s, p))) || (TLB(me, p).kind == RO && write) ->
              irq_off[me] = 1;
              TLB(me, p).kind = NONE; TLB(me, p).frame = 0      /* a fault drops it: SDM vol. 3, 4.10.4.1 */
          };
          page_fault(me, s, p, write);
          if
          :: outcome == ERROR -> left = 0; break
          :: outcome == RETRY
          :: atomic { outcome == WAIT && state[me] == RUNNABLE -> state[me] = RUNNING };
             if
             :: killed[me] -> break         /* on the way out to user mode */
             :: true                        /* a copy inside the kernel runs its instruction again first */
             fi
          fi
       od;
       atomic { outcome = 0; write = 0; p = 0 }
    od;
    thread_end(me, s)
}
