"""gdb commands for the kernel of Argonaut: `ps` and `regions PID`.

Loaded by `gdb -x tools/gdb/argonaut.py`: reads the symbols of the checked kernel, which has the types that the commands need, and
attaches to a machine that waits (`./run-smp.sh --profile checked --gdb PROGRAM`). The commands only read memory, so they work
wherever the CPUs have been stopped, with whatever locked.
"""

import os

import gdb

KERNEL = os.path.join(
    os.path.dirname(os.path.abspath(__file__)),
    "../../target/argonaut/kernel/x86_64-unknown-none/checked/argonaut",
)

# Bits of `mm::space::Protection`, with the letters of the kernel shell's `regions`.
RIGHTS = ((1, "w"), (2, "x"), (4, "k"))


# The states of `proc::parking`. Who is awake runs, or waits in a run queue.
STATES = ("awake", "parking", "unparked", "parked")

WRAPPERS = (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION)


def fields(value):
    """The names of a value's fields that have a size."""
    return [field.name for field in value.type.fields() if field.type.sizeof > 0]


def inside(value, name=None):
    """Goes into wrappers (an atomic, a lock's cell) until there is a field `name`, or nothing to go into.

    A lock has a state beside its value, and is a wrapper too.
    """
    while value.type.code in WRAPPERS and name not in (names := fields(value)):
        if len(names) == 1:
            value = value[names[0]]
        elif "value" in names or "data" in names:
            value = value["value" if "value" in names else "data"]
        elif name is None:
            return value
        else:
            raise gdb.GdbError(f"no {name} in {value.type}")
    return value


def member(value, *path):
    """A field within fields, whatever wraps them."""
    for name in path:
        value = inside(value, name)[name]
    return value


def number(value):
    return int(inside(value))


def variant(value):
    """The name and the contents of the variant that an enum has; no contents if it has none."""
    text = str(value.type.name)
    for field in value.type.fields():
        if not field.artificial:
            return field.name.rsplit("::", 1)[-1], value[field]
    return text, None


def of_arc(arc):
    """What an Arc points to."""
    return member(arc, "ptr", "pointer").dereference()["data"]


def elements(value, kind):
    """The elements of a boxed slice or, with its `kind` of elements, of a vector."""
    if kind is None:
        pointer, length = member(value, "data_ptr"), int(member(value, "length"))
    else:
        pointer, length = member(value, "buf", "inner", "ptr", "pointer", "pointer"), int(value["len"])
        pointer = pointer.cast(gdb.lookup_type(kind).pointer())
    return ((pointer + index).dereference() for index in range(length))


def entries():
    """The entries of the process table that are in use: the id, what it is, and the thread or process."""
    table = gdb.parse_and_eval("proc::table::TABLE")
    if number(table["status"]) == 0:
        raise gdb.GdbError("there is no process table yet")
    used = number(member(table, "used"))
    for index, slot in enumerate(elements(member(table, "slots"), None)):
        if used == 0:
            return
        kind, contents = variant(inside(slot["value"]))
        if kind != "Free":
            used -= 1
            yield index, kind, contents and of_arc(inside(contents, "ptr"))


def name_of(process):
    name = process["name"]
    return bytes(int(name["bytes"][index]) for index in range(int(name["len"]))).decode()


def process_of(kind, entry):
    """The process of an entry of the table, if it has one."""
    if kind == "Process":
        return entry
    some, process = variant(entry["process"])
    return of_arc(inside(process, "ptr")) if some == "Some" else None


class Ps(gdb.Command):
    """ps: lists the process table. Each thread has a line: its id, its process and that one's parent, the CPU
    that runs it or ran it last, and whether it is parked."""

    def __init__(self):
        super().__init__("ps", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        print("    ID    PID  PPID CPU STATE    NAME")
        for index, kind, entry in entries():
            if entry is None:
                print(f"{index:6} {kind.lower()}")
                continue
            process = process_of(kind, entry)
            pid, parent, name = "-", "-", ""
            if process is not None:
                pid, parent, name = int(process["id"]), number(process["parent_id"]), name_of(process)
            cpu, state = "-", "ended"
            if kind == "Thread":
                cpu, state = number(entry["cpu"]), STATES[number(entry["parking"])]
            print(f"{int(entry['id']):6} {pid:>6} {parent:>5} {cpu:>3} {state:8} {name}")


class Regions(gdb.Command):
    """regions PID: lists the regions of a process's address space."""

    def __init__(self):
        super().__init__("regions", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        if not argument.isdigit():
            raise gdb.GdbError("usage: regions PID")
        for _, kind, entry in entries():
            process = entry and process_of(kind, entry)
            if process is not None and int(process["id"]) == int(argument):
                self.show(process)
                return
        raise gdb.GdbError(f"no process {argument}")

    def show(self, process):
        kind, space = variant(process["space"])
        if kind == "Base":
            print("the map made at boot: memory one to one, nothing in the user's half")
            return
        memory = member(of_arc(inside(space, "ptr")), "memory", "regions")
        for region in elements(inside(memory, "regions")["regions"], "mm::space::region::Region"):
            start, end = (number(region["range"][name]) for name in ("start", "end"))
            bits = number(region["protection"])
            rights = "r" + "".join(letter if bits & bit else "-" for bit, letter in RIGHTS)
            backing, _ = variant(region["backing"])
            print(f"[{start:#x}, {end:#x}) {rights} {backing.lower()}")


gdb.execute("set language rust")
gdb.execute(f"file {os.path.normpath(KERNEL)}")
Ps()
Regions()
