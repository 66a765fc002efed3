//! One transaction for everything that was gathered.
//!
//! Three trips to the server: read what is there (shadow rows are locked in key order), write it all, commit. COMMIT is
//! sent only after every statement has answered, so a value that cannot even be written to the wire cannot leave half
//! a batch behind.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use causeway_model::properties::PropertyObject;
use causeway_model::shadow::{ServiceShadow, ShadowSide};
use causeway_model::status::DeviceStatus;
use causeway_model::{DeviceNo, Error, Result, Timestamp};
use causeway_platform::message::MessageOutcome;
use causeway_platform::outbox::{NewDelivery, OutboxSignals};
use causeway_platform::uplink::{Change, StatusChange};
use tokio_postgres::{Client, Config, Row, Statement};

use super::connection::{Answer, Columns, Trouble, connect, db, trouble};
use super::uplink::Submission;
use super::{INSTANCE, LockClass, outbox};
use crate::rows;

/// A transaction that collides with another node's is tried so often.
const TRIES: u32 = 5;

/// The plan for any array is the right one (an index scan for each element), and planning each batch anew would cost as
/// much as running it. A batch that hangs is given up, so that the doors hear of it.
const SESSION: &str = "SET plan_cache_mode = force_generic_plan; SET statement_timeout = '60s'";

/// Writes batches, one after another, over its own connection.
pub(super) struct Committer {
    config: Config,
    link: Option<Link>,
    signals: Arc<OutboxSignals>,
}

/// A connection with its statements.
struct Link {
    client: Client,
    sql: Statements,
}

macro_rules! statements {
    ($($name:ident = $sql:expr;)*) => {
        struct Statements { $($name: Statement,)* }

        impl Statements {
            async fn prepare(client: &Client) -> Answer<Self> {
                Ok(Self { $($name: client.prepare($sql).await?,)* })
            }
        }
    };
}

statements! {
    begin = "BEGIN";
    commit = "COMMIT";
    // Waits while devices are being deleted, see the order of locks.
    lock = "SELECT pg_advisory_xact_lock_shared($1, $2)";
    shadows = "SELECT s.device, s.service, s.app, s.reported, s.reported_at
        FROM unnest($1::bigint[], $2::text[]) k (device, service)
        JOIN shadow s ON s.device = k.device AND s.service = k.service COLLATE \"C\"
        ORDER BY s.device, s.service FOR UPDATE OF s";
    new_shadows = "INSERT INTO shadow (device, service, instance, app, version)
        SELECT d.no, k.service, d.instance, d.app, 0
        FROM unnest($1::bigint[], $2::text[]) k (device, service) JOIN device d ON d.no = k.device
        ORDER BY d.no, k.service COLLATE \"C\"
        ON CONFLICT DO NOTHING";
    statuses = "SELECT no, status, activated_at, last_online_at FROM device WHERE no = ANY ($1::bigint[])
        ORDER BY no FOR NO KEY UPDATE";
    devices = "SELECT no FROM device WHERE no = ANY ($1::bigint[])";
    history = "INSERT INTO history (instance, app, device, service, properties, event_time, arrival)
        SELECT $1, r.app, r.device, r.service, r.properties, r.event_time, r.arrival
        FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::bigint[])
            r (app, device, service, properties, event_time, arrival)";
    report = "UPDATE shadow s SET reported = r.reported, reported_at = r.reported_at
        FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[]) r (device, service, reported, reported_at)
        WHERE s.device = r.device AND s.service = r.service COLLATE \"C\"";
    set_status = "UPDATE device d SET status = c.status, status_changed_at = c.changed_at,
            activated_at = c.activated_at, last_online_at = c.last_online_at
        FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
            c (no, status, changed_at, activated_at, last_online_at)
        WHERE d.no = c.no";
    outcomes = "UPDATE message m SET status = o.status, error_code = o.error_code, error_text = o.error_text,
            finished_at = o.finished_at
        FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[])
            o (no, status, error_code, error_text, finished_at)
        WHERE m.no = o.no AND m.status = 'PENDING'";
    outbox_lock = "SELECT pg_advisory_xact_lock($1, $2)";
    outbox = outbox::INSERT;
}

/// Why a transaction did not happen.
enum Failure {
    Database(tokio_postgres::Error),
    Platform(Error),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(e: tokio_postgres::Error) -> Self {
        Self::Database(e)
    }
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        Self::Platform(e)
    }
}

impl Failure {
    fn trouble(&self) -> Trouble {
        match self {
            Self::Database(e) => trouble(e),
            Self::Platform(_) => Trouble::Fault,
        }
    }

