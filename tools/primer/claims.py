"""
The claims table: what the page mechanism has to show, and which requests of a trace show it. Each row is a predicate on one
request of life.History; rows build on the first one, as the claims do, so a page that its own faulter fills shows none of them.
"""
import collections

from . import life

# show: the events of an example that are the evidence, by kind; missing: what is said if no request shows the row.
Row = collections.namedtuple("Row", "claims what shows show missing")


def in_order(request, *kinds):
    """Whether the request has all these events, in this order."""
    events = [request.at.get(kind) for kind in kinds]
    return None not in events and all(a.number < b.number for a, b in zip(events, events[1:]))


def by_second_thread(request):
    return (request.cause == life.USER and in_order(request, "ALLOC", "QUEUED", "TAKE", "FILL_BEGIN", "FILL_END", "PUBLISH")
            and request.at["QUEUED"].thread == request.at["FAULT"].thread != request.at["TAKE"].thread
            and request.at["FILL_BEGIN"].thread == request.at["FILL_END"].thread == request.at["TAKE"].thread)


def by_copying(request):
    return (request.source != 0 and in_order(request, "QUEUED", "FLUSH", "FILL_BEGIN")
            and request.at["QUEUED"].other == request.at["TAKE"].other == request.at["FILL_BEGIN"].other == request.source)


def by_copy_on_write_fault(request):
    both = life.ERROR_PRESENT | life.ERROR_WRITE
    return request.source != 0 and request.at["FAULT"].flags & both == both


def rows(history):
    def own_task(request):
        new = history.threads[request.thread].new
        return new is not None and new.task == request.at["FAULT"].task == request.at["IO"].task == request.at["PUBLISH"].task != 0

    def kernel_worker(request):
        new = history.threads[request.at["TAKE"].thread].new
        return new is not None and new.other == 1 and new.task == 0

    fill = ("FILL_BEGIN", "FILL_END")
    return [
        Row("1, 11, 21", "on a memory operation of a first thread a page is allocated, a request is generated for a "
            "second thread, and the second thread initializes the page by that request",
            lambda request: True, ("FAULT", "ALLOC", "QUEUED", "TAKE") + fill,
            "no page was initialized by another thread than the one that touched it"),
        Row("2, 12, 22", "the first thread sleeps before the page is initialized and is runnable once it is",
            lambda request: in_order(request, "SLEEP", "FILL_BEGIN", "FILL_END", "WAKE", "RESUME"),
            ("SLEEP",) + fill + ("WAKE", "RESUME"), "no thread slept until its page was initialized"),
        Row("3, 13, 23", "the page is initialized by zeroing", lambda request: request.source == 0,
            ("QUEUED",) + fill, "no page was zeroed by a second thread"),
        Row("4, 14, 24", "the page is initialized by copying a source page that the request identifies", by_copying,
            ("ALLOC", "QUEUED", "TAKE") + fill, "no page was copied by a second thread"),
        Row("5, 15, 25", "an interrupt comes before the allocation; the return from it comes after the request",
            lambda request: in_order(request, "FAULT", "ALLOC", "QUEUED", "IRET"), ("FAULT", "ALLOC", "QUEUED", "IRET"),
            "no interrupt returned after it had queued a request"),
        Row("6, 16, 26", "that interrupt is identified as a page fault",
            lambda request: in_order(request, "FAULT", "IRET"), ("FAULT", "IRET"),
            "no page fault returned after it had queued a request"),
        Row("7, 17, 27", "that interrupt is identified as a copy-on-write fault",
            lambda request: in_order(request, "FAULT", "IRET") and by_copy_on_write_fault(request), ("FAULT", "IO", "IRET"),
            "no copy-on-write fault returned after it had queued a request"),
        Row("8, 18, 28", "the page belongs to the application that the first thread is part of", own_task,
            ("FAULT", "IO", "PUBLISH"), "no page was initialized for its faulter's own task"),
        Row("9, 19, 29", "the second thread is a kernel worker thread", kernel_worker, ("TAKE",),
            "no request was taken by a kernel worker"),
        Row("10, 20, 30", "the page is marked as in the I/O state after it is allocated, and as normal after it is initialized",
            lambda request: in_order(request, "ALLOC", "IO", "FILL_BEGIN", "FILL_END", "PUBLISH"), ("ALLOC", "IO", "FILL_END", "PUBLISH"),
            "no page went from io to normal by a second thread's hand"),
    ]


def evidence(history):
    """[(row, the requests that show it)]"""
    base = [request for request in history.requests if by_second_thread(request)]
    return [(row, [request for request in base if row.shows(request)]) for row in rows(history)]


def example_events(history, row, request):
    """The events that show the row for this request; for the worker also where it comes from."""
    events = [request.at[kind] for kind in row.show]
    if row.show == ("TAKE",):
        events.insert(0, history.threads[request.at["TAKE"].thread].new)
    return sorted(events, key=lambda event: event.number)
