//! Reading `multipart/form-data` (RFC 7578): the parts of a body that is in memory already and bounded by
//! `api.max_upload`. Parts share the body's memory.

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use causeway_model::{Code, Error, Result};

/// More parts than any operation takes.
const PARTS_MAX: usize = 16;

/// Characters of a file's name.
const NAME_MAX: usize = 255;

/// The parts, in the order in which they came.
#[derive(Debug)]
pub(crate) struct Form(Vec<FilePart>);

/// A part that holds a file.
#[derive(Debug)]
pub(crate) struct FilePart {
    /// Name of the part.
    name: String,
    /// The file's name as the sender has it, without folders; empty when the part has none.
    #[allow(dead_code, reason = "operations that take files come next")]
    pub(crate) file_name: String,
    /// What is in it.
    #[allow(dead_code, reason = "operations that take files come next")]
    pub(crate) content: Bytes,
}

fn wrong(message: impl Into<String>) -> Error {
    Error::new(Code::BadRequest, message)
}

/// The name behind the last `/` or `\\`: some senders put their whole path.
fn base_name(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or_default()
}

/// Reads a whole body.
///
/// # Errors
/// [`Code::BadRequest`] says what is wrong with it.
pub(crate) async fn read(headers: &HeaderMap, body: Bytes) -> Result<Form> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let boundary = multer::parse_boundary(content_type).map_err(|_| {
        wrong("Invalid input. The body must be a form with the header 'Content-Type: multipart/form-data; boundary=…'.")
    })?;
    let stream = futures_util::stream::once(async move { Ok::<_, std::convert::Infallible>(body) });
    let mut parts = multer::Multipart::new(stream, boundary);
    let mut form = Vec::new();
    while let Some(part) = parts.next_field().await.map_err(|e| explain(&e))? {
        if form.len() == PARTS_MAX {
            return Err(wrong(format!("Invalid input. The form has more than {PARTS_MAX} parts.")));
        }
        let name = part.name().unwrap_or_default().to_owned();
        let file_name = base_name(part.file_name().unwrap_or_default()).to_owned();
        if file_name.chars().count() > NAME_MAX || file_name.chars().any(char::is_control) {
            return Err(wrong(format!(
                "Invalid input. A file name in the form is longer than {NAME_MAX} characters or holds control characters."
            )));
        }
        let content = part.bytes().await.map_err(|e| explain(&e))?;
        form.push(FilePart { name, file_name, content });
    }
    Ok(Form(form))
}

fn explain(error: &multer::Error) -> Error {
    wrong(format!("Invalid input. The form cannot be read: {error}."))
}

impl Form {
    /// The file in the part `name`.
    ///
    /// # Errors
    /// [`Code::BadRequest`] when it is missing, is there twice or has no file name.
    #[allow(dead_code, reason = "operations that take files come next")]
    pub(crate) fn file(&self, name: &str) -> Result<&FilePart> {
        let mut found = self.0.iter().filter(|p| p.name == name);
        match (found.next(), found.next()) {
            (Some(part), None) if !part.file_name.is_empty() => Ok(part),
            (Some(_), None) => Err(wrong(format!("Invalid input. The part '{name}' of the form has no file name."))),
            (Some(_), Some(_)) => Err(wrong(format!("Invalid input. The form has more than one part '{name}'."))),
            (None, _) => Err(wrong(format!("Invalid input. The form has no part '{name}' with a file."))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn form(content_type: &str, body: &str) -> Result<Form> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, content_type.parse().expect("a header"));
        read(&headers, Bytes::copy_from_slice(body.as_bytes())).await
    }

    const TYPE: &str = "multipart/form-data; boundary=XX";

    fn part(head: &str, content: &str) -> String {
        format!("--XX\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n")
    }

    #[tokio::test]
    async fn a_file_is_found_by_its_part() {
        let body = format!(
            "{}{}--XX--\r\n",
            part("name=\"note\"", "x"),
            part("name=\"file\"; filename=\"设备.csv\"", "a,b\r\n1,2")
        );
        let form = form(TYPE, &body).await.expect("a form");
        let file = form.file("file").expect("a file");
        assert_eq!((file.file_name.as_str(), &file.content[..]), ("设备.csv", &b"a,b\r\n1,2"[..]));
        assert_eq!(form.file("note").expect_err("no file name").code(), Code::BadRequest);
        assert_eq!(form.file("other").expect_err("no part").code(), Code::BadRequest);
    }

    #[tokio::test]
    async fn folders_in_names_are_dropped() {
        for name in ["../../etc/passwd", "/etc/passwd", "C:\\\\temp\\\\passwd", "passwd"] {
            let body = format!("{}--XX--\r\n", part(&format!("name=\"file\"; filename=\"{name}\""), "x"));
            assert_eq!(form(TYPE, &body).await.expect("a form").file("file").expect("a file").file_name, "passwd");
        }
    }

    #[tokio::test]
    async fn broken_forms_are_refused() {
        let file = part("name=\"file\"; filename=\"a\"", "x");
        let long = "n".repeat(256);
        for (content_type, body) in [
            ("application/json", format!("{file}--XX--\r\n")),
            ("multipart/form-data", format!("{file}--XX--\r\n")),
            (TYPE, file.clone()),
            (TYPE, String::new()),
            (TYPE, "no form at all".to_owned()),
            (TYPE, format!("{}--XX--\r\n", part(&format!("name=\"file\"; filename=\"{long}\""), "x"))),
            (TYPE, format!("{}--XX--\r\n", file.repeat(17))),
        ] {
            let outcome = form(content_type, &body).await;
            assert_eq!(outcome.expect_err(&body).code(), Code::BadRequest);
        }
        let twice = form(TYPE, &format!("{file}{file}--XX--\r\n")).await.expect("a form");
        assert_eq!(twice.file("file").expect_err("twice").code(), Code::BadRequest);
    }
}
