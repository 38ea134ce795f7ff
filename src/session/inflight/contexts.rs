//! The security contexts of a request, kept until the reply.

use crate::decode::{Malformed, SecurityContext, SecurityContexts, security_context};

/// A copy of the contexts, and how far the daemon has read. What is read stays where it is for as long as the copy.
pub struct Contexts {
    area: Box<[u8]>,
    count: u32,
    /// How many were read.
    read: u32,
    /// Where the next one is.
    at: usize,
}

impl Contexts {
    /// Copies contexts out of the message, which does not outlive the callback.
    pub fn copy(contexts: &SecurityContexts<'_>) -> Self {
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
