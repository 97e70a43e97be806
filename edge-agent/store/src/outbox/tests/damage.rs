//! Damaged stores: rows, bytes, cut files. Whatever is damaged, the rest goes on, and what a resident chose holds.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::LazyLock;

use rusqlite::Connection;

use super::*;

/// Alarms that wait without a number, beside those that have one.
const UNSENT: [&str; 6] = ["u1", "u2", "u3", "u4", "u5", "u6"];
const SENT: [&str; 4] = ["s1", "s2", "s3", "s4"];

/// An outbox that has lived: its file, in one piece.
static LIVED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let home = Home::new(100);
    home.open().choose_sharing(SharingLevel::Windows).unwrap();
    let mut outbox = holding(&home, &SENT);
    outbox.settle(&receipt(2, &[(1, RefusalReason::UnknownClass)]), 5).unwrap();
    outbox.take_back(&super::home(), TakeBack::Records(vec![Sequence(2)]), 6).unwrap();
    for alarm in UNSENT {
        outbox.push(verdict(alarm)).unwrap();
    }
    for version in 1..=3 {
        outbox.push_outcome(UpdateOutcome::installed(ModelVersion(version), 5)).unwrap();
    }
    drop(outbox);
    std::fs::read(home.file()).unwrap()
});

impl Home {
    fn file(&self) -> PathBuf {
        self.directory.path().join("outbox.db")
    }

    fn lived() -> Self {
        let home = Self::new(100);
        std::fs::write(home.file(), &*LIVED).unwrap();
        home
    }

    /// Something that an operator, a bad disk or a bug did.
    fn damage(&self, sql: &str) {
        let database = Connection::open(self.file()).unwrap();
        assert!(database.execute(sql, []).unwrap() > 0, "{sql}");
    }

    fn set_aside_rows(&self) -> Vec<(String, Vec<u8>)> {
        let database = Connection::open(self.file()).unwrap();
        let mut select = database.prepare("SELECT source, bytes FROM set_aside ORDER BY id").unwrap();
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }
}

/// Everything that a home does with its outbox; the alarms that were sent.
fn live_on(home: &Home) -> BTreeSet<String> {
    let mut outbox = home.open();
    outbox.configure_sharing(SharingLevel::Windows);
    outbox.mend_withdrawals(&super::home()).unwrap();
    outbox.sharing().unwrap();
    outbox.push(verdict("fresh")).unwrap();
    outbox.announce(announcement("another")).unwrap();
    outbox.push_outcome(UpdateOutcome::installed(ModelVersion(9), 5)).unwrap();
    while outbox.number_next().unwrap().is_some() {}
    let numbered = outbox.numbered().unwrap();
    let mut alarms = BTreeSet::new();
    for one in &numbered {
        let message = decode(&one.payload).expect("what is sent can be read");
        let (alarm, sequence) = match message {
            Message::Feedback(record) => (record.alarm, record.sequence),
            Message::Announcement(said) => (said.alarm, said.sequence),
            other => panic!("{other:?}"),
        };
        assert_eq!(sequence, one.sequence);
        alarms.insert(alarm.to_string());
    }
    for (id, payload) in outbox.outcomes(false).unwrap() {
        assert!(matches!(decode(&payload), Ok(Message::Outcome(_))));
        outbox.outcome_published(id).unwrap();
    }
    let through = numbered.last().map_or(0, |last| last.sequence.0);
    outbox.settle(&receipt(through, &[]), 9).unwrap();
    assert_eq!(outbox.waiting().unwrap(), 0, "a receipt covers everything");
    outbox.ledger(None, 100).unwrap();
    outbox.refusals().unwrap();
    outbox.contributions().unwrap();
    outbox.shared_totals().unwrap();
    outbox.choose_sharing(SharingLevel::Off).unwrap();
    assert_eq!(outbox.push(verdict("late")).unwrap(), Admission::NotShared);
    outbox.take_back(&super::home(), TakeBack::Everything, 10).unwrap();
    for withdrawal in outbox.unconfirmed_withdrawals().unwrap() {
        let Ok(Message::Withdrawal(read)) = decode(&withdrawal.payload) else { panic!("a withdrawal that goes on") };
        assert_eq!(read.id, withdrawal.id);
    }
    drop(outbox);
    assert_eq!(home.open().sharing().unwrap(), SharingLevel::Off);
    alarms
}

fn names(alarms: &[&str]) -> BTreeSet<String> {
    alarms.iter().map(|&alarm| alarm.to_owned()).collect()
}

/// What is sent of [`LIVED`] where nothing is damaged.
fn all() -> BTreeSet<String> {
    names(&[&["s3", "s4", "fresh", "another"], &UNSENT[..]].concat())
}

#[test]
fn where_nothing_is_damaged_everything_goes_on_and_nothing_is_set_aside() {
    let home = Home::lived();
    assert_eq!(live_on(&home), all());
    assert_eq!(home.open().set_aside(), 0);
}

#[test]
fn one_row_that_cannot_be_read_stops_neither_sending_nor_the_choice_to_share_nothing() {
    let home = Home::lived();
    home.damage("UPDATE records SET payload = x'a1ff' WHERE alarm = 'u6'");
    let mut outbox = home.open();
    assert_eq!(outbox.set_aside(), 1, "counted");
    assert_eq!(outbox.waiting().unwrap(), 7);
    outbox.choose_sharing(SharingLevel::Off).unwrap();
    assert_eq!(outbox.unsent().unwrap(), 0);
    assert_eq!(home.set_aside_rows(), [("records".to_owned(), vec![0xa1, 0xff])]);

    let home = Home::lived();
    let mut outbox = home.open();
    // While the agent runs, and in the place from which the next record is taken.
    home.damage("UPDATE records SET payload = x'00' WHERE alarm = 'u6'");
    assert_eq!(read(&outbox.number_next().unwrap().unwrap()).alarm.as_str(), "u5");
    home.damage("UPDATE records SET payload = x'01' WHERE alarm = 'u3'");
    outbox.choose_sharing(SharingLevel::Verdicts).unwrap();
    assert_eq!(outbox.set_aside(), 2);
    drop(outbox);
    assert_eq!(live_on(&home), &all() - &names(&["u6", "u3", "another"]));
}

