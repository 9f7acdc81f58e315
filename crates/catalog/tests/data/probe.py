#!/usr/bin/env python3
"""Asks the running kernel for the facts that the files beside this one record.

    probe.py DIRECTORY      (root on Linux with bpf(2); writes the five .txt files there)

It loads programs, creates maps and BTF, runs tests and lowers the capabilities of its own
children; it attaches nothing. Valid arguments for helpers are made from the rows in
../../src/helper_rows.rs; what the kernel then answers is recorded, not what the rows say.
"""
import collections
import ctypes
import itertools
import json
import os
import re
import struct
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
SYS_BPF, SYS_CAPSET = 321, 126
MAP_CREATE, PROG_LOAD, PROG_TEST_RUN, BTF_LOAD = 0, 5, 10, 18
LOG = ctypes.create_string_buffer(1 << 20)
HERE = os.path.dirname(os.path.abspath(__file__))
ATTACH_TYPES = 58
SLEEPABLE = 1 << 4

# ---------------------------------------------------------------------------------- the kernel


def bpf(command, attr):
    buffer = ctypes.create_string_buffer(bytes(attr), len(attr))
    result = LIBC.syscall(SYS_BPF, command, buffer, len(attr))
    return result if result >= 0 else -ctypes.get_errno()


def insn(code, dst=0, src=0, off=0, imm=0):
    return struct.pack("<BBhi", code, dst | src << 4, off, imm)


def load(code, kind, level=1, licence=b"GPL"):
    """Loads a program of a kind (type, attach type, flags, BTF id): whether, and the log."""
    prog_type, attach, flags, btf_id = kind
    text = ctypes.create_string_buffer(code, len(code))
    name = ctypes.create_string_buffer(licence)
    LOG[0] = b"\0"
    attr = bytearray(152)
    struct.pack_into(
        "<IIQQIIQII", attr, 0, prog_type, len(code) // 8, ctypes.addressof(text),
        ctypes.addressof(name), level, len(LOG), ctypes.addressof(LOG), 0, flags)
    struct.pack_into("<I", attr, 68, attach)
    struct.pack_into("<I", attr, 108, btf_id)
    fd = bpf(PROG_LOAD, attr)
    if fd >= 0:
        os.close(fd)
    log = LOG.value.decode(errors="replace")
    # A program that is right up to its result shows all that is asked here.
    return fd >= 0 or "At program exit" in log, log, fd


def last_line(log):
    lines = [line for line in log.split("\n") if line and not line.startswith("processed")]
    return lines[-1] if lines else ""


def new_map(map_type, key, value, entries, flags=0, inner=0, btf=(0, 0, 0)):
    attr = bytearray(80)
    struct.pack_into("<IIIIII", attr, 0, map_type, key, value, entries, flags, inner)
    struct.pack_into("<III", attr, 48, *btf)
    return bpf(MAP_CREATE, attr)


def int_btf():
    """BTF with one type, a four-byte number."""
    types = struct.pack("<IIII", 1, 1 << 24, 4, 32)
    strings = b"\0int\0"
    raw = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings))
    blob = ctypes.create_string_buffer(raw + types + strings)
    attr = bytearray(32)
    struct.pack_into("<QQI", attr, 0, ctypes.addressof(blob), 0, len(raw + types + strings))
    return bpf(BTF_LOAD, attr)


def with_capabilities(names, function):
    """The answer of a function in a child that has only these capabilities."""
    numbers = {"bpf": 39, "perfmon": 38, "net_admin": 12}
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        bits = sum(1 << numbers[name] for name in names)
        header = struct.pack("<II", 0x20080522, 0)
        low, high = bits & 0xFFFFFFFF, bits >> 32
        data = struct.pack("<IIIIII", low, low, 0, high, high, 0)
        assert LIBC.syscall(SYS_CAPSET, ctypes.create_string_buffer(header),
                            ctypes.create_string_buffer(data)) == 0
        with os.fdopen(write, "w") as out:
            json.dump(function(), out)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return json.loads(text)


def ranges(numbers, separator):
    runs = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return separator.join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs)


# ------------------------------------------------------------------------------- program kinds

EXIT = insn(0xB7) + insn(0x95)


def btf_ids():
    """Targets for kinds that need one: a raw tracepoint, an iterator, a structure."""
    wanted = {("TYPEDEF", "btf_trace_sched_switch"), ("FUNC", "bpf_iter_task"),
              ("STRUCT", "tcp_congestion_ops")}
    found = {}
    for line in os.popen("bpftool btf dump file /sys/kernel/btf/vmlinux format raw"):
        match = re.match(r"\[(\d+)\] (\w+) '(\w+)'", line)
        if match and match.groups()[1:] in wanted:
            found[match.group(3)] = int(match.group(1))
    return found


