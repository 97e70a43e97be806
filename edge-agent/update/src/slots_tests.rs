//! The slots, cut after every single write.

use std::sync::atomic::{AtomicUsize, Ordering};

use Deed::{CallBack, Commit, Drop, Order, Restart, Stage, Swap, ThrowOut};

use super::*;
use crate::disk::RealDisk;

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

/// The same on a disk whose power fails after so many actions.
fn open_failing(directory: &Path, left: usize) -> Slots<FailingDisk> {
    Slots::open(FailingDisk { left: AtomicUsize::new(left) }, directory, OWN).unwrap()
}

fn model(version: u64) -> (ModelVersion, Vec<u8>) {
    (ModelVersion(version), format!("model {version}").into_bytes())
}

impl<D: Disk> Slots<D> {
    /// Both halves of an installation, one after the other.
    fn install(&mut self, version: u64) -> Result<(), SlotError> {
        Stage(version).on(self)?;
        Swap.on(self)
    }
}

fn boot_of(model: Option<(ModelVersion, Vec<u8>)>, thrown_out: Vec<(ModelVersion, String)>) -> Boot {
    Boot { model, thrown_out, lost: vec![], given_up: None }
}

/// Installs and commits versions, as an agent would have over time.
fn with_committed(directory: &Path, versions: &[u64]) -> Slots<RealDisk> {
    let mut slots = open(directory);
    for &version in versions {
        slots.install(version).unwrap();
        slots.commit().unwrap();
    }
    slots
}

fn lived(versions: &[u64]) -> (tempfile::TempDir, Slots<RealDisk>) {
    let directory = tempfile::tempdir().unwrap();
    let slots = with_committed(directory.path(), versions);
    (directory, slots)
}

fn booted(directory: &Path) -> Boot {
    open(directory).boot().unwrap()
}

#[test]
fn an_empty_folder_leaves_the_programs_own_model_in_charge() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(booted(directory.path()), boot_of(None, vec![]));
    assert_eq!(open(directory.path()).installed(), OWN);
}

#[test]
fn power_may_fail_after_every_single_write_of_an_install() {
    for committed in [&[][..], &[1], &[1, 2], &[1, 2, 3]] {
        let before = committed.last().copied();
        let next = before.unwrap_or(0) + 1;
        let mut cuts = 0;
        loop {
            let directory = lived(committed).0;
            let mut slots = open_failing(directory.path(), cuts);
            let installed = slots.install(next);
            let memory = slots.installed();
            drop(slots);
            let boot = booted(directory.path());
            assert_eq!(
                (boot.thrown_out, boot.lost),
                (vec![], vec![]),
                "cut {cuts}: nothing that is pointed at is damaged"
            );
            let on_disk = boot.model.as_ref().map_or(OWN, |model| model.0);
            assert_eq!(on_disk, memory, "cut {cuts}: memory follows the disk");
            if installed.is_ok() {
                assert_eq!(boot.model, Some(model(next)));
                break;
            }
            assert_eq!(boot.model, before.map(model), "cut {cuts}");
            // And the interrupted install can be done again.
            let mut slots = open(directory.path());
            slots.install(next).unwrap();
            assert_eq!(booted(directory.path()).model, Some(model(next)));
            cuts += 1;
        }
        assert_eq!(cuts, 9, "intent (2), empty, fill, replace, whole (2), flip (2)");
    }
}

#[test]
fn power_may_fail_while_a_trial_ends_either_way() {
    for (end, after) in [(Commit, 2), (ThrowOut, 1)] {
        for cut in 0..2 {
            let (directory, mut slots) = lived(&[1]);
            slots.install(2).unwrap();
            end.on(&mut open_failing(directory.path(), cut)).unwrap_err();
            assert_eq!(booted(directory.path()).model, Some(model(2)), "still on trial");
            end.on(&mut open_failing(directory.path(), 2)).unwrap();
            assert_eq!(booted(directory.path()).model, Some(model(after)));
        }
    }
}

#[test]
fn a_model_that_never_gets_committed_runs_out_of_tries() {
    let (directory, mut slots) = lived(&[1]);
    slots.install(2).unwrap();
    for _ in 0..TRIES {
        assert_eq!(booted(directory.path()), boot_of(Some(model(2)), vec![]));
    }
    let reason = "not proven in 3 starts".to_owned();
    assert_eq!(booted(directory.path()), boot_of(Some(model(1)), vec![(ModelVersion(2), reason)]));
    let slots = open(directory.path());
    assert!(slots.has_failed(ModelVersion(2)));
    assert_eq!((slots.trial(), slots.floor()), (None, ModelVersion(1)));
}

#[test]
fn a_damaged_file_gives_way_to_the_model_before_and_then_to_the_programs_own() {
    let directory = lived(&[1, 2]).0;
    std::fs::write(directory.path().join("b.safetensors"), "rotten!").unwrap();
    let boot = booted(directory.path());
    let lost = vec![(ModelVersion(2), "its file is damaged".to_owned())];
    assert_eq!(boot, Boot { lost, ..boot_of(Some(model(1)), vec![]) });
    assert!(!open(directory.path()).has_failed(ModelVersion(2)), "it may be fetched again");
    assert_eq!(open(directory.path()).floor(), ModelVersion(1));
    std::fs::remove_file(directory.path().join("a.safetensors")).unwrap();
    let boot = booted(directory.path());
    assert_eq!((boot.model, boot.lost.len()), (None, 1));
    assert_eq!(open(directory.path()).installed(), OWN);
}

