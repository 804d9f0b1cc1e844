//! What a job is called between the bridge and its client, so that the bridge need not remember it:
//! `CONSUMER:TOPIC_ID:EPOCH:OFFSET:ATTEMPT`.

use std::fmt;
use std::str::FromStr;

use sampan_protocol::Code;

use crate::failure::Failure;

/// Names one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handle {
    pub(crate) consumer: u64,
    pub(crate) topic_id: u64,
    pub(crate) epoch: u64,
    pub(crate) offset: u64,
    pub(crate) attempt: u64,
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Handle { consumer, topic_id, epoch, offset, attempt } = self;
        write!(f, "{consumer}:{topic_id}:{epoch}:{offset}:{attempt}")
    }
}

impl FromStr for Handle {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let bad = || Failure::new(Code::BAD_FIELD, "this is the handle of no job");
        let mut numbers = text.split(':').map(|part| part.parse::<u64>().map_err(|_| bad()));
        let mut number = || numbers.next().unwrap_or_else(|| Err(bad()));
        let [consumer, topic_id, epoch, offset, attempt] =
            [number()?, number()?, number()?, number()?, number()?];
        match numbers.next() {
            None => Ok(Handle { consumer, topic_id, epoch, offset, attempt }),
            Some(_) => Err(bad()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_reads_back_and_nothing_else_is_one() {
        let handle = Handle { consumer: 3, topic_id: u64::MAX, epoch: 7, offset: 41, attempt: 2 };
        assert_eq!(handle.to_string().parse(), Ok(handle));
        for bad in ["", "1:2:3:4", "1:2:3:4:5:6", "1:2:3:4:-5", "1:2:3:4:x", ":::::"] {
            let code = bad.parse::<Handle>().map_err(|failure| failure.code);
            assert_eq!(code, Err(Code::BAD_FIELD), "{bad}");
        }
    }
}
