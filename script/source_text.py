"""Tells code from comments: in C++, and the comments in Python, shell and CMake."""

import io
import re
import tokenize
from pathlib import PurePosixPath

CPP_SUFFIXES = (".h", ".cpp")

NOT_CODE = re.compile(
    r"""
      //(?:[^\n\\]|\\.|\\\n)*                                          # comment to the end of the line
    | /\*.*?\*/                                                        # comment
    | (?<![A-Za-z0-9_])(?:u8|[uUL])?R"(?P<d>[^()\\\s]{0,16})\(.*?\)(?P=d)"   # raw string
    | "(?:[^"\\\n]|\\.)*"                                              # string
    | (?:\bu8|(?<![0-9A-Fa-f]))'(?:[^'\\\n]|\\.)+'                     # character; not the ' of 1'000
    """,
    re.VERBOSE | re.DOTALL,
)


def blank(match):
    """Of a match only blanks, so that every line and column stays where it was."""
    return re.sub(r"[^\n]", " ", match.group())


def blank_out_all_but_code(text):
    """`text` with comments, strings and characters turned into blanks."""
    return NOT_CODE.sub(blank, text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


# --- comments: each yields (line number, comment) ---------------------------------------------------------------------

# First everything that can hold a `#` that begins no comment.
SHELL = re.compile(
    r"""
      \\.
    | '[^']*' | \$'(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*"
    | (?<!<)<<-?[ \t]*(?P<q>['"]?)(?P<end>\w+)(?P=q)[^\n]*\n(?:[^\n]*\n)*?[ \t]*(?P=end)(?=\n|\Z)  # a here-document
    | (?<![^\s;&|()])(?P<comment>\#[^\n]*)
    """,
    re.VERBOSE | re.DOTALL,
)
CMAKE = re.compile(
    r"""
      \\.
    | (?P<comment>\#\[(?P<c>=*)\[.*?\](?P=c)\] | \#[^\n]*)
    | "(?:[^"\\]|\\.)*" | \[(?P<a>=*)\[.*?\](?P=a)\]
    """,
    re.VERBOSE | re.DOTALL,
)


def matched_comments(pattern, text):
    for match in pattern.finditer(text):
        if match.group("comment"):
            yield line_of(text, match.start("comment")), match.group("comment")


def cpp_comments(text):
    for match in NOT_CODE.finditer(text):
        if match.group().startswith(("//", "/*")):
            yield line_of(text, match.start()), match.group()


def python_comments(text):
    """Comments, and the strings that are statements by themselves: docstrings."""
    begins_statement = True
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and begins_statement):
                yield token.start[0], token.string
            if token.type not in (tokenize.COMMENT, tokenize.NL):
                begins_statement = token.type in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    except (tokenize.TokenError, SyntaxError):
        return  # Python itself reports the error


def interpreter_of(text):
    """The first line, when it says what runs the file."""
    return text.split("\n", 1)[0] if text.startswith("#!") else ""


def is_python(path, text):
    return path.endswith(".py") or "python" in interpreter_of(text)


def comments_in(path, text):
    """Of C++, Python, shell and CMake; of other files none."""
    name = PurePosixPath(path).name
    if name.endswith(CPP_SUFFIXES):
        return cpp_comments(text)
    if name == "CMakeLists.txt" or name.endswith((".cmake", ".cmake.in")):
        return matched_comments(CMAKE, text)
    if is_python(path, text):
        return python_comments(text)
    if name.endswith(".sh") or re.search(r"sh\b", interpreter_of(text)):
        return matched_comments(SHELL, text)
    return ()
