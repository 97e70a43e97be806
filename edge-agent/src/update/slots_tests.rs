//! The slots, cut after every single write.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::update::disk::RealDisk;

const OWN: ModelVersion = ModelVersion(0);
const UNTIL: i64 = 1_000;

/// A disk whose power fails at the n-th action; a write that is hit leaves half of its bytes.
struct FailingDisk {
    left: AtomicUsize,
}

impl FailingDisk {
    fn spend(&self) -> io::Result<()> {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return Err(io::Error::other("power failed"));
        }
        self.left.store(left - 1, Ordering::Relaxed);
        Ok(())
    }
}

impl Disk for FailingDisk {
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        match self.spend() {
            Ok(()) => RealDisk.write(path, bytes),
            Err(error) => {
                std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
                Err(error)
            }
        }
    }

    fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.spend()?;
        RealDisk.replace(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.spend()?;
        RealDisk.remove(path)
    }
}

fn open(directory: &Path) -> Slots<RealDisk> {
    Slots::open(RealDisk, directory, OWN).unwrap()
}

fn model(version: u64) -> (ModelVersion, Vec<u8>) {
    (ModelVersion(version), format!("model {version}").into_bytes())
}

/// Installs and commits versions, as an agent would have over time.
fn with_committed(directory: &Path, versions: &[u64]) -> Slots<RealDisk> {
    let mut slots = open(directory);
    for &version in versions {
        let (version, bytes) = model(version);
        slots.install(version, &bytes, UNTIL).unwrap();
        slots.commit().unwrap();
    }
    slots
}

fn booted(directory: &Path) -> Boot {
    open(directory).boot().unwrap()
}

#[test]
fn an_empty_folder_leaves_the_programs_own_model_in_charge() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(booted(directory.path()), Boot { model: None, thrown_out: vec![] });
    assert_eq!(open(directory.path()).installed(), OWN);
}

#[test]
fn power_may_fail_after_every_single_write_of_an_install() {
    for committed in [&[][..], &[1], &[1, 2], &[1, 2, 3]] {
        let before = committed.last().copied();
        let next = before.unwrap_or(0) + 1;
        let mut cuts = 0;
        loop {
            let directory = tempfile::tempdir().unwrap();
            drop(with_committed(directory.path(), committed));
            let disk = FailingDisk { left: AtomicUsize::new(cuts) };
            let mut slots = Slots::open(disk, directory.path(), OWN).unwrap();
            let (version, bytes) = model(next);
            let installed = slots.install(version, &bytes, UNTIL);
            let memory = slots.installed();
            drop(slots);
            let boot = booted(directory.path());
            assert_eq!(boot.thrown_out, vec![], "cut {cuts}: nothing that is pointed at is damaged");
            let on_disk = boot.model.as_ref().map_or(OWN, |model| model.0);
            assert_eq!(on_disk, memory, "cut {cuts}: memory follows the disk");
            if installed.is_ok() {
                assert_eq!(boot.model, Some(model(next)));
                break;
            }
            assert_eq!(boot.model, before.map(model), "cut {cuts}");
            // And the interrupted install can be done again.
            let mut slots = open(directory.path());
            slots.install(version, &bytes, UNTIL).unwrap();
            assert_eq!(booted(directory.path()).model, Some(model(next)));
            cuts += 1;
        }
        assert_eq!(cuts, 7, "intent (2), empty, fill, replace, flip (2)");
    }
}

#[test]
fn power_may_fail_while_a_trial_ends_either_way() {
    let commit = |slots: &mut Slots<FailingDisk>| slots.commit();
    let throw_out = |slots: &mut Slots<FailingDisk>| slots.throw_out().map(drop);
    type End<'a> = &'a dyn Fn(&mut Slots<FailingDisk>) -> Result<(), SlotError>;
    for (end, after) in [(&commit as End<'_>, 2), (&throw_out as End<'_>, 1)] {
        for cut in 0..2 {
            let directory = tempfile::tempdir().unwrap();
            let mut slots = with_committed(directory.path(), &[1]);
            let (version, bytes) = model(2);
            slots.install(version, &bytes, UNTIL).unwrap();
            let disk = FailingDisk { left: AtomicUsize::new(cut) };
            end(&mut Slots::open(disk, directory.path(), OWN).unwrap()).unwrap_err();
            assert_eq!(booted(directory.path()).model, Some(model(2)), "still on trial");
            let disk = FailingDisk { left: AtomicUsize::new(2) };
            end(&mut Slots::open(disk, directory.path(), OWN).unwrap()).unwrap();
            assert_eq!(booted(directory.path()).model, Some(model(after)));
        }
    }
}

