//! The header with which a proxy begins a connection, by version 2 of the PROXY protocol: on whose
//! behalf it connects.
//!
//! From the peers of a list the header is awaited, and a connection without one is closed: what
//! anyone else sends is not looked at, for it would be a client's word about itself.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::timeout;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Longest header behind its first 16 bytes. Addresses take up to 36 of IP, and 216 of sockets of the
/// system; the rest is for what proxies add, which is passed over.
const MAX_BYTES: usize = 4_096;

/// Who is at the other end of a fresh connection: whom a peer of `proxies` names within `patience`,
/// else the peer.
///
/// # Errors
/// When a proxy's header does not come in time, or is none.
pub(super) async fn client(
    stream: &mut (impl AsyncRead + Unpin),
    peer: SocketAddr,
    proxies: &[IpNet],
    patience: Duration,
) -> io::Result<SocketAddr> {
    let address = peer.ip().to_canonical();
    if !proxies.iter().any(|network| network.contains(&address)) {
        return Ok(peer);
    }
    let named = timeout(patience, read(stream)).await??;
    Ok(named.unwrap_or(peer))
}

/// Reads a header and nothing behind it. `None`: the proxy connects on its own behalf, or names no
/// address of IP.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    let mut head = [0; 16];
    stream.read_exact(&mut head).await?;
    let [signature @ .., command, family, high, low] = head;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let is_local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(ErrorKind::InvalidData.into()),
    };
    if signature != SIGNATURE || length > MAX_BYTES {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await?;
    if is_local {
        return Ok(None);
    }
    source(family, &rest)
}

/// The first of two addresses and ports.
fn source(family: u8, bytes: &[u8]) -> io::Result<Option<SocketAddr>> {
    let address = match family {
        // Unspecified, or a socket of the system.
        0x00 | 0x31 => return Ok(None),
        0x11 => bytes.first_chunk::<12>().map(|both| {
            let address = Ipv4Addr::new(both[0], both[1], both[2], both[3]);
            (IpAddr::from(address), [both[8], both[9]])
        }),
        0x21 => bytes.first_chunk::<36>().map(|both| {
            let mut address = [0; 16];
            address.copy_from_slice(&both[..16]);
            (Ipv6Addr::from(address).into(), [both[32], both[33]])
        }),
        _ => None,
    };
    let (address, port) = address.ok_or(ErrorKind::InvalidData)?;
    Ok(Some(SocketAddr::new(address, u16::from_be_bytes(port))))
}

#[cfg(test)]
mod tests;
