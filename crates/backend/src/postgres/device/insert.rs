//! New devices, one or many.

use std::collections::{HashMap, HashSet, VecDeque};

use causeway_model::registry::Device;
use causeway_model::shadow::ServiceShadow;
use causeway_model::{Code, DeviceId, DeviceNo, Error, RecordNo, Result};
use causeway_platform::device::InitialDesired;
use deadpool_postgres::Transaction;

use super::super::connection::{Answer, Columns, Trouble, db, rows, run, trouble};
use super::super::{INSTANCE, PostgresStore, gateway};

/// Devices of one transaction.
const SLICE: usize = 1000;

const INSERT: &str = "INSERT INTO device (instance, app, product, gateway, id, node_id, name, description, fw_version,
        sw_version, sdk_version, auth_type, secret, secondary_secret, fingerprint, secondary_fingerprint,
        secure_access, timeout_s, status, frozen, created_at, status_changed_at, activated_at, last_online_at,
        extension_info)
    SELECT $1, n.* FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[],
        $9::text[], $10::text[], $11::text[], $12::text[], $13::bytea[], $14::bytea[], $15::text[], $16::text[],
        $17::boolean[], $18::bigint[], $19::text[], $20::boolean[], $21::bigint[], $22::bigint[], $23::bigint[],
        $24::bigint[], $25::text[]) n
    ON CONFLICT DO NOTHING RETURNING no, id";

const INSERT_SHADOW: &str = "INSERT INTO shadow (device, service, instance, app, version, desired, desired_at)
    SELECT n.device, n.service, $1, n.app, n.version, n.desired, n.desired_at
    FROM unnest($2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::bigint[])
        n (device, service, app, version, desired, desired_at)";

/// A product as new devices need it.
struct Home {
    app: i64,
    app_id: String,
    app_name: String,
    product_name: String,
}

/// A device, its place in the call, and the shadow that it is born with.
struct NewDevice {
    at: usize,
    device: Device,
    shadow: Vec<ServiceShadow>,
}

/// See [`DeviceStore::insert_devices`](causeway_platform::device::DeviceStore::insert_devices).
pub(super) async fn insert_devices(
    store: &PostgresStore,
    devices: Vec<(Device, InitialDesired)>,
) -> Vec<Result<Device>> {
    let mut outcomes: Vec<Result<Device>> = Vec::with_capacity(devices.len());
    let mut waiting = VecDeque::with_capacity(devices.len());
    for (at, (device, desired)) in devices.into_iter().enumerate() {
        match initial_shadow(&device, desired) {
            Ok(shadow) => {
                outcomes.push(Err(Error::internal("a new device was not inserted")));
                waiting.push_back(NewDevice { at, device, shadow });
            }
            Err(error) => outcomes.push(Err(error)),
        }
    }
    while !waiting.is_empty() {
        let mut slice = next_slice(&mut waiting);
        match insert_slice(store, &mut slice, &mut outcomes).await {
            Ok(()) => {}
            // One that cannot be stored must not take the others with it.
            Err(fault) if slice.len() > 1 && fault.is_of_one => {
                for new in slice {
                    let (at, mut alone) = (new.at, vec![new]);
                    if let Err(fault) = insert_slice(store, &mut alone, &mut outcomes).await {
                        outcomes[at] = Err(fault.error);
                    }
                }
            }
            Err(fault) => {
                for new in slice {
                    outcomes[new.at] = Err(fault.error.clone());
                }
            }
        }
    }
    outcomes
}

fn initial_shadow(device: &Device, desired: InitialDesired) -> Result<Vec<ServiceShadow>> {
    let mut shadow = Vec::with_capacity(desired.len());
    for (service_id, properties) in desired {
        let mut initial = ServiceShadow::new(service_id);
        initial.desire(&properties, None, device.created_at)?;
        // What a device is born with is no change: versions count from here.
        initial.version = 0;
        if initial.desired.is_some() {
            shadow.push(initial);
        }
    }
    Ok(shadow)
}

