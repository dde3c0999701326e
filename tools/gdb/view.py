"""
How the kernel's objects are found and read from GDB: through symbols and debug information only, so that nothing here repeats a
structure's layout. Works on any CPU that is in long mode, in kernel or user code: the kernel's half of every space is the same,
and all memory is in its direct map.
"""
import gdb

KERNEL_BASE, DIRECT_BASE, FRAMES_BASE = 0xffffffff80000000, 0xffff800000000000, 0xffffc00000000000     # arch/mmu.h
PAGE_SHIFT = 12
MANY = 10000                        # nodes of a list or tree: more of them is a damaged one


def need_kernel():
    """The structures below exist from some point of kernel_main() on."""
    if gdb.selected_thread() is None:
        raise gdb.GdbError("no machine: `make gdb` starts one")
    try:
        if int(gdb.parse_and_eval("cpu_local_ready")):
            return
    except gdb.MemoryError:
        pass
    raise gdb.GdbError("the kernel is not that far yet: try `tbreak start_threads` and `continue`")


def static(file, name):
    return gdb.parse_and_eval("'%s'::%s" % (file, name))


def pointer_to(kind):
    return gdb.lookup_type(kind).pointer()


def offset_of(kind, *path):
    """In bytes, of a member or a member of a member."""
    kind, offset = gdb.lookup_type(kind), 0
    for name in path:
        field = kind.fields()[[member.name for member in kind.fields()].index(name)]
        offset, kind = offset + field.bitpos // 8, field.type.strip_typedefs()
    return offset


def container_of(address, kind, *path):
    return gdb.Value(int(address) - offset_of(kind, *path)).cast(pointer_to(kind))


def has_field(value, name):
    return name in [field.name for field in value.type.strip_typedefs().fields()]


def list_items(head, kind, *path):
    """The objects of an intrusive list (kernel/list.h) by the member that links them."""
    node, end = head["next"], int(head.address)
    for _ in range(MANY):
        if int(node) == end:
            return
        yield container_of(node, kind, *path)
        node = node["next"]
    raise gdb.GdbError("a list at %#x does not end" % end)


def tree_items(tree, kind, *path):
    """The same for an AVL tree (kernel/avl.h), in order."""
    stack, node = [], tree["root"]
    for _ in range(MANY):
        while int(node):
            stack.append(node)
            node = node["left"]
        if not stack:
            return
        node = stack.pop()
        yield container_of(node, kind, *path)
        node = node["right"]
    raise gdb.GdbError("a tree at %#x does not end" % int(tree.address))


def queue_items(queue, kind, *path):
    """(priority, object) of a struct prio_queue, the most urgent first."""
    levels = int(queue["nonempty"])
    for prio in range(63, -1, -1):
        if levels >> prio & 1:
            for item in list_items(queue["level"][prio], kind, *path):
                yield prio, item


def registered(kind, number):
    """All live objects of an object_type."""
    return tree_items(static("kernel/object.c", "registries")[number]["tree"], kind, "object", "by_id")


def tasks():
    return registered("struct task", 1)


def threads():
    return registered("struct thread", 2)


def task_by_id(number):
    for task in tasks():
        if int(task["object"]["id"]) == number:
            return task
    raise gdb.GdbError("no task %d; `primer tasks` lists them" % number)


def cpu_count():
    return max(1, int(gdb.parse_and_eval("trace_header.cpu_count")))


def cpus():
    return [gdb.parse_and_eval("&cpus[%d]" % number) for number in range(cpu_count())]


def this_cpu():
    """The struct cpu of the CPU that GDB looks at: one GDB thread is one CPU."""
    number = gdb.selected_thread().num - 1
    return gdb.parse_and_eval("&cpus[%d]" % number)


def current_thread():
    thread = this_cpu()["current"]
    return thread if int(thread) else None


def frame(pfn):
    return gdb.Value(FRAMES_BASE).cast(pointer_to("struct frame")) + pfn


def pfn_of(frame_pointer):
    return (int(frame_pointer) - FRAMES_BASE) // gdb.lookup_type("struct frame").sizeof


def frame_state(frame_pointer):
    return enum_name("enum frame_state", frame_pointer["state"])


def enum_name(kind, value):
    for field in gdb.lookup_type(kind).fields():
        if field.enumval == int(value):
            return field.name.split("_", 1)[1].lower()
    return str(int(value))


def read_physical(address, length):
    return bytes(gdb.selected_inferior().read_memory(DIRECT_BASE + address, length))


def symbol_at(address):
    """`function+offset`, or the bare address."""
    text = gdb.execute("info symbol %#x" % address, to_string=True).split(" in section")[0].strip()
    return "%#x" % address if text.startswith("No symbol") else text


def thread_line(thread):
    state = enum_name("enum thread_state", thread["state"])
    if state == "blocked":
        state = "blocked on %s" % enum_name("enum wait_reason", thread["wait"])
    task = "task %d" % int(thread["task_id"]) if int(thread["task_id"]) else "kernel"
    return "thread %-4d %-10s %-8s cpu %-2d priority %-2d  %s" % (
        int(thread["object"]["id"]), thread["name"].string(), task, int(thread["cpu"]), int(thread["prio"]), state)


def waits_for_page(thread):
    return (enum_name("enum thread_state", thread["state"]) == "blocked"
            and enum_name("enum wait_reason", thread["wait"]) == "page")


def request_text(frame_pointer):
    """The page-init request in a frame that is queued or being filled."""
    init = frame_pointer["init"]
    source = init["source"]
    waiters = [int(thread["object"]["id"]) for thread in list_items(init["waiters"], "struct thread", "wait_node")]
    return "page %#x of task %d, frame %#x, %s, %s; waiters: %s" % (
        int(init["page"]), int(init["space"]["task_id"]), pfn_of(frame_pointer),
        "copy of frame %#x" % pfn_of(source) if int(source) else "zero", frame_state(frame_pointer),
        ", ".join("thread %d" % number for number in waiters) or "none")
