"""A service starts with what it was told, or says everything that is wrong with it."""

from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from chassis import settings
from chassis.settings import BadSettings, Secret, load


class Pool(Struct, frozen=True):
    size: int = 5


class Shape(Struct, frozen=True, forbid_unknown_fields=True):
    port: int
    key: Secret
    database_url: str = ""
    pool: Pool = Pool()
    hosts: tuple[str, ...] = ()
    folder: Path = Path("here")
    limits: dict[str, int] = {}
    instances: dict[str, dict[str, Any]] = {}


class Inner(Struct, frozen=True):
    base_url: str
    password: Secret | None = None


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "firmwire.toml"
    path.write_text(
        '[process]\nport = 8001\nkey = "from-file"\nhosts = ["a"]\n[process.pool]\nsize = 7\n'
        '[process.instances.one]\nbase_url = "http://x"\n[process.instances.two]\nbase_url = "y"\n'
    )
    return path


def wrongs(env, file=None, section="process"):
    with pytest.raises(BadSettings) as caught:
        load(Shape, section, env=env, file=file)
    return {wrong.field: wrong for wrong in caught.value.wrongs}, str(caught.value)


def test_the_environment_wins_over_the_file(file):
    """Field by field; defaults fill what neither says."""
    found = load(Shape, "process", env={"FIRMWIRE_PROCESS_PORT": "9"}, file=file)
    assert (found.port, found.key, found.pool, found.hosts) == (
        9, Secret("from-file"), Pool(7), ("a",),
    )  # fmt: skip
    assert found.folder == Path("here")


def test_the_file_is_named_by_the_environment(file):
    """FIRMWIRE_SETTINGS_FILE."""
    env = {"FIRMWIRE_SETTINGS_FILE": str(file)}
    assert load(Shape, "process", env=env).port == 8001


def test_text_becomes_what_the_field_is():
    """Numbers, lists by comma or JSON, tables by JSON, paths with ~, nested sections."""
    env = {
        "FIRMWIRE_PROCESS_PORT": "80",
        "FIRMWIRE_PROCESS_KEY": "k-1",
        "FIRMWIRE_PROCESS_HOSTS": "a, b,",
        "FIRMWIRE_PROCESS_FOLDER": "~/x",
        "FIRMWIRE_PROCESS_POOL_SIZE": "3",
        "FIRMWIRE_PROCESS_LIMITS": '{"a": 1}',
    }
    found = load(Shape, "process", env=env)
    assert found.hosts == ("a", "b")
    assert found.folder == Path.home() / "x"
    assert found.pool == Pool(3)
    assert found.limits == {"a": 1}
    again = load(Shape, "process", env={**env, "FIRMWIRE_PROCESS_HOSTS": '["c,d"]'})
    assert again.hosts == ("c,d",)


def test_everything_wrong_is_told_at_once(file):
    """Nobody mends five settings in five starts."""
    found, told = wrongs({
        "FIRMWIRE_PROCESS_PORT": "eighty",
        "FIRMWIRE_PROCESS_KEY": "changeme",
        "FIRMWIRE_PROCESS_POOL_SIZE": "x",
        "FIRMWIRE_PROCESS_PROT": "1",
    })  # fmt: skip
    expected = {"process.port", "process.key", "process.pool.size", "FIRMWIRE_PROCESS_PROT"}
    assert expected == set(found)
    assert "One of: database_url" in found["FIRMWIRE_PROCESS_PROT"].hint
    assert all(field in told for field in expected)


def test_missing_says_how_to_set_it():
    """Both ways."""
    found, _ = wrongs({"FIRMWIRE_PROCESS_KEY": "k-1"})
    assert found["process.port"].hint == "Set FIRMWIRE_PROCESS_PORT, or port under [process]."


def test_unknown_in_the_file_is_refused(tmp_path):
    """A misspelt setting is not a setting nobody needed."""
    path = tmp_path / "f.toml"
    path.write_text('[process]\nport = 1\nkey = "k-1"\nprot = 2\n')
    found, _ = wrongs({}, path)
    assert set(found) == {"process.prot"}


def test_a_broken_or_missing_file_is_told(tmp_path):
    """With the file's name."""
    path = tmp_path / "f.toml"
    found, _ = wrongs({}, path)
    assert "not there" in found[str(path)].reason
    path.write_text("=")
    found, _ = wrongs({}, path)
    assert "not TOML" in found[str(path)].reason
    with pytest.raises(BadSettings):
        settings.names("process.instances", file=path, env={})


def test_instances_are_sections_of_their_own(file):
    """Names from the file, each loaded by itself, its variables left alone by the section above."""
    env = {"FIRMWIRE_PROCESS_INSTANCES_ONE_PASSWORD": "pw-1"}
    assert settings.names("process.instances", file=file, env={}) == ("one", "two")
    one = load(Inner, "process.instances.one", file=file, env=env)
    assert one == Inner("http://x", Secret("pw-1"))
    assert set(load(Shape, "process", file=file, env=env).instances) == {"one", "two"}


@pytest.mark.parametrize("value", ["", "changeme", "SECRET", " password "])
def test_a_well_known_secret_is_none(value):
    """A service does not start with the password from a manual."""
    found, _ = wrongs({"FIRMWIRE_PROCESS_PORT": "1", "FIRMWIRE_PROCESS_KEY": value})
    assert set(found) == {"process.key"}


def test_a_secret_never_shows(file):
    """Not in repr, not in what is shown at start, not in the address of a database."""
    env = {"FIRMWIRE_PROCESS_DATABASE_URL": "postgresql://u:hunter2@db/f"}
    found = load(Shape, "process", file=file, env=env)
    shown = settings.shown(found)
    assert "from-file" not in repr(found) + repr(shown) + str(found.key)
    assert shown["key"] == "***"
    assert shown["database_url"] == "postgresql://***@db/f"
    assert shown["pool"] == {"size": 7}
    assert found.key.reveal() == "from-file"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


def test_home_is_where_it_is_told_to_be(tmp_path, monkeypatch):
    """FIRMWIRE_HOME, or `.firmwire` here."""
    monkeypatch.chdir(tmp_path)
    assert settings.home({}) == tmp_path / ".firmwire"
    assert settings.home({"FIRMWIRE_HOME": "/x"}) == Path("/x")


class Ambiguous(Struct, frozen=True):
    pool: Pool = Pool()
    pool_url: str = ""


class Around(Struct, frozen=True):
    within: Ambiguous = Ambiguous()


class Tables(Struct, frozen=True):
    instances: dict[str, dict[str, Any]] = {}
    instances_most: int = 1


@pytest.mark.parametrize(
    ("shape", "field"),
    [(Ambiguous, "pool_url"), (Around, "pool_url"), (Tables, "instances_most")],
)
def test_a_shape_whose_variables_mean_two_fields_is_refused(shape, field):
    """By whoever writes it, at the first start, whatever is set: FIRMWIRE_X_POOL_URL is one."""
    with pytest.raises(TypeError, match=rf"\.{field}: .*rename it"):
        load(shape, "process", env={})


def test_names_that_only_look_alike_are_fine():
    """`pools` and `poolside` do not begin with `pool_`."""

    class Fine(Struct, frozen=True):
        pool: Pool = Pool()
        pools: int = 1
        car_pool: int = 2

    env = {"FIRMWIRE_PROCESS_POOLS": "3", "FIRMWIRE_PROCESS_POOL_SIZE": "4"}
    assert load(Fine, "process", env=env) == Fine(Pool(4), 3, 2)
