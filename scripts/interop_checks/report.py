"""Counting checks, and running the command that they are about."""

import json
import subprocess
import traceback


class CommandFailed(Exception):
    """Fathom ended with another exit code than expected."""


class Report:
    """Prints one line per check; a part that raises is a failed check, not the end of the run."""

    def __init__(self, fathom):
        self.fathom = fathom
        self.passed = self.failed = 0

    def check(self, name, holds, detail=""):
        """Counts one check and prints it."""
        holds = bool(holds)
        self.passed += holds
        self.failed += not holds
        print(f"{'ok  ' if holds else 'FAIL'} {name}{'  ' + detail if detail else ''}", flush=True)

    def note(self, text):
        """A measurement that is no check."""
        print(f"     {text}", flush=True)

    def part(self, name, function, folder):
        """Runs a part."""
        print(f"# {name}", flush=True)
        self.attempt(name, function, self, folder)

    def attempt(self, name, function, *arguments):
        """Runs a function whose exceptions are failed checks."""
        try:
            function(*arguments)
        except CommandFailed as failure:
            self.check(name, False, str(failure))
        except Exception:
            self.check(name, False, traceback.format_exc())

    def run(self, *arguments, expect=0):
        """Runs Fathom and returns its standard output."""
        command = [self.fathom, *map(str, arguments)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=600)
        if result.returncode != expect:
            raise CommandFailed(
                f"{' '.join(command)}: exit {result.returncode}, expected {expect}: "
                f"{result.stderr.strip()[-2000:]}"
            )
        return result.stdout

    def run_json(self, *arguments, expect=0):
        """Runs Fathom with `--format json` and parses what it prints."""
        return json.loads(self.run(*arguments, "--format", "json", expect=expect))

    def finish(self):
        """The last line and the exit code."""
        print(f"{self.passed} passed, {self.failed} failed")
        # A run without a single check has shown nothing.
        return 0 if self.failed == 0 and self.passed > 0 else 1