def loadable_kinds():
    kinds = []
    for prog_type, attach, flags in itertools.product(range(1, 33), range(ATTACH_TYPES),
                                                      (0, SLEEPABLE)):
        kind = (prog_type, attach, flags, 0)
        if load(EXIT, kind)[0]:
            kinds.append(kind)
    ids = btf_ids()
    kinds += [(26, 23, 0, ids["btf_trace_sched_switch"]), (26, 28, 0, ids["bpf_iter_task"]),
              (27, 0, 0, ids["tcp_congestion_ops"])]
    return kinds


def allowed_helpers(kind):
    allowed = []
    for helper in range(1, 212):
        ok, log, fd = load(insn(0x85, imm=helper) + EXIT, kind)
        if ok or not ("program of this type cannot use" in log or fd == -1):
            allowed.append(helper)
    return allowed


def record_helpers(kinds, available):
    groups = collections.OrderedDict()
    for kind in kinds:
        attach = groups.setdefault((kind[0], tuple(available[kind])), set())
        attach.add(kind[1])
    yield "# Which helpers Linux 6.18.44 lets programs call, loaded by root. A helper is listed when"
    yield '# the answer was not "program of this type cannot use helper".'
    yield "#   TYPE ATTACH,ATTACH-ATTACH: NUMBER NUMBER-NUMBER"
    for (prog_type, helpers), attach in groups.items():
        yield f"{prog_type} {ranges(attach, ',')}: {ranges(helpers, ' ')}"


# ------------------------------------------------------------------------------------ contexts

SIZES = {1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18}
WINDOWS = {17: 112, 24: 112, 5: 64, 31: 32}
SCALARS = {
    "scalar(smin=smin32=0,smax=umax=smax32=umax32=255,var_off=(0x0; 0xff))": 1,
    "scalar(smin=smin32=0,smax=umax=smax32=umax32=0xffff,var_off=(0x0; 0xffff))": 2,
    "scalar(smin=0,smax=umax=0xffffffff,var_off=(0x0; 0xffffffff))": 4,
    "scalar()": 8,
}


def context_kinds(kinds):
    """One kind for each type, and all attach types where the context may depend on them."""
    by_attach = {6: (0, 33, 35, 37), 9: (2, 12, 13, 34), 21: (39, 40)}
    for kind in kinds:
        prog_type, attach, flags, btf_id = kind
        plain = flags == 0 or prog_type == 31
        if btf_id or not plain:
            continue
        if prog_type in by_attach:
            if attach in by_attach[prog_type]:
                yield kind
        elif prog_type in (8, 18, 25, 30, 32) or attach == 0:
            yield kind


def record_contexts(kinds):
    yield "# What Linux 6.18.44 lets programs do with their context: every offset below the window,"
    yield "# sizes 1, 2, 4 and 8, loads (r) and stores (w). What is not listed was refused with"
    yield '# "invalid bpf_context access".'
    yield "#   window TYPE ATTACH BYTES"
    yield "#   TYPE ATTACH OFFSET SIZE r|w RESULT   (RESULT: what r0 became)"
    kinds = list(context_kinds(kinds))
    for kind in kinds:
        yield f"window {kind[0]} {kind[1]} {WINDOWS.get(kind[0], 288)}"
    for kind in kinds:
        for offset, size in itertools.product(range(WINDOWS.get(kind[0], 288)), SIZES):
            place = f"{kind[0]} {kind[1]} {offset} {size}"
            log = load(insn(0x61 | SIZES[size], 0, 1, offset) + EXIT, kind, level=2)[1]
            shown = re.search(r"\n0: \(.*; R0=(.*?) R1=ctx", log)
            shown = shown or re.search(r"\n0: \(.*; R0=(\S+(?: 0x\S+\))?)", log)
            if shown:
                value = re.sub(r"id=\d+,?", "", shown.group(1)).replace(",)", ")")
                if value in SCALARS:
                    assert SCALARS[value] == size, (place, value)
                    value = "scalar"
                yield f"{place} r {value}"
            store = insn(0xB7, 2) + insn(0x63 | SIZES[size], 1, 2, offset) + EXIT
            if load(store, kind)[0]:
                yield f"{place} w stored"


# ------------------------------------------------------------------------------------ programs


