//! New devices, one or many.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use causeway_model::registry::Device;
use causeway_model::shadow::ServiceShadow;
use causeway_model::{Code, DeviceId, DeviceNo, Error, RecordNo, Result};
use causeway_platform::device::InitialDesired;
use rusqlite::{Connection, OptionalExtension, params};

use super::super::error::{Failure, Outcome};
use super::super::{INSTANCE, SqliteStore, gateway, shadow};

/// Devices handed to the writer at once.
const SLICE: usize = 1024;
/// The writer inserts so long, then commits and sees to what devices reported meanwhile.
const SLICE_TIME: Duration = Duration::from_millis(15);

/// A device with the shadow that it is born with, made off the writer's thread.
struct NewDevice {
    device: Device,
    shadow: Vec<ServiceShadow>,
}

impl NewDevice {
    fn new(device: Device, desired: InitialDesired) -> Result<Self> {
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
        Ok(Self { device, shadow })
    }
}

/// A product as new devices need it.
struct Home {
    app: i64,
    app_id: String,
    app_name: Arc<str>,
    product_name: Arc<str>,
}

/// See [`DeviceStore::insert_devices`](causeway_platform::device::DeviceStore::insert_devices).
pub(super) async fn insert_devices(store: &SqliteStore, devices: Vec<(Device, InitialDesired)>) -> Vec<Result<Device>> {
    let mut outcomes: Vec<Result<Device>> = Vec::with_capacity(devices.len());
    // Calls that bring many take turns: the time that a transaction takes is that of one slice. A closed store is told
    // of by the write.
    let _turn = if devices.len() > 1 { store.bulk.acquire().await.ok() } else { None };
    let mut rest = devices.into_iter();
    loop {
        let from = outcomes.len();
        let mut ready = Vec::new();
        for (device, desired) in rest.by_ref().take(SLICE) {
            match NewDevice::new(device, desired) {
                Ok(new) => {
                    ready.push((outcomes.len(), new));
                    outcomes.push(Err(Error::internal("a new device was not inserted")));
                }
                Err(error) => outcomes.push(Err(error)),
            }
        }
        if outcomes.len() == from {
            return outcomes;
        }
        while !ready.is_empty() {
            let places: Vec<usize> = ready.iter().map(|(at, _)| *at).collect();
            match store.write(move |tx| insert_some(tx.conn, ready)).await {
                Ok((done, left)) => {
                    for (at, outcome) in done {
                        outcomes[at] = outcome;
                    }
                    ready = left;
                }
                Err(error) => {
                    for at in places {
                        outcomes[at] = Err(error.clone());
                    }
                    ready = Vec::new();
                }
            }
        }
    }
}

type Placed<T> = Vec<(usize, T)>;

/// Inserts devices until the time is over: their outcomes, and those that are left. Fails when SQLite does: then none
/// is kept.
fn insert_some(conn: &Connection, devices: Placed<NewDevice>) -> Outcome<(Placed<Result<Device>>, Placed<NewDevice>)> {
    let deadline = Instant::now() + SLICE_TIME;
    let mut homes = HashMap::new();
    let mut done = Vec::with_capacity(devices.len());
    let mut left = devices.into_iter();
    for (at, mut new) in left.by_ref() {
        match insert(conn, &mut new, &mut homes) {
            Ok(()) => done.push((at, Ok(new.device))),
            Err(Failure::Platform(error)) => done.push((at, Err(error))),
            Err(failure) => return Err(failure),
        }
        if Instant::now() >= deadline {
            break;
        }
    }
    Ok((done, left.collect()))
}

/// Inserts one device and completes it with what the store knows. A refusal leaves nothing behind.
fn insert(conn: &Connection, new: &mut NewDevice, homes: &mut HashMap<RecordNo, Home>) -> Outcome<()> {
    let device = &mut new.device;
    let home = match homes.entry(device.product_no) {
        std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
        std::collections::hash_map::Entry::Vacant(place) => place.insert(home(conn, device.product_no)?),
    };
    if home.app_id != device.app_id.as_str() {
        return Err(no_such_product().into());
    }
    let gateway = device.gateway_id.as_ref().map(|id| gateway_no(conn, id)).transpose()?;
    let auth = &device.auth;
    let inserted = conn
        .prepare_cached(
            "INSERT INTO device (instance, app, product, gateway, connection, frozen, status_changed_at, \
             activated_at, last_online_at, created_at, id, node_id, name, description, fw_version, sw_version, \
             sdk_version, auth_type, secret, secondary_secret, fingerprint, secondary_fingerprint, secure_access, \
             timeout_s, extension_info) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, \
             ?22, ?23, ?24, ?25) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            INSTANCE,
            home.app,
            device.product_no.0,
            gateway,
            device.connection.as_str(),
            device.frozen,
            device.status_changed_at.map(|t| t.0),
            device.activated_at.map(|t| t.0),
            device.last_online_at.map(|t| t.0),
            device.created_at.0,
            device.id.as_str(),
            device.node_id.as_str(),
            device.name,
            device.description,
            device.fw_version,
            device.sw_version,
            device.sdk_version,
            auth.auth_type.as_str(),
            auth.secret.as_ref().map(|s| &*s.0),
            auth.secondary_secret.as_ref().map(|s| &*s.0),
            auth.fingerprint,
            auth.secondary_fingerprint,
            auth.secure_access,
            auth.timeout_s,
            device.extension_info,
        ])?;
    if inserted == 0 {
        return Err(taken(conn, device)?.into());
    }
    device.no = DeviceNo(conn.last_insert_rowid());
    device.app_name = home.app_name.to_string();
    device.product_name = home.product_name.to_string();
    for initial in &new.shadow {
        shadow::put_desired(conn, device.no, initial)?;
    }
    if gateway.is_some() {
        gateway::placed(conn, device.no.0)?;
    }
    Ok(())
}

fn no_such_product() -> Error {
    Error::new(Code::ProductNotFound, "The product does not exist.")
}

fn home(conn: &Connection, product: RecordNo) -> Outcome<Home> {
    let found = conn
        .prepare_cached("SELECT a.no, a.id, a.name, p.name FROM product p JOIN app a ON a.no = p.app WHERE p.no = ?1")?
        .query_row([product.0], |row| {
            Ok(Home { app: row.get(0)?, app_id: row.get(1)?, app_name: row.get(2)?, product_name: row.get(3)? })
        })
        .optional()?;
    found.ok_or_else(|| no_such_product().into())
}

fn gateway_no(conn: &Connection, id: &DeviceId) -> Outcome<i64> {
    let found = conn
        .prepare_cached("SELECT no FROM device WHERE instance = ?1 AND id = ?2")?
        .query_row(params![INSTANCE, id.as_str()], |row| row.get(0))
        .optional()?;
    found.ok_or_else(|| Error::new(Code::InvalidGateway, format!("The gateway '{id}' does not exist.")).into())
}

/// Which rule of uniqueness a device broke.
fn taken(conn: &Connection, device: &Device) -> Outcome<Error> {
    let same_id = conn
        .prepare_cached("SELECT 1 FROM device WHERE instance = ?1 AND id = ?2")?
        .exists(params![INSTANCE, device.id.as_str()])?;
    let message = if same_id {
        format!("The device '{}' exists.", device.id)
    } else {
        format!("A device with the node id '{}' exists in the product.", device.node_id)
    };
    Ok(Error::new(Code::DeviceExists, message))
}
