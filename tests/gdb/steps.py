"""
Run inside GDB by tests/gdb/run: steps a machine from its first instruction through one page fault, and looks at it with Primer's
commands at every station. Each step needs the ones before, so the first that fails ends it.
"""
import re

import gdb

KERNEL_BASE = 0xffffffff80000000
WORD = 0xffffffffffffffff


class Failed(Exception):
    pass


def expect(condition, reason):
    if not condition:
        raise Failed(reason)


def run(command):
    text = gdb.execute(command, to_string=True)
    for line in ["(gdb) " + command] + text.splitlines():
        print("  | " + line)
    return text


def pc():
    return int(gdb.parse_and_eval("$pc")) & WORD


def symbol(name):
    return int(gdb.parse_and_eval("&" + name)) & WORD


def function_here():
    name = gdb.selected_frame().name()
    return name or "%#x" % pc()


def current_thread():
    return int(gdb.parse_and_eval("cpus[0].current->object.id"))


def current_name():
    return gdb.parse_and_eval("cpus[0].current->name").string()


def go_to(place):
    run("tbreak " + place)
    run("continue")


class Fault:
    """The page fault that is followed."""
    address = task = thread = rip = entry = 0

    @property
    def page(self):
        return self.address & ~0xfff

    def walk(self):
        """The leaf entry's line of `primer pt`."""
        return run("primer pt %#x %d" % (self.address, self.task)).strip().splitlines()[-1]


fault = Fault()


def reset():
    expect(pc() == 0xfff0, "the machine does not stand at its reset vector but at %#x" % pc())


def entry():
    run("continue")
    expect(pc() == symbol("pvh_start") - KERNEL_BASE, "stopped at %#x, not at the entry" % pc())
    expect("entry.asm" in run("info source").split("Located in")[0], "the entry has no source line")


def kernel_main():
    go_to("kernel_main")
    expect(pc() == symbol("kernel_main"), "stopped in %s" % function_here())
    try:
        run("primer threads")
    except gdb.error as error:
        expect("not that far" in str(error), str(error))
    else:
        raise Failed("primer threads shows threads before there are any")


def assembly():
    go_to("syscall_enter")
    expect(pc() == symbol("syscall_enter"), "stopped in %s" % function_here())


def user_program():
    run("primer user hello main")
    run("continue")
    expect(function_here() == "main", "stopped in %s" % function_here())
    expect("hello.c" in run("info source"), "stopped in another program")
    expect(run("info args").startswith("argc = "), "main has no arguments")
    expect(int(gdb.parse_and_eval("$task()")) > 1, "$task() does not know the task")
    run("delete")


def page_fault():
    """A fault of hello that needs a new page: some are for what is there already."""
    for _ in range(20):
        run("tbreak page_fault if $task() > 1")
        run("continue")
        fault.address = int(gdb.parse_and_eval("address"))
        fault.rip = int(gdb.parse_and_eval("frame->rip"))
        fault.task, fault.thread = int(gdb.parse_and_eval("$task()")), current_thread()
        if "none" in fault.walk():
            return
    raise Failed("no fault was for a page without a frame")


def handler_returns():
    """At the kernel's exit: the entry is io, the request is made, the faulter is blocked."""
    go_to("kernel_exit")
    leaf = fault.walk()
    expect(" io: frame" in leaf, "the page's entry is not io: %s" % leaf)
    fault.entry = int(re.search(r"at (0x[0-9a-f]+) =", leaf)[1], 16)
    queues = run("primer initq")
    expect("page %#x of task %d" % (fault.page, fault.task) in queues, "the request is on no queue")
    expect("waiters: thread %d" % fault.thread in queues, "the faulter does not wait for the request")
    line = next(line for line in run("primer threads").splitlines() if line.startswith("thread %d " % fault.thread))
    expect("blocked on page (page %#x" % fault.page in line, "the faulter is not blocked: %s" % line)
    frame = re.search(r"frame (0x[0-9a-f]+)", leaf)[1]
    expect("request: page %#x" % fault.page in run("primer frame " + frame), "the frame does not know its request")


def fill():
    go_to("filler_zero")
    expect(current_name().startswith("pinitd"), "%s fills the page" % current_name())
    expect(" io: frame" in fault.walk(), "the page's entry is not io while it is filled")
    expect("no CPU holds a lock" in run("primer locks"), "the worker holds a lock while it fills")


def publish():
    run("watch -l *(unsigned long *)(0xffff800000000000 + %#x)" % fault.entry)
    run("continue")
    expect(current_name().startswith("pinitd"), "%s changed the entry" % current_name())
    leaf = fault.walk()
    expect(" present: frame" in leaf and "(ready)" in leaf, "the page is not present: %s" % leaf)
    expect("'space'" in run("primer locks"), "the entry was changed without its space's lock")
    run("delete")


def faulter_goes_on():
    go_to("*%#x if $task() == %d" % (fault.rip, fault.task))
    expect(current_thread() == fault.thread, "thread %d runs there, not %d" % (current_thread(), fault.thread))
    expect("user" in run("primer runq"), "primer runq does not show it")
    run("stepi")
    expect(pc() != fault.rip and pc() < 1 << 47, "the instruction was not completed; now at %#x" % pc())


def views():
    """Every other command says something, and errors are sentences."""
    for command, text in (("primer", "primer pt ADDRESS [TASK]"), ("primer tasks", "page tables at"), ("primer spaces", "task "),
                          ("primer vmas %d" % fault.task, "r-x  anonymous"), ("primer runq", "CPU 0 runs"),
                          ("primer pt 0xffffffff80100000", "PML4[511]"), ("primer trace 12", "RESUME")):
        expect(text in run(command), "%s does not show %r" % (command, text))
    for command, text in (("primer vmas 99", "no task 99"), ("primer pt", "usage"), ("primer frame 0xfffffff", "not RAM"),
                          ("primer user nonesuch", "does not exist")):
        try:
            run(command)
        except gdb.error as error:
            expect(text in str(error), "%s says %s" % (command, error))
        else:
            raise Failed("%s is no error" % command)


def main():
    for step in (reset, entry, kernel_main, assembly, user_program, page_fault, handler_returns, fill, publish, faulter_goes_on, views):
        try:
            step()
        except (Failed, gdb.error, StopIteration, TypeError) as error:
            print("FAIL %s: %s" % (step.__name__, " ".join(str(error).split()) or type(error).__name__))
            return
        print("ok %s" % step.__name__)


main()
gdb.execute("kill")
