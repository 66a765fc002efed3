//! From bytes to packets, and the packets that need few words.

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll};

use causeway_wire::mqtt::{self, Ack, Disconnect, Packet, Properties, ReasonCode, Sender, Version};
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::time::Instant;

use super::Connection;
use super::commits::Batch;
use crate::error::Ending;
use crate::session::outbox::Acked;

/// Read at once from a socket.
const SCRATCH: usize = 64 << 10;

thread_local! {
    /// Bytes just read. One buffer a thread serves all its connections, because nothing stays in it between two polls.
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into());
}

impl Connection {
    /// Reads once and processes what came.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Ending> {
        if self.is_held || !self.may_process() {
            return Ok(Poll::Pending);
        }
        READ.with_borrow_mut(|scratch| {
            let mut buf = ReadBuf::new(scratch);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buf) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(Err(_)) => return Err(Ending::Lost),
                Poll::Ready(Ok(())) if buf.filled().is_empty() => return Err(Ending::Lost),
                Poll::Ready(Ok(())) => {}
            }
            self.heard = Instant::now();
            self.receive(buf.filled())?;
            Ok(Poll::Ready(()))
        })
    }

    /// Processes bytes just read.
    fn receive(&mut self, bytes: &[u8]) -> Result<(), Ending> {
        if self.tail.is_empty() {
            let taken = self.process(bytes)?;
            if taken < bytes.len() {
                self.tail = bytes[taken..].to_vec();
            }
            Ok(())
        } else {
            let mut tail = std::mem::take(&mut self.tail);
            tail.extend_from_slice(bytes);
            self.receive_rest(tail)
        }
    }

    /// Processes kept bytes and keeps what is left of them.
    pub(super) fn receive_rest(&mut self, mut tail: Vec<u8>) -> Result<(), Ending> {
        let taken = self.process(&tail)?;
        if taken < tail.len() {
            tail.drain(..taken);
            self.tail = tail;
        }
        Ok(())
    }

    /// Processes whole packets and returns how many bytes they had. What they cause is submitted in one piece.
    fn process(&mut self, bytes: &[u8]) -> Result<usize, Ending> {
        let arrival = self.door.platform.clock.now();
        let largest = u32::try_from(self.door.settings.max_packet_size.0).unwrap_or(u32::MAX);
        let mut batch = Batch::default();
        let (mut at, mut packets) = (0, 0);
        let outcome = loop {
            if !self.may_process() {
                self.is_held = at < bytes.len();
                break Ok(());
            }
            let frame = match mqtt::split_frame(&bytes[at..], largest) {
                Ok(Some(frame)) => frame,
                Ok(None) => break Ok(()),
                Err(error) => break Err(Ending::Protocol(error)),
            };
            let packet = match mqtt::decode_from(Sender::Client, self.version, frame) {
                Ok(packet) => packet,
                Err(error) => break Err(Ending::Protocol(error)),
            };
            packets += 1;
            let whole = &bytes[at..at + frame.len];
            at += frame.len;
            let outcome = match packet {
                Packet::Publish(publish) => self.on_publish(whole, publish, arrival, &mut batch),
                other => self.on_packet(other),
            };
            if outcome.is_err() {
                break outcome;
            }
        };
        self.door.meters.packets.increment(packets);
        // What came before an error is taken all the same. What came before a slow operation is submitted before it begins;
        // should the store have no room, the operation waits for that.
        let slow = self.slow.take();
        self.submit(batch);
        if self.slow.is_some() {
            self.then = slow;
        } else {
            self.slow = slow;
        }
        outcome.map(|()| at)
    }

    fn on_packet(&mut self, packet: Packet<'_>) -> Result<(), Ending> {
        match packet {
            Packet::Puback(ack) => {
                let acked = self.session.outbox.puback(ack.packet_id);
                self.on_acked(acked, &ack);
            }
            Packet::Pubrec(ack) => {
                let is_failure = ack.reason.is_failure();
                let acked = self.session.outbox.pubrec(ack.packet_id, is_failure);
                match acked {
                    Acked::Release => self.write_pubrel(Ack::success(ack.packet_id)),
                    Acked::Unknown if !is_failure => {
                        // [MQTT-4.3.3-1]; v5 [MQTT-4.3.3-4] with a word on what is wrong.
                        self.write_pubrel(Ack {
                            reason: ReasonCode::PACKET_IDENTIFIER_NOT_FOUND,
                            ..Ack::success(ack.packet_id)
                        });
                    }
                    acked => self.on_acked(acked, &ack),
                }
            }
            Packet::Pubcomp(ack) => {
                let acked = self.session.outbox.pubcomp(ack.packet_id);
                self.on_acked(acked, &ack);
            }
            Packet::Pubrel(ack) => {
                let mut answer = Ack::success(ack.packet_id);
                if self.session.received.remove(&ack.packet_id) {
                    self.unacknowledged = self.unacknowledged.saturating_sub(1);
                } else if self.version == Version::V5 {
                    answer.reason = ReasonCode::PACKET_IDENTIFIER_NOT_FOUND;
                }
                let written = mqtt::encode_pubcomp(&mut self.out.bytes, self.version, &answer); // [MQTT-4.3.3-2]
                debug_assert!(written.is_ok(), "both codes are codes of PUBCOMP");
            }
            Packet::Subscribe(subscribe) => self.on_subscribe(&subscribe),
            Packet::Unsubscribe(unsubscribe) => self.on_unsubscribe(&unsubscribe),
            Packet::Pingreq => mqtt::encode_pingresp(&mut self.out.bytes), // [MQTT-3.12.4-1]
            Packet::Disconnect(disconnect) => return Err(self.on_disconnect(&disconnect)),
            // A method was refused at CONNECT, so no exchange can be under way (v5 [MQTT-4.12.0-6]).
            Packet::Auth(_) => {
                return Err(Ending::Broken(
                    ReasonCode::PROTOCOL_ERROR,
                    "AUTH without an authentication method in CONNECT",
                ));
            }
            Packet::Publish(_) | Packet::Connack(_) | Packet::Suback(_) | Packet::Unsuback(_) | Packet::Pingresp => {
                return Err(Ending::Broken(ReasonCode::PROTOCOL_ERROR, "a packet that only servers send"));
            }
        }
        Ok(())
    }

    fn write_pubrel(&mut self, ack: Ack<'_>) {
        let written = mqtt::encode_pubrel(&mut self.out.bytes, self.version, &ack);
        debug_assert!(written.is_ok(), "both codes are codes of PUBREL");
    }

    fn on_disconnect(&mut self, disconnect: &Disconnect<'_>) -> Ending {
        let properties: &Properties<'_> = &disconnect.properties;
        if let Some(expiry) = properties.session_expiry_interval() {
            if self.expiry == 0 && expiry != 0 {
                // v5 §3.14.2.2.2
                let text = "a session that ends with its connection cannot be prolonged";
                return Ending::Broken(ReasonCode::PROTOCOL_ERROR, text);
            }
            self.expiry = expiry.min(self.door.longest_session());
        }
        Ending::Disconnected { with_will: disconnect.reason != ReasonCode::SUCCESS }
    }
}
