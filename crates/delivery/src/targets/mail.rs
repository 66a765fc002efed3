//! Mails to subscribers of notification topics, over SMTP. The server is the operator's (`mail.*`); all mails of a node share
//! its connections and its rate.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use causeway_platform::settings::{MailSettings, MailTls};
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::time::Instant;

use crate::target::{Feeding, Item, Sent, Target};

/// What a mail says: the fields of a notification that it needs.
#[derive(Deserialize)]
struct Letter {
    message_id: String,
    topic_name: String,
    subject: String,
    message: String,
}

/// Sends mails, not faster than the operator wants.
pub(crate) struct MailRoom {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Address,
    between: Duration,
    /// When the next mail may leave.
    next: Mutex<Instant>,
}

impl MailRoom {
    /// `None` when there is no server.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub(crate) fn open(settings: &MailSettings) -> Result<Option<Arc<Self>>, String> {
        let Some(server) = &settings.server else { return Ok(None) };
        let from = settings.from.parse().map_err(|e| format!("mail.from is no mail address: {e}"))?;
        let tls = match settings.tls {
            MailTls::None => Tls::None,
            MailTls::Starttls => Tls::Required(parameters(server, settings)?),
            MailTls::Tls => Tls::Wrapper(parameters(server, settings)?),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server.as_str())
            .port(settings.port)
            .tls(tls)
            .timeout(Some(settings.timeout.0));
        if let (Some(user), Some(password)) = (&settings.user, &settings.password) {
            builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
        }
        Ok(Some(Arc::new(Self {
            transport: builder.build(),
            from,
            between: Duration::from_secs(60) / settings.rate.max(1),
            next: Mutex::new(Instant::now()),
        })))
    }

    /// Waits for a turn.
    async fn turn(&self) {
        let at = {
            let mut next = self.next.lock();
            let at = (*next).max(Instant::now());
            *next = at + self.between;
            at
        };
        tokio::time::sleep_until(at).await;
    }
}

fn parameters(server: &str, settings: &MailSettings) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(server.to_owned());
    if let Some(path) = &settings.ca_file {
        let pem = std::fs::read(path).map_err(|e| format!("mail.ca_file cannot be read: {e}"))?;
        let certificate = Certificate::from_pem(&pem).map_err(|e| format!("mail.ca_file holds no certificate: {e}"))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build_rustls().map_err(|e| format!("no TLS to the mail server is possible: {e}"))
}

/// One address.
pub(crate) struct MailTarget {
    room: Arc<MailRoom>,
    to: Address,
}

impl MailTarget {
    pub(crate) fn new(room: Option<&Arc<MailRoom>>, to: &str) -> Result<Self, String> {
        let room = room.ok_or_else(|| "mail.server is not set".to_owned())?.clone();
        Ok(Self { room, to: to.parse().map_err(|e| format!("the address is none: {e}"))? })
    }

    fn compose(&self, item: &Item) -> Result<Message, String> {
        let letter: Letter = serde_json::from_slice(&item.body).map_err(|e| e.to_string())?;
        // A line break must not begin another header.
        let line = |text: &str| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
        Message::builder()
            .from(Mailbox::new(Some(line(&letter.topic_name)), self.room.from.clone()))
            .to(Mailbox::new(None, self.to.clone()))
            .subject(line(&letter.subject))
            // The same for every try: a mail server that took it already can tell.
            .message_id(Some(format!("<{}@{}>", line(&letter.message_id), self.room.from.domain())))
            .date(UNIX_EPOCH + Duration::from_millis(u64::try_from(item.at.0).unwrap_or(0)))
            .header(ContentType::TEXT_PLAIN)
            .body(letter.message)
            .map_err(|e| e.to_string())
    }
}

#[async_trait]
impl Target for MailTarget {
    fn feeding(&self) -> Feeding {
        // Failures are counted for the address: one that the server refuses must not hold up the others.
        Feeding::Lanes { concurrency: 1, host: format!("mail:{}", self.to) }
    }

    async fn send(&self, items: &[Item]) -> Sent {
        let Some(item) = items.first() else { return Sent::default() };
        let mail = match self.compose(item) {
            Ok(mail) => mail,
            Err(why) => return Sent::failed("failed", format!("the mail cannot be written: {why}")),
        };
        self.room.turn().await;
        match self.room.transport.send(mail).await {
            Ok(_) => Sent::all(items),
            Err(error) => {
                let word = if error.is_timeout() {
                    "timeout"
                } else if error.is_permanent() || error.is_transient() {
                    "refused"
                } else {
                    "unreachable"
                };
                Sent::failed(word, format!("the mail server did not take the mail: {}", with_causes(&error)))
            }
        }
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(found) = cause {
        text.push_str(": ");
        text.push_str(&found.to_string());
        cause = found.source();
    }
    text
}
