"""A real Slurm on this machine, with two nodes that have a CPU and a pretended GPU each."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged")


def missing() -> str:
    """Why there can be none here; empty if there can."""
    lacking = [name for name in PROGRAMS if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]
    return f"{', '.join(lacking)} are not installed: apt install slurmctld slurmd slurm-client munge" if lacking else ""


@contextmanager
def slurm(folder: Path) -> Iterator[Path]:
    """While it runs, its configuration, which its commands find by SLURM_CONF. All that it writes is in `folder`."""
    host = socket.gethostname().partition(".")[0]
    base = 20_000 + os.getpid() % 20_000
    for name in ("state", "spool"):
        (folder / name).mkdir()
    for node in ("n1", "n2"):
        (folder / "spool" / node).mkdir()
    user = getpass.getuser()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 // 2
    nodes = "\n".join(
        f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={base + number} CPUs=1 RealMemory={memory} "
        "Gres=gpu:fake:1 Feature=fakegpu State=UNKNOWN"
        for number, node in enumerate(("n1", "n2"), start=1)
    )
    configuration = folder / "slurm.conf"
    configuration.write_text(f"""
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={base}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CryptoType=crypto/munge
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
GresTypes=gpu
SchedulerParameters=sched_interval=5,bf_interval=5
SlurmdTimeout=10
KillWait=5
{nodes}
PartitionName=bench Nodes=n1,n2 Default=YES State=UP
""")
    (folder / "gres.conf").write_text("NodeName=n[1-2] Name=gpu Type=fake File=/dev/null\n")
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    env = {**os.environ, "SLURM_CONF": str(configuration), "PATH": f"{os.environ['PATH']}:/usr/sbin"}
    daemons: list[subprocess.Popen[bytes]] = []

    def start(*command: str) -> None:
        with (folder / f"{Path(command[0]).name}-{len(daemons)}.out").open("wb") as out:
            daemons.append(subprocess.Popen(command, env=env, stdout=out, stderr=out, start_new_session=True))

    try:
        start(
            *("munged", "--foreground", "--force", f"--key-file={key}", f"--socket={folder}/munge.socket"),
            *(f"--pid-file={folder}/munge.pid", f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed"),
        )
        _until(lambda: (folder / "munge.socket").exists(), folder)
        start("slurmctld", "-D", "-f", str(configuration))
        for node in ("n1", "n2"):
            start("slurmd", "-D", "-N", node, "-f", str(configuration))
        _until(lambda: _states(env) == ["idle", "idle"], folder)
        yield configuration
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            try:
                daemon.wait(timeout=10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


def _states(env: dict[str, str]) -> list[str]:
    done = subprocess.run(
        ["sinfo", "--noheader", "--Node", "--format=%t"], env=env, capture_output=True, text=True, check=False
    )
    return done.stdout.split()


def _until(holds: object, folder: Path, within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():  # type: ignore[operator]
        if time.monotonic() > deadline:
            logs = "\n".join(f"{path.name}:\n{path.read_text()[-2000:]}" for path in sorted(folder.glob("*.log")))
            outs = "\n".join(f"{path.name}:\n{path.read_text()[-2000:]}" for path in sorted(folder.glob("*.out")))
            raise AssertionError(f"Slurm did not come up\n{logs}\n{outs}")
        time.sleep(0.2)
