"""One module a command or group of commands; `cli/main.py` lists them."""