#[test]
fn a_damaged_pointer_leaves_the_programs_own_model_in_charge() {
    let directory = lived(&[1]).0;
    std::fs::write(directory.path().join("pointer.json"), "{").unwrap();
    assert_eq!(booted(directory.path()), boot_of(None, vec![]));
}

#[test]
fn a_model_that_was_thrown_out_leaves_the_floor_where_it_was() {
    let (_directory, mut slots) = lived(&[3]);
    slots.install(5).unwrap();
    assert_eq!(slots.fallback(), ModelVersion(3));
    assert_eq!(slots.fallback_bytes(), Some(model(3).1));
    assert_eq!(slots.throw_out().unwrap(), ModelVersion(3));
    assert_eq!(slots.floor(), ModelVersion(3));
}

#[test]
fn only_a_persons_roll_back_lowers_the_floor() {
    let (directory, mut slots) = lived(&[3, 4]);
    assert_eq!(slots.floor(), ModelVersion(4));
    assert_eq!(slots.roll_back_manually().unwrap(), ModelVersion(3));
    assert_eq!((slots.floor(), slots.installed()), (ModelVersion(3), ModelVersion(3)));
    assert!(slots.has_failed(ModelVersion(4)));
    assert_eq!(booted(directory.path()).model, Some(model(3)));
}

#[test]
fn the_second_swap_after_a_roll_back_works() {
    let (directory, mut slots) = lived(&[1]);
    for version in [2, 3, 4] {
        slots.install(version).unwrap();
        assert_eq!(slots.throw_out().unwrap(), ModelVersion(1));
        assert_eq!(booted(directory.path()).model, Some(model(1)));
    }
}

/// One thing that happens to the slots.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Stage(u64),
    Order(u64),
    Swap,
    Commit,
    Drop,
    ThrowOut,
    CallBack,
    Restart,
}

impl Deed {
    fn on<D: Disk>(self, slots: &mut Slots<D>) -> Result<(), SlotError> {
        match self {
            Self::Stage(version) => slots.stage(ModelVersion(version), &model(version).1, UNTIL, false),
            Self::Order(version) => slots.stage(ModelVersion(version), &model(version).1, UNTIL, true),
            Self::Swap => slots.swap(UNTIL, 0),
            Self::Commit => slots.commit(),
            Self::Drop => slots.unstage(true),
            Self::ThrowOut => slots.throw_out().map(drop),
            Self::CallBack => slots.call_back().map(drop),
            Self::Restart => slots.boot().map(drop),
        }
    }
}

/// Whole lives of a home: good updates, a second swap, a failed swap, a shadow that is given up, roll-backs, and a signed order to go
/// back to a version that the slots no longer hold.
const LIVES: [&[Deed]; 6] = [
    &[Stage(1), Swap, Commit, Stage(2), Swap, Restart, Commit],
    &[Stage(1), Swap, Commit, Stage(2), Swap, ThrowOut, Stage(3), Swap],
    &[Stage(1), Restart, Drop, Stage(2), Swap, CallBack, Stage(2), Swap],
    &[Stage(4), Swap, Commit, Order(2), Swap, Commit, Stage(5), Swap],
    &[Stage(1), Swap, ThrowOut, Stage(2), Restart, Swap, Restart, Commit],
    &[Stage(1), Swap, Commit, Stage(2), Swap, Commit, Stage(3), ThrowOut],
];

#[test]
fn whatever_a_home_lives_through_power_may_fail_after_every_write() {
    let mut runs = 0;
    for life in LIVES {
        for cut_in in 0..life.len() {
            for cut in 0.. {
                let directory = tempfile::tempdir().unwrap();
                let mut slots = open(directory.path());
                life[..cut_in].iter().for_each(|deed| deed.on(&mut slots).unwrap());
                let (before, floor) = (slots.installed(), slots.floor());
                drop(slots);
                let mut slots = open_failing(directory.path(), cut);
                let deed = life[cut_in];
                let done = deed.on(&mut slots);
                let memory = slots.installed();
                drop(slots);
                runs += 1;
                let mut slots = open(directory.path());
                assert_eq!(slots.installed(), memory, "{life:?} {cut_in}/{cut}: memory follows the disk");
                let boot = slots.boot().unwrap();
                assert_eq!(
                    (boot.thrown_out, boot.lost),
                    (vec![], vec![]),
                    "{life:?} {cut_in}/{cut}: what is pointed at is whole"
                );
                assert_eq!(boot.given_up, None, "{life:?} {cut_in}/{cut}");
                assert_eq!(boot.model, (memory != OWN).then(|| model(memory.0)), "{life:?} {cut_in}/{cut}");
                let staged = slots.staged().map(|staged| model(staged.held.version.0).1);
                assert_eq!(slots.staged_bytes(), staged, "{life:?} {cut_in}/{cut}: what is staged is whole");
                let moves = matches!(deed, Swap | ThrowOut | CallBack);
                assert!(moves || memory == before, "{life:?} {cut_in}/{cut}: only a flip changes who is in charge");
                let fell = slots.floor() < floor;
                let ordered = life[..cut_in].iter().any(|deed| matches!(deed, Order(_)));
                assert!(!fell || (ordered && matches!(deed, Commit)), "{life:?} {cut_in}/{cut}: the floor fell");
                if done.is_ok() {
                    break;
                }
                // The agent tries again what was cut, and the rest of its life goes on.
                for deed in &life[cut_in..] {
                    deed.on(&mut slots).unwrap();
                }
            }
        }
    }
    assert!(runs >= 200, "{runs} cuts");
}

