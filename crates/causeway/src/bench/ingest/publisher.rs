//! One reporting connection: a ring of ready-made packets, patched in place and written many at a time.

use std::io::{self, IoSlice, Read as _, Write as _};
use std::time::{Duration, Instant};

use causeway_wire::mqtt::{self, PacketId, QoS, Sender, Version};
use mio::net::TcpStream;

use crate::bench::payload::{TIME_LEN, Template};

/// Largest packet taken from the target.
const MAX_PACKET: u32 = 1 << 20;

/// Packets of a connection that wait for their PUBACK: one bit for each packet id.
struct Waiting(Box<[u64; 1024]>);

impl Waiting {
    fn insert(&mut self, id: u16) {
        self.0[usize::from(id >> 6)] |= 1 << (id & 63);
    }

    /// Takes `id` out; `false` when it was not there.
    fn remove(&mut self, id: u16) -> bool {
        let (word, bit) = (&mut self.0[usize::from(id >> 6)], 1_u64 << (id & 63));
        let there = *word & bit != 0;
        *word &= !bit;
        there
    }
}

/// What one read brought.
#[derive(Default)]
pub(super) struct Acks {
    /// Reports acknowledged.
    pub(super) count: u64,
    /// Latency of the sampled report, if it was among them, and when that was sent.
    pub(super) sample: Option<(Duration, Instant)>,
    /// Acknowledgements that came before that of an earlier report.
    pub(super) out_of_order: u64,
}

/// A connection that sends reports.
pub(super) struct Publisher {
    device_id: String,
    stream: TcpStream,
    template: Template,
    /// As many copies of the packet as may wait for a PUBACK. Prepared packets lie from `write_at` on.
    ring: Vec<u8>,
    next_slot: usize,
    write_at: usize,
    unsent: usize,
    writable: bool,
    next_id: u16,
    oldest_id: u16,
    outstanding: usize,
    waiting: Waiting,
    sample: Option<(u16, Instant)>,
    /// The beginning of a packet whose rest has not come yet.
    inbox: Vec<u8>,
    /// Acknowledgements of what the target sent, to go out between two reports.
    control: Vec<u8>,
    /// A part of `control` has been written.
    control_begun: bool,
}

/// The packet id after `id`; 0 is no packet id [MQTT-2.3.1-1].
fn after(id: u16) -> u16 {
    id.checked_add(1).unwrap_or(1)
}

impl Publisher {
    /// Takes over a connection whose CONNACK has come. `inbox` is what came after it.
    pub(super) fn new(
        device_id: String,
        stream: TcpStream,
        inbox: Vec<u8>,
        template: Template,
        inflight: usize,
    ) -> Self {
        Self {
            device_id,
            stream,
            ring: template.bytes().repeat(inflight),
            template,
            next_slot: 0,
            write_at: 0,
            unsent: 0,
            writable: true,
            next_id: 1,
            oldest_id: 1,
            outstanding: 0,
            waiting: Waiting(Box::new([0; 1024])),
            sample: None,
            inbox,
            control: Vec::new(),
            control_begun: false,
        }
    }

    /// Its device, for error texts.
    pub(super) fn device_id(&self) -> &str {
        &self.device_id
    }

    /// Its socket, for registration with the poller.
    pub(super) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Reports that wait for their PUBACK.
    pub(super) fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Reports that may be prepared now.
    pub(super) fn room(&self) -> usize {
        self.ring.len() / self.template.len() - self.outstanding
    }

    /// Whether the latency of the next report can be measured.
    pub(super) fn can_sample(&self) -> bool {
        self.sample.is_none()
    }

    /// Puts one report into the ring; the caller has checked [`Self::room`].
    pub(super) fn prepare(&mut self, time: &[u8; TIME_LEN], sampled: Option<Instant>) {
        let len = self.template.len();
        let start = self.next_slot * len;
        self.template.stamp(&mut self.ring[start..start + len], self.next_id, time);
        self.template.advance();
        self.waiting.insert(self.next_id);
        if let Some(at) = sampled {
            self.sample = Some((self.next_id, at));
        }
        self.next_id = after(self.next_id);
        self.next_slot = (self.next_slot + 1) % (self.ring.len() / len);
        self.outstanding += 1;
        self.unsent += len;
    }

    /// The socket takes bytes again.
    pub(super) fn set_writable(&mut self) {
        self.writable = true;
    }

