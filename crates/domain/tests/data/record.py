#!/usr/bin/env python3
"""Records what the running kernel's verifier prints for random scalar programs.

    record.py SEED PROGRAMS OUTPUT      (root, Linux with bpf(2); loads programs, attaches nothing)

Each output row is one operation with its operands and its result; tests/kernel_rows.rs says
how they are written and compares them: SKEP_ROWS=OUTPUT cargo test -p skep-domain.
"""
import ctypes, os, random, re, struct, sys
libc = ctypes.CDLL(None, use_errno=True)

def bpf(cmd, attr):
    b = ctypes.create_string_buffer(attr, len(attr))
    r = libc.syscall(321, cmd, b, len(attr))
    return (r, ctypes.get_errno() if r < 0 else 0, b.raw)

def insn(op, dst=0, src=0, off=0, imm=0):
    return struct.pack('<BBhi', op, dst | src << 4, off, imm)

def load(code, ptype=1, level=2, lic=b'GPL', logsz=1 << 22, eat=0, flags=0):
    c = ctypes.create_string_buffer(code, len(code))
    l = ctypes.create_string_buffer(lic)
    log = ctypes.create_string_buffer(logsz)
    a = struct.pack('<IIQQIIQII', ptype, len(code) // 8, ctypes.addressof(c), ctypes.addressof(l), level, logsz if level else 0, ctypes.addressof(log) if level else 0, 0, flags) + b'\x00' * 16 + struct.pack('<II', 0, eat) + b'\x00' * 76
    r, e, _ = bpf(5, a)
    return (r, e, log.value.decode(errors='replace'))
ALU = {'add': 0, 'sub': 16, 'mul': 32, 'div': 48, 'or': 64, 'and': 80, 'lsh': 96, 'rsh': 112, 'neg': 128, 'mod': 144, 'xor': 160, 'arsh': 192}
JMP = {'eq': 16, 'gt': 32, 'ge': 48, 'set': 64, 'ne': 80, 'sgt': 96, 'sge': 112, 'lt': 160, 'le': 176, 'slt': 192, 'sle': 208}
EDGE = [0, 1, 2, 3, 7, 8, 15, 16, 255, 256, 127, 128, 32767, 32768, 65535, 65536, 2147483647, -1, -2, -128, -129, -32768, -32769, -2147483648, -2147483647]

def imm():
    c = random.random()
    if c < 0.5:
        return random.choice(EDGE)
    if c < 0.8:
        return random.randint(-64, 64)
    if c < 0.9:
        v = (1 << random.randint(0, 31)) + random.randint(-2, 2)
        return (v & 4294967295) - (1 << 32) if v & 2147483648 else v & 2147483647
    return random.randint(-2 ** 31, 2 ** 31 - 1)

def imm64():
    c = random.random()
    if c < 0.3:
        return imm() & 2 ** 64 - 1
    if c < 0.6:
        return (1 << random.randint(0, 63)) + random.randint(-2, 2) & 2 ** 64 - 1
    if c < 0.8:
        return (imm() & 4294967295) << 32 | imm() & 4294967295
    return random.getrandbits(64)

def ld64(r, v):
    lo = v & 4294967295
    hi = v >> 32
    s = lambda x: x - (1 << 32) if x & 2147483648 else x
    return insn(24, r, 0, 0, s(lo)) + insn(0, 0, 0, 0, s(hi))

class P:

    def __init__(s):
        s.c = []
        s.meta = {}
        s.fix = []
        s.n = 0

    def add(s, b, meta=None):
        if meta:
            s.meta[s.n] = meta
        s.c.append(b)
        s.n += len(b) // 8

def build(nops=30):
    p = P()
    for r in (6, 7):
        p.add(insn(133, 0, 0, 0, 7))
        p.add(insn(191, r, 0))
    regs = [6, 7]
    for _ in range(nops):
        d = random.choice(regs)
        s = 13 - d
        k = random.random()
        if k < 0.04:
            p.add(insn(133, 0, 0, 0, 7))
            p.add(insn(191, d, 0))
            continue
        if k < 0.07:
            p.add(ld64(d, imm64()))
            continue
        if k < 0.1:
            p.add(insn(random.choice([183, 180]), d, 0, 0, imm()))
            continue
        if k < 0.14:
            p.add(insn(87, d, 0, 0, imm()), ('alu64', 'and', d, 'k'))
            continue
        if k < 0.24:
            kind = random.choice(['mov32', 'movsx64', 'movsx32', 'end'])
            dd = random.choice([d, s])
            if kind == 'mov32':
                p.add(insn(188, dd, d), ('mov', 'mov32 0', dd, d))
            elif kind == 'movsx64':
                n = random.choice([8, 16, 32])
                p.add(insn(191, dd, d, n), ('mov', 'movsx64 %d' % n, dd, d))
            elif kind == 'movsx32':
                n = random.choice([8, 16])
                p.add(insn(188, dd, d, n), ('mov', 'movsx32 %d' % n, dd, d))
            else:
                n = random.choice([16, 32, 64])
                w = random.choice([212, 220, 215])
                p.add(insn(w, d, 0, 0, n), ('mov', '%s %d' % ({212: 'tole', 220: 'tobe', 215: 'bswap'}[w], n), d, d))
            continue
        if k < 0.29:
            n = random.choice([1, 2, 4, 8])
            sz = {1: 16, 2: 8, 4: 0, 8: 24}[n]
            p.add(insn(123, 10, d, -8))
            if random.random() < 0.5:
                p.add(insn(97 | sz, d, 10, -8), ('mov', 'fill %d' % n, d, d))
            elif n < 8:
                p.add(insn(129 | sz, d, 10, -8), ('mov', 'fills %d' % n, d, d))
            continue
        if k < 0.62:
            w = random.choice(['alu64', 'alu32'])
            op = random.choice(list(ALU))
            if random.random() < 0.5:
                op = random.choice(['add', 'sub', 'and', 'or', 'xor', 'mul', 'lsh', 'rsh', 'arsh'])
            cls = 7 if w == 'alu64' else 4
            if op == 'neg':
                p.add(insn(ALU[op] | cls, d), (w, op, d, 'k'))
                continue
            if random.random() < 0.5:
                i = imm()
                if op in ('lsh', 'rsh', 'arsh'):
                    i = random.randrange(0, 64 if cls == 7 else 32)
                if op in ('div', 'mod') and i == 0:
                    i = 3
                off = 1 if op in ('div', 'mod') and random.random() < 0.4 else 0
                p.add(insn(ALU[op] | cls, d, 0, off, i), (w, op, d, 'k', i))
            else:
                off = 1 if op in ('div', 'mod') and random.random() < 0.4 else 0
                p.add(insn(ALU[op] | cls | 8, d, s, off), (w, op, d, s))
            continue
        w = random.choice(['jmp64', 'jmp32'])
        op = random.choice(list(JMP))
        cls = 5 if w == 'jmp64' else 6
        if random.random() < 0.5:
            i = imm()
            at = p.n
            p.add(insn(JMP[op] | cls, d, 0, 0, i), (w, op, d, 'k', i))
            p.fix.append((len(p.c) - 1, at, JMP[op] | cls, d, 0, i))
        else:
            ss = s if random.random() < 0.95 else d
            at = p.n
            p.add(insn(JMP[op] | cls | 8, d, ss, 0), (w, op, d, ss))
            p.fix.append((len(p.c) - 1, at, JMP[op] | cls | 8, d, ss, 0))
    p.add(insn(183, 0) + insn(149))
    p.targets = {}
    for ci, at, code, d, s, i in p.fix:
        t = p.n
        p.c[ci] = insn(code, d, s, t - at - 1, i)
        p.targets[at] = t
        p.add(insn(183, 0) + insn(149))
    return p

def parse(txt):
    out = {}
    for m in re.finditer('R([67])=(\\S+(?: 0x[0-9a-f]+\\)\\))?)', txt):
        v = m.group(2)
        if v.startswith('P'):
            v = v[1:]
        i = re.search('id=(\\d+)(?:[+-][^,)]*)?,?', v)
        idn = None
        if i:
            idn = i.group(1)
            v = v.replace(i.group(0), '', 1)
        if v.startswith('scalar('):
            v = v[7:-1].rstrip(',')
            v = '?' if v == '' else v
        out[int(m.group(1))] = (v, idn)
    return out
LINE = re.compile('^(\\d+): \\(([0-9a-f]{2})\\) (.*?)\\s*(?:; (.*))?$')

def rows(p, log, emit):
    st = {}
    pend = {}
    lines = log.split('\n')
    cur = None
    order = []
    froms = {}
    for l in lines:
        m = re.match('^from (\\d+) to (\\d+): (.*)$', l)
        if m:
            froms[int(m.group(1))] = parse(m.group(3))
    seen = False
    jm = []
    if any((re.match('from (\\d+) to \\1:', l) for l in lines)):
        return
    for n, l in enumerate(lines):
        if l.startswith('from '):
            break
        m = LINE.match(l)
        if not m or 'Live' in l:
            continue
        pc = int(m.group(1))
        txt = m.group(4) or ''
        if re.match('^\\s+\\d+:', l):
            continue
        new = parse(txt)
        if not new:
            for k in lines[n + 1:]:
                if LINE.match(k) or k.startswith('from'):
                    break
                mm = re.match('^%d: (R.*)$' % pc, k)
                if mm:
                    new = parse(mm.group(1))
                    break
        meta = p.meta.get(pc)
        if meta and meta[0] in ('alu64', 'alu32'):
            d = meta[2]
            s = meta[3]
            a = st.get(d)
            b = (str(meta[4]) if len(meta) > 4 else '0', None) if s == 'k' else st.get(s)
            if a and b and (d in new) and (s != d):
                if s != 'k' or len(meta) > 4 or meta[1] == 'neg':
                    emit('%s %s\t%s\t%s\t%s' % (meta[0], meta[1], a[0], b[0], new[d][0]))
        elif meta and meta[0] == 'mov':
            a = st.get(meta[3])
            if a and meta[2] in new:
                emit('%s\t%s\t0\t%s' % (meta[1], a[0], new[meta[2]][0]))
        elif meta and meta[0][:3] == 'jmp':
            d = meta[2]
            s = meta[3]
            a = st.get(d)
            b = (str(meta[4]), None) if s == 'k' else st.get(s)
            nxt = None
            for k in lines[n + 1:]:
                if k.startswith('from '):
                    break
                mm = LINE.match(k)
                if mm:
                    nxt = int(mm.group(1))
                    break
            both = pc in froms
            if both and (not froms[pc].get(d)):
                return
            same = s == d
            sid = s != 'k' and a and b and a[1] and (a[1] == b[1])
            jm.append((pc, d, s))
            if a and b and (not same) and (not sid):
                tag = '%s %s\t%s\t%s\t' % (meta[0], meta[1], a[0], b[0])
                if nxt == pc + 1 and both:
                    fa = new.get(d, a)
                    ta = froms[pc].get(d)
                    if s == 'k':
                        emit(tag + 'both\t%s\t-\t%s\t-' % (fa[0], ta[0]))
                    else:
                        emit(tag + 'both\t%s\t%s\t%s\t%s' % (fa[0], new.get(s, b)[0], ta[0], froms[pc][s][0]))
                elif nxt == pc + 1:
                    emit(tag + 'never\t-\t-\t-\t-')
                elif nxt == p.targets[pc]:
                    emit(tag + 'always\t-\t-\t-\t-')
            elif same and a:
                v = 'both' if both else 'never' if nxt == pc + 1 else 'always'
                emit('%ssame %s\t%s\t0\t%s\t%s\t%s' % (meta[0], meta[1], a[0], v, new.get(d, ('-',))[0] if v != 'always' else '-', froms[pc][d][0] if both else '-'))
            if nxt != pc + 1:
                return
            if any(('INVARIANTS' in k for k in lines[n + 1:n + 3])):
                return
            for r in (6, 7):
                if r not in new and r in st and st[r][1]:
                    st.pop(r)
        st.update(new)


def pointer_state(text):
    """The bounds of the map-value pointer in r7."""
    match = re.search(r'R7=map_value\((.*?)\)(?: R|$| fp|\n)', text)
    if not match:
        return None
    parts = re.split(r',(?![^(]*\))', match.group(1))
    bounds = [p for p in parts if not re.match(r'(map|ks|vs|off|id|imm)=', p)]
    return ','.join(bounds) or '0'

def pointer_rows(array, emit):
    """A walk of a pointer into a large array by random scalars."""
    code = insn(24, 7, 2, 0, array) + insn(0, 0, 0, 0, random.choice([0, 8, 4096]))
    for _ in range(4):
        code += insn(133, 0, 0, 0, 7) + insn(191, 6, 0)
        code += insn(87, 6, 0, 0, random.choice([255, 65535, 65520, 7, 16376, 1, 61680]))
        if random.random() < 0.4:
            code += insn(7, 6, 0, 0, random.randint(-300, 300))
        if random.random() < 0.3:
            code += insn(103, 6, 0, 0, random.randint(0, 2))
        code += insn(15 if random.random() < 0.7 else 31, 7, 6)
    (fd, _, log) = load(code + insn(183, 0) + insn(149))
    if fd >= 0:
        os.close(fd)
    pointer = done = None
    for line in log.split('\n'):
        shown = re.match(r'^\d+: \(..\) (.*?)\s*(?:; (.*))?$', line)
        if shown:
            (done, text) = shown.groups()
            if text is None:
                continue
        else:
            shown = re.match(r'^\d+: (R.*)$', line)
            if not shown or not done:
                continue
            text = shown.group(1)
        after = pointer_state(text)
        scalar = parse(text).get(6)
        if done in ('r7 += r6', 'r7 -= r6') and pointer and after and scalar:
            emit('%s x\t%s\t%s\t%s' % ('padd' if '+=' in done else 'psub', pointer, scalar[0], after))
        pointer = after or pointer

def large_array():
    """An array of one value of a megabyte."""
    (fd, _, _) = bpf(0, struct.pack('<IIIII', 2, 4, 1 << 20, 1, 0) + bytes(52))
    return fd

if __name__ == '__main__':
    (seed, programs, output) = (int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    out = set()
    random.seed(seed)
    array = large_array()
    for i in range(programs):
        program = build(random.randint(4, 40))
        (fd, _, log) = load(b''.join(program.c), level=2)
        if fd >= 0:
            os.close(fd)
        rows(program, log, out.add)
        if i % 8 == 0:
            pointer_rows(array, out.add)
    with open(output, 'w') as file:
        file.write('\n'.join(sorted(out)) + '\n')
    print(len(out), 'rows', file=sys.stderr)
