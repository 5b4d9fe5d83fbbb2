//! Which internet addresses the gateway may connect to.
//!
//! Invariant: an address is refused unless it is globally reachable unicast, or configuration names a network that holds it; the
//! addresses where clouds hand out credentials are refused whatever configuration says. Pure: no name is resolved here.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Why an address is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressRefusal {
    /// `127.0.0.0/8`, `::1`.
    #[error("it is a loopback address")]
    Loopback,
    /// `0.0.0.0/8`, `::`: on many systems the same as loopback.
    #[error("it is an unspecified address")]
    Unspecified,
    /// RFC 1918, RFC 4193 (ULA) and the withdrawn site-local range.
    #[error("it is a private address")]
    Private,
    /// `169.254.0.0/16`, `fe80::/10`.
    #[error("it is a link-local address")]
    LinkLocal,
    /// `100.64.0.0/10` (RFC 6598).
    #[error("it is an address shared behind a carrier's translator")]
    CarrierGrade,
    /// `224.0.0.0/4`, `ff00::/8`, and limited broadcast.
    #[error("it is a multicast or broadcast address")]
    Multicast,
    /// Ranges for documentation and benchmarks.
    #[error("it is an address for documentation or tests")]
    Documentation,
    /// Where clouds hand credentials to whoever asks from inside.
    #[error("it is an address of a cloud's metadata service")]
    Metadata,
    /// Everything else that the IANA special-purpose registries do not call globally reachable.
    #[error("it is not a globally reachable unicast address")]
    Reserved,
}

/// A block of addresses in prefix notation, such as `10.20.0.0/16` or `fd12::/32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    prefix: u32,
}

/// A text that is not a network in prefix notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a network such as 10.20.0.0/16 or fd12::/32, without host bits")]
pub struct InvalidNetwork;

impl Network {
    /// Whether the address lies in this block. Families never mix: `10.0.0.0/8` does not hold `::ffff:10.0.0.1`.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => same_prefix_v4(base, address, self.prefix),
            (IpAddr::V6(base), IpAddr::V6(address)) => same_prefix_v6(base, address, self.prefix),
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (base, prefix) = text.split_once('/').ok_or(InvalidNetwork)?;
        let base: IpAddr = base.parse().map_err(|_| InvalidNetwork)?;
        let prefix: u32 = prefix.parse().map_err(|_| InvalidNetwork)?;
        let without_host_bits = match base {
            IpAddr::V4(base) => prefix <= 32 && base.to_bits() & !mask_v4(prefix) == 0,
            IpAddr::V6(base) => prefix <= 128 && base.to_bits() & !mask_v6(prefix) == 0,
        };
        if without_host_bits { Ok(Self { base, prefix }) } else { Err(InvalidNetwork) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

impl<'de> serde::Deserialize<'de> for Network {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Whether the gateway may connect to this address; `allowed` are the networks that configuration opens.
///
/// # Errors
/// The [`AddressRefusal`] that says which range forbids it.
pub fn check(address: IpAddr, allowed: &[Network]) -> Result<(), AddressRefusal> {
    let inner = match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(outer) => embedded_v4(outer),
    };
    if is_metadata(address) || inner.is_some_and(|inner| is_metadata(IpAddr::V4(inner))) {
        return Err(AddressRefusal::Metadata);
    }
    let refusal = match address {
        IpAddr::V4(address) => refuse_v4(address),
        IpAddr::V6(outer) => inner.and_then(refuse_v4).or_else(|| refuse_v6(outer)),
    };
    // Only the plain spelling of an address can be opened: what hides an IPv4 address inside an IPv6 one stays refused.
    let opened = inner.is_none() && allowed.iter().any(|network| network.contains(address));
    match refusal {
        Some(refusal) if !opened => Err(refusal),
        _ => Ok(()),
    }
}

/// The IPv4 address inside: mapped and compatible (RFC 4291 section 2.5.5), NAT64 (RFC 6052, RFC 8215), 6to4 (RFC 3056),
/// Teredo (RFC 4380), ISATAP (RFC 5214), IPv4-translated (RFC 2765). Such an address passes only if inner and outer both do.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [head @ .., before_last, last] = address.segments();
    let last = join(before_last, last);
    match head {
        [0, 0, 0, 0, 0, 0xffff] | [0, 0, 0, 0, 0xffff, 0] | [0x64, 0xff9b, 0, 0, 0, 0] => Some(last),
        [0, 0, 0, 0, 0, 0] if last.to_bits() > 1 => Some(last),
        [0x64, 0xff9b, 1, _, _, _] => Some(last),
        [0x2002, high, low, ..] => Some(join(high, low)),
        [0x2001, 0, ..] => Some(Ipv4Addr::from_bits(!last.to_bits())),
        [_, _, _, _, 0 | 0x0200, 0x5efe] => Some(last),
        _ => None,
    }
}

fn join(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}

/// Amazon, Google, Azure, Oracle and `DigitalOcean` (`169.254.169.254`), Amazon's task and IMDS addresses, Alibaba, Azure's wire server.
fn is_metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => matches!(
            v4.octets(),
            [169, 254, 169, 254]
                | [169, 254, 170, 2 | 23]
                | [100, 100, 100, 200]
                | [168, 63, 129, 16]
                | [192, 0, 0, 192]
        ),
        IpAddr::V6(v6) => {
            matches!(v6.segments(), [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254 | 0x23] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254])
        }
    }
}

