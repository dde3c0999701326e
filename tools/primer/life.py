"""
The life of pages, rebuilt from an event trace: History(trace) replays the events in order of time and keeps what they say
about threads, page table entries, frames and requests. What cannot be true if the rules of docs/invariants.md hold goes to
`broken`, with the rule and the events that show it.

A frame number is used again and again, so a request is found by the frame only between its ALLOC and its PUBLISH or DROP. A page
is a (task, page number); of a task that is being cloned the number is known only at its TASK_NEW.
"""
import collections

from . import text
from . import trace as traces

ERROR_PRESENT, ERROR_WRITE, ERROR_USER = 1, 2, 4        # the CPU's error code (SDM vol. 3, 4.7)

# Who made a request: a fault in user mode, one of the kernel's own while it copies, a copy to another space, or one beside a fault's own.
USER, KERNEL, BEHALF, AHEAD = "user fault", "kernel fault", "on behalf", "ahead"

# An event with its place in the order of time.
Numbered = collections.namedtuple("Numbered", traces.Event._fields + ("number",))
# rule: "INV-n", or the claim whose order is not kept; events: those that show it, in order of time.
Broken = collections.namedtuple("Broken", "rule text events")


class Request:
    """`at[KIND]` is the request's event of that kind; fault-side events are those of the thread that raised it."""

    def __init__(self, alloc, cause):
        self.task, self.page, self.frame, self.source = alloc.task, alloc.page, alloc.frame, alloc.other
        self.thread = alloc.thread          # who raised it
        self.cause = cause
        self.at = {"ALLOC": alloc}
        self.sleepers = []

    @property
    def worker(self):
        first = self.at.get("TAKE") or self.at.get("FLUSH") or self.at.get("FILL_BEGIN")
        return first.thread if first else None

    @property
    def finished(self):
        return "PUBLISH" in self.at or "DROP" in self.at

    def events(self):
        found = list(self.at.values())
        for sleeper in self.sleepers:
            found += [event for event in sleeper.at.values() if event not in found]
        return sorted(found, key=lambda event: event.number)


class Sleeper:
    """One thread's wait for one request."""

    def __init__(self, request, thread, sleep):
        self.request, self.thread = request, thread
        self.at = {"SLEEP": sleep}


class Thread:
    def __init__(self, number):
        self.number = number
        self.new = None                     # its THREAD_NEW
        self.kill = None
        self.fault = None                   # the page fault it is in
        self.raised = None                  # the request that this fault has made
        self.join = None                    # its JOIN, until it sleeps
        self.sleeper = None                 # until it is woken and back on a CPU
        self.took = False                   # has taken a request: a worker
        self.clone = []                     # (page, frame) shared with the task that it is making


