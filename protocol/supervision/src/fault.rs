//! Faults that a test injects into parts of a program. No configuration can do so.

use std::io::BufRead;

use tokio::sync::watch;

/// Text of the panic or the error of an injected fault.
const MESSAGE: &str = "a test ordered it";

/// A way in which a part ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It returns without an error.
    End,
    /// It returns an error.
    Error,
    /// It panics.
    Panic,
}

/// Faults that wait to strike; without [`FaultPlan::armed`] there are none. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct FaultPlan(Option<watch::Sender<Vec<(String, Fault)>>>);

impl FaultPlan {
    /// A plan that faults can be ordered from.
    #[must_use]
    pub fn armed() -> Self {
        Self(Some(watch::Sender::default()))
    }

    /// Lets a part end so, once: now if it runs, else when it is started.
    pub fn strike(&self, part: &str, fault: Fault) {
        if let Some(orders) = &self.0 {
            orders.send_modify(|orders| orders.push((part.to_owned(), fault)));
        }
    }

    /// Reads orders, one a line and like `panic intake`, until there are no more; blocks. What is no order is passed over.
    pub fn obey(&self, lines: impl BufRead) {
        for line in lines.lines().map_while(Result::ok) {
            let fault = |word| match word {
                "end" => Some(Fault::End),
                "error" => Some(Fault::Error),
                "panic" => Some(Fault::Panic),
                _ => None,
            };
            if let Some((word, part)) = line.split_once(' ')
                && let Some(fault) = fault(word)
            {
                self.strike(part, fault);
            }
        }
    }

    fn take(&self, part: &str) -> Option<Fault> {
        let mut taken = None;
        self.0.as_ref()?.send_if_modified(|orders| {
            taken = orders.iter().position(|(wanted, _)| wanted == part).map(|index| orders.remove(index).1);
            false
        });
        taken
    }

    /// Ends as a fault of `part` wants it, as soon as one is ordered.
    pub(crate) async fn strikes(&self, part: &str) -> Result<(), String> {
        let Some(orders) = &self.0 else { return std::future::pending().await };
        let mut seen = orders.subscribe();
        loop {
            if let Some(fault) = self.take(part) {
                return happen(fault);
            }
            // This plan holds a sender, so there is always another change to wait for.
            let _ = seen.changed().await;
        }
    }
}

/// The faults of one part that is a thread: it looks for itself.
#[derive(Debug)]
pub struct Strikes {
    pub(crate) part: &'static str,
    pub(crate) plan: FaultPlan,
}

impl Strikes {
    /// For a thread that nobody orders faults for.
    #[must_use]
    pub fn none() -> Self {
        Self { part: "", plan: FaultPlan::default() }
    }

    /// Whether the thread is to end now; does not wait.
    ///
    /// # Errors
    /// An ordered error.
    ///
    /// # Panics
    /// For an ordered panic.
    pub fn look(&self) -> Result<bool, String> {
        self.plan.take(self.part).map_or(Ok(false), |fault| happen(fault).map(|()| true))
    }
}

fn happen(fault: Fault) -> Result<(), String> {
    match fault {
        Fault::End => Ok(()),
        Fault::Error => Err(MESSAGE.to_owned()),
        Fault::Panic => panic!("{MESSAGE}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_strikes_its_part_once() {
        let plan = FaultPlan::armed();
        plan.obey("panic intake\nexplode intake\nend\nerror trainer\n".as_bytes());
        assert_eq!(plan.take("director"), None);
        assert_eq!((plan.take("intake"), plan.take("intake")), (Some(Fault::Panic), None));
        assert_eq!(plan.take("trainer"), Some(Fault::Error));
        let unarmed = FaultPlan::default();
        unarmed.strike("intake", Fault::End);
        assert_eq!(unarmed.take("intake"), None);
    }
}
