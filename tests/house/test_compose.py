"""docker-compose.yml, the Dockerfile and docs/DEPLOYING.md: what people would trip over in them."""

import json
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from cli.main import COMMANDS, run, touchstone
from cli.session import Session
from consumers.client import SESSION_SECONDS
from schemas.asyncapi import RECORDED_TOPIC, TOUCHPOINTS_TOPIC
from tests.house.sources import ROOMS, ROOT
from tests.servers.kafka_installation import VERSION as KAFKA_VERSION

Service = dict[str, Any]

TEXT = (ROOT / "docker-compose.yml").read_text("utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
PAGE = (ROOT / "docs/DEPLOYING.md").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
DEVELOPMENT_PASSWORD = "${POSTGRES_PASSWORD:-development-only}"
LOOPBACK = "127.0.0.1:"
_VARIABLE = re.compile(r"\$(?:(\$)|\{\w+:-([^}]*)\})")


def filled(text: str) -> str:
    """A text of the file with the defaults of its variables, as Compose fills them in."""
    return _VARIABLE.sub(lambda found: found[1] or found[2], text)


FILE = yaml.safe_load(TEXT)
FILLED = yaml.safe_load(filled(TEXT))
SERVICES: dict[str, Service] = FILLED["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
TOPICS = dict(re.findall(r"^create (\S+) (\d+)$", SERVICES["prepare-topics"]["command"][0], re.M))


def one_shot(service: Service) -> bool:
    return bool(service["restart"] == "no")


def command_of(service: Service) -> list[str]:
    """The arguments of touchstone, with those that an entrypoint of the service adds."""
    entrypoint = service.get("entrypoint")
    if entrypoint is None:
        return list(service["command"])
    script = shlex.split(entrypoint[2].replace('"$@"', shlex.join(service["command"])))
    assert script[:2] == ["exec", "touchstone"]
    return script[2:]


def parsed(arguments: list[str]) -> click.Context:
    """The command line as the real commands take it. Raises UsageError when it is wrong."""
    name, *rest = arguments
    ctx = click.Context(touchstone, obj=Session())
    command = touchstone.get_command(ctx, name)
    assert command is not None, f"there is no command {name}"
    while isinstance(command, click.Group):
        found = command.get_command(ctx, rest[0])
        assert found is not None, f"there is no command {name} {rest[0]}"
        command, rest = found, rest[1:]
    return command.make_context(name, rest, parent=ctx)


def started(service: Service, arguments: list[str] | None = None) -> dict[str, Any]:
    """The options of a command in a container of ours: the service's own, or another."""
    with pytest.MonkeyPatch.context() as process:
        for name, value in service["environment"].items():
            process.setenv(name, value)
        return parsed(command_of(service) if arguments is None else arguments).params


def variables_read() -> set[str]:
    """The environment variables that stand for an option of some command."""
    ctx = click.Context(touchstone)
    commands = [touchstone, *filter(None, (touchstone.get_command(ctx, n) for n in COMMANDS))]
    named = [option.envvar for command in commands for option in command.params]
    return {name for each in named if each for name in ([each] if isinstance(each, str) else each)}


def ports(service: Service) -> Iterator[tuple[str, str]]:
    """(published, inside) of each port, without the address."""
    for port in service.get("ports", ()):
        published, _, inside = port.removeprefix(LOOPBACK).rpartition(":")
        yield published, inside


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_this_machine_alone(name: str) -> None:
    assert all(port.startswith(LOOPBACK) for port in SERVICES[name].get("ports", ()))
    assert "network_mode" not in SERVICES[name]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_a_health_check_or_ends(name: str) -> None:
    assert ("healthcheck" in SERVICES[name]) != one_shot(SERVICES[name])


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_rights_that_it_does_not_need(name: str) -> None:
    service = SERVICES[name]
    if not service.get("image", "").startswith("apache/kafka"):  # its start writes its settings
        assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service


def test_the_volumes_that_are_declared_are_those_that_are_used() -> None:
    used = {
        v.partition(":")[0] for service in SERVICES.values() for v in service.get("volumes", ())
    }
    assert used == set(FILLED["volumes"])


@pytest.mark.parametrize("name", SERVICES)
def test_who_waits_for_a_service_waits_for_what_it_can_become(name: str) -> None:
    for other, wait in SERVICES[name].get("depends_on", {}).items():
        ends = one_shot(SERVICES[other])
        wanted = "service_completed_successfully" if ends else "service_healthy"
        assert wait == {"condition": wanted}, other


@pytest.mark.parametrize("name", OURS)
def test_a_command_line_is_one_that_the_commands_take(name: str) -> None:
    started(OURS[name])


@pytest.mark.parametrize("name", OURS)
def test_the_variables_that_a_service_is_given_are_read(name: str) -> None:
    given = {key for key in OURS[name]["environment"] if key.startswith("TOUCHSTONE_")}
    assert given
    assert given <= variables_read()


@pytest.mark.parametrize("name", [name for name in OURS if not one_shot(OURS[name])])
def test_health_is_asked_where_the_service_answers(name: str) -> None:
    asked = re.search(
        r'HTTPConnection\("127\.0\.0\.1", (\d+)', OURS[name]["healthcheck"]["test"][3]
    )
    given = started(OURS[name])
    where = "" if name == "serve" else "health_"  # what serves answers where it serves
    assert asked is not None
    assert given[f"{where}port"] == int(asked[1])
    assert {inside for _, inside in ports(OURS[name])} == {asked[1]}
    assert given[f"{where}host"] == "0.0.0.0"  # a published port does not lead to its loopback


@pytest.mark.parametrize("name", OURS)
def test_the_key_file_is_on_the_volume_of_keys_and_only_a_job_writes_it(name: str) -> None:
    (volume,) = OURS[name]["volumes"]
    source, folder, *mode = volume.split(":")
    assert source == "keys"
    assert Path(OURS[name]["environment"]["TOUCHSTONE_KEYS"]).parent == Path(folder)
    assert mode == ([] if one_shot(OURS[name]) else ["ro"])
    owned = re.search(r"^ .*install (?:.|\n)*?--owner touchstone .*\n *(.*)$", DOCKERFILE, re.M)
    assert owned is not None
    assert owned[1].split() == [str(Path(folder).parent), folder]


def test_no_secret_stands_in_the_file_but_the_default_that_it_warns_of() -> None:
    secret = re.compile(r"PASSWORD|SECRET|TOKEN|_KEY$")
    found = {
        value
        for service in FILE["services"].values()
        for name, value in service.get("environment", {}).items()
        if secret.search(name)
    }
    assert found == {DEVELOPMENT_PASSWORD}
    assert not re.search(r"://[^/\s@]*:[^/\s@]*@", TEXT)
    assert "CHANGE IT" in TEXT.partition("services:")[0]


def test_every_topic_that_a_command_names_is_made_before() -> None:
    named = set()
    for service in OURS.values():
        given = started(service)
        topic = given.get("topic", given.get("topics", ()))
        named |= {topic} if isinstance(topic, str) else set(topic)
        named |= {given["dead_letter_topic"]} if given.get("dead_letter_topic") else set()
    assert named == set(TOPICS)
    assert {TOUCHPOINTS_TOPIC, RECORDED_TOPIC} < named


def test_there_is_a_port_for_each_consumer_that_can_be_of_use() -> None:
    ((published, _),) = ports(SERVICES["consume"])
    first, last = map(int, published.split("-"))
    assert last - first + 1 == int(TOPICS[TOUCHPOINTS_TOPIC])


def test_each_consumer_has_a_name_of_its_own_that_outlives_a_restart() -> None:
    assert started(SERVICES["consume"])["instance"] == "$HOSTNAME"
    assert not {"hostname", "container_name"} & set(SERVICES["consume"])


def test_the_broker_can_be_reached_by_containers_and_from_this_machine() -> None:
    given = SERVICES["kafka"]["environment"]
    bound, told = (
        _listeners(given["KAFKA_LISTENERS"]),
        _listeners(given["KAFKA_ADVERTISED_LISTENERS"]),
    )
    ((published, inside),) = ports(SERVICES["kafka"])
    inner, controller = (
        given["KAFKA_INTER_BROKER_LISTENER_NAME"],
        given["KAFKA_CONTROLLER_LISTENER_NAMES"],
    )
    protocols = dict(p.split(":") for p in given["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(","))
    assert set(protocols) == set(bound) == {*told, controller}
    assert told[inner] == f"kafka{bound[inner]}"
    assert (told["HOST"], bound["HOST"]) == (f"{LOOPBACK}{published}", f":{inside}")
    assert given["KAFKA_CONTROLLER_QUORUM_VOTERS"] == (
        f"{given['KAFKA_NODE_ID']}@{SERVICES['kafka']['hostname']}{bound[controller]}"
    )
    for service in OURS.values():
        assert service["environment"]["TOUCHSTONE_KAFKA_BOOTSTRAP_SERVERS"] == told[inner]


def _listeners(text: str) -> dict[str, str]:
    return dict(listener.split("://") for listener in text.split(","))


def test_one_broker_is_enough_for_every_topic_of_its_own() -> None:
    given = SERVICES["kafka"]["environment"]
    counts = {n: v for n, v in given.items() if n.endswith(("REPLICATION_FACTOR", "_ISR"))}
    assert set(counts.values()) == {1}
    for internal in ("OFFSETS_TOPIC", "TRANSACTION_STATE_LOG", "SHARE_COORDINATOR_STATE_TOPIC"):
        assert f"KAFKA_{internal}_REPLICATION_FACTOR" in counts


def test_versions_are_fixed_and_the_same_everywhere() -> None:
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"
    assert SERVICES["prepare-topics"]["image"] == SERVICES["kafka"]["image"]
    assert {service["image"].rpartition(":")[2] for service in OURS.values()} == {
        PROJECT["version"]
    }
    postgres = SERVICES["postgres"]["image"].rpartition(":")[2]
    assert f"PostgreSQL {postgres}, Apache Kafka {KAFKA_VERSION}" in PAGE


def test_the_data_of_postgresql_18_is_where_its_image_keeps_it() -> None:
    assert SERVICES["postgres"]["volumes"] == ["postgres:/var/lib/postgresql"]


def test_the_image_runs_as_a_user_without_rights_by_number() -> None:
    stages = re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)
    assert len(set(stages)) == 1
    assert re.fullmatch(r"python:3\.\d+-slim", stages[0])
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    (user,) = re.findall(r"^USER (\d+):(\d+)$", last, re.M)
    assert "0" not in user
    assert f"useradd --uid {user[0]} --gid {user[1]}" in last
    assert not re.search(r"\b(apt-get|gcc|pip)\b", last)


def test_the_image_has_what_pyproject_names_with_the_versions_of_the_constraints() -> None:
    extra = re.search(r"--constraint constraints\.txt '\.\[([\w-]+)\]'", DOCKERFILE)
    assert extra is not None
    assert extra[1] in PROJECT["optional-dependencies"]
    assert re.search(r'^ENTRYPOINT \["touchstone"\]$', DOCKERFILE, re.M)
    assert "touchstone" in PROJECT["scripts"]


def test_the_image_is_built_from_the_code_and_nothing_else_of_the_folder() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    assert rules[0] == "*"
    assert let_in == {*ROOMS, "LICENSE", "README.md", "constraints.txt", "pyproject.toml"}


def test_the_page_names_every_service_and_where_it_is_published() -> None:
    rows = dict(re.findall(r"^\| `([\w-]+)` \| (.*) \|$", PAGE, re.M))
    assert set(rows) == set(SERVICES)
    for name, service in SERVICES.items():
        shown = [published.replace("-", " to ") for published, _ in ports(service)]
        assert all(f"{LOOPBACK}{port}" in rows[name] for port in shown)
        assert shown or LOOPBACK not in rows[name]
    assert all(f"`{topic}`" in rows["prepare-topics"] for topic in TOPICS)
    assert f"({TOPICS[TOUCHPOINTS_TOPIC]} partitions)" in rows["prepare-topics"]


def test_the_page_calls_services_and_commands_that_there_are() -> None:
    calls = re.findall(r"^docker compose exec (\S+) touchstone (.+)$", PAGE, re.M)
    assert calls
    for service, line in calls:
        assert service in OURS
        assert not one_shot(OURS[service])
        started(OURS[service], shlex.split(line))
    for service in re.findall(r"^docker compose (?:exec|cp|port --index \d) (\w+)", PAGE, re.M):
        assert service in SERVICES
    assert f"within {SESSION_SECONDS:.0f} seconds" in PAGE


def test_the_first_touchpoint_of_the_page_is_recorded(tmp_path: Path) -> None:
    sent = re.search(r"^echo '(\{.*\})' \|\n  kcat -P -b (\S+) -t (\S+) -k (\S+) ", PAGE, re.M)
    assert sent is not None
    event, servers, topic, key = sent.groups()
    ledger = f"sqlite:///{tmp_path}/first.db"
    (tmp_path / "first.ndjson").write_text(event + "\n")
    assert run(["--ledger", ledger, "init"]) == 0
    assert run(["--ledger", ledger, "append", str(tmp_path / "first.ndjson")]) == 0
    assert key == json.loads(event)["subject"]
    ((published, _),) = ports(SERVICES["kafka"])
    assert servers == f"{LOOPBACK}{published}"
    assert topic in TOPICS


def test_docker_compose_takes_the_file() -> None:
    program = shutil.which("docker-compose")
    if program:
        subprocess.run(
            [program, "-f", str(ROOT / "docker-compose.yml"), "config", "-q"], check=True
        )


def test_defaults_are_filled_in_as_compose_does() -> None:
    assert filled("${A:-1}:2 $$@ ${B:-x/y}z") == "1:2 $@ x/yz"