class History:
    def __init__(self, trace):
        self.tsc_hz = trace.tsc_hz
        self.events = ordered(trace.events)
        self.requests = []
        self.counts = collections.Counter()
        self.broken = []
        self.threads = {}
        self._entries = {}                  # (task, page): its request while io, then its frame number
        self._names = collections.Counter()     # frame: how many present entries name it
        self._active = {}                   # frame: its request, until it is published or dropped
        self._sources = {}                  # frame: a request that is copying it (one of them, if there are more)
        self._known = set()                 # frames that were ever allocated for a page; others are the boot archive's
        for event in self.events:
            self.counts[event.kind] += 1
            handler = getattr(self, "_" + event.kind.lower(), None)
            if handler:
                handler(event)
        self._end()

    def time(self, event):
        """Microseconds since the first event."""
        return text.microseconds(event, self.events[0].time, self.tsc_hz)

    def line(self, event):
        return text.line(event, self.events[0].time, self.tsc_hz)

    # --- helpers ---

    def _thread(self, number):
        if number not in self.threads:
            self.threads[number] = Thread(number)
        return self.threads[number]

    def _break(self, rule, text, *events):
        known = {event.number: event for event in events if event}
        self.broken.append(Broken(rule, text, [known[number] for number in sorted(known)]))

    def _check(self, good, rule, text, *events):
        if not good:
            self._break(rule, text, *events)
        return good

    def _running(self, event, rule):
        """The request in hand for the event's frame; None, and a report, if there is none or it is another page's."""
        request = self._active.get(event.frame)
        if not request:
            self._break(rule, "%s of frame %#x, which has no request in hand" % (event.kind, event.frame), event)
            return None
        if (request.task, request.page) != (event.task, event.page) and event.kind not in ("JOIN", "SLEEP"):
            self._break(rule, "%s of another page than the request's" % event.kind, *request.events(), event)
        return request

    def _step(self, event, after, rule, by_worker=False):
        """Notes a step of a request, which comes once and after the step `after`; the request, or None."""
        request = self._running(event, rule)
        if not request:
            return None
        if event.kind in request.at:
            self._break("INV-2", "a request has a second %s" % event.kind, request.at[event.kind], event)
            return None
        self._check(after in request.at, rule, "%s before %s" % (event.kind, after), *request.events(), event)
        if by_worker and request.worker is not None:
            self._check(event.thread == request.worker, "INV-2", "%s by another thread than the request's" % event.kind,
                        *request.events(), event)
        if event.kind in ("IO", "QUEUED", "TAKE", "FLUSH", "FILL_BEGIN", "FILL_END"):
            self._check(event.other == request.source, "claim 4", "%s names another source than the request" % event.kind,
                        request.at["ALLOC"], event)
        request.at[event.kind] = event
        return request

    # --- the faulting thread ---

    def _fault(self, event):
        thread = self._thread(event.thread)
        self._check(not thread.took, "INV-6", "a worker has a page fault", event)
        if thread.sleeper and "RESUME" not in thread.sleeper.at:
            self._break("INV-4", "a thread that sleeps has a page fault", *thread.sleeper.at.values(), event)
        if thread.new:
            self._check(thread.new.task == event.task, "claim 8", "a thread faults in another task than its own", thread.new, event)
        thread.fault, thread.raised, thread.join = event, None, None

    def _cause(self, thread, event):
        fault = thread.fault
        if not fault or fault.task != event.task:
            return BEHALF
        if thread.raised:
            return AHEAD
        if fault.page != event.page:
            return BEHALF
        return USER if fault.flags & ERROR_USER else KERNEL

    def _alloc(self, event):
        thread = self._thread(event.thread)
        self._check(not thread.took, "INV-6", "a worker allocates a page", event)
        old = self._active.get(event.frame)
        if old:
            self._break("INV-3", "a frame is allocated while its last request is under way", *old.events(), event)
        self._check(self._names[event.frame] == 0, "INV-3", "a frame is allocated that a page table entry names", event)
        copy = self._sources.get(event.frame)
        if copy:
            self._break("INV-7", "a frame is allocated while it is being copied", *copy.events(), event)
        request = Request(event, self._cause(thread, event))
        if request.cause in (USER, KERNEL):
            request.at["FAULT"] = thread.fault
            thread.raised = request
        entry = self._entries.get((event.task, event.page))
        if isinstance(entry, Request):
            self._break("INV-2", "a page that is io gets a second frame", *entry.events(), event)
        elif request.source:
            self._check(entry == request.source, "claim 4", "the source is not the frame that the page had before", event)
        else:
            self._check(entry is None, "INV-1", "a page that has a frame gets another that is not copied from it", event)
        self._known.add(event.frame)
        self._active[event.frame] = request
        self.requests.append(request)

    def _io(self, event):
        request = self._step(event, "ALLOC", "claim 10")
        if request:
            if request.source:              # the entry's reference passes to the request
                self._names[request.source] -= 1
                self._sources[request.source] = request
            self._entries[request.task, request.page] = request

    def _queued(self, event):
        request = self._step(event, "IO", "claim 10")
        if request:
            self._check(event.thread == request.thread, "claim 1", "a request is queued by another thread than its maker",
                        request.at["ALLOC"], event)

    def _join(self, event):
        request = self._running(event, "INV-2")
        if request:
            self._check("IO" in request.at, "INV-2", "a thread joins a request whose page is not io yet", *request.events(), event)
            self._thread(event.thread).join = event

    def _sleep(self, event):
        thread = self._thread(event.thread)
        request = self._running(event, "INV-4")
        if not request:
            return
        if thread.sleeper:
            self._break("INV-4", "a thread sleeps on two pages", *thread.sleeper.at.values(), event)
        own = request.thread == event.thread
        joined = thread.join and thread.join.frame == event.frame
        self._check(own or joined, "INV-4", "a thread sleeps on a frame that it has not asked for", event)
        thread.sleeper = Sleeper(request, event.thread, event)
        if joined:
            thread.sleeper.at["JOIN"] = thread.join
        if thread.fault:
            thread.sleeper.at["FAULT"] = thread.fault
        thread.join = None
        request.sleepers.append(thread.sleeper)
        if own and not joined and "SLEEP" not in request.at:
            request.at["SLEEP"] = event

    def _iret(self, event):
        thread = self._thread(event.thread)
        if not thread.sleeper:
            self._break("claim 5", "a return from a page fault by a thread that sleeps on no page", event)
            return
        request = thread.sleeper.request
        thread.sleeper.at["IRET"] = event
        if request.at.get("FAULT") and request.thread == event.thread and request.at["FAULT"] == thread.fault:
            self._check("QUEUED" in request.at, "claim 5", "the return from the interrupt comes before the request is queued",
                        *request.events(), event)
            request.at["IRET"] = event

    def _reuse(self, event):
        entry = self._entries.get((event.task, event.page))
        self._check(entry == event.frame, "INV-7", "a page is reused that has another frame", event)
        self._check(self._names[event.frame] == 1, "INV-7", "a frame is reused that %d pages share" % self._names[event.frame], event)
        copy = self._sources.get(event.frame)
        if copy:
            self._break("INV-7", "a frame is reused while it is being copied", *copy.events(), event)
        self._thread(event.thread).fault = None

    # --- the worker ---

    def _take(self, event):
        request = self._step(event, "QUEUED", "INV-2")
        if not request:
            return
        worker = self._thread(event.thread)
        worker.took = True
        self._check(worker.new and worker.new.other == 1 and worker.new.task == 0, "claim 9", "a request is taken by a thread "
                    "that is not a kernel worker", worker.new, event)
        self._check(event.thread != request.thread, "claim 1", "a thread takes its own request", *request.events(), event)

    def _flush(self, event):
        request = self._step(event, "IO", "INV-7", by_worker=True)
        if request:
            self._check(request.source, "INV-7", "a flush for a page that is not copied", *request.events())

    def _fill_begin(self, event):
        request = self._step(event, "IO", "INV-2", by_worker=True)
        if not request:
            return
        if request.source:
            self._check("FLUSH" in request.at, "INV-7", "a copy begins before other CPUs have flushed", *request.events())
        if "TAKE" in request.at:
            killed = self._thread(request.thread).kill
            if request.cause in (USER, KERNEL) and not killed:
                self._check("SLEEP" in request.at, "claim 2", "a page is filled before its faulter sleeps", *request.events())
        else:       # pinit=inline
            self._check(event.thread == request.thread, "INV-2", "a page is filled without having been taken", *request.events())

    def _fill_end(self, event):
        self._step(event, "FILL_BEGIN", "INV-2", by_worker=True)

    def _finish(self, event):
        request = self._step(event, "FILL_END", "INV-1", by_worker=True)
        if not request:
            return None
        del self._active[event.frame]
        if self._sources.get(request.source) is request:
            del self._sources[request.source]
        return request

    def _publish(self, event):
        request = self._finish(event)
        if request:
            self._check(self._entries.get((request.task, request.page)) is request, "INV-10",
                        "a page is published whose entry is not io any more", *request.events())
            self._entries[request.task, request.page] = request.frame
            self._names[request.frame] = 1

    def _drop(self, event):
        request = self._finish(event)
        if request:
            self._check(self._entries.get((request.task, request.page)) is not request, "INV-10",
                        "a page is dropped whose entry still waits for it", *request.events())

    # --- sleeping and waking ---

    def _wake(self, event):
        thread = self._thread(event.thread)
        sleeper = thread.sleeper
        if not sleeper or "WAKE" in sleeper.at or sleeper.request.frame != event.frame:
            before = sleeper.at.values() if sleeper else []
            self._break("INV-4", "a thread is woken that does not sleep on the frame (any more)", *before, event)
            return
        request = sleeper.request
        self._check(request.finished, "INV-4", "a thread is woken before its page is published or dropped",
                    *request.events(), event)
        self._check(event.other == request.worker, "INV-4", "a thread is woken by another than its request's worker",
                    *request.events(), event)
        sleeper.at["WAKE"] = event
        if request.at.get("SLEEP") is sleeper.at["SLEEP"]:
            request.at["WAKE"] = event
        if "RESUME" in sleeper.at:
            thread.sleeper = None           # a kill was faster

    def _resume(self, event):
        thread = self._thread(event.thread)
        sleeper = thread.sleeper
        thread.fault = None
        if not sleeper:
            self._check(thread.kill, "INV-4", "a thread resumes from a page that it does not wait for", event)
            return
        sleeper.at["RESUME"] = event
        if sleeper.request.at.get("SLEEP") is sleeper.at["SLEEP"]:
            sleeper.request.at["RESUME"] = event
        if "WAKE" in sleeper.at:
            thread.sleeper = None
        else:
            self._check(thread.kill, "INV-4", "a thread resumes that nobody has woken", *sleeper.at.values())

    def _leave(self, event):
        thread = self._thread(event.thread)
        self._check(thread.kill, "INV-12", "a thread leaves its page that was not killed", event)
        if thread.sleeper:
            thread.sleeper.at["LEAVE"] = event
            thread.sleeper = None

    def _switch(self, event):
        sleeper = self._thread(event.thread).sleeper
        if sleeper and "WAKE" not in sleeper.at and not self._thread(event.thread).kill:
            self._break("INV-4", "a thread runs that sleeps on a page", *sleeper.at.values(), event)

    # --- tasks, threads and mappings ---

    def _thread_new(self, event):
        self._thread(event.thread).new = event

    def _kill(self, event):
        self._thread(event.thread).kill = event

    def _thread_end(self, event):
        sleeper = self._thread(event.thread).sleeper
        if sleeper:
            self._break("INV-12", "a thread ends that still waits for a page", *sleeper.at.values(), event)

    def _clone(self, event):
        entry = self._entries.get((event.task, event.page))
        if isinstance(entry, Request):
            self._check(entry.source == event.frame, "INV-11", "a clone gets a page that is being made", *entry.events(), event)
        elif event.frame in self._known or entry is not None:
            self._check(entry == event.frame, "INV-11", "a clone gets another frame than its source has", event)
        if event.frame in self._known:
            self._names[event.frame] += 1
            self._thread(event.thread).clone.append((event.page, event.frame))

    def _task_new(self, event):
        thread = self._thread(event.thread)
        for page, frame in thread.clone:
            self._entries[event.task, page] = frame
        thread.clone = []

    def _unmap(self, event):
        if event.task == 0:                 # a clone that was given up
            clone = self._thread(event.thread).clone
            if (event.page, event.frame) in clone:
                clone.remove((event.page, event.frame))
                self._names[event.frame] -= 1
            return
        entry = self._entries.pop((event.task, event.page), None)
        if isinstance(entry, Request):
            self._check(event.flags == 1 and entry.frame == event.frame, "INV-10", "the entry of a page that is io named another "
                        "frame", *entry.events(), event)
        elif entry is not None or event.frame in self._known:
            self._check(event.flags == 0 and entry == event.frame, "INV-1", "a page had another frame than was published for it",
                        event)
            self._names[event.frame] -= 1

    def _end(self):
        for request in self._active.values():
            self._break("INV-2", "a request is never completed", *request.events())
        for thread in self.threads.values():
            if thread.sleeper and not thread.kill:
                self._break("INV-4", "a thread is never woken", *thread.sleeper.at.values())


def ordered(events):
    """The events by time, as Numbered. CPUs' clocks are the same one, so only equal times leave a choice: then causes come first."""
    rank = {name: number for number, (name, _) in traces.kinds().items()}
    events = sorted((event for event in events if event.kind in rank), key=lambda event: (event.time, rank[event.kind]))
    return [Numbered(*event, number) for number, event in enumerate(events)]
