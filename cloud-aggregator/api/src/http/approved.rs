//! A call that a second person approved, on its way to its handler.

use super::auth::Caller;

/// Who asked for the call, and who approved it. Only the program itself puts this on a request.
#[derive(Debug, Clone)]
pub(crate) struct Approved(pub Caller);
