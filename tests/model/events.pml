/*
 * Who interferes while pages are being made: unmap, clone, kill. These threads have no CPU in this model, since they
 * never touch the page themselves.
 */

/* vm_unmap(), then perhaps vm_map() at the same address: there the page starts anew. */
proctype unmapper()
{
    byte p, gone[PAGES];
    bit need_flush, last;

    vm_unmap(0, ASKED_BY_EVENT);
    if
    :: true ->
        hold {
            lock(0);
            vma[0] = MAPPED;
            d_step {
                for (p : 0 .. PAGES - 1) { expect(0, p, 0, ZEROED); expect(0, p, 1, ZEROED) };
                p = 0
            };
            unlock(0)
        }
    :: true
    fi;
    leave_space(0, ASKED_BY_EVENT)
}

/* What the clone's PTE becomes. An io page counts as what it is being made from (INV-11). Locked. */
inline share_entry(p)
{
    if
    :: PTE(0, p).kind == NONE
    :: PTE(0, p).kind == IO ->
        d_step { f = PTE(0, p).frame; source = frame[f].source };
        if
        :: source == NO_FRAME && mutant(FORK_SHARES_IO_ZERO) ->
            frame[f].refs++;
            d_step { PTE(1, p).frame = f; PTE(1, p).kind = RO }
        :: source != NO_FRAME && !mutant(FORK_IO_COPY_AS_NONE) ->
            frame[source].refs++;
            d_step { PTE(1, p).frame = source; PTE(1, p).kind = RO }
        :: else
        fi
    :: present(PTE(0, p)) ->
        d_step { f = PTE(0, p).frame; changed = changed || PTE(0, p).kind == RW };
        frame[f].refs++;
        PTE(0, p).kind = RO;
        d_step { PTE(1, p).frame = f; PTE(1, p).kind = RO }
    fi
}

/* vm_clone(). The clone's first instruction comes after the flush; until then the parent may still write to the frame. */
proctype forker()
{
    byte p, f, source;
    bit changed, need_flush, last;
    byte gone[PAGES];

    d_step { space_refs[1] = 1; threads[1] = 1; vma[1] = MAPPED };
    for (p : 0 .. PAGES - 1) {
        hold {
            lock(0);
            d_step {
                VALUE(1, p).before[0] = VALUE(0, p).before[0];
                VALUE(1, p).before[1] = VALUE(0, p).before[1]
            };
            share_entry(p);
            f = 0; source = 0;
            unlock(0)
        }
    };
    if
    :: mutant(FORK_NO_FLUSH) || (mutant(FORK_FLUSH_IF_CHANGED) && !changed)
    :: else -> tlb_shootdown(0, ASKED_BY_EVENT)
    fi;
    atomic {
        changed = 0;
        for (p : 0 .. PAGES - 1) {
            VALUE(1, p).after[0] = VALUE(0, p).after[0];
            VALUE(1, p).after[1] = VALUE(0, p).after[1]
        };
        p = 0
    };
    run user(2, 1, CLONE_ACCESSES);
    leave_space(0, ASKED_BY_EVENT)
}

/*
 * Start COW: another thread has just cloned the space and is about to flush. Its clone then counts on the page not
 * changing, and goes at any later time.
 */
bit other_clone_done;
proctype other_clone()
{
    byte seen[2], p;

    tlb_shootdown(0, ASKED_BY_OTHER_CLONE);
    for (p : 0 .. PAGES - 1) {
        d_step { seen[0] = frame[p].word[0]; seen[1] = frame[p].word[1] };
        d_step {
            must(inv_7_value_is_the_last_written, frame[p].word[0] == seen[0] && frame[p].word[1] == seen[1]);
            frame_put(p)
        }
    };
    atomic { seen[0] = 0; seen[1] = 0; p = 0; other_clone_done = 1 }
}

/* thread_kill(): the mark first, then the wake, so that the woken thread sees why. */
proctype killer()
{
    killed[0] = 1;
    wake(0)
}
