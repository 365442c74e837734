"""Models on servers: a double of the hub that huggingface_hub itself downloads from, and its faults."""

import filecmp
import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from makers.samples import SAMPLES

from . import remote_s3

SERVER = Path(__file__).parents[1] / "peers" / "hub_server.py"
TOKEN = "hf_neverToBeSeen0123456789"
NAME = "tiny-fp8"
MODEL = f"hf://test/{NAME}"


class Double:
    """A running server, and what it has been asked."""

    def __init__(self, process, facts, log):
        self.process, self.log_path = process, log
        self.hub, self.commits = facts["hub"], facts["commits"]

    def log(self):
        return [json.loads(line) for line in self.log_path.read_text().splitlines()]


@contextmanager
def double(folder, *models, faults=None, latency=0, token=None, certificate=None):
    """Serves folders; `faults` are those of peers/hub_server.py."""
    log = folder / f"log-{random.random()}"
    command = [sys.executable, str(SERVER), *map(str, models), "--faults", json.dumps(faults or {}),
               "--latency", str(latency), "--log", str(log)]
    command += ["--token", token] if token else []
    command += ["--certificate", str(certificate)] if certificate else []
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield Double(process, json.loads(process.stdout.readline()), log)
    finally:
        process.kill()
        process.wait()


def environment(server, folder, **more):
    """Variables for a command that asks the double."""
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith("HF_") and "proxy" not in name.lower()}
    return kept | {"HF_ENDPOINT": server.hub, "HF_HOME": str(folder / "home")} | more


def fathom(report, server, folder, *arguments, expect=0, **more):
    """Runs Fathom with the double as the hub; returns its output and messages."""
    result = subprocess.run([report.fathom, *map(str, arguments)], capture_output=True, text=True,
                            env=environment(server, folder, **more), timeout=300)
    shown = f"{' '.join(map(str, arguments))}: exit {result.returncode}, {result.stderr[-500:]}"
    report.check(f"exit code {expect}: {arguments[0]} {' '.join(more)}", result.returncode == expect,
                 "" if result.returncode == expect else shown)
    report.check("and no token in it", TOKEN not in result.stdout + result.stderr)
    return result.stdout, result.stderr


def same(one, other):
    """Whether two files, or the files of two folders, have the same bytes."""
    if one.is_file():
        return filecmp.cmp(one, other, shallow=False)
    names = sorted(path.name for path in one.iterdir() if path.is_file())
    others = sorted(path.name for path in other.iterdir() if path.is_file())
    return names == others and all(
        filecmp.cmp(one / name, other / name, shallow=False) for name in names)


def check_real_client(report, folder, sample):
    """huggingface_hub downloads from the double; its cache is read without asking anybody."""
    script = ("import sys; from huggingface_hub import snapshot_download; "
              "print(snapshot_download(sys.argv[1], token=sys.argv[2]))")
    # Its cache is not there for the checks that follow.
    folder = folder / "client"
    folder.mkdir()
    with double(folder, sample, token=TOKEN) as server:
        variables = environment(server, folder, HF_HUB_DISABLE_XET="1", HF_HUB_DISABLE_PROGRESS_BARS="1")
        result = subprocess.run([sys.executable, "-c", script, f"test/{NAME}", TOKEN], env=variables,
                                capture_output=True, text=True, timeout=120)
        report.check("huggingface_hub downloads from the double", result.returncode == 0,
                     result.stderr[-800:])
        snapshot = Path(result.stdout.strip().splitlines()[-1])
        report.check("and gets the files", same(sample, snapshot))
        asked = len(server.log())
        hashes = report.run("hash", sample)
        output, _ = fathom(report, server, folder, "hash", MODEL, HF_HUB_OFFLINE="1")
        report.check("its cache is read offline", output == hashes and len(server.log()) == asked)
        blobs = folder / "home/hub" / f"models--test--{NAME}" / "blobs"
        before = {path.name: path.stat().st_mtime_ns for path in blobs.iterdir()}
        output, _ = fathom(report, server, folder, "hash", MODEL, HF_TOKEN=TOKEN)
        report.check("and online, where it has the commit",
                     output == hashes and len(server.log()) == asked + 1)
        report.check("and is left as it was",
                     before == {path.name: path.stat().st_mtime_ns for path in blobs.iterdir()})


