//! The gate that consent and Global Privacy Control keep.
//!
//! The gateway keeps it before an event is stored anywhere; this is the safety net for events that
//! other programs put on the stream, and for settings that were tightened since.

use event::{Gpc, privacy};

use crate::config::Privacy;
use crate::document::{Document, Value};
use crate::slot::{self, Slot};

/// What the gate decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Nothing stands against processing.
    Open,
    /// Ids and click ids are removed and the address is cut.
    Anonymize,
    /// The event is not to be kept.
    Drop,
}

impl Gate {
    /// Reads consent and GPC, which come first because they rule what later steps may do.
    pub(crate) fn read(document: &Document<'_>, wanted: &Privacy) -> Self {
        let has_gpc = match document.value(slot::GPC) {
            Value::Boolean(truth) => *truth,
            Value::Long(number) => *number == 1,
            Value::Text(text) => matches!(text.trim(), "1" | "true"),
            _ => false,
        };
        let consent = document.text(slot::CONSENT);
        let is_denied =
            consent.is_some_and(|consent| consent.trim().eq_ignore_ascii_case("denied"));
        match wanted.gpc {
            Gpc::Drop if has_gpc || is_denied => Self::Drop,
            Gpc::Anonymize if has_gpc => Self::Anonymize,
            // Whatever the header means to the operator, a visitor who said no said no.
            _ if is_denied => Self::Anonymize,
            _ => Self::Open,
        }
    }

    /// Removes what may not be kept, before any other step can copy it elsewhere.
    pub(crate) fn apply(self, document: &mut Document<'_>) {
        if self == Self::Open {
            return;
        }
        for slot in [
            slot::USER_CUSTOM_ID,
            slot::USER_DOMAIN_ID,
            slot::CLICK_ID,
            slot::USER_EMAIL_DOMAIN,
        ] {
            document.clear(slot);
        }
        blank_click_ids(document, slot::PAGE_URL);
        blank_click_ids(document, slot::REFERER_URL);
    }
}

fn blank_click_ids(document: &mut Document<'_>, slot: Slot) {
    let blanked = document.text(slot).and_then(privacy::blank_click_ids);
    if let Some(blanked) = blanked {
        document.set_text(slot, blanked);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::read;

    fn gated(raw: &'static str, gpc: Gpc) -> (Gate, Document<'static>) {
        let mut document = read::document(raw.as_bytes()).unwrap();
        let privacy = Privacy {
            gpc,
            ..Privacy::default()
        };
        let gate = Gate::read(&document, &privacy);
        gate.apply(&mut document);
        (gate, document)
    }

    #[test]
    fn denied_consent_removes_ids_and_click_ids() {
        let raw = r#"{"consent":"denied","user_custom_id":{"a":1},"user_domain_id":"v","click_id":"c",
            "page_url":"https://a.example/?x=1&gclid=SECRET#f"}"#;
        let (gate, document) = gated(raw, Gpc::Off);
        assert_eq!(gate, Gate::Anonymize);
        assert!(
            !document.has(slot::USER_CUSTOM_ID)
                && !document.has(slot::USER_DOMAIN_ID)
                && !document.has(slot::CLICK_ID)
        );
        assert_eq!(
            document.text(slot::PAGE_URL),
            Some("https://a.example/?x=1&gclid=removed#f")
        );
    }

    #[test]
    fn gpc_is_honoured_as_configured() {
        let raw = r#"{"gpc":true,"user_domain_id":"v"}"#;
        assert_eq!(gated(raw, Gpc::Off).0, Gate::Open);
        assert_eq!(gated(raw, Gpc::Anonymize).0, Gate::Anonymize);
        assert_eq!(gated(raw, Gpc::Drop).0, Gate::Drop);
        assert_eq!(gated(r#"{"gpc":false}"#, Gpc::Drop).0, Gate::Open);
    }
}
