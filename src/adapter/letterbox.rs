//! The one channel into adapters that burn has taken in.
//!
//! burn hides what it attaches to a parameter: a visitor or mapper is shown the parameters inside,
//! never the adapter. It is told, though, when one is entered, and what happens next on the same
//! thread is the adapter's own `visit` or `map`. So the traversal leaves a letter as it enters, and
//! the adapter takes it.

use std::cell::RefCell;

use super::GoftAdapter;

pub(crate) type Change = Box<dyn FnOnce(GoftAdapter) -> GoftAdapter>;

enum Letter {
    /// The adapter shows itself.
    Show,
    /// The adapter becomes what the letter makes of it.
    Change(Change),
}

thread_local! {
    static INBOX: RefCell<Option<Letter>> = const { RefCell::new(None) };
    static OUTBOX: RefCell<Option<GoftAdapter>> = const { RefCell::new(None) };
}

/// Asks the adapter that is visited next to show itself; [`shown`] has it.
pub(crate) fn ask() {
    INBOX.set(Some(Letter::Show));
}

/// Leaves a change for the adapter that is mapped next.
pub(crate) fn send(change: Change) {
    INBOX.set(Some(Letter::Change(change)));
}

/// Takes back what nobody took, so that no later adapter gets it.
pub(crate) fn close() {
    INBOX.set(None);
}

/// The adapter that answered.
pub(crate) fn shown() -> Option<GoftAdapter> {
    OUTBOX.take()
}

/// To be called by an adapter when it is visited.
pub(super) fn visited(adapter: &GoftAdapter) {
    let asked =
        INBOX.with_borrow_mut(|letter| letter.take_if(|letter| matches!(letter, Letter::Show)));
    if asked.is_some() {
        OUTBOX.set(Some(adapter.clone()));
    }
}

/// To be called by an adapter when it is mapped.
pub(super) fn take_change() -> Option<Change> {
    let letter = INBOX
        .with_borrow_mut(|letter| letter.take_if(|letter| matches!(letter, Letter::Change(_))));
    match letter {
        Some(Letter::Change(change)) => Some(change),
        _ => None,
    }
}
