"""Conversions that many runs divide: by Slurm itself on two nodes, and by hand with kills."""

import json
import os
import random
import shutil
import subprocess
import time
from pathlib import Path

from torture_parts import checkpoint

from . import slurm

ROOT = Path(__file__).resolve().parent.parent.parent
SAMPLES = ROOT / "Samples"
CLUSTER = SAMPLES / "cluster"
QUANT = ("--to", "gguf", "--quant", "q4_0")


def run(report, folder):
    """By hand first, which needs nothing."""
    model = folder / "medium"
    checkpoint.write(model)
    report.attempt("kills", kills, report, folder, model)
    report.attempt("counts", counts, report, folder, model)
    report.attempt("folders", folders, report, folder, model)
    report.attempt("measured", measured, report, folder)
    report.attempt("kubernetes", kubernetes, report)
    report.attempt("parallel", by_parallel, report, folder, model)
    try:
        slurm.require()
    except slurm.Unavailable as reason:
        report.note(f"skipped Slurm: {reason}")
        return
    report.attempt("slurm", by_slurm, report, folder, model)


def contents(path):
    """All files of an output, by name."""
    if path.is_dir():
        return {file.name: file.read_bytes() for file in path.iterdir()}
    beside = path.with_name(path.stem + ".fathom-manifest.json")
    return {path.name: path.read_bytes(),
            **({beside.name: beside.read_bytes()} if beside.exists() else {})}


