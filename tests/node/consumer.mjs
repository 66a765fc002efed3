// A consumer on rhea: the vendor's Node.js sample (002 §4.6.3.5) with options and commands around it.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { readFileSync } from "node:fs";

const container = createRequire(import.meta.url)("rhea");
const options = JSON.parse(process.argv[2]);
const say = (event, fields) => console.log(JSON.stringify({ event, ...fields }));
const fault = (endpoint) => ({ condition: endpoint?.error?.condition, description: endpoint?.error?.description });
const deliveries = new Map();
let number = 0;

const connection = container.connect({
    host: options.host,
    port: options.port,
    transport: options.ca ? "tls" : "tcp",
    ca: options.ca ? [readFileSync(options.ca)] : undefined,
    servername: "localhost",
    reconnect: false,
    idle_time_out: options.idle_time_out ?? 8000,
    // As the sample writes it, with a bar at the end.
    username: options.user + "|",
    password: options.password,
    hostname: "default",
});
const receivers = (options.queues ?? []).map((queue) =>
    connection.open_receiver({
        source: queue,
        autoaccept: false,
        credit_window: options.credit ?? 1000,
        ...(options.settled ? { snd_settle_mode: 1 } : {}),
    }));
if (options.sender) connection.open_sender(options.sender);

container.on("connection_open", () => say("open", {}));
container.on("receiver_open", (context) => say("attached", { link: context.receiver.name }));
container.on("message", (context) => {
    number += 1;
    const message = context.message;
    deliveries.set(number, context.delivery);
    say("message", {
        number,
        body: message.body,
        type: typeof message.body,
        failed: message.delivery_count ?? 0,
        content_type: message.content_type,
        id: message.message_id,
    });
    if (options.auto_accept) context.delivery.accept();
});
container.on("receiver_error", (context) => say("link_error", fault(context.receiver)));
container.on("sender_error", (context) => say("link_error", fault(context.sender)));
container.on("connection_error", (context) => say("connection_error", fault(context.connection)));
container.on("error", (error) => say("transport_error", { condition: error.condition, description: String(error.message ?? error) }));
container.on("disconnected", (context) => say("disconnected", { description: String(context.error ?? "") }));

createInterface({ input: process.stdin }).on("line", (line) => {
    const command = JSON.parse(line);
    if (command.do === "close") return connection.close();
    if (command.do === "credit") return receivers[0].add_credit(command.credit);
    if (command.do === "detach") return receivers[0].close();
    for (const each of command.numbers) {
        const delivery = deliveries.get(each);
        deliveries.delete(each);
        if (command.do === "accept") delivery.accept();
        if (command.do === "reject") delivery.reject();
        if (command.do === "release") delivery.release();
        if (command.do === "modify") delivery.modified({ delivery_failed: true, undeliverable_here: false });
    }
});
