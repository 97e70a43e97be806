//! The signed repository: TUF metadata, the signer's client, the gate's verdict.
