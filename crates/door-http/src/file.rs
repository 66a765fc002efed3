//! Files by signed URLs: `PUT`, `GET` and `HEAD` of `/v5/files/{key}` (002 §3.9). The signature of the URL is all that a
//! client shows; contents pass through in pieces.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use causeway_model::{Code, Error, Result};
use causeway_platform::Platform;
use causeway_platform::file::{ObjectReader, SignedPath};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::header::{
    ACCEPT_RANGES, ALLOW, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName,
    HeaderValue, RANGE,
};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use tokio::sync::mpsc;

use crate::HttpDoorSettings;
use crate::error::{Answer, Body, refusal};

/// Where URLs of files begin.
const PREFIX: &str = "/v5/files/";

/// Pieces of a download that wait for the client; one is about 8 KB for a local folder.
const AHEAD: usize = 8;

/// The key and signature of a request for a file.
pub(crate) fn signed_path(head: &Parts) -> Option<SignedPath<'_>> {
    let key = head.uri.path().strip_prefix(PREFIX)?;
    Some(SignedPath { key, query: head.uri.query().unwrap_or_default() })
}

/// The word for metrics.
pub(crate) fn word(method: &Method) -> &'static str {
    if *method == Method::PUT { "file_upload" } else { "file_download" }
}

/// Serves a request for a file.
///
/// # Errors
/// As [`Platform::begin_upload`], [`Platform::finish_upload`] and [`Platform::open_download`]; [`Code::NoSuchMethod`].
pub(crate) async fn serve(
    platform: &Platform,
    settings: &HttpDoorSettings,
    path: SignedPath<'_>,
    head: &Parts,
    body: Incoming,
) -> Result<Answer> {
    match head.method {
        Method::PUT => take(platform, settings.file_pause.0, path, body).await,
        Method::GET => give(platform, path, head, false, settings.file_pause.0).await,
        Method::HEAD => give(platform, path, head, true, settings.file_pause.0).await,
        _ => {
            let error = Error::new(Code::NoSuchMethod, "The path takes PUT, GET and HEAD only.");
            let mut answer = refusal(&error);
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("PUT, GET, HEAD"));
            Ok(answer)
        }
    }
}

async fn take(platform: &Platform, pause: Duration, path: SignedPath<'_>, mut body: Incoming) -> Result<Answer> {
    let mut upload = platform.begin_upload(path, body.size_hint().exact()).await?;
    loop {
        let frame = match tokio::time::timeout(pause, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => break,
            Ok(Some(Err(_))) => {
                return Err(Error::invalid("Invalid input data. The file broke off. Send it again."));
            }
            Err(_) => {
                return Err(Error::invalid("Invalid input data. The file did not go on arriving. Send it again."));
            }
        };
        if let Ok(data) = frame.into_data() {
            upload.write(data).await?;
        }
    }
    platform.finish_upload(upload).await?;
    Ok(Response::new(Body::default()))
}

async fn give(
    platform: &Platform,
    path: SignedPath<'_>,
    head: &Parts,
    head_only: bool,
    pause: Duration,
) -> Result<Answer> {
    // A header that is no text is not understood, so everything is sent.
    let range = head.headers.get(RANGE).and_then(|v| v.to_str().ok());
    let download = platform.open_download(path, range, head_only).await?;
    let length = download.range.end - download.range.start;
    let body = download.reader.map_or_else(Body::default, |reader| Body::File(Content::start(reader, length, pause)));
    let mut answer = Response::new(body);
    let mut set = |name: HeaderName, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            answer.headers_mut().insert(name, value);
        }
    };
    set(CONTENT_LENGTH, length.to_string());
    set(CONTENT_TYPE, "application/octet-stream".to_owned());
    set(ACCEPT_RANGES, "bytes".to_owned());
    set(CONTENT_DISPOSITION, disposition(&download.name));
    if let Some(sha256) = &download.sha256 {
        set(ETAG, format!("\"{sha256}\""));
    }
    if download.is_partial {
        set(CONTENT_RANGE, format!("bytes {}-{}/{}", download.range.start, download.range.end - 1, download.size));
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(answer)
}

/// `attachment` with the name in ASCII for old clients and in full for the others (RFC 6266 §5).
fn disposition(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._- ".contains(c) { c } else { '_' };
    let ascii: String = name.chars().map(plain).collect();
    if ascii == name {
        return format!("attachment; filename=\"{ascii}\"");
    }
    let mut encoded = String::with_capacity(name.len() * 3);
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
}

/// A file on its way to a client: read by a task that is at most some pieces ahead, and ends with the body or when the
/// client takes nothing for a while.
pub(crate) struct Content {
    pieces: mpsc::Receiver<std::io::Result<Bytes>>,
    left: u64,
}

impl Content {
    fn start(mut reader: Box<dyn ObjectReader>, length: u64, pause: Duration) -> Self {
        let (sender, pieces) = mpsc::channel(AHEAD);
        tokio::spawn(async move {
            loop {
                let piece = match reader.next().await {
                    Ok(Some(piece)) => Ok(piece),
                    Ok(None) => return,
                    Err(error) => {
                        tracing::warn!(?error, "a download broke off");
                        Err(std::io::Error::other("the object store failed"))
                    }
                };
                let is_last = piece.is_err();
                if sender.send_timeout(piece, pause).await.is_err() || is_last {
                    return;
                }
            }
        });
        Self { pieces, left: length }
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let piece = match self.pieces.poll_recv(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(None) => Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof)),
            Poll::Ready(Some(piece)) => piece,
        };
        Poll::Ready(Some(piece.map(|bytes| {
            self.left = self.left.saturating_sub(bytes.len() as u64);
            Frame::data(bytes)
        })))
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// The body of an answer: a short text or a file.
impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Text(text) if text.is_empty() => Poll::Ready(None),
            Self::Text(text) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(text))))),
            Self::File(content) => content.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::File(content) => content.left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Text(text) => SizeHint::with_exact(text.len() as u64),
            Self::File(content) => content.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_in_both_forms() {
        assert_eq!(disposition("a b.zip"), "attachment; filename=\"a b.zip\"");
        assert_eq!(disposition("日\"a.zip"), "attachment; filename=\"__a.zip\"; filename*=UTF-8''%E6%97%A5%22a.zip");
    }
}
