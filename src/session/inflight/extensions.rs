//! What a request that makes an inode brings behind its arguments, kept until the reply: the message does not outlive
//! the callback.

use crate::decode::{self, Malformed, SecurityContext, SecurityContexts, security_context};

/// A copy of a request's extensions.
pub struct Extensions {
    /// Security contexts, if there are any.
    pub contexts: Option<Contexts>,
    /// Supplementary groups, not read yet, if there are any.
    pub groups: Option<Box<[u8]>>,
}

impl Extensions {
    /// Copies them out of the message.
    pub fn copy(extensions: &decode::Extensions<'_>) -> Self {
        Self { contexts: extensions.contexts.map(Contexts::copy), groups: extensions.groups.map(Box::from) }
    }
}

/// A copy of security contexts, and how far the daemon has read. What is read stays where it is for as long as the copy.
pub struct Contexts {
    area: Box<[u8]>,
    count: u32,
    /// How many were read.
    read: u32,
    /// Where the next one is.
    at: usize,
}

impl Contexts {
    fn copy(contexts: SecurityContexts<'_>) -> Self {
        Self { area: contexts.area.into(), count: contexts.count, read: 0, at: 0 }
    }

    /// How many there are to be.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Begins anew.
    pub fn reset(&mut self) {
        (self.read, self.at) = (0, 0);
    }

    /// The next one; none after the last. One that is malformed is not passed over.
    pub fn read_next(&mut self) -> Result<Option<SecurityContext<'_>>, Malformed> {
        if self.read >= self.count {
            return Ok(None);
        }
        let (context, next) = security_context(&self.area, self.at)?;
        self.at = next;
        self.read += 1;
        Ok(Some(context))
    }
}