def counts(report, folder, model):
    """1, 2 and 4 parts at the same time on this machine."""
    expected = one_run(report, folder, model)
    for count in (1, 2, 4):
        output = folder / f"counts-{count}" / "out.gguf"
        output.parent.mkdir()
        start = time.monotonic()
        parts = [
            subprocess.Popen(
                [report.fathom, "convert", str(model), str(output), *QUANT, "--part",
                 f"{number}/{count}", "--threads", "1"],
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            for number in range(1, count + 1)]
        codes = [part.wait(timeout=600) for part in parts]
        report.run("convert", model, output, *QUANT, "--finish")
        report.check(f"{count} parts at the same time make one run's bytes",
                     codes == [0] * count and contents(output) == expected,
                     f"{time.monotonic() - start:.1f} s, exit codes {codes}")


def one_run(report, folder, model):
    """The bytes that one run writes under the name `out.gguf`."""
    place = folder / "one" / "out.gguf"
    if not place.exists():
        place.parent.mkdir(exist_ok=True)
        report.run("convert", model, place, *QUANT)
    return contents(place)


def kills(report, folder, model):
    """Three parts, killed at random moments 20 times in all, and run again each time."""
    expected = one_run(report, folder, model)
    output = folder / "kills" / "out.gguf"
    output.parent.mkdir()
    generator = random.Random(21)
    command = [report.fathom, "convert", str(model), str(output), *QUANT, "--flush-every", "1MB",
               "--threads", "1", "--part"]
    start = time.monotonic()
    report.run("convert", model, folder / "timed.gguf", *QUANT, "--threads", "1")
    whole_run = time.monotonic() - start
    killed, early = 0, 0
    todo = [1, 2, 3]
    while killed < 20:
        number = generator.choice(todo)
        part = subprocess.Popen([*command, f"{number}/3"], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)
        try:
            part.wait(timeout=generator.uniform(0.02, whole_run / 3))
            early += 1
            if early > 60:
                break
        except subprocess.TimeoutExpired:
            part.kill()
            part.wait()
            killed += 1
    for number in todo:
        report.run(*command[1:], f"{number}/3")
    report.run("convert", model, output, *QUANT, "--finish")
    report.check("20 kills of parts at random leave the bytes of one run",
                 killed == 20 and contents(output) == expected, f"{killed} kills")


def folders(report, folder, model):
    """Parts in folders of their own; the end is killed at random moments, and so is a part."""
    place = folder / "apart"
    generator = random.Random(22)
    for name, options in (("out.gguf", QUANT),
                          ("out", ("--to", "hf", "--quant", "bf16", "--max-shard-size", "4MB"))):
        one = folder / f"one-{name}" / name
        one.parent.mkdir()
        report.run("convert", model, one, *options)
        machines = []
        for number in (1, 2, 3):
            machines.append(place / f"{name}-{number}")
            machines[-1].mkdir(parents=True)
            report.run("convert", model, machines[-1] / name, *options, "--part", f"{number}/3")
        end = place / f"{name}-end" / name
        end.parent.mkdir()
        command = [report.fathom, "convert", str(model), str(end), *options, "--flush-every", "1MB",
                   "--finish", *(word for machine in machines for word in ("--parts", str(machine)))]
        kills = 0
        while not end.exists() and kills < 20:
            run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                run.wait(timeout=generator.uniform(0.02, 0.2))
            except subprocess.TimeoutExpired:
                run.kill()
                run.wait()
                kills += 1
        report.run(*command[1:])
        report.check(f"{name}: parts that share no folder make one run's bytes",
                     contents(end) == contents(one), f"{kills} kills of the end")


def measurements(report, folder):
    """Commands that run a model, by name, and the options of their one result."""
    model, tokens = SAMPLES / "tiny-mtp2", folder / "tokens.json"
    candidate = folder / "candidate"
    if not tokens.exists():
        tokens.write_text(json.dumps([[(7 * place + 31 * row) % 250 + 3 for place in range(24)]
                                      for row in range(5)]))
        report.run("convert", model, candidate, "--to", "hf", "--quant", "bf16")
    return (("imatrix", ("imatrix", model, "--tokens", tokens)),
            ("verify", ("verify", model, candidate, "--tokens", tokens)))


def measured(report, folder):
    """`imatrix` and `verify` in three parts at the same time say what one run says."""
    for name, command in measurements(report, folder):
        results = folder / f"{name}-parts"
        results.mkdir()
        whole, joined = folder / f"{name}-whole", folder / f"{name}-joined"
        parts = [
            subprocess.Popen(
                [report.fathom, *map(str, command), "--parts", str(results), "--part",
                 f"{number}/3", "--threads", "1"],
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            for number in (1, 2, 3)]
        codes = [part.wait(timeout=600) for part in parts]
        report.run(*command, "-o", whole)
        report.run(*command, "--parts", results, "--finish", "-o", joined)
        report.check(f"{name}: three parts at the same time say what one run says",
                     codes == [0] * 3 and whole.read_bytes() == joined.read_bytes(),
                     f"exit codes {codes}")


def kubernetes(report):
    """The manifests are what Kubernetes' own schemas take, and ask for one number of parts."""
    import kubernetes_validate
    import yaml

    for name in ("parts", "finish"):
        manifest = yaml.safe_load((CLUSTER / f"kubernetes/{name}.yaml").read_text())
        version = kubernetes_validate.latest_version()
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
            fault = ""
        except kubernetes_validate.ValidationError as error:
            fault = error.message
        report.check(f"Kubernetes {version} takes {name}.yaml", not fault, fault)
    spec = yaml.safe_load((CLUSTER / "kubernetes/parts.yaml").read_text())["spec"]
    names = {item["name"]: item["value"]
             for item in spec["template"]["spec"]["containers"][0]["env"]}
    report.check("as many completions as parts",
                 names["FATHOM_PARTS"] == str(spec["completions"]))


def by_parallel(report, folder, model):
    """GNU parallel, with the line that docs/cluster.md shows."""
    if not shutil.which("parallel"):
        try:
            slurm.install("parallel")
        except slurm.Unavailable as reason:
            report.note(f"skipped GNU parallel: {reason}")
            return
    expected = one_run(report, folder, model)
    document = (ROOT / "docs/cluster.md").read_text()
    line = next(line for line in document.splitlines() if line.startswith("parallel fathom "))
    place = folder / "parallel"
    place.mkdir()
    shown = line.replace("16", "4").replace("q4_k_m", QUANT[-1])
    shown = shown.replace("MODEL", str(model)).replace("OUT.gguf", str(place / "out.gguf"))
    result = subprocess.run(
        ["bash", "-c", shown], capture_output=True, text=True, timeout=600, env={
            **os.environ, "PATH": f"{Path(report.fathom).resolve().parent}:{os.environ['PATH']}"})
    report.run("convert", model, place / "out.gguf", *QUANT, "--finish")
    report.check("parts by GNU parallel make one run's bytes",
                 result.returncode == 0 and contents(place / "out.gguf") == expected,
                 result.stderr[-300:])


def by_slurm(report, folder, model):
    """The array of Samples/cluster on two nodes: as it is, and with a requeue and a drain."""
    expected = one_run(report, folder, model)
    with slurm.Cluster(folder / "slurm") as cluster:
        cluster.environment["PATH"] = (
            f"{Path(report.fathom).resolve().parent}:{cluster.environment['PATH']}")
        one = convert(cluster, folder / "array", model)
        cluster.wait(lambda: done(cluster, one["finish"]), "the array's end", 240)
        report.check("four tasks on two nodes make one run's bytes",
                     contents(one["output"]) == expected)
        for name, command in measurements(report, folder):
            place = folder / f"array-{name}"
            job = submit(cluster, place, 3, *command, "--parts", place, end=f"-o {place}/joined")
            cluster.wait(lambda finish=job["finish"]: done(cluster, finish), f"{name}'s end", 240)
            whole = place / "whole"
            report.run(*command, "-o", whole)
            report.check(f"{name}: three tasks on two nodes say what one run says",
                         whole.read_bytes() == (place / "joined").read_bytes())
        # Jobs take the path that they are handed in with.
        cluster.environment["PATH"] = (
            f"{stopping(report, folder / 'stopping')}:{cluster.environment['PATH']}")
        two = convert(cluster, folder / "trouble", model)
        cluster.wait(lambda: cluster.running(two["parts"]), "a running task", 60)
        task, node = cluster.running(two["parts"])[0]
        cluster.call("scontrol", "requeue", task)
        cluster.call("scontrol", "update", f"JobId={task}", "StartTime=now")
        cluster.call("scontrol", "update", f"NodeName={node}", "State=DRAIN", "Reason=test")
        drained = cluster.call("sinfo", "-h", "-n", node, "-o", "%t").split()

        def goes_on():
            cluster.call("scontrol", "update", f"JobId={task}", "StartTime=now")
            return done(cluster, two["finish"])

        cluster.wait(goes_on, "the end after a requeue and a drain", 300)
        restarts = cluster.call("scontrol", "show", "job", task)
        report.check("a task that was killed and requeued, and a node that was drained, change "
                     "no byte", contents(two["output"]) == expected,
                     f"{task} on {node}, then {drained}")
        report.check("the task was started again", "Restarts=1" in restarts
                     or "Restarts=2" in restarts)


def stopping(report, folder):
    """A folder with a `fathom` that is stopped for some seconds in the midst of its work, so that a task
    can be met while it runs, however short it is."""
    folder.mkdir()
    program = folder / "fathom"
    program.write_text(
        "#!/bin/bash\n"
        f'"{Path(report.fathom).resolve()}" "$@" & task=$!\n'
        "sleep 0.1; kill -STOP $task 2>/dev/null\n"
        "sleep 3; kill -CONT $task 2>/dev/null\n"
        "wait $task\n")
    program.chmod(0o755)
    return folder


def convert(cluster, folder, model):
    """Hands in the jobs of a conversion in four parts."""
    output = folder / "out.gguf"
    return submit(cluster, folder, 4, "convert", model, output, *QUANT) | {"output": output}


def submit(cluster, folder, count, *command, end=""):
    """Hands the sample's jobs in; the last one has options of its own."""
    folder.mkdir()
    environment = {
        **cluster.environment, "PARTS_OPTIONS": f"--array=1-{count}", "FINISH_OPTIONS": end,
        "SBATCH_OPTIONS": f"--cpus-per-task=1 --mem=0 --chdir={folder}"}
    result = subprocess.run(
        [str(CLUSTER / "slurm/submit"), *map(str, command)], env=environment,
        capture_output=True, text=True, timeout=60, check=True)
    parts, finish = result.stdout.split()
    return {"parts": parts, "finish": finish}


def done(cluster, job):
    """Whether a job has ended; one that failed, or that never can begin, is an error."""
    text = cluster.call("scontrol", "show", "job", job)
    if "JobState=FAILED" in text or "Reason=DependencyNeverSatisfied" in text:
        logs = [file.read_text() for file in Path(text.split("WorkDir=")[1].split()[0]).glob("*.log")]
        raise RuntimeError(json.dumps(logs)[-2000:])
    return "JobState=COMPLETED" in text
