#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Checks one rule over the sources and prints `file:line: what is wrong`; fails if there is anything to print.

usage: check_sources.py layers|umbrellas|spdx|co_await_in_braces|sleeps|readme project-directory
"""
import pathlib
import re
import sys

# Which layers a layer may include, itself aside.
LAYERS = {
    "core": set(),
    "http": {"core"},
    "async": {"core"},
    "policy/machine": {"core"},
    "policy": {"core", "async", "policy/machine"},
    "net": {"core", "http", "async"},
    "client": {"core", "http", "async", "policy", "policy/machine", "net"},
    "testing": {"core", "http", "async", "policy", "policy/machine", "net", "client", "root"},
}

# What of other libraries a layer stays away from.
PURE = ("boost/asio", "boost/beast", "openssl", "spdlog", "nlohmann")
WITHOUT_SOCKETS = ("boost/asio/ip", "boost/asio/ssl", "boost/beast", "openssl", "spdlog", "nlohmann")
FORBIDDEN = {
    "core": PURE,
    "http": ("boost/asio", "openssl", "spdlog", "nlohmann"),
    "async": WITHOUT_SOCKETS,
    "policy/machine": PURE,
    "policy": WITHOUT_SOCKETS,
    "net": ("spdlog", "nlohmann"),
    "client": ("boost/beast", "openssl"),
    "testing": (),
}

# Headers that pull in a whole library.
UMBRELLAS = ("boost/asio.hpp", "boost/beast.hpp", "boost/asio/ssl.hpp", "boost/beast/http.hpp", "boost/url.hpp")

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')


def lines_of(path):
    return enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)


def sources(root, *folders, suffixes=(".hpp", ".ipp", ".cpp")):
    for folder in folders:
        yield from sorted(path for path in (root / folder).rglob("*") if path.suffix in suffixes)


def includes(root, *folders):
    """Every include below the folders: file, line number, what is included."""
    for path in sources(root, *folders):
        for number, line in lines_of(path):
            if found := INCLUDE.match(line):
                yield path, number, found.group(1)


def layer_of(name):
    """The layer of `khive/net/dial.hpp` is `net`, that of `khive/khive.hpp` is `root`."""
    inside = name.removeprefix("khive/")
    if inside.startswith("policy/machine/"):
        return "policy/machine"
    return inside.split("/")[0] if "/" in inside else "root"


def may_include(layer, name):
    target = layer_of(name)
    if name == "khive/version.hpp" or name == "khive/fwd.hpp" or target == layer:
        return True
    private = "/detail/" in name or "/impl/" in name
    return target in LAYERS[layer] and not private


def check_layers(root):
    for path, number, name in includes(root, "include/khive"):
        layer = layer_of(path.relative_to(root / "include").as_posix())
        if layer == "root":
            continue
        if layer not in LAYERS:
            yield path, number, f"layer '{layer}' is not in the table of this script"
        elif name.startswith("khive/") and not may_include(layer, name):
            yield path, number, f"'{layer}' must not include <{name}>"
        elif name.startswith(FORBIDDEN[layer]):
            yield path, number, f"'{layer}' must not include <{name}>"


def check_umbrellas(root):
    for path, number, name in includes(root, "include", "examples"):
        if name in UMBRELLAS:
            yield path, number, f"<{name}> pulls in a whole library"
    for path, number, name in includes(root, "include/khive"):
        optional = name.startswith(("spdlog/", "nlohmann/")) or name == "khive/client/json.hpp"
        if optional and path == root / "include/khive/khive.hpp":
            yield path, number, f"the umbrella must not include <{name}>"


def check_spdx(root):
    everywhere = sources(root, "include", "tests", "examples", "cmake", suffixes=(".hpp", ".ipp", ".cpp", ".cmake", ".py", ".sh"))
    for path in everywhere:
        head = path.read_text(encoding="utf-8").splitlines()[:2]
        if not any("SPDX-License-Identifier: BSL-1.0" in line for line in head):
            yield path, 1, "has no SPDX line"


def check_pattern(root, pattern, message, *folders):
    for path in sources(root, *folders):
        for number, line in lines_of(path):
            if re.search(pattern, line.split("//")[0]):
                yield path, number, message


def check_co_await_in_braces(root):
    return check_pattern(root, r"\{co_await", "GCC 12 destroys this twice: name it on the line before", "include", "tests", "examples")


def check_sleeps(root):
    return check_pattern(root, r"\bthis_thread::sleep|\b(usleep|nanosleep)\b", "a test must not sleep", "tests")


def check_readme(root):
    """C++ in the README must stand in an example, line for line, whatever its indentation."""
    readme = root / "README.md"
    if not readme.exists():
        return
    examples = [squeezed(path.read_text(encoding="utf-8")) for path in sources(root, "examples")]
    for block in re.finditer(r"^```cpp\n(.*?)^```", readme.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        if not any(squeezed(block.group(1)) in example for example in examples):
            yield readme, block.string[: block.start()].count("\n") + 1, "this code is in no example"


def squeezed(code):
    return "\n".join(line.strip() for line in code.splitlines() if line.strip())


RULES = {
    "layers": check_layers,
    "umbrellas": check_umbrellas,
    "spdx": check_spdx,
    "co_await_in_braces": check_co_await_in_braces,
    "sleeps": check_sleeps,
    "readme": check_readme,
}


def main(rule, directory):
    root = pathlib.Path(directory).resolve()
    findings = [f"{path.relative_to(root)}:{number}: {message}" for path, number, message in RULES[rule](root)]
    return "\n".join(findings) or None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