def representative(kinds):
    """One kind of each type that needs no BTF target."""
    attach = {8: 0, 9: 2, 18: 10, 21: 39, 25: 21, 30: 36, 32: 45}
    for kind in kinds:
        if not kind[3] and kind[1] == attach.get(kind[0], 0) and (not kind[2] or kind[0] == 31):
            yield kind


def runs_tests(kind):
    fd = -1
    prog_type, attach, flags, _ = kind
    text = ctypes.create_string_buffer(EXIT, len(EXIT))
    name = ctypes.create_string_buffer(b"GPL")
    attr = bytearray(152)
    struct.pack_into("<IIQQIIQII", attr, 0, prog_type, 2, ctypes.addressof(text),
                     ctypes.addressof(name), 0, 0, 0, 0, flags)
    struct.pack_into("<I", attr, 68, attach)
    fd = bpf(PROG_LOAD, attr)
    packet = ctypes.create_string_buffer(64)
    run = bytearray(72)
    struct.pack_into("<IIIIQQI", run, 0, fd, 0, 64, 0, ctypes.addressof(packet), 0, 1)
    result = bpf(PROG_TEST_RUN, run)
    os.close(fd)
    return result != -524


def record_programs(kinds, available):
    yield '# Program types as Linux 6.18.44 treats them. "attach T: A A-A" lists the expected attach'
    yield '# types a load of type T may name; "returns T A,A-A: LO HI" the result it must have ("any"'
    yield '# for any); "sleepable" the types that may sleep; "caps T: ..." which of the sets bpf,'
    yield '# bpf+net_admin, bpf+perfmon load it; "test_run T: 0|1"; "perfmon T: ..." the helpers for which CAP_PERFMON is needed.'
    plain = [kind for kind in kinds if not kind[3]]
    for prog_type in sorted({kind[0] for kind in plain}):
        yield f"attach {prog_type}: {ranges({k[1] for k in plain if k[0] == prog_type}, ' ')}"
    yield f"sleepable: {ranges({k[0] for k in plain if k[2]}, ' ')}"
    results = collections.OrderedDict()
    for kind in kinds:
        log = load(insn(0xB7, imm=-77777) + insn(0x95), kind)[1]
        match = re.search(r"should have been in \[(-?\d+), (-?\d+)\]", log)
        wanted = "{} {}".format(*match.groups()) if match else "any"
        results.setdefault((kind[0], wanted), set()).add(kind[1])
    for (prog_type, wanted), attach in results.items():
        yield f"returns {prog_type} {ranges(attach, ',')}: {wanted}"
    some = list(representative(kinds))
    sets = (("bpf",), ("bpf", "net_admin"), ("bpf", "perfmon"))
    loads = {caps: with_capabilities(caps, lambda: [load(EXIT, kind)[0] for kind in some])
             for caps in sets}
    for index, kind in enumerate(some):
        yield "caps {}: {}".format(
            kind[0], " ".join("+".join(caps) for caps in sets if loads[caps][index]))
    for kind in some:
        yield f"test_run {kind[0]}: {int(runs_tests(kind))}"
    less = with_capabilities(("bpf", "net_admin"), lambda: [allowed_helpers(k) for k in some])
    for index, kind in enumerate(some):
        if loads[("bpf", "net_admin")][index]:
            missing = set(available[kind]) - set(less[index])
            yield f"perfmon {kind[0]}: {ranges(missing, ' ')}"


# ----------------------------------------------------------------------------------- arguments

TYPE_NUMBERS = {"PerfEvent": 7, "CgroupSock": 9, "SkReuseport": 21, "CgroupSockopt": 25,
                "Tracing": 26, "StructOps": 27, "Lsm": 29, "SkLookup": 30, "Syscall": 31}
MEMORY = {"KEY", "VALUE", "VALUE_OUT", "VALUE0", "RO", "RO0", "RW", "RW0", "OUT", "OUT0", "OUT8"}
SOCKETS = {"BSK", "SKC"}
SOCKET_FIELDS = {1: 168, 3: 168, 4: 168, 8: 168, 10: 168, 11: 168, 12: 168, 14: 168, 19: 168,
                 13: 184, 16: 72, 18: 64, 25: 0, 21: 40, 30: 0}
