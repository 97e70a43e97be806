//! What a server is asked, to the letter, and what becomes of a server that is away.

use hearthwatch_training::EpochRecord;
use serde_json::{Value, json};

use super::double::{Answer, Double, Question, nobody, whole_run, without_pause};
use super::*;
use crate::training::learner::Challenger;
use crate::training::record::metrics;
use crate::training::run_folder::RunFolders;

const RUN: &str = "0123456789abcdef0123456789abcdef";

fn record() -> RunRecord {
    RunRecord {
        run: RUN.to_owned(),
        snapshot: "5a".to_owned(),
        corpus: "c0".to_owned(),
        champion: None,
        config: json!({"seed": 7, "gate": {"coverage": 0.9}, "device": "flex"}),
        program: "0.1.0".to_owned(),
        git_revision: "abc".to_owned(),
        processor: "a processor".to_owned(),
        artifact: None,
    }
}

fn beginning(record: &RunRecord) -> Beginning {
    Beginning::of(record, &crate::training::record::parameters(&record.config), 1_700_000_000)
}

fn ending() -> Ending {
    let history = vec![EpochRecord { epoch: 1, training_loss: 2.5, validation_loss: f32::NAN }];
    let challenger = Challenger { history, figures: vec![("recall", 0.5)], ..Challenger::default() };
    let tags = vec![("hearthwatch.gate", "hold".to_owned())];
    Ending { finished: true, ended_at: 1_700_000_060, metrics: metrics(&challenger, 60), tags }
}

/// Tells of a whole run; returns where its folder is.
fn log_run(tracker: &Tracker) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let tracked = tracker.begin(RunFolders::new(directory.path()).run(RUN), beginning(&record())).unwrap();
    tracked.end(ending()).wait();
    directory
}

fn lines(questions: &[Question]) -> Vec<&str> {
    questions.iter().map(|question| question.line.trim_start_matches("POST /api/2.0/mlflow/")).collect()
}

fn ok(body: &str) -> Answer {
    (200, body.to_owned())
}

fn pairs(of: &[(&str, &str)]) -> Value {
    of.iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
}

#[test]
fn a_run_is_told_by_these_questions_and_no_others() {
    let double = Double::start(whole_run());
    let url = double.url().to_string();
    let directory = log_run(&without_pause(double.url(), None));
    let question = |line: &str, body: Value| Question { line: line.to_owned(), authorization: None, body };
    let post = |call: &str, body: Value| question(&format!("POST /api/2.0/mlflow/{call}"), body);
    let parameters = [("device", "flex"), ("gate.coverage", "0.9"), ("seed", "7"), ("corpus", "c0")];
    let tags = [
        ("mlflow.source.name", "hearthwatch-cloud"),
        ("hearthwatch.run", RUN),
        ("hearthwatch.program", "0.1.0"),
        ("hearthwatch.snapshot", "5a"),
        ("hearthwatch.champion", "none"),
        ("hearthwatch.processor", "a processor"),
        ("mlflow.source.git.commit", "abc"),
    ];
    // The validation loss is no number, and JSON has none: it is left out.
    let metric = |name: &str, value: f64, step: u64| json!({"key": name, "value": value, "timestamp": 1_700_000_060_000_u64, "step": step});
    let figures = [metric("training_loss", 2.5, 1), metric("recall", 0.5, 0), metric("seconds", 60.0, 0)];
    let expected = [
        question("GET /api/2.0/mlflow/experiments/get-by-name?experiment_name=nightly", Value::Null),
        post("experiments/create", json!({"name": "nightly"})),
        post("runs/create", json!({"experiment_id": "4", "run_name": "01234567", "start_time": 1_700_000_000_000_u64})),
        post("runs/log-batch", json!({"run_id": "r1", "params": pairs(&parameters)})),
        post("runs/log-batch", json!({"run_id": "r1", "tags": pairs(&tags)})),
        post("runs/log-batch", json!({"run_id": "r1", "metrics": figures})),
        post("runs/log-batch", json!({"run_id": "r1", "tags": pairs(&[("hearthwatch.gate", "hold")])})),
        post("runs/update", json!({"run_id": "r1", "status": "FINISHED", "end_time": 1_700_000_060_000_u64})),
    ];
    assert_eq!(double.questions(), expected);
    let known = RunFolders::new(directory.path()).run(RUN).mlflow();
    let (experiment, run_id) = ("nightly".to_owned(), "r1".to_owned());
    assert_eq!(known, Some(MlflowRun { url, experiment, run_id }));
}

#[test]
fn what_did_not_get_through_at_the_beginning_is_told_at_the_end() {
    let busy = (503, String::new());
    let double = Double::start([busy.clone(), busy].into_iter().chain(whole_run()).collect());
    log_run(&without_pause(double.url(), None));
    let questions = double.questions();
    let again = "GET /api/2.0/mlflow/experiments/get-by-name?experiment_name=nightly";
    let rest = ["experiments/create", "runs/create"].into_iter().chain(["runs/log-batch"; 4]).chain(["runs/update"]);
    assert_eq!(lines(&questions), [again; 3].into_iter().chain(rest).collect::<Vec<_>>());
}

#[test]
fn a_server_that_is_away_is_given_up_and_the_run_is_not_concerned() {
    let directory = log_run(&without_pause(&nobody(), None));
    assert_eq!(RunFolders::new(directory.path()).run(RUN).mlflow(), None);
}

