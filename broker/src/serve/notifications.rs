//! What the services answer about notifications over HTTP.

use sampan_bridge_ws::{Forward, Parameter};
use sampan_services::notifications::model::{Template, Trigger};
use sampan_services::notifications::{
    Accepted, BULK, BULK_CANCEL, BULK_GET, BULK_REFUSED, BULK_RESUME, BulkPart, BulkWanted, CANCEL,
    DEVICE_PUT, DEVICE_REMOVE, DEVICES, DeliveryOf, Device, DeviceGone, DevicePut, Devices, FAILED,
    Failed, GET, INBOX, Inbox, MARK, Mark, PREFERENCES, PREFERENCES_PUT, PREVIEW, Preferences,
    Preview, PreviewWanted, Progress, REPLAY, RefusedItems, Replay, Report, SEND, SUPPRESS,
    SUPPRESSIONS, Suppress, Suppressions, TEMPLATE_PUT, TEMPLATES, TemplatePut, Templates,
    UNSUPPRESS, Updated, WEBPUSH_KEY, Wanted, WebPushKey,
};

const ID: Parameter = Parameter::path("notification_id", "Id of the notification");
const JOB: Parameter = Parameter::path("job_id", "Id of the job");
const USER: Parameter = Parameter::text("user_id", "Whose; the asker's, if it is left out");
const LIMIT: Parameter = Parameter::number("limit", "How many at most, up to 100").or(100);
const PAGE: [Parameter; 4] = [
    USER,
    Parameter::text("before", "Those older than this notification"),
    Parameter::truth("archived", "Those that were put away"),
    LIMIT,
];
const LISTED: [Parameter; 3] = [
    Parameter::text("channel", "email or sms"),
    Parameter::text("after", "Those behind this address"),
    LIMIT,
];

pub(super) fn forwards() -> Vec<Forward> {
    let mut forwards = sending();
    forwards.extend(of_users());
    forwards.extend(of_the_shop());
    forwards
}

fn sending() -> Vec<Forward> {
    vec![
        Forward::post::<Trigger, Accepted>("/v1/notifications", SEND, "Sends a notification"),
        Forward::get::<Failed>(
            "/v1/notifications/failed",
            FAILED,
            "Deliveries that were given up, the newest first",
        )
        .with(&[LIMIT]),
        Forward::post::<Replay, DeliveryOf>(
            "/v1/notifications/replay",
            REPLAY,
            "Tries a delivery anew that was given up",
        ),
        Forward::post::<Wanted, Report>(
            "/v1/notifications/cancel",
            CANCEL,
            "Takes back what of a notification has not been sent",
        ),
        Forward::get::<Report>(
            "/v1/notifications/{notification_id}",
            GET,
            "A notification with all that came of it",
        )
        .with(&[ID]),
        Forward::post::<BulkPart, Progress>(
            "/v1/bulk-notifications",
            BULK,
            "Adds a part to a bulk job, and begins it with the last one",
        ),
        Forward::get::<Progress>("/v1/bulk-notifications/{job_id}", BULK_GET, "How far a job is")
            .with(&[JOB]),
        Forward::get::<RefusedItems>(
            "/v1/bulk-notifications/{job_id}/refused",
            BULK_REFUSED,
            "The first 100 items of a job that were refused",
        )
        .with(&[JOB]),
        Forward::post::<BulkWanted, Progress>(
            "/v1/bulk-notifications/cancel",
            BULK_CANCEL,
            "Stops a job",
        ),
        Forward::post::<BulkWanted, Progress>(
            "/v1/bulk-notifications/resume",
            BULK_RESUME,
            "Goes on with a job that was stopped",
        ),
    ]
}

fn of_users() -> Vec<Forward> {
    vec![
        Forward::get::<Inbox>("/v1/inbox", INBOX, "A user's inbox, the newest first").with(&PAGE),
        Forward::post::<Mark, Updated>(
            "/v1/inbox/mark",
            MARK,
            "Says what the asker has seen, read, followed or put away",
        ),
        Forward::post::<DevicePut, Device>("/v1/devices", DEVICE_PUT, "Registers a device"),
        Forward::get::<Devices>("/v1/devices", DEVICES, "A user's devices").with(&[USER]),
        Forward::post::<DeviceGone, serde_json::Value>(
            "/v1/devices/remove",
            DEVICE_REMOVE,
            "Forgets a device, as at a log-out",
        ),
        Forward::get::<WebPushKey>(
            "/v1/webpush-key",
            WEBPUSH_KEY,
            "The key that browsers subscribe with",
        ),
        Forward::get::<Preferences>(
            "/v1/notification-preferences",
            PREFERENCES,
            "What a user has chosen",
        )
        .with(&[USER]),
        Forward::post::<Preferences, Preferences>(
            "/v1/notification-preferences",
            PREFERENCES_PUT,
            "Puts what a user chooses in the place of what was chosen before",
        ),
    ]
}

fn of_the_shop() -> Vec<Forward> {
    vec![
        Forward::get::<Templates>(
            "/v1/notification-templates",
            TEMPLATES,
            "The newest template of each type, channel and language",
        ),
        Forward::post::<TemplatePut, Template>(
            "/v1/notification-templates",
            TEMPLATE_PUT,
            "Adds a template, as the next version of its type, channel and language",
        ),
        Forward::post::<PreviewWanted, Preview>(
            "/v1/notification-templates/preview",
            PREVIEW,
            "Fills a template in",
        ),
        Forward::get::<Suppressions>(
            "/v1/suppressions",
            SUPPRESSIONS,
            "Addresses that get nothing more, in their order",
        )
        .with(&LISTED),
        Forward::post::<Suppress, serde_json::Value>(
            "/v1/suppressions",
            SUPPRESS,
            "Sends nothing more to an address",
        ),
        Forward::post::<Suppress, serde_json::Value>(
            "/v1/suppressions/remove",
            UNSUPPRESS,
            "Sends to an address again",
        ),
    ]
}
