"""The mutants of C++ headers laid out by clang-format, found among their tokens. mutate.py tries them."""
import hashlib
import re
import subprocess

TOKEN = re.compile(
    r"(?P<comment>//[^\n]*|/\*.*?\*/)"
    r"|(?P<directive>^[ \t]*\#(?:\\\n|[^\n])*)"
    r'|(?P<string>"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\')'
    r"|(?P<number>\.?\d(?:[eEpP][+-]|[\w.'])*)"
    r"|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<punctuation>\.\.\.|::|->|\+\+|--|<<|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|[^\s\w])",
    re.MULTILINE | re.DOTALL)

BINARY = {
    "+": ["-"], "-": ["+"], "*": ["+"], "/": ["*"], "%": ["*"], "&": ["|"],
    "+=": ["-="], "-=": ["+="], "*=": ["/="], "/=": ["*="], "%=": ["*="], "&=": ["|="],
    "<": ["<=", ">="], ">": [">=", "<="], "<=": ["<", ">"], ">=": [">", "<"], "==": ["!="], "!=": ["=="],
    "&&": ["||"], "||": ["&&"],
}
NAMES = {"min": "max", "true": "false"}
MEMBERS = {"hi": "lo", "high": "low", "mean": "mean_low", "begin": "end", "outer": "column", "rows": "hidden",
           "run": "width", "dy": "x"}
for table in (NAMES, MEMBERS):
    table.update({b: a for a, b in table.items()})
# Calls that give their last argument, changed: the call is replaced by that argument.
WRAPPERS = {"keep", "canonical"}
# What a statement that can be deleted does not begin with.
NO_EXPRESSION = {
    "return", "using", "const", "constexpr", "static", "inline", "auto", "template", "typename", "struct", "class",
    "public", "private", "friend", "explicit", "namespace", "alignas", "enum", "for", "if", "else", "do", "while",
    "switch", "case", "default", "extern", "operator", "static_assert", "throw", "void", "bool", "int", "float", "double"}


TYPES = {"auto", "bool", "int", "float", "double", "class"}


class Mutant:
    """Characters [begin, end) of a header, replaced."""

    def __init__(self, header, begin, end, replacement, operator):
        self.header, self.begin, self.end, self.replacement = header, begin, end, replacement
        self.file, self.operator = header.file, operator
        source = header.source
        self.line_number = source.count("\n", 0, begin) + 1
        first = source.rfind("\n", 0, begin) + 1
        last = source.find("\n", end)
        one_line = lambda text: " ".join(text.split())  # noqa: E731
        self.line = one_line(source[first:last])
        self.mutated_line = one_line(source[first:begin] + replacement + source[end:last])
        self.id = ""  # set when all are known

    def text(self):
        return self.header.source[: self.begin] + self.replacement + self.header.source[self.end:]

    def key(self):
        return self.file, self.line, self.mutated_line

    def result(self, outcome, by):
        return {"id": self.id, "file": self.file, "line_number": self.line_number, "operator": self.operator,
                "line": self.line, "mutated": self.mutated_line, "outcome": outcome, "by": by}


class Token:
    def __init__(self, match, source):
        self.kind, self.text = match.lastgroup, match.group()
        self.begin, self.end = match.span()
        # clang-format puts a binary operator between two spaces, and none beside the brackets of a template.
        self.spaced = source[self.begin - 1: self.begin].isspace() and source[self.end: self.end + 1].isspace()


