//! Extensions are found and read within their area, in bounded time.

use crate::lies_within;
use crate::message::{self, byte};
use crate::oracle::word;
use arbitrary::Unstructured;
use fusewire::decode::{self, SecurityContexts, security_context, supplementary_groups};

/// The first byte chooses: the rest as it is, or extensions made of it.
pub fn run(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let made = match byte(&mut u) & 1 {
        0 => Ok(u.take_rest().to_vec()),
        _ => message::extensions(&mut u),
    };
    let Ok(area) = made else { return };
    let found = decode::extensions(&area);
    if let Some(groups) = found.groups {
        assert!(lies_within(groups, &area));
        if let Ok(read) = supplementary_groups(groups) {
            assert_eq!(Some(read.count() as u32), word(groups, 0));
        }
    }
    if let Some(contexts) = found.contexts {
        assert!(lies_within(contexts.area, &area));
        assert!((1..=31).contains(&contexts.count), "{} contexts", contexts.count);
        read_contexts(&contexts);
    }
}

fn read_contexts(contexts: &SecurityContexts<'_>) {
    let mut at = 0;
    for _ in 0..contexts.count {
        let Ok(((name, value), next)) = security_context(contexts.area, at) else { return };
        assert!(lies_within(name.to_bytes_with_nul(), contexts.area) && lies_within(value, contexts.area));
        assert!(!value.is_empty());
        assert!(next >= at + 8 + name.to_bytes_with_nul().len() + value.len() && next % 8 == 0, "{at} to {next}");
        at = next;
    }
}