    /// Writes what is prepared, as far as the socket takes it.
    ///
    /// # Errors
    /// When the connection is broken.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while self.writable {
            // Acknowledgements go out between two reports, and nothing comes between the parts of either.
            let control = !self.control.is_empty() && (self.control_begun || self.unsent == 0);
            if !control && self.unsent == 0 {
                return Ok(());
            }
            let written = if control {
                self.stream.write(&self.control)
            } else {
                let tail = (self.ring.len() - self.write_at).min(self.unsent);
                let parts = [
                    IoSlice::new(&self.ring[self.write_at..self.write_at + tail]),
                    IoSlice::new(&self.ring[..self.unsent - tail]),
                ];
                self.stream.write_vectored(if self.unsent > tail { &parts } else { &parts[..1] })
            };
            match written {
                Ok(written) if control => {
                    self.control.drain(..written);
                    self.control_begun = !self.control.is_empty();
                }
                Ok(written) => {
                    self.write_at = (self.write_at + written) % self.ring.len();
                    self.unsent -= written;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads what is there and counts acknowledgements.
    ///
    /// # Errors
    /// When the target closes the connection or breaks the protocol.
    pub(super) fn read(&mut self, scratch: &mut [u8]) -> io::Result<Acks> {
        let mut acks = Acks::default();
        loop {
            let n = match self.stream.read(scratch) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed by the target")),
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(acks),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.take(&scratch[..n], &mut acks)?;
            // Edge-triggered: a read that did not fill the buffer has emptied the socket.
            if n < scratch.len() {
                return Ok(acks);
            }
        }
    }

    fn take(&mut self, bytes: &[u8], acks: &mut Acks) -> io::Result<()> {
        if self.inbox.is_empty() {
            let used = self.packets(bytes, acks)?;
            self.inbox.extend_from_slice(&bytes[used..]);
        } else {
            let mut inbox = std::mem::take(&mut self.inbox);
            inbox.extend_from_slice(bytes);
            let used = self.packets(&inbox, acks)?;
            inbox.drain(..used);
            self.inbox = inbox;
        }
        Ok(())
    }

    /// Handles whole packets at the beginning of `bytes` and says how many bytes they were.
    fn packets(&mut self, bytes: &[u8], acks: &mut Acks) -> io::Result<usize> {
        let broken = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        let mut at = 0;
        loop {
            // PUBACK of 3.1.1 is always these four bytes (§3.4), and nearly all that comes.
            if let [0x40, 2, high, low, ..] = bytes[at..] {
                self.acknowledged(u16::from_be_bytes([high, low]), acks)?;
                at += 4;
                continue;
            }
            let Some(frame) = mqtt::split_frame(&bytes[at..], MAX_PACKET).map_err(|e| broken(e.to_string()))? else {
                return Ok(at);
            };
            let packet = mqtt::decode_from(Sender::Server, Version::V311, frame).map_err(|e| broken(e.to_string()))?;
            match packet {
                mqtt::Packet::Publish(publish) if publish.qos == QoS::AtLeastOnce => {
                    let id = publish.packet_id.map_or(1, PacketId::get);
                    self.control.extend_from_slice(&[0x40, 2]);
                    self.control.extend_from_slice(&id.to_be_bytes());
                }
                mqtt::Packet::Publish(publish) if publish.qos == QoS::AtMostOnce => {}
                mqtt::Packet::Pingresp => {}
                other => return Err(broken(format!("unexpected packet {other:?}"))),
            }
            at += frame.len;
        }
    }

    fn acknowledged(&mut self, id: u16, acks: &mut Acks) -> io::Result<()> {
        if !self.waiting.remove(id) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("PUBACK for packet {id}, which does not wait for one"),
            ));
        }
        // PUBACKs come in the order of the PUBLISH packets [MQTT-4.6.0-2].
        if id != self.oldest_id {
            acks.out_of_order += 1;
        }
        self.oldest_id = after(id);
        self.outstanding -= 1;
        acks.count += 1;
        if let Some((sampled, at)) = self.sample
            && sampled == id
        {
            acks.sample = Some((at.elapsed(), at));
            self.sample = None;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const TIME: &[u8; TIME_LEN] = b"20260203T040506Z";

    /// A connection with room for four reports, and the target's end of it.
    fn pair() -> (Publisher, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let stream = std::net::TcpStream::connect(listener.local_addr().expect("it listens")).expect("it accepts");
        stream.set_nonblocking(true).expect("a socket");
        let (target, _) = listener.accept().expect("a connection");
        target.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        let template = Template::new("t", 100).expect("large enough");
        (Publisher::new("d".into(), TcpStream::from_std(stream), Vec::new(), template, 4), target)
    }

    fn send(publisher: &mut Publisher, count: usize) {
        for _ in 0..count {
            publisher.prepare(TIME, None);
        }
        publisher.flush().expect("an open connection");
    }

    /// Reads `count` packets at the target: packet id and counter of reports, or the bytes of anything else.
    fn read(target: &mut std::net::TcpStream, count: usize) -> Vec<(u16, String)> {
        let mut got = Vec::new();
        let mut inbox = Vec::new();
        while got.len() < count {
            let mut buffer = [0; 64];
            let n = target.read(&mut buffer).expect("something comes");
            inbox.extend_from_slice(&buffer[..n]);
            while let Some(frame) = mqtt::split_frame(&inbox, MAX_PACKET).expect("legal") {
                let len = frame.len;
                match mqtt::decode_from(Sender::Client, Version::V311, frame).expect("legal") {
                    mqtt::Packet::Publish(publish) => {
                        let text = std::str::from_utf8(publish.payload).expect("JSON");
                        let counter = text.split("\"counter\":").nth(1).expect("a counter");
                        got.push((publish.packet_id.map_or(0, PacketId::get), counter[..10].to_owned()));
                    }
                    mqtt::Packet::Puback(ack) => got.push((ack.packet_id.get(), "PUBACK".into())),
                    other => panic!("{other:?}"),
                }
                inbox.drain(..len);
            }
        }
        assert!(inbox.is_empty(), "half a packet is left");
        got
    }

    /// Reads acknowledgements until `count` have come or one is wrong.
    fn acks(publisher: &mut Publisher, count: u64) -> io::Result<Acks> {
        let mut sum = Acks::default();
        let deadline = Instant::now() + Duration::from_secs(20);
        while sum.count < count {
            assert!(Instant::now() < deadline, "only {} acknowledgements", sum.count);
            let acks = publisher.read(&mut [0; 5])?;
            sum.count += acks.count;
            sum.out_of_order += acks.out_of_order;
            sum.sample = sum.sample.or(acks.sample);
        }
        Ok(sum)
    }

    #[test]
    fn the_ring_goes_round_and_every_report_is_itself() {
        let (mut publisher, mut target) = pair();
        let mut expected = 1;
        for _ in 0..5 {
            let room = publisher.room().min(3);
            send(&mut publisher, room);
            for (id, counter) in read(&mut target, room) {
                assert_eq!((id, counter), (expected, (999_999_999 + u64::from(expected)).to_string()));
                target.write_all(&[0x40, 2]).expect("open");
                target.write_all(&expected.to_be_bytes()).expect("open");
                expected += 1;
            }
            let acks = acks(&mut publisher, room as u64).expect("right ids");
            assert_eq!((acks.count, acks.out_of_order, publisher.outstanding()), (3, 0, 0));
        }
    }

    #[test]
    fn packet_ids_skip_zero() {
        assert_eq!((after(1), after(65_534), after(65_535)), (2, 65_535, 1));
    }

    #[test]
    fn order_is_watched_and_unknown_ids_are_refused() {
        let (mut publisher, mut target) = pair();
        send(&mut publisher, 3);
        target.write_all(&[0x40, 2, 0, 2, 0x40, 2, 0, 1, 0x40, 2, 0, 3]).expect("open");
        let acks3 = acks(&mut publisher, 3).expect("known ids");
        assert_eq!(acks3.out_of_order, 3);
        target.write_all(&[0x40, 2, 0, 3]).expect("open");
        let error = acks(&mut publisher, 1).err().expect("acknowledged twice");
        assert!(error.to_string().contains("packet 3"), "{error}");
    }

    #[test]
    fn a_sampled_report_has_a_latency() {
        let (mut publisher, mut target) = pair();
        assert!(publisher.can_sample());
        publisher.prepare(TIME, Some(Instant::now()));
        assert!(!publisher.can_sample());
        publisher.flush().expect("open");
        assert_eq!(read(&mut target, 1).len(), 1);
        target.write_all(&[0x40, 2, 0, 1]).expect("open");
        let (latency, _) = acks(&mut publisher, 1).expect("a known id").sample.expect("it was sampled");
        assert!(latency > Duration::ZERO && publisher.can_sample());
    }

    #[test]
    fn messages_of_the_target_are_acknowledged_between_reports() {
        let (mut publisher, mut target) = pair();
        let mut message = Vec::new();
        crate::load::mqtt::publish(&mut message, "a", PacketId::new(77), b"x").expect("legal");
        crate::load::mqtt::publish(&mut message, "a", None, b"x").expect("legal");
        message.extend_from_slice(&[0x40, 2, 0, 1]);
        publisher.prepare(TIME, None);
        target.write_all(&message).expect("open");
        acks(&mut publisher, 1).expect("legal packets");
        publisher.flush().expect("open");
        let got = read(&mut target, 2);
        assert_eq!(got, [(1, "1000000000".into()), (77, "PUBACK".into())]);
    }

    #[test]
    fn a_closed_connection_is_an_error() {
        let (mut publisher, target) = pair();
        drop(target);
        let error = acks(&mut publisher, 1).err().expect("closed");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{error}");
    }
}
