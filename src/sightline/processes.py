"""The processes of one training, which torchrun starts: who leads, and how all come to the same answer.

In: torchrun's environment. Out: a `Group`. The leader reads the data, decides, writes and speaks; the others get what
it found, so that data are read once and nobody can disagree. Needs torch only where there are several.
Next: train.py
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from sightline.errors import UserError

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.ddp import DDPStrategy
    from torch import Tensor
    from torch.distributed import Store  # pyright: ignore[reportPrivateImportUsage]

T = TypeVar("T")

# How long one process waits for another: for the first to read and unpack the data, or to evaluate. One that has died
# is noticed at once, by its closed connection.
PATIENCE = timedelta(hours=2)
MEETING = timedelta(minutes=5)  # for all to have been started
_LOST = ("gloo", "nccl", "connection closed by peer", "connection reset by peer", "broken pipe")  # in their words


@dataclass(frozen=True, kw_only=True)
class Place:
    """Which of several processes this one is.

    Attributes:
        rank: 0 to world - 1; 0 leads.
        world: processes of all machines.
        local_rank: likewise, on this machine.
        local_world: processes on this machine, and on every other.
        launch: names the torchrun that started them, the same after it has restarted them; None without torchrun.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1
    launch: str | None = None

    @property
    def machines(self) -> int:
        """How many take part."""
        return self.world // self.local_world


def place(environment: Mapping[str, str]) -> Place:
    """This process's place, as torchrun tells it in the environment; alone without torchrun.

    Raises:
        UserError: what it says cannot be, or machines have different numbers of processes.
    """
    if "TORCHELASTIC_RUN_ID" not in environment:
        return Place()
    rank, world, local_rank, local_world = (
        _number(environment, name) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    )
    if not (rank < world and local_rank < local_world <= world):
        raise UserError(
            f"RANK={rank} of WORLD_SIZE={world} and LOCAL_RANK={local_rank} of LOCAL_WORLD_SIZE={local_world} cannot "
            "be: ranks count from 0. Leave these variables to torchrun."
        )
    if world % local_world:
        raise UserError(
            f"{world} processes with {local_world} on this machine: the machines have different numbers of them. Give "
            "torchrun the same --nproc-per-node on every machine."
        )
    given = environment["TORCHELASTIC_RUN_ID"]
    # "none" is torchrun's name for a run that was given no --rdzv-id; its own process is then the name.
    launch = f"{socket.gethostname()}:{os.getppid()}" if given in ("", "none") else given
    return Place(rank=rank, world=world, local_rank=local_rank, local_world=local_world, launch=launch)


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "")
    if not text.isdecimal():
        raise UserError(f"{name}={text!r} is not a whole number. Leave this variable to torchrun, which sets it.")
    return int(text)


def require_torchrun(environment: Mapping[str, str]) -> None:
    """Refuse several processes that know nothing of each other: each would train by itself, into one folder.

    Raises:
        UserError: srun, mpirun or a cluster's operator started several, without torchrun.
    """
    if "TORCHELASTIC_RUN_ID" in environment:
        return
    interactive = environment.get("SLURM_JOB_NAME") in ("bash", "interactive")
    for name in ("WORLD_SIZE", "SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE"):
        if name == "SLURM_NTASKS" and (interactive or "SLURM_PROCID" not in environment):
            continue  # inside an allocation, but not started by srun
        if environment.get(name, "1") not in ("", "0", "1"):
            raise UserError(
                f"{name}={environment[name]}: several processes were started, but not by torchrun. Start torchrun "
                "once on every machine (under Slurm: srun with one task a machine), and let it start "
                "`-m sightline train`; docs/scale.md has the commands."
            )


class Group:
    """All processes of a training, seen from one of them. Alone, every method is free."""

    def __init__(self, place: Place, fabric: Fabric | None = None) -> None:
        """`join` makes one of several processes; the default is one by itself."""
        assert (fabric is None) == (place.world == 1), place
        self.place, self.fabric = place, fabric

    @property
    def leads(self) -> bool:
        """Whether this process reads, writes and speaks for all."""
        return self.place.rank == 0

    def from_leader(self, make: Callable[[], T]) -> T:
        """What the leader makes, for all. It is pickled on its way, so the others get copies."""
        if self.fabric is None:
            return make()
        return self.fabric.broadcast(make() if self.leads else None)  # type: ignore[return-value]

    def to_leader(self, value: T) -> list[T]:
        """Every process's value, in the order of ranks, for the leader; an empty list for the others."""
        if self.fabric is None:
            return [value]
        import torch.distributed as dist

        gathered: list[Any] = [None] * self.place.world
        dist.gather_object(value, gathered if self.leads else None, dst=0)
        return gathered if self.leads else []

    def same_tensors(self, tensors: Sequence[Tensor]) -> None:
        """The leader's numbers in everybody's tensors, in place; shapes must agree, and they must be contiguous."""
        if self.fabric is None:
            return
        import torch.distributed as dist

        for tensor in tensors:
            dist.broadcast(tensor, src=0)

    def wait(self) -> None:
        """Until all have come here."""
        if self.fabric is not None:
            self.fabric.barrier()

    def shares(self) -> tuple[tuple[int, int], ...]:
        """Two ways of dividing work whose results lie on disk: over all processes, then over those of each machine.

        Where machines share the disk, nothing is left to do for the second; where they do not, it fills each one's.
        """
        place = self.place
        if place.world == 1:
            return ((0, 1),)
        over_all = (place.rank, place.world)
        return (over_all, (place.local_rank, place.local_world)) if place.machines > 1 else (over_all,)

    def require_same(self, value: object, *, what: str) -> None:
        """Refuse processes that were asked for different things.

        Raises:
            UserError: on each process whose value is not the leader's.
        """
        if self.from_leader(lambda: value) != value:
            raise UserError(
                f"{what} differs between process 0 and process {self.place.rank} (on {socket.gethostname()}). Give "
                "torchrun the same command, and the same version of sightline, on every machine."
            )


