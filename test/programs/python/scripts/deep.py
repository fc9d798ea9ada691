"""Recursion without end is an exception, in Python and in C; the interpreter goes on."""
import json
import re
import sys


def recurse(depth):
    return recurse(depth + 1)


class Nested:
    def __repr__(self):
        return repr([self])


def tried(name, action):
    try:
        action()
    except (RecursionError, MemoryError, SyntaxError) as error:
        print(name, type(error).__name__, flush=True)
    else:
        print(name, "done")


tried("calls", lambda: recurse(0))
tried("json", lambda: json.loads("[" * 100_000))
tried("parser", lambda: compile("(" * 150 + ")" * 150, "deep", "eval"))
tried("regular expression", lambda: re.compile("(" * 90 + "a" + ")" * 90))
sys.setrecursionlimit(4000)
tried("3000 calls", lambda: (lambda f: f(f, 3000))(lambda f, n: n and f(f, n - 1)))
