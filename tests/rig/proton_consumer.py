"""A consumer on Debian's python3-qpid-proton, which only the system's own Python finds: run under /usr/bin/python3 as a
child of the tests. Its first argument is JSON; it says what happens in lines of JSON and obeys lines of JSON."""

import json
import sys
import threading

from proton import Delivery, SSLDomain
from proton.handlers import MessagingHandler
from proton.reactor import ApplicationEvent, AtMostOnce, Container, EventInjector


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def fault(endpoint):
    condition = endpoint.remote_condition
    return {"condition": condition.name, "description": condition.description} if condition else {}


class Consumer(MessagingHandler):
    def __init__(self, options):
        super().__init__(prefetch=options.get("credit", 100), auto_accept=options.get("auto_accept", False),
                         auto_settle=True)
        self.options = options
        self.deliveries = {}
        self.number = 0
        self.receivers = []
        self.commands = EventInjector()

    def on_start(self, event):
        container, options = event.container, self.options
        self.container = container
        container.selectable(self.commands)
        scheme = "amqps" if options.get("ca") else "amqp"
        more = {}
        if options.get("ca"):
            domain = SSLDomain(SSLDomain.MODE_CLIENT)
            domain.set_trusted_ca_db(options["ca"])
            domain.set_peer_authentication(SSLDomain.VERIFY_PEER)
            more["ssl_domain"] = domain
        self.connection = container.connect(
            f"{scheme}://{options['host']}:{options['port']}", user=options["user"], password=options["password"],
            sasl_enabled=True, allowed_mechs="PLAIN", allow_insecure_mechs=True, reconnect=False,
            heartbeat=options.get("heartbeat"), virtual_host=options.get("virtual_host", "default"), **more)
        for number, queue in enumerate(options.get("queues", [])):
            self.attach(container, queue, number)
        if options.get("sender"):
            container.create_sender(self.connection, options["sender"])
        threading.Thread(target=self.listen, daemon=True).start()

    def attach(self, container, queue, number):
        settled = AtMostOnce() if self.options.get("settled") else None
        self.receivers.append(container.create_receiver(self.connection, queue, name=f"link-{number}", options=settled))

    def listen(self):
        for line in sys.stdin:
            self.commands.trigger(ApplicationEvent("command", subject=json.loads(line)))
        self.commands.trigger(ApplicationEvent("command", subject={"do": "close"}))

    def on_command(self, event):
        command = event.subject
        what = command["do"]
        if what == "close":
            self.connection.close()
            self.commands.close()
        elif what == "credit":
            self.receivers[0].flow(command["credit"])
        elif what == "drain":
            self.receivers[0].drain(command["credit"])
        elif what == "attach":
            self.attach(self.container, command["queue"], len(self.receivers))
        elif what == "detach":
            self.receivers[0].close()
        else:
            for number in command["numbers"]:
                delivery = self.deliveries.pop(number)
                if what == "accept":
                    self.accept(delivery)
                elif what == "reject":
                    self.reject(delivery)
                elif what == "release":
                    self.release(delivery, delivered=False)
                elif what == "modify":
                    delivery.local.failed = True
                    self.settle(delivery, Delivery.MODIFIED)

    def on_connection_opened(self, event):
        say("open", idle=event.connection.transport.remote_idle_timeout)

    def on_link_opened(self, event):
        say("attached", link=event.link.name)

    def on_message(self, event):
        self.number += 1
        message = event.message
        self.deliveries[self.number] = event.delivery
        say("message", number=self.number, body=message.body, type=type(message.body).__name__,
            failed=message.delivery_count, content_type=str(message.content_type), id=message.id, durable=message.durable,
            created=message.creation_time, settled=event.delivery.settled, link=event.link.name)

    def on_drained(self, event):
        say("drained")

    def on_link_flow(self, event):
        if event.link.is_receiver and event.link.drained():
            say("drained")

    def on_link_error(self, event):
        say("link_error", link=event.link.name, **fault(event.link))
        event.link.close()

    def on_link_closed(self, event):
        say("detached", link=event.link.name)

    def on_connection_remote_close(self, event):
        # Proton itself keeps quiet about `amqp:connection:forced`, so that reconnecting is unseen.
        if event.connection.remote_condition:
            say("connection_error", **fault(event.connection))

    def on_connection_error(self, event):
        event.connection.close()

    def on_transport_error(self, event):
        condition = event.transport.condition
        say("transport_error", condition=condition.name if condition else "", description=condition.description if condition else "")

    def on_disconnected(self, event):
        say("disconnected")
        self.commands.close()


if __name__ == "__main__":
    Container(Consumer(json.loads(sys.argv[1]))).run()