PACKET_FIELDS = {3: (0x61, 76, 80), 4: (0x61, 76, 80), 6: (0x61, 0, 4), 8: (0x61, 76, 80),
                 10: (0x61, 76, 80), 11: (0x61, 76, 80), 12: (0x61, 76, 80), 14: (0x61, 76, 80),
                 16: (0x79, 0, 8), 19: (0x61, 76, 80), 22: (0x61, 76, 80), 21: (0x79, 0, 8),
                 25: (0x79, 8, 16), 13: (0x79, 192, 200)}


def read_rows():
    """The argument names of every row of the helper table, and of its variants."""
    usual, variants = {}, []
    with open(os.path.join(HERE, "../../src/helper_rows.rs"), encoding="utf-8") as rows:
        for line in rows:
            match = re.search(r'h\((\d+), "(\w+)", (.*?), \[(.*)\], ([A-Z| 0]+)\)', line)
            if not match:
                continue
            helper, args = int(match.group(1)), re.split(r", (?![^()]*\))", match.group(4))
            if line.lstrip().startswith("("):
                names = re.search(r"&\[(.*?)\]", line)
                types = [3, 4, 10, 11, 12, 19] if "SKB_TYPES" in line else \
                    [TYPE_NUMBERS[name] for name in names.group(1).split(", ")]
                variants.append((helper, types, args))
            else:
                usual[helper] = (match.group(2), args)
    return usual, variants


class Arguments:
    """Makes calls with valid arguments, and with one of them spoilt."""

    def __init__(self, available):
        self.available = available
        self.names, self.variants = read_rows()
        self.array = new_map(2, 4, 64, 1)
        self.read_only = new_map(2, 4, 64, 1, flags=1 << 7)
        perf, stackmap = new_map(4, 4, 4, 4), new_map(15, 4, 4, 4)
        sockhash, ring, queue = new_map(18, 4, 4, 4), new_map(27, 0, 0, 4096), new_map(22, 0, 64, 4)
        cgroups = new_map(8, 4, 4, 4)
        self.maps = {12: new_map(3, 4, 4, 4), 27: new_map(7, 4, 80, 4), 33: cgroups, 37: cgroups,
                     51: new_map(14, 4, 4, 4), 82: new_map(20, 4, 8, 4),
                     195: new_map(6, 4, 64, 4), 209: new_map(31, 0, 0, 4096)}
        for ids, fd in (((22, 25, 55, 111, 121), perf), ((52, 53, 60), stackmap),
                        ((70, 71, 72), sockhash), ((87, 88, 89), queue),
                        ((130, 131, 134, 198), ring)):
            self.maps.update({helper: fd for helper in ids})
        self.prologue = mov(6, 1) + b"".join(insn(0x7A, 10, 0, -8 * i) for i in range(1, 9))
        self.prologue += value_of(7, self.array)

    def of(self, prog_type, helper):
        for number, types, args in self.variants:
            if number == helper and prog_type in types:
                return args
        return self.names[helper][1]

    def valid(self, name, reg, helper, prog_type):
        if name == "ANY":
            return const(reg, 1)
        if name == "MAP":
            return map_of(reg, self.maps.get(helper, self.array))
        if name in ("CTX", "CTX0"):
            return mov(reg, 6)
        if name in ("SIZE", "SIZE0", "ALLOC"):
            return const(reg, 8)
        if name in MEMORY or name.startswith("ro(") or name.startswith("RW."):
            return mov(reg, 7)
        if name == "SOCK0":
            return const(reg, 0)
        if name.removesuffix(".or_null()") in SOCKETS and prog_type in SOCKET_FIELDS:
            field = insn(0x79, reg, 6, SOCKET_FIELDS[prog_type])
            return field + insn(0x55, reg, 0, 2) + EXIT
        return None

    def call(self, helper, kind, spoilt=None, packet=False, after=b""):
        """The log of a call, `None` where some argument cannot be made."""
        code = self.prologue
        if packet:
            size, data, end = PACKET_FIELDS[kind[0]]
            code += insn(size, 9, 6, data) + insn(size, 2, 6, end) + mov(3, 9)
            code += insn(0x07, 3, 0, 0, 64) + insn(0xBD, 3, 2, 2) + EXIT
        for reg, name in enumerate(self.of(kind[0], helper), 1):
            if name == "NO":
                break
            made = (spoilt or {}).get(reg) or self.valid(name, reg, helper, kind[0])
            if made is None:
                return None
            code += made
        return load(code + insn(0x85, imm=helper) + after + EXIT, kind, level=2)[:2]

    def prefix(self, helper, kind, reg, value):
        """What is said of an argument when the ones before it are right."""
        code = self.prologue + insn(0x85, imm=7) + mov(8, 0)
        for before, name in enumerate(self.of(kind[0], helper)[:reg - 1], 1):
            # Any map will do: whether it suits the helper is asked after all arguments.
            made = self.valid(name, before, None, kind[0])
            if made is None:
                return None
            code += made
        code += mov(reg, 8) if value else b""
        return last_line(load(code + insn(0x85, imm=helper) + EXIT, kind)[1])


