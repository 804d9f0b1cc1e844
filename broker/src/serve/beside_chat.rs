//! What the services answer over HTTP about canned responses, ratings and files.

use sampan_bridge_ws::{Forward, Parameter};
use sampan_services::chat::model::{CannedResponse, Rating};
use sampan_services::chat::{canned, files, ratings};

const PAGE: [Parameter; 2] = [
    Parameter::text("after", "Those behind this id: `next` of the page before"),
    Parameter::number("limit", "How many at most, up to 100").or(100),
];
const RATED: [Parameter; 2] = [
    Parameter::text("conversation_id", "Of this conversation"),
    Parameter::text("agent_id", "Of this agent, in the last 90 days"),
];
const FILE: Parameter = Parameter::path("id", "Id of the file");

pub(super) fn forwards() -> Vec<Forward> {
    vec![
        Forward::put::<canned::Put, CannedResponse>(
            "/v1/chat/canned",
            canned::PUT,
            "Keeps a canned response, in the place of its owner's with the same shortcut",
        ),
        Forward::get::<canned::List>(
            "/v1/chat/canned",
            canned::LIST,
            "The canned responses that the asker may use",
        )
        .with(&PAGE),
        Forward::post::<canned::Wanted, canned::Deleted>(
            "/v1/chat/canned/delete",
            canned::DELETE,
            "Removes a canned response",
        ),
        Forward::post::<canned::Use, canned::Filled>(
            "/v1/chat/canned/use",
            canned::USE,
            "Fills a canned response in",
        ),
        Forward::post::<ratings::Rate, Rating>(
            "/v1/chat/rate",
            ratings::RATE,
            "Rates the last resolution of a conversation",
        ),
        Forward::put::<ratings::Rate, Rating>(
            "/v1/chat/rate",
            ratings::EDIT,
            "Changes a rating, within a day",
        ),
        Forward::post::<ratings::Ask, ratings::Asked>(
            "/v1/chat/rating-link",
            ratings::ASK,
            "A link by which the customer rates without a login",
        ),
        Forward::get::<ratings::List>("/v1/chat/ratings", ratings::LIST, "Ratings, newest first")
            .with(&RATED),
        Forward::post::<files::Begin, files::Begun>(
            "/v1/chat/files",
            files::BEGIN,
            "Announces a file; its bytes go by PUT to the path of the answer",
        ),
        Forward::get::<files::Linked>("/v1/chat/files/{id}", files::LINK, "A link to a file")
            .with(&[FILE]),
    ]
}
