//! Who calls: an `X-Auth-Token`, or an AK/SK signature (`iotda-v5-api.md` §1.3).

mod signature;

use axum::http::request::Parts;
use causeway_model::{Code, Error, Result};
use causeway_platform::Platform;
use causeway_platform::iam::Caller;

use signature::Signature;

const TOKEN_HEADER: &str = "x-auth-token";

fn refused(message: &str) -> Error {
    Error::new(Code::Unauthenticated, message)
}

/// What the head of a request tells of its caller.
pub(crate) enum Claim {
    /// A token that is in force.
    Known(Caller),
    /// A signature whose key is known and whose date is near; the body decides.
    Signed(Box<SignedClaim>),
}

/// See [`Claim::Signed`].
pub(crate) struct SignedClaim {
    caller: Caller,
    signature: Signature,
    secret_key: std::sync::Arc<zeroize::Zeroizing<Vec<u8>>>,
}

impl Claim {
    /// Reads the head of a request and checks all that can be checked without its body.
    ///
    /// # Errors
    /// [`Code::Unauthenticated`].
    pub(crate) async fn read(platform: &Platform, head: &Parts) -> Result<Self> {
        let signature = match head.headers.get(axum::http::header::AUTHORIZATION) {
            Some(value) => {
                let text =
                    value.to_str().map_err(|_| refused("The request is unauthorized. 'Authorization' is not text."))?;
                Signature::parse(text)?
            }
            None => None,
        };
        if let Some(signature) = signature {
            signature.check_date(&head.headers, platform.clock.now(), platform.settings.iam.signature_tolerance)?;
            let (caller, secret_key) = platform.signing_key(signature.access_key()).await?;
            return Ok(Self::Signed(Box::new(SignedClaim { caller, signature, secret_key })));
        }
        match head.headers.get(TOKEN_HEADER) {
            Some(token) => {
                let token =
                    token.to_str().map_err(|_| refused("The request is unauthorized. 'X-Auth-Token' is not text."))?;
                platform.caller_of_token(token).await.map(Self::Known)
            }
            None => Err(refused(
                "The request is unauthorized. Sign it with an access key (SDK-HMAC-SHA256 or V11-HMAC-SHA256), or send an X-Auth-Token.",
            )),
        }
    }

    /// What the caller shows: an access key, or a token, which is not told.
    pub(crate) fn credential(&self) -> &str {
        match self {
            Self::Known(_) => "token",
            Self::Signed(claim) => claim.signature.access_key(),
        }
    }

    /// Completes the check with the body and tells who calls.
    ///
    /// # Errors
    /// [`Code::Unauthenticated`].
    pub(crate) fn verify(self, head: &Parts, body: &[u8]) -> Result<Caller> {
        match self {
            Self::Known(caller) => Ok(caller),
            Self::Signed(claim) => {
                claim.signature.verify(head, body, &claim.secret_key)?;
                Ok(claim.caller)
            }
        }
    }
}
