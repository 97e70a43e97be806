//! The whole command on small recordings.