/// IANA IPv4 special-purpose address registry.
fn refuse_v4(address: Ipv4Addr) -> Option<AddressRefusal> {
    match address.octets() {
        [0, ..] => Some(AddressRefusal::Unspecified),
        [127, ..] => Some(AddressRefusal::Loopback),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Some(AddressRefusal::Private),
        [100, 64..=127, ..] => Some(AddressRefusal::CarrierGrade),
        [169, 254, ..] => Some(AddressRefusal::LinkLocal),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [198, 18 | 19, ..] => {
            Some(AddressRefusal::Documentation)
        }
        [192, 0, 0, _] | [192, 88, 99, _] | [192, 31, 196, _] | [192, 52, 193, _] | [192, 175, 48, _] => {
            Some(AddressRefusal::Reserved)
        }
        [224..=239, ..] | [255, 255, 255, 255] => Some(AddressRefusal::Multicast),
        [240..=255, ..] => Some(AddressRefusal::Reserved),
        _ => None,
    }
}

/// IANA IPv6 special-purpose address registry; outside `2000::/3` nothing is global unicast (RFC 4291 section 2.4).
fn refuse_v6(address: Ipv6Addr) -> Option<AddressRefusal> {
    if address == Ipv6Addr::LOCALHOST {
        return Some(AddressRefusal::Loopback);
    }
    if address == Ipv6Addr::UNSPECIFIED {
        return Some(AddressRefusal::Unspecified);
    }
    match address.segments() {
        // carriers of an IPv4 address that has been judged already: mapped, and the well-known NAT64 prefix
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => None,
        [0xff00..=0xffff, ..] => Some(AddressRefusal::Multicast),
        [0xfe80..=0xfebf, ..] => Some(AddressRefusal::LinkLocal),
        [0xfec0..=0xfeff | 0xfc00..=0xfdff, ..] => Some(AddressRefusal::Private),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] | [0x2001, 2, 0, ..] => Some(AddressRefusal::Documentation),
        [0x2001, 0..=0x01ff, ..] => Some(AddressRefusal::Reserved),
        [0x2000..=0x3fff, ..] => None,
        _ => Some(AddressRefusal::Reserved),
    }
}

const fn mask_v4(prefix: u32) -> u32 {
    if prefix == 0 { 0 } else { u32::MAX << (32 - prefix) }
}

const fn mask_v6(prefix: u32) -> u128 {
    if prefix == 0 { 0 } else { u128::MAX << (128 - prefix) }
}

fn same_prefix_v4(base: Ipv4Addr, address: Ipv4Addr, prefix: u32) -> bool {
    (base.to_bits() ^ address.to_bits()) & mask_v4(prefix) == 0
}

