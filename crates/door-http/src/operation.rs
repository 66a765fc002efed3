//! What a request does: the four operations of 001, or a file.

use std::sync::Arc;

use causeway_model::event::DeviceEvent;
use causeway_model::settings::{ByteSize, SettingValue};
use causeway_model::{Code, Error, Result};
use causeway_platform::Platform;
use causeway_platform::uplink::DeviceContext;
use hyper::body::Incoming;
use hyper::{HeaderMap, Method, Request};

use crate::body::{BodyMemory, WholeBody};
use crate::error::{Answer, ok, refusal};
use crate::rate::Rates;
use crate::{HttpDoorSettings, authentication, file, report};

/// What all connections share.
pub(crate) struct Door {
    pub(crate) platform: Arc<Platform>,
    pub(crate) settings: HttpDoorSettings,
    memory: BodyMemory,
    rates: Rates,
}

/// An operation, with the device that the path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation<'a> {
    Authenticate,
    Message(&'a str),
    Report(&'a str),
    GatewayReport(&'a str),
}

impl<'a> Operation<'a> {
    fn of(method: &Method, path: &'a str) -> Result<Self> {
        let found = match path.strip_prefix("/v5/devices/").and_then(|rest| rest.split_once('/')) {
            Some((device, "sys/messages/up")) => Some(Self::Message(device)),
            Some((device, "sys/properties/report")) => Some(Self::Report(device)),
            // With a hyphen here; the MQTT topic has an underscore.
            Some((device, "sys/gateway/sub-devices/properties/report")) => Some(Self::GatewayReport(device)),
            _ if path == "/v5/device-auth" => Some(Self::Authenticate),
            _ => None,
        };
        match found {
            None => Err(Error::new(Code::NoSuchPath, format!("No such path: {}.", shown(path)))),
            Some(_) if method != Method::POST => {
                Err(Error::new(Code::NoSuchMethod, format!("The path {} takes POST only.", shown(path))))
            }
            Some(operation) => Ok(operation),
        }
    }

    /// The word for metrics.
    fn as_str(self) -> &'static str {
        match self {
            Self::Authenticate => "device_auth",
            Self::Message(_) => "message",
            Self::Report(_) => "report",
            Self::GatewayReport(_) => "gateway_report",
        }
    }
}

/// A piece of the path, fit to be repeated.
fn shown(path: &str) -> String {
    path.chars().take(256).collect()
}

fn report_too_large(limit: ByteSize) -> Error {
    let limit = limit.write();
    let (number, unit) = limit.split_at(limit.find(|c: char| !c.is_ascii_digit()).unwrap_or(limit.len()));
    let unit = if unit.is_empty() { "bytes" } else { unit };
    let message = format!("The content reported in a single request cannot exceed {number} {unit}.");
    Error::new(Code::ReportTooLarge, message)
}

fn count(operation: &'static str, error: Option<&Error>) {
    let code = error.map_or("ok", |e| e.code().as_str());
    metrics::counter!("causeway_device_https_requests_total", "operation" => operation, "outcome" => code).increment(1);
}

impl Door {
    pub(crate) fn new(platform: Arc<Platform>, settings: HttpDoorSettings) -> Self {
        let memory = BodyMemory::new(settings.body_memory.0.max(settings.max_body.0));
        let rates = Rates::new(&settings);
        Self { platform, settings, memory, rates }
    }

    /// Serves one request.
    pub(crate) async fn serve(&self, request: Request<Incoming>, files_only: bool) -> Answer {
        let (head, body) = request.into_parts();
        if let Some(path) = file::signed_path(&head) {
            let outcome = file::serve(&self.platform, &self.settings, path, &head, body).await;
            count(file::word(&head.method), outcome.as_ref().err());
            return outcome.unwrap_or_else(|error| refusal(&error));
        }
        if files_only {
            let error = Error::new(
                Code::NoSuchPath,
                format!("No such path: {}. Only files are served without TLS.", shown(head.uri.path())),
            );
            count("none", Some(&error));
            return refusal(&error);
        }
        let operation = Operation::of(&head.method, head.uri.path());
        let outcome = match operation {
            Ok(operation) => self.run(operation, &head.headers, body).await,
            Err(ref error) => Err(error.clone()),
        };
        let word = operation.as_ref().map_or("none", |o| o.as_str());
        count(word, outcome.as_ref().err());
        outcome.map_or_else(|error| refusal(&error), ok)
    }

    async fn run(&self, operation: Operation<'_>, headers: &HeaderMap, body: Incoming) -> Result<Option<String>> {
        match operation {
            Operation::Authenticate => {
                let too_large =
                    || Error::invalid("Invalid input data. The body is longer than the four fields can be.");
                let body =
                    self.memory.read(body, authentication::MAX_BODY, self.settings.body_timeout, too_large).await?;
                authentication::authenticate(&self.platform, &self.rates, body.text()?).await.map(Some)
            }
            Operation::Message(device) => {
                let (from, body) = self.admitted(device, headers, body).await?;
                // Notifications name the same topic whichever door a message came through.
                let topic = format!("$oc/devices/{}/sys/messages/up", from.id);
                let event = DeviceEvent::Message { topic: &topic, object_device_id: None, payload: body.bytes() };
                self.take(&from, event).await
            }
            Operation::Report(device) => {
                let (from, body) = self.admitted(device, headers, body).await?;
                self.take(&from, DeviceEvent::Report(report::report(body.text()?)?)).await
            }
            Operation::GatewayReport(device) => {
                let (from, body) = self.admitted(device, headers, body).await?;
                let devices = report::gateway_report(body.text()?, self.settings.max_sub_devices)?;
                self.take(&from, DeviceEvent::SubDeviceReport(devices)).await
            }
        }
    }

    /// The caller, once its token and rate allow it to speak, and then what it says: nobody else's body is read.
    async fn admitted(
        &self,
        device: &str,
        headers: &HeaderMap,
        body: Incoming,
    ) -> Result<(Arc<DeviceContext>, WholeBody)> {
        let token = headers.get("access_token").ok_or_else(|| {
            Error::new(Code::InvalidAccessToken, "Invalid access token. The header 'access_token' is missing.")
        })?;
        // A token of other characters than ours is as wrong as any.
        let from = self.platform.device_of_token(token.to_str().unwrap_or_default(), device).await?;
        self.rates.admit(from.no)?;
        let limit = self.settings.max_body;
        let body = self.memory.read(body, limit.0, self.settings.body_timeout, || report_too_large(limit)).await?;
        Ok((from, body))
    }

    async fn take(&self, from: &Arc<DeviceContext>, event: DeviceEvent<'_>) -> Result<Option<String>> {
        self.platform.take_and_commit(from, event).await.map(|()| None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_told_in_the_words_of_the_table() {
        let message = |bytes| report_too_large(ByteSize(bytes)).message().to_owned();
        assert_eq!(message(1 << 20), "The content reported in a single request cannot exceed 1 MB.");
        assert!(message(1000).ends_with("1000 bytes."));
    }

    #[track_caller]
    fn check(method: Method, path: &str, expected: Result<Operation<'_>, Code>) {
        assert_eq!(Operation::of(&method, path).map_err(|e| e.code()), expected, "{method} {path}");
    }

    #[test]
    fn paths_and_methods_are_told_apart() {
        check(Method::POST, "/v5/device-auth", Ok(Operation::Authenticate));
        check(Method::POST, "/v5/devices/a/sys/messages/up", Ok(Operation::Message("a")));
        check(Method::POST, "/v5/devices/a/sys/properties/report", Ok(Operation::Report("a")));
        check(
            Method::POST,
            "/v5/devices/a/sys/gateway/sub-devices/properties/report",
            Ok(Operation::GatewayReport("a")),
        );
        check(Method::GET, "/v5/device-auth", Err(Code::NoSuchMethod));
        check(Method::PUT, "/v5/devices/a/sys/messages/up", Err(Code::NoSuchMethod));
        for path in [
            "/",
            "/v5/device-auth/",
            "/v5/devices/a",
            "/v5/devices/a/b/sys/messages/up",
            "/v5/devices/a/sys/properties/set",
        ] {
            check(Method::POST, path, Err(Code::NoSuchPath));
        }
    }
}
