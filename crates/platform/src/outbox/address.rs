//! Where pushes may go: an application must not use the platform to look into the platform's own network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address belongs to the public internet. Private, loopback, link-local, shared (RFC 6598), multicast,
/// unspecified, documentation and reserved ones do not, nor do IPv6 forms that lead to such an IPv4 address.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

/// The IANA special-purpose registry of IPv4 (RFC 6890 and its successors).
fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 168, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !special
}

/// The IANA special-purpose registry of IPv6, and the IPv4 address inside an IPv6 one.
fn is_public_v6(v6: Ipv6Addr) -> bool {
    let s = v6.segments();
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match s {
        // ::, ::1, ::a.b.c.d (deprecated) and ::ffff:a.b.c.d
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => embedded(high, low),
        // 64:ff9b::a.b.c.d, the well-known NAT64 prefix; 64:ff9b:1::/48 is for local use.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x64, 0xff9b, ..] => false,
        // 100::/64 discards; 2001::/23 is for protocols (Teredo among them); 2001:db8::/32 and 3fff::/20 are documentation.
        [0x100, 0, 0, 0, ..] | [0x2001, 0..=0x1ff | 0xdb8, ..] => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        // 2002:ab:cd::/16 carries an IPv4 address (6to4).
        [0x2002, high, low, ..] => embedded(high, low),
        // Only 2000::/3 is global unicast: fc00::/7, fe80::/10, fec0::/10 and ff00::/8 are not.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

/// The host of a push URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PushHost<'a> {
    /// Written as an address.
    Address(IpAddr),
    /// A name; where it leads is judged whenever it is resolved.
    Name(&'a str),
}

impl<'a> PushHost<'a> {
    /// Reads `http(s)://host[:port][/…]`. `None` for anything else: user names, and spellings of an address (`0x7f.1`,
    /// `2130706433`) that another reader could understand differently.
    pub(crate) fn of(url: &'a str) -> Option<Self> {
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let (host, port) = match authority.strip_prefix('[') {
            Some(bracketed) => {
                let (inside, port) = bracketed.split_once(']')?;
                (Self::Address(IpAddr::V6(inside.parse().ok()?)), port)
            }
            None => {
                let at = authority.find(':').unwrap_or(authority.len());
                (Self::of_name(&authority[..at])?, &authority[at..])
            }
        };
        let sound = port.is_empty() || port.strip_prefix(':').is_some_and(|p| p.parse::<u16>().is_ok_and(|n| n > 0));
        sound.then_some(host)
    }

    fn of_name(name: &'a str) -> Option<Self> {
        let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        let last = name.trim_end_matches('.').rsplit('.').next()?;
        if !plain || last.is_empty() {
            return None;
        }
        let hexadecimal = last.len() > 1 && last[..2].eq_ignore_ascii_case("0x");
        if hexadecimal || last.bytes().all(|b| b.is_ascii_digit()) {
            return name.parse().ok().map(|v4| Self::Address(IpAddr::V4(v4)));
        }
        Some(Self::Name(name))
    }

    /// Whether it is plain without asking anybody that the host is of the platform's own network.
    pub(crate) fn is_private(self) -> bool {
        match self {
            Self::Address(address) => !is_public(address),
            Self::Name(name) => {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                name == "localhost" || name.ends_with(".localhost")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, public: bool) {
        assert_eq!(is_public(address.parse().expect("an address")), public, "{address}");
    }

    #[test]
    fn only_the_public_internet_is_public() {
        let private = "0.0.0.0 10.0.0.1 100.64.0.1 100.127.255.255 127.0.0.1 127.255.255.254 169.254.169.254 172.16.0.1
            172.31.255.255 192.0.0.8 192.168.1.1 198.18.0.1 224.0.0.1 240.0.0.1 255.255.255.255 :: ::1 ::127.0.0.1
            ::ffff:127.0.0.1 ::ffff:10.0.0.1 64:ff9b::10.0.0.1 64:ff9b:1::1 2002:7f00:1:: 2001::1 2001:db8::1 fc00::1
            fd12::1 fe80::1 fec0::1 ff02::1";
        private.split_whitespace().for_each(|address| check(address, false));
        let public = "1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 172.15.0.1 172.32.0.1 192.1.1.1
            223.255.255.255 2606:4700::1111 ::ffff:1.1.1.1 64:ff9b::1.1.1.1 2002:101:101:: 2a00::1";
        public.split_whitespace().for_each(|address| check(address, true));
    }

    #[test]
    fn hosts_are_read_strictly() {
        let name = |n| Some(PushHost::Name(n));
        assert_eq!(PushHost::of("https://app.example.com:8443/x?y"), name("app.example.com"));
        assert_eq!(PushHost::of("http://app"), name("app"));
        assert_eq!(PushHost::of("http://1.2.3.4?x"), Some(PushHost::Address(IpAddr::from([1, 2, 3, 4]))));
        assert_eq!(PushHost::of("http://[::1]:9/"), Some(PushHost::Address(IpAddr::V6(Ipv6Addr::LOCALHOST))));
        let unsound = r"ftp://a/ http:// http:///x http://a:0/ http://a:b/ http://a:70000/ http://u@a/ http://a\@b/
            http://2130706433/ http://0x7f.1/ http://127.1/ http://017700000001/ http://1.2.3.4./ http://a%2eb/ http://./
            http://[::1/ http://[::1]x/ http://[127.0.0.1]/";
        for url in unsound.split_whitespace().chain([""]) {
            assert_eq!(PushHost::of(url), None, "{url}");
        }
        for url in ["http://localhost:9/", "http://a.LOCALHOST./", "http://127.0.0.1/", "http://[::ffff:127.0.0.1]:9/"]
        {
            assert!(PushHost::of(url).is_some_and(PushHost::is_private), "{url}");
        }
    }
}