    fn into_error(self) -> Error {
        match self {
            Self::Database(e) => db(e),
            Self::Platform(e) => e,
        }
    }
}

impl Committer {
    pub(super) fn new(config: Config, signals: Arc<OutboxSignals>) -> Self {
        Self { config, link: None, signals }
    }

    /// Commits the batch and resolves its tickets. When data cannot be stored, the batch is halved until the call that
    /// carries it stands alone; the others commit, in order.
    pub(super) async fn commit(&mut self, batch: Vec<Submission>) {
        let mut parts = vec![batch];
        while let Some(mut part) = parts.pop() {
            match self.attempt(&part).await {
                Ok(()) => resolve(part, &Ok(())),
                Err(failure) if failure.trouble() == Trouble::Data && part.len() > 1 => {
                    let tail = part.split_off(part.len() / 2);
                    parts.push(tail);
                    parts.push(part);
                }
                Err(failure) => {
                    let error = failure.into_error();
                    tracing::warn!(error = ?error, calls = part.len(), "units could not be committed");
                    resolve(part, &Err(error));
                }
            }
        }
    }

    /// One transaction, again after a collision with another node.
    async fn attempt(&mut self, part: &[Submission]) -> Result<(), Failure> {
        let mut tries = 1;
        loop {
            let link = self.link().await?;
            match transact(link, part).await {
                Ok(targets) => {
                    self.signals.raise(targets);
                    return Ok(());
                }
                Err(failure) => {
                    if link.client.is_closed() || link.client.batch_execute("ROLLBACK").await.is_err() {
                        self.link = None;
                    }
                    if failure.trouble() != Trouble::Collision || tries == TRIES {
                        return Err(failure);
                    }
                    tries += 1;
                }
            }
        }
    }

    /// The connection, made anew when it was lost.
    async fn link(&mut self) -> Result<&Link, Failure> {
        let link = match self.link.take() {
            Some(link) if !link.client.is_closed() => link,
            _ => {
                let client = connect(&self.config).await?;
                client.batch_execute(SESSION).await?;
                let sql = Statements::prepare(&client).await?;
                Link { client, sql }
            }
        };
        Ok(self.link.insert(link))
    }
}

fn resolve(part: Vec<Submission>, outcome: &Result<()>) {
    for submission in part {
        // Nobody may be waiting any more: the door has closed the connection.
        let _ = submission.ticket.send(outcome.clone());
    }
}

/// A service of a device.
type Pair<'a> = (DeviceNo, &'a str);

/// What the transaction knows of a service whose row it has locked.
struct Held {
    app: i64,
    shadow: ServiceShadow,
}

/// A device's connection status as it will be written.
struct Status {
    status: DeviceStatus,
    changed_at: Option<Timestamp>,
    activated_at: Option<i64>,
    last_online_at: Option<i64>,
}

impl Status {
    fn apply(&mut self, change: StatusChange) {
        let leaves = self.status == DeviceStatus::Online && change.status != DeviceStatus::Online;
        if change.status == DeviceStatus::Online {
            self.activated_at.get_or_insert(change.at.0);
        }
        if leaves || change.status == DeviceStatus::Online {
            self.last_online_at = Some(change.at.0);
        }
        self.status = change.status;
        self.changed_at = Some(change.at);
    }
}

/// What is there before the batch.
#[derive(Default)]
struct Found<'a> {
    /// Every service that the batch reports; `None` when its device is gone.
    services: BTreeMap<Pair<'a>, Option<Held>>,
    statuses: BTreeMap<DeviceNo, Status>,
    /// Devices of units that touch neither shadow nor status, as far as they are there.
    devices: BTreeSet<DeviceNo>,
}

/// Runs the transaction; answers with the targets that got deliveries. On an error the transaction is left open.
async fn transact(link: &Link, part: &[Submission]) -> Result<BTreeSet<i64>, Failure> {
    let mut found = read(link, part).await?;
    let mut writes = Writes::default();
    lay(part, &mut found, &mut writes);
    write(link, &found, &writes).await?;
    // Answers "ROLLBACK" instead of failing when a statement failed before; all of them were checked.
    link.client.execute(&link.sql.commit, &[]).await?;
    Ok(writes.deliveries.iter().map(|d| d.target).collect())
}

