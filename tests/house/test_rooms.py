"""Everything has its room: libraries, clocks, the environment, and names that say something.

A rule is left only by `# house: <rule> <why>` on the line or the one above; `make rooms` counts.
"""

import ast

VAGUE = {
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "core",
    "base",
    "misc",
    "managers",
    "manager",
}
LINES_MAX = 400

# library: where it may be imported (a prefix of the module's name)
ROOMS = {
    "httpx": ("chassis.outbound", "chassis.call", "chassis.wire"),
    "pyreqwest": ("chassis.wire", "chassis.fetch"),
    "litestar": ("chassis.service", "chassis.serve", "chassis.openapi", "gateway.control",
                 "gateway.console", "system_apis", "process_apis", "experience_apis"),
    "sqlalchemy": ("chassis.database", "chassis.idempotency", "gateway.control", "gateway",
                   "system_apis", "process_apis", "experience_apis"),
    "alembic": ("chassis.database", "gateway", "system_apis", "process_apis", "experience_apis"),
    "structlog": ("chassis.log",),
    "prometheus_client": ("chassis.metrics",),
    "authlib": ("chassis.identity", "gateway", "system_apis.vendors"),
    "joserfc": ("chassis.identity", "gateway", "system_apis.vendors"),
    "starlette": ("system_apis.simulator", "system_apis.vendors", "sandbox", "gateway.identity",
                  "gateway.control"),
    "slowapi": ("gateway",),
    "dbos": ("process_apis",),
    "redis": ("chassis",),
    "opentelemetry": ("chassis",),
    "uvicorn": ("chassis.server", "sandbox", "gateway"),
    "rich": ("firmwire",),
    "click": ("firmwire",),
    "argon2": ("gateway",),
    "jinja2": ("experience_apis", "gateway"),
}  # fmt: skip

# what is called: rule, where it is at home, what to do instead
CALLS = {
    "datetime.now": ("clock", ("chassis.clock",), "use chassis.clock.now()"),
    "datetime.utcnow": ("clock", (), "use chassis.clock.now()"),
    "datetime.today": ("clock", (), "use chassis.clock.today(zone)"),
    "date.today": ("clock", (), "use chassis.clock.today(zone)"),
    "time.time": ("clock", (), "use chassis.clock.now().timestamp()"),
    "time.monotonic": ("clock", ("chassis.clock",), "use chassis.clock.monotonic()"),
    "time.sleep": ("sleep", (), "wait for a condition, with a deadline"),
    "os.getenv": ("environment", ("chassis.settings",), "read it in chassis.settings"),
    "print": ("print", ("firmwire",), "use chassis.log"),
    "breakpoint": ("print", (), "remove it"),
}


def test_every_library_has_its_room(sources):
    """Replacing a library is one room's work."""
    found = []
    for source in sources:
        for node in ast.walk(source.tree):
            for library in _imported(node):
                homes = ROOMS.get(library)
                if homes is None or _at_home(source.module, (*homes, "sandbox")):
                    continue
                if not source.escaped(node, "room"):
                    found.append(f"{source.where(node)}: {library} belongs to {', '.join(homes)}")
    assert found == []


def test_clocks_environment_and_print_stay_in_their_rooms(sources):
    """Time can stand still in a test, and settings are read once."""
    found = []
    for source in sources:
        for node in ast.walk(source.tree):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            rule, homes, instead = CALLS.get(called, ("", (), ""))
            is_environment = isinstance(node, ast.Attribute) and ast.unparse(node) == "os.environ"
            if is_environment:
                rule, homes, instead = (
                    "environment",
                    ("chassis.settings", "firmwire"),
                    "read it in settings",
                )
            if rule and not _at_home(source.module, homes) and not source.escaped(node, rule):
                found.append(f"{source.where(node)}: {called or 'os.environ'}: {instead}")
    assert found == []


def test_only_supervisors_catch_everything(sources):
    """chassis/problems.py says what an exception means; nobody else guesses."""
    found = []
    for source in sources:
        for node in ast.walk(source.tree):
            if not isinstance(node, ast.ExceptHandler):
                continue
            caught = "" if node.type is None else ast.unparse(node.type)
            if caught not in ("", "Exception", "BaseException") or _raises_on(node):
                continue
            if not source.escaped(node, "except"):
                found.append(
                    f"{source.where(node)}: catch what you can mend; a supervisor loop says so"
                )
    assert found == []


def test_no_name_says_nothing(sources):
    """A file is named by what it is for."""
    found = {source.module for source in sources if VAGUE & set(source.module.split("."))}
    assert found == set()


def test_files_stay_readable(sources):
    """A file is one thought; generated-like tables of a first migration are the exception."""
    found = [
        f"{source.module}: {len(source.text.splitlines())} lines"
        for source in sources
        if ".migrations." not in source.module
        and len(source.text.splitlines()) > LINES_MAX
        and not source.escaped(source.tree, "length")
    ]
    assert found == []


def test_every_file_says_what_it_is_for(sources):
    """The first sentence of a module finishes `this file exists to ...`."""
    silent = [source.module for source in sources if not ast.get_docstring(source.tree)]
    assert silent == []


def test_money_is_never_a_float(sources):
    """No field that holds an amount is annotated float."""
    words = ("amount", "price", "minor", "total", "money", "revenue", "tax")
    found = []
    for source in sources:
        for node in ast.walk(source.tree):
            if not isinstance(node, ast.AnnAssign | ast.arg) or node.annotation is None:
                continue
            name = node.arg if isinstance(node, ast.arg) else ast.unparse(node.target)
            is_money = any(word in name.split("_") for word in words)
            if is_money and "float" in ast.unparse(node.annotation):
                found.append(f"{source.where(node)}: {name} must be Decimal or whole minor units")
    assert found == []


def _raises_on(handler: ast.ExceptHandler) -> bool:
    """It tidies up and lets the exception go on."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.split(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module.split(".")[0]]
    return []


def _at_home(module: str, homes: tuple[str, ...]) -> bool:
    return any(module == home or module.startswith(f"{home}.") for home in homes)
