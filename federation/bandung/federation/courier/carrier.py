"""The carrier of a real courier: from the driver's calls to the own gateway's `TrainingService`, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from bandung.federation.courier.carriage import Carrier, CarrierRefused, CarrierUnavailableError
from bandung.federation.domain.calls import BadCall, Propose, Proposed, Step, Stepped, read_call