def mov(dst, src):
    return insn(0xBF, dst, src)


def const(reg, number):
    return insn(0xB7, reg, imm=number)


def map_of(reg, fd):
    return insn(0x18, reg, 1, 0, fd) + insn(0)


def value_of(reg, fd):
    return insn(0x18, reg, 2, 0, fd) + insn(0)


def one_argument(maker, helper, kind, reg, name, names, expected):
    """The four answers on one argument: null, written, zero, packet."""
    null = written = zero = packet = "?"
    if maker.call(helper, kind) is None:
        return "????"
    asleep = "Sleepable programs"
    if expected != "number":
        spoilt = {reg: const(reg, 0)}
        if reg < 5 and names[reg] == "SIZE0":
            spoilt[reg + 1] = const(reg + 1, 0)
        log = maker.call(helper, kind, spoilt)[1]
        null = "?" if asleep in log else int(f"R{reg} type=scalar expected=" not in log)
    if name in MEMORY or name.startswith("ro("):
        log = maker.call(helper, kind, {reg: value_of(reg, maker.read_only)})[1]
        written = "?" if asleep in log else int("write into map forbidden" in log)
        if kind[0] in PACKET_FIELDS:
            log = maker.call(helper, kind, {reg: mov(reg, 9)}, packet=True)[1]
            packet = int(not re.search(
                f"helper access to the packet is not allowed|cannot write into packet"
                f"|R{reg} type=pkt", log))
    if name in ("SIZE", "SIZE0"):
        log = maker.call(helper, kind, {reg: const(reg, 0)})[1]
        zero = "?" if asleep in log else int("invalid zero-sized read" not in log)
    return f"{null}{written}{zero}{packet}"


def result_text(maker, helper, ok, log):
    call = f") call {maker.names[helper][0]}#{helper}"
    start = log.find(call, log.find("\n0: (bf)")) if "subseq" in log else log.rfind(call)
    shown = re.findall(r"(?:; |\n\d+: )R0=(\S+(?: 0x\S+\))?)", log[start:])[:1]
    if not ok or not shown or shown[0] == "0":
        return "?"
    return re.sub(r"(id|ref_obj_id)=\d+,?", "", shown[0]).replace(",)", ")").replace(" ", "")


def describe(maker, helper, kind):
    gpl = changes = "?"
    if kind[0] != 27:
        log = load(insn(0x85, imm=helper) + EXIT, kind, licence=b"Proprietary")[1]
        gpl = int("cannot call GPL-restricted function" in log)
    called, shown = maker.call(helper, kind), "?"
    if called:
        shown = result_text(maker, helper, *called)
        if kind[0] in PACKET_FIELDS:
            ok, log = maker.call(helper, kind, packet=True, after=insn(0x71, 0, 9))
            if ok or "R9 invalid mem access 'scalar'" in log:
                changes = int("R9 invalid mem access 'scalar'" in log)
    columns, names = [], maker.of(kind[0], helper)
    for reg, name in enumerate(names, 1):
        unset = maker.prefix(helper, kind, reg, False)
        if unset is None:
            break
        if re.search("might sleep|not allowed in probe|not supported for program type", unset):
            return None
        if unset != f"R{reg} !read_ok":
            columns.append("-")
            break
        match = re.match(f"R{reg} type=scalar expected=(.*)",
                         maker.prefix(helper, kind, reg, True))
        expected = match.group(1).replace(", ", "+") if match else "number"
        answers = one_argument(maker, helper, kind, reg, name, names, expected)
        columns.append(f"{expected}:{answers}")
    return f"gpl={gpl} changes={changes} r0={shown} {' '.join(columns)}"


def distinct(kinds, available):
    """One kind for each type and set of helpers."""
    seen = {}
    for kind in kinds:
        seen.setdefault((kind[0], tuple(available[kind]), kind[2]), kind)
    return list(seen.values())


