"""
Primer's commands for GDB; `primer` alone lists them. tools/gdb/start loads this file; in a GDB of one's own: `source tools/gdb/primer.py`
after `file build/kernel.elf`. One GDB thread is one CPU: `info threads` lists CPUs, `primer threads` the kernel's threads.
"""
import os
import sys

import gdb

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.dirname(HERE), HERE]       # in this order: `primer` is the package, not this file

import view
import walk
from primer import elf, text, trace


class PrimerCommand(gdb.Command):
    """The commands that know Primer's objects:"""

    def __init__(self):
        super().__init__("primer", gdb.COMMAND_DATA, prefix=True)

    def invoke(self, argument, from_tty):
        print("\n".join("%-30s %s" % (command.usage, command.__doc__.splitlines()[0]) for command in COMMANDS))


class Command(gdb.Command):
    """One of `primer ...`: `usage` for those who ask, run() for the work."""
    kernel = True                   # needs the kernel's structures

    def __init__(self):
        super().__init__(" ".join(self.usage.split()[:2]), gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        words = gdb.string_to_argv(argument)
        wanted = self.usage.split()[2:]
        if not len([word for word in wanted if word[0] != "["]) <= len(words) <= len(wanted):
            raise gdb.GdbError("usage: " + self.usage)
        if self.kernel:
            view.need_kernel()
        self.run(*words)


class Threads(Command):
    """All threads: state, what they wait for, where they are."""
    usage = "primer threads"

    def run(self):
        for thread in view.threads():
            detail = ""
            if view.waits_for_page(thread):
                frame = thread["wait_object"].cast(view.pointer_to("struct frame"))
                page = int(frame["init"]["page"]) if view.frame_state(frame) in ("queued", "filling") else 0
                detail = " (page %#x, frame %#x)" % (page, view.pfn_of(frame))
            running = view.enum_name("enum thread_state", thread["state"]) == "running"
            where = "" if running or not int(thread["frame"]) else "  at " + view.symbol_at(int(thread["frame"]["rip"]))
            print(view.thread_line(thread) + detail + where)


class Tasks(Command):
    """All tasks: threads, frames, ranges, root of the page tables."""
    usage = "primer tasks"

    def run(self):
        for task in view.tasks():
            space = task["space"]
            cpus = [str(number) for number in range(64) if int(space["cpus"]) >> number & 1]
            print("task %-4d %d threads, %d handles, %d frames, %d ranges, page tables at %#x, loaded on CPUs: %s%s" % (
                int(task["object"]["id"]), int(task["thread_count"]), int(task["handles"]["count"]), int(space["frames"]),
                int(space["vmas"]["count"]), int(space["pt"]["root"]), " ".join(cpus) or "none",
                ", ending" if int(task["dying"]) else ""))


class Spaces(Tasks):
    """The same: each task has one address space."""
    usage = "primer spaces"


class PageTable(Command):
    """The page table entries of an address, level by level: of a task, or of what the CPU has loaded."""
    usage = "primer pt ADDRESS [TASK]"

    def run(self, address, task=None):
        task = view.task_by_id(int(gdb.parse_and_eval(task))) if task else None
        walk.show(int(gdb.parse_and_eval(address)) & 0xffffffffffffffff, task)


class Frame(Command):
    """A frame's descriptor: what it is used for, and its request if it has one."""
    usage = "primer frame PFN"

    def run(self, pfn):
        frame = view.frame(int(gdb.parse_and_eval(pfn)))
        try:
            state = view.frame_state(frame)
        except gdb.MemoryError:
            raise gdb.GdbError("frame %s is not RAM" % pfn) from None
        print("frame %#x at %#x: %s, order %d, named %d times" % (view.pfn_of(frame), view.pfn_of(frame) << view.PAGE_SHIFT, state,
                                                                int(frame["order"]), int(frame["refs"])))
        if state in ("queued", "filling"):
            print("  request: %s; priority %d, queue of CPU %d" % (view.request_text(frame), int(frame["prio"]), int(frame["cpu"])))
        elif state == "table":
            print("  page table with %d entries" % int(frame["table"]["used"]))


class InitQueues(Command):
    """The page-init queues of all CPUs: requests that wait, requests in hand, workers."""
    usage = "primer initq"

    def run(self):
        in_hand = {}
        for thread in view.threads():
            if view.waits_for_page(thread):
                frame = thread["wait_object"].cast(view.pointer_to("struct frame"))
                if view.frame_state(frame) == "filling":
                    in_hand[int(frame)] = frame
        queues = view.static("mm/pinit.c", "queues")
        for number in range(view.cpu_count()):
            queue = queues[number]
            if not int(queue["worker"]):
                continue
            if view.has_field(queue, "handed") and int(queue["handed"]):
                in_hand[int(queue["handed"])] = queue["handed"]
            waiting = list(view.queue_items(queue["requests"], "struct frame", "link"))
            print("CPU %d: %d waiting; worker %s" % (number, len(waiting), view.thread_line(queue["worker"])))
            for prio, frame in waiting:
                print("  waiting, priority %d: %s" % (prio, view.request_text(frame)))
            for frame in in_hand.values():
                if int(frame["cpu"]) == number:
                    print("  in hand: %s" % view.request_text(frame))


class Ranges(Command):
    """The ranges of a task's address space; without a number, of the current thread's."""
    usage = "primer vmas [TASK]"

    def run(self, task=None):
        if task:
            space = view.task_by_id(int(gdb.parse_and_eval(task)))["space"]
        else:
            thread = view.current_thread()
            if thread is None or not int(thread["space"]):
                raise gdb.GdbError("a kernel thread runs here: say of which task")
            space = thread["space"]
        for vma in view.tree_items(space["vmas"]["tree"], "struct vma", "node"):
            prot = int(vma["prot"])
            print("%#014x - %#014x  %s  %s%s" % (
                int(vma["start"]), int(vma["end"]), "".join(letter if prot & bit else "-" for bit, letter in ((1, "r"), (2, "w"), (4, "x"))),
                view.enum_name("enum vma_kind", vma["kind"]), ", being unmapped" if int(vma["dying"]) else ""))


class RunQueues(Command):
    """Who runs and who is ready, CPU by CPU, the most urgent first."""
    usage = "primer runq"

    def run(self):
        runqs = view.static("kernel/sched.c", "runqs")
        for number, cpu in enumerate(view.cpus()):
            if not int(cpu["current"]):
                continue
            print("CPU %d runs  %s" % (number, view.thread_line(cpu["current"])))
            for _, thread in view.queue_items(runqs[number]["ready"], "struct thread", "run_node"):
                print("      ready %s" % view.thread_line(thread))


class Locks(Command):
    """The spinlocks that CPUs hold or wait for, in the order of taking."""
    usage = "primer locks"

    def run(self):
        listed = [(number, int(cpu["nheld"]) - 1 - depth, cpu["held"][depth])
                  for number, cpu in enumerate(view.cpus()) for depth in range(int(cpu["nheld"]))]
        for number, inner, lock in listed:
            alone = [int(other) for _, _, other in listed].count(int(lock)) == 1
            what = "is about to take" if not lock["taken"] else "holds" if alone or inner else "holds or waits for"
            print("CPU %d %s '%s' at %#x, rank %d" % (number, what, lock["name"].string(), int(lock), int(lock["rank"])))
        if not listed:
            print("no CPU holds a lock")


class Trace(Command):
    """The latest events of the trace, of all CPUs (20 if no number is given)."""
    usage = "primer trace [COUNT]"

    def run(self, count="20"):
        count, kept = int(gdb.parse_and_eval(count)), int(gdb.parse_and_eval("trace_header.ring_events"))
        events = []
        for cpu in view.cpus():
            head = int(cpu["trace_head"]) // trace.EVENT_SIZE
            for slot in range(max(0, head - min(count, kept)), head):
                event = int(cpu["trace_ring"]) + slot % kept * trace.EVENT_SIZE
                events += trace.decode(bytes(gdb.selected_inferior().read_memory(event, trace.EVENT_SIZE)))
        events = sorted(events, key=lambda event: event.time)[-count:] if count > 0 else []
        for event in events:
            print(text.line(event, events[0].time, int(gdb.parse_and_eval("tsc_hz"))))


class UserBreakpoint(gdb.Breakpoint):
    """At an address of one program: others have other code there, and are not stopped."""

    def __init__(self, address, code):
        super().__init__("*%#x" % address)
        self.address, self.code = address, code

    def stop(self):
        try:
            return bytes(gdb.selected_inferior().read_memory(self.address, len(self.code))) == self.code
        except gdb.MemoryError:
            return False


class User(Command):
    """Loads a program's symbols; with a function, also breaks there, in this program only."""
    usage = "primer user PROGRAM [FUNCTION]"
    kernel = False

    def run(self, program, function=None):
        build = os.path.dirname(gdb.objfiles()[0].filename)
        path = os.path.join(build, "user", "symbols", program.strip("/") if "/" in program else "bin/" + program)
        if not os.path.exists(path):
            raise gdb.GdbError("%s does not exist; programs are named like `hello` or `test/fork`" % path)
        if path not in [objfile.filename for objfile in gdb.objfiles()]:
            gdb.execute("add-symbol-file %s" % path, to_string=True)
            print("symbols of %s are loaded" % path)
        if not function:
            return
        try:
            image = elf.Elf(path)
            address = image.symbol(function)
            UserBreakpoint(address, image.bytes_at(address, 16))
        except elf.ElfError as error:
            raise gdb.GdbError(str(error)) from None


class CurrentTask(gdb.Function):
    """$task(): the number of the task that runs on this CPU, 0 for the kernel's own threads. For conditions: break page_fault if $task() == 3"""

    def __init__(self):
        super().__init__("task")

    def invoke(self):
        thread = view.current_thread()
        return int(thread["task_id"]) if thread is not None else 0


PrimerCommand()
CurrentTask()
COMMANDS = [kind() for kind in (Threads, Tasks, Spaces, PageTable, Frame, InitQueues, Ranges, RunQueues, Locks, Trace, User)]
