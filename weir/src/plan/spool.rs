//! The gateway's spool and its deadlines.

use std::time::Duration;

use gateway::spool::Options;
use stream::embedded::Durability;
use stream::kafka::options::DELIVERY_TIMEOUT;

use super::StreamPlan;
use super::checks::Checks;
use crate::config::Settings;
use crate::config::units::Size;

/// The time in which a request is answered. The stream must have given up on a record before, and
/// the spool have written it.
pub(super) const REQUEST_DEADLINE: Duration =
    DELIVERY_TIMEOUT.saturating_add(Duration::from_secs(5));

/// Below this an acknowledgement that is merely slow would be taken for an outage.
const LEAST_SPOOL_AFTER: Duration = Duration::from_millis(100);

/// Room for what may be under way at once.
const LEAST_SPOOL_BYTES: u64 = 1 << 20;

/// The spool's settings; `None` without Kafka, and where it is turned off.
pub(super) fn options(
    s: &Settings,
    stream: Option<&StreamPlan>,
    durability: Durability,
    checks: &mut Checks,
) -> Option<Options> {
    let Some(StreamPlan::Kafka(kafka)) = stream else {
        return None;
    };
    let after = s.gateway.spool_after.0;
    if !(LEAST_SPOOL_AFTER..=DELIVERY_TIMEOUT).contains(&after) {
        let (least, most) = (LEAST_SPOOL_AFTER, DELIVERY_TIMEOUT);
        checks.take::<()>(
            "gateway.spool_after",
            Err(format!("{after:?} is not within {least:?} to {most:?}")),
        );
    }
    if let Some(timeout) = kafka.message_timeout().filter(|t| *t >= REQUEST_DEADLINE) {
        let timeout = match timeout {
            Duration::MAX => "0, which is for ever,".to_owned(),
            timeout => format!("{timeout:?}"),
        };
        checks.take::<()>(
            "kafka.properties",
            Err(format!(
                "message.timeout.ms: {timeout} is not below {REQUEST_DEADLINE:?}, in which a \
                 request is answered"
            )),
        );
    }
    let max_bytes = s.gateway.spool_max_bytes.0;
    if (1..LEAST_SPOOL_BYTES).contains(&max_bytes) {
        let (size, least) = (Size(max_bytes), Size(LEAST_SPOOL_BYTES));
        checks.take::<()>(
            "gateway.spool_max_bytes",
            Err(format!(
                "{size} is less than {least}; 0 turns the spool off"
            )),
        );
    }
    (max_bytes > 0).then_some(Options {
        after,
        max_bytes,
        max_age: s.gateway.spool_max_age.0,
        min_free_bytes: s.embedded.min_free_bytes.0,
        durability,
    })
}
