//! The aggregator's side of the signer's socket.
/// placeholder
pub struct RemoteTargetsKey;
/// placeholder
pub struct SignerClient;