#[test]
fn a_run_that_is_taken_up_again_goes_on_in_the_same_run_there() {
    let tell_again = |first: Answer, rest: usize| {
        let double = Double::start([first].into_iter().chain(whole_run().into_iter().skip(8 - rest)).collect());
        let directory = tempfile::tempdir().unwrap();
        let folder = RunFolders::new(directory.path()).run(RUN);
        let (url, experiment) = (double.url().to_string(), "nightly".to_owned());
        folder.note_mlflow(&MlflowRun { url, experiment, run_id: "r0".to_owned() }).unwrap();
        let tracked = without_pause(double.url(), None).begin(folder.clone(), beginning(&record())).unwrap();
        tracked.end(ending()).wait();
        (double.questions(), folder.mlflow().unwrap().run_id)
    };
    let (questions, run) = tell_again(ok("{}"), 5);
    assert_eq!((questions.len(), run.as_str()), (6, "r0"));
    assert_eq!(questions[0].body, json!({"run_id": "r0", "status": "RUNNING"}));
    assert!(questions.iter().all(|question| question.body["run_id"] == "r0"), "{questions:?}");
    // Somebody deleted it there: a new one is made.
    let gone = (404, "{\"error_code\":\"RESOURCE_DOES_NOT_EXIST\"}".to_owned());
    let (questions, run) = tell_again(gone, 8);
    assert_eq!((questions.len(), run.as_str()), (9, "r1"));
}

#[test]
fn a_run_that_is_cut_off_stays_under_way_there() {
    let double = Double::start(whole_run().into_iter().take(5).collect());
    let directory = tempfile::tempdir().unwrap();
    let folder = RunFolders::new(directory.path()).run(RUN);
    let Tracked { ending, reporting } = without_pause(double.url(), None).begin(folder, beginning(&record())).unwrap();
    drop(ending);
    reporting.wait();
    assert_eq!(lines(&double.questions())[2..], ["runs/create", "runs/log-batch", "runs/log-batch"]);
}

#[test]
fn the_secret_goes_with_every_question() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    std::fs::write(&file, "s3cret\n").unwrap();
    let shown = |credentials| {
        let double = Double::start(whole_run());
        log_run(&without_pause(double.url(), Some(credentials)));
        let questions = double.questions().into_iter();
        let mut shown: Vec<_> = questions.map(|question| question.authorization.unwrap()).collect();
        assert_eq!(shown.len(), 8);
        shown.dedup();
        shown
    };
    assert_eq!(shown(Credentials::Token(file.clone())), ["Bearer s3cret"]);
    // RFC 7617: base64 of kim:s3cret.
    assert_eq!(shown(Credentials::Password { user: "kim".to_owned(), file }), ["Basic a2ltOnMzY3JldA=="]);
}

/// A client of a server that gives these answers, and the runtime to ask it.
fn client(answers: Vec<Answer>) -> (Double, Client, Runtime) {
    let double = Double::start(answers);
    let tracker = without_pause(double.url(), None);
    let client = Client::open(&tracker.config, &tracker.timeouts).unwrap();
    (double, client, Builder::new_current_thread().enable_all().build().unwrap())
}

#[test]
fn batches_keep_to_the_servers_limits() {
    let (double, client, runtime) = client(vec![ok("{}"); 3 + 2 + 3]);
    let parameters: Vec<_> = (0..201).map(|number| (format!("p{number}"), "é".repeat(501))).collect();
    runtime.block_on(client.parameters("r", &parameters)).unwrap();
    runtime.block_on(client.tags("r", &vec![("t", "v".to_owned()); 101])).unwrap();
    let metrics: Vec<_> = (0..2001).map(|step| MetricAt { name: "m", value: 0.5, timestamp: 1, step }).collect();
    runtime.block_on(client.metrics("r", &metrics)).unwrap();
    let count = |question: &Question| {
        let (_, entries) = question.body.as_object().unwrap().iter().find(|(key, _)| *key != "run_id").unwrap();
        entries.as_array().unwrap().len()
    };
    let questions = double.questions();
    assert_eq!(questions.iter().map(count).collect::<Vec<_>>(), [100, 100, 1, 100, 1, 1000, 1000, 1]);
    assert_eq!(questions[0].body["params"][0], json!({"key": "p0", "value": "é".repeat(500)}));
}

#[test]
fn every_bad_answer_is_an_error_that_says_what_it_was() {
    let refused = "{\"error_code\":\"PERMISSION_DENIED\",\"message\":\"not you\"}";
    let cases = [
        ((403, refused.to_owned()), "it answers 403 Forbidden PERMISSION_DENIED: not you"),
        ((502, "<html>".to_owned()), "it answers 502 Bad Gateway : "),
        ((302, String::new()), "it answers 302 Found : "),
        (ok("{}"), "its answer is not usable: missing field `experiment` at line 1 column 2"),
        (ok(&"x".repeat(300_000)), "its answer is not usable: it is longer than 262144 bytes"),
    ];
    let (double, client, runtime) = client(cases.iter().map(|(answer, _)| answer.clone()).collect());
    for (_, expected) in cases {
        assert_eq!(runtime.block_on(client.experiment("nightly")).unwrap_err().to_string(), expected);
    }
    double.questions();
    let tracker = without_pause(&nobody(), None);
    let client = Client::open(&tracker.config, &tracker.timeouts).unwrap();
    let error = runtime.block_on(client.experiment("nightly")).unwrap_err().to_string();
    assert!(error.starts_with("it does not answer: "), "{error}");
    assert!(error.ends_with("Connection refused (os error 111)"), "{error}");
}

#[test]
fn a_secret_that_cannot_be_read_is_an_error_that_names_the_file_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    let open = || {
        let tracker = without_pause(&nobody(), Some(Credentials::Token(file.clone())));
        let error = Client::open(&tracker.config, &tracker.timeouts).err().unwrap().to_string();
        error.replace(&file.display().to_string(), "FILE")
    };
    assert_eq!(open(), "FILE cannot be read: No such file or directory (os error 2)");
    std::fs::write(&file, "\n").unwrap();
    assert_eq!(open(), "FILE is empty");
}
