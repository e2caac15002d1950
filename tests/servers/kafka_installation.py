"""Apache Kafka as its project publishes it: fetched once by Maven into the cache folder."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.servers.guarding import alone

CACHE = Path(__file__).parents[2] / ".cache"
VERSION = "4.3.1"
JAVA_MIN = 17
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"

POM = f"""<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>touchstone</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <properties>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
  </properties>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-simple</artifactId>
      <version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
"""
"""The broker, and for its log the smallest binding of the slf4j that it was built with."""


@dataclass(frozen=True, kw_only=True)
class Installation:
    """The programs of Kafka in a folder of their own, and the Java that runs them."""

    folder: Path
    java: Path
    java_version: int

    @property
    def class_path(self) -> str:
        """All of it by name, in an order that does not change: `archive` is good for no other."""
        return os.pathsep.join(map(str, sorted(self.folder.glob("*.jar"))))

    @property
    def archive(self) -> Path:
        """Its classes as that Java wants them in memory: with it a start takes half the time."""
        return self.folder / f"classes-{self.java_version}.jsa"


@cache
def installed(cache_folder: Path = CACHE) -> Installation:
    """Apache Kafka, fetched if it is not there yet.

    Raises RuntimeError, which says what to do, without a Java that can run it or if it cannot be
    fetched.
    """
    java, version = _java()
    folder = cache_folder / f"kafka-{VERSION}"
    if not folder.exists():
        with alone(folder):
            if not folder.exists():
                _fetch(folder)
    return Installation(folder=folder, java=java, java_version=version)


def _java() -> tuple[Path, int]:
    """The Java of JAVA_HOME, or else the one on the PATH, and its version."""
    found = []
    for program in _candidates():
        version = _version(program)
        if version >= JAVA_MIN:
            return program, version
        found.append(f"; {program} is {version or 'none'}")
    raise RuntimeError(
        f"Apache Kafka {VERSION} needs Java {JAVA_MIN} or newer{''.join(found)}: install one "
        "(Debian: apt-get install default-jre-headless; macOS: brew install openjdk), or name its "
        "folder in JAVA_HOME"
    )


def _candidates() -> Iterator[Path]:
    home = os.environ.get("JAVA_HOME")
    if home:
        yield Path(home) / "bin" / "java"
    on_path = shutil.which("java")
    if on_path:
        yield Path(on_path)


def _version(java: Path) -> int:
    """17 of `openjdk version "17.0.15"`; 0 if it cannot be run here."""
    try:
        told = subprocess.run([str(java), "-version"], capture_output=True, text=True, check=False)
    except OSError:
        return 0
    major = re.search(r'version "(\d+)', told.stderr)
    return int(major[1]) if major else 0


def _fetch(folder: Path) -> None:
    """Let Maven copy the files to another folder, which takes the name when it is whole."""
    for left in folder.parent.glob(f"{folder.name}.*.partial"):  # by one that was killed
        shutil.rmtree(left)
    with tempfile.TemporaryDirectory(
        prefix=f"{folder.name}.", suffix=".partial", dir=folder.parent
    ) as partial:
        pom, files = Path(partial, "pom.xml"), Path(partial, "files")
        pom.write_text(POM)
        _run_maven("--file", str(pom), COPY, f"-DoutputDirectory={files}", "-DincludeScope=runtime")
        if not list(files.glob(f"kafka_2.13-{VERSION}.jar")):
            raise RuntimeError(f"Maven copied no Apache Kafka {VERSION} to {files}")
        files.rename(folder)


def _run_maven(*arguments: str) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise RuntimeError(
            f"Apache Kafka {VERSION} is fetched by Maven, and there is no mvn on the PATH: install "
            "it (Debian: apt-get install maven; macOS: brew install maven)"
        )
    done = subprocess.run(
        [maven, "--quiet", "--batch-mode", "--strict-checksums", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(
            f"Maven could not fetch Apache Kafka {VERSION}; once fetched it is kept in "
            f".cache/kafka-{VERSION}: {done.stdout[-2_000:]}"
        )
