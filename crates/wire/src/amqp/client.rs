//! What a client says: for the load generator and for tests of the server. One session, on channel 0, with one link, of
//! handle 0.

use super::value::{Reader, Value};
use super::write::{AMQP, NULL, SASL, described, flag, frame, performative, string, symbol, uint, variable};

/// Transfers that a client takes before it says that it takes more.
const WINDOW: u32 = 0x7fff_ffff;

/// Signs in with PLAIN. `[5.3.3.2]`
pub fn sasl_plain(out: &mut Vec<u8>, user: &str, password: &str) {
    frame(out, SASL, 0, |out| {
        described(out, 0x41, 2, |out| {
            symbol(out, "PLAIN");
            variable(out, 0xa0, format!("\0{user}\0{password}").as_bytes());
        });
    });
}

/// The code of a SASL outcome; 0 is success. `None` for another frame. `[5.3.3.6]`
#[must_use]
pub fn sasl_code(body: &[u8]) -> Option<u32> {
    let Ok(Value::Described(Some(0x44), inside)) = Reader::new(body).value() else { return None };
    let Ok(Value::List(mut fields)) = Reader::new(inside).value() else { return None };
    fields.number().ok()?
}

/// Begins the session.
pub fn begin(out: &mut Vec<u8>) {
    performative(out, 0, 0x11, 4, |out| {
        out.push(NULL);
        uint(out, 0);
        uint(out, WINDOW);
        uint(out, WINDOW);
    });
}

/// Attaches the link to the queue `address`.
pub fn attach(out: &mut Vec<u8>, name: &str, address: &str, is_receiver: bool) {
    let terminus = |out: &mut Vec<u8>, code: u8, address: Option<&str>| {
        described(out, code, 1, |out| match address {
            Some(address) => string(out, address),
            None => out.push(NULL),
        });
    };
    performative(out, 0, 0x12, 10, |out| {
        string(out, name);
        uint(out, 0);
        flag(out, is_receiver);
        out.extend_from_slice(&[0x50, if is_receiver { 2 } else { 0 }, 0x50, 0]);
        terminus(out, 0x28, is_receiver.then_some(address));
        terminus(out, 0x29, (!is_receiver).then_some(address));
        out.extend_from_slice(&[NULL, NULL]);
        if is_receiver { out.push(NULL) } else { uint(out, 0) }
    });
}

/// Gives credit for `credit` deliveries after the `received` ones.
pub fn give_credit(out: &mut Vec<u8>, transfers: u32, received: u32, credit: u32) {
    performative(out, 0, 0x13, 7, |out| {
        uint(out, transfers);
        uint(out, WINDOW);
        uint(out, 0);
        uint(out, WINDOW);
        uint(out, 0);
        uint(out, received);
        uint(out, credit);
    });
}

/// Accepts the deliveries from `first` to `last`.
pub fn accept(out: &mut Vec<u8>, first: u32, last: u32) {
    performative(out, 0, 0x15, 5, |out| {
        flag(out, true);
        uint(out, first);
        uint(out, last);
        flag(out, true);
        described(out, 0x24, 0, |_| ());
    });
}

/// Sends a durable message with a string as body.
pub fn send(out: &mut Vec<u8>, id: u32, text: &str) {
    frame(out, AMQP, 0, |out| {
        described(out, 0x14, 6, |out| {
            uint(out, 0);
            uint(out, id);
            variable(out, 0xa0, &id.to_be_bytes());
            uint(out, 0);
            flag(out, false);
            flag(out, false);
        });
        described(out, 0x70, 1, |out| flag(out, true));
        out.extend_from_slice(&[0x00, 0x53, 0x77]);
        string(out, text);
    });
}
