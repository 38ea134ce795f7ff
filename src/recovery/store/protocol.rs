//! What a daemon and its keeper say to each other: packets on a socket, each of them one line of text.

use super::Role;
use nix::errno::Errno;
use std::fmt;

/// The variable of the daemon's environment with the number of its end of the socket.
pub const VARIABLE: &str = "FUSEWIRE_KEEP";
/// Most file descriptors in a packet.
pub const FDS: usize = 250;
/// Most bytes of a packet.
pub const BYTES: usize = 64;

/// What a daemon says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Asks for what is kept. It is answered when no predecessor is left.
    Kept,
    /// Brings a file descriptor.
    Keep(Role),
    /// Nothing needs to be kept: the mount is gone, in an orderly way.
    Forget,
    /// The daemon mounts, and cannot be replaced. ENOTSUP when a mount is kept.
    Unaware,
}

/// What the keeper answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing is kept.
    None,
    /// So many file descriptors are kept: device, state, clones. They begin to come with this packet.
    Kept(usize),
    /// More of them.
    More,
    /// Done.
    Ok,
    /// Not done.
    Error(Errno),
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept => f.write_str("kept?"),
            Self::Keep(role) => write!(f, "keep {}", role.word()),
            Self::Forget => f.write_str("forget"),
            Self::Unaware => f.write_str("unaware"),
        }
    }
}

impl Request {
    /// None for anything else.
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let mut all = [Self::Kept, Self::Forget, Self::Unaware].into_iter().chain(Role::ALL.map(Self::Keep));
        all.find(|one| one.to_string().as_bytes() == packet)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Kept(count) => write!(f, "kept {count}"),
            Self::More => f.write_str("more"),
            Self::Ok => f.write_str("ok"),
            Self::Error(errno) => write!(f, "error {}", *errno as i32),
        }
    }
}

impl Answer {
    /// None for anything else.
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let text = str::from_utf8(packet).ok()?;
        Some(match text.split_once(' ') {
            None if text == "none" => Self::None,
            None if text == "more" => Self::More,
            None if text == "ok" => Self::Ok,
            Some(("kept", count)) => Self::Kept(count.parse().ok()?),
            Some(("error", number)) => Self::Error(Errno::from_raw(number.parse().ok()?)),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood() {
        use Request::*;
        for request in [Kept, Keep(Role::Device), Keep(Role::State), Keep(Role::Clone), Forget, Unaware] {
            assert_eq!(Request::parse(request.to_string().as_bytes()), Some(request));
        }
        for answer in [Answer::None, Answer::Kept(700), Answer::More, Answer::Ok, Answer::Error(Errno::EMFILE)] {
            assert_eq!(Answer::parse(answer.to_string().as_bytes()), Some(answer));
        }
        assert_eq!((Kept.to_string(), Keep(Role::Clone).to_string()), ("kept?".into(), "keep clone".into()));
        assert_eq!(Answer::Error(Errno::EPERM).to_string(), "error 1");
    }

    #[test]
    fn anything_else_is_not() {
        for packet in [&b""[..], b"kept", b"kept? ", b"keep", b"keep mount", b"\xff"] {
            assert_eq!(Request::parse(packet), None);
        }
        for packet in [&b""[..], b"kept", b"kept -1", b"kept 1 2", b"error x", b"\xff"] {
            assert_eq!(Answer::parse(packet), None);
        }
    }
}
