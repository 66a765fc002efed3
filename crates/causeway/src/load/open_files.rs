//! The two limits that stop a client with very many connections: open files and local ports.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context as _, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files this process needs beside its connections: terminal, event queues, REST connections, libraries.
const SPARE_FILES: u64 = 128;

/// Local ports used of one source address. The usual range (32768–60999) holds 28,232; some are taken by others.
const PORTS_PER_ADDRESS: usize = 20_000;

/// Lets this process open `connections` sockets, raising the soft limit and, where the kernel allows, the hard one.
///
/// # Errors
/// When the hard limit is lower and may not be raised; the text says what to do.
pub(crate) fn allow_connections(connections: usize) -> anyhow::Result<()> {
    let wanted = connections as u64 + SPARE_FILES;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let hard = limit.maximum.map(|hard| hard.max(wanted));
    if setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: hard }).is_ok() {
        return Ok(());
    }
    let possible = limit.maximum.unwrap_or(wanted).min(wanted);
    setrlimit(Resource::Nofile, Rlimit { current: Some(possible), maximum: limit.maximum })
        .context("the limit of open files (RLIMIT_NOFILE) cannot be raised")?;
    if possible < wanted {
        bail!(
            "{connections} connections need {wanted} open files, and this process may have {possible}; raise the hard \
             limit (ulimit -Hn) or use fewer connections"
        );
    }
    Ok(())
}

/// Source address for connection number `index`, so that no address runs out of local ports.
///
/// Only loopback targets need more than one (all of 127.0.0.0/8 is local), and the first address is left to the kernel.
pub(crate) fn source_address(target: SocketAddr, index: usize) -> Option<IpAddr> {
    let block = index / PORTS_PER_ADDRESS;
    if block == 0 || !target.ip().is_loopback() || !target.is_ipv4() {
        return None;
    }
    Some(loopback(block))
}

/// The `block`-th spare loopback address: 127.1.0.1, 127.1.0.2 … 127.1.255.254 and round again.
pub(crate) fn loopback(block: usize) -> IpAddr {
    let host = block.wrapping_sub(1) % (256 * 254);
    IpAddr::V4(Ipv4Addr::new(127, 1, (host / 254) as u8, (host % 254) as u8 + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_change_before_ports_run_out() {
        let target = SocketAddr::from(([127, 0, 0, 1], 1883));
        assert_eq!(source_address(target, 19_999), None);
        assert_eq!(source_address(target, 20_000), Some(IpAddr::from([127, 1, 0, 1])));
        assert_eq!(source_address(target, 40_000), Some(IpAddr::from([127, 1, 0, 2])));
        assert_eq!(source_address(SocketAddr::from(([192, 0, 2, 1], 1883)), 50_000), None);
        assert_eq!(loopback(255), IpAddr::from([127, 1, 1, 1]));
    }

    #[test]
    fn the_open_file_limit_is_raised_or_explained() {
        allow_connections(64).expect("every system allows 192 files");
        let error = allow_connections(usize::MAX / 2).expect_err("no system allows 2^62 files");
        assert!(error.to_string().contains("open files"), "{error:#}");
    }
}
