"""As much of curl as the pages about HTTP use, so that tests need no curl on the machine."""

import argparse
import base64
import sys
from pathlib import Path
from urllib.request import Request, urlopen


def main() -> None:
    """Send one request, and print the answer; a status of 400 and more is an error."""
    options = argparse.ArgumentParser()
    options.add_argument("-H", dest="headers", action="append", default=[])
    options.add_argument("-u", dest="user")
    options.add_argument("-d", dest="body")
    options.add_argument("url")
    given = options.parse_args()
    headers = dict(header.split(": ", 1) for header in given.headers)
    if given.user is not None:
        headers["Authorization"] = "Basic " + base64.b64encode(given.user.encode()).decode()
    body = None if given.body is None else given.body.encode()
    if body is not None and body.startswith(b"@"):
        body = Path(given.body[1:]).read_bytes()
    with urlopen(Request(given.url, body, headers)) as answer:
        sys.stdout.write(answer.read().decode() + "\n")


if __name__ == "__main__":
    main()
