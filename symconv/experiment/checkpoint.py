"""Checkpoints: one file that holds everything the next epoch depends on, written whole or not at all.

Owns: `key_of`, `store`, `restore`, `finished`, `write`, `parameters_digest`.
Must not know: what is trained, schedules' meaning, images.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from symconv.errors import UsageError


def key_of(network: str, schedule: dict[str, Any], seed: int, digest: str, device: str) -> dict[str, Any]:
    """Everything that a run is a function of; a checkpoint of another key is refused."""
    import torch

    threads = torch.get_num_threads() if device == "cpu" else 0
    return {
        "network": network,
        "schedule": schedule,
        "seed": seed,
        "images": digest,
        "device": device,
        "threads": threads,
        "torch": str(torch.__version__),
    }


def finished(path: Path, key: dict[str, Any]) -> dict[str, Any]:
    """The result of a run that has ended.

    Raises:
        UsageError: it cannot be read, or is another run's.
    """
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"`{path}` cannot be read ({error}). Remove its folder and start again.") from error
    _same(path, record.get("key"), key)
    return record


def _same(path: Path, found: Any, wanted: dict[str, Any]) -> None:
    if found != wanted:
        names = [name for name in wanted if not isinstance(found, dict) or found.get(name) != wanted[name]]
        raise UsageError(f"`{path}` belongs to another run (other {', '.join(names)}). Give another --state folder.")


def store(path: Path, key: dict[str, Any], network: Any, optimizer: Any, generator: Any, state: dict[str, Any]) -> None:
    """Writes the checkpoint of a whole epoch."""
    import io

    import torch

    record = {
        "key": key,
        "state": state,
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "generator": generator.get_state(),
        "global": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }
    stream = io.BytesIO()
    torch.save(record, stream)
    write(path, stream.getvalue())


def restore(path: Path, key: dict[str, Any], network: Any, optimizer: Any, generator: Any, state: dict[str, Any]) -> None:
    """Goes back to the last whole epoch, if there is one.

    Raises:
        UsageError: the file is no checkpoint, or another run's.
    """
    import torch

    if not path.exists():
        return
    try:
        record = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UsageError(f"`{path}` is no checkpoint ({type(error).__name__}). Remove it and start again.") from error
    _same(path, record["key"], key)
    network.load_state_dict(record["network"])
    optimizer.load_state_dict(record["optimizer"])
    generator.set_state(record["generator"])
    torch.set_rng_state(record["global"])
    if record["cuda"] and torch.cuda.is_available() and len(record["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(record["cuda"])  # nothing draws from them; on another number of devices they have no place
    state.update(record["state"])


def write(path: Path, content: bytes) -> None:
    """Writes a file in one step that survives a kill at any moment: all of it, or what was there before."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)


def parameters_digest(network: Any) -> str:
    """SHA-256 of all parameters' bits."""
    found = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        found.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()
