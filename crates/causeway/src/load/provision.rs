//! Makes the product and the devices that a run needs, over REST, and finds those of an earlier run again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context as _, bail};
use causeway_wire::signature::hmac_sha256_hex;
use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::identity::{Device, Proof};
use super::platform::REST_CONNECTIONS;
use super::progress::Progress;
use super::rest::{Api, RestError, encode};

/// Finds product `id`, or creates it from `model` (the body of create_product without the id). A product that exists
/// is left as it is; `true` means it was created now.
///
/// # Errors
/// What the platform refuses.
pub(crate) async fn product(api: &Api, id: &str, model: &Value) -> anyhow::Result<(Value, bool)> {
    let path = format!("/products/{}", encode(id));
    match api.call::<Value>("GET", &path, None).await {
        Ok(found) => return Ok((found, false)),
        Err(error) if error.status() == Some(StatusCode::NOT_FOUND) => {}
        Err(error) => return Err(error).context("the product cannot be looked up"),
    }
    let mut body = model.clone();
    body["product_id"] = Value::from(id);
    let made = api.call::<Value>("POST", "/products", Some(&body)).await.context("the product cannot be created")?;
    Ok((made, true))
}

/// The secret that devices of this tool get when they are created: the same in every run with the same access key,
/// and unknown to whoever does not hold that key. 32 characters, the longest allowed (`iotda-v5-api.md`, AuthInfo).
fn secret_of(api: &Api, device_id: &str) -> String {
    let mut secret = hmac_sha256_hex(api.key_material().as_bytes(), format!("device secret of {device_id}").as_bytes());
    secret.truncate(32);
    secret
}

/// Devices of one product, ready to connect.
pub(crate) struct Fleet {
    /// The devices, in the order of their numbers.
    pub(crate) devices: Vec<Device>,
    /// Number of a device that an earlier run created, if there is one: its secret is likely but not certain.
    pub(crate) reused: Option<usize>,
}

/// Creates devices `{product_id}_{prefix}00000` and so on, `count` of them, or takes those that exist.
///
/// # Errors
/// When the platform refuses, or `stop` is cancelled.
pub(crate) async fn devices(
    api: &Api,
    product_id: &str,
    prefix: &str,
    count: usize,
    stop: &CancellationToken,
) -> anyhow::Result<Fleet> {
    let ids: Arc<Vec<(String, String)>> = Arc::new(
        (0..count)
            .map(|number| format!("{prefix}{number:05}"))
            .map(|node| (format!("{product_id}_{node}"), node))
            .collect(),
    );
    let existed: Arc<Vec<AtomicBool>> = Arc::new((0..count).map(|_| AtomicBool::new(false)).collect());
    let product_id = Arc::<str>::from(product_id);
    let work = {
        let (api, ids, existed) = (api.clone(), Arc::clone(&ids), Arc::clone(&existed));
        move |number: usize| {
            let (api, ids, existed, product_id) =
                (api.clone(), Arc::clone(&ids), Arc::clone(&existed), Arc::clone(&product_id));
            async move {
                let (device_id, node_id) = &ids[number];
                let made = create(&api, &product_id, node_id, device_id).await?;
                existed[number].store(!made, Ordering::Relaxed);
                Ok(())
            }
        }
    };
    for_each(count, "creating devices", stop, work).await?;
    Ok(Fleet {
        devices: ids
            .iter()
            .map(|(id, _)| Device { id: id.clone(), proof: Proof::Secret(secret_of(api, id)) })
            .collect(),
        reused: existed.iter().position(|existed| existed.load(Ordering::Relaxed)),
    })
}

/// Gives every device of `fleet` the secret that this run knows (for devices made by a run with another access key).
///
/// # Errors
/// When the platform refuses, or `stop` is cancelled.
pub(crate) async fn reset_secrets(api: &Api, fleet: &Fleet, stop: &CancellationToken) -> anyhow::Result<()> {
    let ids: Arc<Vec<String>> = Arc::new(fleet.devices.iter().map(|device| device.id.clone()).collect());
    let count = ids.len();
    let api = api.clone();
    for_each(count, "resetting secrets", stop, move |number| {
        let (api, ids) = (api.clone(), Arc::clone(&ids));
        async move {
            let path = format!("/devices/{}/action?action_id=resetSecret", encode(&ids[number]));
            let body = json!({ "secret": secret_of(&api, &ids[number]), "force_disconnect": false });
            api.call::<Value>("POST", &path, Some(&body)).await.map(drop)
        }
    })
    .await
}

/// Creates one device; `false` when it exists already.
async fn create(api: &Api, product_id: &str, node_id: &str, device_id: &str) -> Result<bool, RestError> {
    let body = json!({
        "device_id": device_id,
        "node_id": node_id,
        "product_id": product_id,
        "auth_info": { "auth_type": "SECRET", "secret": secret_of(api, device_id) },
    });
    match api.call::<Value>("POST", "/devices", Some(&body)).await {
        Ok(_) => Ok(true),
        Err(refused) if refused.status().is_some_and(|status| status.is_client_error()) => {
            // The documents disagree on the code for "exists already" (IOTDA.014031 or .014115): ask instead.
            match api.call::<Value>("GET", &format!("/devices/{}", encode(device_id)), None).await {
                Ok(_) => Ok(false),
                Err(_) => Err(refused),
            }
        }
        Err(error) => Err(error),
    }
}

/// Runs `work(0)` … `work(count - 1)`, a few at once, with progress. Stops at the first error.
async fn for_each<F, W>(count: usize, what: &str, stop: &CancellationToken, work: F) -> anyhow::Result<()>
where
    F: Fn(usize) -> W + Send + Clone + 'static,
    W: Future<Output = Result<(), RestError>> + Send,
{
    let next = Arc::new(AtomicUsize::new(0));
    let done = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..REST_CONNECTIONS.min(count) {
        let (next, done, work) = (Arc::clone(&next), Arc::clone(&done), work.clone());
        workers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok::<(), RestError>(());
                }
                work(number).await?;
                done.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let mut progress = Progress::new();
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(200));
    loop {
        tokio::select! {
            ended = workers.join_next() => match ended {
                // Dropping the set on an error stops the others.
                Some(result) => result.context("a worker panicked")??,
                None => break,
            },
            _ = tick.tick() => {
                progress.update(|| format!("{what}: {}/{count}", done.load(Ordering::Relaxed)));
            }
            () = stop.cancelled() => bail!("stopped while {what}"),
        }
    }
    if count > 0 {
        progress.finish(&format!("{what}: {count}/{count}"));
    }
    Ok(())
}
