"""
A history as a Chrome trace (the "Trace Event Format", JSON object form), which Perfetto and chrome://tracing read.

Process "CPUs" has one track per CPU: who runs there, inside that the fills, and single events as instants. Process "page requests" has
an asynchronous slice per request, from the allocation to the end, with the sleep of each thread that waited inside; an arrow
goes from the QUEUED in the faulter's slice to the TAKE in the worker's.
"""
from . import text

CPUS, REQUESTS = 1, 2
INSTANTS = ("FAULT", "ALLOC", "IO", "QUEUED", "JOIN", "SLEEP", "IRET", "TAKE", "FLUSH", "PUBLISH", "DROP", "WAKE", "RESUME", "REUSE",
            "LEAVE", "INTERRUPT", "SHOOTDOWN", "KILL", "THREAD_NEW", "THREAD_END", "TASK_NEW")


class _Converter:
    def __init__(self, history):
        self.history = history
        self.out = []

    def time(self, event):
        return round(self.history.time(event), 4)

    def add(self, phase, name, process, track, time, **more):
        self.out.append({"ph": phase, "name": name, "pid": process, "tid": track, "ts": time, **more})

    def arguments(self, event):
        found = {"thread": event.thread, "task": event.task, "detail": text.DETAILS.get(event.kind, lambda _: "")(event)}
        if event.page:
            found["page"] = "%#x" % event.page
        if event.frame:
            found["frame"] = "%#x" % event.frame
        return found

    def name_tracks(self):
        for process, name in ((CPUS, "CPUs"), (REQUESTS, "page requests")):
            self.add("M", "process_name", process, 0, 0, args={"name": name})
        for cpu in sorted({event.cpu for event in self.history.events}):
            self.add("M", "thread_name", CPUS, cpu, 0, args={"name": "CPU %d" % cpu})

    def thread_name(self, number, prio):
        if prio == 0:
            return "idle"
        new = self.history.threads[number].new if number in self.history.threads else None
        if new is None:
            return "thread %d" % number
        return "kernel worker %d" % number if new.other else "thread %d of task %d" % (number, new.task)

    def runs(self):
        """A slice from each SWITCH to the CPU's next one."""
        running = {}
        for event in self.history.events:
            if event.kind == "SWITCH":
                self.end_run(running.get(event.cpu), event)
                running[event.cpu] = event
        for event in running.values():
            self.end_run(event, self.history.events[-1])

    def end_run(self, begin, end):
        if begin:
            start = self.time(begin)
            self.add("X", self.thread_name(begin.thread, begin.flags), CPUS, begin.cpu, start, dur=self.time(end) - start, cat="run",
                     args={"priority": begin.flags})

    def instants(self):
        for event in self.history.events:
            if event.kind in INSTANTS:
                self.add("i", event.kind, CPUS, event.cpu, self.time(event), s="t", cat="event", args=self.arguments(event))

    def request(self, number, request):
        what = "copy" if request.source else "zero"
        name = "%s page %#x of task %d" % (what, request.page, request.task)
        events = request.events()
        self.add("b", name, REQUESTS, 0, self.time(request.at["ALLOC"]), cat="request", id=number,
                 args=self.arguments(request.at["ALLOC"]))
        for sleeper in request.sleepers:
            end = sleeper.at.get("WAKE") or sleeper.at.get("LEAVE")
            if end:
                asleep = "thread %d sleeps" % sleeper.thread
                self.add("b", asleep, REQUESTS, 0, self.time(sleeper.at["SLEEP"]), cat="request", id=number)
                self.add("e", asleep, REQUESTS, 0, self.time(end), cat="request", id=number)
        self.add("e", name, REQUESTS, 0, self.time(events[-1]), cat="request", id=number)
        begin, end = request.at.get("FILL_BEGIN"), request.at.get("FILL_END")
        if begin and end:
            start = self.time(begin)
            self.add("X", name, CPUS, begin.cpu, start, dur=self.time(end) - start, cat="fill", args=self.arguments(begin))
        if "QUEUED" in request.at and "TAKE" in request.at:
            for phase, kind in (("s", "QUEUED"), ("f", "TAKE")):
                event = request.at[kind]
                self.add(phase, "request", CPUS, event.cpu, self.time(event), cat="handoff", id=number, bp="e")


def convert(history):
    converter = _Converter(history)
    converter.name_tracks()
    converter.runs()
    converter.instants()
    for number, request in enumerate(history.requests, 1):
        converter.request(number, request)
    return {"displayTimeUnit": "ns", "traceEvents": converter.out}
