"""
The breaks: for each rule of docs/invariants.md, and for some things that it says besides, a mistake that
somebody could make in the kernel, and the test that must notice. The old text has to be in the file exactly
once, and the new one to compile without a warning.
"""
import collections

# rule: "INV-n", or what else is broken. edits: [(file, old, new)]. boots: [Boot], until one has noticed.
# sign: a regular expression for what then stands in the output, so that a kernel that is broken in another
# way is not taken for a success.
Break = collections.namedtuple("Break", "name rule what edits boots sign")

# One case of a test program, and the machine it runs on (options of machines.Machine). traced: the trace is
# held against the rules as well, as tools/claims does; what it finds is part of the output, as
# "INV-n is broken: ...".
Boot = collections.namedtuple("Boot", "cmd options traced")

DELAY = "pinit.delay=2000"      # microseconds in which other threads can do something to the page
# The same at another place in the worker: a mistake that matters for a moment, and the moment made long.
WAIT = """    if (wait_sleep_until(time_ns() + options.pinit_delay_us * 1000ull) != 0) {
        panic("the worker was killed");
    }
"""


def counted(cmd, append="", traced=False):
    """On one CPU, where an instruction is a nanosecond: every run is the same, and idle time takes none."""
    return Boot(cmd, {"icount": True, "append": append}, traced)


def racing(cmd, smp=4, append="", traced=False):
    """On several CPUs at once."""
    return Boot(cmd, {"smp": smp, "append": append}, traced)


FAULT, CLONE, ZAP, PINIT, PINITD = "mm/fault.c", "mm/clone.c", "mm/zap.c", "mm/pinit.c", "mm/pinitd.c"