fn same_prefix_v6(base: Ipv6Addr, address: Ipv6Addr, prefix: u32) -> bool {
    (base.to_bits() ^ address.to_bits()) & mask_v6(prefix) == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn verdict(address: &str) -> Result<(), AddressRefusal> {
        check(address.parse().unwrap(), &[])
    }

    #[test]
    fn public_addresses_pass() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2a02:10::1",
            "2606:4700:4700::1111",
            "2001:4860:4860::8888",
            "2001:200::1",
            // public addresses that are carried inside IPv6
            "64:ff9b::808:808",
            "2002:0101:0101::1",
        ] {
            assert_eq!(verdict(address), Ok(()), "{address}");
        }
    }

    #[test]
    fn every_special_range_is_refused_at_both_ends() {
        use AddressRefusal::*;
        for (address, refusal) in [
            ("127.0.0.1", Loopback),
            ("127.255.255.255", Loopback),
            ("::1", Loopback),
            ("0.0.0.0", Unspecified),
            ("0.255.255.255", Unspecified),
            ("::", Unspecified),
            ("10.0.0.0", Private),
            ("10.255.255.255", Private),
            ("172.16.0.0", Private),
            ("172.31.255.255", Private),
            ("192.168.0.0", Private),
            ("192.168.255.255", Private),
            ("fc00::", Private),
            ("fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Private),
            ("fec0::1", Private),
            ("169.254.0.1", LinkLocal),
            ("169.254.255.255", LinkLocal),
            ("fe80::1", LinkLocal),
            ("febf:ffff::1", LinkLocal),
            ("100.64.0.0", CarrierGrade),
            ("100.127.255.255", CarrierGrade),
            ("224.0.0.1", Multicast),
            ("239.255.255.255", Multicast),
            ("255.255.255.255", Multicast),
            ("ff02::1", Multicast),
            ("192.0.2.1", Documentation),
            ("198.51.100.1", Documentation),
            ("203.0.113.255", Documentation),
            ("198.18.0.0", Documentation),
            ("198.19.255.255", Documentation),
            ("2001:db8::1", Documentation),
            ("3fff::1", Documentation),
            ("2001:2::1", Documentation),
            ("240.0.0.1", Reserved),
            ("192.0.0.1", Reserved),
            ("192.88.99.1", Reserved),
            ("100::1", Reserved),
            ("2001:20::1", Reserved),
            ("4000::1", Reserved),
            ("5f00::1", Reserved),
            ("1::", Reserved),
        ] {
            assert_eq!(verdict(address), Err(refusal), "{address}");
        }
    }

    #[test]
    fn an_ipv4_address_does_not_hide_inside_an_ipv6_one() {
        use AddressRefusal::*;
        for (address, refusal) in [
            ("::ffff:127.0.0.1", Loopback),
            ("::ffff:7f00:1", Loopback),
            ("::ffff:0:127.0.0.1", Loopback),
            ("::127.0.0.1", Loopback),
            ("::10.0.0.1", Private),
            ("::ffff:192.168.1.1", Private),
            ("64:ff9b::10.0.0.1", Private),
            ("64:ff9b::7f00:1", Loopback),
            ("64:ff9b:1::10.0.0.1", Private),
            ("64:ff9b:1:fffe:1:2:192.168.0.1", Private),
            ("2002:7f00:1::", Loopback),
            ("2002:0a00:0001::1", Private),
            ("2002:c0a8:101::5", Private),
            // Teredo keeps the client's address with every bit turned over
            ("2001:0:4136:e378:8000:63bf:80ff:fffe", Loopback),
            ("2001:0:4136:e378:8000:63bf:f5ff:fffe", Private),
            ("2a02:10::5efe:10.0.0.1", Private),
            ("2a02:10::200:5efe:10.0.0.1", Private),
            ("::ffff:169.254.169.254", Metadata),
            ("64:ff9b::a9fe:a9fe", Metadata),
            ("2002:a9fe:a9fe::1", Metadata),
            ("::ffff:0.0.0.0", Unspecified),
        ] {
            assert_eq!(verdict(address), Err(refusal), "{address}");
        }
    }

    #[test]
    fn configuration_opens_what_it_names_and_nothing_else() {
        let allowed: Vec<Network> = ["127.0.0.0/8", "::1/128"].iter().map(|network| network.parse().unwrap()).collect();
        for address in ["127.0.0.1", "127.3.2.1", "::1"] {
            assert_eq!(check(address.parse().unwrap(), &allowed), Ok(()), "{address}");
        }
        for address in ["10.0.0.1", "169.254.1.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "fd00::1", "0.0.0.0", "::"] {
            assert!(check(address.parse().unwrap(), &allowed).is_err(), "{address}");
        }
    }

    #[test]
    fn no_configuration_opens_a_metadata_service() {
        let everything: Vec<Network> = vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
        for address in [
            "169.254.169.254",
            "169.254.170.2",
            "100.100.100.200",
            "168.63.129.16",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
        ] {
            assert_eq!(check(address.parse().unwrap(), &everything), Err(AddressRefusal::Metadata), "{address}");
        }
        assert_eq!(check("10.0.0.1".parse().unwrap(), &everything), Ok(()));
    }

    #[test]
    fn a_network_is_read_strictly() {
        for wrong in ["10.0.0.0", "10.0.0.1/8", "10.0.0.0/33", "fd00::/129", "fd00::1/64", "ten/8", "10.0.0.0/-1", ""] {
            assert_eq!(wrong.parse::<Network>(), Err(InvalidNetwork), "{wrong:?}");
        }
        assert_eq!("fd12::/32".parse::<Network>().unwrap().to_string(), "fd12::/32");
    }

    proptest! {
        #[test]
        fn each_way_to_embed_an_address_gives_its_own_verdict(bits in any::<u32>()) {
            let inner = Ipv4Addr::from_bits(bits);
            let plain = check(IpAddr::V4(inner), &[]);
            let [a, b, c, d] = inner.octets().map(u16::from);
            let (high, low) = (a << 8 | b, c << 8 | d);
            for outer in [
                Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            ] {
                prop_assert_eq!(check(IpAddr::V6(outer), &[]), plain, "{}", outer);
            }
            // tunnels that no one should use any more are refused whatever they carry
            for outer in [
                Ipv6Addr::new(0x2001, 0, 1, 1, 1, 1, !high, !low),
                Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low),
                Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
            ] {
                prop_assert!(check(IpAddr::V6(outer), &[]).is_err(), "{}", outer);
            }
        }

        #[test]
        fn outside_global_unicast_nothing_passes_that_embeds_nothing(bits in any::<u128>()) {
            let address = Ipv6Addr::from_bits(bits);
            let global = address.segments()[0] & 0xe000 == 0x2000;
            if !global && embedded_v4(address).is_none() {
                prop_assert!(check(IpAddr::V6(address), &[]).is_err());
            }
        }
    }
}
