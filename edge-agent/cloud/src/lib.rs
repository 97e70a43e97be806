//! The way to the fleet's cloud: records out by MQTT, the home's certificate, HTTPS to the fleet's own servers.

pub mod identity;
pub mod pinned;
pub mod uplink;
