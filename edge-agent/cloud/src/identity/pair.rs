//! Key and certificate on disk, and how the next pair takes their place: whole, or not at all.
//!
//! Two files cannot be renamed in one step. So the next pair is complete beside the present one before anything is touched; then
//! the key is renamed, then the certificate; and [`Pair::settle`] finishes at the next start what a power cut left undone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use hearthwatch_link::{TlsFiles, tls_client_config};
use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::seal::SigningKey;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

use super::Life;
use super::sign::signing_key;

/// Why the pair cannot be used or changed.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file that cannot be read or written.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path}: {cause}")]
    Damaged {
        /// The file with wrong content.
        path: PathBuf,
        /// One line.
        cause: String,
    },
    /// The certificate is to be renewed, and no address for that is configured.
    #[error("it runs out at {until} (Unix seconds), and [cloud] renew_url does not say where to renew it")]
    Nowhere {
        /// `notAfter` of the certificate, Unix seconds.
        until: i64,
    },
}

/// Paths of the home's key, its certificate and the fleet's authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Certificate of the fleet's authority, PEM.
    pub ca: PathBuf,
    /// The home's certificate, PEM.
    pub cert: PathBuf,
    /// The home's private key, PEM; readable for its owner only.
    pub key: PathBuf,
}

impl Pair {
    /// From when until when the present certificate holds.
    ///
    /// # Errors
    /// [`PairError`].
    pub fn life(&self) -> Result<Life, PairError> {
        let pem = fs::read(&self.cert).map_err(at(&self.cert))?;
        Life::of(&pem).map_err(|cause| PairError::Damaged { path: self.cert.clone(), cause })
    }

    /// The present key, to sign with.
    ///
    /// # Errors
    /// [`PairError`].
    pub fn signing_key(&self) -> Result<SigningKey, PairError> {
        signing_key(&self.key)
    }

