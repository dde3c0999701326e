"""Events as lines of text, for those who print them."""

ERROR_BITS = ((1, "present"), (2, "write"), (4, "user"), (16, "fetch"))     # SDM vol. 3, 4.7


def microseconds(event, begin, tsc_hz):
    return (event.time - begin) * 1e6 / (tsc_hz or 1)


def _source(event):
    return "copy of %#x" % event.other if event.other else "zero"


def _fault(event):
    names = [name for bit, name in ERROR_BITS if event.flags & bit]
    return "error code %#x%s, rip ...%08x" % (event.flags, " (%s)" % " ".join(names) if names else "", event.other)


DETAILS = {
    "FAULT": _fault, "ALLOC": _source, "IO": _source, "TAKE": _source, "FILL_BEGIN": _source, "FILL_END": _source,
    "FLUSH": _source, "PUBLISH": _source, "DROP": _source,
    "QUEUED": lambda event: "%s, priority %d" % (_source(event), event.flags),
    "IRET": lambda event: "to thread %d" % event.other,
    "WAKE": lambda event: "by thread %d" % event.other,
    "KILL": lambda event: "by thread %d" % event.other,
    "SWITCH": lambda event: "from thread %d, priority %d" % (event.other, event.flags),
    "INTERRUPT": lambda event: "vector %#x" % event.flags,
    "UNMAP": lambda event: "was io" if event.flags else "was normal",
    "THREAD_NEW": lambda event: "kernel worker" if event.other else "priority %d" % event.flags,
    "TASK_NEW": lambda event: "clone of task %d" % event.other if event.other else "empty",
    "SHOOTDOWN": lambda event: "%d CPUs" % event.other,
    "IRQOFF": lambda event: "%d ticks" % event.other,
}


def who(event):
    """Of what happens to a page the task is the one whose page it is; else it is the thread's own."""
    thread = "thread %d" % event.thread if event.thread else ""
    return ("%-10s  %s" % (thread, "task %d" % event.task if event.task else "")).rstrip()


def where(event):
    page = "page %#x" % event.page if event.page else ""
    frame = "frame %#x" % event.frame if event.frame else ""
    return " ".join(word for word in (page, frame) if word)


def line(event, begin, tsc_hz):
    """`begin`: what counts as time 0."""
    detail = DETAILS.get(event.kind, lambda event: "")(event)
    return ("%12.3f us  cpu %-2d %-10s  %-19s  %-27s  %s" % (microseconds(event, begin, tsc_hz), event.cpu, event.kind, who(event),
                                                         where(event), detail)).rstrip()
