//! Tickets for the event stream, for clients that cannot set a header, such as `EventSource` in
//! browsers.
//!
//! Owns the lifetime of a ticket and the number of tickets. The driver has randomness, the clock
//! and the lock. A ticket opens one stream; the key itself never appears in a URL.

use alloc::collections::VecDeque;
use alloc::string::{String, ToString};

use bytes::Bytes;
use serde::Serialize;

use crate::master::ApiKey;
use crate::time::Time;

/// How long a ticket can be used.
pub const TICKET_LIFETIME_MS: u64 = 30_000;

/// How many tickets are kept. A further one takes the place of the oldest.
pub const TICKETS_MAX: usize = 1_024;

/// The query of `/events`, for clients that cannot set headers.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct StreamQuery {
    /// `ticket`: replaces the key.
    pub ticket: Option<String>,
    /// `last_event_id`: replaces `Last-Event-ID`.
    pub last_event_id: Option<String>,
}

impl StreamQuery {
    /// Reads a query. Unknown parameters are ignored; of one given twice the first counts.
    pub fn decode(query: &str) -> Self {
        let mut decoded = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let place = match &*name {
                "ticket" => &mut decoded.ticket,
                "last_event_id" => &mut decoded.last_event_id,
                _ => continue,
            };
            place.get_or_insert_with(|| value.into_owned());
        }
        decoded
    }
}

/// The tickets that were issued and not used.
#[derive(Debug)]
pub struct Tickets<H> {
    /// Oldest first.
    open: VecDeque<Ticket<H>>,
}

#[derive(Debug)]
struct Ticket<H> {
    /// Compares in constant time and never shows itself.
    secret: ApiKey,
    holder: H,
    expires: Time,
}

impl<H> Default for Tickets<H> {
    fn default() -> Self {
        Self { open: VecDeque::new() }
    }
}

impl<H> Tickets<H> {
    /// Issues a ticket to `holder`, whom the key or a token let in; `random` is its secret.
    /// Returns the JSON of the answer.
    pub fn issue(&mut self, random: [u8; 16], holder: H, now: Time) -> Bytes {
        self.discard_expired(now);
        if self.open.len() >= TICKETS_MAX {
            self.open.pop_front();
        }
        let secret = ApiKey::from_random(random);
        let ticket = secret.reveal().to_string();
        let expires = now.after_ms(TICKET_LIFETIME_MS);
        self.open.push_back(Ticket { secret, holder, expires });
        Answer { ticket, expires_in: TICKET_LIFETIME_MS / 1_000 }.json()
    }

    /// Uses a ticket up. Returns whom it was issued to, whose key or token may no longer be in
    /// force; `None` for what is no ticket, or no longer one.
    pub fn redeem(&mut self, presented: &[u8], now: Time) -> Option<H> {
        self.discard_expired(now);
        let index = self.open.iter().position(|ticket| ticket.secret.admits(presented))?;
        self.open.remove(index).map(|ticket| ticket.holder)
    }

    fn discard_expired(&mut self, now: Time) {
        while self.open.front().is_some_and(|oldest| oldest.expires <= now) {
            self.open.pop_front();
        }
    }
}

/// The answer to `POST /events/ticket`.
#[derive(Serialize)]
struct Answer {
    ticket: String,
    /// Seconds.
    expires_in: u64,
}

impl Answer {
    fn json(&self) -> Bytes {
        Bytes::from(serde_json::to_vec(self).expect("a string and a number always encode"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::KeyEpoch;

    const EPOCH: KeyEpoch = KeyEpoch(3);

    fn ms(ms: u64) -> Time {
        Time::ZERO.after_ms(ms)
    }

    fn issue(tickets: &mut Tickets<KeyEpoch>, number: u16, at: Time) -> String {
        let mut random = [0; 16];
        random[..2].copy_from_slice(&number.to_le_bytes());
        let answer: serde_json::Value =
            serde_json::from_slice(&tickets.issue(random, EPOCH, at)).expect("JSON");
        assert_eq!(answer["expires_in"], 30);
        answer["ticket"].as_str().expect("a string").to_string()
    }

    #[test]
    fn a_query_is_decoded() {
        let query = StreamQuery::decode("x=1&ticket=a%2Fb&ticket=c&last_event_id=0000b007-7");
        let text = |text: &str| Some(String::from(text));
        assert_eq!(query.ticket, text("a/b"));
        assert_eq!(query.last_event_id, text("0000b007-7"));
        assert_eq!(StreamQuery::decode(""), StreamQuery::default());
    }

    #[test]
    fn a_ticket_is_used_once() {
        let mut tickets = Tickets::default();
        let (first, second) =
            (issue(&mut tickets, 1, Time::ZERO), issue(&mut tickets, 2, Time::ZERO));
        assert_eq!(tickets.redeem(second.as_bytes(), ms(1)), Some(EPOCH));
        assert_eq!(tickets.redeem(second.as_bytes(), ms(1)), None);
        for wrong in ["", "0", &first[1..], &first.to_uppercase().replace('0', "1")] {
            assert_eq!(tickets.redeem(wrong.as_bytes(), ms(1)), None);
        }
        assert_eq!(tickets.redeem(first.as_bytes(), ms(1)), Some(EPOCH));
    }

    #[test]
    fn a_ticket_lasts_for_half_a_minute() {
        let mut tickets = Tickets::default();
        let (early, late) = (issue(&mut tickets, 1, ms(5)), issue(&mut tickets, 2, ms(6)));
        assert_eq!(tickets.redeem(early.as_bytes(), ms(30_005)), None);
        assert_eq!(tickets.redeem(late.as_bytes(), ms(30_005)), Some(EPOCH));
        assert!(tickets.open.is_empty());
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut tickets = Tickets::default();
        let all: alloc::vec::Vec<String> =
            (0..=1_024).map(|number| issue(&mut tickets, number, Time::ZERO)).collect();
        assert_eq!(tickets.open.len(), TICKETS_MAX);
        assert_eq!(tickets.redeem(all[0].as_bytes(), ms(1)), None);
        assert_eq!(tickets.redeem(all[1].as_bytes(), ms(1)), Some(EPOCH));
        assert_eq!(tickets.redeem(all[1_024].as_bytes(), ms(1)), Some(EPOCH));
    }
}
