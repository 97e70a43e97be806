//! One file for each way of noticing. Each gives its evidence on the scale of
//! [`BaselineScore::score`](crate::finding::BaselineScore); none of them sees more than one home's past.

pub(crate) mod autoregression;
pub(crate) mod event_rate;
pub(crate) mod flatline;
pub(crate) mod fortnight;
pub(crate) mod habits;
pub(crate) mod heartbeat;
mod longest;
pub(crate) mod peers;
pub(crate) mod quiet_hours;
pub(crate) mod time_in_state;