    /// A signing request for the next key, which is made if there is none yet; it is on disk, for us alone, before the request
    /// is sent, and stays the same until it is certified: an answer may be lost on the way.
    ///
    /// # Errors
    /// [`PairError`].
    pub fn next_request(&self, home: &HomeId) -> Result<String, PairError> {
        let path = self.next_key();
        let damaged = |cause: String| PairError::Damaged { path: path.clone(), cause };
        let key = match fs::read_to_string(&path) {
            Ok(pem) => KeyPair::from_pem(&pem).ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(PairError::File { path, source }),
        };
        let key = match key {
            Some(key) => key,
            // None yet, or one that a power cut left half written; nobody has certified that.
            None => {
                let key = KeyPair::generate().map_err(|error| damaged(error.to_string()))?;
                write(&path, key.serialize_pem().as_bytes(), 0o600)?;
                key
            }
        };
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, home.as_str());
        let request = params.serialize_request(&key).map_err(|error| damaged(error.to_string()))?;
        request.pem().map_err(|error| damaged(error.to_string()))
    }

    /// Puts the next pair in place of the present one.
    ///
    /// # Errors
    /// [`PairError`]; a certificate that does not fit the next key changes nothing.
    pub fn install(&self, certificate_pem: &str) -> Result<(), PairError> {
        write(&self.next_cert(), certificate_pem.as_bytes(), 0o644)?;
        self.check(&self.next_cert(), &self.next_key()).inspect_err(|_| {
            // What does not fit is not left lying about; settling would remove it too.
            let _ = fs::remove_file(self.next_cert());
        })?;
        self.step_key()?;
        self.step_cert()
    }

    /// Finishes what a power cut left undone. Whatever the moment of the cut, key and certificate fit afterwards.
    ///
    /// # Errors
    /// [`PairError`] when a file cannot be renamed or removed.
    pub fn settle(&self) -> Result<(), PairError> {
        let (cert, key) = (self.next_cert(), self.next_key());
        if !cert.exists() {
            return Ok(());
        }
        if key.exists() && self.check(&cert, &key).is_ok() {
            self.step_key()?;
            return self.step_cert();
        }
        // Either the key is in place already, or the certificate was being written and is asked for again.
        if self.check(&cert, &self.key).is_ok() {
            return self.step_cert();
        }
        fs::remove_file(&cert).map_err(at(&cert))
    }

    fn check(&self, cert: &Path, key: &Path) -> Result<(), PairError> {
        let files = TlsFiles { ca: self.ca.clone(), cert: Some(cert.to_owned()), key: Some(key.to_owned()) };
        let fits = tls_client_config(&files).map(drop);
        fits.map_err(|error| PairError::Damaged { path: cert.to_owned(), cause: error.to_string() })
    }

    fn step_key(&self) -> Result<(), PairError> {
        rename(&self.next_key(), &self.key)
    }

    fn step_cert(&self) -> Result<(), PairError> {
        rename(&self.next_cert(), &self.cert)
    }

    fn next_key(&self) -> PathBuf {
        beside(&self.key)
    }

    fn next_cert(&self) -> PathBuf {
        beside(&self.cert)
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".next");
    path.with_file_name(name)
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> PairError {
    let path = path.to_owned();
    move |source| PairError::File { path, source }
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), PairError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(path)(error)),
        _ => {}
    }
    let mut file = OpenOptions::new().create_new(true).write(true).mode(mode).open(path).map_err(at(path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(at(path))
}

fn rename(from: &Path, to: &Path) -> Result<(), PairError> {
    fs::rename(from, to).map_err(at(from))?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use rcgen::{BasicConstraints, CertificateSigningRequestParams, CertifiedIssuer, IsCa};

    use super::*;

    struct TestAuthority(CertifiedIssuer<'static, KeyPair>);

    impl TestAuthority {
        fn new() -> Self {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
        }

        fn certify(&self, csr: &str) -> String {
            CertificateSigningRequestParams::from_pem(csr).unwrap().signed_by(&self.0).unwrap().pem()
        }
    }

    fn home() -> HomeId {
        HomeId::new("home-7").unwrap()
    }

    /// A folder with a first pair.
    fn first(authority: &TestAuthority) -> (tempfile::TempDir, Pair) {
        let dir = tempfile::tempdir().unwrap();
        let [ca, cert, key] = ["ca.crt", "agent.crt", "agent.key"].map(|name| dir.path().join(name));
        fs::write(&ca, authority.0.pem()).unwrap();
        let pair = Pair { ca, cert, key };
        let csr = pair.next_request(&home()).unwrap();
        pair.install(&authority.certify(&csr)).unwrap();
        (dir, pair)
    }

    fn fits(pair: &Pair) -> bool {
        pair.check(&pair.cert, &pair.key).is_ok()
    }

    #[test]
    fn the_next_key_is_ours_alone_and_asked_with_until_it_is_certified() {
        let authority = TestAuthority::new();
        let (_dir, pair) = first(&authority);
        let before = fs::read(&pair.key).unwrap();
        let public = |csr: &str| {
            let (_, pem) = x509_parser::pem::parse_x509_pem(csr.as_bytes()).unwrap();
            use x509_parser::prelude::FromDer as _;
            let (_, csr) =
                x509_parser::certification_request::X509CertificationRequest::from_der(&pem.contents).unwrap();
            csr.certification_request_info.subject_pki.raw.to_vec()
        };
        let asked = pair.next_request(&home()).unwrap();
        assert_eq!(public(&asked), public(&pair.next_request(&home()).unwrap()));
        assert_eq!(fs::metadata(pair.next_key()).unwrap().permissions().mode() & 0o777, 0o600);
        pair.install(&authority.certify(&asked)).unwrap();
        assert!(fits(&pair) && fs::read(&pair.key).unwrap() != before);
        assert_eq!(fs::metadata(&pair.key).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!pair.next_key().exists() && !pair.next_cert().exists());
    }

    #[test]
    fn whenever_the_power_fails_a_whole_pair_is_left() {
        let authority = TestAuthority::new();
        for cut in 0..5 {
            let (_dir, pair) = first(&authority);
            let certificate = authority.certify(&pair.next_request(&home()).unwrap());
            match cut {
                0 => {}
                // The certificate half written.
                1 => fs::write(pair.next_cert(), &certificate[..certificate.len() / 2]).unwrap(),
                2 => fs::write(pair.next_cert(), &certificate).unwrap(),
                3 => {
                    fs::write(pair.next_cert(), &certificate).unwrap();
                    pair.step_key().unwrap();
                }
                _ => pair.install(&certificate).unwrap(),
            }
            pair.settle().unwrap();
            assert!(fits(&pair), "cut {cut}");
            assert!(!pair.next_cert().exists(), "cut {cut}");
            assert_eq!(fs::read_to_string(&pair.cert).unwrap() == certificate, cut >= 2, "cut {cut}");
            // Life goes on.
            pair.install(&authority.certify(&pair.next_request(&home()).unwrap())).unwrap();
            assert!(fits(&pair), "after cut {cut}");
        }
    }

    #[test]
    fn a_certificate_for_another_key_changes_nothing() {
        let authority = TestAuthority::new();
        let (_dir, pair) = first(&authority);
        let (_other_dir, other) = first(&authority);
        pair.next_request(&home()).unwrap();
        let foreign = authority.certify(&other.next_request(&home()).unwrap());
        assert!(matches!(pair.install(&foreign), Err(PairError::Damaged { .. })));
        assert!(fits(&pair) && !pair.next_cert().exists());
    }
}
