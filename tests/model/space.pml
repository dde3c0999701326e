/*
 * mm/zap.c, mm/vm.c and the end of threads: how mappings and spaces go away.
 */

/* When nobody can touch the page any more, what was last written is still there. Inside a d_step. */
inline check_last_values(s, p)
{
    must(inv_7_value_is_the_last_written, threads[s] > 0
         || ((frame[gone[p]].word[0] == VALUE(s, p).before[0] || frame[gone[p]].word[0] == VALUE(s, p).after[0])
             && (frame[gone[p]].word[1] == VALUE(s, p).before[1] || frame[gone[p]].word[1] == VALUE(s, p).after[1])))
}

/* What the entry named goes on our list. An io entry's frame is its worker's (INV-3). Locked. */
inline clear_entry(s, p)
{
    d_step {
        gone[p] = NO_FRAME;
        if
        :: PTE(s, p).kind == IO ->
            if
            :: mutant(UNMAP_FREES_IO) -> gone[p] = PTE(s, p).frame; frame_free(gone[p]); gone[p] = NO_FRAME
            :: else
            fi;
            if
            :: frame[PTE(s, p).frame].source != NO_FRAME && !mutant(UNMAP_IO_NO_FLUSH) -> need_flush = 1
            :: else
            fi
        :: present(PTE(s, p)) -> gone[p] = PTE(s, p).frame; need_flush = 1; check_last_values(s, p)
        :: else
        fi;
        must(inv_10_gone_stays_gone, vma[s] != GONE || PTE(s, p).kind == NONE);
        PTE(s, p).kind = NONE;
        PTE(s, p).frame = 0;
        if
        :: mutant(FREE_BEFORE_SHOOTDOWN) && gone[p] != NO_FRAME -> frame_put(gone[p]); gone[p] = NO_FRAME
        :: else
        fi
    }
}

/*
 * All pages of the space. Nobody can map there again, nor use a frame again, before every CPU has dropped what it knows.
 * An io entry needs the flush too if its page was copy-on-write: other CPUs may still know the source.
 */
inline vm_unmap(s, me)
{
    hold { lock(s); if :: vma[s] == MAPPED -> vma[s] = DYING :: else fi; unlock(s) };
    for (p : 0 .. PAGES - 1) {
        hold { lock(s); clear_entry(s, p); unlock(s) }
    };
    if
    :: mutant(VMA_REMOVED_BEFORE_FLUSH) -> hold { lock(s); vma[s] = GONE; unlock(s) }
    :: else
    fi;
    if
    :: need_flush -> tlb_shootdown(s, me)
    :: else
    fi;
    atomic {
        need_flush = 0;
        for (p : 0 .. PAGES - 1) {
            if
            :: gone[p] != NO_FRAME -> frame_put(gone[p])
            :: else
            fi;
            gone[p] = 0
        };
        p = 0
    };
    hold { lock(s); vma[s] = GONE; unlock(s) }
}

/* A thread leaves its space; with the last one goes the contents. No CPU has the space loaded by then. */
inline leave_space(s, me)
{
    d_step { threads[s]--; last = (threads[s] == 0) };
    if
    :: last -> hold { vm_unmap(s, me); space_put(s) }
    :: else
    fi
}

/* thread_end(): off every list, then off the CPU. */
inline thread_end(me, s)
{
    if
    :: mutant(KILLED_STAYS_LINKED)
    :: else -> hold { lock(s); page_wait_leave(me); unlock(s) }
    fi;
    d_step { state[me] = DEAD; left = 0; tlb_drop(me) };
    leave_space(s, ASKED_BY_THREAD(me))
}
