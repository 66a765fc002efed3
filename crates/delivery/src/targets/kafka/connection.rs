//! A connection to one broker, signed in.

use std::sync::Arc;

use causeway_channels::Secret;
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::sasl::{Mechanism, Scram, plain};
use super::wire::{self, Api};
use crate::net::Net;
use crate::stream::{Stream, broken, failure};
use crate::target::Failure;

/// Largest answer that is read, in bytes: the metadata of a topic with many partitions.
const MAX_ANSWER: usize = 4 << 20;
/// The code of a refused sign-in.
const WRONG_CREDENTIALS: i16 = 58;

/// How brokers are spoken to.
pub(crate) struct Security {
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) login: Option<Login>,
}

/// Who signs in.
pub(crate) struct Login {
    pub(crate) mechanism: Mechanism,
    pub(crate) user: String,
    pub(crate) password: Secret,
}

/// See the module text.
pub(crate) struct Connection {
    stream: Stream,
    whom: String,
    correlation: i32,
}

impl Connection {
    /// Connects and signs in.
    ///
    /// # Errors
    /// What happened, without credentials.
    pub(crate) async fn open(net: &Net, host: &str, port: u16, security: &Security) -> Result<Self, Failure> {
        let stream = net.open(host, port, security.tls.as_ref()).await?;
        let mut connection = Self { stream, whom: format!("{host}:{port}"), correlation: 0 };
        if let Some(login) = &security.login {
            connection.sign_in(login).await?;
        }
        Ok(connection)
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// The connection broke; it must not be used again. So it is when this is cancelled.
    pub(crate) async fn call(&mut self, api: Api, body: impl FnOnce(&mut Vec<u8>)) -> Result<Vec<u8>, Failure> {
        self.correlation = self.correlation.wrapping_add(1);
        let frame = wire::request(api, self.correlation, body);
        self.exchange(&frame).await.map_err(|error| broken(&self.whom, &error))
    }

    async fn exchange(&mut self, frame: &[u8]) -> std::io::Result<Vec<u8>> {
        self.stream.write_all(frame).await?;
        self.stream.flush().await?;
        let size = usize::try_from(self.stream.read_i32().await?).unwrap_or(usize::MAX);
        if !(4..=MAX_ANSWER).contains(&size) {
            return Err(std::io::Error::other("what came is no answer of Kafka"));
        }
        if self.stream.read_i32().await? != self.correlation {
            return Err(std::io::Error::other("an answer came to another question"));
        }
        let mut answer = vec![0; size - 4];
        self.stream.read_exact(&mut answer).await?;
        Ok(answer)
    }

    /// Something came that is no answer to what was asked.
    pub(crate) fn nonsense(&self) -> Failure {
        failure("protocol", format!("{} did not answer as Kafka does", self.whom))
    }

    async fn sign_in(&mut self, login: &Login) -> Result<(), Failure> {
        let mechanism = login.mechanism.word();
        let answer = self.call(Api::SaslHandshake, |out| wire::handshake(out, mechanism)).await?;
        let (error, offered) = wire::read_handshake(&answer).ok_or_else(|| self.nonsense())?;
        if error != 0 {
            let offered = offered.join(", ");
            return Err(failure("refused", format!("{} does not take {mechanism}; it takes: {offered}", self.whom)));
        }
        match login.mechanism {
            Mechanism::Plain => {
                self.authenticate(&plain(&login.user, login.password.as_str())).await?;
            }
            Mechanism::ScramSha512 => {
                let no_random = || failure("failed", "the system has no random numbers");
                let (scram, first) = Scram::begin(&login.user).ok_or_else(no_random)?;
                let challenge = self.authenticate(&first).await?;
                let password = login.password.clone();
                let answered = tokio::task::spawn_blocking(move || scram.answer(password.as_str(), &challenge))
                    .await
                    .ok()
                    .flatten();
                let (last, expected) = answered.ok_or_else(|| self.nonsense())?;
                let shown = self.authenticate(&last).await?;
                if !expected.is_shown(&shown) {
                    let text = format!("{} did not prove that it knows the user, as SCRAM demands", self.whom);
                    return Err(failure("refused", text));
                }
            }
        }
        Ok(())
    }

    async fn authenticate(&mut self, message: &[u8]) -> Result<Vec<u8>, Failure> {
        let sent = self.call(Api::SaslAuthenticate, |out| wire::authenticate(out, message)).await;
        // Some brokers hang up in place of an answer.
        let answer = sent.map_err(|f| failure(f.word, format!("{}, while signing in", f.text)))?;
        let (error, _, message) = wire::read_authenticate(&answer).ok_or_else(|| self.nonsense())?;
        match error {
            0 => Ok(message.to_vec()),
            // The broker's own words are not handed on: they may repeat what was sent.
            WRONG_CREDENTIALS => Err(failure("refused", format!("{} refused user name and password", self.whom))),
            other => {
                let text = format!("{} refused the sign-in: {}", self.whom, wire::error_text(other));
                Err(failure("refused", text))
            }
        }
    }
}
