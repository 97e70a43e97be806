//! The learner that really learns: the model crate's retraining on recorded sets and residents' answers.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use hearthwatch_detector::network::{Artifact, DeviceKind};
use hearthwatch_evaluation::evaluate::GateVerdict;
use hearthwatch_training::{
    Checkpoints, Corpus, DefencePolicy, FeedbackExample, HomeAnswer, Progress, RetrainConfig, RetrainRequest, defend,
};

use super::card::card;
use super::corpus::{self, CorpusError};
use super::learner::{Challenger, Defences, LearnError, Learner, Step};
use crate::dataset::Example;

/// Where the recorded sets come from.
#[derive(Debug, Clone)]
pub enum Corpora {
    /// A directory, read anew for each run: sets may be added while the program runs. `None` if none was configured.
    Directory(Option<PathBuf>),
    /// Values, for programs that have read them already.
    Given(Arc<Corpus>),
    /// Values that are exchanged between runs: a replayed world shows each run only what lies in its past.
    Exchanged(Arc<Mutex<Arc<Corpus>>>),
}

impl Corpora {
    /// The recordings as they are now.
    ///
    /// # Errors
    /// [`CorpusError`]: none was configured, or one cannot be read.
    pub fn load(&self) -> Result<Arc<Corpus>, CorpusError> {
        match self {
            Self::Directory(None) => Err(CorpusError::NotConfigured),
            Self::Directory(Some(path)) => Ok(Arc::new(Corpus::split(corpus::read(path)?))),
            Self::Given(corpus) => Ok(Arc::clone(corpus)),
            Self::Exchanged(corpus) => Ok(Arc::clone(&corpus.lock().unwrap_or_else(PoisonError::into_inner))),
        }
    }
}

/// Retrains by [`RetrainRequest`].
pub struct ModelLearner {
    corpora: Corpora,
    config: RetrainConfig,
    /// What [`Learner::corpus`] read, for the [`Learner::learn`] that follows it.
    loaded: Mutex<Option<Arc<Corpus>>>,
}

impl ModelLearner {
    /// A learner on these sets, with the model crate's own configuration.
    #[must_use]
    pub fn new(corpora: Corpora) -> Self {
        Self { corpora, config: RetrainConfig::default(), loaded: Mutex::new(None) }
    }

    /// The same with another seed.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.config.seed = seed;
        self
    }

    /// The same, training elsewhere.
    #[must_use]
    pub fn on(mut self, device: DeviceKind) -> Self {
        device.as_str().clone_into(&mut self.config.device);
        self
    }

    /// The same with another configuration, seed included.
    #[must_use]
    pub fn with_config(self, config: RetrainConfig) -> Self {
        Self { config, ..self }
    }
}

impl Learner for ModelLearner {
    fn corpus(&self) -> Result<String, String> {
        let corpus = self.corpora.load().map_err(|error| error.to_string())?;
        let hash = corpus::hash(&corpus);
        *self.loaded.lock().unwrap_or_else(PoisonError::into_inner) = Some(corpus);
        Ok(hash)
    }

    fn config(&self) -> String {
        // A struct of numbers, words and lists of them: it cannot fail.
        serde_json::to_string(&self.config).unwrap_or_default()
    }

    fn learn(
        &self,
        examples: Vec<Example>,
        champion: Option<&[u8]>,
        checkpoints: &mut dyn Checkpoints,
        progress: &mut dyn FnMut(Step) -> ControlFlow<()>,
    ) -> Result<Challenger, LearnError> {
        // Taken out, so that hundreds of megabytes do not stay behind between runs.
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner).take();
        let corpus = match loaded {
            Some(corpus) => corpus,
            None => self.corpora.load().map_err(|error| error.to_string())?,
        };
        let answers: Vec<HomeAnswer> = examples.into_iter().map(answer).collect();
        let defended = defend(&answers, &DefencePolicy::default());
        // What is learnt from are copies.
        drop(answers);
        let mut report = |step: Progress| progress(shown(&step));
        let request = RetrainRequest::new(&corpus, &self.config).defended(&defended);
        let candidate = request.champion(champion).checkpoints(checkpoints).run(&mut report)?;
        let artifact = Artifact::parse(&candidate.artifact).map_err(|error| error.to_string())?;
        Ok(Challenger {
            weights_id: artifact.weights_id(),
            promote: matches!(candidate.report.verdict, GateVerdict::Promote),
            report: serde_json::to_string(&candidate.report).map_err(|error| error.to_string())?,
            card: card(artifact.manifest(), &artifact.weights_id(), &candidate.report),
            figures: vec![
                ("recall", candidate.report.candidate.recall.ratio()),
                ("false_alarms_per_week", candidate.report.candidate.false_alarms_per_week),
                ("routine_recall", candidate.report.baseline.recall.ratio()),
                ("routine_false_alarms_per_week", candidate.report.baseline.false_alarms_per_week),
            ],
            defences: Some(Defences {
                over_quota: defended.over_quota,
                doubted: defended.doubted,
                reliability: defended.reliability,
                capped: defended.capped,
            }),
            history: candidate.history,
            profile: candidate.profile,
            artifact: candidate.artifact,
        })
    }
}

fn answer(example: Example) -> HomeAnswer {
    let Example { key, window, class, anomalous, weight, .. } = example;
    HomeAnswer { home: key.home.to_string(), example: FeedbackExample { window, class, anomalous, weight } }
}

fn shown(progress: &Progress) -> Step {
    match *progress {
        Progress::Preparing { done, total } => Step::Preparing { done: done as u64, total: total as u64 },
        Progress::Training { epoch, epochs, step, steps, loss } => Step::Training {
            done: (epoch.saturating_sub(1) * steps + step) as u64,
            total: (epochs * steps) as u64,
            loss,
        },
        Progress::Evaluating { done, total } => Step::Evaluating { done: done as u64, total: total as u64 },
    }
}
