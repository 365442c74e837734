"""A real Slurm on one machine: a controller and two nodes, which are two daemons with own names."""

import os
import shutil
import subprocess
import time
from pathlib import Path

CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/ctld.pid
SlurmdPidFile={folder}/d-%n.pid
SlurmctldLogFile={folder}/log/ctld.log
SlurmdLogFile={folder}/log/d-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SchedulerParameters=sched_interval=1,batch_sched_delay=0,requeue_delay=0
JobRequeue=1
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={first} CPUs=1 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={second} CPUs=1 State=UNKNOWN
PartitionName=p Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE
"""


class Unavailable(Exception):
    """Why there is no Slurm here."""


def require():
    """Installs Slurm from the system's packages where it is missing."""
    if os.geteuid() != 0:
        raise Unavailable("Slurm's daemons want root")
    if all(shutil.which(name) for name in ("slurmctld", "slurmd", "sbatch", "munged")):
        return
    install("slurm-wlm", "munge")


def install(*packages):
    """Installs packages of the system; raises `Unavailable` where that cannot be done."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Unavailable("it is not there, and no apt-get to install it with")
    for command in (["apt-get", "update"],
                    ["apt-get", "install", "-y", "--no-install-recommends", *packages]):
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=600,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    if result.returncode != 0:
        raise Unavailable(f"{packages[0]} cannot be installed: {result.stderr.strip()[-200:]}")


def hostname():
    """The name by which Slurm's daemons know this machine."""
    return subprocess.run(["hostname"], capture_output=True, text=True, check=True).stdout.strip()


class Cluster:
    """Two nodes that run jobs of one processor each."""

    def __init__(self, folder):
        self.folder = folder
        self.daemons = []
        self.munge = None
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        """Starts the daemons and waits until both nodes are idle."""
        for name in ("state", "log"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "slurm.conf").write_text(CONFIGURATION.format(
            host=hostname(), folder=self.folder, port=16817, first=17001, second=17002))
        if subprocess.run(["munge", "-n"], capture_output=True, check=False).returncode != 0:
            run = Path("/run/munge")
            run.mkdir(parents=True, exist_ok=True)
            shutil.chown(run, "munge", "munge")
            self.munge = subprocess.Popen(
                ["su", "-s", "/bin/sh", "munge", "-c", "exec /usr/sbin/munged --foreground"],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(1)
        for command in (["slurmctld", "-D"], ["slurmd", "-D", "-N", "n1"],
                        ["slurmd", "-D", "-N", "n2"]):
            self.daemons.append(subprocess.Popen(
                command, env=self.environment, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL))
        self.wait(lambda: self.call("sinfo", "-h", "-o", "%D %t").split() == ["2", "idle"],
                  "two idle nodes", 60)

    def stop(self):
        """Ends what was started, and nothing else."""
        for daemon in reversed(self.daemons):
            daemon.terminate()
        for daemon in self.daemons:
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                daemon.kill()
        if self.munge:
            self.munge.terminate()

    def call(self, *command):
        """What one of Slurm's commands prints."""
        result = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=60, check=False)
        return result.stdout if result.returncode == 0 else ""

    def wait(self, holds, what, seconds):
        """Waits for something."""
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what} after {seconds} s: {self.call('squeue')}")
            time.sleep(0.3)

    def states(self, job):
        """The states of a job's tasks."""
        return self.call("squeue", "-h", "-r", "-j", str(job), "-t", "all", "-o", "%T").split()

    def running(self, job):
        """Tasks that run, as JOB_TASK, and their nodes."""
        lines = self.call("squeue", "-h", "-r", "-j", str(job), "-t", "running", "-o", "%i %N")
        return [line.split() for line in lines.splitlines() if len(line.split()) == 2]