class Header:
    def __init__(self, file, source, active_lines):
        self.file, self.source = file, source
        self.tokens = [Token(m, source) for m in TOKEN.finditer(source)
                       if m.lastgroup not in ("comment", "directive")
                       and source.count("\n", 0, m.start()) + 1 in active_lines]
        self.mutants = []
        # Of each token, the innermost bracket that is open there.
        self.inside, open_brackets = [], []
        for token in self.tokens:
            if token.text in (")", "]", "}"):
                open_brackets.pop()
            self.inside.append(open_brackets[-1] if open_brackets else "{")
            if token.text in ("(", "[", "{"):
                open_brackets.append(token.text)

    def add(self, begin, end, replacement, operator):
        self.mutants.append(Mutant(self, begin, end, replacement, operator))

    def text_at(self, i):
        return self.tokens[i].text if 0 <= i < len(self.tokens) else ""

    def closing(self, i):
        """Of the bracket at token i, the one that closes it."""
        depth = 0
        for j in range(i, len(self.tokens)):
            depth += self.text_at(j) in ("(", "[", "{")
            depth -= self.text_at(j) in (")", "]", "}")
            if depth == 0:
                return j
        raise ValueError(f"{self.file}: unbalanced bracket")

    def skipped(self):
        """Tokens of what is about types: static_assert, using, alignas, the heads of templates. And the sizes of arrays:
        a larger one changes nothing, and that none is too small is for the sanitizers to say."""
        out = set()
        for i, token in enumerate(self.tokens):
            if token.text in ("static_assert", "using"):
                j = i
                while self.text_at(j) != ";":
                    j += 1
                out.update(range(i, j))
            elif token.text == "alignas":
                out.update(range(i, self.closing(i + 1) + 1))
            elif token.text == "[" and self.tokens[i - 1].kind == "name" and i > 1 and \
                    self.source[self.tokens[i - 1].begin - 1] == " " and \
                    (self.tokens[i - 2].kind == "name" and self.text_at(i - 2) not in NO_EXPRESSION - TYPES or
                     self.text_at(i - 2) in (">", "}", ",") and self.inside[i] == "{" and not self.tokens[i - 2].spaced):
                out.update(range(i, self.closing(i) + 1))
            elif token.text == "template" and self.text_at(i + 1) == "<":
                depth, j = 0, i + 1
                while True:
                    depth += self.text_at(j) == "<"
                    depth -= self.text_at(j) == ">"
                    out.add(j)
                    if depth == 0:
                        break
                    j += 1
        return out

    def find(self):
        skipped = self.skipped()
        for i, token in enumerate(self.tokens):
            if i in skipped or token.kind == "string":
                continue
            if token.kind == "number":
                self.number(i)
            elif token.kind == "name":
                self.name(i)
            else:
                self.punctuation(i)
            if self.text_at(i - 1) in (";", "{", "}", ")", "else") and i > 0:
                self.statement(i)
        return self.mutants

    def number(self, i):
        token = self.tokens[i]
        if self.text_at(i - 2) == self.text_at(i + 2) == token.text and self.text_at(i - 1) == self.text_at(i + 1) == ",":
            return  # inside a list of equal numbers: the first and the last will do
        whole = re.fullmatch(r"(\d+)(U?)", token.text)
        if whole:
            values = [f"{int(whole[1]) + 1}{whole[2]}"]
        else:
            values = ["1.0"] if re.fullmatch(r"0\.0?", token.text) else [f"(2 * {token.text})"]
        for value in values:
            self.add(token.begin, token.end, value, "constant")

    def name(self, i):
        token, before, after = self.tokens[i], self.text_at(i - 1), self.text_at(i + 1)
        if token.text in NAMES and before != "<" and after not in (",", ">"):
            self.add(token.begin, token.end, NAMES[token.text], "name")
        pointer_to_member = before == "::" and self.text_at(i - 2) == ">"  # &RowMoments<T>::mean
        if token.text in MEMBERS and (before in (".", "->") or pointer_to_member):
            self.add(token.begin, token.end, MEMBERS[token.text], "member")
        if token.text in WRAPPERS and before == "::" and self.text_at(i - 2) == "simd" and after == "(":
            close = self.closing(i + 1)
            comma = [j for j in range(i + 2, close) if self.text_at(j) == ","]
            first = self.tokens[comma[0]].end if comma else self.tokens[i + 1].end
            argument = self.source[first: self.tokens[close].begin].strip()
            self.add(self.tokens[i - 2].begin, self.tokens[close].end, argument, "wrapper")
        if token.text == "if" and after == "(":
            close = self.closing(i + 1)
            for value in ("true", "false"):
                self.add(self.tokens[i + 1].end, self.tokens[close].begin, value, "condition")

    def punctuation(self, i):
        token, before = self.tokens[i], self.text_at(i - 1)
        if before == "operator":
            return
        if token.spaced and token.text in BINARY:
            for other in BINARY[token.text]:
                self.add(token.begin, token.end, other, "operator")
        elif token.text == "<<" and self.tokens[i + 1].kind == "number":
            self.add(token.begin, token.end, ">>", "operator")
        elif token.text in ("!", "-") and not token.spaced and before != "!":
            self.add(token.begin, token.end, "", "operator")
        elif token.text == "?":
            self.add(token.begin, token.end, "|| true ?", "condition")
            self.add(token.begin, token.end, "&& false ?", "condition")

    def statement(self, i):
        """Deletes the statement that begins at token i, if it is an expression, break or continue."""
        if self.tokens[i].text in NO_EXPRESSION or not (self.tokens[i].kind == "name" or self.text_at(i) in ("*", "(")):
            return
        if self.inside[i] != "{" or self.text_at(i - 1) == ")" and not self.ends_head(i - 1):
            return
        j, previous = i, None
        while self.text_at(j) != ";":
            if self.text_at(j) in (")", "}", ""):
                return
            token = self.tokens[j]
            if previous is not None and token.kind == "name" and self.source[token.begin - 1] == " ":
                # Two names, or a name after a type's > * &: a declaration. (Nothing after the first = is.)
                if previous.kind == "name" or previous.text in (">", "*", "&") and not previous.spaced:
                    return
            if token.text in ("=", "+=", "-=", "*=", "/=", "&=") and token.spaced:
                while self.text_at(j) not in (";", ")", "}", ""):
                    j = self.closing(j) + 1 if self.text_at(j) in ("(", "[", "{") else j + 1
                if self.text_at(j) != ";" or self.text_at(j - 1) == "default":
                    return
                break
            previous = token
            j = self.closing(j) + 1 if token.text in ("(", "[", "{") else j + 1
        if self.text_at(i + 1) == "void" or self.is_if(i - 1) and self.text_at(j + 1) != "else":
            return  # as if (false)
        # An empty statement stays, for an if or a loop in front of it.
        self.add(self.tokens[i].begin, self.tokens[j].begin, "", "statement")

    def opening(self, i):
        """Of the bracket at token i, the one that opens it."""
        depth = 0
        for j in range(i, -1, -1):
            depth += self.text_at(j) in (")", "]", "}")
            depth -= self.text_at(j) in ("(", "[", "{")
            if depth == 0:
                return j
        raise ValueError(f"{self.file}: unbalanced bracket")

    def is_if(self, i):
        """The token is the ) of if (...)."""
        return self.text_at(i) == ")" and "if" in (self.text_at(self.opening(i) - 1), self.text_at(self.opening(i) - 2))

    def ends_head(self, i):
        """The same for if, for and while."""
        return self.is_if(i) or self.text_at(self.opening(i) - 1) in ("for", "while")