#[test]
fn a_record_on_its_way_is_written_anew_from_the_ledger() {
    let home = Home::lived();
    home.damage("UPDATE records SET payload = x'00' WHERE alarm = 's3'");
    home.damage("UPDATE records SET sequence = 777 WHERE alarm = 's4'");
    assert_eq!(live_on(&home), all());
    assert_eq!(home.open().set_aside(), 0, "nothing was lost");
}

#[test]
fn what_was_taken_back_stays_taken_back_although_its_words_are_damaged() {
    let home = Home::lived();
    home.damage("UPDATE withdrawals SET payload = x'ff'");
    let mut outbox = home.open();
    outbox.mend_withdrawals(&super::home()).unwrap();
    let waiting = outbox.unconfirmed_withdrawals().unwrap();
    let Ok(Message::Withdrawal(anew)) = decode(&waiting[0].payload) else { panic!("a withdrawal") };
    assert_eq!((anew.id, anew.scope), (1, hearthwatch_protocol::messages::WithdrawalScope::Records(vec![Sequence(2)])));
    assert_eq!(home.set_aside_rows(), [("withdrawals".to_owned(), vec![0xff])]);
}

#[test]
fn a_choice_that_cannot_be_read_counts_as_off() {
    let home = Home::lived();
    home.damage("UPDATE choices SET value = 'wind\u{fffd}ws'");
    let mut outbox = home.open();
    outbox.configure_sharing(SharingLevel::Windows);
    assert_eq!(outbox.sharing().unwrap(), SharingLevel::Off);
    assert_eq!(outbox.push(verdict("a")).unwrap(), Admission::NotShared);
}

#[test]
fn a_number_that_no_home_has_given_is_not_the_next_one() {
    for damage in [
        "UPDATE counters SET value = 9000000000000000000 WHERE name = 'next_sequence'",
        "UPDATE counters SET value = -4 WHERE name = 'next_sequence'",
        "DELETE FROM counters",
        "UPDATE ledger SET sequence = 9000000000000000000 WHERE sequence = 1",
    ] {
        let home = Home::lived();
        home.damage(damage);
        let mut outbox = home.open();
        assert_eq!(outbox.number_next().unwrap().unwrap().sequence, Sequence(5), "{damage}");
    }
}

#[test]
fn a_file_that_is_no_database_is_kept_under_a_new_name_and_nothing_is_shared_until_somebody_chooses() {
    let home = Home::new(100);
    for number in 1..=2 {
        std::fs::write(home.file(), "no database, but somebody's bytes").unwrap();
        let mut outbox = home.open();
        outbox.configure_sharing(SharingLevel::Windows);
        assert_eq!((outbox.sharing().unwrap(), outbox.set_aside()), (SharingLevel::Off, 1));
        drop(outbox);
        let aside = home.directory.path().join(format!("outbox.db.damaged-{number}"));
        assert_eq!(std::fs::read(aside).unwrap(), b"no database, but somebody's bytes");
    }
    live_on(&home);
}

#[test]
fn a_file_of_a_newer_program_is_left_alone() {
    let home = Home::lived();
    let database = Connection::open(home.file()).unwrap();
    database.pragma_update(None, "user_version", 4).unwrap();
    drop(database);
    let refused = Outbox::open(&home.file()).unwrap_err();
    assert_eq!(refused.to_string(), "outbox: it is of version 4, this program reads up to 3");
    assert!(!home.directory.path().join("outbox.db.damaged-1").exists());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_rows_are_damaged_the_others_are_sent(
        damaged in prop::collection::btree_set(0usize..UNSENT.len(), 0..UNSENT.len()),
        noise in prop::collection::vec(any::<u8>(), 0..40),
        also in prop::sample::subsequence(vec!["ledger", "outcomes", "withdrawals"], 0..=3),
    ) {
        let home = Home::lived();
        let database = Connection::open(home.file()).unwrap();
        for place in &damaged {
            database.execute("UPDATE records SET payload = ?1 WHERE alarm = ?2", params![noise, UNSENT[*place]]).unwrap();
        }
        for table in also {
            database.execute(&format!("UPDATE {table} SET payload = ?1"), [&noise]).unwrap();
        }
        drop(database);
        let lost: Vec<&str> = damaged.iter().map(|&place| UNSENT[place]).collect();
        prop_assert_eq!(live_on(&home), &all() - &names(&lost));
        prop_assert!(home.open().set_aside() >= damaged.len() as u64);
    }

    #[test]
    fn whatever_bytes_are_damaged_the_home_goes_on(
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..24),
    ) {
        let home = Home::lived();
        std::fs::write(home.file(), crate::fixtures::damaged(&LIVED, places)).unwrap();
        live_on(&home);
    }

    #[test]
    fn wherever_the_file_was_cut_the_home_goes_on(cut in any::<prop::sample::Index>()) {
        let home = Home::lived();
        std::fs::write(home.file(), &LIVED[..cut.index(LIVED.len())]).unwrap();
        live_on(&home);
    }
}
