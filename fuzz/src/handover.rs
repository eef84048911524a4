//! What a master hands over to the program that replaces it: the document, and the engine in it.

use openctrl_core::engine::Engine;
use openctrl_core::handover::{Answer, Handover, Preflight, Question};
use openctrl_core::ids::{InstanceId, RunId};
use openctrl_core::time::Now;

/// Any bytes are read as what is handed over, or refused; what was read is written as it was.
pub fn handover(data: &[u8]) {
    if let Ok(whole) = Handover::decode(data) {
        assert_eq!(whole.encode(), data, "a document is written in one way");
    }
    if let Ok(read) = Handover::decode_body(data) {
        let again = Handover::decode(&read.encode()).expect("just written");
        assert_eq!(again.encode(), read.encode());
        go_on(&read.engine);
    }
    go_on(data);
    if let Some(question) = Question::read(data) {
        assert_eq!(Question::read(question.to_string().as_bytes()), Some(question));
    }
    if let Some(answer) = Answer::read(data) {
        let text = answer.to_string();
        let again = Answer::read(text.as_bytes()).expect("just written");
        assert_eq!(again.to_string(), text);
    }
    if let Some(preflight) = Preflight::read(data) {
        assert_eq!(Preflight::read(preflight.to_string().as_bytes()), Some(preflight));
    }
}

/// An engine that is taken over contradicts itself in nothing, and can be handed over again.
fn go_on(engine: &[u8]) {
    let runs = [(InstanceId(1), RunId(1))];
    let Ok(mut engine) = Engine::resume(engine, &runs, Now::default()) else { return };
    while engine.poll_effect().is_some() {}
    let again = engine.hand_over();
    if engine.is_settled() {
        Engine::resume(&again, &runs, Now::default()).expect("just handed over");
    }
}