BREAKS = [
    # --- the twelve rules ---
    Break("zero-fill-short", "INV-1", "the last words of a page keep what the earlier owner left",
          [("mm/filler.c", "void filler_zero(void *page)\n{\n"
            "    uint64_t count = by_bytes ? PAGE_SIZE : PAGE_SIZE / 8;",
            "void filler_zero(void *page)\n{\n"
            "    uint64_t count = by_bytes ? PAGE_SIZE - 16 : PAGE_SIZE / 8 - 2;")],
          [counted("/test/races remap_io", DELAY)], r"FAIL remap_io"),
    Break("publish-before-fill", "INV-1", "the entry is present before the bytes are final",
          [(PINITD, "    fill(frame, &subject);\n    if (unlikely(!finish(space, frame, &subject))) {\n",
            "    bool published = finish(space, frame, &subject);\n    if (published) {\n" + WAIT
            + "        fill(frame, &subject);\n    }\n    if (!published) {\n")],
          [counted("/test/races remap_io", DELAY)], r"FAIL remap_io|panic"),
    Break("join-forgotten", "INV-2", "a second fault on an io page makes a second request",
          [(FAULT, "    if (pte_is_io(pte)) {", "    if (pte_is_io(pte) && access == 0) {")],
          [counted("/test/rules all_wake", DELAY)], r"panic|FAIL all_wake"),
    Break("unmap-frees-io", "INV-3", "unmapping frees the frame of an io page under its request",
          [(ZAP, "            if (pte_is_present(pte))\n                gather(",
            "            if (pte_is_io(pte))\n                frame_free(pfn_to_frame(pte_pfn(pte)));\n"
            "            else\n                gather(")],
          [counted("/test/races unmap_io", DELAY)], r"panic"),
    Break("wakes-one", "INV-4", "of those who joined only the first is woken",
          [(PINITD, "        if (!thread_wake(thread, 0))", "        if (i > 0 || !thread_wake(thread, 0))")],
          [counted("/test/rules all_wake", DELAY)], r"still sleeps on the page"),
    Break("late-joiner-forgotten", "INV-4",
          "who joins between the taking of the waiters and the publication sleeps for ever",
          [(PINITD, "    bool published = publish_locked(space, frame, subject);\n"
            "    bool more = wake_some(&frame->init.waiters, subject);\n",
            "    struct list_node early;\n    list_init(&early);\n"
            "    list_splice_back(&early, &frame->init.waiters);\n    spin_unlock(&space->lock);\n"
            + WAIT + "    spin_lock(&space->lock);\n"
            "    bool published = publish_locked(space, frame, subject);\n"
            "    bool more = wake_some(&early, subject);\n    while (more)\n"
            "        more = wake_some(&early, subject);\n")],
          [counted("/test/rules all_wake", DELAY)], r"still sleeps on the page"),
    Break("fails-after-io", "INV-5", "something is allocated, and can fail, after the entry has turned io",
          [(FAULT, "    trace_about(PRIMER_EVENT_IO, &subject);\n    return FAULT_RAISED;",
            "    trace_about(PRIMER_EVENT_IO, &subject);\n"
            "    if (!account_charge(space->account, RES_KERNEL_BYTES, 64))\n"
            "        return FAULT_QUOTA;\n    account_uncharge(space->account, RES_KERNEL_BYTES, 64);\n"
            "    return FAULT_RAISED;")],
          [counted("/test/rules page_needs_a_frame_only")], r"FAIL page_needs_a_frame_only"),
    Break("worker-faults", "INV-6", "the worker touches the page at its user address",
          [(PINITD, "    trace_about(PRIMER_EVENT_FILL_BEGIN, subject);",
            "    trace_about(PRIMER_EVENT_FILL_BEGIN, subject);\n"
            "    *(volatile uint8_t *)frame->init.page = 0;")],
          [counted("/test/rules clone_of_zeroed", DELAY)], r"page fault in the kernel"),
    Break("worker-keeps-interrupts-off", "INV-6", "the worker fills with interrupts off",
          [(PINIT, "    irq_enable();\n    return frame;", "    return frame;")],
          [counted("/test/rules clone_of_zeroed", DELAY)], r"panic.*irqs_on"),
    Break("copy-before-flush", "INV-7", "the page is copied while other CPUs still write to the source",
          [(PINITD, "    if (source) {\n        tlb_shootdown(space);\n"
            "        trace_about(PRIMER_EVENT_FLUSH, &subject);\n    }\n    fill(frame, &subject);\n",
            "    fill(frame, &subject);\n    if (source) {\n        tlb_shootdown(space);\n"
            "        trace_about(PRIMER_EVENT_FLUSH, &subject);\n    }\n")],
          [racing("/test/pages fork_under_writers", traced=True)],
          r"INV-7 is broken|FAIL fork_under_writers"),
    Break("no-flush", "INV-7", "other CPUs go on reading the source after the page was copied",
          [(PINITD, "        tlb_shootdown(space);\n        trace_about(PRIMER_EVENT_FLUSH",
            "        trace_about(PRIMER_EVENT_FLUSH")],
          [racing("/test/pages fork_under_writers")], r"FAIL fork_under_writers"),
    Break("source-dropped-early", "INV-7", "a relative takes the source for his own while it is to be copied",
          [(FAULT, "    result = commit(space, page, slot, frame, source);\n",
            "    result = commit(space, page, slot, frame, source);\n"
            "    atomic_fetch_sub(&source->refs, 1);\n"),
           (PINITD, "        freed += frame_put(source);", "        freed += source->refs == 0;")],
          [counted("/test/pages family", DELAY, traced=True)], r"INV-[37] is broken|FAIL family|panic"),
    Break("wakes-all-at-once", "INV-8", "the time with interrupts off grows with the number of waiters",
          [(PINITD, "#define WAKE_AT_ONCE 8 ", "#define WAKE_AT_ONCE 8000 ")],
          [counted("/test/rules short_wakes", DELAY)], r"interrupts were off for"),
    Break("clones-table-at-once", "INV-8", "a whole table is shared in one step",
          [(CLONE, "#define STEP_ENTRIES 16u", "#define STEP_ENTRIES 512u")],
          [counted("/test/rules short_clones")], r"interrupts were off for"),
    Break("unmaps-table-at-once", "INV-8", "a whole table is unmapped in one step",
          [(ZAP, "#define STEP_ENTRIES 32u", "#define STEP_ENTRIES 512u"),
           (ZAP, "#define BATCH_SHARED 64u", "#define BATCH_SHARED 1024u"),
           (ZAP, "    struct batch batch;\n", "    static struct batch batch;\n")],
          [counted("/test/rules short_unmaps")], r"interrupts were off for"),
    Break("worker-not-raised", "INV-9",
          "a thread sleeps on a worker that is less urgent than those who compute",
          [("kernel/sched_ready.c", "    if (worker->prio != prio)\n"
            "        sched_set_prio(worker, prio);\n",
            "    (void)prio;\n"),
           (PINIT, "    if (prio > q->worker->prio)\n        sched_set_prio(q->worker, prio);\n"
            "    spin_unlock",
            "    spin_unlock"),
           (PINIT, "        set_worker_prio(q, frame->prio);", "        set_worker_prio(q, 1);")],
          [counted("/test/rules urgent_fault")], r"because others of lower priority compute"),
    Break("join-does-not-raise", "INV-9",
          "an urgent thread that joins waits as long as the first one would have",
          [(PINIT, "    if (!options.pinit_inline && prio > q->worker->prio)",
            "    if (options.pinit_inline)")],
          [counted("/test/rules urgent_join", DELAY)], r"because others of lower priority compute"),
    Break("time-not-charged", "INV-9", "filling costs nobody anything",
          [(PINITD, "    self->charge = &space->cpu_ticks;", "    self->charge = NULL;")],
          [counted("/test/rules time_is_charged")], r"FAIL time_is_charged"),
    Break("no-recheck", "INV-10", "the page is published though it was unmapped meanwhile",
          [(PINITD, "    bool wanted = pte_is_io(pte) && pte_pfn(pte).value == frame_pfn(frame).value;",
            "    bool wanted = slot && (pte_is_io(pte) || pte_is_none(pte));")],
          [counted("/test/races remap_io", DELAY)], r"panic|FAIL remap_io"),
    Break("fork-shares-io-zero", "INV-11", "the clone maps a frame that is still being zeroed",
          [(CLONE, "        if (!source)\n            return (pte_t){0};\n",
            "        if (!source)\n            source = pfn_to_frame(pfn);\n")],
          [counted("/test/rules clone_of_zeroed", DELAY)], r"panic|FAIL clone_of_zeroed"),
    Break("fork-drops-io-copy", "INV-11", "the clone finds zeroes where its parent had data",
          [(CLONE, "        if (!source)\n            return (pte_t){0};\n",
            "        if (!source || pte_is_io(pte))\n            return (pte_t){0};\n")],
          [counted("/test/rules clone_of_copied", DELAY)], r"FAIL clone_of_copied"),
    Break("killed-stays-on-list", "INV-12", "a thread that has ended is still on the list of a page",
          [(FAULT, "    if (list_linked(&self->wait_node)) {\n        list_remove(&self->wait_node);\n"
            "        trace_page",
            "    if (self->space == NULL) {\n        list_remove(&self->wait_node);\n"
            "        trace_page")],
          [counted("/test/rules killed_leaves", DELAY)], r"panic|FAIL killed_leaves"),

    # --- translations, sharing ---
    Break("unmap-without-flush", "TLB", "unmapped pages can be reached by old translations",
          [(ZAP, "    tlb_shootdown(space);\n    while", "    while")],
          [counted("/test/rules unmapped_is_gone")], r"FAIL unmapped_is_gone"),
    Break("others-not-asked", "TLB", "only the CPU that unmaps forgets the translation",
          [("mm/tlb.c", "    uint64_t others = atomic_load(&space->cpus) & ~(1ull << cpu->id);",
            "    uint64_t others = 0;")],
          [racing("/test/rules unmapped_is_gone", smp=2)], r"another thread can reach"),
    Break("reuse-though-shared", "sharing",
          "a copy-on-write page is taken without a copy though a relative has it",
          [(FAULT, "memory_order_acquire) == 1) {", "memory_order_acquire) <= 2) {")],
          [counted("/test/pages family")], r"FAIL family"),
    Break("fork-leaves-writable", "sharing", "the parent goes on writing to what it shares with its clone",
          [(CLONE, "    if (pte.bits != cow.bits)\n        pte_set(slot, cow);\n", "")],
          [counted("/test/pages family")], r"FAIL family"),

    # --- accounts, leaks ---
    Break("quota-not-given-back", "accounts", "unmapped pages stay on the account",
          [(ZAP, "    account_uncharge(space->account, RES_FRAMES, freed);",
            "    account_uncharge(space->account, RES_FRAMES, freed / 2);")],
          [counted("/test/mapping split")], r"panic|FAIL split"),
    Break("source-leaked", "leaks", "the source of a copy keeps a reference for ever",
          [(PINITD, "        freed += frame_put(source);", "        (void)source;")],
          [counted("/test/pages family")], r"FAIL family: not given back"),
    Break("tables-leaked", "leaks", "the root of a task's page tables is never freed",
          [("mm/aspace.c", "    pt_destroy(&space->pt);\n", "")],
          [counted("/test/threads exit_status")], r"panic|FAIL exit_status"),
    Break("handles-leaked", "leaks", "what a task has handles to outlives it",
          [("kernel/task.c", "    handle_close_all(task);\n", "")],
          [counted("/test/threads waits")], r"FAIL waits: not given back|panic"),

    # --- threads, user memory ---
    Break("fpu-not-saved", "threads", "vector registers change while a thread is preempted",
          [("kernel/exit.c", "    if (self->space)\n        fpu_save(self->fpu);\n", "")],
          [racing("/test/threads sse", smp=1)], r"FAIL sse"),
    Break("tls-not-switched", "threads", "a thread runs with another one's thread pointer",
          [("kernel/exit.c", "    cpu_set_user_tls(next->tls);\n", "")],
          [counted("/test/threads tls")], r"FAIL tls"),
    Break("killed-returns-to-user", "threads", "a killed thread that is given the CPU runs on in user mode",
          [("kernel/exit.c", "atomic_load_explicit(&next->killed, memory_order_relaxed)",
            "next == self && atomic_load_explicit(&next->killed, memory_order_relaxed)")],
          [counted("/test/rules killed_is_gone")], r"FAIL killed_is_gone"),
    Break("woken-on-its-stack", "threads",
          "a thread runs on one CPU while another has not left its stack yet",
          [("kernel/sched_ready.c",
            "    if (thread->pinned || atomic_load_explicit(&thread->on_cpu, memory_order_acquire))",
            "    if (thread->pinned)"),
           ("kernel/wait.c", "    kernel_yield();\n    if (deadline_ns != TIME_NEVER)",
            "    for (unsigned i = 0; i < 2000; i++)\n        cpu_relax();\n    kernel_yield();\n"
            "    if (deadline_ns != TIME_NEVER)")],
          [racing("/test/sync volleys"), racing("/test/sync mutexes")], r"panic|FAIL|triple fault"),
    Break("reads-kernel-memory", "user memory",
          "neither a system call nor its copy looks at the address that the caller gives",
          [("arch/x86_64/user_copy.c", "    if (!user_range_ok(from, len))\n"
            "        return E_BAD_ADDRESS;\n    return user_copy(to, (const void *)from, len);",
            "    return user_copy(to, (const void *)from, len);"),
           ("kernel/syscall.c", "check_address(value == 0 || user_range_ok(call->arg[i - 1], value));",
            "0;")],
          [counted("/test/copies bad_buffers")], r"FAIL bad_buffers|panic"),
    Break("writes-read-only", "user memory", "a copy to another task ignores the page's protection",
          [("mm/remote.c", "(!write || pte_is_writable(pte))", "(!write || pte_is_present(pte))")],
          [counted("/test/copies other_task")], r"FAIL other_task"),
    Break("word-not-compared", "sleeping on a word", "a thread sleeps though the word has changed",
          [("kernel/address.c", "    if (*touch || now != value) {", "    if (*touch || now == ~value) {")],
          [counted("/test/sync answers")], r"FAIL answers"),
]
