//! Whether passthrough is on, and why not.

use nix::errno::Errno;

/// How far a session got with passthrough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// The init callback did not enable it.
    #[default]
    NotAsked,
    /// Agreed on; the kernel was not tried yet.
    Starting,
    /// The kernel takes backing files.
    On,
    /// The kernel does not offer it, or what the session is connected to is no kernel.
    NotOffered,
    /// The kernel has it, and not for this process.
    NotPermitted,
    /// The write-back cache was wanted as well, and the kernel takes that alone.
    Conflict,
}

impl Status {
    /// The inverse of `as u8`.
    pub fn from_u8(raw: u8) -> Self {
        use Status::*;
        [NotAsked, Starting, On, NotOffered, NotPermitted, Conflict]
            .into_iter()
            .find(|s| *s as u8 == raw)
            .unwrap_or_default()
    }

    /// Whether backing files may be registered.
    pub fn is_usable(self) -> bool {
        matches!(self, Self::Starting | Self::On)
    }

    /// Ok when it is on, else why not.
    pub fn result(self) -> Result<(), Errno> {
        match self {
            Self::On => Ok(()),
            Self::NotAsked => Err(Errno::ENOTCONN),
            Self::Starting => Err(Errno::EAGAIN),
            Self::NotOffered => Err(Errno::EOPNOTSUPP),
            Self::NotPermitted => Err(Errno::EPERM),
            Self::Conflict => Err(Errno::EBUSY),
        }
    }

    /// The same for people.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotAsked => "the init callback did not enable it",
            Self::Starting => "INIT is not answered yet",
            Self::On => "it is on",
            Self::NotOffered => "the kernel does not offer it",
            Self::NotPermitted => "the daemon has no CAP_SYS_ADMIN in the initial user namespace",
            Self::Conflict => "FUSE_CAP_WRITEBACK_CACHE was wanted after it, and the kernel takes only one of them",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_survives_its_number() {
        use Status::*;
        for status in [NotAsked, Starting, On, NotOffered, NotPermitted, Conflict] {
            assert_eq!(Status::from_u8(status as u8), status);
            assert_eq!(status.result().is_ok(), status == On);
            assert!(!status.reason().is_empty());
        }
        assert_eq!(Status::from_u8(99), NotAsked);
    }
}
