//! The connection that receives all reports of a plain broker and acknowledges them many at a time.

use std::io::{self, Read as _, Write as _};

use causeway_wire::mqtt::{self, QoS, Sender, Version};
use mio::net::TcpStream;

/// Largest packet taken from the broker.
const MAX_PACKET: u32 = 1 << 20;

/// A subscriber whose SUBACK has come.
pub(super) struct Subscriber {
    stream: TcpStream,
    inbox: Vec<u8>,
    /// PUBACKs that are not written yet.
    outbox: Vec<u8>,
}

impl Subscriber {
    /// Takes over a connection; `inbox` is what came after the SUBACK.
    pub(super) fn new(stream: TcpStream, inbox: Vec<u8>) -> Self {
        Self { stream, inbox, outbox: Vec::new() }
    }

    /// Its socket, for registration with the poller.
    pub(super) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Reads what is there, counts the reports, and acknowledges those with QoS 1.
    ///
    /// # Errors
    /// When the broker closes the connection or breaks the protocol.
    pub(super) fn read(&mut self, scratch: &mut [u8]) -> io::Result<u64> {
        let mut received = 0;
        loop {
            let n = match self.stream.read(scratch) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed by the target")),
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if self.inbox.is_empty() {
                let used = packets(&scratch[..n], &mut self.outbox, &mut received)?;
                self.inbox.extend_from_slice(&scratch[used..n]);
            } else {
                self.inbox.extend_from_slice(&scratch[..n]);
                let used = packets(&self.inbox, &mut self.outbox, &mut received)?;
                self.inbox.drain(..used);
            }
            if n < scratch.len() {
                break;
            }
        }
        self.flush()?;
        Ok(received)
    }

    /// Asks for a PINGRESP, so that a broker does not miss a subscriber with QoS 0, which sends nothing else.
    ///
    /// # Errors
    /// When the connection is broken.
    pub(super) fn ping(&mut self) -> io::Result<()> {
        mqtt::encode_pingreq(&mut self.outbox);
        self.flush()
    }

    /// Writes acknowledgements as far as the socket takes them.
    ///
    /// # Errors
    /// When the connection is broken.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while !self.outbox.is_empty() {
            match self.stream.write(&self.outbox) {
                Ok(written) => drop(self.outbox.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Counts whole PUBLISH packets at the beginning of `bytes` and says how many bytes they were.
fn packets(bytes: &[u8], outbox: &mut Vec<u8>, received: &mut u64) -> io::Result<usize> {
    let broken = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut at = 0;
    while let Some(frame) = mqtt::split_frame(&bytes[at..], MAX_PACKET).map_err(|e| broken(e.to_string()))? {
        at += frame.len;
        match mqtt::decode_from(Sender::Server, Version::V311, frame).map_err(|e| broken(e.to_string()))? {
            mqtt::Packet::Publish(publish) => {
                *received += 1;
                if let (QoS::AtLeastOnce, Some(id)) = (publish.qos, publish.packet_id) {
                    outbox.extend_from_slice(&[0x40, 2]);
                    outbox.extend_from_slice(&id.get().to_be_bytes());
                }
            }
            mqtt::Packet::Pingresp => {}
            other => return Err(broken(format!("unexpected packet {other:?}"))),
        }
    }
    Ok(at)
}
