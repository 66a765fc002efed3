"""Devices that report as fast as they are acknowledged, and remember exactly what was acknowledged."""

import json
import struct
import threading

from rig import raw_mqtt
from rig.device import Registration

#: Reports that are on the way at once, per device.
WINDOW = 20


class Reporter:
    """Reports Battery/seq = 1, 2, 3, … at QoS 1 on one raw connection until the platform goes away or `stop` is called."""

    def __init__(self, device: Registration, first: int = 1):
        self.device = device
        self.next = first
        #: Sequence numbers whose PUBACK has arrived.
        self.acknowledged: set[int] = set()
        self.problem: BaseException | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> "Reporter":
        link = self.device.raw()
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, args=(link,), daemon=True)
        self._thread.start()
        return self

    def _run(self, link: raw_mqtt.RawMqtt):
        topic = self.device.topic("sys/properties/report")
        waiting: dict[int, int] = {}
        try:
            while not self._stop.is_set() or waiting:
                burst = b""
                while len(waiting) < WINDOW and not self._stop.is_set():
                    number = link.next_id()
                    waiting[number] = self.next
                    body = json.dumps({"services": [{"service_id": "Battery", "properties": {"seq": self.next}}]})
                    burst += raw_mqtt.publish(topic, body, 1, number)
                    self.next += 1
                if burst:
                    link.send(burst)
                answer = link.receive(20)
                if answer.kind == raw_mqtt.PUBACK:
                    self.acknowledged.add(waiting.pop(struct.unpack("!H", answer.body[:2])[0]))
        except (raw_mqtt.ConnectionEnded, OSError):
            # The platform went away: what is still waiting was not acknowledged.
            pass
        except BaseException as problem:  # shown by join()
            self.problem = problem
        finally:
            link.close()

    def stop(self):
        """No further reports; those on the way are still awaited."""
        self._stop.set()

    def join(self):
        self._thread.join(30)
        assert not self._thread.is_alive(), "a reporter hangs"
        if self.problem:
            raise self.problem


def lost_reports(rest, reporter: Reporter) -> set[int]:
    """Acknowledged reports that the history does not hold."""
    rows = rest.history(reporter.device.device_id, service_id="Battery", order="asc")
    kept = {row["properties"]["seq"] for row in rows if "seq" in row["properties"]}
    return reporter.acknowledged - kept
