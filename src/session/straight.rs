//! The way of the requests that come most, through a session that has nothing else to look at.
//!
//! It exists once for each such operation and each handler. There the compiler knows which operation it is: what is left of
//! the decoding, of the slot's filling and of the choice of the callback has no choice in it. All else goes the way that
//! every message can go, [`Session::process_any`].

use super::handler::Handler;
use super::inflight::Marks;
use super::{Channel, Session};
use crate::abi::opcode::{Opcode, Reply};
use crate::abi::wire::{InHeader, UNIQUE_RESEND};
use crate::decode;

/// The way of one operation: for a handler, a session, the channel that the request came through, its head, its arguments.
type Way<H> = fn(&H, &Session, &Channel, &InHeader, &[u8]);

/// The ways by opcode.
type Ways<H> = [Option<Way<H>>; 64];

macro_rules! ways {
    ($($operation:ident)*) => {
        const fn ways<H: Handler + ?Sized>() -> Ways<H> {
            let mut ways: Ways<H> = [None; _];
            $(ways[Opcode::$operation as usize] = Some(serve::<{ Opcode::$operation as u32 }, H>);)*
            ways
        }
    };
}

ways! { Lookup Forget Getattr Open Read Write Flush Release Readdirplus }

impl Session {
    /// Takes one message for `handler`, the session's own.
    pub(super) fn process_for<H: Handler + ?Sized>(&self, handler: &H, channel: &Channel, message: &[u8]) {
        if let Some((header, arguments)) = decode::ordinary(message)
            && self.is_straight(header)
            && let Some(Some(way)) = const { &ways::<H>() }.get(header.opcode as usize)
        {
            return way(handler, self, channel, header, arguments);
        }
        self.process_any(channel, message);
    }

    /// Whether nothing about the session or the request needs a look.
    #[inline]
    fn is_straight(&self, header: &InHeader) -> bool {
        header.unique & UNIQUE_RESEND == 0 && self.detour.why().is_empty()
    }
}

fn serve<const OPCODE: u32, H: Handler + ?Sized>(
    handler: &H,
    session: &Session,
    channel: &Channel,
    header: &InHeader,
    arguments: &[u8],
) {
    // Found out when this is compiled.
    let opcode = const { Opcode::from_wire(OPCODE).expect("the number of an operation") };
    let request = match decode::ordinary_request(header, arguments, opcode, || session.dialect()) {
        Ok(request) => request,
        Err(fault) => return session.report(channel, &fault, header.len as usize),
    };
    let operation = &request.operation;
    let marks = if opcode.reply() == Reply::None { Marks::NO_REPLY } else { Marks::empty() };
    let special = (operation.flags(), marks);
    session.serve(channel, &request, |_| special, |token| handler.call(session, token, header, operation));
}
