"""A driver and a carrier for the tests: rounds of questions that come back in capital letters."""

import json
import logging
import time
from collections.abc import Mapping

from bandung.federation.courier.carriage import CarrierRefused, CarrierUnavailableError
from bandung.federation.courier.config import CourierConfig
from bandung.federation.training.exchange import Answer, Exchange, Journal, Lost, Refused, Reply


class EchoCarrier:
    def __init__(self, member: str) -> None:
        self._member = member

    def carry(self, payload: bytes) -> bytes:
        logging.info("carrying")
        text = payload.decode()
        if text.startswith("refuse"):
            raise CarrierRefused("BG-0001", f"{self._member} does not want to")
        if text.startswith("unavailable"):
            raise CarrierUnavailableError("the gateway is not there")
        if text.startswith("defect"):
            raise ZeroDivisionError("secret words")
        if text.startswith("slow"):
            time.sleep(float(text.split()[1]))
        return f"{self._member}:{text.upper()}".encode()

    def close(self) -> None:
        pass


def open_carrier(config: CourierConfig) -> EchoCarrier:
    return EchoCarrier(config.member)


def drive(job_bytes: bytes, exchange: Exchange, journal: Journal) -> None:
    job = json.loads(job_bytes)
    done = (journal.load_checkpoint() or {"rounds": 0})["rounds"]
    while not set(job["members"]) <= exchange.nodes().keys():
        time.sleep(0.05)
    for number in range(done, job.get("rounds", 1)):
        _round(job, number, exchange, journal)
        journal.checkpoint({"rounds": number + 1})
    journal.card({"rounds": job.get("rounds", 1), "resumed_at": done})
    journal.event({"type": "state", "state": "COMPLETED"})


def _round(job, number: int, exchange: Exchange, journal: Journal) -> None:
    began = time.monotonic()
    text = job.get("text", "hello")
    requests = {member: f"{text} {number}".encode() if text == "hello" else text.encode() for member in job["members"]}
    replies = exchange.ask(requests, job.get("timeout_s", 30.0), lambda *_: None)
    seconds = round(time.monotonic() - began, 3)
    journal.event({"type": "round", "round": number, "seconds": seconds, "replies": _told(replies)})
    if any(isinstance(reply, Lost) for reply in replies.values()) and job.get("strict"):
        raise RuntimeError("a member was lost")


def _told(replies: Mapping[str, Reply]) -> dict[str, list[str]]:
    told = {}
    for member, reply in replies.items():
        match reply:
            case Answer(payload):
                told[member] = ["answer", payload.decode()]
            case Refused(code, reason):
                told[member] = ["refused", code, reason]
            case Lost(reason):
                told[member] = ["lost", reason]
    return told
