"""The language of the worker: JSON-RPC 2.0, one JSON a line.

Requests (client to worker), each answered with ``result`` or ``error`` of the same ``id``:

* ``segment`` {model, inputs {role: path}, out, device, backend, threshold, force, compress} -> {measurements, out,
  seconds}; ``compress`` false writes .nii in place of .nii.gz, for who reads them at once
* ``train`` {system, preset, data, out, set [key=value], init, resume, device} -> {run}
* ``cancel`` {id} -> {cancelled}; the request that was canceled gets error -32002 of its own
* ``status`` {} -> {busy, job, queued, models, version, pid}
* ``shutdown`` {} -> {}

One job runs at a time, further ones wait in the order in which they came; ``cancel`` and ``status`` never wait.
Notifications (worker to client): ``progress`` {id, stage, done, total, eta_s}, ``log`` {level, text}.
"""

from __future__ import annotations

import json
from typing import Any, TypeAlias

PARSE_ERROR, INVALID_REQUEST, UNKNOWN_METHOD, WRONG_PARAMETERS = -32700, -32600, -32601, -32602
#: The input was wrong: the message is the one line. It was canceled. It failed: data.details says more.
INPUT_ERROR, CANCELLED, FAULT = -32001, -32002, -32003

Message: TypeAlias = dict[str, Any]
#: What JSON-RPC allows as the name of a request.
RequestId: TypeAlias = "str | int | None"


class ProtocolError(Exception):
    """A message that cannot be obeyed; ``code`` is JSON-RPC's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(" ".join(message.split()))
        self.code = code


def encode(message: Message) -> bytes:
    """A message as one line. Pure ASCII: no encoding of any system can break a path in it."""
    return json.dumps({"jsonrpc": "2.0", **message}, ensure_ascii=True).encode("ascii") + b"\n"


def decode(line: bytes) -> Message:
    """The JSON object of a line.

    Raises:
        ProtocolError: The line is no JSON, or no JSON object.
    """
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(PARSE_ERROR, f"this line is no JSON: {error}") from error
    if not isinstance(message, dict):
        raise ProtocolError(INVALID_REQUEST, f"one JSON object a line is needed, got a {type(message).__name__}")
    return message


def check_request(message: Message) -> None:
    """Whether a decoded line is a request of JSON-RPC 2.0.

    Raises:
        ProtocolError: It is not.
    """
    if message.get("jsonrpc") != "2.0" or not isinstance(message.get("method"), str):
        raise ProtocolError(INVALID_REQUEST, 'a request needs "jsonrpc": "2.0" and "method": a word')
    if not isinstance(message.get("params", {}), dict):
        raise ProtocolError(WRONG_PARAMETERS, "params must be a JSON object with a name for each value")
    if not is_id(message.get("id")):
        raise ProtocolError(INVALID_REQUEST, "id must be a text or a whole number")


def is_id(value: object) -> bool:
    """Whether a value can name a request."""
    return value is None or (isinstance(value, str | int) and not isinstance(value, bool))


def error(id_: RequestId, code: int, text: str, details: str | None = None) -> Message:
    """An error as answer to request ``id_``."""
    body: dict[str, Any] = {"code": code, "message": text}
    if details is not None:
        body["data"] = {"details": details}
    return {"id": id_, "error": body}
