/*
 * What the machine does: TLBs, walks, the shootdown interrupt. Hardware takes no lock: it may look at a PTE at
 * any moment, also in the middle of somebody's lock hold.
 */

#define ASKED_BY_WORKER(w) (1 << (w))
#define ASKED_BY_EVENT 4
#define ASKED_BY_OTHER_CLONE 8
#define ASKED_BY_THREAD(t) (16 << (t))
byte flush_asked[THREADS];      /* by CPU: who waits for it */

inline tlb_drop(cpu)
{
    TLB(cpu, 0).kind = NONE; TLB(cpu, 0).frame = 0;
    TLB(cpu, PAGES - 1).kind = NONE; TLB(cpu, PAGES - 1).frame = 0
}

inline ask(cpu, me) { if :: state[cpu] != DEAD -> flush_asked[cpu] = flush_asked[cpu] | me :: else fi }

/*
 * tlb_shootdown(): when it returns, no CPU uses a translation of the space from before the call. Asks those that have
 * the space loaded.
 */
inline tlb_shootdown(s, me)
{
    d_step {
        if
        :: s == 0 -> ask(0, me); ask(1, me)
        :: else   -> ask(2, me)
        fi
    };
    ((flush_asked[0] | flush_asked[1] | flush_asked[2]) & me) == 0
}

/* aspace_tlb_interrupt(): each CPU answers when its interrupts are on, and not earlier. */
proctype interrupts()
{
end:
    do
    :: d_step { flush_asked[0] && !irq_off[0] -> tlb_drop(0); flush_asked[0] = 0 }
    :: d_step { flush_asked[1] && !irq_off[1] -> tlb_drop(1); flush_asked[1] = 0 }
    :: d_step { flush_asked[2] && !irq_off[2] -> tlb_drop(2); flush_asked[2] = 0 }
    od
}

inline tlb_load(cpu, s, p)
{
    TLB(cpu, p).kind = PTE(s, p).kind;
    TLB(cpu, p).frame = PTE(s, p).frame
}

/* A CPU may cache what a PTE says without any access (SDM vol. 3, 4.10.2.3), also inside the fault handler. */
#define may_speculate(cpu, s, p) (state[cpu] != DEAD && TLB(cpu, p).kind == NONE && present(PTE(s, p)))
proctype speculation()
{
    byte n;
end:
    do
    :: d_step { n < SPECULATIONS && may_speculate(0, 0, 0) -> tlb_load(0, 0, 0); n++ }
    :: d_step { n < SPECULATIONS && may_speculate(1, 0, 0) -> tlb_load(1, 0, 0); n++ }
    od
}
