#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Compiles a file that must not compile and looks for the texts that its `// expect: ...` lines name.

usage: expect_failure.py file.cpp compiler flags... file.cpp

Every such line must be found; `one text || another` is found if either is, for compilers that word it differently. Runs of
blanks count as one, because compilers break and indent lines as they like.
"""
import os
import re
import subprocess
import sys


def expected_texts(path):
    with open(path, encoding="utf-8") as source:
        return re.findall(r"^// expect: (.+?)\s*$", source.read(), re.MULTILINE)


def says(output, text):
    return any(" ".join(wording.split()) in output for wording in text.split("||"))


def main(path, command):
    texts = expected_texts(path)
    if not texts:
        return f"{path}: has no '// expect: text' line"
    run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    output = " ".join((run.stdout + run.stderr).split())
    if run.returncode == 0:
        return f"{path}: compiles, and should not"
    missing = [text for text in texts if not says(output, text)]
    if missing:
        return f"{run.stderr}\n{path}: fails as it should, but the compiler does not say {missing}"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