#[test]
fn a_model_that_never_gets_committed_runs_out_of_tries() {
    let directory = tempfile::tempdir().unwrap();
    let mut slots = with_committed(directory.path(), &[1]);
    let (version, bytes) = model(2);
    slots.install(version, &bytes, UNTIL).unwrap();
    for _ in 0..TRIES {
        assert_eq!(booted(directory.path()), Boot { model: Some(model(2)), thrown_out: vec![] });
    }
    let reason = "not proven in 3 starts".to_owned();
    assert_eq!(booted(directory.path()), Boot { model: Some(model(1)), thrown_out: vec![(ModelVersion(2), reason)] });
    let slots = open(directory.path());
    assert!(slots.has_failed(ModelVersion(2)));
    assert_eq!((slots.trial(), slots.floor()), (None, ModelVersion(1)));
}

#[test]
fn a_damaged_file_gives_way_to_the_model_before_and_then_to_the_programs_own() {
    let directory = tempfile::tempdir().unwrap();
    drop(with_committed(directory.path(), &[1, 2]));
    std::fs::write(directory.path().join("b.safetensors"), "rotten!").unwrap();
    let boot = booted(directory.path());
    assert_eq!(
        boot,
        Boot { model: Some(model(1)), thrown_out: vec![(ModelVersion(2), "its file is damaged".to_owned())] }
    );
    assert!(!open(directory.path()).has_failed(ModelVersion(2)), "it may be fetched again");
    assert_eq!(open(directory.path()).floor(), ModelVersion(1));
    std::fs::remove_file(directory.path().join("a.safetensors")).unwrap();
    let boot = booted(directory.path());
    assert_eq!((boot.model, boot.thrown_out.len()), (None, 1));
    assert_eq!(open(directory.path()).installed(), OWN);
}

#[test]
fn a_damaged_pointer_leaves_the_programs_own_model_in_charge() {
    let directory = tempfile::tempdir().unwrap();
    drop(with_committed(directory.path(), &[1]));
    std::fs::write(directory.path().join("pointer.json"), "{").unwrap();
    assert_eq!(booted(directory.path()), Boot { model: None, thrown_out: vec![] });
}

#[test]
fn a_model_that_was_thrown_out_leaves_the_floor_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let mut slots = with_committed(directory.path(), &[3]);
    let (version, bytes) = model(5);
    slots.install(version, &bytes, UNTIL).unwrap();
    assert_eq!(slots.fallback(), ModelVersion(3));
    assert_eq!(slots.fallback_bytes(), Some(model(3).1));
    assert_eq!(slots.throw_out().unwrap(), ModelVersion(3));
    assert_eq!(slots.floor(), ModelVersion(3));
}

#[test]
fn only_a_persons_roll_back_lowers_the_floor() {
    let directory = tempfile::tempdir().unwrap();
    let mut slots = with_committed(directory.path(), &[3, 4]);
    assert_eq!(slots.floor(), ModelVersion(4));
    assert_eq!(slots.roll_back_by_hand().unwrap(), ModelVersion(3));
    assert_eq!((slots.floor(), slots.installed()), (ModelVersion(3), ModelVersion(3)));
    assert!(slots.has_failed(ModelVersion(4)));
    assert_eq!(booted(directory.path()).model, Some(model(3)));
}

#[test]
fn the_second_swap_after_a_roll_back_works() {
    let directory = tempfile::tempdir().unwrap();
    let mut slots = with_committed(directory.path(), &[1]);
    for version in [2, 3, 4] {
        let (version, bytes) = model(version);
        slots.install(version, &bytes, UNTIL).unwrap();
        assert_eq!(slots.throw_out().unwrap(), ModelVersion(1));
        assert_eq!(booted(directory.path()).model, Some(model(1)));
    }
}