def record_arguments(kinds, available):
    yield "# What Linux 6.18.44 enforces of each helper's prototype."
    yield "#   HELPER TYPES gpl=G changes=C r0=R ARGUMENT..."
    yield "# G: refused under another licence. C: forgets packet pointers. R: what r0 holds afterwards"
    yield '# (two processors). An argument is KINDS:NWZP: KINDS the register types it takes ("number"'
    yield "# when a number passes), then whether it may be null, is written, may be zero, may be a"
    yield '# packet; "-" where the arguments end. A question mark, or no further argument: not found out.'
    maker = Arguments(available)
    for helper in range(1, 212):
        groups = collections.OrderedDict()
        for kind in distinct(kinds, available):
            if helper in available[kind]:
                text = describe(maker, helper, kind)
                if text:
                    groups.setdefault(text, [])
                    if kind[0] not in groups[text]:
                        groups[text].append(kind[0])
        for text, types in groups.items():
            yield f"{helper} {','.join(map(str, types))} {text}"


# ---------------------------------------------------------------------------------------- maps


def every_map():
    btf = int_btf()
    shapes = {1: (4, 64, 4), 2: (4, 64, 1), 3: (4, 4, 4), 4: (4, 4, 4), 5: (4, 64, 4),
              6: (4, 64, 4), 7: (4, 80, 4), 8: (4, 4, 4), 9: (4, 64, 4), 10: (4, 64, 4),
              11: (8, 64, 4, 1), 14: (4, 4, 4), 15: (4, 4, 4), 16: (4, 4, 2), 17: (4, 4, 4),
              18: (4, 4, 4), 19: (8, 64, 0), 20: (4, 8, 4), 21: (8, 64, 0), 22: (0, 64, 4),
              23: (0, 64, 4), 25: (4, 4, 4), 27: (0, 0, 4096), 30: (0, 64, 4), 31: (0, 0, 4096)}
    maps = {number: new_map(number, *shape) for number, shape in shapes.items()}
    inner = new_map(2, 4, 4, 4)
    maps.update({number: new_map(number, 4, 4, 4, inner=inner) for number in (12, 13)})
    maps.update({number: new_map(number, 4, 4, 0, 1, btf=(btf, 1, 1)) for number in (24, 28, 29, 32)})
    assert all(fd >= 0 for fd in maps.values()), maps
    return dict(sorted(maps.items()))


def record_maps(kinds, available):
    yield '# Which maps Linux 6.18.44 takes where. "helper N in P: M M | R R" says that a program of'
    yield "# type P called helper N with maps of types M and of types R; the latter were refused with"
    yield '# "cannot pass map_type" or "expected prog array map for tail call". Types in neither list'
    yield '# failed for another reason. "sleepable" lists the types that a sleepable program may use.'
    maps, maker = every_map(), Arguments(available)
    for helper, (_, names) in maker.names.items():
        if "MAP" not in names:
            continue
        for kind in {kind[0]: kind for kind in distinct(kinds, available)
                     if helper in available[kind] and not kind[2] and not kind[3]}.values():
            taken, refused = [], []
            for number, fd in maps.items():
                # Keys and values lie on the stack; a flag that must be zero is zero.
                spoilt = {reg: mov(reg, 10) + insn(0x07, reg, 0, 0, -64)
                          for reg, name in enumerate(maker.of(kind[0], helper), 1)
                          if name in MEMORY}
                spoilt[names.index("MAP") + 1] = map_of(names.index("MAP") + 1, fd)
                if helper == 81:
                    spoilt[2] = const(2, 0)
                called = maker.call(helper, kind, spoilt)
                if called is None:
                    break
                if re.search("cannot pass map_type|expected prog array", called[1]):
                    refused.append(number)
                elif called[0] or "reference leak" in called[1]:
                    taken.append(number)
            if taken or refused:
                yield "helper {} in {}: {} | {}".format(
                    helper, kind[0], " ".join(map(str, taken)), " ".join(map(str, refused)))
    sleepable = [number for number, fd in maps.items()
                 if load(map_of(1, fd) + EXIT, (31, 0, SLEEPABLE, 0))[0]]
    yield "sleepable " + " ".join(map(str, sleepable))


def main():
    directory = sys.argv[1]
    kinds = loadable_kinds()
    available = {kind: allowed_helpers(kind) for kind in kinds}
    for name, lines in (("helpers", record_helpers(kinds, available)),
                        ("contexts", record_contexts(kinds)),
                        ("programs", record_programs(kinds, available)),
                        ("arguments", record_arguments(kinds, available)),
                        ("maps", record_maps(kinds, available))):
        with open(os.path.join(directory, name + ".txt"), "w", encoding="utf-8") as out:
            out.writelines(line + "\n" for line in lines)


if __name__ == "__main__":
    main()
