//! The admin API and the page, over HTTPS.