/// Begins the transaction, locks and reads what the units touch.
async fn read<'a>(link: &Link, part: &'a [Submission]) -> Result<Found<'a>, Failure> {
    let mut found = Found::default();
    let (mut of_status, mut of_others) = (BTreeSet::new(), BTreeSet::new());
    for unit in part.iter().flat_map(|s| &s.units) {
        match &unit.change {
            Change::Report(rows) if !rows.is_empty() => {
                found.services.extend(rows.iter().map(|r| ((unit.device, &*r.service_id), None)));
            }
            Change::Status(_) => {
                of_status.insert(unit.device.0);
            }
            Change::None | Change::Message(_) | Change::Report(_) => {
                of_others.insert(unit.device.0);
            }
        }
    }
    let (client, sql) = (&link.client, &link.sql);
    let (delete, of_status, of_others) =
        (LockClass::Delete.key(), Vec::from_iter(of_status), Vec::from_iter(of_others));
    let (devices, services) = columns_of(found.services.keys());
    // All in one trip: the futures send in the order written here and the server answers in that order.
    let (begun, locked, shadows, statuses, others) = tokio::join!(
        biased;
        async { client.execute(&sql.begin, &[]).await },
        async { client.execute(&sql.lock, &[&delete, &INSTANCE]).await },
        rows_unless(devices.is_empty(), async { client.query(&sql.shadows, &[&devices, &services]).await }),
        rows_unless(of_status.is_empty(), async { client.query(&sql.statuses, &[&of_status]).await }),
        rows_unless(of_others.is_empty(), async { client.query(&sql.devices, &[&of_others]).await }),
    );
    begun?;
    locked?;
    hold(&mut found.services, &shadows?)?;
    for row in &statuses? {
        let mut c = Columns::of(row);
        let no = DeviceNo(c.take()?);
        let status = rows::device_status(c.take()?)?;
        let status = Status { status, changed_at: None, activated_at: c.take()?, last_online_at: c.take()? };
        found.statuses.insert(no, status);
    }
    for row in &others? {
        found.devices.insert(DeviceNo(Columns::of(row).take()?));
    }

    let missing: Vec<Pair<'_>> = found.services.iter().filter(|(_, held)| held.is_none()).map(|(k, _)| *k).collect();
    if !missing.is_empty() {
        // Another node may make the same rows now, so they are made first and then read like the others.
        let (devices, services) = columns_of(missing.iter());
        let (made, shadows) = tokio::join!(
            biased;
            async { client.execute(&sql.new_shadows, &[&devices, &services]).await },
            async { client.query(&sql.shadows, &[&devices, &services]).await },
        );
        made?;
        hold(&mut found.services, &shadows?)?;
    }
    Ok(found)
}

fn columns_of<'k, 'a: 'k>(keys: impl Iterator<Item = &'k Pair<'a>>) -> (Vec<i64>, Vec<&'a str>) {
    keys.map(|(device, service)| (device.0, *service)).unzip()
}

async fn rows_unless(nothing: bool, query: impl Future<Output = Answer<Vec<Row>>>) -> Answer<Vec<Row>> {
    if nothing { Ok(Vec::new()) } else { query.await }
}

async fn run_unless(nothing: bool, statement: impl Future<Output = Answer<u64>>) -> Answer<u64> {
    if nothing { Ok(0) } else { statement.await }
}

/// Notes the locked shadow rows, which come in the order of the keys.
fn hold(services: &mut BTreeMap<Pair<'_>, Option<Held>>, rows: &[Row]) -> Result<()> {
    let mut slots = services.iter_mut();
    for row in rows {
        let mut c = Columns::of(row);
        let (device, service, app): (i64, &str, i64) = (c.take()?, c.take()?, c.take()?);
        let (reported, reported_at): (Option<&str>, Option<i64>) = (c.take()?, c.take()?);
        let Some((_, slot)) = slots.find(|((d, s), _)| d.0 == device && *s == service) else {
            return Err(Error::internal("the database does not order text by code points"));
        };
        let mut shadow = ServiceShadow::new(service);
        shadow.reported = reported
            .zip(reported_at)
            .map(|(text, at)| ShadowSide { properties: PropertyObject::trusted(text), event_time: Timestamp(at) });
        *slot = Some(Held { app, shadow });
    }
    Ok(())
}

/// What the transaction writes besides shadow and status, laid out by column.
#[derive(Default)]
struct Writes<'a> {
    history: History<'a>,
    /// By message; the first outcome stands.
    outcomes: BTreeMap<i64, &'a MessageOutcome>,
    deliveries: Vec<&'a NewDelivery>,
}