def active_lines(path, compilers):
    """Lines of a header that one of the compilers does not skip: #if is for other instruction sets."""
    lines = set()
    for compiler in compilers:
        done = subprocess.run([*compiler, "-E", path], capture_output=True, text=True, check=True)
        here, number = False, 0
        for line in done.stdout.splitlines():
            marker = re.match(r'# (\d+) "([^"]*)"', line)
            if marker:
                here, number = marker[2] == str(path), int(marker[1])
                continue
            if here and line.strip():
                lines.add(number)
            number += 1
    # The arguments of a macro are printed on its first line: lines that are missing without a directive among them.
    missing = []
    for number, line in enumerate(path.read_text().splitlines() + [""], 1):
        if number not in lines:
            missing.append((number, line))
        else:
            if not any(text.lstrip().startswith("#") for _, text in missing):
                lines.update(n for n, _ in missing)
            missing = []
    return lines


# Of dispatch/ what only a build for several instruction sets has in use.
LEFT_OUT = {"simdnorm.hpp", "pointers.hpp", "dispatch/call.hpp", "dispatch/kernels.hpp"}


def of_headers(include, compilers):
    """The mutants of all headers of rungs 0 to 4, but those that are left out."""
    found = []
    for path in sorted(include.rglob("*.hpp")):
        file = str(path.relative_to(include))
        if not file.startswith("eigen/") and file not in LEFT_OUT:
            found += Header(file, path.read_text(), active_lines(path, compilers)).find()
    occurrences = {}
    for mutant in found:
        occurrences[mutant.key()] = n = occurrences.get(mutant.key(), 0) + 1
        mutant.id = hashlib.sha256("\n".join([*mutant.key(), str(n)]).encode()).hexdigest()[:16]
    return found
