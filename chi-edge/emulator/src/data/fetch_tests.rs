//! Downloads from a mirror on loopback: what is right is kept, and nothing else.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};

use super::*;

const TEXT: &[u8] = b"timestamp,value\n1,2\n";

fn file(sha256: String, bytes: u64) -> RemoteFile {
    RemoteFile { from: "a.csv".to_owned(), name: "a.csv".to_owned(), bytes, sha256 }
}

/// Answers one request with `body`, and is gone.
fn serve(body: &'static [u8]) -> Url {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let _ = peer.read(&mut request).unwrap();
        write!(peer, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len()).unwrap();
        peer.write_all(body).unwrap();
    });
    Url::parse(&format!("http://127.0.0.1:{port}/a.csv")).unwrap()
}

fn fetch(url: &Url, file: &RemoteFile, target: &Path) -> Result<(), FetchError> {
    // The provider that `main` installs; another test may have done it already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(download(&reqwest::Client::new(), url, file, target, &mut |_| ()))
}

#[test]
fn a_file_with_the_right_hash_is_kept_gzipped_and_not_downloaded_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(hex::encode(Sha256::digest(TEXT)), TEXT.len() as u64);
    let target = target(&folder.path().join("set"), &file.name);
    assert!(!is_right(&target, &file));
    fetch(&serve(TEXT), &file, &target).unwrap();
    assert!(is_right(&target, &file));
    assert_eq!(target.file_name().unwrap(), "a.csv.gz");
}

#[test]
fn other_bytes_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let file = file("00".repeat(32), TEXT.len() as u64);
    let url = serve(TEXT);
    let error = fetch(&url, &file, &folder.path().join("a.csv.gz")).unwrap_err().to_string();
    let (got, wanted) = (hex::encode(Sha256::digest(TEXT)), "00".repeat(32));
    let expected = format!("{url} has SHA-256 {got}, where the recording has SHA-256 {wanted}: nothing was kept of it");
    assert_eq!(error, expected);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_longer_file_is_cut_off_where_the_recording_ends() {
    let folder = tempfile::tempdir().unwrap();
    let url = serve(TEXT);
    let error = fetch(&url, &file("00".repeat(32), 4), &folder.path().join("a.csv.gz")).unwrap_err().to_string();
    assert_eq!(error, format!("{url} has more than 4 bytes, where the recording has 4 bytes: nothing was kept of it"));
}

#[test]
fn without_a_name_the_sets_that_may_train_shipped_weights_are_chosen() {
    let catalogue = catalogue();
    let chosen = choose(&catalogue, &[]).unwrap();
    assert!(chosen.iter().all(|(set, _)| set.usage.may_ship()));
    assert!(chosen.iter().any(|(set, _)| set.name == "uci_appliances_energy"));
}

#[test]
fn every_published_file_is_one_that_its_set_reads() {
    for publication in catalogue() {
        let set = DATA_SETS.iter().find(|set| set.name == publication.set).unwrap();
        for file in &publication.files {
            let unpacked = file.name.replace(".zip", ".csv");
            assert!(set.wants(&unpacked), "{}/{}", set.name, file.name);
            assert_eq!(hex::decode(&file.sha256).unwrap().len(), 32);
        }
    }
}

#[test]
fn sets_that_cannot_be_downloaded_are_told_apart() {
    let catalogue = catalogue();
    let words = |name: &str| choose(&catalogue, &[name.to_owned()]).unwrap_err().to_string();
    assert_eq!(words("river_water_flow"), "river_water_flow travels with this program: there is nothing to download");
    assert!(words("daiad_water").starts_with("daiad_water is not published in the form that is read here"));
    assert!(words("moon").starts_with("no set is called moon; these can be downloaded: uci_appliances_energy, "));
}

#[test]
fn a_mirror_has_a_folder_for_each_set() {
    let catalogue = catalogue();
    let mirror = Url::parse("http://mirror.example/recordings").unwrap();
    let publication = catalogue.iter().find(|publication| publication.set == "ethz_heatpump").unwrap();
    let url = address(publication, &publication.files[0], Some(&mirror)).unwrap();
    assert_eq!(url.as_str(), "http://mirror.example/recordings/ethz_heatpump/smd_hp.csv");
}