/// Takes the devices of the next transaction: in order, up to the first that has the id of one before it or is behind
/// one of them.
fn next_slice(waiting: &mut VecDeque<NewDevice>) -> Vec<NewDevice> {
    let mut ids = HashSet::new();
    let end = waiting.iter().take(SLICE).position(|new| {
        new.device.gateway_id.as_ref().is_some_and(|gateway| ids.contains(gateway)) || !ids.insert(&new.device.id)
    });
    let end = end.unwrap_or(SLICE.min(waiting.len()));
    waiting.drain(..end).collect()
}

/// Why a whole slice was not inserted.
struct Fault {
    error: Error,
    /// Values of one device may be the reason, or another transaction in the way: one at a time the others go in.
    is_of_one: bool,
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        let is_of_one = matches!(trouble(&error), Trouble::Data | Trouble::Collision);
        Self { error: db(error), is_of_one }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self { error, is_of_one: false }
    }
}

/// Inserts in one transaction all devices that may be, and writes the outcome of each.
async fn insert_slice(
    store: &PostgresStore,
    slice: &mut [NewDevice],
    outcomes: &mut [Result<Device>],
) -> std::result::Result<(), Fault> {
    let mut client = store.client().await?;
    let transaction = client.transaction().await?;
    let homes = homes(&transaction, slice).await?;
    let gateways = gateways(&transaction, slice).await?;
    let mut places = Vec::with_capacity(slice.len());
    for (at, new) in slice.iter_mut().enumerate() {
        let device = &mut new.device;
        let home = homes.get(&device.product_no).filter(|home| home.app_id == device.app_id.as_str());
        let Some(home) = home else {
            outcomes[new.at] = Err(Error::new(Code::ProductNotFound, "The product does not exist."));
            continue;
        };
        let gateway = device.gateway_id.as_ref().and_then(|id| gateways.get(id).copied());
        if let (Some(id), None) = (&device.gateway_id, gateway) {
            let message = format!("Invalid input. The gateway '{id}' does not exist.");
            outcomes[new.at] = Err(Error::new(Code::InvalidGateway, message));
            continue;
        }
        device.app_name.clone_from(&home.app_name);
        device.product_name.clone_from(&home.product_name);
        places.push((at, home.app, gateway));
    }
    let fit: Vec<Fit<'_>> = places.into_iter().map(|(at, app, gateway)| (&slice[at], app, gateway)).collect();
    let numbers = insert_rows(&transaction, &fit).await?;
    insert_shadows(&transaction, &fit, &numbers).await?;
    let placed = fit.iter().filter(|(_, _, gateway)| gateway.is_some());
    let placed: Vec<i64> = placed.filter_map(|(new, ..)| numbers.get(new.device.id.as_str()).copied()).collect();
    gateway::placed(&transaction, &placed).await?;
    transaction.commit().await?;
    for (new, ..) in fit {
        outcomes[new.at] = match numbers.get(new.device.id.as_str()) {
            Some(no) => Ok(Device { no: DeviceNo(*no), ..new.device.clone() }),
            None => Err(Error::new(
                Code::DeviceExists,
                format!(
                    "A device with the id '{}', or with the node id '{}' in the product, exists.",
                    new.device.id, new.device.node_id
                ),
            )),
        };
    }
    Ok(())
}

/// The products of the devices, held until the end of the transaction.
async fn homes(
    transaction: &Transaction<'_>,
    slice: &[NewDevice],
) -> std::result::Result<HashMap<RecordNo, Home>, Fault> {
    let asked: HashSet<i64> = slice.iter().map(|new| new.device.product_no.0).collect();
    let asked: Vec<i64> = asked.into_iter().collect();
    let sql = "SELECT p.no, p.app, a.id, a.name, p.name FROM product p JOIN app a ON a.no = p.app
        WHERE p.no = ANY ($1) ORDER BY p.no FOR KEY SHARE OF p, a";
    let mut homes = HashMap::new();
    for row in &rows(transaction, sql, &[&asked]).await? {
        let mut c = Columns::of(row);
        let no = RecordNo(c.take()?);
        homes.insert(no, Home { app: c.take()?, app_id: c.take()?, app_name: c.take()?, product_name: c.take()? });
    }
    Ok(homes)
}