#[derive(Default)]
struct History<'a> {
    app: Vec<i64>,
    device: Vec<i64>,
    service: Vec<&'a str>,
    properties: Vec<&'a str>,
    event_time: Vec<i64>,
    arrival: Vec<i64>,
}

/// Lays the units over what was found, in order. Units of devices that are gone are void; a device is there for all its
/// services or for none, because deleting waits for this transaction.
fn lay<'a>(part: &'a [Submission], found: &mut Found<'a>, writes: &mut Writes<'a>) {
    'units: for unit in part.iter().flat_map(|s| &s.units) {
        match &unit.change {
            Change::Report(rows) if !rows.is_empty() => {
                for row in rows {
                    let key: Pair<'_> = (unit.device, &row.service_id);
                    let Some(held) = found.services.get_mut(&key).and_then(Option::as_mut) else { continue 'units };
                    held.shadow.report(&row.properties, row.event_time);
                    writes.history.app.push(held.app);
                    writes.history.device.push(unit.device.0);
                    writes.history.service.push(&row.service_id);
                    writes.history.properties.push(row.properties.as_str());
                    writes.history.event_time.push(row.event_time.0);
                    writes.history.arrival.push(unit.arrival.0);
                }
            }
            Change::Status(change) => match found.statuses.get_mut(&unit.device) {
                Some(status) => status.apply(*change),
                None => continue,
            },
            Change::Message(outcome) => {
                if !found.devices.contains(&unit.device) {
                    continue;
                }
                writes.outcomes.entry(outcome.no).or_insert(outcome);
            }
            Change::None | Change::Report(_) => {
                if !found.devices.contains(&unit.device) {
                    continue;
                }
            }
        }
        writes.deliveries.extend(&unit.deliveries);
    }
}

/// Writes everything, in one trip.
async fn write(link: &Link, found: &Found<'_>, writes: &Writes<'_>) -> Result<(), Failure> {
    let (client, sql) = (&link.client, &link.sql);

    let h = &writes.history;
    let (mut devices, mut services, mut reported, mut reported_at) = (vec![], vec![], vec![], vec![]);
    for ((device, service), held) in &found.services {
        if let Some(side) = held.as_ref().and_then(|h| h.shadow.reported.as_ref()) {
            devices.push(device.0);
            services.push(*service);
            reported.push(side.properties.as_str());
            reported_at.push(side.event_time.0);
        }
    }

    let (mut nos, mut words, mut changed, mut activated, mut last_online) = (vec![], vec![], vec![], vec![], vec![]);
    for (no, status) in &found.statuses {
        nos.push(no.0);
        words.push(status.status.as_str());
        changed.push(status.changed_at.map(|t| t.0));
        activated.push(status.activated_at);
        last_online.push(status.last_online_at);
    }

    let messages: Vec<i64> = writes.outcomes.keys().copied().collect();
    let results: Vec<&str> = writes.outcomes.values().map(|o| o.status.as_str()).collect();
    let (codes, texts): (Vec<Option<&str>>, Vec<Option<&str>>) =
        writes.outcomes.values().map(|o| o.error.as_ref().map(|(code, text)| (&**code, &**text)).unzip()).unzip();
    let finished: Vec<Option<i64>> = writes.outcomes.values().map(|o| o.status.is_final().then_some(o.at.0)).collect();
    let outbox = outbox::Columns::of(writes.deliveries.iter().copied());
    let outbox_class = LockClass::Outbox.key();

    let (history, report, set_status, outcomes, outbox_lock, outbox) = tokio::join!(
        biased;
        run_unless(h.device.is_empty(), async {
            let History { app, device, service, properties, event_time, arrival } = h;
            client.execute(&sql.history, &[&INSTANCE, app, device, service, properties, event_time, arrival]).await
        }),
        run_unless(devices.is_empty(), async {
            client.execute(&sql.report, &[&devices, &services, &reported, &reported_at]).await
        }),
        run_unless(nos.is_empty(), async {
            client.execute(&sql.set_status, &[&nos, &words, &changed, &activated, &last_online]).await
        }),
        run_unless(messages.is_empty(), async {
            client.execute(&sql.outcomes, &[&messages, &results, &codes, &texts, &finished]).await
        }),
        // Last, because this lock is everybody's: see the order of locks.
        run_unless(outbox.is_empty(), async { client.execute(&sql.outbox_lock, &[&outbox_class, &INSTANCE]).await }),
        run_unless(outbox.is_empty(), async { client.execute(&sql.outbox, &outbox.params()).await }),
    );
    for answer in [history, report, set_status, outcomes, outbox_lock, outbox] {
        answer?;
    }
    Ok(())
}
