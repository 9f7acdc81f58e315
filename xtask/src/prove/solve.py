"""Puts one SMT-LIB file to a solver: `solve.py ENGINE FILE SECONDS`.

Prints `sat`, `unsat` or `unknown` and the seconds of processor time that it took, or the
version of the solver when no file is given. The limit is one of processor time, so that a busy
machine changes no answer."""

import resource
import sys
import time


def bitwuzla(path):
    import bitwuzla as b

    if path is None:
        return b.version()
    terms = b.TermManager()
    options = b.Options()
    parser = b.Parser(terms, options)
    # The last line of a file is its only check; it is asked here.
    text = open(path).read().replace("(check-sat)", "")
    parser.parse(text, True, False)
    return str(parser.bitwuzla().check_sat()).rsplit(".", 1)[-1].lower()


def z3(path):
    import z3 as z

    if path is None:
        return z.get_version_string()
    whole = open(path).readline().strip() == "(set-logic QF_NIA)"
    solver = z.SolverFor("QF_NIA") if whole else z.Solver()
    solver.from_file(path)
    return str(solver.check())


def main():
    ask = {"bitwuzla": bitwuzla, "z3": z3}[sys.argv[1]]
    if len(sys.argv) == 2:
        print(ask(None))
        return
    limit = int(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
    answer = ask(sys.argv[2])
    print(answer, round(time.process_time(), 2))


main()