def check_token(report, folder, sample):
    """The token goes to the hub and to no other host, and is on no list."""
    with double(folder, sample, token=TOKEN) as server:
        fathom(report, server, folder, "hash", MODEL, HF_TOKEN=TOKEN)
        log = server.log()
        report.check("the hub sees the token",
                     all(row["authorization"] for row in log if row["origin"] == "hub"))
        report.check("the other host does not",
                     not any(row["authorization"] for row in log if row["origin"] == "cdn")
                     and any(row["origin"] == "cdn" for row in log))
        _, messages = fathom(report, server, folder, "hash", MODEL, expect=66)
        report.check("without one it says what to do", "HF_TOKEN" in messages)
    with double(folder, sample, token=TOKEN, faults={"slow": 200_000}) as server:
        process = subprocess.Popen(
            [report.fathom, "hash", MODEL], env=environment(server, folder, HF_TOKEN=TOKEN),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(0.5)
        line = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        process.send_signal(signal.SIGINT)
        output, messages = process.communicate(timeout=60)
        report.check("no list of processes has it", TOKEN.encode() not in line + output + messages)
        # Before the first weights it is the system that ends it.
        report.check("Ctrl-C ends a slow download", process.returncode in (130, -signal.SIGINT))


def check_certificates(report, folder, sample):
    """A server is believed by its certificate alone, and https is never left."""
    key, certificate = folder / "server.pem", folder / "authority.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test",
         "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True)
    key.write_text(key.read_text() + certificate.read_text())
    hashes = report.run("hash", sample)
    with double(folder, sample, certificate=key) as server:
        _, messages = fathom(report, server, folder, "hash", MODEL, expect=74)
        report.check("an unknown authority is refused", "certificate" in messages.lower())
        output, _ = fathom(report, server, folder, "hash", MODEL, SSL_CERT_FILE=str(certificate))
        report.check("a named one is believed", output == hashes)
    with double(folder, sample, certificate=key, faults={"downgrade": 1}) as server:
        _, messages = fathom(
            report, server, folder, "hash", MODEL, expect=65, SSL_CERT_FILE=str(certificate))
        report.check("https is not left for http", "from https to http" in messages)


def check_proxy(report, folder, sample):
    """A proxy of the environment is asked, whoever the endpoint is."""
    hashes = report.run("hash", sample)
    with double(folder, sample) as server:
        output, _ = fathom(report, server, folder, "hash", f"{server.hub}/plain/{NAME}",
                           HF_ENDPOINT="https://hub.invalid")
        report.check("a server that lists nothing is read", output == hashes)
        subprocess_environment = dict(HF_ENDPOINT="http://hub.invalid", http_proxy=server.hub)
        output, _ = fathom(report, server, folder, "inspect", f"{MODEL}/config.json", **subprocess_environment)
        report.check("a proxy is asked", "parameters" in output.lower() or output != "")


def check_faults(report, folder, sample):
    """Faults that pass change nothing; those that stay are faults."""
    hashes = report.run("hash", sample)
    passing = {"seed": 3, "cut": 0.3, "busy": 0.2, "retry_after": 0, "broken": 0.2, "expire": 9}
    with double(folder, sample, faults=passing) as server:
        output, _ = fathom(report, server, folder, "hash", MODEL)
        report.check("cuts, 429, 500 and expired addresses change nothing", output == hashes)
        statuses = {row["status"] for row in server.log()}
        report.check("and there were such", {429, 500} <= statuses, f"{statuses}")
    for name, settings, status in [
            ("another commit", {"moved": 3}, 65), ("another tag", {"swapped": 1000}, 65),
            ("another size", {"resized": 6}, 65), ("no ranges", {"plain": 1}, 74),
            ("redirects without end", {"loop": 1}, 74),
            ("answers that are too short", {"short": "model-00002-of-00003.safetensors"}, 74)]:
        with double(folder, sample, faults=settings) as server:
            output, messages = fathom(report, server, folder, "hash", MODEL, expect=status)
            report.check(f"{name}: nothing is printed as a result", output == "", messages[-300:])


def check_conversion(report, folder, sample):
    """A conversion over the network ends with the same bytes, killed or not, and asks for little twice."""
    here, there = folder / "here.gguf", folder / "there.gguf"
    arguments = ("--to", "gguf", "--quant", "q8_0")
    report.run("convert", sample, here, *arguments)
    size = sum(path.stat().st_size for path in sample.glob("model*.safetensors"))
    faults = {"seed": 5, "cut": 0.01, "busy": 0.01, "retry_after": 0, "expire": 20}
    with double(folder, sample, faults=faults, latency=0.002) as server:
        fathom(report, server, folder, "convert", MODEL, there, *arguments)
        report.check("a conversion over the network gives the same bytes", same(here, there))
        sent = sum(row["bytes"] for row in server.log() if row["origin"] == "cdn" and "model-" in row["path"])
        report.check("and fetches its source once", sent <= 1.05 * size + 3 * 65536, f"{sent} of {size}")
    there.unlink()
    (folder / "there.fathom-manifest.json").unlink(missing_ok=True)
    with double(folder, sample, faults={"slow": 3_000_000}) as server:
        generator, kills = random.Random(7), 0
        while not there.exists() and kills < 40:
            process = subprocess.Popen(
                [report.fathom, "convert", MODEL, str(there), *arguments, "--resume",
                 "--flush-every", "64KiB"], env=environment(server, folder),
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            try:
                process.wait(generator.uniform(0.05, 0.6) if kills < 20 else 60)
            except subprocess.TimeoutExpired:
                process.kill()
                kills += 1
            _, messages = process.communicate()
            if process.returncode not in (0, -9):
                report.check("a run that goes on ends well", False, messages.decode()[-500:])
                break
        report.check("killed and resumed it gives the same bytes",
                     there.exists() and same(here, there), f"{kills} kills")


def check_parts(report, folder, sample):
    """Parts of a conversion, each in a folder of its own, read a faulty server and make one run's bytes."""
    here, end = folder / "one" / "out.gguf", folder / "end" / "out.gguf"
    arguments = ("--to", "gguf", "--quant", "q4_0")
    for place in (here, end):
        place.parent.mkdir()
    report.run("convert", sample, here, *arguments)
    size = sum(path.stat().st_size for path in sample.glob("model*.safetensors"))
    faults = {"seed": 8, "cut": 0.05, "busy": 0.05, "retry_after": 0, "expire": 15}
    with double(folder, sample, faults=faults) as server:
        parts = []
        for number in (1, 2, 3):
            place = folder / f"part-{number}" / "out.gguf"
            place.parent.mkdir()
            parts.append(subprocess.Popen(
                [report.fathom, "convert", MODEL, str(place), *arguments, "--part", f"{number}/3"],
                env=environment(server, folder), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE))
        messages = [part.communicate(timeout=120)[1].decode() for part in parts]
        report.check("three parts at the same time end well",
                     [part.returncode for part in parts] == [0] * 3, " ".join(messages)[-500:])
        sent = sum(row["bytes"] for row in server.log()
                   if row["origin"] == "cdn" and "model-" in row["path"])
        # Each part reads all headers; a tensor that two shares have in common is read by both.
        report.check("and fetch their shares", sent <= 1.5 * size + 9 * 65536, f"{sent} of {size}")
        fathom(report, server, folder, "convert", MODEL, end, *arguments, "--finish",
               *(word for number in (1, 2, 3) for word in ("--parts", folder / f"part-{number}")))
    report.check("they make one run's bytes", same(here, end))


def check_fetch(report, folder, sample):
    """`fathom fetch` gives the files that it should, killed or not."""
    target = folder / "fetched"
    names = {path.name for path in sample.iterdir()} - {"expected.safetensors"}
    with double(folder, sample, faults={"slow": 1_500_000, "cut": 0.02}) as server:
        for kills in range(30):
            process = subprocess.Popen(
                [report.fathom, "fetch", MODEL, str(target)], env=environment(server, folder),
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            try:
                process.wait(0.1 + 0.05 * kills)
                break
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
            whole = [path.name for path in target.glob("*") if path.is_file()] if target.exists() else []
            report.check("what has its name is whole",
                         all(same(sample / name, target / name) for name in whole), f"{whole}")
        report.check("it ends", process.returncode == 0, f"{kills} kills")
    report.check("with the model's files and no others", {path.name for path in target.iterdir()} == names)
    report.check("and their bytes", all(same(sample / name, target / name) for name in names))


def run(report, folder):
    """Everything; the samples are small, so that faults are frequent and the part takes a minute."""
    sample = folder / NAME
    if not sample.exists():
        subprocess.run(["cp", "-r", str(SAMPLES / NAME), str(sample)], check=True)
    for check in (check_real_client, check_token, check_certificates, check_proxy, check_faults,
                  check_conversion, check_parts, check_fetch):
        report.attempt(check.__name__, check, report, folder, sample)
    report.attempt("a bucket", remote_s3.check, report, folder)
