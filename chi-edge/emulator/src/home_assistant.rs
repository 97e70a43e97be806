//! Home Assistant for homes that have none: its WebSocket side, fed from a recording, in a process of its own or for tests.

mod feed;
mod play;
mod recorded;
mod server;

pub use feed::{FeedArguments, feed};
pub use play::{PlayArguments, play};
pub use recorded::{RecordedSensors, state_of};
pub use server::{EmulatedHomeAssistant, Own, Recorder, Sensor};
