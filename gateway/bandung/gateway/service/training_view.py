"""The records that jobs are trained on, read once and kept for a job's next rounds."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

import pyarrow as pa

from bandung.connectors.base import RowQuery, Stop, Stopped
from bandung.gateway.training.design import columns_of, design
from bandung.gateway.training.split import Split, split

if TYPE_CHECKING:
    from bandung.gateway.domain.dataset import Epoch
    from bandung.gateway.domain.job import SignedJob
    from bandung.gateway.service.ports import Epochs, Secrets


class TrainingViews:
    """Training and held-out records by epoch and job. Safe for use by several threads at once.

    Args:
        kept_max: most views kept in memory.
        kept_bytes_max: largest view that is kept at all; a larger one is read again in every round.
    """

    def __init__(
        self,
        member: str,
        epochs: Epochs,
        secrets: Secrets,
        *,
        kept_max: int = 4,
        kept_bytes_max: int = 256 * 1024 * 1024,
    ) -> None:
        self._member = member
        self._epochs = epochs
        self._secrets = secrets
        self._kept_max = kept_max
        self._kept_bytes_max = kept_bytes_max
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], Split] = OrderedDict()

    def get(self, epoch: Epoch, signed: SignedJob, stop: Stop) -> Split:
        """Return the job's view of the epoch.

        Raises:
            SourceError, Stopped: as the source does.
        """
        key = (epoch.id, signed.digest)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        view = self._read(epoch, signed, stop)
        if view.train.x.nbytes + view.holdout.x.nbytes <= self._kept_bytes_max:
            with self._lock:
                self._kept[key] = view
                while len(self._kept) > self._kept_max:
                    self._kept.popitem(last=False)
        return view

    def _read(self, epoch: Epoch, signed: SignedJob, stop: Stop) -> Split:
        job = signed.job
        with self._epochs.open(epoch).rows(RowQuery(epoch.view, columns_of(job)), stop) as reader:
            batches = [batch for batch in reader if _go_on(stop)]
            rows = pa.Table.from_batches(batches, reader.schema)
        records = design(job, self._member, epoch.dataset, rows)
        return split(records, job, signed.digest, self._member, self._secrets.dataset_key(epoch.dataset.name))


def _go_on(stop: Stop) -> bool:
    if stop.stopped:
        raise Stopped
    return True
