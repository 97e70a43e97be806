//! Streams of events (`text/event-stream`, HTML Living Standard, 9.2.6): taken apart, and followed.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Client, Request};
use crate::failure::{Done, Failure};
use crate::output::{Form, words};
use crate::world::World;

/// Largest event: a page of things is 2 MB at most.
const EVENT_MAX: usize = 4 << 20;

/// Connections that may break one after the other without an event in between.
const BROKEN_MAX: u32 = 5;

/// The pause before a broken stream is taken up again, where the stream names none.
const PAUSE: Duration = Duration::from_secs(1);

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// Its kind; `message` where none is named.
    pub name: String,
    /// By which the stream can be taken up after it.
    pub id: String,
    /// What it says; lines are joined by line breaks.
    pub data: String,
}

/// Takes a stream apart as its bytes come.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    data: Option<String>,
    name: String,
    last: String,
    after_return: bool,
}

impl Parser {
    /// The events that these bytes complete.
    ///
    /// # Errors
    /// [`Failure::Strange`] for an event that is larger than any.
    pub fn push(&mut self, bytes: &[u8]) -> Done<Vec<Event>> {
        let mut events = Vec::new();
        for &byte in bytes {
            let skip = byte == b'\n' && self.after_return;
            self.after_return = byte == b'\r';
            if skip {
                continue;
            }
            if byte != b'\n' && byte != b'\r' {
                self.line.push(byte);
                if self.line.len() + self.data.as_ref().map_or(0, String::len) > EVENT_MAX {
                    return Err(Failure::Strange(format!("the stream holds an event of more than {EVENT_MAX} bytes")));
                }
                continue;
            }
            let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
            events.extend(self.line_ended(&line));
        }
        Ok(events)
    }

    fn line_ended(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let name = std::mem::take(&mut self.name);
            let name = if name.is_empty() { "message".to_owned() } else { name };
            return self.data.take().map(|data| Event { name, id: self.last.clone(), data });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            "event" => value.clone_into(&mut self.name),
            "id" if !value.contains('\0') => value.clone_into(&mut self.last),
            // A comment keeps the connection open; what else there is, is not known here.
            _ => {}
        }
        None
    }
}

/// Shows every event until the stream ends; one that breaks is taken up again after the last event that came. With `forever`, one that
/// ends is too.
///
/// # Errors
/// The first refusal, or a stream that breaks again and again.
pub async fn follow(client: &Client, request: &Request, form: Form, forever: bool, world: &mut World<'_>) -> Done {
    let mut last = String::new();
    let mut broken = 0;
    loop {
        let mut stream = match client.stream(request, &last).await {
            Ok(stream) => stream,
            Err(Failure::Unreachable(_)) if broken > 0 && broken < BROKEN_MAX => {
                broken += 1;
                tokio::time::sleep(PAUSE * broken).await;
                continue;
            }
            Err(failure) => return Err(failure),
        };
        if stream.status() == reqwest::StatusCode::NO_CONTENT {
            return Ok(());
        }
        let mut parser = Parser::default();
        let ended = loop {
            match stream.chunk().await {
                Ok(None) => break None,
                Err(error) => break Some(error),
                Ok(Some(bytes)) => {
                    for event in parser.push(&bytes)? {
                        broken = 0;
                        last.clone_from(&event.id);
                        show(&event, form, world)?;
                    }
                }
            }
        };
        match ended {
            None if !forever => return Ok(()),
            None => {}
            Some(error) if broken >= BROKEN_MAX => {
                return Err(Failure::Unreachable(format!("the stream broke {BROKEN_MAX} times: {error}")));
            }
            Some(_) => broken += 1,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn show(event: &Event, form: Form, world: &mut World<'_>) -> Done {
    let data: Value = serde_json::from_str(&event.data).unwrap_or_else(|_| event.data.clone().into());
    if form.is_for_people() {
        let at = words::local((world.now)().as_second(), &world.zone);
        let text = data.as_str().map_or_else(|| data.to_string(), str::to_owned);
        writeln!(world.out, "{at}  {}  {}", words::clean(&event.name), words::clean(&text))?;
    } else {
        writeln!(world.out, "{}", json!({"event": event.name, "id": event.id, "data": data}))?;
    }
    world.out.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_taken_apart_wherever_its_bytes_are_cut() {
        let text = ": hello\n\nevent: state\r\nid: 7\r\ndata: {\"a\":1}\r\n\r\ndata: one\ndata:two\n\nretry: 5\n\n";
        let expected = [
            Event { name: "state".to_owned(), id: "7".to_owned(), data: "{\"a\":1}".to_owned() },
            Event { name: "message".to_owned(), id: "7".to_owned(), data: "one\ntwo".to_owned() },
        ];
        for size in 1..text.len() {
            let mut parser = Parser::default();
            let events: Vec<_> = text.as_bytes().chunks(size).flat_map(|bytes| parser.push(bytes).unwrap()).collect();
            assert_eq!(events, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut parser = Parser::default();
        parser.push(b"data: ").unwrap();
        let error = parser.push(&vec![b'x'; EVENT_MAX + 1]).unwrap_err();
        assert_eq!(error.to_string(), "the stream holds an event of more than 4194304 bytes");
    }
}