/// The numbers of the gateways, held until the end of the transaction.
async fn gateways(
    transaction: &Transaction<'_>,
    slice: &[NewDevice],
) -> std::result::Result<HashMap<DeviceId, i64>, Fault> {
    let asked: HashSet<&str> =
        slice.iter().filter_map(|new| new.device.gateway_id.as_ref().map(DeviceId::as_str)).collect();
    if asked.is_empty() {
        return Ok(HashMap::new());
    }
    let asked: Vec<&str> = asked.into_iter().collect();
    let sql = "SELECT id, no FROM device WHERE instance = $1 AND id = ANY ($2) ORDER BY no FOR KEY SHARE";
    let mut gateways = HashMap::new();
    for row in &rows(transaction, sql, &[&INSTANCE, &asked]).await? {
        let mut c = Columns::of(row);
        gateways.insert(DeviceId::trusted(c.take::<String>()?), c.take()?);
    }
    Ok(gateways)
}

/// A device that may be inserted, the number of its space and of its gateway.
type Fit<'a> = (&'a NewDevice, i64, Option<i64>);

/// Inserts the rows; the numbers of those whose ids were free.
async fn insert_rows(transaction: &Transaction<'_>, fit: &[Fit<'_>]) -> Answer<HashMap<String, i64>> {
    if fit.is_empty() {
        return Ok(HashMap::new());
    }
    macro_rules! column {
        (|$device:ident| $value:expr) => {
            fit.iter().map(|(NewDevice { device: $device, .. }, ..)| $value).collect::<Vec<_>>()
        };
    }
    let apps: Vec<i64> = fit.iter().map(|(_, app, _)| *app).collect();
    let gateways: Vec<Option<i64>> = fit.iter().map(|(_, _, gateway)| *gateway).collect();
    let found = rows(
        transaction,
        INSERT,
        &[
            &INSTANCE,
            &apps,
            &column!(|d| d.product_no.0),
            &gateways,
            &column!(|d| d.id.as_str()),
            &column!(|d| d.node_id.as_str()),
            &column!(|d| d.name.as_deref()),
            &column!(|d| d.description.as_deref()),
            &column!(|d| d.fw_version.as_deref()),
            &column!(|d| d.sw_version.as_deref()),
            &column!(|d| d.sdk_version.as_deref()),
            &column!(|d| d.auth.auth_type.as_str()),
            &column!(|d| d.auth.secret.as_ref().map(|s| &*s.0)),
            &column!(|d| d.auth.secondary_secret.as_ref().map(|s| &*s.0)),
            &column!(|d| d.auth.fingerprint.as_deref()),
            &column!(|d| d.auth.secondary_fingerprint.as_deref()),
            &column!(|d| d.auth.secure_access),
            &column!(|d| d.auth.timeout_s),
            &column!(|d| d.connection.as_str()),
            &column!(|d| d.frozen),
            &column!(|d| d.created_at.0),
            &column!(|d| d.status_changed_at.map(|t| t.0)),
            &column!(|d| d.activated_at.map(|t| t.0)),
            &column!(|d| d.last_online_at.map(|t| t.0)),
            &column!(|d| d.extension_info.as_deref()),
        ],
    )
    .await?;
    found.iter().map(|row| Ok((row.try_get(1)?, row.try_get(0)?))).collect()
}

async fn insert_shadows(transaction: &Transaction<'_>, fit: &[Fit<'_>], numbers: &HashMap<String, i64>) -> Answer<()> {
    let (mut devices, mut services, mut apps) = (Vec::new(), Vec::new(), Vec::new());
    let (mut versions, mut texts, mut times) = (Vec::new(), Vec::new(), Vec::new());
    for (new, app, _) in fit {
        let Some(no) = numbers.get(new.device.id.as_str()) else { continue };
        for service in &new.shadow {
            let Some(side) = &service.desired else { continue };
            devices.push(*no);
            services.push(service.service_id.as_str());
            apps.push(*app);
            versions.push(service.version);
            texts.push(side.properties.as_str());
            times.push(side.event_time.0);
        }
    }
    if !devices.is_empty() {
        run(transaction, INSERT_SHADOW, &[&INSTANCE, &devices, &services, &apps, &versions, &texts, &times]).await?;
    }
    Ok(())
}
