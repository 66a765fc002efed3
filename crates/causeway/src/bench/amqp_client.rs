//! The load generator's AMQP 1.0: one connection, one link, cheap enough not to be what is measured.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use causeway_wire::amqp::{AMQP_HEADER, Performative, SASL_HEADER, client, split_frame, write};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Frames are at most this large.
const MAX_FRAME: u32 = 1 << 20;
/// A target that says nothing for so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection with one link.
pub(super) struct Link {
    socket: TcpStream,
    input: Vec<u8>,
    out: Vec<u8>,
    /// Transfers and deliveries that came, and the last one that is told of.
    transfers: u32,
    deliveries: u32,
    first_unsettled: Option<u32>,
    last: u32,
    /// What the target lets a sender send: up to this number of deliveries.
    may_send: u32,
    sent: u32,
    settled: u32,
}

impl Link {
    /// Signs in and attaches a link.
    ///
    /// # Errors
    /// When the target refuses.
    pub(super) async fn open(
        address: SocketAddr,
        (user, password): (&str, &str),
        host: &str,
        queue: &str,
        is_receiver: bool,
    ) -> anyhow::Result<Self> {
        let socket = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        socket.set_nodelay(true)?;
        let mut link = Self {
            socket,
            input: Vec::with_capacity(1 << 20),
            out: Vec::new(),
            transfers: 0,
            deliveries: 0,
            first_unsettled: None,
            last: 0,
            may_send: 0,
            sent: 0,
            settled: 0,
        };
        link.out.extend_from_slice(&SASL_HEADER);
        client::sasl_plain(&mut link.out, user, password);
        link.flush().await?;
        link.header().await?;
        let mut code = None;
        while code.is_none() {
            link.frames(|body| {
                code = code.or(client::sasl_code(body));
                Ok(code.is_none())
            })
            .await?;
        }
        anyhow::ensure!(code == Some(0), "the target refused the AMQP user name or password");
        link.out.extend_from_slice(&AMQP_HEADER);
        let open = write::Open { container_id: host, max_frame_size: MAX_FRAME, channel_max: 0, idle_time_out: 0 };
        write::open(&mut link.out, &open);
        client::begin(&mut link.out);
        client::attach(&mut link.out, "bench", queue, is_receiver);
        link.flush().await?;
        link.header().await?;
        let mut attached = false;
        while !attached {
            link.follow(|said| attached |= matches!(said, Performative::Attach(_))).await?;
        }
        Ok(link)
    }

    async fn flush(&mut self) -> anyhow::Result<()> {
        self.socket.write_all(&self.out).await.context("the target has closed the AMQP connection")?;
        self.out.clear();
        Ok(())
    }

    async fn header(&mut self) -> anyhow::Result<()> {
        while self.input.len() < 8 {
            self.read().await?;
        }
        anyhow::ensure!(self.input.starts_with(b"AMQP"), "the target does not speak AMQP 1.0");
        self.input.drain(..8);
        Ok(())
    }

    async fn read(&mut self) -> anyhow::Result<()> {
        self.input.reserve(64 << 10);
        let read = tokio::time::timeout(PATIENCE, self.socket.read_buf(&mut self.input));
        let count = read.await.context("the target says nothing any more")??;
        anyhow::ensure!(count > 0, "the target has closed the AMQP connection");
        Ok(())
    }

    /// Hands the bodies of complete frames over, until `each` says false; reads when there is none.
    async fn frames(&mut self, mut each: impl FnMut(&[u8]) -> anyhow::Result<bool>) -> anyhow::Result<()> {
        let mut at = 0;
        loop {
            let mut goes_on = true;
            while let Some(frame) = split_frame(&self.input[at..], MAX_FRAME).context("not AMQP")? {
                goes_on = each(&self.input[at + frame.body..at + frame.size])?;
                at += frame.size;
                if !goes_on {
                    break;
                }
            }
            if at > 0 || !goes_on {
                self.input.drain(..at);
                return Ok(());
            }
            self.read().await?;
        }
    }

    /// Reads some frames and keeps the books.
    async fn follow(&mut self, mut each: impl FnMut(&Performative<'_>)) -> anyhow::Result<()> {
        let (mut transfers, mut deliveries, mut last, mut first) = (0, 0, self.last, self.first_unsettled);
        let (mut may_send, mut settled) = (self.may_send, self.settled);
        self.frames(|body| {
            let said = Performative::decode(body).context("not a performative")?;
            match &said {
                Performative::Transfer(transfer) => {
                    transfers += 1;
                    if let Some(id) = transfer.delivery_id {
                        last = id;
                        first = first.or(Some(id));
                    }
                    deliveries += u32::from(!transfer.more);
                }
                Performative::Flow(flow) => {
                    if let Some(credit) = flow.link_credit {
                        may_send = flow.delivery_count.unwrap_or(0).wrapping_add(credit);
                    }
                }
                Performative::Disposition(disposition) => {
                    settled += disposition.last.wrapping_sub(disposition.first).wrapping_add(1);
                }
                Performative::Detach(_) => bail!("the target has ended the link; is there such a queue?"),
                Performative::End | Performative::Close => bail!("the target has closed the AMQP connection"),
                _ => {}
            }
            each(&said);
            Ok(true)
        })
        .await?;
        self.transfers = self.transfers.wrapping_add(transfers);
        self.deliveries = self.deliveries.wrapping_add(deliveries);
        (self.last, self.first_unsettled, self.may_send, self.settled) = (last, first, may_send, settled);
        Ok(())
    }

    /// Gives credit for the next deliveries.
    ///
    /// # Errors
    /// When the connection is lost.
    pub(super) async fn credit(&mut self, credit: u32) -> anyhow::Result<()> {
        client::give_credit(&mut self.out, self.transfers, self.deliveries, credit);
        self.flush().await
    }

    /// Receives some messages, accepts them all, and gives credit anew. Returns how many there were.
    ///
    /// # Errors
    /// When the connection is lost.
    pub(super) async fn receive(&mut self, credit: u32) -> anyhow::Result<u32> {
        let before = self.deliveries;
        self.follow(|_| ()).await?;
        if let Some(first) = self.first_unsettled.take() {
            client::accept(&mut self.out, first, self.last);
            client::give_credit(&mut self.out, self.transfers, self.deliveries, credit);
            self.flush().await?;
        }
        Ok(self.deliveries.wrapping_sub(before))
    }

    /// Sends `count` messages as the target takes them, and waits until it has all.
    ///
    /// # Errors
    /// When the connection is lost.
    pub(super) async fn send(&mut self, count: u32, text: &str) -> anyhow::Result<()> {
        while self.settled < count {
            while self.sent < count && self.sent != self.may_send && self.out.len() < 64 << 10 {
                client::send(&mut self.out, self.sent, text);
                self.sent += 1;
            }
            let is_full = self.sent < count && self.sent != self.may_send;
            self.flush().await?;
            if !is_full {
                self.follow(|_| ()).await?;
            }
        }
        Ok(())
    }
}