ALONE = Group(Place())


def join(place: Place, *, device: str) -> Group:
    """Connect to the other processes.

    Args:
        place: of this process.
        device: "cpu" (processes talk by gloo) or "cuda" (NCCL; one GPU for each process).

    Raises:
        UserError: too few GPUs, or the others cannot be reached.
    """
    if place.world == 1:
        return Group(place)
    import torch
    from lightning_fabric import Fabric

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces every process
    if device == "cuda" and torch.cuda.device_count() < place.local_world:
        raise UserError(
            f"{place.local_world} processes on a machine with {torch.cuda.device_count()} GPU(s). Give torchrun "
            "--nproc-per-node as many as there are GPUs, or train with --device cpu."
        )
    fabric = Fabric(accelerator=device, devices=place.local_world, num_nodes=place.machines, strategy=strategy())
    try:
        _connect(place, backend="nccl" if device == "cuda" else "gloo")
        fabric.launch()  # which finds them connected
    except torch.distributed.DistError as error:
        where = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        raise UserError(
            f"Process {place.rank} of {place.world} cannot reach the others at {where} ({_first_line(error)}). Check "
            "that every machine can open this address and port, and that all were started within some minutes."
        ) from error
    _be_patient()
    return Group(place, fabric)


def _connect(place: Place, *, backend: str) -> None:
    """Meet at torchrun's store, and connect under a name that no other meeting has.

    torchrun keeps its store when it starts processes again. Under the old names they would read the addresses of those
    that died, and wait for ever to be connected.

    Raises:
        DistError: not all have come, or they cannot be connected.
    """
    import torch.distributed as dist
    from torch.distributed import PrefixStore  # pyright: ignore[reportPrivateImportUsage]
    from torch.distributed.rendezvous import rendezvous

    store, _, _ = next(rendezvous("env://", place.rank, place.world, timeout=MEETING))
    here = PrefixStore(f"sightline-{_meeting(store, place)}", store)
    dist.init_process_group(backend, store=here, rank=place.rank, world_size=place.world, timeout=MEETING)


def _meeting(store: Store, place: Place) -> str:
    """A name that the processes which are here now agree on, whatever older ones left in the store.

    Each says hello with a word of its own. The leader offers a name with the words that it heard, again and again;
    who finds its own word there accepts, and when all have, the name holds.

    Raises:
        DistError: not all have come in time.
    """
    from torch.distributed import DistStoreError

    own = secrets.token_hex(8)
    store.set(f"hello-{place.rank}", own)
    others = range(1, place.world)
    ends = time.monotonic() + MEETING.total_seconds()
    while time.monotonic() < ends:
        if place.rank == 0:
            words = [store.get(f"hello-{rank}").decode() for rank in others]  # waits for each
            store.set("offer", " ".join([own, *words]))
            accepted = [f"accepted-{own}-{rank}" for rank in others]
            if store.check(accepted):
                return own
        else:
            name, *words = store.get("offer").decode().split()
            if words[place.rank - 1 : place.rank] == [own]:
                store.set(f"accepted-{name}-{place.rank}", "")
                return name
        time.sleep(0.1)
    raise DistStoreError(f"not all of {place.world} processes came to the meeting in {MEETING}")


def _be_patient() -> None:
    """From the meeting on, wait longer for each other."""
    import torch.distributed as dist

    if hasattr(dist, "set_timeout"):
        dist.set_timeout(PATIENCE)
    else:  # its name before it became public
        dist.distributed_c10d._set_pg_timeout(PATIENCE)


def strategy() -> DDPStrategy:
    """Distributed data parallel, for Fabric.

    Gradients live in the buckets that are summed, so that they lie in memory once. Buffers are not sent at each step:
    only running statistics change, no training step reads them, and the leader's are sent before a validation.
    """
    from inspect import signature

    from lightning_fabric.strategies.ddp import DDPStrategy
    from torch.nn.parallel import DistributedDataParallel

    # Later versions of torch have given the setting another name.
    names = signature(DistributedDataParallel).parameters
    quiet = "forward_sync_buffers" if "forward_sync_buffers" in names else "broadcast_buffers"
    options: dict[str, Any] = {"gradient_as_bucket_view": True, quiet: False}
    return DDPStrategy(timeout=PATIENCE, **options)


@contextmanager
def loss_told(place: Place) -> Iterator[None]:
    """Say in one paragraph that another process has gone, which libraries tell by a broken connection.

    Raises:
        UserError: another process died or became unreachable.
    """
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, UserError) or place.world == 1 or not any(word in str(error).lower() for word in _LOST):
            raise
        raise UserError(
            f"Process {place.rank} of {place.world} has lost another one ({_first_line(error)}), whose own message "
            "says why. torchrun starts all of them again if it may (--max-restarts), and they go on from the last "
            "checkpoint; otherwise give the same command with --resume."
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