#[test]
fn the_report_of_a_deed_reaches_the_disk_with_the_deed() {
    let outcome = UpdateOutcome::installed(ModelVersion(2), 7);
    for cut in 0..2 {
        let (directory, mut slots) = lived(&[1]);
        slots.install(2).unwrap();
        let mut slots = open_failing(directory.path(), cut);
        slots.owing(outcome.clone()).commit().unwrap_err();
        let mut slots = open(directory.path());
        assert_eq!((slots.unreported(), slots.trial().is_some()), (None, true), "cut {cut}: neither happened");
        slots.owing(outcome.clone()).commit().unwrap();
        let mut slots = open(directory.path());
        assert_eq!((slots.unreported(), slots.trial()), (Some(&outcome), None), "both happened");
        slots.reported().unwrap();
        assert_eq!(open(directory.path()).unreported(), None);
    }
}

#[test]
fn a_signed_order_lowers_the_floor_and_leaves_no_other_way_down() {
    let (_directory, mut slots) = lived(&[3, 4]);
    Order(2).on(&mut slots).unwrap();
    Swap.on(&mut slots).unwrap();
    assert_eq!(slots.floor(), ModelVersion(4), "until it has earned its place");
    slots.commit().unwrap();
    assert_eq!((slots.installed(), slots.floor()), (ModelVersion(2), ModelVersion(2)));
    assert!(!slots.has_failed(ModelVersion(4)), "it may be assigned again");
}

#[test]
fn a_version_that_a_slot_still_holds_needs_no_download() {
    let (directory, slots) = lived(&[3, 4]);
    let sha256 = Sha256::digest(model(3).1);
    assert_eq!(slots.bytes_of(ModelVersion(3), &sha256), Some(model(3).1));
    assert_eq!(slots.bytes_of(ModelVersion(3), &[0; 32]), None, "another hash is another model");
    assert_eq!(with_committed(directory.path(), &[5]).bytes_of(ModelVersion(3), &sha256), None, "pruned");
}

#[test]
fn a_pointer_file_of_an_older_program_is_still_read() {
    let directory = lived(&[1]).0;
    let path = directory.path().join("pointer.json");
    let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for field in ["staged", "since", "assignment", "untold"] {
        json.as_object_mut().unwrap().remove(field);
    }
    std::fs::write(&path, json.to_string()).unwrap();
    assert_eq!(booted(directory.path()).model, Some(model(1)));
}

#[test]
fn a_field_of_the_pointer_that_cannot_be_read_takes_no_other_with_it() {
    let (directory, mut slots) = lived(&[1, 2]);
    slots.owing(UpdateOutcome::installed(ModelVersion(2), 7)).mark_failed(ModelVersion(9)).unwrap();
    drop(slots);
    let path = directory.path().join("pointer.json");
    let text = std::fs::read_to_string(&path).unwrap();
    // The outcome of a newer agent, and a number that is none.
    let damaged = text.replace("\"installed\"", "\"polished\"").replace("\"failed\": [", "\"failed\": [\"x\",");
    assert_ne!(damaged, text);
    std::fs::write(&path, &damaged).unwrap();
    let slots = open(directory.path());
    assert_eq!(
        (slots.installed(), slots.fallback(), slots.floor()),
        (ModelVersion(2), ModelVersion(1), ModelVersion(2))
    );
    assert_eq!((slots.unreported(), slots.has_failed(ModelVersion(9))), (None, false));
    assert_eq!(std::fs::read_to_string(directory.path().join("pointer.json.damaged-1")).unwrap(), damaged);
    assert_eq!(open(directory.path()).installed(), ModelVersion(2));
    assert!(!directory.path().join("pointer.json.damaged-2").exists(), "told once");
}

#[test]
fn wherever_the_pointer_was_cut_the_agent_starts_and_the_damaged_file_is_kept() {
    let directory = lived(&[1, 2]).0;
    let path = directory.path().join("pointer.json");
    let whole = std::fs::read(&path).unwrap();
    for length in (0..whole.len() - 1).step_by(37) {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert_eq!(open(directory.path()).installed(), OWN);
        assert_eq!(booted(directory.path()), boot_of(None, vec![]));
    }
    assert_eq!(std::fs::read(directory.path().join("pointer.json.damaged-2")).unwrap(), &whole[..37]);
}
